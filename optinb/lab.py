"""JupyterLab on the notebooks, with a workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from optinb.demo import AUTHOR, rehearsal
from optinb.settings import FILE_NAME, load_settings
from optinb.share import shared
from optinb.warehouse import Warehouse
from optinb.workspace import workspace_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run_lab(
    workspace: str | Path | None, *, rehearse: bool, user: str | None = None, options: Sequence[str] = ()
) -> int:
    """Starts JupyterLab and waits for its end; returns its exit code.

    Args:
        rehearse: start the sandbox too, and work as `user` at the time of the newest delivery.
        options: for `jupyter lab`.
    """
    root = workspace_folder(workspace).resolve()
    settings = load_settings(root / FILE_NAME)
    environment = {**os.environ, "OPTINB_WORKSPACE": str(root)}
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={notebooks_folder(root)}", *options]
    with ExitStack() as stack:
        if rehearse:
            warehouse = Warehouse(root, settings)
            newest = warehouse.open().import_date if warehouse.current is not None else None
            journal = root / "sandbox.jsonl"
            environment |= stack.enter_context(
                rehearsal(settings, user=user or AUTHOR, journal=journal, run_date=newest)
            )
        return subprocess.run(command, env=environment, check=False).returncode


def notebooks_folder(root: Path) -> Path:
    """The notebooks to work on: those of a checkout, or else a copy in the workspace, which an update doesn't touch."""
    notebooks = shared("notebooks")
    if notebooks.parent.name != "share":
        return notebooks
    copy = root / "notebooks"
    if not copy.exists():
        shutil.copytree(notebooks, copy)
    return copy
