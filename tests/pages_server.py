"""`optinb serve` for tests, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import pytest
from free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-token-for-tests-alone"


def open_tab(page):
    """What is in the tab that is open: those that were made meanwhile have controls of the same names."""
    return page.locator(".ob-workbench > .widget-tab > .widget-tab-contents > :not(.lm-mod-hidden)")


class PagesServer(NamedTuple):
    """Where the pages are, the address that lets a browser in, and all that the server has printed."""

    url: str
    token: str
    said: list[str]

    def address(self, page: str = "", **query: str) -> str:
        """The address of a page, with the token."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"{self.url}{f'/voila/render/{page}.ipynb' if page else '/'}?token={self.token}{more}"


@contextmanager
def serving(
    folder: Path,
    tmp_path: Path,
    *,
    user: str,
    options: tuple[str, ...] = ("--base-url", "/"),
    started_in: Path | None = None,
) -> Iterator[PagesServer]:
    """Serves the pages of a workspace for somebody, who starts it in a folder, until the end of the block."""
    port = free_port()
    process = subprocess.Popen(
        # as the installed command does, this looks for no modules in the folder where it is started
        [sys.executable, "-P", "-m", "optinb", "serve", "--workspace", str(folder), "--port", str(port), *options],
        env={
            **os.environ,
            "OPTINB_USER": user,
            "OPTINB_SERVE_TOKEN": TOKEN,
            "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter-config"),
            "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter-runtime"),
            "IPYTHONDIR": str(tmp_path / "ipython"),
        },
        cwd=started_in,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if re.match(r"Ready at ", line):
                break
        else:
            pytest.fail(f"optinb serve ended with exit code {process.wait()}:\n{''.join(said)}")
        Thread(target=lambda lines: said.extend(lines), args=(process.stdout,), daemon=True).start()
        yield PagesServer(f"http://127.0.0.1:{port}", TOKEN, said)
    finally:
        process.terminate()
        process.wait(30)
