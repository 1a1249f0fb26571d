"""Writing files so that a crash leaves the old one or the new one."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import uuid4

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # of network disks that know none


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces a file by one rename, after its content has reached the disk."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or a folder with its new names, is on disk; folders that can't be opened are the system's."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_tree(source: Path, target: Path) -> None:
    """Copies a folder's content under the rights that new files get here, not those of the source."""
    import shutil

    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, copy)


def walk(folder: Path, *, follows: Callable[[Path], bool] = lambda _link: True) -> Iterator[Path]:
    """Whatever is no folder under one, in order, also behind those links that are followed; each folder comes once.

    A link that isn't followed, and a folder that can't be read, come themselves.
    """
    yield from _walk(folder, follows, set())


def _walk(folder: Path, follows: Callable[[Path], bool], seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        paths = sorted(folder.iterdir())
    except OSError:
        yield folder
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for path in paths:
        if path.is_dir() and (not path.is_symlink() or follows(path)):
            yield from _walk(path, follows, seen)
        else:
            yield path


def open_privately(path: Path, mode: str = "ab", *, buffering: int = -1) -> IO[bytes]:
    """Opens a file to append to; a new one is for its owner alone, or for the group that its folder is shared with."""

    def opener(name: str, flags: int) -> int:
        known = path.exists()
        descriptor = os.open(name, flags, 0o600)
        if not known and path.parent.stat().st_mode & (shared := stat.S_ISGID | stat.S_IRWXG) == shared:
            os.fchmod(descriptor, 0o660)
        return descriptor

    return open(path, mode, buffering=buffering, opener=opener)


def lock_newest(file: IO[bytes], path: Path, reopen: Callable[[], IO[bytes]]) -> IO[bytes]:
    """Waits until nobody else writes to a file, and keeps others from it until `unlock`, or until it is closed.

    Returns the file that bears the name by then: one that was rewritten, as by `forget`, is opened anew.
    """
    while True:
        _lock(file, fcntl.LOCK_EX)
        try:
            there = path.stat()
        except OSError:
            return file  # gone with its folder: nobody reads it any more
        if os.path.samestat(there, os.fstat(file.fileno())):
            return file
        file.close()
        file = reopen()


def unlock(file: IO[bytes]) -> None:
    """Lets others write to a file that was locked."""
    _lock(file, fcntl.LOCK_UN)


def _lock(file: IO[bytes], how: int) -> None:
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
