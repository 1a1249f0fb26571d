"""Who on this machine can change a file, or put another in its place: its owner and root, or others too."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.errors import UsageError

if TYPE_CHECKING:
    import grp
    from collections.abc import Iterator

_ROOT = 0


class Loophole(Struct, frozen=True):
    """How others than the owner of a file, and root, can change it or put another in its place, and what closes it.

    `command` is empty where that has to stay open.
    """

    how: str
    command: str


def loopholes(path: Path, *, own_folder: str = "chmod +t") -> tuple[Loophole, ...]:
    """All of them for a file; none where only its owner and root can change it.

    Whoever can write to a folder puts anything in the place of what lies there, unless the folder is sticky (`+t`):
    then they do so with their own alone. So each folder on the way counts. `own_folder` is the command that closes the
    one that the file lies in, if any may.
    """
    return tuple(_loopholes(path, own_folder)) if os.name == "posix" else ()


def _loopholes(path: Path, own_folder: str) -> Iterator[Loophole]:
    own = path.stat()
    if who := _writers(own):
        yield Loophole(f"{path} can be written to by {who}", f"chmod go-w {quote(str(path))}")
    for folder in path.parents:
        found = folder.stat()
        if found.st_uid not in (_ROOT, own.st_uid):
            owner = login_of(own.st_uid)
            how = f"{path} belongs to {owner}, and {folder} to {login_of(found.st_uid)}"
            yield Loophole(how, f"chown {quote(owner)} {quote(str(folder))}")
        if not found.st_mode & stat.S_ISVTX and (who := _writers(found)):
            how = f"{folder} can be written to by {who}, so that another {path.name} can be put there"
            command = own_folder if folder == path.parent else "chmod +t"
            yield Loophole(how, command and f"{command} {quote(str(folder))}")


def make_own_folder(folder: Path) -> None:
    """Makes a folder that nobody but this login can look into or change, in one that several people share.

    Raises UsageError where something else lies there, OSError when it can't be made.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return
    raise UsageError(
        f"{folder} should be a folder of your own that is closed to others, and is {stat.filemode(found.st_mode)} of "
        f"{login_of(found.st_uid)}; what lies there may be theirs. Look, move it away, and start again"
    )


def closed_folders(root: Path) -> Iterator[Path]:
    """The folders in one that this login can't look into."""
    for folder, inner, _files in os.walk(root):
        yield from (path for name in inner if not os.access(path := Path(folder, name), os.R_OK | os.X_OK))


def login_of(number: int) -> str:
    """The login name of a user id of this machine, or else the number."""
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)


def _writers(found: os.stat_result) -> str:
    """Who else than the owner can write to what was found; a group that has nobody else in it is the owner."""
    if found.st_mode & stat.S_IWOTH:
        return "everybody on this machine"
    if not found.st_mode & stat.S_IWGRP:
        return ""
    import grp

    try:
        group = grp.getgrgid(found.st_gid)
    except KeyError:
        return f"the group {found.st_gid}"
    return "" if _is_of_one(group, login_of(found.st_uid)) else f"the group {group.gr_name}"


def _is_of_one(group: grp.struct_group, owner: str) -> bool:
    """Whether it is the group that systems make for each person, with nobody else in it."""
    return group.gr_name == owner and set(group.gr_mem) <= {owner}
