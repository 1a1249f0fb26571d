"""How fast Appboy may be asked what became of recipients: a value, and what each request makes of it. Pure.

Two limits hold at once. Newer accounts may make 250 exports a minute; and whatever is asked leaves an app group's
requests of the hour to its sends, of which exports use a fiftieth, whether or not Appboy counts them among these.
Times are seconds since 1970, and Appboy's hours are those of the clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.delivery.pace import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Iterable

A_MINUTE = 250  # exports that Appboy allows newer accounts
AT_ONCE = 10  # that may follow each other without a wait, after a rest
INTERVAL_S = 60.0 / (A_MINUTE - AT_ONCE)  # so that no minute, wherever it begins, has more than 250
SHARE = 0.02
"""The most that exports use of an app group's requests in an hour."""
USERS_A_REQUEST = 50


class ExportPace(Struct, frozen=True, kw_only=True):
    """What was asked of an app group in a clock hour, and when the next request may go out.

    Attributes:
        an_hour: the most requests in a clock hour.
        hour: of which `used` counts the requests, in hours since 1970.
        used: requests in that hour.
        slot: when the next one is due at an even pace.
    """

    an_hour: int
    hour: int = 0
    used: int = 0
    slot: float = 0.0


def allowance(limit_an_hour: int) -> int:
    """The most exports in an hour by an app group's limit of requests: a fiftieth, and always one."""
    return max(1, math.floor(limit_an_hour * SHARE))


def started(*, limit_an_hour: int, used: int, now: float) -> ExportPace:
    """The pace of whoever begins to ask, after so many requests in this clock hour by others."""
    return ExportPace(an_hour=allowance(limit_an_hour), hour=int(now // HOUR_S), used=used, slot=now)


def next_export(pace: ExportPace, now: float) -> tuple[ExportPace, float]:
    """Asks for the next request: 0 and it is counted, or the seconds after which to ask again."""
    hour = int(now // HOUR_S)
    used = pace.used if hour == pace.hour else 0
    if used >= pace.an_hour:
        return pace, (hour + 1) * HOUR_S - now
    # whoever rested may be quick for a few, and never for more
    due = max(pace.slot, now - (AT_ONCE - 1) * INTERVAL_S)
    if now < due:
        return pace, due - now
    return replace(pace, hour=hour, used=used + 1, slot=due + INTERVAL_S), 0.0


def ids_by_request(places: Iterable[int], *, size: int = USERS_A_REQUEST) -> list[tuple[int, ...]]:
    """The places of each request, in order."""
    found = list(places)
    return [tuple(found[at : at + size]) for at in range(0, len(found), size)]
