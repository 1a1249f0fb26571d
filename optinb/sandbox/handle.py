"""What Appboy answers: `handle(world, request, now)` decides on a reply and on what changes, and does neither.

The front door is here (address, credential, allow-list, permission, rate limit); each endpoint's own rules are in
`trigger`, `reading` and `series`. No socket, clock or file is used. Statuses and texts follow the vendor's pages and
recorded traffic; where nobody has published an answer a comment says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from optinb.sandbox import reading, series, trigger
from optinb.sandbox.call import Call, CallResult, RefusedError
from optinb.sandbox.dashboard import AppGroup, Key, Limits
from optinb.sandbox.world import Change, Counted, World


class SandboxRequest(Struct, frozen=True):
    """One HTTP request; header names in lower case, `client` is the caller's IP address."""

    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    client: str = "127.0.0.1"


class Reply(Struct, frozen=True):
    """One HTTP reply; the body is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes


class Handled(Struct, frozen=True):
    """A reply and the changes that go with it."""

    reply: Reply
    changes: tuple[Change, ...] = ()


class _Limit(Struct, frozen=True):
    """A rate limit: its name, and where an app group's figure and the length of the window in seconds stand."""

    name: str
    allowed: Callable[[Limits], int]
    window_s: Callable[[Limits], int]


class Endpoint(Struct, frozen=True):
    """An endpoint of the API: how it is called, by whom, how often, and what it does."""

    method: str
    permission: str
    run: Callable[[Call], CallResult]
    limit: _Limit


_HOURLY = _Limit("hour", lambda limits: limits.an_hour, lambda limits: limits.hour_s)
_EXPORTS = _Limit("export", lambda limits: limits.export_a_minute, lambda _: 60)
_SEND_IDS = _Limit("send_ids", lambda limits: limits.send_ids_a_day, lambda _: 86_400)

ENDPOINTS: dict[str, Endpoint] = {
    "/campaigns/list": Endpoint("GET", "campaigns.list", reading.campaigns_list, _HOURLY),
    "/campaigns/details": Endpoint("GET", "campaigns.details", reading.campaigns_details, _HOURLY),
    "/campaigns/data_series": Endpoint("GET", "campaigns.data_series", series.campaign_series, _HOURLY),
    "/sends/data_series": Endpoint("GET", "sends.data_series", series.send_series, _HOURLY),
    "/campaigns/trigger/schedule/create": Endpoint(
        "POST", "campaigns.trigger.schedule.create", trigger.schedule_create, _HOURLY
    ),
    "/campaigns/trigger/schedule/update": Endpoint(
        "POST", "campaigns.trigger.schedule.update", trigger.schedule_update, _HOURLY
    ),
    "/campaigns/trigger/schedule/delete": Endpoint(
        "POST", "campaigns.trigger.schedule.delete", trigger.schedule_delete, _HOURLY
    ),
    "/campaigns/trigger/send": Endpoint("POST", "campaigns.trigger.send", trigger.send, _HOURLY),
    "/sends/id/create": Endpoint("POST", "sends.id.create", trigger.send_id_create, _SEND_IDS),
    "/users/export/ids": Endpoint("POST", "users.export.ids", reading.users_export_ids, _EXPORTS),
}
PERMISSIONS = tuple(endpoint.permission for endpoint in ENDPOINTS.values())


def handle(world: World, request: SandboxRequest, now: datetime) -> Handled:
    """What Appboy answers to a request at a moment (aware), and what that changes; the world stays as it is."""
    endpoint = ENDPOINTS.get(request.path.rstrip("/"))
    if endpoint is None or endpoint.method != request.method:
        return Handled(_reply(404, {"message": "Not Found"}))
    if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
        return Handled(_reply(415, {"message": "Unsupported Media Type: send application/json"}))
    try:
        group, key = _who(world, request)
    except RefusedError as refused:
        # recorded: an unknown caller gets the rate headers, but empty
        return Handled(_reply(refused.status, {"message": refused.message}, _rate_headers()))
    allowed = key.allowed_addresses if key is not None else group.allowed_addresses
    if allowed and request.client not in allowed:
        # no page tells the status for a caller off the allow-list
        return Handled(_reply(403, {"message": "Access Denied: this IP address is not allow-listed"}, _rate_headers()))
    if key is not None and key.permissions is not None and endpoint.permission not in key.permissions:
        message = f"Access Denied: this REST API key lacks the permission {endpoint.permission}"
        return Handled(_reply(403, {"message": message}, _rate_headers()))
    return _within_limit(world, group, endpoint, request, now)


def _within_limit(world: World, group: AppGroup, endpoint: Endpoint, request: SandboxRequest, now: datetime) -> Handled:
    limit = endpoint.limit
    allowed = limit.allowed(group.limits)
    window_s = limit.window_s(group.limits)
    window = int(now.timestamp()) // window_s
    known, count = world.counts.get((group.id, limit.name), (window, 0))
    used = count if known == window else 0
    reset = (window + 1) * window_s
    if used >= allowed:
        return Handled(_reply(429, {"message": "You have exceeded your rate limit"}, _rate_headers(allowed, 0, reset)))
    counted = Counted((group.id, limit.name), window)
    headers = _rate_headers(allowed, allowed - used - 1, reset)
    try:
        answer = endpoint.run(Call(world, group, now, request.path.rstrip("/"), request.query, request.body))
    except RefusedError as refused:
        return Handled(_reply(refused.status, {"message": refused.message}, headers), (counted,))
    return Handled(_reply(answer.status, answer.payload, headers), (counted, *answer.changes))


def _who(world: World, request: SandboxRequest) -> tuple[AppGroup, Key | None]:
    """The app group that calls, with its key unless it came in by the way of 2015. Raises RefusedError."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        for group in world.app_groups.values():
            for key in group.keys:
                if key.key == token.strip() and group.auth != "app_group_id":
                    return group, key
        raise RefusedError(401, f"Invalid API key: {token.strip()}")
    claimed = _claimed_app_group(request)
    if claimed is None:
        raise RefusedError(401, "Invalid API key: ")
    group = world.app_groups.get(claimed)
    if group is None or group.auth == "rest_api_key":
        raise RefusedError(401, f"Invalid or missing App Group API Identifier: {claimed}")
    return group, None


def _claimed_app_group(request: SandboxRequest) -> str | None:
    """The app_group_id that a request names in its body or query."""
    if request.method == "GET":
        return request.query.get("app_group_id")
    try:
        return msgspec.json.decode(request.body, type=_Claim).app_group_id
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        raise RefusedError(400, "Error while parsing request body. Please check your syntax.") from error


class _Claim(Struct, frozen=True):
    app_group_id: str | None = None


def _rate_headers(limit: int | str = "", remaining: int | str = "", reset: int | str = "") -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }


def _reply(status: int, payload: object, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, msgspec.json.encode(payload))
