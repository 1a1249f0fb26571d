"""What a night has to tell unprompted: groups of customers that changed, or that are worth a campaign."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import Struct

from optinb.rules import Rule, from_json, to_text

NewsKind = Literal["grew", "shrank", "value rose", "value fell", "worth a campaign"]


class NewsItem(Struct, frozen=True, kw_only=True):
    """One thing that a night tells: a group of customers, and what is to be known of it.

    Attributes:
        key: what it is called by commands, eight hexadecimal digits that stay the same for this group and kind.
        kind: what became of the group.
        rule_json: who is in the group, as JSON of the language.
        who: the same, read aloud.
        headline: what happened, in a sentence.
        evidence: why it isn't chance or season, in sentences.
        customers: in the group tonight.
        change: of its size or mean value in a week, as a share (0.31 is 31 % more); of a group that is worth a
            campaign, by how much more often (0 to 1) its customers' risk rose than that of others.
        low, high: between which `change` was expected; of a group that is worth a campaign, the 95 % interval of it.
    """

    key: str
    kind: NewsKind
    rule_json: str
    who: str
    headline: str
    evidence: tuple[str, ...]
    customers: int
    change: float
    low: float
    high: float

    @property
    def rule(self) -> Rule:
        """Who is in the group; `ws.groups.save(name, item.rule)` keeps it."""
        return from_json(self.rule_json)

    @property
    def text(self) -> str:
        """The rule as people write it."""
        return to_text(self.rule)


class News(Struct, frozen=True, kw_only=True):
    """What changed, and whom to look at, on one night; the strongest first.

    Attributes:
        night: which one.
        items: what is told, at most seven.
        looked_at: how many groups were looked at.
        silent: what couldn't be looked at, and why, in sentences.
        dismissed: the keys of those that somebody doesn't want to hear of any more.
    """

    night: date
    items: tuple[NewsItem, ...] = ()
    looked_at: int = 0
    silent: tuple[str, ...] = ()
    dismissed: frozenset[str] = frozenset()

    @property
    def shown(self) -> tuple[NewsItem, ...]:
        """What is told and wasn't dismissed since."""
        return tuple(item for item in self.items if item.key not in self.dismissed)

    def summary(self) -> str:
        """How much there is to tell, in a sentence."""
        if self.shown:
            return f"{len(self.shown)} of {self.looked_at:,} groups that were looked at stand out"
        if self.looked_at:
            return f"nothing stands out among the {self.looked_at:,} groups that were looked at"
        return "nothing could be looked at yet"
