"""What a rehearsal pretends: another time than the machine's, and another sandbox than the settings name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec.structs import asdict, replace

from optinb.base.settings import RehearsedGroup, Settings
from optinb.errors import SettingsError

VARIABLE = "OPTINB_NOW"
SANDBOX = "OPTINB_SANDBOX"


def system_clock() -> datetime:
    """The machine's time, in UTC."""
    return datetime.now(UTC)


def clock_starting_at(start: datetime) -> Callable[[], datetime]:
    """A clock that shows `start` now and goes on ticking."""
    begun = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - begun)


def is_pretended() -> bool:
    """Whether OPTINB_NOW pretends a time. Each process then begins its clock anew, and one may be behind another."""
    return bool(os.environ.get(VARIABLE, "").strip())


def clock_for(settings: Settings) -> Callable[[], datetime]:
    """The machine's clock, unless OPTINB_NOW pretends another time.

    A pretended time could send yesterday's campaign, so it is taken only where every app group is a sandbox on this
    machine. Raises SettingsError otherwise.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return system_clock
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{VARIABLE} is {text!r}; write a time such as 2026-11-23T02:00:00+01:00") from error
    if start.tzinfo is None:
        start = start.replace(tzinfo=settings.zone)
    _only_sandboxes(settings, VARIABLE, "pretends a time")
    return clock_starting_at(start.astimezone(UTC))


def on_sandbox(settings: Settings) -> Settings:
    """The settings with the address of OPTINB_SANDBOX in every app group, where it is set.

    Raises SettingsError unless that address, and every app group's own, is a sandbox on this machine.
    """
    address = os.environ.get(SANDBOX, "").strip()
    if not address:
        return settings
    groups = tuple(
        RehearsedGroup(**{**asdict(group), "api": address}, named=group.api) for group in settings.app_groups
    )
    _only_sandboxes(settings, SANDBOX, "names a sandbox")
    _only_sandboxes(replace(settings, app_groups=groups), SANDBOX, "names a sandbox")
    return replace(settings, app_groups=groups)


def _only_sandboxes(settings: Settings, variable: str, does: str) -> None:
    real = [group.name for group in settings.app_groups if not group.is_loopback]
    if real:
        raise SettingsError(
            f"{variable} {does}, which is only for rehearsals, but app group {real[0]!r} is not a sandbox on this "
            f"machine; unset {variable}"
        )
