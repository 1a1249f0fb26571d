"""JupyterLab on the notebooks, with a workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from optinb.rehearsal import goes_with_rehearsing, variables_for
from optinb.settings import FILE_NAME, load_settings
from optinb.workspace import workspace_folder
from optinb.workspace.notebooks import copied_notebooks
from optinb.workspace.private import keep_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from optinb.settings import Settings


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
        rehearse: work as `user` with the sandbox that runs on the settings' port, or start one at the time of the
            newest delivery.
        options: for `jupyter lab`.
        say: told of copies that somebody changed and that are newer in this version.
    """
    root = workspace_folder(workspace).resolve()
    settings = load_settings(root / FILE_NAME)
    keep_private(root, settings)
    command = [sys.executable, "-m", "jupyter", "lab", f"--notebook-dir={copied_notebooks(root, say=say)}", *options]
    with ExitStack() as stack:
        return run(command, environment_of(root, settings, rehearse=rehearse, user=user, stack=stack))


def environment_of(
    root: Path, settings: Settings, *, rehearse: bool, user: str | None, stack: ExitStack
) -> dict[str, str]:
    """The environment in which kernels work on a workspace; a sandbox that it needs runs until `stack` is closed."""
    goes_with_rehearsing(user, rehearse=rehearse)
    environment = {**os.environ, "OPTINB_WORKSPACE": str(root)}
    return environment | variables_for(root, settings, user=user, stack=stack) if rehearse else environment


def run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Runs a server until it ends or this process is told to; returns its exit code."""
    # In a group of its own the terminal's Ctrl-C comes to us only: JupyterLab would ask back, or, without a terminal,
    # stop at once and leave its files. Told to terminate, it ends cleanly, which must be waited for.
    with subprocess.Popen(command, env=environment, process_group=0) as lab:
        before = {
            number: signal.signal(number, lambda *_: lab.terminate())
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            return lab.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
