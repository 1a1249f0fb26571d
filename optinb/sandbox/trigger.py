"""Scheduling and sending in the sandbox: what is accepted, and what it becomes."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from optinb.sandbox.call import Call, CallResult, RefusedError, decode, known_campaign, time_of
from optinb.sandbox.dispatches import Dispatch, DispatchPlan, moment
from optinb.sandbox.world import Rescheduled, SendIdMade, Taken, World

if TYPE_CHECKING:
    from optinb.sandbox.dashboard import DashboardCampaign

MAX_RECIPIENTS = 50
MAX_SEND_ID = 64


class _Recipient(Struct, frozen=True):
    external_user_id: str | None = None
    user_alias: dict[str, Any] | None = None
    trigger_properties: dict[str, Any] | None = None
    send_to_existing_only: bool = True


class _Schedule(Struct, frozen=True):
    time: str | None = None
    in_local_time: bool = False
    at_optimal_time: bool = False


class _Body(Struct, frozen=True):
    campaign_id: str | None = None
    send_id: str | None = None
    broadcast: bool = False
    recipients: list[_Recipient] | None = None
    trigger_properties: dict[str, Any] | None = None
    schedule: _Schedule | None = None
    schedule_id: str | None = None


def schedule_create(call: Call) -> CallResult:
    """Takes a request for later."""
    body = decode(call.body, _Body)
    campaign = _sendable(call, body)
    if body.schedule is None:
        raise RefusedError(400, "schedule is required")
    plan = _plan(call, body.schedule)
    schedule_id = str(uuid.UUID(_token(call.world, "schedule")))
    dispatch = _dispatch(call, campaign, body, plan=plan, schedule_id=schedule_id)
    payload = {"dispatch_id": dispatch.dispatch_id, "schedule_id": schedule_id, "message": "success"}
    return CallResult(payload, 201, (Taken(call.path, dispatch),))


def send(call: Call) -> CallResult:
    """Takes a request for now."""
    body = decode(call.body, _Body)
    campaign = _sendable(call, body)
    dispatch = _dispatch(call, campaign, body, plan=DispatchPlan(call.now, call.now), schedule_id=None)
    payload = {"dispatch_id": dispatch.dispatch_id, "message": "success"}
    return CallResult(payload, 201, (Taken(call.path, dispatch),))


def schedule_update(call: Call) -> CallResult:
    """Replaces the schedule wholly, for everybody who has not got the message yet."""
    body = decode(call.body, _Body)
    dispatch = _scheduled(call, body)
    if body.schedule is None:
        raise RefusedError(400, "schedule is required")
    plans = (*_ended(dispatch, call.now), _plan(call, body.schedule))
    changed = msgspec.structs.replace(dispatch, plans=plans, schedule=msgspec.to_builtins(body.schedule))
    return CallResult({"message": "success"}, 201, (Rescheduled(call.path, changed, call.now, changed.schedule),))


def schedule_delete(call: Call) -> CallResult:
    """Recalls the message from everybody who has not got it yet."""
    dispatch = _scheduled(call, decode(call.body, _Body))
    changed = msgspec.structs.replace(dispatch, plans=_ended(dispatch, call.now))
    return CallResult({"message": "success"}, 201, (Rescheduled(call.path, changed, call.now, None),))


class _SendIdBody(Struct, frozen=True):
    campaign_id: str | None = None
    send_id: str | None = None


def send_id_create(call: Call) -> CallResult:
    """Makes a send_id that requests may bear, so that their figures are kept apart."""
    body = decode(call.body, _SendIdBody)
    campaign = known_campaign(call, body.campaign_id)
    send_id = body.send_id if body.send_id is not None else _token(call.world, f"send {len(call.world.send_ids)}")
    if not 0 < len(send_id) <= MAX_SEND_ID or not send_id.isascii():
        raise RefusedError(400, f"send_id must be 1 to {MAX_SEND_ID} ASCII characters")
    if (call.group.id, send_id) in call.world.send_ids:
        raise RefusedError(400, "send_id already exists")
    made = SendIdMade(call.group.id, campaign.id, send_id, call.now)
    return CallResult({"message": "success", "send_id": send_id}, 201, (made,))


def _sendable(call: Call, body: _Body) -> DashboardCampaign:
    """The campaign of a request that may go out. Raises RefusedError."""
    campaign = known_campaign(call, body.campaign_id)
    if campaign.schedule_type != "api_triggered":
        raise RefusedError(400, "Invalid Campaign ID: the campaign is not API-triggered")
    # no page tells the answers for the next three; a refusal shows the mistake where a silent success would hide it
    if campaign.draft:
        raise RefusedError(400, "Invalid Campaign ID: the campaign is a draft")
    if campaign.archived:
        raise RefusedError(400, "Invalid Campaign ID: the campaign is archived")
    if not campaign.enabled:
        raise RefusedError(400, "Invalid Campaign ID: the campaign is stopped")
    if not campaign.messages:
        raise RefusedError(400, "No message to send")
    if body.broadcast:
        raise RefusedError(
            400, "broadcast may not be true when recipients are given" if body.recipients else _NO_BROADCAST
        )
    if not body.recipients:
        raise RefusedError(
            400, "No Recipients: there are no external IDs or segment IDs or no push tokens in the request"
        )
    if len(body.recipients) > MAX_RECIPIENTS:
        raise RefusedError(400, "The max number of external_ids and aliases per request was exceeded")
    if body.send_id is not None and (call.group.id, body.send_id) not in call.world.send_ids:
        raise RefusedError(400, "Invalid send_id: create it with /sends/id/create first")
    return campaign


_NO_TIME = "Bad Request: Cannot parse send_at timestamp"
_NO_BROADCAST = "broadcast to a whole segment is not something the sandbox does; name the recipients"


def _dispatch(
    call: Call, campaign: DashboardCampaign, body: _Body, *, plan: DispatchPlan, schedule_id: str | None
) -> Dispatch:
    common = body.trigger_properties or {}
    merged: dict[str, dict[str, Any]] = {}
    for number, recipient in enumerate(body.recipients or ()):
        user = recipient.external_user_id
        if not user or recipient.user_alias is not None:
            raise RefusedError(400, f"recipients[{number}] must have exactly one identifier, an external_user_id")
        # the same recipient twice within a request is sent once; the first one's properties count
        if user not in merged:
            own = recipient.trigger_properties
            merged[user] = {**common, **own} if own else common
    rows = [{"external_user_id": user, "trigger_properties": properties} for user, properties in merged.items()]
    return Dispatch(
        number=len(call.world.dispatches),
        dispatch_id=_token(call.world, "dispatch"),
        schedule_id=schedule_id,
        app_group_id=call.group.id,
        campaign_id=campaign.id,
        send_id=body.send_id,
        taken_at=call.now,
        schedule=msgspec.to_builtins(body.schedule) if schedule_id is not None and body.schedule is not None else None,
        plans=(plan,),
        ids=tuple(merged),
        recipients=msgspec.json.encode(rows),
    )


def _plan(call: Call, schedule: _Schedule) -> DispatchPlan:
    """A checked schedule. Raises RefusedError."""
    at = time_of(schedule.time, complaint=_NO_TIME)
    if schedule.in_local_time or schedule.at_optimal_time:
        if at.tzinfo is not None:
            raise RefusedError(400, "schedule.time must not bear an offset with in_local_time or at_optimal_time")
        # the pages disagree whether the time must have passed in all zones or in the company's: the company's is
        # what the error's own text names
        if moment(at, call.group.time_zone) < call.now:
            raise RefusedError(400, "in_local_time is true but time has passed in your company's time zone")
    elif at.tzinfo is None:
        # not documented for a time without an offset; refused, because a guess would send at the wrong hour
        raise RefusedError(400, _NO_TIME)
    else:
        at = at.astimezone(UTC)
    if moment(at, "UTC") > call.now + timedelta(days=call.group.limits.days_ahead):
        raise RefusedError(400, f"schedule.time may be at most {call.group.limits.days_ahead} days ahead")
    return DispatchPlan(at, call.now)


def _scheduled(call: Call, body: _Body) -> Dispatch:
    """The dispatch that a request wants to change. Raises RefusedError."""
    campaign = known_campaign(call, body.campaign_id)
    number = call.world.by_schedule.get(body.schedule_id or "")
    dispatch = None if number is None else call.world.dispatches[number]
    if dispatch is None or dispatch.campaign_id != campaign.id or dispatch.app_group_id != call.group.id:
        raise RefusedError(400, "schedule_id must be a valid schedule id of the campaign")
    if dispatch.plans[-1].until is not None:
        raise RefusedError(400, "schedule_id was deleted already")
    return dispatch


def _ended(dispatch: Dispatch, now: datetime) -> tuple[DispatchPlan, ...]:
    return (*dispatch.plans[:-1], msgspec.structs.replace(dispatch.plans[-1], until=now))


def _token(world: World, kind: str) -> str:
    """32 hex digits, the same for the same world and the same number of requests."""
    return hashlib.blake2b(f"{world.seed}|{kind}|{len(world.dispatches)}".encode(), digest_size=16).hexdigest()
