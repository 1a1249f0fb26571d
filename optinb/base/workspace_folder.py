"""The folder of a workspace: which it is, and how a new one is made."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.base.private import make_private
from optinb.base.settings import FILE_NAME, parse_settings
from optinb.base.share import shared
from optinb.errors import UsageError

VARIABLE = "OPTINB_WORKSPACE"


class NewWorkspace(Struct, frozen=True, kw_only=True):
    """Where a new workspace is, and what to do with it."""

    folder: str
    settings: str
    inbox: str


def init_workspace(folder: Path, *, settings: str | None = None) -> NewWorkspace:
    """Makes a workspace with commented settings (or the given text of them), and an empty inbox.

    Raises UsageError when there is a workspace already, or when the folder can't be made.
    """
    folder = folder.expanduser().resolve()
    file = folder / FILE_NAME
    text = settings if settings is not None else shared(f"data/{FILE_NAME}").read_text(encoding="utf-8")
    read = parse_settings(text)
    if file.exists():
        raise UsageError(f"{folder} is a workspace already: {file} is there, and stays as it is")
    try:
        make_private(folder, read)
        (folder / "inbox").mkdir(exist_ok=True)
        write_atomically(file, text.encode())
        file.chmod(file.stat().st_mode & ~0o022)  # a group works here by what one person has set
    except OSError as error:
        raise UsageError(f"no workspace can be made in {folder}: {error.strerror}; choose another folder") from error
    return NewWorkspace(folder=str(folder), settings=str(file), inbox=str(folder / "inbox"))


def workspace_folder(folder: str | Path | None = None) -> Path:
    """The folder of a workspace: as given, from OPTINB_WORKSPACE, or `data`.

    Raises UsageError where that is optinb's own, in a clone of its sources.
    """
    found = Path(folder or os.environ.get(VARIABLE) or "data").expanduser()
    if found.resolve() == shared(f"data/{FILE_NAME}").parent.resolve():
        raise UsageError(
            f"{found} holds optinb's own template of settings and its sample, and is no workspace: make one with "
            f"`optinb init FOLDER`, and say --workspace FOLDER (or {VARIABLE}=FOLDER)"
        )
    return found
