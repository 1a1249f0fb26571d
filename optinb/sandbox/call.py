"""What an endpoint of the sandbox gets and gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from optinb.sandbox.dashboard import AppGroup, DashboardCampaign
from optinb.sandbox.world import Change, World

T = TypeVar("T")
_KINDS = {"str": "a string", "int": "an integer", "bool": "a boolean", "array": "an array", "object": "an object"}


class Call(Struct, frozen=True):
    """An admitted request: who asks, when (aware), and what."""

    world: World
    group: AppGroup
    now: datetime
    path: str
    query: Mapping[str, str]
    body: bytes


class CallResult(Struct, frozen=True):
    """What an endpoint answers and changes."""

    payload: Mapping[str, object]
    status: int = 200
    changes: tuple[Change, ...] = ()


class RefusedError(Exception):
    """A refused request, with the status and message of the reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def decode(body: bytes, kind: type[T]) -> T:
    """The body as a value. Raises RefusedError with a text in the style of the recorded ones."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        message = str(error)
        path = re.search(r"`\$\.?([^`]*)`$", message)
        wanted = re.search(r"Expected `(\w+)", message)
        name = (path[1] if path else "") or "the request body"
        raise RefusedError(400, f"{name} must be {_KINDS.get(wanted[1], wanted[1]) if wanted else 'valid'}") from error
    except msgspec.DecodeError as error:
        raise RefusedError(400, "Error while parsing request body. Please check your syntax.") from error


def whole_number(query: Mapping[str, str], name: str, *, default: int | None, least: int, most: int | None) -> int:
    """A whole number of the query within its bounds. Raises RefusedError."""
    text = query.get(name)
    if text is None:
        if default is None:
            raise RefusedError(400, f"{name} is required")
        return default
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least or (most is not None and int(text) > most):
        raise RefusedError(
            400, f"{name} must be a whole number from {least}" + (f" to {most}" if most is not None else "")
        )
    return int(text)


def time_of(text: str | None, *, complaint: str) -> datetime:
    """An ISO 8601 time, with or without an offset. Raises RefusedError with the complaint."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise RefusedError(400, complaint) from error
    # the first and the last year can't be moved to another time zone
    if not 1 < at.year < 9999:
        raise RefusedError(400, complaint)
    return at


def known_campaign(call: Call, campaign_id: str | None) -> DashboardCampaign:
    """The campaign that a request names. Raises RefusedError."""
    if not campaign_id:
        raise RefusedError(400, "campaign_id is required")
    campaign = call.group.campaign(campaign_id)
    if campaign is None:
        raise RefusedError(400, "Invalid Campaign ID: no campaign was found for the campaign ID you provided")
    return campaign


def iso(moment: datetime) -> str:
    """A moment as Appboy writes it, such as `2026-11-23T18:30:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
