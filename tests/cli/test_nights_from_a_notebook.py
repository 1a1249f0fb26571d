"""A night that a person begins in a notebook: its log is a command's, and doesn't stand in the notebook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import start_new_kernel

from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace


def test_a_night_that_a_cell_runs_writes_no_log_into_the_notebook(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(CAMPAIGNS[0]["name"], seen=approver.campaigns.preview(CAMPAIGNS[0]["name"]))
    code = (
        "from datetime import date\nfrom optinb.notebook import run_night\n"
        f"run_night({str(folder)!r}, date.fromisoformat({str(RUN_DATE)!r})).exit_code"
    )
    # with the name of a test in its environment, a kernel takes up less of what is written than a person's does
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    said: list[dict[str, Any]] = []
    try:
        reply = client.execute_interactive(code, allow_stdin=True, output_hook=said.append, timeout=120)
        # what other processes wrote arrives after the cell has ended
        client.execute_interactive("print('the end')", output_hook=said.append, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    assert ws.campaigns.get(CAMPAIGNS[0]["name"]).state == "done"
    assert [message["content"]["text"] for message in said if message["msg_type"] == "stream"] == ["the end\n"]
