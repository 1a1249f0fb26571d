"""Addresses of the pages: which tab, and which campaign or group in it. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qs, urlencode

import msgspec
from msgspec import Struct, field

from optinb.errors import did_you_mean

Tab = Literal["groups", "plan", "approve", "calendar", "sends", "results"]
TABS: dict[Tab, str] = {
    "groups": "Groups",
    "plan": "Plan",
    "approve": "Approve",
    "calendar": "Calendar",
    "sends": "Sends",
    "results": "Results",
}
TITLES: dict[Tab, str] = {
    "groups": "Target groups",
    "plan": "Plan a campaign",
    "approve": "Approve campaigns",
    "calendar": "What goes out in the coming weeks",
    "sends": "How far a night's sends are",
    "results": "What campaigns brought",
}
FIRST: Tab = "plan"
# What each tab can be opened at; the others show everything.
NAMED: dict[Tab, str] = {"groups": "group", "plan": "campaign", "approve": "campaign", "results": "campaign"}
LONGEST_NAME = 200


class TabPlace(Struct, frozen=True):
    """A tab, and in it the campaign or the group of a name; "" for none."""

    tab: Tab = FIRST
    name: str = ""

    @property
    def query(self) -> str:
        """What an address has after its path, such as `?tab=approve&campaign=Summer`."""
        named = {NAMED[self.tab]: self.name} if self.name and self.tab in NAMED else {}
        return "?" + urlencode({"tab": self.tab, **named})


class FoundPlace(Struct, frozen=True):
    """Where an address leads, and what of it isn't known, in a sentence."""

    place: TabPlace = field(default_factory=TabPlace)
    problem: str = ""


def place_of(query: str) -> FoundPlace:
    """Where an address leads; what else it says isn't looked at.

    Args:
        query: what it has after its path, with or without the question mark.
    """
    given = {name: values[-1].strip() for name, values in parse_qs(query.removeprefix("?")).items()}
    asked = given.get("tab", "").lower()
    if asked and asked not in TABS:
        known = did_you_mean(asked[:LONGEST_NAME], TABS)
        return FoundPlace(
            problem=f"There is no tab {asked[:LONGEST_NAME]!r}{known}{'' if known.endswith('?') else '.'}"
        )
    implied = "groups" if given.get("group") and not given.get("campaign") else FIRST
    tab = msgspec.convert(asked, Tab) if asked else implied
    return FoundPlace(TabPlace(tab, given.get(NAMED.get(tab, ""), "")[:LONGEST_NAME]))
