"""The client against a real sandbox over HTTP, and against exact answers where the wire itself is at fault."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from optinb.appboy import (
    AppboyClient,
    CallError,
    Outcome,
    Recipient,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    ScheduleRequest,
    SendRequest,
    Stopped,
    WireSchedule,
)
from optinb.base.settings import AppGroupSettings
from optinb.errors import AppboyError, SettingsError
from optinb.sandbox import AppGroup, Fault, Key, Sandbox, World, push_campaign

BRAZE = "https://rest.iad-01.braze.com"
EVENING = WireSchedule("2026-11-23T18:30:00Z")
Settle = Callable[..., AppGroupSettings]


def request_to(campaign_id: str, *users: str) -> ScheduleRequest:
    return ScheduleRequest(campaign_id, tuple(Recipient(user) for user in users), EVENING)


def first_campaign(sandbox: Sandbox) -> str:
    return sandbox.world.group("Shop").campaigns[0].id


def answering(
    group: AppGroupSettings, *answers: httpx.Response | Exception
) -> tuple[AppboyClient, list[httpx.Request]]:
    """A client whose requests are answered in turn, without waiting between them."""
    asked: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    clock = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    transport = httpx.MockTransport(answer)
    return AppboyClient(group, transport=transport, sleep=lambda _: None, clock=lambda: clock), asked


def test_a_batch_is_scheduled_moved_and_recalled(sandbox: Sandbox, shop: AppGroupSettings) -> None:
    campaign = first_campaign(sandbox)
    with AppboyClient(shop) as client:
        taken = client.schedule(request_to(campaign, "ann", "bob"))
        assert isinstance(taken, RequestAccepted)
        assert taken.schedule_id is not None
        assert client.rate_limit is not None
        assert client.rate_limit.limit == 250_000
        assert isinstance(
            client.reschedule(campaign, taken.schedule_id, WireSchedule("2026-11-23T20:00:00Z")), RequestAccepted
        )
        assert isinstance(client.unschedule(campaign, taken.schedule_id), RequestAccepted)
        assert isinstance(client.unschedule(campaign, taken.schedule_id), RequestRefused)
    (dispatch,) = sandbox.world.dispatches
    assert dispatch.ids == ("ann", "bob")


def test_a_test_send_goes_out_at_once_and_the_export_tells_who_received_it(
    sandbox: Sandbox, shop: AppGroupSettings
) -> None:
    campaign = first_campaign(sandbox)
    with AppboyClient(shop) as client:
        send_id = client.create_send_id(campaign, "test-1")
        sent = client.send_now(SendRequest(campaign, (Recipient("ann"),), {"promo_code": "X"}, send_id))
        assert isinstance(sent, RequestAccepted)
        assert sent.schedule_id is None
        exported = client.export_users(["ann", "bob"], ["external_id", "campaigns_received"])
        received = {user.external_id: user.campaigns_received for user in exported.users}
        assert received["bob"] == ()
        assert [entry.api_campaign_id for entry in received["ann"]] == [campaign]
        (day,) = client.campaign_series(campaign, days=1)
        assert [row.sent for row in day.push("ios_push")] == [1]
        (same,) = client.send_series(campaign, send_id, days=1)
        assert [row.sent for row in same.push("ios_push")] == [1]


def test_every_page_of_the_list_is_read(settle: Settle) -> None:
    campaigns = tuple(push_campaign(f"C{n}", number=n, archived=n == 7) for n in range(201))
    group = AppGroup("11111111-2222-3333-4444-555555555555", "Shop", (Key("k"),), campaigns=campaigns)
    with Sandbox(World([group])) as sandbox, AppboyClient(settle(sandbox.url, key="k")) as client:
        assert len(client.campaigns()) == 200
        assert [c.name for c in client.campaigns(include_archived=True)] == [f"C{n}" for n in range(201)]
        assert client.campaign_details(campaigns[3].id).name == "C3"


def test_the_way_of_2015_needs_no_key(settle: Settle) -> None:
    group_id = "11111111-2222-3333-4444-555555555555"
    world = World([AppGroup(group_id, "Shop", auth="app_group_id", campaigns=(push_campaign("C"),))])
    with Sandbox(world) as sandbox:
        group = settle(sandbox.url, auth="app_group_id")
        with AppboyClient(msgspec.structs.replace(group, key=None)) as client:
            (campaign,) = client.campaigns()
            far = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            request = ScheduleRequest(campaign.id, (Recipient("ann"),), WireSchedule(far))
            assert isinstance(client.schedule(request), RequestAccepted)
            assert client.campaign_details(campaign.id).name == "C"
        other = AppboyClient(msgspec.structs.replace(group, id="other"))
        with other, pytest.raises(CallError, match="App Group API Identifier"):
            other.campaigns()


def test_the_key_is_in_no_text_and_no_log_although_appboy_echoes_it(
    sandbox: Sandbox, settle: Settle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "a/very-secret-key"
    with AppboyClient(settle(sandbox.url, key=secret)) as client:
        outcome = client.schedule(request_to(first_campaign(sandbox), "ann"))
        assert isinstance(outcome, Stopped)
        assert "Invalid API key: [key]" in outcome.message
        with pytest.raises(CallError) as caught:
            client.campaigns()
        assert "key" in str(caught.value)
        assert "Shop" in str(caught.value)
        told = f"{outcome!r} {caught.value!r} {caught.value.outcome!r} {client!r}"
    assert secret not in told
    assert secret not in caplog.text
    escaped = httpx.Response(401, content=b'{"message":"Invalid API key: a\\/very-secret-key"}')
    client, _ = answering(settle(BRAZE, key=secret), escaped)
    assert "very-secret" not in repr(client.schedule(request_to("c", "ann")))


def test_a_missing_permission_names_what_to_check(settle: Settle) -> None:
    key = Key("k", permissions=("campaigns.list",))
    world = World([AppGroup("11111111-2222-3333-4444-555555555555", "Shop", (key,), campaigns=(push_campaign("C"),))])
    with Sandbox(world) as sandbox, AppboyClient(settle(sandbox.url, key="k")) as client:
        (campaign,) = client.campaigns()
        with pytest.raises(CallError, match=r"campaigns\.details.*permission.*allow-list"):
            client.campaign_details(campaign.id)
        outcome = client.schedule(request_to(campaign.id, "ann"))
        assert isinstance(outcome, Stopped)
        assert outcome.status == 403


@pytest.mark.parametrize(
    ("fault", "meaning", "taken"),
    [
        (Fault("status", status=429, reset_in_s=120), RequestLater, 0),
        (Fault("status", status=500), RequestLater, 0),
        (Fault("status", status=503, headers={"Retry-After": "2"}), RequestLater, 0),
        (Fault("status", status=504, after_taking=True), RequestUnknown, 1),
        (Fault("status", status=504), RequestUnknown, 0),
        (Fault("status", status=200, body="<html>Please log in</html>"), RequestUnknown, 0),
        (Fault("status", status=302, headers={"Location": "https://elsewhere.example/"}), Stopped, 0),
        (Fault("reset"), RequestUnknown, 0),
        (Fault("reset", after_taking=True), RequestUnknown, 1),
        (Fault("truncate"), RequestUnknown, 1),
        (Fault("delay", delay_s=5, after_taking=True), RequestUnknown, 1),
        (Fault("slow", delay_s=1.5), RequestUnknown, 1),
    ],
)
def test_each_fault_has_its_outcome_and_one_request_is_made(
    sandbox: Sandbox, shop: AppGroupSettings, fault: Fault, meaning: type[Outcome], taken: int
) -> None:
    sandbox.set_faults([fault])
    with AppboyClient(shop, timeout_s=0.4) as client:
        outcome = client.schedule(request_to(first_campaign(sandbox), "ann"))
    assert isinstance(outcome, meaning), outcome
    assert len(sandbox.world.dispatches) == taken
    assert sum(sandbox.requests.values()) == 1


def test_nobody_listening_is_not_sent(settle: Settle) -> None:
    with Sandbox(World([])) as sandbox:
        gone = sandbox.url
    with AppboyClient(settle(gone)) as client:
        outcome = client.schedule(request_to("c", "ann"))
    assert isinstance(outcome, RequestLater)
    assert outcome.cause == "not_sent"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectTimeout("slow"), RequestLater),
        (httpx.PoolTimeout("full"), RequestLater),
        (httpx.ProxyError("no"), RequestLater),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), Stopped),
        (httpx.WriteTimeout("half"), RequestUnknown),
        (httpx.WriteError("half"), RequestUnknown),
        (httpx.ReadTimeout("none"), RequestUnknown),
        (httpx.RemoteProtocolError("gone"), RequestUnknown),
    ],
)
def test_failures_of_the_wire_become_outcomes(settle: Settle, failure: Exception, kind: type[Outcome]) -> None:
    client, asked = answering(settle(BRAZE), failure)
    assert isinstance(client.schedule(request_to("c", "ann")), kind)
    assert len(asked) == 1


def test_a_redirect_is_never_followed_with_the_key(settle: Settle) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(307, headers={"Location": "https://elsewhere.example/"}))
    outcome = client.schedule(request_to("c", "ann"))
    assert isinstance(outcome, Stopped)
    assert "redirects" in outcome.advice
    with pytest.raises(CallError, match="redirects"):
        client.campaigns()
    assert {request.url.host for request in asked} == {"rest.iad-01.braze.com"}


def test_a_missing_key_stops_a_send_and_fails_a_reading_call_with_the_name_of_its_place(
    settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(500))
    monkeypatch.delenv("OPTINB_TEST_KEY")
    outcome = client.schedule(request_to("c", "ann"))
    assert isinstance(outcome, Stopped)
    assert "OPTINB_TEST_KEY" in outcome.message
    with pytest.raises(SettingsError, match="OPTINB_TEST_KEY"):
        client.campaigns()
    assert asked == []


@pytest.mark.parametrize("key", ['"quoted"', "'quoted'", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_was_stored_with_decoration_is_refused_before_any_request(settle: Settle, key: str) -> None:
    client, asked = answering(settle(BRAZE, key=key), httpx.Response(500))
    outcome = client.schedule(request_to("c", "ann"))
    assert isinstance(outcome, Stopped)
    assert "store it bare" in outcome.message
    assert key not in repr(outcome)
    assert asked == []


def test_more_than_90_days_ahead_is_refused_without_a_request(settle: Settle) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(500))
    late = ScheduleRequest("c", (Recipient("ann"),), WireSchedule("2027-02-22T12:00:00Z"))
    assert isinstance(client.schedule(late), RequestRefused)
    assert asked == []
    near = ScheduleRequest("c", (Recipient("ann"),), WireSchedule("2027-02-20T12:00:00Z"))
    client.schedule(near)
    assert len(asked) == 1


def test_reading_repeats_what_may_pass(sandbox: Sandbox, shop: AppGroupSettings) -> None:
    sandbox.set_faults(
        [
            Fault("status", status=503, nth=(1,)),
            Fault("status", status=504, nth=(2,)),
            Fault("reset", nth=(3,)),
            Fault("status", status=429, reset_in_s=2, nth=(4,)),
        ]
    )
    waits: list[float] = []
    with AppboyClient(shop, sleep=waits.append) as client:
        assert len(client.campaigns()) > 0
    assert len(waits) == 4
    assert all(0 < wait <= 10 for wait in waits)


def test_reading_gives_up_in_words(settle: Settle) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(503, json={"message": "maintenance"}))
    with pytest.raises(CallError, match=r"maintenance.*tried 5 times"):
        client.campaigns()
    assert len(asked) == 5
    reset = str(int(datetime(2026, 11, 23, 3, 40, tzinfo=UTC).timestamp()))
    client, asked = answering(settle(BRAZE), httpx.Response(429, headers={"X-RateLimit-Reset": reset}))
    with pytest.raises(CallError, match="try again in 40 minutes"):
        client.campaigns()
    assert len(asked) == 1, "a wait of 40 minutes isn't made inside a call"


def test_making_a_send_id_is_not_repeated_when_it_may_have_worked(settle: Settle) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(504))
    with pytest.raises(CallError):
        client.create_send_id("c")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!doctype html><html><title>Login</title>", "a web page titled 'Login'"),
        (b'{"message":"success"}', "unexpected content"),
        (b'{"campaigns":[{"id":"c1","na', "proxy"),
        (b"", "an empty answer"),
    ],
)
def test_a_reading_answer_that_is_not_appboys_is_told_as_such(settle: Settle, content: bytes, told: str) -> None:
    client, _ = answering(settle(BRAZE), httpx.Response(200, content=content))
    with pytest.raises(CallError, match=told):
        client.campaigns()


def test_nulls_and_new_fields_of_the_vendor_do_no_harm(settle: Settle) -> None:
    details = {
        "message": "success",
        "name": "C",
        "description": None,
        "tags": None,
        "teams": None,
        "enabled": True,
        "messages": {"v": {"channel": "ios_push", "alert": "Hi", "title": None}},
        "brand_new": {"a": [None]},
    }
    client, _ = answering(settle(BRAZE), httpx.Response(200, json=details))
    read = client.campaign_details("c")
    assert (read.tags, read.description) == ((), None)
    assert read.messages["v"] == {"channel": "ios_push", "alert": "Hi"}


def test_an_endless_answer_is_cut_off(settle: Settle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optinb.appboy.client.MAX_ANSWER_BYTES", 3 * 2**20)
    large = httpx.Response(201, content=(b"x" * 2**20 for _ in range(100)))
    client, _ = answering(settle(BRAZE), large)
    outcome = client.schedule(request_to("c", "ann"))
    assert isinstance(outcome, RequestUnknown)
    assert "longer than 3 MB" in outcome.message
    assert len(outcome.message) < 400


def test_exports_and_series_are_bounded_in_words(settle: Settle) -> None:
    client, asked = answering(settle(BRAZE), httpx.Response(500))
    with pytest.raises(AppboyError, match="1 to 50 users, not 51"):
        client.export_users([str(n) for n in range(51)], ["external_id"])
    with pytest.raises(AppboyError, match="1 to 100 days"):
        client.campaign_series("c", days=101)
    assert asked == []


def test_threads_share_a_client(sandbox: Sandbox, shop: AppGroupSettings) -> None:
    campaign = first_campaign(sandbox)
    names: set[str] = set()
    with AppboyClient(shop) as client:

        def post(number: int) -> Outcome:
            names.add(threading.current_thread().name)
            return client.schedule(request_to(campaign, f"user-{number}"))

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(post, range(80)))
    assert all(isinstance(outcome, RequestAccepted) for outcome in outcomes)
    assert len({outcome.schedule_id for outcome in outcomes if isinstance(outcome, RequestAccepted)}) == 80
    assert sorted(sandbox.world.recipients(campaign)) == sorted(f"user-{n}" for n in range(80))
    assert len(names) > 1


def test_a_proxy_of_the_environment_is_not_asked_for_a_sandbox(
    sandbox: Sandbox, shop: AppGroupSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with AppboyClient(shop) as client:
        assert client.campaigns()


PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


@contextlib.contextmanager
def proxy(heard: list[bytes]) -> Iterator[str]:
    """A proxy that keeps the first line that it hears, and lets nobody through."""

    def listen(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            heard.append(connection.recv(4096).splitlines()[0])
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1.5)
        thread = threading.Thread(target=listen, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> AppGroupSettings:
    """An app group that isn't on this machine, in an environment without proxies."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELSEWHERE", "k" * 20)
    return AppGroupSettings(id="g", name="Shop", api="https://rest.invalid", key="env:ELSEWHERE")


@pytest.mark.parametrize(
    ("scheme", "named"),
    [
        ("https", "https_proxy"),
        ("https", "HTTPS_PROXY"),
        ("https", "ALL_PROXY"),
        ("http", "http_proxy"),
        ("http", "all_proxy"),
    ],
)
def test_a_proxy_that_only_the_environment_names_gets_no_request_and_is_told(
    elsewhere: AppGroupSettings, monkeypatch: pytest.MonkeyPatch, scheme: str, named: str
) -> None:
    heard: list[bytes] = []
    group = msgspec.structs.replace(elsewhere, api=f"{scheme}://rest.invalid")
    with proxy(heard) as address:
        monkeypatch.setenv(named, address)
        with AppboyClient(group, timeout_s=1, sleep=lambda _: None) as client:
            outcome = client.unschedule("c", "s")
            with pytest.raises(SettingsError, match=f'write proxy = "env:{named}" in its') as caught:
                client.campaigns()
    assert isinstance(outcome, Stopped)
    assert f"{named} would lead the requests of app group 'Shop' over a proxy" in outcome.message
    assert address not in f"{outcome} {caught.value}"
    assert heard == []


@pytest.mark.parametrize("proxies", [{}, {"https_proxy": "http://127.0.0.1:9", "no_proxy": "rest.invalid"}])
def test_without_a_proxy_on_the_way_requests_go_to_the_address_itself(
    elsewhere: AppGroupSettings, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str]
) -> None:
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    with AppboyClient(elsewhere, timeout_s=1) as client:
        outcome = client.unschedule("c", "s")
    assert isinstance(outcome, RequestLater)
    assert outcome.cause == "not_sent"


def test_a_proxy_that_the_settings_name_is_asked_whatever_the_environment_says(
    elsewhere: AppGroupSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for reference in (False, True):
        with proxy(heard) as address:
            monkeypatch.setenv("OUR_PROXY", address)
            group = msgspec.structs.replace(elsewhere, proxy="env:OUR_PROXY" if reference else address)
            with AppboyClient(group, timeout_s=1) as client:
                assert isinstance(client.unschedule("c", "s"), RequestLater)
    assert heard == [b"CONNECT rest.invalid:443 HTTP/1.1"] * 2
    monkeypatch.setenv("OUR_PROXY", "me:s3cret@nowhere")
    with AppboyClient(group, timeout_s=1) as client, pytest.raises(SettingsError, match="is no address") as caught:
        client.campaigns()
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("OUR_PROXY", "socks5://me:s3cret@nowhere:1080")
    with AppboyClient(group, timeout_s=1) as client, pytest.raises(SettingsError, match="only http:// and https://"):
        client.campaigns()
    monkeypatch.delenv("OUR_PROXY")
    with AppboyClient(group, timeout_s=1) as client, pytest.raises(SettingsError, match="the proxy 'env:OUR_PROXY' is"):
        client.campaigns()
