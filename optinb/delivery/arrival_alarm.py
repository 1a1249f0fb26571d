"""The alarm about a campaign that Appboy accepted and that hardly anybody got: by name, with the remedy. Pure.

What a 201 hides from everybody who only reads answers. A night loses some messages always, to customers without a push
token; an alarm is for more than that, and for figures that can be there already.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from optinb.appboy.template_rules import again_words
from optinb.delivery.confirmation import LONGEST_WAIT, LikelyFilter, NightLosses, TemplateNight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.appboy.template_rules import TemplateRules

FIGURES_AFTER = timedelta(hours=2)
"""How long after everybody's time Appboy's figures say how many a night reached: it counts within the hour."""
QUIET_HOURS = timedelta(hours=14)
"""How long a message may wait for the end of quiet hours that nobody has stated, such as 18:00 to 8:00."""
USUAL_SHARE = 0.6
"""Of what Appboy accepts so many arrive at the least where nothing is wrong.

Customers whom the tables call reachable have switched notifications off or removed the app since. Where push is opted
in to, every second customer does so; a table that is kept in step with it is wrong about fewer than four in ten.
"""
USUAL_SHARE_OF_REACHABLE = 0.9
"""The same of customers of whom Appboy has a push token: few drop out between the send and the question."""
RARE = 0.001
"""How likely so few arrivals may be where nothing is wrong: one night in a thousand would be called wrong."""
INTENDED: frozenset[LikelyFilter] = frozenset({"no_push_token", "unknown_user", "global_control", "control_variation"})
"""Filters that hold single customers back as a team means them to, or as can't be helped."""
FORESEEN: frozenset[LikelyFilter] = frozenset(
    {"segment", "frequency_cap", "max_users", "quiet_hours", "speed_limit", "liquid_abort"}
)
"""Filters that somebody has stated or written into the template: worth an alarm only where they take far too many."""


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


def alarm_turns(night: TemplateNight) -> tuple[datetime, datetime]:
    """The moments from which the same answers of Appboy's are judged otherwise.

    Args:
        night: what is known of it.

    Returns:
        From when its figures are there, and from when nobody waits any more for quiet hours that nobody has stated.
    """
    return figures_from(night), night.last_moment + QUIET_HOURS


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

    Who was asked about by name counts more than a series does. Of those, customers are left out whom a filter holds
    back that is meant to, or that can't be helped, and at first whoever may still wait for the end of quiet hours.

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
    waited = night.now - night.last_moment
    if night.now < figures_from(night):
        return None
    told = losses if losses is not None and losses.got + losses.lost else None
    if told is not None:
        meant, foreseen = (
            sum(count for name, count in told.likely.items() if name in some) for some in (INTENDED, FORESEEN)
        )
        reached, shown = told.got, told.got + told.lost
        of = shown - meant - (told.waiting if waited < QUIET_HOURS else 0)
        is_wrong = is_rare(reached, of - foreseen, USUAL_SHARE_OF_REACHABLE) or is_rare(reached, of, USUAL_SHARE)
    elif sent is not None and waited >= QUIET_HOURS:
        reached, shown = sent, accepted
        is_wrong = is_rare(reached, accepted, USUAL_SHARE)
    else:
        return None
    if not is_wrong:
        return None
    likely = _likely(told)
    why, remedy = _in_words(likely, template, night.rules, told)
    whom = f"{shown:,}" if shown >= accepted else f"{shown:,} who were asked about"
    named = "" if campaign == template else f" (campaign {campaign!r})"
    return ArrivalAlarm(
        campaign=campaign,
        template=template,
        reached=reached,
        accepted=shown,
        likely=likely,
        sentence=f"{template} went to {reached:,} of {whom}: {why}; {remedy}{named}",
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


def _likely(told: NightLosses | None) -> LikelyFilter | None:
    """The filter that explains most of what is missing and isn't meant to."""
    if told is None:
        return None
    counts: dict[LikelyFilter, int] = {name: count for name, count in told.likely.items() if name not in INTENDED}
    missing = sum(counts.values()) + told.unexplained
    most = max(counts, key=lambda name: counts[name], default=None)
    if most is not None and counts[most] * 2 > missing:
        return most
    # where nobody got it, and all had had it, no receipt bears out the usual setting, and nothing is likelier
    return "re_eligibility" if not told.got and told.had_before >= missing else None


def _in_words(
    likely: LikelyFilter | None, template: str, rules: TemplateRules, told: NightLosses | None
) -> tuple[str, str]:
    """What is likely the matter, and what to do."""
    look = f"in Appboy's dashboard look at {template}'s"
    match likely:
        case "re_eligibility":
            when = "is set to once per customer"
            if told is not None and told.again != "longer" and rules.window:
                when = f"may be had again {again_words(rules.again_after_s or 0)}, as is stated"
            elif told is not None and told.again_after_s is not None:
                when = "can't be had again as soon as that"
            remedy = f"let customers of {template} become re-eligible in its delivery controls, or leave out who had it"
            return f"in Appboy it {when}", remedy
        case "segment":
            return "the others are outside its segment in Appboy", f"{look} target audience, which should be All Users"
        case "frequency_cap":
            return "the others had as many messages as Appboy's frequency cap allows", f"{look} frequency capping"
        case "max_users":
            return "in Appboy it may only be sent to so many customers", f"{look} limit of users in the target audience"
        case "quiet_hours":
            return "the others would have got it in Appboy's quiet hours", f"{look} quiet hours, or choose another time"
        case "speed_limit":
            return "the others' turn didn't come within 72 hours", f"{look} delivery speed limit"
        case "liquid_abort":
            return "its text aborts for the others", f"{look} text, and the properties that the campaign gives it"
        case "global_control" | "control_variation" | "no_push_token" | "unknown_user" | "several" | None:
            is_told = likely == "several"
            why = (
                "more than one of Appboy's filters explains it"
                if is_told
                else "Appboy accepted all and doesn't say why"
            )
            where = "delivery controls (re-eligibility, frequency capping, limits), target audience and quiet hours"
            return why, f"{look} {where}, then state them with `optinb templates set`"
        case _:
            assert_never(likely)
