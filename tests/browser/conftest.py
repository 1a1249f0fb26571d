"""JupyterLab and Chromium for tests that drive the notebooks as people do."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route

SCREENSHOTS = os.environ.get("OPTINB_SCREENSHOTS")  # read before the environment of tests is cleaned
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# A notebook can be run when its commands are there, and it is loaded, has its session and the kernel has answered.
LOADED = """() => {
  const app = window.jupyterapp;
  return app?.commands.hasCommand("notebook:run-all-cells") && Boolean(app.shell.currentWidget?.context);
}"""
RUN = """async () => {
  const { commands, shell } = window.jupyterapp;
  const { ready, sessionContext } = shell.currentWidget.context;
  await ready;
  await sessionContext.ready;
  await sessionContext.session.kernel.info;
  await commands.execute("notebook:run-all-cells");
}"""


class Site:
    """Something that people open in browsers of their own; `requests` are those that wanted to leave this machine."""

    def __init__(self, browser: Browser, screenshots: Path) -> None:
        self.requests: list[str] = []
        self._browser, self._screenshots = browser, screenshots

    def visit(self, address: str, *, width: int = 1440, height: int = 1500) -> Page:
        """Opens an address in a browser of its own, as another person would."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        context.set_default_timeout(60_000)
        context.route("**/*", self._stay_here)
        page = context.new_page()
        page.goto(address)
        return page

    def picture(self, page: Page | Locator, name: str) -> Path:
        """Keeps what the page, or a part of it, shows as an image."""
        path = self._screenshots / f"{name}.png"
        page.screenshot(path=path)
        return path

    def whole_picture(self, page: Page, name: str) -> Path:
        """Keeps a page as an image, also what is below the window's end."""
        path = self._screenshots / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    def _stay_here(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.requests.append(route.request.url)
            route.abort()
        else:
            route.continue_()


class Lab(Site):
    """A running JupyterLab: `url` and `token`."""

    def __init__(self, url: str, token: str, browser: Browser, screenshots: Path) -> None:
        super().__init__(browser, screenshots)
        self.url, self.token = url, token

    def open(self, notebook: str, *, width: int = 1440, height: int = 1500) -> Page:
        """Opens a notebook in a browser of its own, as another person would, and runs all its cells."""
        address = f"{self.url}/doc/workspaces/{Path(notebook).stem}/tree/{notebook}?token={self.token}"
        page = self.visit(address, width=width, height=height)
        page.wait_for_function(LOADED)
        page.evaluate(RUN)
        return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system. Not for the session: while it's open, an event loop runs in the tests' thread."""
    found = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    if found is None:
        missing = f"no Chromium is installed (looked for {', '.join(CHROMIUM)}); on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # of a kernel on a busy machine
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where images are kept: OPTINB_SCREENSHOTS, or the test's own folder."""
    folder = Path(SCREENSHOTS or tmp_path / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def site(browser: Browser, screenshots: Path) -> Site:
    """A site that is served by other means, such as `optinb serve`."""
    return Site(browser, screenshots)


@pytest.fixture
def start_lab(browser: Browser, screenshots: Path, tmp_path: Path) -> Iterator:
    """Starts JupyterLab on a folder of notebooks; stopped at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(notebooks: Path) -> Lab:
        settings = tmp_path / "lab-settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        # the popup that offers news covers the page and asks the network
        news = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(news))
        token, port = secrets.token_hex(16), free_port()
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": notebooks,
            "ServerApp.allow_root": True,
            "IdentityProvider.token": token,
        }
        process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "jupyter", "lab", "--no-browser", "--expose-app-in-browser"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            env={
                **os.environ,
                "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "lab-settings"),
                "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "lab-workspaces"),
                "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter-config"),
                "JUPYTER_RUNTIME_DIR": str(tmp_path / "jupyter-runtime"),
                "IPYTHONDIR": str(tmp_path / "ipython"),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if re.search(rf"http://127\.0\.0\.1:{port}/lab", line):
                break
        else:
            pytest.fail(f"JupyterLab ended with exit code {process.wait()}:\n{''.join(said)}")
        Thread(target=process.stderr.read, daemon=True).start()
        return Lab(f"http://127.0.0.1:{port}", token, browser, screenshots)

    yield start
    for process in processes:
        process.terminate()
        try:
            process.wait(60)  # kernels may be at work on a busy machine
        except subprocess.TimeoutExpired:  # no test here is about how JupyterLab ends
            process.kill()
            process.wait()
