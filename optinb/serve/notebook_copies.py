"""Copies of the notebooks in a workspace, to work on: what they show of customers stays there.

notebooks/              the copies; they belong to whoever changes them
notebooks-LOGIN/        in a workspace that a group shares: each person's own, which nobody else can change
  .copied.json          of each, what it was a copy of, so that a newer optinb replaces only what nobody changed
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from optinb.base.files import write_atomically
from optinb.base.ownership import login_of, make_own_folder
from optinb.base.share import shared
from optinb.base.stripped import sources, stripped
from optinb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optinb.base.settings import Settings

FOLDER, RECORD = "notebooks", ".copied.json"
KINDS = frozenset({".ipynb", ".md", ".png", ".svg"})


def folder_of_copies(root: Path, settings: Settings) -> Path:
    """Where the copies are that this login works on: its own where a group shares the workspace."""
    if settings.workspace.group is None or os.name != "posix":
        return root / FOLDER
    return root / f"{FOLDER}-{re.sub(r'[^a-zA-Z0-9_.@-]', '_', login_of(os.geteuid()))}"


def copied_notebooks(root: Path, settings: Settings, *, say: Callable[[str], None]) -> Path:
    """The folder of notebooks that this login works on, with all that come with this version of optinb.

    One whose cells nobody changed is replaced by a newer one; one that somebody changed stays, and `say` is told so.
    Raises UsageError when they can't be copied, or when others could change the copies of a shared workspace.
    """
    source, folder = shared("notebooks"), folder_of_copies(root, settings)
    newer = []
    try:
        if folder != root / FOLDER:
            make_own_folder(folder)
        known = _recorded(folder)
        for name in _names(source):
            new, copy = (source / name).read_bytes(), folder / name
            shipped = _digest(name, new)
            there = _digest(name, copy.read_bytes()) if copy.exists() else None
            if there not in (None, shipped, known.get(name)):
                newer += [] if known.get(name) == shipped else [name]
                continue
            if there != shipped:
                copy.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(copy, stripped(new) if copy.suffix == ".ipynb" else new)
            known[name] = shipped
        write_atomically(folder / RECORD, msgspec.json.encode(known, order="sorted"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the notebooks can't be copied to {folder}: {error}; make the folder writable") from error
    if changed := changed_copies(folder):
        also = f" (newer in this one: {', '.join(newer)})" if newer else ""
        say(f"Not as they come with optinb, in {folder}: {', '.join(changed)}{also}. They stay; remove one for ours.")
    if folder != root / FOLDER and any((root / FOLDER).glob("*.ipynb")):
        say(f"{root / FOLDER}, which others can change, is no longer used; take over into {folder} what you have read.")
    return folder


def changed_copies(folder: Path) -> tuple[str, ...]:
    """Which copies in a folder somebody changed, or that can't be read.

    One that still is what it was a copy of is only older than what comes with this optinb.
    """
    source, known = shared("notebooks"), _recorded(folder)
    return tuple(name for name in _names(source) if _differs(name, folder / name, source / name, known.get(name)))


def _recorded(folder: Path) -> dict[str, str]:
    """Of each copy in a folder, what it was a copy of; where that can't be told, every copy counts as changed."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=dict[str, str])
    return {}


def _differs(name: str, copy: Path, own: Path, known: str | None) -> bool:
    try:
        return copy.is_file() and _digest(name, copy.read_bytes()) not in (known, _digest(name, own.read_bytes()))
    except OSError:
        return True  # somebody else's, in a workspace that several share


def _names(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.suffix in KINDS and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def _digest(name: str, content: bytes) -> str:
    """What a file says: of a notebook its cells, as outputs and a program's notes in it are nobody's change."""
    if name.endswith(".ipynb"):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            content = msgspec.json.encode(sources(content))
    return sha256(content).hexdigest()
