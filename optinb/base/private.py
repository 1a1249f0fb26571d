"""Who on the machine may read a workspace: its owner alone, or one group of people."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from msgspec import Struct

from optinb.base.settings import FILE_NAME, Settings, is_reference, read_secret
from optinb.errors import SettingsError

SHOWN = 3  # paths that a finding names


class OpenPaths(Struct, frozen=True, kw_only=True):
    """What of a workspace is open to others on the machine: how many paths, the first of them, and what closes them."""

    count: int
    examples: tuple[str, ...]
    command: str


def keeps_sqlite(settings: Settings) -> bool:
    """Whether the state is an SQLite file. A secret that can't be read is taken for an address with a password."""
    state = settings.workspace.state
    if state is None:
        return True
    if is_reference(state):
        try:
            state = read_secret(state)
        except SettingsError:
            return False
    return "://" not in state or state.startswith("sqlite")


def keep_private(root: Path, settings: Settings) -> None:
    """From here on, whatever this process and its children make is for the workspace's owner or group alone.

    It is the umask of the process, whatever it was: DuckDB, Polars, SQLite and kernels make files of their own, and a
    mode that is mended afterwards comes too late for whoever has opened the file. So it holds for what a notebook
    writes elsewhere, too. Raises SettingsError for a folder that isn't shared with the group that the settings name.
    """
    group = settings.workspace.group
    number = None if group is None else _number(group)
    if number is not None and root.is_dir() and not _is_shared(root, number):
        raise SettingsError(
            f'group is "{group}" in {FILE_NAME}, and {root} isn\'t shared with it; its owner runs once: '
            f"{_command(root, settings)}"
        )
    os.umask(0o077 if number is None else 0o007)


def make_private(root: Path, settings: Settings) -> None:
    """Makes the folder of a new workspace, for its owner or group alone. Raises OSError and SettingsError.

    Of a group's folder nobody puts something of their own in the place of what others made there: it is sticky. Not
    with an SQLite file for a state: in a sticky folder, Linux mostly keeps people from the files that others made.
    """
    group = settings.workspace.group
    number = None if group is None else _number(group)
    os.umask(0o077 if number is None else 0o007)
    root.mkdir(parents=True, exist_ok=True)
    if os.name != "posix":
        return
    if number is not None:
        os.chown(root, -1, number)
        root.chmod(0o2770 if keeps_sqlite(settings) else 0o3770)
    elif not root.stat().st_mode & stat.S_ISGID:  # such a folder was prepared for a group, which the settings name next
        with suppress(PermissionError):  # somebody else's: `optinb doctor` says so
            root.chmod(0o700)


def open_paths(root: Path, settings: Settings) -> OpenPaths | None:
    """What is open to others, from a folder on; whatever lies in a folder that they can't enter is closed to them."""
    group = settings.workspace.group
    number = None if group is None or os.name != "posix" else _number(group)
    found = sorted(_open(root, number)) if os.name == "posix" else []
    if not found:
        return None
    named = tuple("." if path == root else path.relative_to(root).as_posix() for path in found[:SHOWN])
    return OpenPaths(count=len(found), examples=named, command=_command(root, settings))


def _open(path: Path, group: int | None) -> Iterator[Path]:
    with suppress(FileNotFoundError):  # gone meanwhile, as drafts are
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return
        others = 0o007 if group is not None and found.st_gid == group else 0o077
        if found.st_mode & others:
            yield path
        if stat.S_ISDIR(found.st_mode) and found.st_mode & others & 0o011:
            for child in path.iterdir():
                yield from _open(child, group)


def _number(group: str) -> int | None:
    """The number of a group of this machine; None where there are none. Raises SettingsError."""
    try:
        import grp
    except ImportError:  # not on Windows
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise SettingsError(
            f'group is "{group}" in {FILE_NAME}, and this machine has no such group; name one of its groups '
            "(`getent group`), or leave it out"
        ) from error


def _is_shared(root: Path, number: int) -> bool:
    found = root.stat()
    return found.st_gid == number and found.st_mode & 0o2077 == 0o2070


def _command(root: Path, settings: Settings) -> str:
    """What closes a workspace to others."""
    folder, group = quote(str(root)), settings.workspace.group
    if group is None:
        return f"chmod -R go= {folder}"
    file, own = quote(str(root / FILE_NAME)), quote(str(root / "notebooks-*"))  # which are each person's alone
    sticky = "-t" if keeps_sqlite(settings) else "+t"
    return (
        f"chgrp -R {quote(group)} {folder} && "
        f"find {folder} -path {own} -prune -o ! -type l -exec chmod u=rwX,g=rwX,o= {{}} + && "
        f"find {folder} -type d -exec chmod g+s {{}} + && chmod g-w {file} && chmod {sticky} {folder}"
    )
