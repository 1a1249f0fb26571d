"""An anonymous request gets nothing: over real HTTP, for every route, method and kind of file."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import pytest
from free_ports import free_port
from pages_server import TOKEN, serving
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from optinb.base.share import shared
from optinb.demo import AUTHOR
from optinb.errors import UsageError
from optinb.serve import hub_command, is_loopback, is_on_hub, run_serve
from optinb.serve.app import Pages, configuration
from optinb.serve.gate import CLOSED, path_of_its_own
from optinb.serve.scripts import Scripts

PAGE = "/voila/render/workbench.ipynb"
KERNEL = "0b1e5a3c-1111-2222-3333-444455556666"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FILES = (
    "/",
    "/favicon.ico",
    "/login",
    "/logout",
    "/api/kernels",
    "/api/sessions",
    "/api/contents",
    "/api/status",
    "/files/workbench.ipynb",
    "/metrics",
    "/tree",
    "/lab",
    "/terminals/1",
    "/voila/render/workbench.ipynb",
    "/voila/render/plan.ipynb",
    "/voila/static/voila.js",
    "/voila/templates/lab/static/voila.js",
    "/voila/files/workbench.ipynb",
    "/voila/tree",
    "/no-such-page",
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory, modelled):
    """The pages of the sample workspace; nothing is sent, so that no sandbox is needed."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"OPTINB_SHOP_KEY": "k", "OPTINB_CLUB_KEY": "k"}.items():
            patch.setenv(name, value)
        with serving(modelled, tmp_path_factory.mktemp("pages"), user=AUTHOR) as server:
            yield server


@pytest.fixture
def guest(pages):
    """A browser that has brought the token."""
    with httpx.Client(base_url=pages.url, trust_env=False, timeout=60) as client:
        client.get(f"/no-such-page?token={TOKEN}")
        yield client


@pytest.fixture
def stranger(pages):
    """A browser that hasn't."""
    with httpx.Client(base_url=pages.url, trust_env=False, timeout=60) as client:
        yield client


def routes() -> list[str]:
    """An example of an address for each pattern that the server's router knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_SERVE_TOKEN", TOKEN)
        app = Pages(config=configuration())
        app.connection_dir = ""
        app.initialize([str(shared("notebooks/pages"))])
        app.init_settings()
        patterns = [spec[0] for spec in app.init_handlers() if isinstance(spec, tuple)]
    named = [re.sub(r"\(\?P<kernel_id>[^)]*\)", KERNEL, pattern) for pattern in patterns]
    return [re.sub(r"\(.*\)", "x", pattern) for pattern in named]


def kernel_of(guest) -> str:
    """Opens a page as a browser does; returns the id of its kernel."""
    page = guest.get("/voila/render/workbench.ipynb")
    assert page.status_code == 200
    (kernel,) = re.findall(r'"kernelId": "([\w-]+)"', page.text)
    return kernel


@pytest.mark.parametrize("method", METHODS)
def test_stranger_gets_nothing_from_any_route(stranger, method):
    every = [*routes(), *FILES]
    assert len(every) > 25
    for path in every:
        answer = stranger.request(method, path, headers={"Origin": str(stranger.base_url)})
        assert answer.status_code == 403, f"{method} {path}"
        assert answer.text in ("" if method == "HEAD" else CLOSED, CLOSED), f"{method} {path}"
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("bad", ["", "wrong", TOKEN[:-1], TOKEN + "x"])
def test_wrong_token_opens_nothing(stranger, bad):
    answer = stranger.get("/voila/render/workbench.ipynb", params={"token": bad})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_token_counts_in_the_address_alone_and_only_for_a_page(stranger):
    for headers in ({"Authorization": f"token {TOKEN}"}, {"Cookie": f"token={TOKEN}"}, {"X-Token": TOKEN}):
        assert stranger.get("/voila/render/workbench.ipynb", headers=headers).status_code == 403
    own = {"Origin": str(stranger.base_url)}
    assert stranger.post(f"/voila/api/shutdown/{KERNEL}?token={TOKEN}", headers=own).text == CLOSED


def test_forged_cookie_opens_nothing(pages, guest, stranger):
    name, value = next(iter(guest.cookies.items()))
    for forged in ("admitted", value[:-1], value.replace("2|1:0", "2|1:1"), ""):
        answer = stranger.get("/voila/static/voila.js", headers={"Cookie": f"{name}={forged}"})
        assert answer.status_code == 403, forged


def test_token_becomes_a_cookie_and_leaves_the_address(stranger, pages):
    answer = stranger.get(f"/voila/render/workbench.ipynb?theme=dark&token={TOKEN}")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/voila/render/workbench.ipynb?theme=dark"
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("path", ["//elsewhere.example/", "/\\elsewhere.example/"])
def test_token_leads_to_no_other_host(stranger, path, pages):
    answer = stranger.get(httpx.URL(f"{pages.url}{path}").copy_merge_params({"token": TOKEN}))
    assert urlsplit(answer.headers["location"]).netloc == ""
    assert not answer.headers["location"].startswith(("//", "/\\"))


def test_guest_gets_pages_without_code_and_files_that_pages_need(guest):
    assert guest.get("/").headers["location"] == "/voila/render/workbench.ipynb"
    assert guest.get("/voila/static/voila.js").status_code == 200
    page = guest.get("/voila/render/workbench.ipynb").text
    assert "Push campaigns" in page
    assert "views.page(" not in page


def test_scripts_that_browsers_asked_for_are_announced_by_later_pages_and_servers(guest, tmp_path):
    guest.get("/voila/static/voila.js")
    guest.get("/voila/static/no-such-script.js")
    waited = time.monotonic() + 60
    announced = []
    while "voila/static/voila.js" not in announced and time.monotonic() < waited:
        announced = re.findall(r'<link rel="preload" as="script" href="/([^"]+)">', guest.get(PAGE).text)
    assert announced == ["voila/static/voila.js"]
    first = Scripts(tmp_path / "runtime")
    first.note("/x/", "/x/voila/static/1.voila.js?v=1a", 304)
    for address, status in {
        "/x/voila/static/2.voila.js": 404,
        "/voila/static/3.voila.js": 200,
        "/x/voila/static/4.js?v=<b>": 200,
        "/x/voila/render/workbench.ipynb": 200,
    }.items():
        first.note("/x/", address, status)
    first.keep()
    assert Scripts(tmp_path / "runtime").known == ["voila/static/1.voila.js?v=1a"]
    (kept,) = (tmp_path / "runtime").iterdir()
    kept.write_text('["//evil.example/a.js", "voila/static/5.js"]')
    assert Scripts(tmp_path / "runtime").known == ["voila/static/5.js"]
    kept.write_text("{")
    assert Scripts(tmp_path / "runtime").known == []


@pytest.mark.parametrize(
    "path",
    [
        "/voila/render/..%2F..%2Fnightly_send.ipynb",
        "/voila/render/%2Fetc%2Fpasswd",
        "/voila/files/workbench.ipynb",
        "/voila/tree",
        "/voila/api/contents",
        "/api/kernels",
        "/api/contents/plan.ipynb",
    ],
)
def test_guest_gets_nothing_beyond_the_pages(guest, path):
    answer = guest.get(path)
    assert answer.status_code in (302, 403, 404)
    assert "root:" not in answer.text
    assert "nbformat" not in answer.text


def test_kernel_of_a_page_is_closed_to_strangers_and_open_to_guests(pages, guest, stranger):
    kernel = kernel_of(guest)
    channels = f"{pages.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in guest.cookies.items())}
    assert stranger.get(f"/api/kernels/{kernel}").status_code == 403
    assert stranger.post(f"/voila/api/shutdown/{kernel}").status_code == 403
    for address in (channels, f"{channels}?token={TOKEN}"):
        with pytest.raises(InvalidStatus) as refused, connect(address, proxy=None):
            pass
        assert refused.value.response.status_code in (302, 403)
    elsewhere = Origin("http://elsewhere.example")
    with pytest.raises(InvalidStatus), connect(channels, proxy=None, additional_headers=cookie, origin=elsewhere):
        pass
    assert guest.get(f"/api/kernels/{kernel}").status_code == 200
    with connect(channels, proxy=None, additional_headers=cookie, origin=Origin(pages.url)) as open_:
        assert open_.protocol.state.name == "OPEN"


def test_kernels_do_not_know_the_token(monkeypatch, tmp_path):
    monkeypatch.setenv("OPTINB_SERVE_TOKEN", TOKEN)
    app = Pages(config=configuration())
    app.initialize([str(tmp_path)])
    app.init_settings()
    seen = subprocess.run([sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, check=True)
    assert TOKEN.encode() not in seen.stdout


def test_somebodys_own_settings_of_voila_open_nothing(monkeypatch, tmp_path):
    (tmp_path / "voila.json").write_text('{"VoilaConfiguration": {"strip_sources": false}}')
    monkeypatch.chdir(tmp_path)
    app = Pages(config=configuration())
    app.initialize([str(tmp_path)])
    assert app.voila_configuration.strip_sources


def test_short_token_is_refused(folder, monkeypatch):
    monkeypatch.setenv("OPTINB_SERVE_TOKEN", "1234")
    with pytest.raises(UsageError, match="has 4 characters; give it 16 or more"):
        run_serve(folder, say=print)


def test_server_listens_on_loopback_until_told_otherwise(monkeypatch, folder):
    commands, said = [], []
    monkeypatch.setattr(
        "optinb.serve.pages.run", lambda command, environment, _: commands.append((command, environment)) or 0
    )
    run_serve(folder, say=said.append)
    run_serve(folder, host="0.0.0.0", say=said.append)
    (first, environment), (second, _) = commands
    assert "--Voila.ip=127.0.0.1" in first
    assert "--Voila.ip=0.0.0.0" in second
    token = environment["OPTINB_SERVE_TOKEN"]
    assert len(token) >= 32
    assert said[0] == f"The pages, for you alone: http://127.0.0.1:8866{path_of_its_own(token)}?token={token}"
    assert "nothing is encrypted" in said[1]
    assert commands[1][1]["OPTINB_SERVE_TOKEN"] != token


def test_token_that_was_given_is_not_told_again(monkeypatch, folder):
    monkeypatch.setattr("optinb.serve.pages.run", lambda *_: 0)
    monkeypatch.setenv("OPTINB_SERVE_TOKEN", TOKEN)
    said = []
    run_serve(folder, say=said.append)
    assert TOKEN not in "".join(said)


def test_on_a_hub_the_server_is_the_persons_own_there(monkeypatch, folder):
    hub = {"JUPYTERHUB_API_TOKEN": "secret", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    hub["JUPYTERHUB_ROOT_DIR"] = str(folder / "notebooks")
    assert is_on_hub(hub)
    assert not is_on_hub({"JUPYTERHUB_API_TOKEN": "secret"})
    for name, value in hub.items():
        monkeypatch.setenv(name, value)
    commands = []
    monkeypatch.setattr("optinb.serve.pages.run", lambda command, *given: commands.append((command, *given)) or 0)
    monkeypatch.setattr("optinb.serve.pages.find_spec", lambda name: object())
    run_serve(folder, say=print)
    ((command, environment, started_in),) = commands
    assert command[1:3] == ["-m", "jupyterhub.singleuser"]
    assert f"--ServerApp.root_dir={shared('notebooks/pages')}" in command
    assert started_in == shared("notebooks/pages")
    assert "JUPYTERHUB_ROOT_DIR" not in environment


def test_hub_without_its_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("optinb.serve.pages.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="install jupyterhub"):
        hub_command(tmp_path, theme="light")


def test_taken_port_is_named(folder):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run(
            [sys.executable, "-m", "optinb", "serve", "--workspace", str(folder), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode != 0
    assert f"port {port} of 127.0.0.1 can't be used" in done.stderr


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_is_told_from_other_addresses(host, told):
    assert is_loopback(host) is told
