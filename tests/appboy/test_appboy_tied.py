"""Answers that belong to another request, from proxies that write one twice, too early, or again: over real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
import trustme

from optinb.appboy import (
    AppboyClient,
    CallError,
    NotTied,
    Outcome,
    Recipient,
    RequestAccepted,
    RequestUnknown,
    ScheduleRequest,
    WireSchedule,
    lines,
    tied,
)
from optinb.appboy.tied import SeenIds
from optinb.base.settings import AppGroupSettings
from optinb.sandbox import Fault, Sandbox, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY_NAME = "OPTINB_TEST_TIED_KEY"
BATCH = ScheduleRequest("c", (Recipient("ann"),), WireSchedule("2026-11-23T18:30:00Z"))
REAL = {
    "Cache-Control": "max-age=0, private, must-revalidate",
    "ETag": 'W/"5f3a"',
    "Via": "1.1 varnish, 1.1 varnish",
    "X-Cache": "MISS, MISS",
    "X-Cache-Hits": "0, 0",
    "Age": "0",
    "Cf-Cache-Status": "DYNAMIC",
}


def answer(status: str = "201 Created", body: dict[str, Any] | None = None, /, **headers: str) -> bytes:
    """An answer, with ids of its own unless a body is given."""
    named = {"dispatch_id": uuid4().hex, "schedule_id": str(uuid4()), "message": "success"} if body is None else body
    content = json.dumps(named).encode()
    told = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode() + content


class Proxy:
    """A server that writes what a script says when a request has come, or a connection."""

    def __init__(self, script: Callable[[socket.socket, int], None], *, greeting: bytes, tls: ssl.SSLContext | None):
        self.connections = self.requests = 0
        self._script, self._greeting, self._tls = script, greeting, tls
        self._numbers = count(1)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = self._tls.wrap_socket(line, server_side=True) if self._tls else line
            line.sendall(self._greeting)
            left = b""
            while True:
                while b"\r\n\r\n" not in left:
                    more = line.recv(65536)
                    if not more:
                        return
                    left += more
                head, _, left = left.partition(b"\r\n\r\n")
                named = dict(part.lower().split(b": ", 1) for part in head.split(b"\r\n")[1:])
                size = int(named.get(b"content-length", 0))
                while len(left) < size:
                    left += line.recv(65536)
                left = left[size:]
                self.requests += 1
                self._script(line, next(self._numbers))
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


@contextmanager
def proxy(
    script: Callable[[socket.socket, int], None], *, greeting: bytes = b"", tls: ssl.SSLContext | None = None
) -> Iterator[Proxy]:
    found = Proxy(script, greeting=greeting, tls=tls)
    try:
        yield found
    finally:
        found.close()


def group_at(port: int, *, scheme: str = "http") -> AppGroupSettings:
    return AppGroupSettings(id="g", name="Shop", api=f"{scheme}://127.0.0.1:{port}", key=f"env:{KEY_NAME}")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_NAME, "k")


def outcomes(found: Proxy, times: int, *, pause_s: float = 0.0, scheme: str = "http") -> list[Outcome]:
    told = []
    with AppboyClient(group_at(found.port, scheme=scheme), timeout_s=5) as client:
        for _ in range(times):
            told.append(client.schedule(BATCH))
            time.sleep(pause_s)
    return told


def kinds(told: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in told]


def test_what_real_answers_bear_is_accepted_and_keeps_the_connection() -> None:
    real = {name.replace("-", "_"): value for name, value in REAL.items()}
    with proxy(lambda line, _: line.sendall(answer(**real, X_Request_Id=str(uuid4())))) as found:
        assert kinds(outcomes(found, 5)) == [RequestAccepted] * 5
        assert (found.connections, found.requests) == (1, 5)


@pytest.mark.parametrize(
    "header",
    [
        {"Age": "37"},
        {"Age": "0, 2"},
        {"X_Cache": "HIT"},
        {"X_Cache": "Hit from cloudfront"},
        {"X_Cache": "RefreshHit from cloudfront"},
        {"X_Cache": "MISS, HIT"},
        {"X_Cache": "TCP_HIT"},
        {"Cf_Cache_Status": "HIT"},
        {"Cf_Cache_Status": "STALE"},
    ],
)
@pytest.mark.parametrize("status", ["201 Created", "503 Service Unavailable", "400 Bad Request", "429 Too Many"])
def test_an_answer_out_of_a_cache_is_unknown_and_ends_its_connection(header: dict[str, str], status: str) -> None:
    cached = answer(status, **header)
    with proxy(lambda line, n: line.sendall(cached if n == 1 else answer())) as found:
        first, second = outcomes(found, 2)
        assert isinstance(first, NotTied) and "nobody knows what became of this request" in first.message
        assert isinstance(second, RequestAccepted) and found.connections == 2


@pytest.mark.parametrize("value", ["MISS from hit-counter-7", "MISS from white-proxy", "NONE", "DYNAMIC", "BYPASS"])
def test_only_a_cache_that_says_so_is_one(value: str) -> None:
    with proxy(lambda line, _: line.sendall(answer(X_Cache=value, Age="0"))) as found:
        (outcome,) = outcomes(found, 1)
        assert isinstance(outcome, NotTied if "hit-" in value else RequestAccepted)


def test_an_answer_written_twice_is_unknown_and_its_copy_is_nobodys() -> None:
    with proxy(lambda line, n: line.sendall(answer() * 2 if n == 1 else answer())) as found:
        assert kinds(outcomes(found, 3)) == [NotTied, RequestAccepted, RequestAccepted]
        assert found.connections == 2


def test_a_copy_that_comes_before_the_next_request_leaves_the_first_accepted() -> None:
    def script(line: socket.socket, number: int) -> None:
        told = answer()
        line.sendall(told)
        if number == 1:
            time.sleep(0.05)
            line.sendall(told)

    with proxy(script) as found:
        assert kinds(outcomes(found, 3, pause_s=0.15)) == [RequestAccepted] * 3
        assert found.connections == 2


def test_a_copy_that_is_read_as_the_next_answer_leaves_that_one_unknown() -> None:
    given: list[bytes] = []

    def script(line: socket.socket, number: int) -> None:
        # the second request is taken, and the first one's answer comes once more before its own
        given.append(answer())
        line.sendall(given[0] if number == 2 else given[-1])
        if number == 2:
            time.sleep(0.05)
            line.sendall(given[1])

    with proxy(script) as found:
        first, second, third = outcomes(found, 3, pause_s=0.1)
        assert isinstance(first, RequestAccepted) and isinstance(third, RequestAccepted)
        assert isinstance(second, NotTied) and "its id repeats" in second.message
        assert first.schedule_id != third.schedule_id and found.connections == 2


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests", "400 Bad Request", "200 OK"])
def test_the_copy_of_an_answer_without_ids_is_never_read_as_the_next_ones(status: str) -> None:
    told = answer(status, {"message": "success" if status == "200 OK" else "no"})

    def script(line: socket.socket, number: int) -> None:
        line.sendall(told if number == 1 else answer())
        if number == 1:
            time.sleep(0.05)
            line.sendall(told)

    with proxy(script) as found:
        first, second = outcomes(found, 2)
        assert not isinstance(first, RequestAccepted)
        assert isinstance(second, RequestAccepted) and found.connections == 2


def test_a_request_id_that_repeats_is_unknown_whatever_the_answer_says() -> None:
    with proxy(lambda line, _: line.sendall(answer(X_Request_Id="same"))) as found:
        assert kinds(outcomes(found, 2)) == [RequestAccepted, NotTied]


def test_ids_are_shared_by_the_clients_of_an_app_group_and_known_from_a_journal() -> None:
    same = answer("201 Created", {"message": "success", "dispatch_id": "d", "schedule_id": "s"})
    with proxy(lambda line, _: line.sendall(same)) as found:
        assert kinds(outcomes(found, 1) + outcomes(found, 1)) == [RequestAccepted, NotTied]
    with proxy(lambda line, _: line.sendall(same)) as found, AppboyClient(group_at(found.port)) as client:
        client.remember(["s"])
        assert isinstance(client.schedule(BATCH), NotTied)


def test_a_success_that_names_no_schedule_is_not_the_answer_to_a_batch() -> None:
    with proxy(lambda line, _: line.sendall(answer("201 Created", {"message": "success"}))) as found:
        (outcome,) = outcomes(found, 1)
        assert isinstance(outcome, NotTied) and "names no schedule" in outcome.message


def test_nothing_is_sent_on_a_connection_that_speaks_first() -> None:
    with proxy(lambda line, _: line.sendall(answer()), greeting=answer("503 Service Unavailable")) as found:
        with AppboyClient(group_at(found.port), timeout_s=5) as client:
            pool = client._transport._make()._pool  # type: ignore[attr-defined]
            line = pool._network_backend.connect_tcp("127.0.0.1", found.port)
            time.sleep(0.1)
            with pytest.raises(Exception, match="before the request was written"):
                line.write(b"POST / HTTP/1.1\r\n")
        assert found.requests == 0


def test_a_connection_that_was_closed_under_a_sender_costs_no_certainty() -> None:
    def script(line: socket.socket, _number: int) -> None:
        line.sendall(answer())
        line.shutdown(socket.SHUT_RDWR)

    with proxy(script) as found:
        assert not {RequestUnknown} & set(kinds(outcomes(found, 4, pause_s=0.02)))


def test_encrypted_connections_are_watched_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    made = httpx.create_ssl_context
    # an address on this machine is called without what the environment says of certificates
    monkeypatch.setattr(lines.httpx, "create_ssl_context", lambda **_: made(trust_env=True))
    with proxy(lambda line, n: line.sendall(answer() * (2 if n == 4 else 1)), tls=server) as found:
        told = outcomes(found, 6, scheme="https")
        assert kinds(told) == [
            RequestAccepted,
            RequestAccepted,
            RequestAccepted,
            NotTied,
            RequestAccepted,
            RequestAccepted,
        ]
        assert found.connections == 2  # sessions' tickets are no answers


def test_what_is_read_is_read_again_instead_of_out_of_a_cache() -> None:
    page = {"message": "success", "campaigns": []}

    def script(line: socket.socket, number: int) -> None:
        line.sendall(answer("200 OK", page, X_Cache="HIT" if number == 1 else "MISS"))

    with proxy(script) as found, AppboyClient(group_at(found.port), sleep=lambda _: None) as client:
        assert client.campaigns() == [] and found.requests == 2
    with proxy(lambda line, _: line.sendall(answer("200 OK", page, Age="9"))) as found:
        client = AppboyClient(group_at(found.port), sleep=lambda _: None)
        with client, pytest.raises(CallError, match="was given before, so nobody knows"):
            client.campaigns()


@pytest.mark.parametrize("verb", ["delete", "update"])
def test_a_replayed_success_recalls_and_moves_nothing(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(["Shop"])
    shop = world.group("Shop")
    campaign = shop.campaigns[0].id
    monkeypatch.setenv(KEY_NAME, shop.keys[0].key)
    now = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    with Sandbox(world, now=now) as sandbox:
        group = AppGroupSettings(id=shop.id, name="Shop", api=sandbox.url, key=f"env:{KEY_NAME}")
        with AppboyClient(group) as client:
            taken = [client.schedule(ScheduleRequest(campaign, (Recipient(user),), BATCH.schedule)) for user in "abc"]
            sandbox.set_faults([Fault("replay", endpoint=f"/campaigns/trigger/schedule/{verb}")])
            later = WireSchedule("2026-11-23T20:30:00Z")
            done = [
                client.unschedule(campaign, batch.schedule_id or "")
                if verb == "delete"
                else client.reschedule(campaign, batch.schedule_id or "", later)
                for batch in taken
                if isinstance(batch, RequestAccepted)
            ]
    # the second is the first on its connection, where there is nothing to replay
    assert kinds(done) == [NotTied, RequestAccepted, NotTied]
    assert [len(d.plans) > 1 or any(plan.until for plan in d.plans) for d in world.dispatches] == [False, True, False]


def test_the_memory_of_ids_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tied, "GENERATION", 100)
    seen = SeenIds()
    assert all(seen.claim([f"id {number}"]) for number in range(1_000))
    assert len(seen._new) + len(seen._old) <= 202
    assert not any(seen.claim([f"id {number}"]) for number in range(950, 1_000))
    assert seen.claim(["id 1"])
