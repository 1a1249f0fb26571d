"""Several visitors of the pages: each has a kernel of their own, which knows nothing of anybody else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest
from pages_server import TOKEN, serving
from websockets.sync.client import connect
from websockets.typing import Origin

from optinb.demo import AUTHOR
from optinb.serve import headstart
from optinb.serve.app import BEFORE
from optinb.serve.pages import READY

SECRETS = ("first-visitor-campaign", "second-visitor-campaign")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, modelled):
    with serving(modelled, tmp_path_factory.mktemp("pages"), user=AUTHOR) as server:
        yield server


@pytest.fixture
def guest(pages):
    with httpx.Client(base_url=pages.url, trust_env=False, timeout=120) as client:
        client.get(f"/no-such-page?token={TOKEN}")
        yield client


def of(process, what: str):
    """What a process says of itself; nothing once it has ended."""
    with suppress(psutil.Error):
        return getattr(process, what)()
    return None


def kernels_of(pages) -> dict[int, dict[str, str]]:
    """The processes that a server has begun, with what they were begun with and what they know now."""
    port = f"--Voila.port={urlsplit(pages.url).port}"
    (server,) = [
        one
        for one in psutil.Process().children(recursive=True)
        if {"optinb.serve", port} <= set(of(one, "cmdline") or ())
    ]
    return {one.pid: known for one in server.children(recursive=True) if (known := of(one, "environ"))}


def controls_of(pages, guest, kernel: str) -> list[dict[str, object]]:
    """What a browser that comes is told of all controls, in one answer."""
    cookie = "; ".join(f"{name}={value}" for name, value in guest.cookies.items())
    address = f"{pages.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
    opened = {"target_name": "jupyter.widget.control", "data": {}}
    asked = {"data": {"method": "request_states"}}
    with connect(
        address, proxy=None, max_size=None, origin=Origin(pages.url), additional_headers={"Cookie": cookie}
    ) as channel:
        for kind, content in (("comm_open", opened), ("comm_msg", asked)):
            head = {"msg_id": kind, "msg_type": kind, "session": "s", "username": "", "version": "5.3"}
            rest = {"parent_header": {}, "metadata": {"version": "1.0.0"}, "buffers": []}
            body = {"channel": "shell", "header": head, "content": {"comm_id": "control", **content}, **rest}
            channel.send(json.dumps(body))
        while True:
            answer = json.loads(channel.recv(timeout=60))
            if answer["content"].get("data", {}).get("method") == "update_states":
                return [state["state"] for state in answer["content"]["data"]["states"].values()]


def test_no_two_visitors_share_a_kernel_and_none_is_told_what_another_opens(pages, guest):
    kernels = []
    for secret in SECRETS:
        answer = guest.get(f"/voila/render/workbench.ipynb?tab=plan&campaign={secret}")
        (kernel,) = re.findall(r'"kernelId": "([\w-]+)"', answer.text)
        kernels.append(kernel)
        others = [one for one in SECRETS if one != secret]
        assert not any(one in answer.text for one in others)
        # of the first kernel, which was a process before it was one, and of later ones
        assert any(one.get("tooltip") == "The page's address" for one in controls_of(pages, guest, kernel))
    assert len(set(kernels)) == len(SECRETS)
    deadline = time.monotonic() + 60
    while len(kernels_of(pages)) < len(SECRETS) + READY and time.monotonic() < deadline:
        time.sleep(0.5)
    known = kernels_of(pages)
    # one for each visitor, and no more than the stated number that waits for others
    assert len(known) == len(SECRETS) + READY
    for environment in known.values():
        text = str(environment)
        assert TOKEN not in text
        assert sum(secret in text for secret in SECRETS) <= 1, "a kernel is told of two visitors"
    waiting = max(known)
    assert not any(secret in str(known[waiting]) for secret in SECRETS), "the next visitor's kernel knows the last one"


@pytest.mark.parametrize(("name", "tab"), BEFORE.items())
def test_addresses_of_before_lead_to_the_tabs_with_all_else_that_they_say(guest, name, tab):
    answer = guest.get(f"/voila/render/{name}.ipynb?theme=dark&campaign=A+%26+B")
    assert answer.status_code == 302
    there = urlsplit(answer.headers["location"])
    assert there.path == "/voila/render/workbench.ipynb"
    assert parse_qs(there.query) == {"tab": [tab], "theme": ["dark"], "campaign": ["A & B"]}


def test_a_link_with_the_token_arrives_where_it_leads(pages):
    with httpx.Client(base_url=pages.url, trust_env=False, timeout=120) as client:
        first = client.get(f"/?tab=approve&campaign=A+%26+B&token={TOKEN}")
        second = client.get(first.headers["location"])
    there = urlsplit(second.headers["location"])
    assert there.path == "/voila/render/workbench.ipynb"
    assert parse_qs(there.query) == {"tab": ["approve"], "campaign": ["A & B"]}


def test_the_process_that_is_begun_first_is_taken_once_and_never_gets_the_token():
    headstart.begin({"PATH": "/usr/bin", headstart.SECRET: TOKEN})
    process = headstart.taken()
    try:
        assert process is not None
        assert TOKEN not in str(psutil.Process(process.pid).environ())
        assert headstart.taken() is None
    finally:
        process.kill()
        process.wait()


def test_a_process_that_nobody_took_ends_with_the_server():
    headstart.begin({"PATH": "/usr/bin"})
    (process,) = headstart._begun
    headstart.end()
    assert process.returncode is not None
    assert headstart.taken() is None


def test_a_kernel_whose_sockets_never_close_ends_all_the_same():
    waits = "import atexit, time; from optinb.serve.headstart import end_within; atexit.register(time.sleep, 100)"
    begun = time.monotonic()
    assert subprocess.run([sys.executable, "-c", f"{waits}; end_within(0.1)"], check=False).returncode == 0
    assert time.monotonic() - begun < 60


BECOMES = """
import os, sys, time
from optinb.serve.headstart import Becoming, become, begin, taken
begin()
process = taken()
become(process, Becoming(["ipykernel_launcher", "-f", sys.argv[1]], os.getcwd(), dict(os.environ)))
print(process.pid, flush=True)
time.sleep(600)
"""


def test_the_first_kernel_ends_with_a_server_that_was_killed(tmp_path):
    file = tmp_path / "kernel.json"
    server = subprocess.Popen([sys.executable, "-c", BECOMES, str(file)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    kernel = psutil.Process(int(server.stdout.readline()))
    try:
        until = time.monotonic() + 60
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert file.exists(), "it isn't a kernel yet"
        assert kernel.is_running()
        server.kill()
        server.wait()
        kernel.wait(timeout=20)
    finally:
        with suppress(psutil.NoSuchProcess):
            kernel.kill()
        server.kill()
