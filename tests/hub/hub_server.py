"""A real JupyterHub behind the real configurable-http-proxy, for tests, with people, a scheduler and their tokens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest
from free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PEOPLE = ("anna", "bert")
ADMIN, SCHEDULER = "admin-token-of-tests", "scheduler-token-of-tests"
CONFIG = """
c.JupyterHub.bind_url = "{url}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {people!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {home!r}
c.Spawner.cmd = {server!r}
c.Spawner.env_keep = ["PATH", "PYTHONPATH", "LANG"]
c.JupyterHub.services = [
    {{"name": "admin", "api_token": {admin!r}}},
    {{"name": "nightly", "api_token": {scheduler!r}}},
]
c.JupyterHub.load_roles = [
    {{"name": "tests", "scopes": ["admin:users", "tokens", "admin:servers"], "services": ["admin"]}}
]
"""


class Hub:
    """A running hub: `api` is the address that people write into optinb.toml, `tokens` those of the people."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
        self.process, self.url, self.api, self.folder = process, url, f"{url}/hub/api", folder
        self.tokens: dict[str, str] = {}

    def call(self, method: str, path: str) -> httpx.Response:
        """One call of the hub's API by its administrator."""
        headers = {"Authorization": f"token {ADMIN}"}
        answer = httpx.request(method, f"{self.api}{path}", headers=headers, timeout=30, trust_env=False)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer


def _missing(what: str) -> NoReturn:
    pytest.fail(what) if os.environ.get("CI") == "true" else pytest.skip(what)


def proxy_command(folder: Path) -> str:
    """The proxy's command: the one that is there, or else one that npm installs into a folder."""
    if found := shutil.which("configurable-http-proxy"):
        return found
    if shutil.which("npm") is None:
        _missing("configurable-http-proxy and npm aren't installed: apt-get install npm")
    (folder / "package.json").write_text("{}", encoding="utf-8")
    # 5 needs Node 20, and Debian's stable release may have an older one
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "configurable-http-proxy@^4.6.3"]
    subprocess.run(command, cwd=folder, check=True, timeout=240)
    return str(folder / "node_modules" / ".bin" / "configurable-http-proxy")


@contextmanager
def running_hub(folder: Path, *, proxy: str) -> Iterator[Hub]:
    """Runs a hub in a folder until the end of the block, with anna and bert, each with a token of their own."""
    own = [sys.executable, "-m", "jupyterhub"] if find_spec("jupyterhub") else [shutil.which("jupyterhub") or ""]
    if not own[0]:
        _missing("jupyterhub isn't installed: pip install '.[test]'")
    url = f"http://127.0.0.1:{free_port()}"
    (folder / "jupyterhub_config.py").write_text(
        CONFIG.format(
            url=url,
            hub_port=free_port(),
            proxy_port=free_port(),
            proxy=proxy,
            people=set(PEOPLE),
            home=str(folder / "home" / "{username}"),
            server=[sys.executable, str(Path(__file__).with_name("spawned_server.py"))],
            admin=ADMIN,
            scheduler=SCHEDULER,
        ),
        encoding="utf-8",
    )
    # what starts the hub may be a hub's server itself
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTERHUB_")}
    log = folder / "hub.log"
    with log.open("wb") as out:
        process = subprocess.Popen(own, cwd=folder, env=environment, stdout=out, stderr=out)
    hub = Hub(process, url, folder)
    try:
        _wait_for(hub, log)
        for name in PEOPLE:
            hub.tokens[name] = hub.call("POST", f"/users/{name}/tokens").json()["token"]
        yield hub
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()
        # a killed hub leaves its proxy behind, and the file that one which ends removes
        with suppress(OSError, ValueError):
            os.kill(int((folder / "jupyterhub-proxy.pid").read_text(encoding="utf-8")), signal.SIGTERM)


def _wait_for(hub: Hub, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and hub.process.poll() is None:
        with suppress(httpx.HTTPError):
            # the proxy answers before the hub has told it where the hub is
            if httpx.get(hub.api, timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"the hub didn't start:\n{log.read_text(encoding='utf-8', errors='replace')}")
