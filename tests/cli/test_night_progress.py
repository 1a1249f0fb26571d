"""What somebody sees of a night's sends while it runs.

A bar in a terminal or a notebook, and a line of the log a window.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from optinb import open_workspace
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
WINDOWS_OF_TWO = ("# window_batches = 40 ", "window_batches = 2 ")


@pytest.fixture
def planned(ws: Workspace, folder: Path, sandbox: Sandbox) -> Path:
    """A workspace with an approved campaign of three batches, whose requests take long enough to be watched."""
    ws.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(NAME, seen=approver.campaigns.preview(NAME))
    settings = folder / "optinb.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace(*WINDOWS_OF_TWO), encoding="utf-8")
    sandbox.set_faults([Fault("delay", endpoint="/campaigns/trigger/schedule/create", delay_s=0.6)])
    return folder


def nightly(folder: Path, *arguments: str) -> list[str]:
    date = RUN_DATE.isoformat()
    return [sys.executable, "-m", "optinb", "nightly", "--date", date, "--workspace", str(folder), *arguments]


def test_each_window_is_one_json_line_where_nobody_reads_along(planned: Path) -> None:
    done = subprocess.run(nightly(planned, "--json"), capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    (campaign,) = json.loads(done.stdout)["campaigns"]
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    windows = [line for line in lines if line["event"] == "window"]
    assert [line["accepted"] for line in windows] == [2, 1]
    for line in windows:
        assert (line["campaign"], line["night"], line["level"]) == (NAME, "2026-11-23", "info")
        assert line["seconds"] > 0 and line["recipients_a_second"] > 0
    assert campaign["batches"] == 3
    notebook = nbformat.read(planned / "runs" / "2026-11-23" / "nightly_send.ipynb", as_version=4)
    printed = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "stream"]
    assert printed == []


def test_a_night_in_a_terminal_shows_rate_and_time_left_of_each_send(planned: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    with subprocess.Popen(nightly(planned), stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ) as process:
        os.close(theirs)
        seen = b""
        while part := _read(ours):
            seen += part
    os.close(ours)
    text = seen.decode()
    assert process.returncode == 0, text
    # done/total [elapsed<left, rate]
    assert re.search(rf"{NAME}: .*\d+/\d+ \[00:0\d<00:0\d, .*recipients/s\]", text), text
    assert '{"' not in text and "[info" not in text
    green = r"\x1b\[38;2;\S+m|\x1b\[32m"
    for bar in (NAME, "models of 2026-11-23", "notebook"):
        last = [part for part in re.split(r"[\r\n]+", text) if bar in part][-1]
        assert "100%" in last and re.search(green, last), last
    kept = (planned / "logs" / "optinb.log").read_text().splitlines()
    assert [json.loads(line)["accepted"] for line in kept if '"window"' in line] == [2, 1]


def test_a_night_in_a_notebook_shows_rate_and_time_left_of_each_send(planned: Path) -> None:
    manager, client = start_new_kernel(kernel_name="python3")
    said: list[dict[str, Any]] = []
    code = f"""
from optinb import nightly
night = nightly.begin("{RUN_DATE}", {str(planned)!r})
night.import_delivery(), night.model(), night.templates(), night.audiences(), night.sends()
night.close()
"""
    try:
        reply = client.execute_interactive(code, allow_stdin=True, output_hook=said.append, timeout=120)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply
    # a bar is a widget: its parts are told as they are made and changed
    parts = [m["content"].get("data", {}) for m in said if m["msg_type"].startswith("comm_")]
    texts = [str(part.get("state", {}).get("value", "")) for part in parts]
    assert any(NAME in text for text in texts)
    assert any(re.search(r"\[00:0\d&lt;00:0\d,\s.*recipients/s\]", text) for text in texts)


def test_a_night_whose_kernel_is_killed_ends_with_a_sentence_and_the_next_one_goes_on(
    planned: Path, sandbox: Sandbox
) -> None:
    with subprocess.Popen(nightly(planned), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not sandbox.world.dispatches:
            assert process.poll() is None
            time.sleep(0.05)
        for kernel in Path(f"/proc/{process.pid}/task").glob("*/children"):
            for child in kernel.read_text().split():
                os.kill(int(child), signal.SIGKILL)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    last = told.strip().splitlines()[-1]
    assert "was killed, perhaps for want of memory" in last and "Run the same night again" in last
    assert "Traceback" not in told
    again = subprocess.run(nightly(planned, "--json"), capture_output=True, text=True, env=os.environ)
    (campaign,) = json.loads(again.stdout)["campaigns"]
    assert (campaign["pending"], campaign["accepted"] + campaign["unknown"]) == (0, campaign["recipients"])
    users = [user for dispatch in sandbox.world.dispatches for user in dispatch.ids]
    assert len(users) == len(set(users)) >= campaign["accepted"]


def _read(descriptor: int) -> bytes:
    """What a terminal shows next; nothing at its end, which Linux tells by an error."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""
