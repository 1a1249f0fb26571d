"""The alarm about a campaign that Appboy accepted and that hardly anybody got: by name, with the remedy. Pure.

What a 201 hides from everybody who only reads answers. A night loses some messages always, to customers without a push
token; an alarm is for more than that, and for figures that can be there already.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from optinb.delivery.confirmation import LONGEST_WAIT, LikelyFilter, NightLosses, TemplateNight

if TYPE_CHECKING:
    from collections.abc import Mapping

FIGURES_AFTER = timedelta(hours=2)
"""How long after everybody's time Appboy's figures say how many a night reached: it counts within the hour."""
USUAL_SHARE = 0.6
"""Of what Appboy accepts so many arrive at the least where nothing is wrong: up to four in ten customers of a push
audience have switched notifications off or removed the app, by the opt-in rates that the vendors of push publish."""
USUAL_SHARE_OF_REACHABLE = 0.9
"""The same of customers with a push token, of whom only a few drop out between two looks."""
RARE = 0.001
"""How likely fewer arrivals may be where nothing is wrong: one night in a thousand would be called wrong."""
INTENDED: frozenset[LikelyFilter] = frozenset({"no_push_token", "unknown_user", "global_control", "control_variation"})
"""Filters that hold single customers back as a team means them to, or as can't be helped."""


class ArrivalAlarm(Struct, frozen=True, kw_only=True):
    """That a campaign's night reached far fewer than Appboy accepted.

    Attributes:
        campaign: its name.
        template: its template's name.
        reached: how many it reached, of `accepted` recipients.
        accepted: how many Appboy accepted, or how many of those were asked about.
        likely: the filter that explains most of what is missing; None where nothing does.
        sentence: all of it in words, with the remedy.
    """

    campaign: str
    template: str
    reached: int
    accepted: int
    likely: LikelyFilter | None
    sentence: str


def figures_from(night: TemplateNight) -> datetime:
    """From when figures and exports say whom a night reached.

    Args:
        night: what is known of it.

    Returns:
        The moment in UTC; where messages are stated to wait for quiet hours or their turn, when that is over.
    """
    rules = night.rules
    waits = bool(rules.messages_a_minute) or (bool(rules.quiet_hours) and rules.quiet_hours.then == "later")
    return night.last_moment + (LONGEST_WAIT if waits else FIGURES_AFTER)


def series_speaks(nights_of_template: Mapping[str, int], campaign: str) -> bool:
    """Whether a template's figures are those of one campaign.

    Args:
        nights_of_template: how many messages of the template went out in those days, by campaign.
        campaign: that it is asked for.

    Returns:
        Whether no other campaign sent any.
    """
    return not any(count for name, count in nights_of_template.items() if name != campaign)


def arrival_alarm(
    campaign: str,
    template: str,
    night: TemplateNight,
    *,
    accepted: int,
    sent: int | None = None,
    losses: NightLosses | None = None,
) -> ArrivalAlarm | None:
    """The alarm about a campaign's night, if there is one.

    Args:
        campaign: its name.
        template: its template's name.
        night: what is known of it; `now` is when the figures were read.
        accepted: recipients whose request Appboy accepted.
        sent: to how many it was sent, by a series of this campaign's night alone; None where there is none.
        losses: what the export told of those who were asked about; None where nobody was.

    Returns:
        The alarm; None where what is missing is no more than usual, or can't be told yet.
    """
    if night.now < figures_from(night):
        return None
    told = losses if losses is not None and losses.got + losses.lost else None
    if told is not None:
        meant = sum(count for name, count in told.likely.items() if name in INTENDED)
        reached, of, usual = told.got, told.got + told.lost - meant, USUAL_SHARE_OF_REACHABLE
        shown = told.got + told.lost
    elif sent is not None:
        reached, of, usual, shown = sent, accepted, USUAL_SHARE, accepted
    else:
        return None
    if not is_rare(reached, of, usual):
        return None
    likely = _likely(told, night)
    why, remedy = _in_words(likely, template, night)
    return ArrivalAlarm(
        campaign=campaign,
        template=template,
        reached=reached,
        accepted=shown,
        likely=likely,
        sentence=f"{campaign} went to {reached:,} of {shown:,}: {why}; {remedy}",
    )


def is_rare(reached: int, of: int, usual: float) -> bool:
    """Whether so few arrivals are rare where a usual share of messages arrives.

    Args:
        reached: how many arrived.
        of: how many were to.
        usual: the share that arrives, from 0 to 1.

    Returns:
        Whether so few or fewer have a chance below RARE.
    """
    if reached >= of * usual:
        return False
    from scipy.stats import binom

    return float(binom.cdf(reached, of, usual)) < RARE


def _likely(told: NightLosses | None, night: TemplateNight) -> LikelyFilter | None:
    """The filter that explains most of what is missing."""
    if told is None:
        return None
    counts: dict[LikelyFilter, int] = {name: count for name, count in told.likely.items() if name not in INTENDED}
    most = max(counts, key=lambda name: counts[name], default=None)
    missing = sum(counts.values()) + told.unexplained
    if most is not None and counts[most] * 2 > missing:
        return most
    # everybody had it before and nobody got it: no receipt bears it out, and nothing else is as usual at Appboy
    return "re_eligibility" if told.had_before == told.lost and not told.got else None


def _in_words(likely: LikelyFilter | None, template: str, night: TemplateNight) -> tuple[str, str]:
    """What is likely the matter, and what to do."""
    where = f"in the dashboard look at {template}"
    match likely:
        case "re_eligibility":
            remedy = f"let customers of {template} become re-eligible in the dashboard, or leave out who had it"
            return "in Appboy it is set to once per customer", remedy
        case "segment":
            return f"{template} doesn't target them in Appboy", f"{where}'s target segment, which should be All Users"
        case "frequency_cap":
            return "they had got as many messages as a frequency cap allows", f"{where}'s frequency capping"
        case "max_users":
            return f"{template} may only be sent to so many customers", f"{where}'s limit of users who receive it"
        case "quiet_hours":
            return "they would have got it in Appboy's quiet hours", f"{where}'s quiet hours, or move its time"
        case "speed_limit":
            return "its turn didn't come within 72 hours", f"{where}'s delivery speed limit"
        case "liquid_abort":
            return "its text aborts with their values", f"{where}'s text and the campaign's properties"
        case "global_control" | "control_variation" | "no_push_token" | "unknown_user" | "several" | None:
            why = "Appboy doesn't say why" if likely is None else "more than one of Appboy's filters explains it"
            remedy = (
                f"{where}'s delivery controls (re-eligibility, frequency capping, limits), target segment and quiet "
                "hours, then state them with `optinb templates set`"
            )
            return why, remedy
        case _:
            assert_never(likely)
