"""The table of outcomes: what each answer and each failure means for a batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.appboy import (
    RateLimit,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    Stopped,
    meaning,
    meaning_of_failure,
    rate_limit,
)
from optinb.appboy.outcome import MAX_WAIT_S, MAY_BE_SENT, NOT_SENT, message_of

NOW = datetime(2026, 11, 23, 3, 20, tzinfo=UTC)
DISPATCH = "00000000000000000000000000000abc"


def of(status: int, body: bytes = b'{"message":"told"}', **headers: str) -> object:
    return meaning(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)


def test_success_is_accepted_with_its_ids() -> None:
    body = f'{{"dispatch_id":"{DISPATCH}","schedule_id":"s1","message":"success"}}'.encode()
    assert of(201, body) == RequestAccepted(DISPATCH, "s1")
    assert of(200, b'{"message":"success","new":{"field":1}}') == RequestAccepted()


def test_errors_beside_success_are_kept_whatever_their_form() -> None:
    body = b'{"message":"success","errors":["user 7 is unknown",{"id":"8"}]}'
    assert of(201, body) == RequestAccepted(errors=("user 7 is unknown", '{"id":"8"}'))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"dispatch_id":"abc","mess',
        b"<!doctype html><html><title>Sign in</title>",
        b'{"message":"queued"}',
        b'{"message":"success","dispatch_id":7}',
        b"[]",
        b"null",
        b"\xff\xfe",
    ],
)
def test_an_unreadable_2xx_is_unknown(body: bytes) -> None:
    for status in (200, 201, 202, 204):
        assert isinstance(of(status, body), RequestUnknown)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_says_what_appboy_said(status: int) -> None:
    outcome = of(status, b'{"message":"Invalid Campaign ID","errors":["campaign_id"]}')
    assert isinstance(outcome, RequestRefused)
    assert outcome.status == status
    assert "Invalid Campaign ID (campaign_id)" in outcome.message


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "key"),
        (403, "allow-list"),
        (404, "address"),
        (405, "address"),
        (407, "proxy"),
        (415, "proxy"),
        (418, "address"),
        (301, "redirect"),
        (307, "redirect"),
    ],
)
def test_what_no_repetition_mends_stops_the_campaign_with_advice(status: int, advice: str) -> None:
    outcome = of(status)
    assert isinstance(outcome, Stopped)
    assert outcome.status == status
    assert advice in outcome.advice


@pytest.mark.parametrize("status", [500, 502, 503])
def test_documented_server_errors_may_be_repeated_later(status: int) -> None:
    assert isinstance(of(status), RequestLater)
    assert of(status, retry_after="7") == RequestLater(7.0, of(status).message)  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [408, 501, 504, 505, 520, 524, 599])
def test_a_gateway_that_gave_up_leaves_the_batch_unknown(status: int) -> None:
    assert isinstance(of(status), RequestUnknown)


def test_a_rate_limit_waits_until_the_reset_by_the_answers_own_clock() -> None:
    reset = str(int((NOW + timedelta(minutes=40)).timestamp()))
    outcome = of(429, x_ratelimit_reset=reset)
    assert isinstance(outcome, RequestLater)
    assert (outcome.wait_s, outcome.cause) == (2400.0, "rate_limit")
    ten_minutes_ahead = format_datetime(NOW + timedelta(minutes=10), usegmt=True)
    assert of(429, x_ratelimit_reset=reset, date=ten_minutes_ahead).wait_s == 1800.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0.0),
        ({"x_ratelimit_reset": ""}, 0.0),
        ({"x_ratelimit_reset": "soon"}, 0.0),
        ({"x_ratelimit_reset": "99999999999"}, MAX_WAIT_S),
        ({"x_ratelimit_reset": "1"}, 0.0),
        ({"retry_after": "30"}, 30.0),
        ({"retry_after": "1000000"}, MAX_WAIT_S),
        ({"retry_after": "Mon, 23 Nov 2026 03:21:00 GMT"}, 60.0),
        ({"retry_after": "whenever"}, 0.0),
        ({"retry_after": "-5"}, 0.0),
    ],
)
def test_waits_are_capped_and_nonsense_asks_for_a_backoff(headers: dict[str, str], wait_s: float) -> None:
    assert of(429, **headers).wait_s == wait_s  # type: ignore[attr-defined]


def test_rate_headers_are_read_or_missing() -> None:
    full = {"x-ratelimit-limit": "250000", "x-ratelimit-remaining": "17", "x-ratelimit-reset": "1795406400"}
    assert rate_limit(full) == RateLimit(250_000, 17, 1795406400.0)
    assert rate_limit(full | {"x-ratelimit-reset": ""}) is None
    assert rate_limit({}) is None


def all_failures() -> set[str]:
    """Every exception class that httpx names, and every one below those that it keeps to itself."""
    named = {name for name in dir(httpx) if isinstance(getattr(httpx, name), type)}
    kinds = [getattr(httpx, name) for name in named if issubclass(getattr(httpx, name), Exception)]
    below: set[str] = set()
    while kinds:
        kind = kinds.pop()
        below.add(kind.__name__)
        kinds.extend(kind.__subclasses__())
    return below


def test_no_failure_of_httpx_is_left_unmapped() -> None:
    assert all_failures() == NOT_SENT | MAY_BE_SENT
    assert not NOT_SENT & MAY_BE_SENT


@pytest.mark.parametrize("kind", sorted(NOT_SENT))
def test_a_failure_before_the_request_is_not_sent(kind: str) -> None:
    outcome = meaning_of_failure(kind, "name or service not known")
    assert isinstance(outcome, RequestLater)
    assert outcome.cause == "not_sent"


@pytest.mark.parametrize("kind", [*sorted(MAY_BE_SENT), "SomethingNew"])
def test_any_other_failure_leaves_the_batch_unknown(kind: str) -> None:
    assert isinstance(meaning_of_failure(kind, ""), RequestUnknown)


def test_an_untrusted_certificate_stops_with_advice_because_waiting_mends_nothing() -> None:
    outcome = meaning_of_failure("ConnectError", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert isinstance(outcome, Stopped)
    assert "certificate" in outcome.advice


def test_messages_stay_on_one_short_line() -> None:
    assert message_of(b"<html><head><title>Proxy\n login</title></head>") == (
        "a web page titled 'Proxy login', perhaps of a proxy or a login"
    )
    assert message_of(b"") == "an empty answer"
    assert len(message_of(b"x" * 10_000)) == 300
    assert "\n" not in message_of(b"a\nb")


@settings(max_examples=200, deadline=None)
@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=60) | st.just(b'{"message":"success"}'),
    headers=st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), st.text(max_size=20)),
)
def test_every_answer_has_a_meaning_and_only_a_2xx_is_accepted(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    outcome = meaning(status, headers, body, NOW)
    if isinstance(outcome, RequestAccepted):
        assert 200 <= status < 300
        assert b"success" in body
    if isinstance(outcome, RequestLater):
        assert status in (429, 500, 502, 503)
        assert 0 <= outcome.wait_s <= MAX_WAIT_S


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-reset": "1795400000000"},
        {"x-ratelimit-reset": "999999999999999"},
        {"x-ratelimit-reset": "9" * 30},
        {"retry-after": "999999999"},
        {"retry-after": "9" * 30},
        {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"retry-after": "Fri, 31 Dec 2026 99999999999999999999:00:00 GMT"},
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_absurd_waits_are_an_hour_at_most(headers: dict[str, str], status: int) -> None:
    outcome = meaning(status, headers, b"{}", datetime(2026, 11, 23, 2, 0, tzinfo=UTC))
    assert isinstance(outcome, RequestLater) and 0 <= outcome.wait_s <= 3_600
