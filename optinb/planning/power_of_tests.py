"""What the test of a campaign can see, by what its group did before."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from optinb.campaigns import Campaign, Power, Waterfall, power_of
from optinb.campaigns.power import comparisons
from optinb.errors import RuleError
from optinb.segments import Groups, members

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.rules import Rule
    from optinb.segments.tables_view import TablesView

TEST_DAYS = 14  # in which a test is looked at, where the campaign has no measurement window
LONGEST_WEEKS = 8  # that a longer measurement is advised for


class PowerOfTests:
    """Finds what the tests of campaigns can see."""

    def __init__(self, tables: TablesView, groups: Groups) -> None:
        self._tables, self._groups = tables, groups

    def of(self, campaign: Campaign, figures: Waterfall, variants: Mapping[str, int]) -> Power | None:
        """What the test of a campaign can see; None without a control group and without variants.

        The base rate is the share of the group, as it was one measurement window ago (14 days without one), that has
        bought since. Today's group would mislead: of those who bought nothing for 60 days, nobody bought within the
        last 14.
        """
        if not figures.control and len(variants) < 2:
            return None
        days = campaign.measurement_days or TEST_DAYS
        rule = self._groups.bound(campaign.group)
        power = power_of(
            recipients=figures.recipients,
            control=figures.control,
            base_rate=self._rates(rule, days, (days,))[days],
            measurement_days=days,
        )
        compared = comparisons(variants, control=figures.control, base_rate=power.base_rate)
        longer = [7 * weeks for weeks in range(1, LONGEST_WEEKS + 1) if 7 * weeks > days]
        if power.sees_a_tenth or not longer:
            return replace(power, comparisons=compared)
        advised = power_of(
            recipients=figures.recipients,
            control=figures.control,
            base_rate=power.base_rate,
            measurement_days=days,
            rates=self._rates(rule, longer[-1], longer),
        )
        return replace(advised, comparisons=compared)

    def _rates(self, rule: Rule, ago: int, lengths: Iterable[int]) -> dict[int, float]:
        """The share of a group, as it was some days ago, that bought within so many days, by their number."""
        then = self._tables.tables().run_date - timedelta(days=ago)
        group = self._members_on(rule, then).lazy()
        transactions = self._tables.snapshot().scan("transactions")
        bought = transactions.filter(pl.col("day") > then, pl.col("amount") > 0)
        first = bought.group_by("customer_id").agg(pl.col("day").min())
        within = group.join(first, on="customer_id", how="left").select((pl.col("day") - then).dt.total_days())
        waited = within.collect()["day"]
        return {days: waited.filter(waited <= days).len() / max(1, waited.len()) for days in lengths}

    def _members_on(self, rule: Rule, day: date) -> pl.DataFrame:
        """Who belonged to a rule on a past day; attributes that aren't kept of it are taken as they are now."""
        if any(night <= day for night in self._tables.nights()):
            with suppress(RuleError):
                return members(rule, self._tables.tables_on(day, rule)).to_native().collect()
        return members(rule, self._tables.tables_for(rule, run_date=day)).to_native().collect()
