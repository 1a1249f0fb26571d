"""A real JupyterHub says who approves: nobody is a second person because their environment says so."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from hub_server import SCHEDULER, Hub, proxy_command, running_hub

import optinb
from optinb.base.settings import parse_settings
from optinb.campaigns import campaign_from
from optinb.demo import CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

pytestmark = [pytest.mark.hub, pytest.mark.timeout(600)]
NAME = campaign_from(CAMPAIGNS[0]).name
SUBMIT = "from optinb.demo import CAMPAIGNS; ws.campaigns.submit(CAMPAIGNS[0])"
APPROVE = f"print(ws.campaigns.approve({NAME!r}, seen=ws.campaigns.preview({NAME!r})).approval.approver)"
ACT = """
import sys, optinb
from optinb.errors import OptinbError
try:
    with optinb.open_workspace(sys.argv[1]) as ws:
        exec(sys.argv[2])
except OptinbError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return proxy_command(tmp_path_factory.mktemp("proxy"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, proxy: str) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub"), proxy=proxy) as running:
        yield running


def told_by(settings: Path, *lines: str) -> None:
    """Lets `lines` under [workspace] say who works, and anna, bert and this machine's login approve."""
    login = pwd.getpwuid(os.getuid()).pw_name
    text = re.sub(r"(?m)^approvers = .*$", f'approvers = ["anna", "bert", "{login}"]', settings.read_text("utf-8"))
    text = text.replace('identity = "asserted"', "\n".join(['identity = "login"', *lines]))
    settings.write_text(text, encoding="utf-8")
    parse_settings(text)


@pytest.fixture
def root(ws: Workspace, hub: Hub) -> Path:
    """A workspace whose people are those of the hub."""
    told_by(ws.root / "optinb.toml", f'hub = "{hub.api}"')
    return ws.root


def act(root: Path, what: str, *, token: str | None, claimed: str = "") -> tuple[str, str]:
    """What a process of somebody's prints and complains about; the environment says that `claimed` is working."""
    environment = {**os.environ, "JUPYTERHUB_USER": claimed, "OPTINB_USER": claimed, "USER": claimed}
    environment.pop("JUPYTERHUB_API_TOKEN", None)
    if token is not None:
        environment["JUPYTERHUB_API_TOKEN"] = token
    command = [sys.executable, "-c", ACT, str(root), what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert token is None or len(token) < 5 or token not in done.stdout + done.stderr
    assert (done.returncode == 0) == (not done.stderr.strip()), done.stderr
    return done.stdout.strip(), done.stderr.strip()


def test_an_author_is_no_second_person_by_a_variable_and_the_second_person_is(
    root: Path, hub: Hub, sandbox: Sandbox
) -> None:
    assert act(root, SUBMIT, token=hub.tokens["anna"], claimed="bert") == ("", "")
    for token, complaint in (
        (hub.tokens["anna"], "ApprovalError: 'anna' submitted"),
        ("x", f"SettingsError: the hub {hub.api} refuses the token in JUPYTERHUB_API_TOKEN (403)"),
        (None, f"SettingsError: the hub {hub.api} says who is working, by a token"),
        (SCHEDULER, "ApprovalError: 'service/nightly' may not approve campaigns"),
    ):
        said, refused = act(root, APPROVE, token=token, claimed="bert")
        assert said == ""
        assert complaint in refused
    with optinb.open_workspace(root) as ws:
        assert ws.campaigns.get(NAME).author == "anna"
        assert ws.campaigns.get(NAME).state == "submitted"
    assert act(root, APPROVE, token=hub.tokens["bert"], claimed="anna") == ("bert", "")
    night = [sys.executable, "-m", "optinb", "nightly", "--workspace", str(root)]
    environment = {**os.environ, "JUPYTERHUB_API_TOKEN": SCHEDULER}
    done = subprocess.run(night, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sandbox.world.dispatches
    with optinb.open_workspace(root) as ws:
        who = {entry.action: entry.who for entry in ws.store.audit.list(subject=NAME, limit=None)}
    assert {who["campaign submit"], who["campaign approve"]} == {"anna", "bert"}


def test_where_no_hub_is_named_a_token_and_a_name_prove_nothing(ws: Workspace, hub: Hub) -> None:
    told_by(ws.root / "optinb.toml")
    login = pwd.getpwuid(os.getuid()).pw_name
    assert act(ws.root, SUBMIT, token=hub.tokens["anna"], claimed="anna") == ("", "")
    for token in ("x", hub.tokens["bert"]):
        said, refused = act(ws.root, APPROVE, token=token, claimed="bert")
        assert said == ""
        assert f"ApprovalError: {login!r} submitted" in refused


def test_a_server_that_the_hub_starts_works_as_its_owner_whatever_its_environment_says(root: Path, hub: Hub) -> None:
    home = hub.folder / "home" / "anna"
    home.mkdir(parents=True)
    (home / "ws").symlink_to(root)
    hub.call("POST", "/users/anna/server")
    until = time.monotonic() + 60
    while not hub.call("GET", "/users/anna").json()["server"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    told = httpx.get(f"{hub.url}/user/anna/who", timeout=60, trust_env=False)
    assert told.json() == {"anna": "anna", "bert": "anna"}


def test_a_hub_that_died_behind_its_proxy_stops_approvals_and_a_token_taken_back_is_refused(
    ws: Workspace, tmp_path: Path, proxy: str
) -> None:
    (tmp_path / "hub").mkdir()
    with running_hub(tmp_path / "hub", proxy=proxy) as own:
        told_by(ws.root / "optinb.toml", f'hub = "{own.api}"')
        token = own.call("POST", "/users/bert/tokens").json()
        assert act(ws.root, "print(ws.user)", token=token["token"]) == ("bert", "")
        own.call("DELETE", f"/users/bert/tokens/{token['id']}")
        assert "refuses the token" in act(ws.root, "print(ws.user)", token=token["token"])[1]
        own.process.kill()
        own.process.wait()
        said, refused = act(ws.root, SUBMIT, token=own.tokens["anna"])
        assert said == ""
        assert re.search(r"SettingsError: the hub \S+ (answered 5|didn't answer)", refused)
    assert "can't be reached" in act(ws.root, SUBMIT, token=own.tokens["anna"])[1]
    assert ws.campaigns.list() == ()
