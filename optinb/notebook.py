"""Runs the nightly notebook with papermill, as a scheduler would."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from optinb import errors
from optinb.base import logs
from optinb.base.progress import progress
from optinb.base.share import shared
from optinb.errors import Exit, NightError, OptinbError
from optinb.measure import NightSummary
from optinb.night.steps import night_folder
from optinb.night.tonight import WAIT_S
from optinb.nightly import parse_date
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from optinb.base.progress import Advance

NOTEBOOK = "nightly_send.ipynb"
ENGINE = "optinb"


def run_night(workspace: str | Path | None, run_date: date | None = None, *, dry_run: bool = False) -> NightSummary:
    """Executes the nightly notebook on a workspace and returns what it reported.

    The executed notebook is kept in `runs/DATE/`, also when it fails. Progress goes to standard error. A night that
    needs a person returns its summary with an exit code; raises OptinbError when it ended without a summary.
    """
    with open_workspace(workspace) as ws:
        logs.to_file(ws.root)
        run_date = parse_date(run_date.isoformat() if run_date else "", today=ws.today(), dry_run=dry_run)
        output = night_folder(ws.root, run_date, dry_run=dry_run) / NOTEBOOK
        parameters = {
            "run_date": run_date.isoformat(),
            "workspace": str(ws.root),
            "dry_run": dry_run,
            "PAPERMILL_OUTPUT_PATH": str(output),
        }
        lease = ws.store.lease(
            f"notebook {run_date}",
            holder=f"{ws.user}@{socket.gethostname()}:{os.getpid()}",
            clock=ws.store.clock,
            wait_s=WAIT_S,
            what=f"the notebook of the night of {run_date}",
        )
        with lease:
            before = {run.attempt for run in ws.store.runs.list(run_date=run_date)}
            output.parent.mkdir(parents=True, exist_ok=True)
            failure = _execute(shared(f"notebooks/{NOTEBOOK}"), output, parameters)
            runs = [run for run in ws.store.runs.list(run_date=run_date) if run.attempt not in before and run.summary]
    for run in runs:
        summary = msgspec.convert(run.summary, NightSummary)
        if summary.notebook == str(output):
            return summary
    raise failure or OptinbError(f"the night of {run_date} ended without a summary; see {output}")


@contextlib.contextmanager
def _shown_here() -> Iterator[None]:
    """Kernels that start meanwhile show bars and log lines on this process's standard error.

    Not where that is a notebook's: the lines are a command's, and would stand there as an error does.
    """
    if logs.kernel() is not None:
        yield
        return
    os.environ[logs.KERNEL_OF_A_COMMAND] = logs.form_shown() or "1"
    try:
        yield
    finally:
        del os.environ[logs.KERNEL_OF_A_COMMAND]


class _Cells:
    """What papermill takes for its bar: counts the cells that ended in order."""

    n = 0

    def __init__(self, notebook: Any, on_progress: Advance) -> None:
        self._notebook, self._tell = notebook, on_progress

    def update(self, cells: int) -> None:
        if not self._notebook.metadata.papermill["exception"]:
            self._tell(cells)

    def set_description(self, _what: str) -> None:
        """Papermill names a cell that says so; ours don't."""

    def refresh(self) -> None:
        """It is told at each cell."""

    def close(self) -> None:
        """Whoever opened the bar closes it."""


def _execute(notebook: Path, output: Path, parameters: dict[str, object]) -> OptinbError | None:
    """Executes a notebook; a cell that failed is returned as an error with its last words."""
    # without this, the debugger that comes with kernels warns about frozen modules at every start
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError

    class Watched(NBClientEngine):
        """Papermill's own way, but for its bar, which is whole for a notebook that failed, too."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, *arguments: Any, **options: Any) -> Any:
            with progress("notebook", total=len(nb_man.nb.cells), unit="cell") as on_progress:
                nb_man.pbar = _Cells(nb_man.nb, on_progress)
                return super().execute_managed_notebook(nb_man, *arguments, **options)

    papermill_engines.register(ENGINE, Watched)

    # it would warn of the output path, which is a parameter of papermill's own
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        # a kernel logs its own orderly end as an error, "KeyboardInterrupt caught"; what a cell raises doesn't go there
        with contextlib.redirect_stdout(sys.stderr), _shown_here():
            papermill.execute_notebook(
                str(notebook),
                str(output),
                parameters=parameters,
                kernel_name="python3",
                # a kernel looks for modules where it starts, which may be a folder that others share
                cwd=str(notebook.parent),
                progress_bar=False,
                engine_name=ENGINE,
                log_output=False,
                extra_arguments=["--IPKernelApp.log_level=CRITICAL", "--IPKernelApp.capture_fd_output=False"],
            )
    except PapermillExecutionError as error:
        kind = getattr(errors, error.ename, OptinbError)
        exit_code = kind.exit_code if isinstance(kind, type) and issubclass(kind, OptinbError) else Exit.FAILED
        return NightError(f"{error.ename}: {error.evalue} (cell {error.exec_count} of {output})", exit_code)
    except DeadKernelError:
        return NightError(
            f"the kernel that ran the notebook was killed, perhaps for want of memory; {output} shows how far it came. "
            "Run the same night again: it goes on where this one stopped, and sends nothing twice",
            Exit.FAILED,
        )
    return None
