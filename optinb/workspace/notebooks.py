"""Copies of the notebooks in a workspace, to work on: what they show of customers stays there.

notebooks/              the copies; they belong to whoever changes them
notebooks/.copied.json  of each, what it was a copy of, so that a newer optinb replaces only what nobody changed
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from optinb.errors import UsageError
from optinb.files import write_atomically
from optinb.share import shared
from optinb.stripped import sources, stripped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER, RECORD = "notebooks", ".copied.json"
KINDS = frozenset({".ipynb", ".md", ".png", ".svg"})


def copied_notebooks(root: Path, *, say: Callable[[str], None]) -> Path:
    """The folder of a workspace's own notebooks, with all that come with this version of optinb.

    One whose cells nobody changed is replaced by a newer one; one that somebody changed stays, and `say` is told so.
    Raises UsageError when they can't be copied.
    """
    source, folder = shared("notebooks"), root / FOLDER
    record = folder / RECORD
    known: dict[str, str] = {}
    with suppress(OSError, msgspec.MsgspecError):  # where it can't be told, every copy counts as changed
        known = msgspec.json.decode(record.read_bytes(), type=dict[str, str])
    kept = []
    try:
        for name in _names(source):
            new, copy = (source / name).read_bytes(), folder / name
            shipped = _digest(name, new)
            there = _digest(name, copy.read_bytes()) if copy.exists() else None
            if there not in (None, shipped, known.get(name)):
                kept += [] if known.get(name) == shipped else [name]
                continue
            if there != shipped:
                copy.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(copy, stripped(new) if copy.suffix == ".ipynb" else new)
            known[name] = shipped
        write_atomically(record, msgspec.json.encode(known, order="sorted"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the notebooks can't be copied to {folder}: {error}; make the folder writable") from error
    if kept:
        say(f"Changed in {folder}, so kept, and newer in this optinb: {', '.join(kept)}. Remove one for ours.")
    return folder


def _names(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.suffix in KINDS and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def _digest(name: str, content: bytes) -> str:
    """What a file says: of a notebook its cells, as outputs and a program's notes in it are nobody's change."""
    if name.endswith(".ipynb"):
        with suppress(ValueError, KeyError, TypeError):
            content = msgspec.json.encode(sources(content))
    return sha256(content).hexdigest()
