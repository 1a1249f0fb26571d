"""Runs the nightly notebook with papermill, as a scheduler would."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from optinb.errors import OptinbError
from optinb.measure import NightSummary
from optinb.share import shared
from optinb.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

NOTEBOOK = "nightly_send.ipynb"


def run_night(workspace: str | Path | None, run_date: date | None = None, *, dry_run: bool = False) -> NightSummary:
    """Executes the nightly notebook on a workspace and returns what it reported.

    The executed notebook is kept in `runs/DATE/`, also when it fails. Progress goes to standard error. A night that
    needs a person returns its summary with an exit code; raises OptinbError when it ended without a summary.
    """
    with open_workspace(workspace) as ws:
        run_date = run_date or ws.today()
        root, before = ws.root, _newest_attempt(ws, run_date)
    folder = root / "runs" / run_date.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / NOTEBOOK
    parameters = {
        "run_date": run_date.isoformat(),
        "workspace": str(root),
        "dry_run": dry_run,
        "PAPERMILL_OUTPUT_PATH": str(output),
    }
    failure = _execute(shared(f"notebooks/{NOTEBOOK}"), output, parameters)
    with open_workspace(root) as ws:
        run = ws.store.runs.get(run_date)
    if run and run.attempt > before and run.summary is not None:
        return msgspec.convert(run.summary, NightSummary)
    raise failure or OptinbError(f"the night of {run_date} ended without a summary; see {output}")


def _newest_attempt(ws: Workspace, run_date: date) -> int:
    run = ws.store.runs.get(run_date)
    return run.attempt if run else 0


def _execute(notebook: Path, output: Path, parameters: dict[str, object]) -> OptinbError | None:
    """Executes a notebook; a cell that failed is returned as an error with its last words."""
    # without this, the debugger that comes with kernels warns about frozen modules at every start
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import papermill
    from papermill.exceptions import PapermillExecutionError

    # it would warn of the output path, which is a parameter of papermill's own
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            papermill.execute_notebook(
                str(notebook),
                str(output),
                parameters=parameters,
                kernel_name="python3",
                progress_bar=sys.stderr.isatty(),
                log_output=False,
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
    except PapermillExecutionError as error:
        return OptinbError(f"{error.ename}: {error.evalue} (cell {error.exec_count} of {output})")
    return None
