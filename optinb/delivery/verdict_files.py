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
from optinb.delivery.frozen import FrozenFile, is_sealed, read_sealed
from optinb.delivery.journal import VERDICT_TAIL
from optinb.errors import StateError

FRESH = timedelta(hours=12)  # an older word, of a round that nobody finished, is asked for again
_PART = "asked-"

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from optinb.delivery.journal import Confirmation, FrozenAudience, Store
    from optinb.delivery.journal.confirmations import ConfirmationStore


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
    path = root / confirmation.path
    return read_sealed(path, confirmation.sha256, why=lambda what: _distrusted(audience, path, what))


def changed_files(store: Store, *, root: Path) -> Iterator[str]:
    """Which files of what Appboy said aren't those that the journal names, of nights that lie on this machine.

    Args:
        store: with the confirmations.
        root: the workspace.

    Yields:
        A sentence for each.
    """
    newest = {there.night: there for there in store.confirmations.list()}
    parts = store.confirmations.all_parts()
    for audience in store.deliveries.list() if newest or parts else ():
        there = newest.get(audience.night)
        if not (root / audience.path).is_file():
            continue
        if there is not None:
            path, what = root / there.path, "was changed since it was sealed"
            try:
                is_whole = is_sealed(path, there.sha256)
            except OSError:
                is_whole, what = False, "can't be read"
            if not is_whole:
                yield _distrusted(audience, path, what)
        if audience.night in parts:
            why = AskedSoFar(audience, store.confirmations, root=root).why_unlike(but_more=True)
            if why:
                yield why


def _distrusted(audience: FrozenAudience, path: Path, what: str) -> str:
    of = f"{audience.campaign_name!r} on {audience.run_date}"
    ask = f"restore it from a copy, or ask Appboy again: `optinb confirm --date {audience.run_date}`"
    return f"what Appboy said of {of}, {path}, {what}; {ask}"


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

    The audit trail knows each part by its hash; whoever is in another one, or in one that was damaged, is asked about
    again. Parts go with the next version.
    """

    def __init__(self, audience: FrozenAudience, confirmations: ConfirmationStore, *, root: Path) -> None:
        self._audience, self._confirmations, self._root = audience, confirmations, root
        self._begin = f"{_stem(audience)}.{_PART}"

    def read(self, *, now: datetime) -> pl.DataFrame:
        """What was told (EVIDENCE) in the last hours; the later word on each place."""
        known = self._confirmations.parts(*self._audience.night)
        parts = [part for path in self._paths() if _digest(path) in known and (part := _part(path)) is not None]
        if not parts:
            return pl.DataFrame(schema=EVIDENCE)
        fresh = pl.concat(parts).filter(pl.col("asked_at") > now - FRESH, pl.col("asked_at") <= now)
        return fresh.sort("asked_at").unique("place", keep="last", maintain_order=True).sort("place")

    def why_unlike(self, *, but_more: bool = False) -> str | None:
        """Why the files aren't those that the audit trail knows, or None.

        Args:
            but_more: whether files that it doesn't know are no reason: a run that is killed may leave one.
        """
        known = self._confirmations.parts(*self._audience.night)
        there = [_digest(path) for path in self._paths()]
        gone, more = len(known.difference(there)), sum(digest not in known for digest in there)
        if not gone and (but_more or not more):
            return None
        told = [f"{gone} of {len(known)} parts were changed or are gone"] if gone else []
        told += [f"{more} {'file is' if more == 1 else 'files are'} none that it knows"] if more else []
        return (
            f"what Appboy told so far of {self._audience.campaign_name!r} on {self._audience.run_date} isn't what the "
            f"audit trail says that it told ({', '.join(told)}); whoever is in them counts as not asked, and is asked "
            f"about again by `optinb confirm --date {self._audience.run_date}`"
        )

    def keep(self, evidence: pl.DataFrame, *, user: str, now: datetime) -> None:
        """Keeps what was told (EVIDENCE) of more recipients. Raises StateError when the disk doesn't take it.

        Args:
            evidence: what was told.
            user: who asked.
            now: in UTC.
        """
        draft, folder = write_draft(evidence, self._audience, root=self._root)
        try:
            digest = _digest(draft)
            draft.replace(folder / f"{self._begin}{len(self._paths()):05}-{digest[:32]}{VERDICT_TAIL}")
            sync(folder)
        except OSError as error:
            raise _unwritten(folder, error) from error
        finally:
            draft.unlink(missing_ok=True)
        self._confirmations.note_part(
            *self._audience.night, sha256=digest, recipients=evidence.height, user=user, now=now
        )

    def _paths(self) -> list[Path]:
        return [path for path in files_of(self._audience, root=self._root) if path.name.startswith(self._begin)]


def _part(path: Path) -> pl.DataFrame | None:
    try:
        part = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return None
    return part if part.schema == EVIDENCE else None


def _digest(path: Path) -> str:
    """The SHA-256 of a file; nothing where it can't be read."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _stem(audience: FrozenAudience) -> str:
    return audience.campaign_id.replace(".", "-")  # a point ends it, so that no message's files are taken for another's


def _unwritten(folder: Path, error: Exception) -> StateError:
    return StateError(
        f"what Appboy said can't be written to {folder} ({error}); who got the messages stays as it was known before; "
        "check the space and the rights of that folder, then run `optinb confirm`"
    )
