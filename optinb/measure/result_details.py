"""What else a result tells: its funnel, by day, variant and part, and what became of the campaign's offer."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl
from msgspec.structs import replace

from optinb.measure.arms import sides_of
from optinb.measure.breakdown import parts_of, variants_compared
from optinb.measure.funnel import funnel_of
from optinb.measure.known_before import known_before
from optinb.measure.over_days import bought_by_day, over_days

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.context import Context
    from optinb.measure.breakdown import By
    from optinb.measure.campaign_tests import CampaignTest
    from optinb.measure.funnel import Funnel
    from optinb.measure.measured_tables import MeasuredTables
    from optinb.measure.redeemed import CampaignRedemptions
    from optinb.measure.result import CampaignResult
    from optinb.warehouse import Snapshot


class ResultDetails:
    """Looks at a result more closely."""

    def __init__(
        self,
        context: Context,
        *,
        as_of: Callable[[date], Snapshot],
        redemptions: Callable[[str], CampaignRedemptions | None],
        contacts: Callable[[CampaignTest], pl.DataFrame],
    ) -> None:
        """Args.

        `as_of`: a night's version, while it is kept; `redemptions`: of a campaign's offer, by its name; `contacts`:
        what became of a test's target group, with CONTACTED.
        """
        self._context, self._as_of, self._redemptions, self._contacts = context, as_of, redemptions, contacts

    def of(
        self, result: CampaignResult, test: CampaignTest, did: pl.DataFrame, tables: MeasuredTables, *, parts: bool
    ) -> CampaignResult:
        """The result with its details, as far as something is told.

        Args:
            result: of the test.
            test: who belongs to it.
            did: what they did, with all columns that figures are made of.
            tables: the published ones.
            parts: whether it is looked at by platform, stage and micro-segment, too.
        """
        result = replace(result, funnel=self._funnel(result, test, did, tables))
        if not result.arms or result.measured_until is None:
            return result
        planned, seed = result.planned, test.seed
        bought = bought_by_day(did, tables.transactions(did, history_days=0), days=result.days)
        result = replace(
            result,
            over_days=over_days(
                did,
                bought,
                sides_of(result.customers),
                days=result.days,
                measured_until=result.measured_until,
                planned=planned,
                seed=seed,
                look=result.look,
            ),
        )
        sent: list[datetime] = did["since"].unique().to_list()
        on = pl.col("since").replace_strict(sent, list(map(tables.day_of, sent)), return_dtype=pl.Date)
        did = did.with_columns(day=on)
        over = did.filter(pl.col("until") <= result.measured_until)  # the others are looked at every night
        days_apart: list[tuple[By, pl.Series]] = [("first day", over["day"])] if len(result.nights) > 1 else []
        by_day = parts_of(over, days_apart, planned=planned, seed=seed)
        result = replace(result, offer=self._offer(test), by_day=by_day)
        if not result.is_over:
            wait = ("by platform, stage and micro-segment it is told once it is final",)
            return replace(result, untold=wait) if parts else result
        result = replace(result, variants=variants_compared(did, planned=planned, seed=seed))
        if not parts:
            return result
        apps = self._context.settings.app_group(test.record.campaign.app_group).apps
        known, untold = known_before(did, tables, as_of=self._as_of, apps=apps)
        return replace(result, parts=parts_of(did, known, planned=planned, seed=seed), untold=untold)

    def _funnel(
        self, result: CampaignResult, test: CampaignTest, did: pl.DataFrame, tables: MeasuredTables
    ) -> Funnel | None:
        """From the target group to the purchases, as far as tables tell of these."""
        if not result.customers:
            return None
        told = result.measured_until
        is_told = told is not None and bool((did["since"] < told).any())
        is_told = is_told and not tables.why_stale(test.assignment.until)
        return funnel_of(self._contacts(test), did, is_told=is_told)

    def _offer(self, test: CampaignTest) -> CampaignRedemptions | None:
        """What became of the offer in the nights that are looked at."""
        offer = self._redemptions(test.record.campaign.name)
        if offer is None or test.night is None:
            return offer
        return replace(offer, nights=tuple(one for one in offer.nights if one.night == test.night))
