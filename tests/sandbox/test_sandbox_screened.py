"""The sandbox answers this machine alone, and is changed by nobody's page but its own: over raw sockets."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import pytest

from optinb.sandbox import Sandbox, demo_world
from optinb.sandbox.screened import HEADER, why_refused

NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LATER = {"to": "2026-11-23T19:00:00Z"}
SCHEDULE = "/campaigns/trigger/schedule/create"


@pytest.fixture
def sandbox():
    with Sandbox(demo_world(), now=NIGHT) as running:
        yield running


def ask(sandbox: Sandbox, method: str, path: str, *headers: str, host: str | None = None, body: str = "") -> int:
    """The status of the answer to a request that no client tidies up."""
    where = urlsplit(sandbox.url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or where.netloc}", "Connection: close", *headers]
    message = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode("latin-1")
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        connection.sendall(message)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(answer.split(None, 2)[1])


def test_a_name_that_somebody_else_let_lead_here_gets_nothing(sandbox):
    port = urlsplit(sandbox.url).port
    for host in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}", f"x@127.0.0.1:{port}"):
        for path in ("/", "/sandbox/clock", "/campaigns/list"):
            assert ask(sandbox, "GET", path, "Authorization: Bearer sandbox-shop-key", host=host) in (400, 403), host
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost:9000", "[::1]:9000"):
        assert ask(sandbox, "GET", "/", host=host) == 200, host


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_clock_and_faults_are_changed_only_with_the_header_of_their_own(sandbox, kind):
    for path, body in (("/sandbox/clock", json.dumps(LATER)), ("/sandbox/faults", '[{"do": "reset"}]')):
        for form in (body, "to=2026-11-23T19%3A00%3A00Z"):
            assert ask(sandbox, "POST", path, f"Content-Type: {kind}", body=form) == 403
    assert sandbox.clock.now() < NIGHT.replace(hour=4)
    assert httpx.get(f"{sandbox.url}/sandbox/faults", trust_env=False).json()["faults"] == []
    assert ask(sandbox, "POST", "/sandbox/clock", f"{HEADER}: 1", body=json.dumps(LATER)) == 200
    assert sandbox.clock.now() >= NIGHT.replace(hour=19)


def test_page_of_another_server_changes_nothing_and_sends_nothing(sandbox):
    port = urlsplit(sandbox.url).port
    campaign = sandbox.world.group("Shop").campaigns[0].id
    send = json.dumps(
        {"campaign_id": campaign, "recipients": [{"external_user_id": "a"}], "schedule": {"time": LATER["to"]}}
    )
    key = "Authorization: Bearer sandbox-shop-key"
    for origin in ("null", "http://evil.example", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}"):
        assert ask(sandbox, "POST", SCHEDULE, key, f"Origin: {origin}", body=send) == 403
        assert (
            ask(sandbox, "POST", "/sandbox/clock", f"{HEADER}: 1", f"Origin: {origin}", body=json.dumps(LATER)) == 403
        )
        assert ask(sandbox, "OPTIONS", "/sandbox/clock", f"Origin: {origin}") == 403
    assert sandbox.world.dispatches == []
    assert ask(sandbox, "POST", SCHEDULE, key, "Content-Type: application/json", body=send) == 201


def test_page_holds_no_key_and_runs_no_script_but_its_own(sandbox):
    answer = httpx.get(sandbox.url, trust_env=False)
    keys = [key.key for group in sandbox.world.app_groups.values() for key in group.keys]
    assert keys
    assert [key for key in keys if key in answer.text] == []
    policy = answer.headers["content-security-policy"]
    for tag in ("script", "style"):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_requests_are_refused_in_words_that_say_what_to_do():
    own = {"host": "127.0.0.1:8021"}
    assert why_refused("GET", "/sandbox/clock", own) is None
    assert why_refused("POST", SCHEDULE, own) is None
    assert f"{HEADER}: 1" in (why_refused("POST", "/sandbox/clock", own) or "")
    assert "call it by 127.0.0.1" in (why_refused("GET", "/", {"host": "evil.example"}) or "")
