"""What became of a saved group, night by night: how many are in it, who they are, and how many came and went."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct, field

from optinb.base.figures import day, many

if TYPE_CHECKING:
    import polars as pl


class Expectation(Struct, frozen=True, kw_only=True):
    """Where the size of a group was expected on a night, by what was known before it; see `group_forecast`."""

    low: float
    middle: float
    high: float


class GroupNight(Struct, frozen=True, kw_only=True):
    """A saved group on one night. Figures stay when somebody is forgotten later.

    size = that of the night recorded before + joined - left - merged - forgotten.

    Attributes:
        night: whose tables and models were read.
        name: the group's, as it was written then.
        version: of the saved rule.
        rule: what tells the rule from others, with the rules of the groups that it names.
        warehouse_version: the number of the version that was read.
        size: how many customers belonged.
        value: the sum of their future value; None where no model tells it.
        spend: the sum of what they bought in 365 days; None where it wasn't modelled.
        stages: how many of them were in each lifecycle stage.
        before: the night that was recorded before; None for the first one.
        is_whole: whether everybody is in its file, and not only who came and went.
        joined: how many joined since the night before; who was in under another id isn't among them.
        left: how many left since; who is in under another id isn't among them.
        merged: by how much fewer customers it is since several ids turned out to be one person's; less than 0 for more.
        forgotten: how many of the night before have been forgotten since.
        came_from: those who joined, by their stage on the night before.
        went_to: those who left, by their stage tonight.
        joined_value: the sum of the future value of those who joined.
        left_value: the sum of the future value, as of the night before, of those who left.
        expected: where the size was expected; None as long as too little is known. Worked out when it is looked at.
        is_outside: whether the size isn't where it was expected.
        alarm: what is told of it on the first night outside; empty on all others.
        has_new_rule: whether the group had another rule on the night before.
    """

    night: date
    name: str
    version: int
    rule: str
    warehouse_version: int
    size: int
    value: float | None = None
    spend: float | None = None
    stages: dict[str, int] = field(default_factory=dict)
    before: date | None = None
    is_whole: bool = False
    joined: int = 0
    left: int = 0
    merged: int = 0
    forgotten: int = 0
    came_from: dict[str, int] = field(default_factory=dict)
    went_to: dict[str, int] = field(default_factory=dict)
    joined_value: float | None = None
    left_value: float | None = None
    expected: Expectation | None = None
    is_outside: bool = False
    alarm: str = ""
    has_new_rule: bool = False

    def share(self, stage: str) -> float:
        """The share of the members who are in a lifecycle stage, 0 to 1.

        Args:
            stage: its name.
        """
        return self.stages.get(stage, 0) / self.size if self.size else 0.0


class GroupHistory(Struct, frozen=True, kw_only=True):
    """A saved group over time; `ws.groups.moved(...)` and `ws.groups.members_on(...)` say who.

    Attributes:
        name: of the group.
        sentence: what its rule says today, in plain English; empty for a group that isn't saved any more.
        currency: of value and spend.
        nights: those that were recorded, the oldest first.
    """

    name: str
    sentence: str
    currency: str
    nights: tuple[GroupNight, ...]

    @property
    def gaps(self) -> tuple[tuple[date, date], ...]:
        """The neighbours among the nights between which others weren't recorded."""
        days = [one.night for one in self.nights]
        return tuple((one, other) for one, other in pairwise(days) if (other - one).days > 1)

    @property
    def alarms(self) -> tuple[GroupNight, ...]:
        """The nights on which the size left what was expected."""
        return tuple(night for night in self.nights if night.alarm)

    def summary(self) -> str:
        """How large the group was on its newest night, and what moved since the one before, in a sentence."""
        if not self.nights:
            return f"{self.name}: no night is noted yet; each night that runs notes who is in it"
        last = self.nights[-1]
        moved = f"; since {day(last.before)} {last.joined:,} joined and {last.left:,} left" if last.before else ""
        return f"{self.name}: {many(last.size, 'customer')} on {day(last.night)}{moved}"

    def notes(self) -> tuple[str, ...]:
        """What to know of the nights, in sentences, the newest first: alarms, other rules, nights that are missing."""
        told = [(one.night, one.alarm) for one in self.alarms]
        told += [(one.night, "the group got another rule") for one in self.nights if one.has_new_rule]
        told += [(until, f"nothing is noted between {day(since)} and this night") for since, until in self.gaps]
        dated = [f"{day(night)}: {text}" for night, text in sorted(told, reverse=True)]
        gone = ["The group isn't saved any more"] if self.nights and not self.sentence else []
        return (*gone, *dated)

    def table(self) -> pl.DataFrame:
        """One row a night.

        Returns:
            a frame with night (Date), customers, joined, left, merged and forgotten (Int64), value, spend, joined_value
            and left_value (Float64, in the currency), expected_low and expected_high (Float64), alarm (text),
            has_new_rule (Boolean), and for each lifecycle stage a column such as share_active (Float64, 0 to 1).
        """
        import polars as pl

        from optinb.customers.lifecycle import STAGES

        counts = ("joined", "left", "merged", "forgotten")
        amounts = ("value", "spend", "joined_value", "left_value")
        ends = ("expected_low", "expected_high")
        rows = [
            (
                one.night,
                one.size,
                *(getattr(one, name) for name in (*counts, *amounts)),
                *((one.expected.low, one.expected.high) if one.expected else (None, None)),
                one.alarm,
                one.has_new_rule,
                *map(one.share, STAGES),
            )
            for one in self.nights
        ]
        schema = {
            "night": pl.Date,
            **dict.fromkeys(("customers", *counts), pl.Int64),
            **dict.fromkeys((*amounts, *ends), pl.Float64),
            "alarm": pl.String,
            "has_new_rule": pl.Boolean,
            **{f"share_{stage}": pl.Float64 for stage in STAGES},
        }
        return pl.DataFrame(rows, schema=schema, orient="row")
