"""What an answer, or a failure to get one, means for the batch that was posted. Pure.

Appboy has no idempotency key, so the question is always: may this have been sent? Where it may, the outcome is
`Unknown`, and nobody posts the same again by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

MAX_WAIT_S = 3600.0  # a rate window is a clock hour; a longer wait would come from a wrong clock
MAX_MESSAGE = 300


class RequestAccepted(Struct, frozen=True):
    """Appboy passed the batch on; `errors` name the recipients it did not take, in Appboy's words."""

    dispatch_id: str | None = None
    schedule_id: str | None = None
    errors: tuple[str, ...] = ()


class RequestRefused(Struct, frozen=True):
    """Nothing of this request is sent, and the same request would be refused again."""

    status: int
    message: str


class Stopped(Struct, frozen=True):
    """Nothing is sent, and nothing of the campaign will be until somebody follows the advice; no answer, no status."""

    status: int | None
    message: str
    advice: str


class RequestLater(Struct, frozen=True):
    """Nothing is sent; the same request may be made again, at the earliest in `wait_s` seconds (0: back off)."""

    wait_s: float
    message: str
    cause: Literal["rate_limit", "server", "not_sent"] = "server"


class RequestUnknown(Struct, frozen=True):
    """It may have been sent; never repeated without settling that first."""

    message: str


class NotTied(RequestUnknown, frozen=True):
    """An answer came, and it may be another request's: something between here and Appboy is broken."""


Outcome = RequestAccepted | RequestRefused | Stopped | RequestLater | RequestUnknown


class RateLimit(Struct, frozen=True):
    """The rate headers of an answer: requests in this window, how many are left, and when it ends (epoch seconds).

    `answered_at` is the answer's own date, in epoch seconds too: both are told by the server's clock.
    """

    limit: int
    remaining: int
    reset: float
    answered_at: float | None = None


NOT_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
)
"""Names of httpx failures that happen before a request is written."""

MAY_BE_SENT = frozenset(
    {
        # bases, and what only a wrong use of httpx raises: never seen, hence read carefully
        "HTTPError",
        "RequestError",
        "TransportError",
        "TimeoutException",
        "NetworkError",
        "ProtocolError",
        "HTTPStatusError",
        "TooManyRedirects",
        "StreamError",
        "StreamConsumed",
        "StreamClosed",
        "ResponseNotRead",
        "RequestNotRead",
        "CookieConflict",
        # a write that breaks may have been complete for the other side
        "WriteError",
        "WriteTimeout",
        "LocalProtocolError",
        "ReadError",
        "ReadTimeout",
        "CloseError",
        "RemoteProtocolError",
        "DecodingError",
    }
)
"""Names of httpx failures after which a request may have arrived."""

_CHECK = {
    401: "check the app group's key (or its id, in the way of 2015) and that `api` is the instance the key belongs to",
    403: "check in the dashboard that the key has the permission for this call, and that this machine's outgoing "
    "address is on the key's IP allow-list",
    404: "check the address in `api`; it is the REST endpoint of your instance, such as https://rest.iad-01.braze.com",
    405: "check the address in `api`; it is the REST endpoint of your instance, such as https://rest.iad-01.braze.com",
    407: "the proxy of this network wants a login; ask IT to let this machine through to the address in `api`",
    415: "something between this machine and Appboy changed the request; ask IT about the proxy",
}
_REDIRECTED = (
    "the address in `api` redirects elsewhere, and the key is never sent after a redirect; write the final one"
)
_OTHER = "check the address in `api` and the network between this machine and Appboy"
_CERTIFICATE = (
    "the server's certificate isn't trusted; check the address in `api`, and ask IT whether a proxy of this network "
    "opens TLS connections (its certificate then has to be installed here)"
)


class _Reply(Struct, frozen=True):
    message: str = ""
    dispatch_id: str | None = None
    schedule_id: str | None = None
    errors: tuple[Any, ...] | None = None


def meaning(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Outcome:
    """What a complete answer means; header names in lower case (or a case-insensitive mapping), `now` aware."""
    if 200 <= status < 300:
        return _taken(status, body)
    message = f"{status} {_phrase(status)}: {message_of(body)}"
    if status in (400, 413, 422):
        return RequestRefused(status, message)
    if status == 429:
        return RequestLater(wait_s(headers, now), message, "rate_limit")
    if status in (500, 502, 503):
        return RequestLater(retry_after_s(headers, now) or 0.0, message)
    if status >= 500 or status == 408:
        # 504 for certain; others of this kind come from gateways that nobody documents
        return RequestUnknown(message)
    if 300 <= status < 400:
        return Stopped(status, f"{status} {_phrase(status)}{_whereto(headers)}", _REDIRECTED)
    return Stopped(status, message, _CHECK.get(status, _OTHER))


def _taken(status: int, body: bytes) -> Outcome:
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except msgspec.DecodeError:
        return RequestUnknown(f"the answer ({status}) isn't Appboy's: {message_of(body)}")
    if reply.message != "success":
        return RequestUnknown(f"the answer ({status}) says {message_of(body)} instead of success")
    return RequestAccepted(reply.dispatch_id, reply.schedule_id, tuple(_as_text(error) for error in reply.errors or ()))


def meaning_of_failure(kind: str, text: str) -> Outcome:
    """What a failure without a complete answer means; `kind` is the name of httpx's exception, `text` its message."""
    told = short(f"{kind}: {text}" if text else kind)
    if kind in NOT_SENT:
        if "certificate" in text.casefold():
            return Stopped(None, told, _CERTIFICATE)
        return RequestLater(
            0.0, f"Appboy can't be reached: {told}; check the network and the address in `api`", "not_sent"
        )
    return RequestUnknown(f"no complete answer came: {told}")


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The rate headers of an answer, None where they are missing or empty."""
    limit, remaining, reset = (_number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset"))
    if limit is None or remaining is None or reset is None:
        return None
    at = _date(headers.get("date", ""))
    return RateLimit(int(limit), int(remaining), reset, None if at is None else at.timestamp())


def wait_s(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds to wait after a 429, at most MAX_WAIT_S; 0 where the headers don't say.

    The reset is compared with the answer's own Date, so that a wrong clock on this machine does no harm.
    """
    asked = retry_after_s(headers, now)
    if asked is not None:
        return asked
    reset = _number(headers.get("x-ratelimit-reset"))
    return 0.0 if reset is None else _capped(reset - _answered_at(headers, now).timestamp())


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that Retry-After asks for (a number or a date), at most MAX_WAIT_S; None where it is missing."""
    text = headers.get("retry-after")
    if not text:
        return None
    seconds = _number(text)
    if seconds is None:
        until = _date(text)
        if until is None:
            return None
        seconds = (until - _answered_at(headers, now)).total_seconds()
    return _capped(seconds)


def message_of(body: bytes) -> str:
    """What an answer's body tells a person: Appboy's message, or the beginning of whatever else it is."""
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except msgspec.DecodeError:
        reply = None
    if reply is not None and reply.message:
        errors = "; ".join(_as_text(error) for error in reply.errors or ())
        return short(f"{reply.message} ({errors})" if errors else reply.message)
    text = body[:4000].decode("utf-8", "replace")
    if "<html" in text.casefold() or "<!doctype" in text.casefold():
        title = re.search(r"<title[^>]*>(.*?)</title", text, re.IGNORECASE | re.DOTALL)
        return short(f"a web page{f' titled {short(title[1])!r}' if title else ''}, perhaps of a proxy or a login")
    return short(text.strip()) or "an empty answer"


def short(text: str) -> str:
    """A text on one line, cut to what fits a message."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _whereto(headers: Mapping[str, str]) -> str:
    """The host that an answer redirects to; a longer part of the address could echo anything."""
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        host = None
    return f", to {short(host)}" if host else ""


def _as_text(error: Any) -> str:
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unusual status"


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,15}(\.\d*)?", text.strip()) else None


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT_S)


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """When an answer was made by the other side's clock (aware), None where it doesn't say."""
    return _date(headers.get("date", ""))


def _answered_at(headers: Mapping[str, str], now: datetime) -> datetime:
    return date_of(headers) or now


@lru_cache(maxsize=64)  # a sender reads the same second in hundreds of answers
def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
