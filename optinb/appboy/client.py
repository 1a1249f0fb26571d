"""The client of the Appboy API: one app group, over httpx."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import msgspec

from optinb.appboy import wire
from optinb.appboy.guard import Withheld, last_look
from optinb.appboy.lines import HeldBody, transport_to
from optinb.appboy.outcome import (
    NotTied,
    Outcome,
    RateLimit,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    Stopped,
    date_of,
    meaning,
    meaning_of_failure,
    message_of,
    rate_limit,
    short,
)
from optinb.appboy.secret import Secret, read_key, redactor, without_frames
from optinb.appboy.tied import ids_of, seen_of, why_not_tied
from optinb.errors import AppboyError, SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    from optinb.base.settings import AppGroupSettings

T = TypeVar("T")

PAGE_SIZE = 100
MAX_PAGES = 1000
MAX_DAYS_AHEAD = 90
READ_TRIES = 5
MAX_READ_WAIT_S = 60.0
MAX_ANSWER_BYTES = 32 * 2**20
WRITE_S = 5.0
"""How long a request may take to leave this machine: a sender's hold has to outlast it, and `lines.GONE_S` after it."""
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "optinb"}
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)


class CallError(AppboyError):
    """A reading call that failed, with its `outcome`."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class _Answer(msgspec.Struct, frozen=True):
    """A complete answer; `doubt`: why it may be another request's."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    doubt: str | None = None

    def meaning(self, now: datetime) -> Outcome:
        return NotTied(self.doubt) if self.doubt else meaning(self.status, self.headers, self.body, now)


class AppboyClient:
    """Calls the API of one app group; may be shared by threads. A context manager.

    Calls that send return an Outcome and never repeat themselves; calls that only read repeat on 429, 5xx and broken
    connections, with capped waits, and raise AppboyError with what to check. The key is read when it is first needed
    (SettingsError if it isn't there) and appears in no text that comes out of here. `timeout_s` bounds connecting,
    and the time to a complete answer; `read_tries` is how often a reading call is made at most.

    Attributes: `rate_limit` of the newest answer that bore one.
    """

    def __init__(
        self,
        group: AppGroupSettings,
        *,
        timeout_s: float = 30.0,
        read_tries: int = READ_TRIES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.group = group
        self.rate_limit: RateLimit | None = None
        self._dated: tuple[Mapping[str, str], datetime] | None = None
        self._timeout_s = timeout_s
        self._read_tries = read_tries
        self._sleep = sleep
        self._clock = clock
        self._key: Secret | None = None
        self._without_key: Callable[[bytes], bytes] = lambda body: body
        self._key_lock = threading.Lock()
        self._base = group.api.rstrip("/")
        self._urls: dict[str, httpx.URL] = {}  # reading an address takes longer than all else of a request's making
        self._timeouts = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0), write=min(timeout_s, WRITE_S)).as_dict()
        # one address needs one transport; a client around it would look for cookies, redirects and logins in every
        # answer, which costs a tenth of a sender's rate
        self._transport = transport or transport_to(group)
        self._seen = seen_of(group.api, group.id)

    def __repr__(self) -> str:
        return f"AppboyClient({self.group.name!r}, {self.group.api!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    @property
    def answered_at(self) -> datetime | None:
        """When the newest answer was made by Appboy's clock, in UTC; None where it didn't say."""
        return date_of(self._dated[0]) if self._dated else None

    @property
    def clock_ahead_s(self) -> float | None:
        """Seconds by which Appboy's clock was ahead of ours in the newest answer; None where it didn't say."""
        date = self.answered_at
        return (date - self._dated[1]).total_seconds() if date and self._dated else None

    def schedule(self, request: wire.ScheduleRequest) -> Outcome:
        """Asks for a message to a batch at a later time. One request, no repetition."""
        outcome = self._post("/campaigns/trigger/schedule/create", request, schedule=request.schedule)
        if isinstance(outcome, RequestAccepted) and outcome.schedule_id is None:
            return NotTied("the answer says success and names no schedule, so it may be another request's")
        return outcome

    def remember(self, ids: Iterable[str]) -> None:
        """Keeps ids of earlier answers, as a journal has them: an answer that bears one again isn't believed."""
        for text in ids:
            self._seen.claim((text,))

    def send_now(self, request: wire.SendRequest) -> Outcome:
        """Asks for a message to a batch at once; for test sends."""
        return self._post("/campaigns/trigger/send", request)

    def reschedule(self, campaign_id: str, schedule_id: str, schedule: wire.WireSchedule) -> Outcome:
        """Replaces the schedule of an accepted batch; close to its time it may be too late for some."""
        body = wire.Reschedule(campaign_id, schedule_id, schedule)
        return self._post("/campaigns/trigger/schedule/update", body, schedule=schedule, schedule_id=schedule_id)

    def unschedule(self, campaign_id: str, schedule_id: str) -> Outcome:
        """Recalls an accepted batch; close to its time it may be too late for some."""
        body = wire.ScheduleKey(campaign_id, schedule_id)
        return self._post("/campaigns/trigger/schedule/delete", body, schedule_id=schedule_id)

    def campaigns(self, include_archived: bool = False) -> list[wire.CampaignLine]:
        """Every campaign of the app group, all pages. Raises AppboyError."""
        found: dict[str, wire.CampaignLine] = {}
        for page in range(MAX_PAGES):
            query = {"page": page, "include_archived": str(include_archived).lower(), "sort_direction": "asc"}
            answer = self._read("GET", "/campaigns/list", wire.CampaignList, query=query)
            # a campaign made or deleted meanwhile moves the others between pages
            found.update((campaign.id, campaign) for campaign in answer.campaigns)
            if len(answer.campaigns) < PAGE_SIZE:
                return list(found.values())
        raise AppboyError(f"{self._name} has more than {MAX_PAGES * PAGE_SIZE:,} campaigns; archive the old ones")

    def campaign_details(self, campaign_id: str) -> wire.CampaignDetails:
        """One campaign with its messages. Raises AppboyError."""
        return self._read("GET", "/campaigns/details", wire.CampaignDetails, query={"campaign_id": campaign_id})

    def create_send_id(self, campaign_id: str, send_id: str | None = None) -> str:
        """Makes a send_id (100 a day) and returns it. Raises AppboyError."""
        body, of_the_hour = wire.SendIdRequest(campaign_id, send_id), self.rate_limit
        try:
            return self._read("POST", "/sends/id/create", wire.SendId, body=body, repeatable=False).send_id
        finally:
            self.rate_limit = of_the_hour  # a sender would take the day's limit of this call for its own

    def export_users(self, external_ids: Iterable[str], fields: Iterable[str]) -> wire.Exported:
        """What Appboy knows of up to 50 users. Raises AppboyError."""
        body = wire.ExportRequest(tuple(external_ids), tuple(fields))
        if not 1 <= len(body.external_ids) <= wire.MAX_EXPORTED:
            raise AppboyError(
                f"an export takes 1 to {wire.MAX_EXPORTED} users, not {len(body.external_ids)}; split them"
            )
        return self._read("POST", "/users/export/ids", wire.Exported, body=body)

    def campaign_series(
        self, campaign_id: str, *, days: int = wire.SERIES_DAYS, ending_at: datetime | None = None
    ) -> tuple[wire.SeriesDay, ...]:
        """Daily figures of a campaign, 1 to 100 days until `ending_at` (aware; now if None). Raises AppboyError."""
        query = {"campaign_id": campaign_id, **_span(days, ending_at)}
        return self._read("GET", "/campaigns/data_series", wire.Series, query=query).data

    def send_series(
        self, campaign_id: str, send_id: str, *, days: int = wire.SERIES_DAYS, ending_at: datetime | None = None
    ) -> tuple[wire.SeriesDay, ...]:
        """Daily figures of one send_id, which Appboy keeps for 14 days. Raises AppboyError."""
        query = {"campaign_id": campaign_id, "send_id": send_id, **_span(days, ending_at)}
        return self._read("GET", "/sends/data_series", wire.Series, query=query).data

    @property
    def _name(self) -> str:
        return f"app group {self.group.name!r}"

    def _post(
        self,
        path: str,
        body: msgspec.Struct,
        *,
        schedule: wire.WireSchedule | None = None,
        schedule_id: str | None = None,
    ) -> Outcome:
        now = self._clock()
        # a sandbox has a clock of its own, and sees to the limit itself
        if schedule is not None and not self.group.is_loopback and _too_far(schedule, now):
            return RequestRefused(400, f"{schedule.time} is more than {MAX_DAYS_AHEAD} days ahead; schedule it later")
        try:
            answer = self._call("POST", path, body=body, schedule_id=schedule_id)
        except SettingsError as error:
            return Stopped(None, str(error), "then run it again")
        except Withheld as withheld:
            return withheld.outcome()
        except FAILURES as error:
            return meaning_of_failure(type(error).__name__, self._redacted(str(error)))
        return answer.meaning(now)

    def _read(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, Any] | None = None,
        body: msgspec.Struct | None = None,
        repeatable: bool = True,
    ) -> T:
        """The answer of a call as a value, after as many tries as it takes. Raises AppboyError."""
        waited_s = 0.0
        for attempt in range(1, self._read_tries + 1):
            answer: _Answer | None = None
            cause: BaseException | None = None
            try:
                answer = self._call(method, path, query=query, body=body)
                outcome = answer.meaning(self._clock())
            except FAILURES as error:
                cause = without_frames(error)
                outcome = meaning_of_failure(type(error).__name__, self._redacted(str(error)))
            if answer is not None and 200 <= answer.status < 300 and not answer.doubt:
                return self._decoded(path, answer, kind)
            again = isinstance(outcome, RequestLater) or (repeatable and isinstance(outcome, RequestUnknown))
            wait_s = max(outcome.wait_s if isinstance(outcome, RequestLater) else 0.0, _backoff_s(attempt))
            if not again or attempt == self._read_tries or waited_s + wait_s > MAX_READ_WAIT_S:
                raise CallError(self._complaint(path, outcome, attempt), outcome) from cause
            waited_s += wait_s
            self._sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _decoded(self, path: str, answer: _Answer, kind: type[T]) -> T:
        try:
            return msgspec.convert(_without_nulls(msgspec.json.decode(answer.body)), kind, strict=False)
        except msgspec.ValidationError as error:
            what = f"unexpected content ({error})"
        except msgspec.DecodeError:
            what = message_of(answer.body)
        raise CallError(
            f"{self._name} ({self.group.api}) answered {path} with {what}: "
            "check the address in `api`, and whether a proxy or a login page stands between",
            RequestUnknown(short(what)),
        )

    def _complaint(self, path: str, outcome: Outcome, tries: int) -> str:
        """What a person reads when a reading call has failed."""
        start = f"{self._name} ({self.group.api}): {path}: "
        match outcome:
            case Stopped(message=message, advice=advice):
                return f"{start}{message}; {advice}"
            case RequestLater(wait_s=wait, message=message, cause="rate_limit"):
                minutes = f"in {wait / 60:.0f} minutes" if wait >= 60 else "in a minute"
                return f"{start}{message}; the app group's requests for this window are used up: try again {minutes}"
            case RequestLater(message=message) | RequestUnknown(message=message):
                times = "once" if tries == 1 else f"{tries} times"
                return f"{start}{message}; tried {times}: try again later, or look at the vendor's status page"
            case RequestRefused(message=message):
                return f"{start}{message}"
            case RequestAccepted():
                return f"{start}an answer that can't be read"

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: msgspec.Struct | None = None,
        schedule_id: str | None = None,
    ) -> _Answer:
        """One request and its complete answer. Raises httpx errors, and SettingsError without a key.

        `schedule_id`: the one that is asked about, which the answer may name.
        """
        # unlike a dict, they don't show a credential to whoever prints them
        headers = httpx.Headers(_HEADERS)
        params = dict(query or {})
        content = None if body is None else msgspec.json.encode(body)
        if self.group.auth == "rest_api_key":
            headers["Authorization"] = f"Bearer {self._secret()}"
        elif content is None:
            params["app_group_id"] = self.group.id
        else:
            content = b'{"app_group_id":' + msgspec.json.encode(self.group.id) + b"," + content[1:]
        if content is not None:
            headers["Content-Type"] = "application/json"
        deadline = time.monotonic() + self._timeout_s
        request = httpx.Request(
            method,
            self._url(path),
            params=params or None,
            headers=headers,
            content=content,
            extensions={"timeout": self._timeouts, **last_look()},
        )
        response = self._transport.handle_request(request)
        held, keep = HeldBody(response), False
        try:
            chunks, size = [], 0
            for chunk in response.iter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError(f"the answer is longer than {MAX_ANSWER_BYTES // 2**20} MB")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"the answer wasn't complete after {self._timeout_s:g} s")
            answered, content = dict(response.headers), b"".join(chunks)
            ids = ids_of(answered, content, asked=schedule_id)
            doubt = why_not_tied(answered, ids, self._seen, left=held.is_followed())
            # of what bears no id, a copy that comes late couldn't be told from the next answer
            keep = doubt is None and bool(ids) and 200 <= response.status_code < 300
        finally:
            held.release(keep=keep)
        if doubt is None:
            self.rate_limit = rate_limit(answered) or self.rate_limit
            self._dated = answered, self._clock()
        return _Answer(response.status_code, answered, self._without_key(content), doubt)

    def _url(self, path: str) -> httpx.URL:
        if path not in self._urls:
            self._urls[path] = httpx.URL(self._base + path)
        return self._urls[path]

    def _secret(self) -> Secret:
        with self._key_lock:
            if self._key is None:
                self._key = read_key(self.group.key or "")
                self._without_key = redactor(self._key)
            return self._key

    def _redacted(self, text: str) -> str:
        return self._without_key(text.encode()).decode()


def _span(days: int, ending_at: datetime | None) -> dict[str, Any]:
    if not 1 <= days <= 100:
        raise AppboyError(f"a series has 1 to 100 days, not {days}")
    return {"length": days} | ({} if ending_at is None else {"ending_at": ending_at.isoformat()})


def _backoff_s(attempt: int) -> float:
    return min(0.5 * 2 ** (attempt - 1), 10.0) * random.uniform(0.5, 1.0)


def _too_far(schedule: wire.WireSchedule, now: datetime) -> bool:
    at = datetime.fromisoformat(schedule.time)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) > now + timedelta(days=MAX_DAYS_AHEAD)


def _without_nulls(value: Any) -> Any:
    """A JSON value without its null members: the vendor writes null where a field has no value."""
    match value:
        case dict():
            return {name: _without_nulls(item) for name, item in value.items() if item is not None}
        case list():
            return [_without_nulls(item) for item in value]
        case _:
            return value
