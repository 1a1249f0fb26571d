"""JupyterLab on the notebooks, with a workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from optinb.base.ownership import loopholes
from optinb.base.private import keep_private
from optinb.base.settings import FILE_NAME, Settings, load_settings
from optinb.base.workspace_folder import workspace_folder
from optinb.errors import UsageError
from optinb.rehearsal import goes_with_rehearsing, variables_for
from optinb.serve.notebook_copies import copied_notebooks

_ALLOW_ROOT = {"--allow-root", "--ServerApp.allow_root=True", "--LabApp.allow_root=True"}


def run_lab(
    workspace: str | Path | None,
    *,
    rehearse: bool,
    user: str | None = None,
    options: Sequence[str] = (),
    say: Callable[[str], None],
) -> int:
    """Starts JupyterLab on the workspace's copies of the notebooks and waits for its end; returns its exit code.

    Ctrl-C, or the end of the terminal, ends it as its own menu does: kernels stop and nothing is left behind.

    Args:
        workspace: its folder; OPTINB_WORKSPACE or `data` for None.
        rehearse: work as `user` with the sandbox that runs on the settings' port, or start one at the time of the
            newest delivery.
        user: who rehearses.
        options: for `jupyter lab`, which starts in the folder of the copies.
        say: told of copies that aren't as they come with optinb, and of others who can change the settings.

    Raises:
        UsageError: for root, unless `options` allow it.
    """
    root, settings = opened(workspace, say=say)
    if os.geteuid() == 0 and not _ALLOW_ROOT & set(options):
        raise UsageError(
            "JupyterLab doesn't run as root, since any notebook could then change all of this machine: log in as "
            "somebody else, or say that it is meant: `optinb lab -- --allow-root`"
        )
    folder = copied_notebooks(root, settings, say=say)
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={folder}", *options]
    with ExitStack() as stack:
        return run(command, environment_of(root, settings, rehearse=rehearse, user=user, stack=stack), folder)


def opened(workspace: str | Path | None, *, say: Callable[[str], None]) -> tuple[Path, Settings]:
    """The folder and settings of a workspace that a server is to work on; `say` is told who else can change them."""
    root = workspace_folder(workspace).resolve()
    settings = load_settings(root / FILE_NAME)
    keep_private(root, settings)
    if found := loopholes(root / FILE_NAME):
        say(f"Whoever can change {FILE_NAME} says who approves: {found[0].how}. `optinb doctor` tells what closes it.")
    return root, settings


def environment_of(
    root: Path, settings: Settings, *, rehearse: bool, user: str | None, stack: ExitStack
) -> dict[str, str]:
    """The environment in which kernels work on a workspace; a sandbox that it needs runs until `stack` is closed."""
    goes_with_rehearsing(user, rehearse=rehearse)
    environment = {**os.environ, "OPTINB_WORKSPACE": str(root)}
    return environment | variables_for(root, settings, user=user, stack=stack) if rehearse else environment


def run(command: Sequence[str], environment: dict[str, str], folder: Path) -> int:
    """Runs a server in a folder until it ends or this process is told to; returns its exit code.

    Python looks for modules, and Jupyter for settings, where they are started. That may be a folder that others share,
    so that it is always one that only this login, or whoever installed optinb, can write to.
    """
    # In a group of its own the terminal's Ctrl-C comes to us only: JupyterLab would ask back, or, without a terminal,
    # stop at once and leave its files. Told to terminate, it ends cleanly, which must be waited for.
    with subprocess.Popen(command, env=environment, cwd=folder, process_group=0) as lab:
        before = {
            number: signal.signal(number, lambda *_: lab.terminate())
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            return lab.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
