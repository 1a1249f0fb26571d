"""Whom to write to next time: today's customers in the order of what a campaign would do for them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.figures import many
from optinb.errors import UsageError
from optinb.measure.effect import CONTROL
from optinb.measure.qini import Qini
from optinb.measure.result_words import rounded
from optinb.measure.uplift import learn_uplift, score_of
from optinb.measure.uplift_features import codes_of, figures_of, known_on
from optinb.measure.uplift_trees import BoostedTrees

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.measure.campaign_results import CampaignResults
    from optinb.measure.campaign_tests import CampaignTest
    from optinb.measure.result import CampaignResult
    from optinb.warehouse import Snapshot

LEARNS_FROM = 1_000_000
"""Of more customers as many are drawn: what they tell is enough, and takes half a minute."""
SHOWN = 10_000
"""The customers of whom a sentence tells."""


class UpliftModel(Struct, frozen=True, kw_only=True):
    """What was learned of whom a campaign moves, to score whoever comes later.

    Attributes:
        codes: the attributes that it takes; see `uplift_features.codes_of`.
        models: what was learned from the parts of the customers.
    """

    codes: dict[str, tuple[str, ...] | None]
    models: tuple[BoostedTrees, ...]

    def score(self, customers: pl.LazyFrame, night: date) -> pl.DataFrame:
        """The chance by which the campaign raises a purchase of each customer.

        Args:
            customers: a row for each, with customer_id and whatever is known of them.
            night: the day on which it is known.

        Returns:
            a frame with customer_id (text) and uplift (Float64, a difference of chances).
        """
        known = known_on(customers, night).collect()
        return known.select("customer_id", uplift=pl.Series(score_of(self.models, figures_of(known, self.codes))))


class CampaignUplift(Struct, frozen=True, kw_only=True):
    """Whom a campaign moves to buy, and how far that can be relied on.

    Attributes:
        campaign: its name.
        nights: those whose customers it was learned from.
        made_on: the day of the delivery whose customers are ranked; None before any.
        customers: who were to get it.
        control_customers: who were held out.
        attributes: what customers are told apart by, as it was known before each night's send.
        qini: how much better than chance the ranking targets, in buyers for each customer; None where there is none.
        more_held_out: about how many customers more would have to be held out, at the same share, before a ranking in
            which half of them have the whole effect is told from chance; None where nobody can say.
        problem: why nothing can be learned; empty where something could.
        ranking: customer_id and uplift, the chance by which the campaign raises a purchase in its window, of each of
            today's customers, the highest first; None where it isn't better than chance.
        model: what the ranking was made by; None where there is none.
    """

    campaign: str
    nights: tuple[date, ...] = ()
    made_on: date | None = None
    customers: int = 0
    control_customers: int = 0
    attributes: tuple[str, ...] = ()
    qini: Qini | None = None
    more_held_out: int | None = None
    problem: str = ""
    ranking: pl.DataFrame | None = None
    model: UpliftModel | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the ranking is better than chance."""
        return self.qini is not None and self.qini.is_shown

    def best(self, share: float) -> pl.Series:
        """The customer ids of the first part of the ranking, of which a list for rules can be saved.

        Args:
            share: of today's customers, above 0 and at most 1.

        Raises:
            UsageError: when the ranking isn't better than chance, with what it would take; and for no share.
        """
        if self.ranking is None:
            raise UsageError(f"nobody can be chosen by the uplift of {self.campaign!r}: {self.sentence()}")
        if not 0 < share <= 1:
            raise UsageError(f"{share} is no share of the customers; write one above 0 and at most 1, such as 0.3")
        return self.ranking["customer_id"].head(round(self.ranking.height * share))

    def sentence(self) -> str:
        """Whether to target by it, in words."""
        if self.problem:
            return f"no ranking: {self.problem}"
        if self.qini is None:
            return f"no ranking: too few bought, or were held out, to learn from; {self._what_it_takes()}"
        if not self.qini.is_shown:
            return (
                f"don't target by it: whom it moves isn't told from chance ({_interval(self.qini)}); "
                f"{self._what_it_takes()}"
            )
        half, everybody = (round(SHOWN * of) for of in (self.qini.gain(0.5), self.qini.effect))
        return (
            f"target by it: of {SHOWN:,} customers, writing to the half with the highest uplift brings "
            f"{many(half, 'buyer')} more, to a half drawn at random {everybody / 2:,.0f}, and to all of them "
            f"{everybody:,} ({_interval(self.qini)})"
        )

    def learned_from(self) -> str:
        """Whom it was learned from, in words; empty where nothing was learned."""
        if self.qini is None:
            return ""
        first, last = (str(night) for night in (self.nights[0], self.nights[-1]))
        when = f"the night of {first}" if first == last else f"the nights of {first} to {last}"
        return (
            f"Learned from {many(self.customers, 'customer')} and {self.control_customers:,} held out, {when}, by "
            f"{many(len(self.attributes), 'attribute')} as known before the send"
        )

    def ranked(self) -> str:
        """Whose customers are ranked, and how rules may ask for it, in words; empty where nobody is."""
        if not self.is_shown:
            return ""
        publish = f"ws.uplifts.publish({self.campaign!r})"
        return f"Ranked are the customers of {self.made_on}; {publish} makes it an attribute for rules"

    def _what_it_takes(self) -> str:
        match self.more_held_out:
            case None:
                return "nobody can say what it would take"
            case 0:
                return "had half of them the whole effect, it would have been seen: write to all, or to none"
            case more:
                return f"it takes about {rounded(more):,} customers more held out, at the same share"


class CampaignUplifts:
    """Learns from campaigns whom they move. It follows the tables, and nothing of it is kept unless it is published."""

    def __init__(
        self,
        results: CampaignResults,
        *,
        published: Callable[[], Snapshot | None],
        customers_on: Callable[[date], pl.LazyFrame],
    ) -> None:
        """Args: `published`: the version that is read; `customers_on`: what was known of customers on a day."""
        self._results, self._published, self._customers_on = results, published, customers_on

    def of(self, campaign: str) -> CampaignUplift:
        """Whom a campaign moves, by what all of its nights' customers did.

        Args:
            campaign: its name, without regard to case.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        test = self._results.test_of(campaign)
        result, published = self._results.result(test), self._published()
        held_out = result.customers.get(CONTROL, 0)
        found = CampaignUplift(
            campaign=result.campaign,
            nights=result.nights,
            made_on=published.import_date if published is not None else None,
            customers=sum(result.customers.values()) - held_out,
            control_customers=held_out,
        )
        problem = _problem(result)
        if published is None or problem:
            return replace(found, problem=problem)
        return self._learned(found, test, published.import_date, control_share=_control_share(result))

    def _learned(
        self, found: CampaignUplift, test: CampaignTest, today: date, *, control_share: float
    ) -> CampaignUplift:
        """What is learned of who differs, and whom it puts first today."""
        first = test.tested.join(test.assignment.people, left_on=["person", "send_at"], right_on=["person", "since"])
        theirs = first.sort("person", "customer_id").unique("person", keep="first", maintain_order=True)
        known = pl.concat(
            [
                theirs.filter(pl.col("night") == night)
                .lazy()
                .select("person", "customer_id")
                .join(known_on(self._customers_on(night), night), on="customer_id", how="left")
                .collect()
                for night in test.assignment.nights
            ],
            how="diagonal_relaxed",
        )
        seed = crc32(test.record.id.encode())
        rows = test.outcomes.join(known, on="person", how="left", maintain_order="left")
        if rows.height > LEARNS_FROM:
            drawn = np.random.default_rng(seed).permutation(rows.height)[:LEARNS_FROM]
            rows = rows[np.sort(drawn)]
        codes = codes_of(known.drop("person"))
        learned = learn_uplift(
            figures_of(rows, codes),
            (rows["arm"] != CONTROL).to_numpy(),
            (rows["orders"] > 0).cast(pl.Float64).to_numpy(),
            seed=seed,
            control_share=control_share,
        )
        found = replace(found, attributes=tuple(codes), qini=learned.qini, more_held_out=learned.more_held_out)
        if not learned.is_shown:
            return found
        model = UpliftModel(codes=dict(codes), models=learned.models)
        ranking = model.score(self._customers_on(today), today)
        return replace(found, ranking=ranking.sort("uplift", "customer_id", descending=[True, False]), model=model)


def _problem(result: CampaignResult) -> str:
    """Why nothing can be learned."""
    if result.problem:
        return result.problem
    if not result.is_over:
        return (
            f"its last window ends on {result.final_on:%Y-%m-%d}, and the delivered tables tell of purchases until "
            f"{result.measured_until:%Y-%m-%d}; ask again once it is final"
        )
    return "something else than chance made its control group" if result.is_doubtful else ""


def _control_share(result: CampaignResult) -> float:
    """The share that was planned to be held out; the one that was, where nobody planned one."""
    planned, held_out = result.planned.get(CONTROL, 0.0), result.customers[CONTROL]
    return planned if 0 < planned < 1 else held_out / sum(result.customers.values())


def _interval(qini: Qini) -> str:
    low, at, high = (f"{SHOWN * of:,.1f}" for of in (qini.low, qini.coefficient, qini.high))
    return f"{at} buyers of {SHOWN:,} customers more than at random, {low} to {high}, on average over all shares"
