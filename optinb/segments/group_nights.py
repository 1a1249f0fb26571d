"""The nights of saved groups on disk: a Parquet file for each group and night, with who came and went.

    groups_history/KEY/2026-11-23.parquet      KEY stands for the group's name; its figures are the file's metadata

The first file of a group has everybody, and so has one as soon as the changes since the last such file are as many as
its members, or after two months: so any night's members follow from few files, and all files together stay small.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from optinb.base.files import write_atomically
from optinb.errors import StateError, UsageError
from optinb.segments.group_history import GroupNight

if TYPE_CHECKING:
    import polars as pl

FOLDER = "groups_history"
FIGURES = "optinb"  # the key of a file's metadata
MOST_FILES = 60
"""That are read for the members of a night; then everybody is written down again."""


class GroupNights:
    """What is kept of the nights of saved groups. Each file is whole or not there; a night again replaces its file."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def nights(self, name: str) -> tuple[date, ...]:
        """The nights that are kept of a group, the oldest first."""
        return tuple(sorted(date.fromisoformat(path.stem) for path in self._of(name).glob("????-??-??.parquet")))

    def figures(self, name: str, *, since: date = date.min) -> tuple[GroupNight, ...]:
        """The figures of a group's nights, the oldest first. Raises StateError for a file that can't be read."""
        return tuple(self._figures(name, night) for night in self.nights(name) if night >= since)

    def members(self, name: str, night: date) -> pl.DataFrame:
        """customer_id of everybody who was in a group on a night that is kept, sorted.

        Raises:
            UsageError: for a night that isn't kept.
            StateError: for a file that can't be read.
        """
        from optinb.segments.group_moves import replayed

        kept = self.nights(name)
        if night not in kept:
            told = f"{kept[0]} to {kept[-1]} are, {len(kept)} in all" if kept else "none is yet"
            raise UsageError(f"the members of {name!r} on {night} aren't kept: of its nights {told}")
        return replayed(self._rows(name, one) for one in self._since_whole(name, night))

    def moved(self, name: str, since: date, until: date) -> pl.DataFrame:
        """Who came and went on some nights, both ends included: night, and the columns of `group_moves.ROWS`."""
        import polars as pl

        from optinb.segments.group_moves import ROWS

        rows = [
            self._rows(name, night).filter(pl.col("change") != "member").with_columns(night=pl.lit(night))
            for night in self.nights(name)
            if since <= night <= until
        ]
        return pl.concat([pl.DataFrame(schema={**ROWS, "night": pl.Date}), *rows]).select("night", *ROWS)

    def is_due(self, name: str, night: date, *, changes: int, size: int) -> bool:
        """Whether everybody is to be written down on a night that isn't kept yet, the newest of all.

        Args:
            name: of the group.
            night: which one.
            changes: how many rows its file has otherwise.
            size: how many members there are.
        """
        before = [one for one in self.nights(name) if one < night]
        since = self._since_whole(name, before[-1]) if before else ()
        # the row counts are in the files' footers
        rows = sum(self._height(name, one) for one in since[1:])
        return not since or len(since) >= MOST_FILES or rows + changes >= max(size, 1)

    def write(self, figures: GroupNight, rows: pl.DataFrame) -> None:
        """Keeps a night of a group, in place of what was kept of it before. Raises StateError on a full disk."""
        path = self._path(figures.name, figures.night)
        content = BytesIO()
        rows.write_parquet(content, metadata={FIGURES: msgspec.json.encode(figures).decode()})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content.getvalue())
        except OSError as error:
            raise StateError(f"the history of {figures.name!r} can't be kept in {path}: {error.strerror}") from error

    def holds(self, ids: Collection[str]) -> bool:
        """Whether a kept night of any group names one of some customers."""
        return any(self._holding(ids))

    def forget(self, ids: Collection[str]) -> int:
        """Takes customers out of every night of every group; figures stay. Returns in how many groups they were."""
        import polars as pl

        for draft in self._folder.glob("*/.*"):
            draft.unlink(missing_ok=True)  # what a killed run left
        groups: set[Path] = set()
        for path in self._holding(ids):
            with _readable(path):
                kept, rest = pl.read_parquet_metadata(path)[FIGURES], pl.read_parquet(path, glob=False)
            content = BytesIO()
            rest.filter(~_is(ids)).write_parquet(content, metadata={FIGURES: kept})
            write_atomically(path, content.getvalue())
            groups.add(path.parent)
        return len(groups)

    def _holding(self, ids: Collection[str]) -> Iterator[Path]:
        import polars as pl

        for path in sorted(self._folder.glob("*/*.parquet")):
            with _readable(path):
                found = pl.scan_parquet(path, glob=False).select("customer_id").filter(_is(ids)).head(1).collect()
            if found.height:
                yield path

    def _since_whole(self, name: str, night: date) -> tuple[date, ...]:
        """The nights from the last one whose file has everybody up to a night, the oldest first."""
        found: list[date] = []
        for one in reversed([one for one in self.nights(name) if one <= night]):
            found.append(one)
            if self._figures(name, one).is_whole:
                break
        return tuple(reversed(found))

    def _of(self, name: str) -> Path:
        # names are known without regard to case, and may hold what no file name does
        return self._folder / sha256(name.casefold().encode()).hexdigest()[:16]

    def _path(self, name: str, night: date) -> Path:
        return self._of(name) / f"{night}.parquet"

    def _figures(self, name: str, night: date) -> GroupNight:
        import polars as pl

        path = self._path(name, night)
        with _readable(path):
            return msgspec.json.decode(pl.read_parquet_metadata(path)[FIGURES], type=GroupNight)

    def _rows(self, name: str, night: date) -> pl.DataFrame:
        import polars as pl

        path = self._path(name, night)
        with _readable(path):
            return pl.read_parquet(path, glob=False)

    def _height(self, name: str, night: date) -> int:
        import polars as pl

        path = self._path(name, night)
        with _readable(path):
            return pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()


def _is(ids: Collection[str]) -> pl.Expr:
    import polars as pl

    return pl.col("customer_id").is_in(pl.Series(sorted(ids), dtype=pl.String).implode())


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import polars as pl

    try:
        yield
    except (OSError, KeyError, msgspec.MsgspecError, pl.exceptions.PolarsError) as error:
        raise StateError(
            f"{path} can't be read ({error}); restore it from a backup, or remove its folder, with which the group's "
            "history begins anew"
        ) from error
