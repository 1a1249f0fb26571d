"""HTML from templates: one look for the nightly report and for what notebooks show.

Everything is escaped unless a template says otherwise, and nothing is fetched: styles stand in the page.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from optinb.base.figures import amount, day, figure, many
from optinb.base.figures import share as shown_share
from optinb.base.glossary import explained
from optinb.campaigns import REASONS
from optinb.measure.drawn_result import (
    advice_word,
    buyers_words,
    drawn_campaigns,
    drawn_figures,
    reasons,
    rests_on,
    state_words,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from jinja2 import Environment

    from optinb.campaigns import Waterfall
    from optinb.measure.summary import CampaignSummary

# What an import counts of each table: the heads of columns, and the fields of what is counted.
COUNTED = ("read", "loaded", "quarantined")
TAKEN: dict[str, str] = {**REASONS, "held": "would get it, but the campaign was held"}


class WaterfallStep(Struct, frozen=True):
    """A step from a target group to its recipients: customers it takes away and leaves, both also in percent."""

    label: str
    taken: int
    left: int
    taken_percent: float
    left_percent: float


def steps(figures: Waterfall | CampaignSummary, *, end: str = "Get the message") -> list[WaterfallStep]:
    """The waterfall of an audience in customers, from the target group to the recipients, whom `end` names."""

    def step(label: str, taken: int, left: int) -> WaterfallStep:
        whole = max(figures.target, 1)
        return WaterfallStep(label, taken, left, 100 * taken / whole, 100 * left / whole)

    rows, left = [step("Target group", 0, figures.target)], figures.target
    for reason, count in figures.excluded.items():
        left -= count
        rows.append(step(f"… {TAKEN.get(reason, reason)}", count, left))
    if figures.control:
        rows.append(step("… is held out in the control group", figures.control, left - figures.control))
    return [*rows, step(end, 0, figures.recipients)]


def render_page(name: str, /, **values: Any) -> str:
    """The page of a template of this package."""
    return explained(environment("optinb.measure").get_template(name).render(values))


@cache
def environment(package: str) -> Environment:
    """The templates of a package, and of this one, with the filters for figures and times.

    They escape whatever they are given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("optinb.measure")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "n": number,
        "amount": amount,
        "percent": percent,
        "moment": moment,
        "clock": clock,
        "day": day,
        "many": many,
        "steps": steps,
        **{one.__name__: one for one in (advice_word, buyers_words, drawn_campaigns, drawn_figures)},
        **{one.__name__: one for one in (reasons, rests_on, state_words)},
    }
    found.globals["counted"] = COUNTED
    return found


def number(value: float | None) -> str:
    """A figure with separators; a dash where there is none."""
    return figure(value)


def percent(share: float) -> str:
    """A share of 0 to 1 as a percentage, with one decimal."""
    return shown_share(share)


def moment(value: datetime, zone: ZoneInfo | None = None) -> str:
    """A time in a zone, with the zone's name: `Mon 23 Nov 2026, 18:30 (Europe/Berlin)`; UTC without one."""
    local = value.astimezone(zone or UTC)
    return f"{day(local)}, {local:%H:%M} ({zone.key if zone else 'UTC'})"


def clock(value: datetime, zone: ZoneInfo | None = None) -> str:
    """The time of day in a zone: `14:02`; UTC without one."""
    return f"{value.astimezone(zone or UTC):%H:%M}"
