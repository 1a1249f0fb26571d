"""What the test of a campaign can see, by what its group did before."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.campaigns import Campaign, Power, Waterfall, power_of
from optinb.errors import RuleError
from optinb.segments import Groups, members

if TYPE_CHECKING:
    from optinb.rules import Rule
    from optinb.segments.tables_view import TablesView

TEST_DAYS = 14  # in which a test is looked at, where the campaign has no measurement window


class PowerOfTests:
    """Finds what the tests of campaigns can see."""

    def __init__(self, tables: TablesView, groups: Groups) -> None:
        self._tables, self._groups = tables, groups

    def of(self, campaign: Campaign, figures: Waterfall) -> Power | None:
        """What the test of a campaign can see; None without a control group.

        The base rate is the share of the group, as it was one measurement window ago (14 days without one), that has
        bought since. Today's group would mislead: of those who bought nothing for 60 days, nobody bought within the
        last 14.
        """
        if not figures.control:
            return None
        days = campaign.measurement_days or TEST_DAYS
        then = self._tables.tables().run_date - timedelta(days=days)
        group = self._members_on(self._groups.bound(campaign.group), then)
        transactions = self._tables.snapshot().scan("transactions")
        bought = transactions.filter(pl.col("day") > then, pl.col("amount") > 0)
        buyers = group.lazy().join(bought, on="customer_id", how="semi").select(pl.len()).collect().item()
        return power_of(
            recipients=figures.recipients,
            control=figures.control,
            base_rate=buyers / group.height if group.height else 0.0,
            measurement_days=days,
        )

    def _members_on(self, rule: Rule, day: date) -> pl.DataFrame:
        """Who belonged to a rule on a past day; attributes that aren't kept of it are taken as they are now."""
        if any(night <= day for night in self._tables.nights()):
            with suppress(RuleError):
                return members(rule, self._tables.tables_on(day, rule)).to_native().collect()
        return members(rule, self._tables.tables_for(rule, run_date=day)).to_native().collect()
