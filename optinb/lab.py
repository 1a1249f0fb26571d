"""JupyterLab on the notebooks, with a workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from optinb.demo import AUTHOR, KEYS, rehearsal
from optinb.settings import FILE_NAME, load_settings
from optinb.warehouse import Warehouse
from optinb.workspace import workspace_folder
from optinb.workspace.clock import VARIABLE as NOW
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
    environment = {**os.environ, "OPTINB_WORKSPACE": str(root)}
    if not rehearse:
        return environment
    user = user or AUTHOR
    running = running_sandbox(settings)
    if running is not None:
        return environment | {**KEYS, "OPTINB_USER": user, NOW: running.isoformat()}
    warehouse = Warehouse(root, settings)
    newest = warehouse.open().import_date if warehouse.current is not None else None
    journal = root / "sandbox.jsonl"
    return environment | stack.enter_context(rehearsal(settings, user=user, journal=journal, run_date=newest))


def running_sandbox(settings: Settings) -> datetime | None:
    """The time of the sandbox that answers at the address of every app group; None where none does.

    Somebody else's rehearsal may have started it: two people then share its campaigns and its clock.
    """
    import httpx
    import msgspec

    addresses = {group.api for group in settings.app_groups}
    if len(addresses) != 1 or not all(group.is_loopback for group in settings.app_groups):
        return None
    try:
        answer = httpx.get(f"{addresses.pop().rstrip('/')}/sandbox/clock", timeout=5, trust_env=False)
        return datetime.fromisoformat(msgspec.json.decode(answer.content, type=dict[str, str])["now"])
    except (httpx.HTTPError, msgspec.MsgspecError, KeyError, ValueError):
        return None


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
