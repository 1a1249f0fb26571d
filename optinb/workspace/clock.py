"""What time it is: the machine's clock, or a pretended one for rehearsals against a sandbox."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from optinb.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.settings import Settings

VARIABLE = "OPTINB_NOW"


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
    real = [group.name for group in settings.app_groups if not group.is_loopback]
    if real:
        raise SettingsError(
            f"{VARIABLE} pretends a time, which is only for rehearsals, but app group {real[0]!r} is not a sandbox on "
            f"this machine; unset {VARIABLE}"
        )
    return clock_starting_at(start.astimezone(UTC))
