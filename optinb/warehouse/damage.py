"""Published files that are missing or damaged: what is wrong with which file, and what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from optinb.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "restore it from a backup, or write the number of an older version into CURRENT and import again"
# DuckDB has no class of its own for a disk or a quota that is full, or a limit of open files.
_MACHINES = ("No space left", "File too large", "quota exceeded", "Could not write", "Too many open files")


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Says of published tables that can't be read that they are damaged, as WarehouseError.

    What the machine lacks is none of their fault, and is left as it is.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if is_machines(error):
            raise
        raise WarehouseError(f"{what} can't be read ({first_line(error)}); {REMEDY}") from error


def is_machines(error: BaseException) -> bool:
    """Whether an error of DuckDB is about the machine (memory, disk, an interruption), not about what it reads."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
        return True
    return any(sign in str(error) for sign in _MACHINES)


def first_line(error: BaseException) -> str:
    """What a foreign error says, without the rest of it; its class where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
