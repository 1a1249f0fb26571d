"""Where the size of a group is expected tonight, and what is told when it isn't there. Pure.

The forecast is the size of the same weekday a week ago, changed as it changed in a week lately: so a rhythm of weekdays
is no news, nor is a group that has always grown. The interval comes from the same change on the nights of the last
eight weeks: their mean, and Student's t with their scatter. Changes of a week that overlap repeat each other, so they
count as fewer: n (1 - r) / (1 + r), with r the correlation of neighbours, corrected for short rows (Kendall 1954), and
never under n / 7, as many as don't overlap. Changes are those of the logarithm, as groups grow by shares.

On sizes without any event a group leaves it on at most one night in a hundred (`FALSE_ALARMS`). What happened is told
once, and again when it has become twice as much; it doesn't widen the intervals of later weeks.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from math import expm1, log1p, sqrt
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.base.figures import many, share
from optinb.customers.moves import NOT_YET
from optinb.segments.group_history import Expectation, GroupNight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

FALSE_ALARMS = 0.01
"""The share of nights on which a group in which nothing happens is told at most."""

WEEK = timedelta(days=7)
LEARNT = 8 * WEEK
LEAST_CHANGES = 14
"""Changes of a week that must be known: nothing is said in the first three weeks of a group, or of its rule."""

# Half of what the intervals leave out: less than the stated share, since nights outside don't count afterwards.
_TAIL = 0.0025
# Nobody wants to hear of less, however steady a group was before.
LEAST_SHARE, LEAST_CUSTOMERS = 0.01, 5
UNKNOWN = "unknown"


def looked_at(nights: Sequence[GroupNight]) -> tuple[GroupNight, ...]:
    """The nights of a group (the oldest first), each with what was expected of it, and its alarm."""
    done: list[GroupNight] = []
    for one in nights:
        is_new = bool(done) and done[-1].rule != one.rule
        done.append(_judged(replace(one, has_new_rule=is_new), () if is_new else _of_same_rule(done)))
    return tuple(done)


def _of_same_rule(nights: Sequence[GroupNight]) -> Sequence[GroupNight]:
    """The newest nights, back to where the rule changed."""
    first = next((at for at in reversed(range(len(nights))) if nights[at].has_new_rule), 0)
    return nights[first:]


def _judged(tonight: GroupNight, before: Sequence[GroupNight]) -> GroupNight:
    known = {one.night: one for one in before if one.night >= tonight.night - LEARNT - WEEK}
    week_ago = known.get(tonight.night - WEEK)
    if week_ago is None:
        return tonight
    changes = [
        log1p(one.size) - log1p(known[one.night - WEEK].size)
        for one in known.values()
        if one.night >= tonight.night - LEARNT and one.night - WEEK in known and not one.is_outside
    ]
    expected = _expected(week_ago.size, changes)
    if expected is None or expected.low <= tonight.size <= expected.high:
        return replace(tonight, expected=expected)
    tonight = replace(tonight, expected=expected, is_outside=True)
    if _was_told(tonight, before):
        return tonight
    return replace(tonight, alarm=_words(tonight, week_ago.size, expected, [*before, tonight]))


def _was_told(tonight: GroupNight, before: Sequence[GroupNight]) -> bool:
    """Whether the size has been outside since that was told, and isn't twice as far outside by now."""
    later = tonight
    for one in reversed(before):
        if not one.is_outside or (_off(one) > 0) != (_off(tonight) > 0) or later.night - one.night >= WEEK:
            return False
        if one.alarm:
            return abs(_off(tonight)) < 2 * abs(_off(one))
        later = one
    return False


def _off(one: GroupNight) -> float:
    """How far a size is from what was expected, as a difference of logarithms."""
    return log1p(one.size) - log1p(one.expected.middle) if one.expected else 0.0


def _expected(week_ago: int, changes: Sequence[float]) -> Expectation | None:
    """Where the size is expected, by the changes of a week that were seen before; None with too few of them."""
    from scipy.special import stdtrit

    n = len(changes)
    if n < LEAST_CHANGES:
        return None
    mean = sum(changes) / n
    off = [change - mean for change in changes]
    whole = sum(one * one for one in off)
    apart = 0.0
    if whole > 0:
        r = sum(one * other for one, other in pairwise(off)) / whole
        r = min(max(r + (1 + 3 * r) / n, 0.0), 0.95)
        count = max(n * (1 - r) / (1 + r), n / 7)
        variance = whole / n * count / (count - 1)
        apart = float(stdtrit(count - 1, 1 - _TAIL)) * sqrt(variance * (1 + 1 / count))
    low, middle, high = (expm1(log1p(week_ago) + mean + by) for by in (-apart, 0.0, apart))
    least = max(LEAST_SHARE * middle, LEAST_CUSTOMERS)
    return Expectation(low=max(min(low, middle - least), 0.0), middle=max(middle, 0.0), high=max(high, middle + least))


def _words(tonight: GroupNight, week_ago: int, expected: Expectation, nights: Sequence[GroupNight]) -> str:
    """What is told of a night outside: by how much the group changed in a week, and where most came from."""
    size, is_more = tonight.size, tonight.size > week_ago
    if is_more != (size > expected.high) or size == week_ago:
        # it went on as it was, or too little the way that was expected
        return (
            f"{tonight.name} has {many(size, 'customer')} ({week_ago:,} a week ago), where "
            f"{expected.low:,.0f} to {expected.high:,.0f} were expected"
        )
    whence = _whence(nights, since=tonight.night - WEEK, is_more=is_more)
    if size >= 10 * week_ago:
        return f"{tonight.name} grew from {week_ago:,} to {many(size, 'customer')} in a week{whence}"
    part = share(abs(size - week_ago) / week_ago, decimals=0)
    return f"{tonight.name} {'grew' if is_more else 'shrank'} by {part} in a week, to {many(size, 'customer')}{whence}"


def _whence(nights: Sequence[GroupNight], *, since: date, is_more: bool) -> str:
    """Where most of those came from, or went to, who are in the group, or aren't any more, since a night."""
    net: dict[str, int] = {}
    for one in nights:
        if one.night > since:
            for counts, sign in ((one.came_from, 1), (one.went_to, -1)):
                for stage, count in counts.items():
                    net[stage] = net.get(stage, 0) + sign * count
    told = whence(net, is_more=is_more)
    return f"; {told}" if told else ""


def whence(net: Mapping[str, int], *, is_more: bool) -> str:
    """Where most of those came from, or went to, by whom a group is larger, or smaller; empty where that isn't known.

    Args:
        net: how many more came from each lifecycle stage than went to it.
        is_more: whether the group grew.
    """
    sign = 1 if is_more else -1
    gains = {stage: sign * count for stage, count in net.items() if sign * count > 0}
    if not gains:
        return ""
    stage = max(gains, key=lambda name: gains[name])
    part = gains[stage] / sum(gains.values())
    if stage == UNKNOWN:
        return ""
    who = "most" if part > 0.5 else f"the largest part ({share(part, decimals=0)})"
    if stage == NOT_YET:
        return f"{who} {'are new customers' if is_more else 'are no customers any more'}"
    return f"{who} {'came from' if is_more else 'went to'} {stage}"
