"""Files of verdicts: what became of each recipient who was asked about, by place, sealed beside the frozen audience."""

from __future__ import annotations

import os
from datetime import timedelta
from hashlib import file_digest
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl

from optinb.base.files import sync
from optinb.delivery.confirmation import EVIDENCE, VERDICTS
from optinb.delivery.frozen import FrozenFile, read_sealed
from optinb.delivery.journal import VERDICT_TAIL
from optinb.errors import StateError

FRESH = timedelta(hours=12)  # an older word, of a round that nobody finished, is asked for again
_PART = "asked-"

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from optinb.delivery.journal import Confirmation, FrozenAudience


def write_verdicts(verdicts: pl.DataFrame, audience: FrozenAudience, *, root: Path) -> FrozenFile:
    """Writes verdicts (VERDICTS) beside a night's frozen audience, whole or not at all.

    Raises:
        StateError: when the disk doesn't take it.
    """
    draft, folder = write_draft(verdicts.select(VERDICTS.names()).sort("place"), audience, root=root)
    try:
        with draft.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
        path = folder / f"{_stem(audience)}.{sha256[:12]}{VERDICT_TAIL}"
        draft.replace(path)
        sync(folder)
    except OSError as error:
        raise _unwritten(folder, error) from error
    finally:
        draft.unlink(missing_ok=True)
    return FrozenFile(path, sha256)


def write_draft(frame: pl.DataFrame, audience: FrozenAudience, *, root: Path) -> tuple[Path, Path]:
    """Writes a frame beside a night's frozen audience, under a name that nobody reads; the file, and its folder.

    Raises:
        StateError: when the disk doesn't take it.
    """
    folder = (root / audience.path).parent
    draft = folder / f".{_stem(audience)}.{uuid4().hex}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(draft)
        with draft.open("r+b") as file:
            os.fsync(file.fileno())
    except (OSError, pl.exceptions.ComputeError) as error:
        draft.unlink(missing_ok=True)
        raise _unwritten(folder, error) from error
    return draft, folder


def read_verdicts(confirmation: Confirmation, audience: FrozenAudience, *, root: Path) -> pl.DataFrame:
    """The verdicts (VERDICTS) of a confirmation, from a file whose seal is whole.

    Raises:
        StateError: when it isn't there or was changed: who got the message would be told wrongly.
    """
    path, of = root / confirmation.path, f"{audience.campaign_name!r} on {audience.run_date}"
    ask = f"restore it from a copy, or ask Appboy again: `optinb confirm --date {audience.run_date}`"
    return read_sealed(path, confirmation.sha256, why=lambda what: f"what Appboy said of {of}, {path}, {what}; {ask}")


def remove_but(kept: Collection[str], audience: FrozenAudience, *, root: Path) -> None:
    """Removes the files of verdicts of a night that no newest version names any more, and what was kept half-way."""
    for path in files_of(audience, root=root):
        if path.relative_to(root).as_posix() not in kept:
            path.unlink(missing_ok=True)


def files_of(audience: FrozenAudience, *, root: Path) -> Iterator[Path]:
    """Every file of verdicts of a night, in the order of their names."""
    yield from sorted((root / audience.path).parent.glob(f"{_stem(audience)}.*{VERDICT_TAIL}"))


class AskedSoFar:
    """What Appboy told in a round of questions that isn't over: parts in files, so that a kill asks few a second time.

    Each part bears its hash in its name; one that was damaged is asked about again. Parts go with the next version.
    """

    def __init__(self, audience: FrozenAudience, *, root: Path) -> None:
        self._audience, self._root = audience, root
        self._begin = f"{_stem(audience)}.{_PART}"

    def read(self, *, now: datetime) -> pl.DataFrame:
        """What was told (EVIDENCE) in the last hours; the later word on each place."""
        found = [self._part(path) for path in self._paths()]
        parts = [part for part in found if part is not None]
        if not parts:
            return pl.DataFrame(schema=EVIDENCE)
        fresh = pl.concat(parts).filter(pl.col("asked_at") > now - FRESH, pl.col("asked_at") <= now)
        return fresh.sort("asked_at").unique("place", keep="last", maintain_order=True).sort("place")

    def keep(self, evidence: pl.DataFrame) -> None:
        """Keeps what was told (EVIDENCE) of more recipients. Raises StateError when the disk doesn't take it."""
        draft, folder = write_draft(evidence, self._audience, root=self._root)
        try:
            with draft.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            draft.replace(folder / f"{self._begin}{len(self._paths()):05}-{digest[:32]}{VERDICT_TAIL}")
            sync(folder)
        except OSError as error:
            raise _unwritten(folder, error) from error
        finally:
            draft.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return [path for path in files_of(self._audience, root=self._root) if path.name.startswith(self._begin)]

    def _part(self, path: Path) -> pl.DataFrame | None:
        try:
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            if not path.name.endswith(f"-{digest[:32]}{VERDICT_TAIL}"):
                return None
            part = pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError):
            return None
        return part if part.schema == EVIDENCE else None


def _stem(audience: FrozenAudience) -> str:
    return audience.campaign_id


def _unwritten(folder: Path, error: Exception) -> StateError:
    return StateError(
        f"what Appboy said can't be written to {folder} ({error}); who got the messages stays as it was known before; "
        "check the space and the rights of that folder, then run `optinb confirm`"
    )
