"""Settings and networks that don't fit, over real sockets: a clear sentence each, and no request made twice."""

from __future__ import annotations

import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from optinb.appboy import (
    AppboyClient,
    CallError,
    Outcome,
    Recipient,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    ScheduleRequest,
    Stopped,
    WireSchedule,
)
from optinb.base.settings import parse_settings
from optinb.errors import SettingsError

if TYPE_CHECKING:
    from optinb.base.settings import AppGroupSettings

Settle = Callable[..., "AppGroupSettings"]
KEY = "a-very-secret-key"
BATCH = ScheduleRequest("c", (Recipient("ann"),), WireSchedule("2026-11-23T18:30:00Z"))
PAGE = b"<!doctype html><html><head><title>Sign in to the guest network</title></head><body>"


class Server:
    """A web server that gives everybody the same answer, and keeps what it was asked."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str], *, reads_body: bool = True) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                outer.asked.append((self.path, self.headers.get("Authorization", "")))
                if reads_body:
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_args: object) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def port(self) -> int:
        return self.http.server_address[1]


@contextmanager
def serving(
    status: int = 200,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    reads_body: bool = True,
) -> Iterator[Server]:
    server = Server(status, body, headers or {}, reads_body=reads_body)
    server.http.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that leaves is expected here
    if tls is not None:
        server.http.socket = tls.wrap_socket(server.http.socket, server_side=True)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()


def posted(group: AppGroupSettings, batch: ScheduleRequest = BATCH) -> Outcome:
    with AppboyClient(group, timeout_s=10) as client:
        return client.schedule(batch)


def complaint(group: AppGroupSettings) -> str:
    """What a person reads when the templates can't be listed."""
    with AppboyClient(group, timeout_s=10, sleep=lambda _: None) as client, pytest.raises(CallError) as caught:
        client.campaigns()
    return str(caught.value)


def with_locals(error: BaseException) -> str:
    """The traceback as a debugger shows it, with the local variables of every frame but this file's."""
    shown = part = traceback.TracebackException.from_exception(error, capture_locals=True)
    while part is not None:
        part.stack = traceback.StackSummary.from_list([f for f in part.stack if f.filename != __file__])
        part = part.__cause__ or part.__context__
    return "".join(shown.format())


def test_a_certificate_that_nobody_trusts_stops_before_the_key_is_sent(settle: Settle) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with serving(tls=tls) as server:
        group = settle(f"https://127.0.0.1:{server.port}", key=KEY)
        outcome = posted(group)
        told = complaint(group)
    assert isinstance(outcome, Stopped)
    assert "certificate isn't trusted" in outcome.advice
    assert "ask IT whether a proxy" in told
    assert server.asked == []


def test_https_to_a_server_without_tls_is_not_sent(settle: Settle) -> None:
    with serving() as server:
        outcome = posted(settle(f"https://127.0.0.1:{server.port}", key=KEY))
    assert isinstance(outcome, RequestLater)
    assert outcome.cause == "not_sent"
    assert "check the network and the address in `api`" in outcome.message
    assert KEY not in str(server.asked)


def test_a_proxys_page_with_status_200_is_unknown_and_named(settle: Settle) -> None:
    with serving(200, PAGE, {"Content-Type": "text/html"}) as server:
        group = settle(f"http://127.0.0.1:{server.port}", key=KEY)
        outcome = posted(group)
        assert len(server.asked) == 1
        told = complaint(group)
        assert len(server.asked) == 2
    assert isinstance(outcome, RequestUnknown)
    assert "a web page titled 'Sign in to the guest network'" in outcome.message
    assert "a web page titled" in told
    assert "whether a proxy or a login page stands between" in told


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, PAGE + b"x" * 3_000_000, RequestUnknown),
        (201, b'{"message":"' + b"x" * 3_000_000 + b'"}', RequestUnknown),
        (400, b'{"message":"' + b"x" * 3_000_000 + b'"}', RequestRefused),
        (403, b"x" * 3_000_000, Stopped),
    ],
)
def test_an_answer_of_3_mb_is_told_in_a_line(settle: Settle, status: int, body: bytes, meaning: type[Outcome]) -> None:
    with serving(status, body) as server:
        outcome = posted(settle(f"http://127.0.0.1:{server.port}", key=KEY))
    assert isinstance(outcome, meaning)
    assert len(repr(outcome)) < 1_000
    assert len(server.asked) == 1


def test_a_batch_of_3_mb_that_a_gateway_refuses_is_refused_and_not_repeated(settle: Settle) -> None:
    long = tuple(Recipient(f"u{n}", {"text": "x" * 61_000}) for n in range(50))
    batch = ScheduleRequest("c", long, WireSchedule("2026-11-23T18:30:00Z"))
    with serving(413, b'{"message":"Payload too large"}') as server:
        outcome = posted(settle(f"http://127.0.0.1:{server.port}", key=KEY), batch)
    assert outcome == RequestRefused(413, "413 Request Entity Too Large: Payload too large")
    assert len(server.asked) == 1


def test_a_gateway_that_hangs_up_on_a_batch_of_3_mb_leaves_no_doubt_unsaid(settle: Settle) -> None:
    long = tuple(Recipient(f"u{n}", {"text": "x" * 61_000}) for n in range(50))
    batch = ScheduleRequest("c", long, WireSchedule("2026-11-23T18:30:00Z"))
    with serving(413, b'{"message":"Payload too large"}', reads_body=False) as server:
        outcome = posted(settle(f"http://127.0.0.1:{server.port}", key=KEY), batch)
    # the system may drop the answer together with what was not read of the request
    assert isinstance(outcome, RequestRefused | RequestUnknown)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_never_followed_with_the_key(settle: Settle, status: int) -> None:
    with serving(201, b'{"message":"success","dispatch_id":"d","schedule_id":"s"}') as elsewhere:
        there = {"Location": f"http://localhost:{elsewhere.port}/campaigns/trigger/schedule/create?k={KEY}"}
        with serving(status, b"", there) as server:
            group = settle(f"http://127.0.0.1:{server.port}", key=KEY)
            outcome = posted(group)
            told = complaint(group)
    assert isinstance(outcome, Stopped)
    assert "to localhost" in outcome.message
    assert "the key is never sent after a redirect" in outcome.advice
    assert "write the final one" in told
    assert elsewhere.asked == []
    assert len(server.asked) == 2
    assert KEY not in f"{outcome} {told}"


@pytest.mark.parametrize(
    ("api", "told"),
    [
        ("https://rest.iad-99.braze.invalid", "check the network and the address in `api`"),
        ("http://127.0.0.1:1", "check the network and the address in `api`"),
    ],
)
def test_an_address_where_nobody_answers_is_not_sent(settle: Settle, api: str, told: str) -> None:
    outcome = posted(settle(api, key=KEY))
    assert isinstance(outcome, RequestLater)
    assert outcome.cause == "not_sent"
    assert told in outcome.message


def test_the_address_of_a_dashboard_instead_of_the_api_is_told(settle: Settle) -> None:
    with serving(404, b"<html><title>Not found</title></html>") as server:
        outcome = posted(settle(f"http://127.0.0.1:{server.port}", key=KEY))
    assert isinstance(outcome, Stopped)
    assert "the REST endpoint of your instance, such as https://rest.iad-01.braze.com" in outcome.advice


@pytest.mark.parametrize("key", [f'"{KEY}"', f"'{KEY}'", f"“{KEY}”", f"{KEY} {KEY}", f"Bearer {KEY}"])
def test_a_key_in_quotes_is_never_sent_nor_shown(settle: Settle, key: str) -> None:
    with serving() as server:
        group = settle(f"http://127.0.0.1:{server.port}", key=key)
        outcome = posted(group)
        with AppboyClient(group) as client, pytest.raises(SettingsError, match="store it bare") as caught:
            client.campaigns()
    assert isinstance(outcome, Stopped)
    assert "has quotes, spaces or unusual characters" in outcome.message
    assert server.asked == []
    assert KEY not in f"{outcome} {with_locals(caught.value)}"


def test_not_even_a_traceback_with_its_local_variables_shows_the_key(settle: Settle) -> None:
    with serving(401, b'{"message":"Invalid API key: ' + KEY.encode() + b'"}') as server:
        group = settle(f"http://127.0.0.1:{server.port}", key=KEY)
        with AppboyClient(group) as client, pytest.raises(CallError) as caught:
            client.campaigns()
    assert "client.py" in with_locals(caught.value)
    assert KEY not in with_locals(caught.value)


def test_a_failure_deep_in_the_http_library_brings_no_frames_that_hold_the_key(settle: Settle) -> None:
    class Stuck(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            header = request.headers["Authorization"]
            assert header == f"Bearer {KEY}"
            raise httpx.WriteTimeout("stuck") from OSError("a full buffer")

    client = AppboyClient(settle("https://rest.iad-01.braze.com", key=KEY), transport=Stuck(), sleep=lambda _: None)
    with pytest.raises(CallError) as caught:
        client.campaigns()
    assert isinstance(caught.value.__cause__, httpx.WriteTimeout)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert f"Bearer {KEY}" not in "".join(shown.format())


SETTINGS = """
[[app_groups]]
id = "1"
name = "Shop"
api = "{api}"
key = "env:K"
"""


@pytest.mark.parametrize(
    ("api", "told"),
    [
        (
            "http://rest.iad-01.braze.com",
            'allow it by name: \\[network\\] plain_http_hosts = \\["rest.iad-01.braze.com"',
        ),
        ("http://127.0.0.1.example.com", "would send the key in the clear"),
        ("http://user:secret@127.0.0.1", "must not hold a user name or a password"),
        ("rest.iad-01.braze.com", "is no address"),
        ("ftp://rest.iad-01.braze.com", "is no address"),
        ("https://rest.iad-01.braze.com/?key=1", "must not have a query"),
    ],
)
def test_an_address_that_would_harm_the_key_is_refused_with_its_line(api: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        parse_settings(SETTINGS.format(api=api))
    assert "line 5" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_plain_http_is_allowed_for_the_hosts_that_are_named_and_for_this_machine() -> None:
    allowed = '[network]\nplain_http_hosts = ["gateway.intern"]\n'
    settings = parse_settings(allowed + SETTINGS.format(api="http://gateway.intern:8080"))
    assert not settings.app_groups[0].is_loopback
    with pytest.raises(SettingsError, match="in the clear"):
        parse_settings(allowed + SETTINGS.format(api="http://gateway.intern.example.com"))
    assert parse_settings(SETTINGS.format(api="http://localhost:8021")).app_groups[0].is_loopback


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('outgoing_addresses = ["203.0.113.300"]', "is no IP address"),
        ('outgoing_addresses = ["office"]', "is no IP address"),
        ('plain_http_hosts = ["http://gateway.intern"]', "is no host"),
        ('plain_http_hosts = ["*"]', "is no host"),
    ],
)
def test_the_network_section_is_checked(line: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"line 2: network.*{told}"):
        parse_settings(f"[network]\n{line}\n")
