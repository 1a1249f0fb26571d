"""When customers may get a template again, and what becomes of a campaign that comes sooner. Pure.

Appboy counts the window in seconds from the last receipt, which is some minutes after the time of the schedule. Its own
example: with a window of one day, who gets a message that is due at 8:00 by 8:30 misses that of the next day at 8:00.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from shlex import quote
from typing import TYPE_CHECKING

from msgspec import UNSET

from optinb.appboy.template_rules import again_words
from optinb.campaigns.schedule import LOOK_AHEAD_DAYS
from optinb.rules import AllOf, AnyOf, Contacted, Not, Rule
from optinb.rules.values import Last

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from optinb.appboy import TemplateRules
    from optinb.campaigns.campaign import Campaign
    from optinb.campaigns.outlook import Going
    from optinb.campaigns.record import CampaignRecord
    from optinb.campaigns.schedule import Clock, Schedule

LATE = timedelta(minutes=30)  # of a receipt after its schedule, as in Appboy's example
_DRAFT = "once it is kept as a draft"  # a rule names known campaigns only
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# By so much two sends may be nearer to each other for one customer than their days are apart, beyond what the
# workspace's own zone shows: customers' own clocks change by an hour, and Appboy may choose any time of a day.
NEARER: dict[Clock, timedelta] = {"workspace": timedelta(), "local": _HOUR, "optimal": _DAY + _HOUR}
NOT_OUT = ("draft", "submitted", "rejected")


def shortest_gap(schedule: Schedule, *, since: date, zone: ZoneInfo) -> timedelta | None:
    """The shortest time between two sends of a schedule; None where it goes out once at most.

    Args:
        schedule: of a campaign.
        since: the day from which on it is looked at, and from its start where that is earlier.
        zone: of the workspace, whose clocks change.
    """
    if schedule.every is None:
        return None
    first = min(schedule.night_of(schedule.start), since) if schedule.start else since
    nights = schedule.nights(first, days=2 * LOOK_AHEAD_DAYS + (since - first).days)
    moments = [schedule.send_at(night, zone) for night in nights]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return max(min(gaps) - NEARER[schedule.clock], timedelta()) if gaps else None


def comes_too_soon(window: timedelta | None, gap: timedelta) -> bool:
    """Whether the next send misses who got the one before. A window of None is never, and one of zero any time."""
    return window is None or (window > timedelta() and gap <= window + LATE)


def longest_window_s(gap: timedelta) -> int:
    """The longest window, in whole hours or days, with which sends so far apart reach everybody; 0: any time."""
    hours = -((LATE - gap) // _HOUR) - 1
    hours -= hours % 24 if hours >= 48 else 0
    return max(hours, 0) * 3_600


def leaves_out(rule: Rule, name: str, window: timedelta | None, *, clock: Clock = "workspace") -> bool:
    """Whether a rule chooses nobody who received a campaign and may not get its template again yet.

    It does where `~received(name)`, or `~received()`, is one of the rules that must all hold; one of the last days only
    where these cover the window.

    Args:
        rule: one in which the groups that it names are in their places.
        name: of the campaign.
        window: how long a template may not be had again; None for ever.
        clock: of the campaign.
    """
    return any(
        part.what == "received"
        and part.campaign in (None, name)
        and part.times == 1
        and (part.window is None or (isinstance(part.window, Last) and _covers(part.window.days, window, clock)))
        for part in _denied(rule)
    )


def times_each(campaign: Campaign, rules: TemplateRules, rule: Rule, goes_out: Sequence[Going]) -> int:
    """How many of some sends of a campaign the same customer gets at most, by its template and its target group.

    Args:
        campaign: the one that goes out.
        rules: what is stated of its template.
        rule: of its target group, in which the groups that it names are in their places.
        goes_out: its sends, in their order.
    """
    had = [one for one in _denied(rule) if one.what == "received" and one.campaign in (None, campaign.name)]
    days = [one.window.days for one in had if one.times == 1 and isinstance(one.window, Last)]
    if rules.window is None or any(one.times == 1 and one.window is None for one in had):
        return min(len(goes_out), 1)
    count, last = 0, None
    for one in goes_out:
        is_free = last is None or (
            not comes_too_soon(rules.window, one.at - last.at) and (one.day - last.day).days > max(days, default=0)
        )
        if is_free:
            count, last = count + 1, one
    return count


def why_not_again(
    campaign: Campaign, rules: TemplateRules, rule: Rule, *, template: str, since: date, zone: ZoneInfo
) -> str | None:
    """Why a campaign that recurs would reach customers once only, or miss them again and again, with the remedies.

    Args:
        campaign: the one that is planned.
        rules: what is stated of its template.
        rule: of its target group, in which the groups that it names are in their places.
        template: the template's name.
        since: today.
        zone: of the workspace.

    Returns:
        None for a campaign of one date, and where customers may get the template again in time, or where the target
        group leaves out who may not.
    """
    gap = shortest_gap(campaign.schedule, since=since, zone=zone)
    if gap is None or not comes_too_soon(rules.window, gap):
        return None
    name, clock, window = campaign.name, campaign.schedule.clock, rules.window
    if leaves_out(rule, name, window, clock=clock):
        return None
    goes = f"{name!r} goes out {campaign.schedule.sentence()}"
    if window is None:
        stated = rules.again_after_s is not UNSET
        why = f"its template {template!r} is stated to be had once, ever" if stated else _unstated(template)
        allow = f"allow it in the dashboard and say so with `{_command(template, longest_window_s(gap))}`"
        return f"{goes}, but {why}: {allow}, or, {_DRAFT}, add `& ~received({name!r})` to its target group"
    fits = longest_window_s(gap)
    days = next(days for days in range(LOOK_AHEAD_DAYS * 2) if _covers(days, window, clock))
    nearest = again_words(int(gap.total_seconds())).removeprefix("after ") if gap else "hardly any time"
    allow = f"set its window to {again_words(fits).removeprefix('after ')}" if fits else "let it be had at any time"
    late, after = int(LATE.total_seconds()) // 60, again_words(int(window.total_seconds()))
    return (
        f"{goes}, at its nearest {nearest} after the send before, but customers may get its template {template!r} "
        f"again {after}, counted from a receipt up to {late} minutes after the send: {allow} in the dashboard and "
        f"say so with `{_command(template, fits)}`, or, {_DRAFT}, add `& ~received({name!r}).within(days={days})` to "
        "its target group"
    )


def had_before(
    campaign: Campaign, rules: TemplateRules, rule: Rule, *, template: str, others: Iterable[CampaignRecord]
) -> str | None:
    """Who won't get a template that may be had once, since other campaigns have gone out with it; None where none have.

    Args:
        campaign: the one that is planned.
        rules: what is stated of its template.
        rule: of its target group; who got another campaign that it leaves out isn't told of.
        template: the template's name.
        others: the campaigns on the same template.
    """
    if rules.window is not None:
        return None
    names = sorted(
        record.campaign.name
        for record in others
        if record.id != campaign.id and record.state not in NOT_OUT and not leaves_out(rule, record.campaign.name, None)
    )
    if not names:
        return None
    told = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    return f"customers who had {template} before won't get it, because it may be had once: it goes out with {told} too"


def _unstated(template: str) -> str:
    return (
        f"nobody has stated when customers may get its template {template!r} again, and by Appboy's default they get "
        "it once, ever"
    )


def _command(template: str, after_s: int) -> str:
    again = "any time" if after_s == 0 else again_words(after_s)
    return f"optinb templates set {quote(template)} --again {again!r}"


def _denied(rule: Rule) -> Iterator[Contacted]:
    """What must not have happened with anybody whom a rule chooses."""
    waiting = [rule]
    while waiting:
        match waiting.pop():
            case AllOf(rules):
                waiting.extend(rules)
            case Not(Contacted() as found):
                yield found
            case Not(AnyOf(rules)):  # none of several holds: each doesn't
                waiting.extend(Not(one) for one in rules)
            case Not(Not(inner)):
                waiting.append(inner)
            case _:
                pass


def _covers(days: int, window: timedelta | None, clock: Clock) -> bool:
    """Whether leaving out who received it in the last days is enough: the next receipt lies outside the window."""
    nearer = max(NEARER[clock], _HOUR)
    return window is not None and timedelta(days=days + 1) - nearer > window + LATE
