"""Published versions on disk: the pointer, the lease, and what is removed when.

    warehouse/CURRENT         the number of the published version
    warehouse/LEASE           locked by the one process that imports or publishes; says who
    warehouse/v000042.duckdb  a published version, never written to again
    warehouse/v000042.tables/ its customer tables as Parquet files, where Spark is to read them
    warehouse/work/           what a build in progress makes; of no meaning to anybody else

A reader holds a shared lock on its version's file, so that nobody removes the version under it. The locks are the
operating system's: they end with their process, also when it is killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from optinb.base.figures import figure
from optinb.base.files import sync
from optinb.errors import WarehouseError

_POLL_S = 0.2
_VERSION = re.compile(r"v(\d{6,})\.duckdb")


class Versions:
    """The folder of published versions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work: Path = folder / "work"

    def path(self, version: int) -> Path:
        """The DuckDB file of a version."""
        return self.folder / f"v{version:06d}.duckdb"

    def tables(self, version: int) -> Path:
        """The folder of a version's customer tables as Parquet files, where they were written."""
        return self.folder / f"v{version:06d}.tables"

    @property
    def built_tables(self) -> Path:
        """The folder of those that a build in progress makes."""
        return self.work / "tables"

    @property
    def current(self) -> int | None:
        """The published version, None before the first. Raises WarehouseError if the pointer can't be read."""
        try:
            text = (self.folder / "CURRENT").read_text(encoding="ascii").strip()
            return int(text)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WarehouseError(
                f"{self.folder / 'CURRENT'} doesn't hold a version number; write the number of the newest "
                f"v….duckdb file into it"
            ) from error
        except OSError as error:
            raise _unreadable(self.folder / "CURRENT", error) from error

    def numbers(self) -> list[int]:
        """Every version that is still there, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(match[1]) for path in self.folder.iterdir() if (match := _VERSION.fullmatch(path.name)))

    @contextmanager
    def lease(self, what: str, *, user: str, now: datetime, wait_s: float = 0.0) -> Iterator[None]:
        """Holds the right to import or publish. Raises WarehouseError saying who holds it after `wait_s` seconds."""
        if "?" in str(self.folder):
            # DuckDB takes what follows for the query of an address, and looks for its log elsewhere.
            raise WarehouseError(f"DuckDB can't write below {self.folder}: rename the folder that has a ? in its name")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "LEASE").open("a+", encoding="utf-8") as stream:
            until = time.monotonic() + wait_s
            while not _locked(stream):
                if time.monotonic() >= until:
                    waited = f" after {figure(wait_s)} s" if wait_s else ""
                    raise WarehouseError(f"{_holder(stream)}{waited}; wait until it has ended, then try again")
                time.sleep(_POLL_S)
            holder = {"what": what, "user": user, "pid": os.getpid(), "host": socket.gethostname(), "since": str(now)}
            stream.truncate(0)
            stream.write(json.dumps(holder))
            stream.flush()
            try:
                shutil.rmtree(self.work, ignore_errors=True)
                self.work.mkdir()
                yield
            finally:
                shutil.rmtree(self.work, ignore_errors=True)
                stream.truncate(0)

    def publish(self, built: Path, version: int) -> None:
        """Makes a finished file the current version: everything is on disk before the pointer moves."""
        sync(built)
        shutil.rmtree(self.tables(version), ignore_errors=True)  # what a killed publication left
        if self.built_tables.is_dir():
            self.built_tables.replace(self.tables(version))
        built.replace(self.path(version))
        sync(self.folder)
        unfinished = self.work / "CURRENT"
        unfinished.write_text(f"{version}\n", encoding="ascii")
        sync(unfinished)
        unfinished.replace(self.folder / "CURRENT")
        sync(self.folder)

    def remove(self, doomed: Iterable[int]) -> set[int]:
        """Removes versions that nobody has open. Returns those that went. Only for the holder of the lease."""
        removed = set()
        for number in doomed:
            path = self.path(number)
            with path.open("rb") as stream, suppress(BlockingIOError):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                shutil.rmtree(self.tables(number), ignore_errors=True)
                removed.add(number)
        return removed

    def remove_unnamed(self, named: Collection[str], folders: Collection[str]) -> None:
        """Removes Parquet files and runs of keys that no version names. Only for the holder of the lease."""
        for folder in folders:
            for path in [*(self.folder / folder).glob("*=*/*"), *(self.folder / folder).glob("*.*")]:
                if path.relative_to(self.folder).as_posix() not in named:
                    path.unlink()
                    with suppress(OSError):
                        path.parent.rmdir()


def open_shared(path: Path) -> int | None:
    """A descriptor that keeps a version's file from being removed; None if it is gone. Close it with os.close.

    Raises WarehouseError for a file that may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    # A blocked lock means that the file is being removed at this moment.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def _unreadable(path: Path, error: OSError) -> WarehouseError:
    return WarehouseError(f"{path} can't be read: {error.strerror}; check the rights of the file and its folders")


def _locked(stream: TextIO) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(stream: TextIO) -> str:
    stream.seek(0)
    return stream.read()


def _holder(stream: TextIO) -> str:
    """Who holds the lock. Whoever has only just taken it writes their name down a moment later."""
    until = time.monotonic() + 2
    while not (text := _written(stream)) and time.monotonic() < until:
        time.sleep(_POLL_S)
    try:
        holder = json.loads(text)
        return (
            f"{holder['what']} by {holder['user'] or 'somebody'} (process {holder['pid']} on {holder['host']}, "
            f"since {holder['since']}) is under way"
        )
    except (ValueError, KeyError, TypeError):
        return "another import or publication is under way"
