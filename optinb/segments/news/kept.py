"""What is kept of the news: the sizes of each night's groups, what each night told, and what nobody wants to hear of.

    news/sizes/2026-11-23.parquet    with SIZES
    news/2026-11-23.json             a News
    news/dismissed/1a2b3c4d.json     of a key, what was dismissed, by whom and when

No file has a customer's id in it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from optinb.base.files import write_atomically
from optinb.errors import StateError
from optinb.segments.news.item import News, NewsItem

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

FOLDER = "news"
SIZES_KEPT = 450  # days; a change is held against the same week of the year before


class Dismissed(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody doesn't want to hear of any more."""

    item: NewsItem
    by: str
    at: datetime


class NewsFiles:
    """Reads and writes them; each file is whole or not there."""

    def __init__(self, root: Path) -> None:
        """Args: `root`: of the workspace."""
        self._folder = root / FOLDER

    def nights(self) -> tuple[date, ...]:
        """The nights whose news are kept, the oldest first."""
        return tuple(sorted(date.fromisoformat(path.stem) for path in self._folder.glob("????-??-??.json")))

    def read(self, night: date) -> News | None:
        """What a night told; None for one of which nothing is kept. Raises StateError for a file that can't be read."""
        return self._read(self._folder / f"{night}.json", News)

    def keep(self, news: News) -> None:
        """Keeps what a night told, in place of what it told before. Raises StateError on a full disk."""
        self._write(self._folder / f"{news.night}.json", msgspec.json.format(msgspec.json.encode(news), indent=1))

    def sizes(self, night: date) -> pl.DataFrame | None:
        """The sizes of a night; None where they aren't kept, or can't be read any more: they are counted anew then."""
        import polars as pl

        from optinb.segments.news.sizes import SIZES

        with suppress(OSError, pl.exceptions.PolarsError):
            return pl.read_parquet(self._sizes(night), glob=False).select(SIZES.names()).cast(SIZES)  # type: ignore[arg-type]
        return None

    def keep_sizes(self, night: date, sizes: pl.DataFrame) -> None:
        """Keeps the sizes of a night, and drops those that are too old to be asked for."""
        content = BytesIO()
        sizes.write_parquet(content)
        self._write(self._sizes(night), content.getvalue())
        for path in (self._folder / "sizes").glob("????-??-??.parquet"):
            if (night - date.fromisoformat(path.stem)).days > SIZES_KEPT:
                path.unlink(missing_ok=True)

    def dismissed(self) -> dict[str, Dismissed]:
        """What was dismissed, by key. Raises StateError for a file that can't be read."""
        found = (
            (path.stem, self._read(path, Dismissed)) for path in sorted((self._folder / "dismissed").glob("?*.json"))
        )
        return {key: dismissed for key, dismissed in found if dismissed is not None}

    def dismiss(self, dismissed: Dismissed) -> None:
        """Keeps that something is dismissed. Raises StateError on a full disk."""
        self._write(self._dismissed(dismissed.item.key), msgspec.json.format(msgspec.json.encode(dismissed), indent=1))

    def restore(self, key: str) -> None:
        """Forgets that something is dismissed."""
        self._dismissed(key).unlink(missing_ok=True)

    def _dismissed(self, key: str) -> Path:
        return self._folder / "dismissed" / f"{key}.json"

    def _sizes(self, night: date) -> Path:
        return self._folder / "sizes" / f"{night}.parquet"

    @staticmethod
    def _read(path: Path, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(
                f"the news in {path} can't be read ({error}); put the file back from a backup, or remove it: what it "
                "told may be told again then"
            ) from error

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            raise StateError(f"the news can't be kept in {path}: {error.strerror}") from error
