"""Frozen audiences: written once, before the first request, and never read unless they are unchanged."""

from __future__ import annotations

import os
from bisect import bisect_right
from hashlib import file_digest
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
from msgspec import Struct

from optinb.base.files import sync
from optinb.campaigns import AUDIENCE_SCHEMA
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from optinb.delivery.journal import FrozenAudience, Store

PART_ROWS = 20_000  # of a row group: what is read at once
_SENT = pl.col("outcome") == "recipient"


class FrozenFile(Struct, frozen=True):
    """An audience on disk and its SHA-256 in hexadecimal, which is part of the file's name too."""

    path: Path
    sha256: str


def freeze(audience: pl.DataFrame, *, folder: Path, stem: str) -> FrozenFile:
    """Writes an audience with AUDIENCE_SCHEMA to `folder/stem-DIGEST.parquet`, whole or not at all.

    The digest in the name lets two runs freeze at once without writing over what the other has registered.
    Raises StateError when the disk doesn't take it.
    """
    draft = folder / f".{stem}.{uuid4().hex}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            audience.select(AUDIENCE_SCHEMA.names()).write_parquet(draft, row_group_size=PART_ROWS)
            with draft.open("r+b") as file:
                sha256 = file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            path = folder / f"{stem}-{sha256[:12]}.parquet"
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync(folder)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise StateError(
            f"the audience can't be written to {folder} ({error}); nothing was sent; check the space and the rights "
            "of that folder"
        ) from error
    return FrozenFile(path, sha256)


def read_frozen(path: Path, sha256: str) -> pl.DataFrame:
    """The audience in a file, with AUDIENCE_SCHEMA, if it's the one that was frozen.

    Raises StateError when it isn't there or was changed.
    """
    check_frozen(path, sha256)
    return pl.read_parquet(path)


def check_frozen(path: Path, sha256: str) -> None:
    """Refuses a file that isn't there, or was changed since it was frozen. Raises StateError."""
    try:
        found = _digest(path)
    except OSError as error:
        raise StateError(
            f"the frozen audience {path} can't be read ({error.strerror}); restore it, or cancel this night's send"
        ) from error
    if found != sha256:
        raise StateError(
            f"the frozen audience {path} was changed since it was planned (SHA-256 {found[:12]}…, planned "
            f"{sha256[:12]}…); nothing of it is sent; restore the file, or cancel this night's send"
        )


_WHOLE: dict[tuple[str, int, int, int, int], str] = {}


def is_sealed(path: Path, sha256: str) -> bool:
    """Whether a file is the one that was frozen; one that was found whole is looked at again once it was touched.

    For whoever reads many nights again and again; what is sent is always checked in full. Raises OSError.
    """
    # the change time of an inode can't be set, so that a file with the same size and all times was not written to
    status = path.stat()
    key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if _WHOLE.get(key) != sha256:
        if _digest(path) != sha256:
            return False
        _WHOLE[key] = sha256
    return True


def read_sealed(
    path: Path,
    sha256: str,
    *,
    columns: list[str] | None = None,
    where: pl.Expr | None = None,
    why: Callable[[str], str],
) -> pl.DataFrame:
    """A file whose seal is whole, or some of its columns and rows.

    Args:
        path: of the Parquet file.
        sha256: its seal.
        columns: those to read; all of them when left out.
        where: which rows to read; all of them when left out.
        why: makes the complaint from what is wrong with the file.

    Raises:
        StateError: when it isn't there, can't be read, or was changed.
    """
    cause = None
    try:
        if is_sealed(path, sha256):
            rows = pl.scan_parquet(path, glob=False)
            rows = rows if columns is None else rows.select(columns)
            return (rows if where is None else rows.filter(where)).collect()
        what = "was changed since it was sealed"
    except (OSError, pl.exceptions.PolarsError) as error:
        what, cause = "can't be read", error
    raise StateError(why(what)) from cause


def check_planned(store: Store, audience: FrozenAudience) -> None:
    """Raises StateError when what is to be sent of an audience isn't what the audit trail recorded of it."""
    there = store.deliveries.find(*audience.night) or audience
    if store.deliveries.counts(*audience.night).pending and (problem := store.deliveries.why_unlike_planned(there)):
        raise StateError(f"{problem}; nothing of it is sent, compare the database with a copy")


class Recipients:
    """The recipients of a frozen audience in file order, of which a few thousand are in memory at a time."""

    def __init__(self, path: Path, sha256: str) -> None:
        """Raises StateError when the file isn't there or was changed."""
        check_frozen(path, sha256)
        self._scan = pl.scan_parquet(path, glob=False).select("external_user_id", "outcome", "properties")
        part = pl.int_range(pl.len()) // PART_ROWS
        counts = (
            self._scan.select(part=part, sent=_SENT)
            .group_by("part")
            .agg(pl.col("sent").sum())
            .sort("part")
            .collect(engine="streaming")
        )
        self._ends = list(accumulate(counts["sent"]))
        # two lists of text: a tuple for each row would keep Python's garbage collector busy
        self._read: tuple[int, list[str], list[str]] = (-1, [], [])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def rows(self, first: int, size: int) -> Iterator[tuple[str, str]]:
        """external_user_id and properties (JSON text) of the recipients `first` to `first + size`, from 0."""
        users: list[str] = []
        properties: list[str] = []
        while len(users) < size:
            at = first + len(users)
            part = bisect_right(self._ends, at)
            begin = self._ends[part - 1] if part else 0
            wanted = slice(at - begin, at - begin + size - len(users))
            more_users, more_properties = self._part(part)
            users += more_users[wanted]
            properties += more_properties[wanted]
        return zip(users, properties, strict=True)

    def _part(self, number: int) -> tuple[list[str], list[str]]:
        if self._read[0] != number:
            rows = self._scan.slice(number * PART_ROWS, PART_ROWS).filter(_SENT).collect()
            self._read = (number, rows["external_user_id"].to_list(), rows["properties"].to_list())
        return self._read[1:]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
