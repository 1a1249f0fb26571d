"""What the nightly notebook calls: opens a night from the notebook's parameters, whose steps it then runs."""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from optinb.base import logs
from optinb.errors import UsageError
from optinb.night.steps import Blocked, Night
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Blocked", "Night", "begin", "parse_date"]

_open: Night | None = None  # the night of this process that `begin` opened last
_PAPERMILL = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")


def begin(run_date: str, workspace: str, dry_run: bool = False, *, injected: Mapping[str, Any] | None = None) -> Night:
    """Opens a night from the parameters of the notebook.

    Schedulers inject parameters in ways that change their type (`2026-11-23` without quotes is an arithmetic), so each
    is checked. `injected` is the notebook's namespace, in which a parameter that isn't known is refused.

    Raises UsageError naming the parameter, its value and what to write.
    """
    namespace = injected or {}
    known = {"run_date", "workspace", "dry_run", *_PAPERMILL}
    for name, value in namespace.items():
        if name not in known and not name.startswith("_") and isinstance(value, str | int | float | list | dict | None):
            if name in ("In", "Out"):
                continue
            raise UsageError(f"parameter {name!r} isn't known; there are 'run_date', 'workspace' and 'dry_run'")
    if not isinstance(workspace, str) or not workspace.strip():
        raise UsageError(f'parameter workspace is {workspace!r}; give the folder as a text, such as "data"')
    if not isinstance(dry_run, bool):
        raise UsageError(f"parameter dry_run is {dry_run!r}; give True or False")
    ws = open_workspace(workspace)
    day = parse_date(run_date, today=ws.today(), dry_run=dry_run)
    # a notebook that no command runs shows what a person must see beside its cells
    logs.to_stderr(os.environ.get(logs.KERNEL_OF_A_COMMAND, "text"))
    logs.to_file(ws.root)
    global _open
    if _open is not None:
        _open.close()  # a cell that is run again must not wait for its own kernel
    _open = Night(ws, day, dry_run=dry_run, notebook=namespace.get("PAPERMILL_OUTPUT_PATH"))
    return _open


def parse_date(value: object, *, today: date, dry_run: bool = False) -> date:
    """The date of a night from a parameter; an empty text means today. Only a dry run may look a day ahead.

    Raises UsageError.
    """
    if value == "":
        return today
    if not isinstance(value, str):
        raise UsageError(f'parameter run_date is {value!r}; give the date in quotes, such as "2026-11-23"')
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise UsageError(f'run_date {value!r} is no date; write it as "2026-11-23"') from error
    if day > today + timedelta(days=1 if dry_run else 0):
        raise UsageError(f"run_date {day} lies ahead; today is {today}: run that night when its day has begun")
    return day
