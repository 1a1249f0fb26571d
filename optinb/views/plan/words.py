"""What the planner's form says: the words of each field of a campaign, in which rows they stand, and their kinds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from optinb.campaigns import CHANNEL, Offer, Schedule
from optinb.campaigns.learning import Learning
from optinb.campaigns.schedule import WEEKDAYS
from optinb.customers import labels_of
from optinb.views.form import Kind, Sheet, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.appboy import Template
    from optinb.base.settings import Platform

IN_NAMES = re.compile(r"(?<![a-z])(ios|iphones?|android|kindle|web)(?![a-z])", re.IGNORECASE)
NO_CODES = "The same for everybody"
ANY_DAYS = ("start", "end", "blackout")
SLOW = {"continuous_update": False}  # told once it is written, not with each letter
OWN_DEFAULT, AS_CAMPAIGN = "The template's own default", "As the campaign has it"
OFFERED = {
    "name": "The offer's name",
    "value": "The offer's value",
    "terms": "The offer's terms",
    "valid_until": "The offer's last day",
    "code": "The customer's own code",
}
CAMPAIGN = {
    "name": Words(label="Name of the campaign", traits=SLOW),
    "channel": Words(control="choice", options={CHANNEL: CHANNEL}),
    "app_group": Words(control="choice", hole="Choose an app group …"),
    "template": Words(control="choice", hole="Choose a template …"),
    "phones": Words(
        label="Customers with several phones get it",
        options={"all": "on each of them", "last_used": "on the one that they used last"},
    ),
    "group": Words(label="Target group", control="choice", hole="Choose a target group …"),
    "offer": Words(label="Saved offer", options={None: "None, or a new one"}),
    "control": Words(label="Control group, %", control="percent", traits={"min": 0, "max": 99, "step": 1}),
    "measurement_days": Words(label="Days measured"),
    "exclusion_days": Words(label="Days without other campaigns"),
    "priority": Words(label="Priority, 0 to 100"),
    "ignore_others": Words(label="Ignore other campaigns' exclusion periods"),
    "notes": Words(label="Notes for the approver", control="area", traits=SLOW),
}
LEARNING = Sheet(
    fields={
        "figure": Words(
            label="Shares of the variants",
            options={
                None: "stay as they are",
                "response": "move to the variant that more people buy after",
                "spend": "move to the variant that people spend more after",
                "orders": "move to the variant that people buy more often after",
            },
        ),
        "floor": Words(label="At least for each, %", control="percent", traits={"min": 1, "max": 49, "step": 1}),
        "least": Words(label="Customers of each before shares move"),
        "winner": Words(label="A variant wins at a chance of", traits={"placeholder": "Such as: 0.999; none if empty"}),
        "seed": Words(label="Seed of the draws"),
    },
    rows=("figure", ("floor", "least", "winner", "seed")),
)
OFFER = Sheet(
    fields={
        "name": Words(label="Offer", traits={"placeholder": "Such as: 20 % off everything"}),
        "kind": Words(
            label="Kind of offer",
            options={"discount": "A discount", "gift": "A gift", "points": "Points", "none": "Nothing to redeem"},
        ),
        "value": Words(label="Its value", traits={"placeholder": "Such as: 20 %"}),
        "cost_of_one": Words(label="Cost of one redemption", traits={"placeholder": "Such as: 5.00"}),
        "valid_until": Words(label="Its last day"),
        "codes": Words(control="choice", options={None: NO_CODES}),
    },
    rows=("name", ("kind", "value", "cost_of_one", "valid_until", "codes", "terms")),
)


def schedule(*, zone: str, tomorrow: str) -> Sheet:
    """The form of a schedule; `zone` is the workspace's own."""
    return Sheet(
        choice="often",
        kinds={
            "once": Kind("Once, on a date", {"every": None}, ("date",)),
            "day": Kind("Every day", {"every": "day"}, ANY_DAYS),
            # days are counted from its start
            "days": Kind("Every few days", {"every": "day"}, ("step", *ANY_DAYS), {"start": tomorrow}),
            "week": Kind("On days of the week", {"every": "week"}, ("days", *ANY_DAYS)),
            "month": Kind("Every month", {"every": "month"}, ("day", *ANY_DAYS)),
        },
        fields={
            "often": Words(label="Goes out"),
            "at": Words(label="Time", control="time of day", unless=("clock", "optimal")),
            "clock": Words(
                label="Whose clock",
                options={
                    "workspace": f"One moment for everybody ({zone})",
                    "local": "When each customer's own clock shows it",
                    "optimal": "When Appboy finds it best for each customer",
                },
            ),
            "step": Words(label="Days between two sends", traits={"min": 2}),
            "days": Words(options={day: day.capitalize() for day in WEEKDAYS}),
            "day": Words(
                label="Day of the month",
                hole="Choose a day …",
                options={**{day: str(day) for day in range(1, 32)}, "last": "the last one"},
            ),
            "start": Words(label="From"),
            "end": Words(label="Until, if it ends"),
            "blackout": Words(label="Not on these days", traits={"placeholder": "2026-12-24, 2026-12-25"}),
        },
        rows=(("often", "clock"), "days", ("date", "step", "day", "at"), ANY_DAYS),
    )


def sheets(*, zone: str, tomorrow: str) -> dict[type, Sheet]:
    """The forms of what a campaign consists of."""
    return {Schedule: schedule(zone=zone, tomorrow=tomorrow), Offer: OFFER, Learning: LEARNING}


def source(name: str, *, attributes: Iterable[str], labels: Mapping[str, str], default: str = "") -> Sheet:
    """The form of where a property comes from: a text for all, the offer, or an attribute.

    `labels` are what the settings call attributes; `default` is what it is called when nothing is said of the property,
    where that may be.
    """
    nowhere = {"attribute": None, "offer": None}
    fixed = {"fixed": Kind("The same text for everybody", nowhere, ("value",))}
    left = {"template": Kind(default, {"value": None, **nowhere})} if default else {}
    kinds = {**left, **fixed} if default == AS_CAMPAIGN else {**fixed, **left}
    kinds |= {f"offer {field}": Kind(called, {"offer": field}) for field, called in OFFERED.items()}
    asked = ("default", "exclude_empty")
    called = labels_of(attributes, labels)
    kinds |= {
        f"attribute {one}": Kind(f"Attribute: {label}", {"attribute": one}, asked) for one, label in called.items()
    }
    return Sheet(
        choice="origin",
        kinds=kinds,
        fields={
            "origin": Words(label=name),
            "value": Words(label=f"{name}: text", control="exact", traits={"placeholder": "Write the text"}),
            "default": Words(
                label=f"{name}: if a customer has none",
                control="exact",
                traits={"placeholder": "What they read instead"},
                unless=("exclude_empty", True),
            ),
            "exclude_empty": Words(label="Leave out customers who have none"),
        },
        rows=(("origin", "value", "default"), "exclude_empty"),
    )


def suggested_name(group: str | None, template: str | None, *, taken: Iterable[str] = ()) -> str:
    """A name for a campaign of a group and a template, with a number where another one bears it."""
    plain = ", ".join(part for part in (group, template) if part)[:110].strip()
    others = {name.casefold() for name in taken}
    names = (plain if n == 1 else f"{plain} {n}" for n in range(1, len(others) + 2))
    return next(name for name in names if name.casefold() not in others)


def named(templates: Iterable[Template]) -> dict[str, str]:
    """How each usable template is called in a campaign: its name, or its id where another one bears the name too."""
    usable = [t for t in templates if t.usable]
    names = [t.name for t in usable]
    return {t.id: t.name if names.count(t.name) == 1 else t.id for t in usable}


def twins(name: str | None, templates: Mapping[str, Template], platforms: Iterable[Platform]) -> dict[Platform, str]:
    """The templates that say for other kinds of phone what one says for its own, as told by their names.

    Args:
        name: of the template; one that isn't known has none.
        templates: the usable ones, by their names.
        platforms: of the app group.

    Returns:
        for each platform that it has no message for: the only template of that platform whose name is the same but for
        the platform's. Where there are several, or none, the platform isn't named.
    """
    own = templates.get(name or "")
    found: dict[Platform, str] = {}
    for platform in platforms if own else ():
        same = [
            other
            for other, one in templates.items()
            if other != name and platform in one.platforms and _plain(other) == _plain(name or "")
        ]
        if own and platform not in own.platforms and len(same) == 1:
            found[platform] = same[0]
    return found


def _plain(name: str) -> str:
    """A template's name without the platform in it."""
    return IN_NAMES.sub("", name).casefold()


def shortened(name: str, *, most: int = 60) -> str:
    """A name for a button, which can't be wider than the page."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
