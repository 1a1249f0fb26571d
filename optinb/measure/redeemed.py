"""Who redeemed what when, and whose code it was: the one derivation of it, and what it cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl
from msgspec import Struct

from optinb.base.figures import amount, many, share

# A row for each time that somebody is said to have redeemed something. `id`: the redemption's, or the transaction's
# where a purchase says it (`bought`). Times are in UTC.
TOLD = pl.Schema(
    {
        "redeemed_at": pl.Datetime("us"),
        "code": pl.String,
        "offer": pl.String,
        "customer_id": pl.String,
        "cost": pl.Float64,
        "id": pl.String,
        "bought": pl.Boolean,
    }
)
# Who got an offer in a night, with the code of each where it has codes, or what all were told instead of one, and what
# one costs. `since`: when it was sent.
GIVEN = pl.Schema(
    {
        "campaign_id": pl.String,
        "night": pl.Date,
        "since": pl.Datetime("us"),
        "customer_id": pl.String,
        "code": pl.String,
        "shared": pl.String,
        "cost_of_one": pl.Float64,
    }
)
# A row for each redemption. `customer_id` got the offer, or owned the code; `redeemed_by` came with it, where that is
# delivered. `by_other`: whether that was somebody else; null where nobody knows. `cost`: null where nobody has said.
# Times are in UTC.
REDEEMED = pl.Schema(
    {
        "redeemed_at": pl.Datetime("us"),
        "campaign_id": pl.String,
        "night": pl.Date,
        "code": pl.String,
        "customer_id": pl.String,
        "redeemed_by": pl.String,
        "by_other": pl.Boolean,
        "cost": pl.Float64,
    }
)
_ROW = "row"


class RedeemedNight(Struct, frozen=True, kw_only=True):
    """What came of the offer of one night.

    Attributes:
        night: that sent it.
        given: how many customers got it.
        redeemed: how often it was redeemed.
        by_others: how often by somebody else than who got the code.
        cost: of these redemptions; None where nobody has said what one costs.
    """

    night: date
    given: int
    redeemed: int
    by_others: int
    cost: float | None


class CampaignRedemptions(Struct, frozen=True, kw_only=True):
    """What came of a campaign's offer, and what it cost.

    Attributes:
        offer: its name.
        currency: of the costs.
        nights: each night that sent it, the first first.
        until: the newest delivery that told of redemptions; None where none ever did.
        problem: why nothing can be told; empty where it can.
    """

    offer: str
    currency: str
    nights: tuple[RedeemedNight, ...] = ()
    until: date | None = None
    problem: str = ""

    @property
    def given(self) -> int:
        """How many customers got it, each night counted."""
        return sum(night.given for night in self.nights)

    @property
    def redeemed(self) -> int:
        """How often it was redeemed."""
        return sum(night.redeemed for night in self.nights)

    @property
    def by_others(self) -> int:
        """How often by somebody else than who got the code."""
        return sum(night.by_others for night in self.nights)

    @property
    def cost(self) -> float | None:
        """Of all redemptions; None where the cost of some isn't known."""
        costs = [night.cost for night in self.nights if night.cost is not None]
        return sum(costs) if len(costs) == len(self.nights) else None

    def sentence(self) -> str:
        """The same in words."""
        if self.problem:
            return f"what was redeemed of {self.offer!r} can't be told: {self.problem}"
        if not self.nights:
            return f"nothing of {self.offer!r} has gone out yet"
        if self.until is None:
            never = "neither the table `redemptions` nor `promo_code` in transactions was ever delivered"
            return f"nobody knows what was redeemed of {self.offer!r}: {never}"
        of = f" ({share(self.redeemed / self.given)})" if self.given else ""
        others = f", {many(self.by_others, 'time')} by somebody else than who got the code" if self.by_others else ""
        cost = "cost not known" if self.cost is None else f"cost {amount(self.cost)} {self.currency}"
        return (
            f"{self.offer!r}: redeemed {self.redeemed:,} of {self.given:,}{of}{others}; {cost}, by the delivery of "
            f"{self.until}"
        )


def told_by_purchases(transactions: pl.LazyFrame) -> pl.LazyFrame:
    """What purchases say was redeemed with them, with TOLD; a refund, whose amount is below 0, says nothing.

    Args:
        transactions: with transaction_id, customer_id, occurred_at, amount and promo_code.
    """
    with_code = transactions.filter(pl.col("promo_code").is_not_null(), pl.col("amount") >= 0)
    return with_code.select(
        redeemed_at="occurred_at",
        code="promo_code",
        offer="promo_code",  # some shops take the offer's name for a code
        customer_id="customer_id",
        cost=pl.lit(None, dtype=TOLD["cost"]),
        id="transaction_id",
        bought=pl.lit(True),
    )


def redeemed(
    rows: pl.DataFrame, given: pl.DataFrame, *, offer: str, persons: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The redemptions of an offer that was given to customers.

    A row counts by its code, whoever came with it. One whose code nobody got counts by the name of the offer, or by the
    code that all got, for a customer who had got it by then, in the newest night that gave it to them. What the table
    and a purchase both say counts once.

    Args:
        rows: what is said to have been redeemed, with TOLD.
        given: who got it, in all campaigns that gave it, with GIVEN; what one costs counts where the row doesn't say.
        offer: its name, known without regard to case.
        persons: ids that belong to a person with another name, and that name.

    Returns:
        a frame with REDEEMED, the oldest first.
    """
    rows, known = rows.with_row_index(_ROW), persons or {}
    theirs = given.rename({"customer_id": "owner"})
    by_code = rows.join(theirs.filter(pl.col("code").is_not_null()), on="code", how="inner")
    named = pl.col("offer").str.to_lowercase() == offer.lower()
    shared = pl.col("code").str.to_lowercase() == pl.col("shared").str.to_lowercase()
    rest = rows.join(by_code, on=_ROW, how="anti").filter(pl.col("customer_id").is_not_null())
    by_name = (
        rest.with_columns(person=_person("customer_id", known))
        .join(theirs.drop("code").with_columns(person=_person("owner", known)), on="person", how="inner")
        .filter(named.fill_null(False) | shared.fill_null(False), pl.col("redeemed_at") >= pl.col("since"))
        .sort("since", "campaign_id")
        .unique(_ROW, keep="last", maintain_order=True)
    )
    kept = [_ROW, *TOLD.names(), "campaign_id", "night", "owner", "cost_of_one"]
    kept.remove("offer")
    found = _once(pl.concat([by_code.select(kept), by_name.select(kept)]))
    return found.sort("redeemed_at", _ROW).select(
        "redeemed_at",
        "campaign_id",
        "night",
        "code",
        customer_id="owner",
        redeemed_by="customer_id",
        by_other=_person("owner", known) != _person("customer_id", known),  # null where nobody knows who came
        cost=pl.col("cost").fill_null(pl.col("cost_of_one")),
    )


def _once(found: pl.DataFrame) -> pl.DataFrame:
    """Leaves out the purchases of which the table tells, too.

    They are the same by the transaction's id in the table; else as many purchases go as the table has rows of what one
    customer got, since the two seldom know the same minute. Several lines of one purchase are one.
    """
    gift, purchase = ["campaign_id", "night", "owner"], ["customer_id", "redeemed_at"]
    told, lines = found.filter(~pl.col("bought")), found.filter("bought").sort("redeemed_at", _ROW)
    if lines.is_empty():
        return found
    known = told["id"].drop_nulls().implode()
    is_known = pl.col("id").is_in(known).any().over(*gift, *purchase)
    bought = lines.filter(~is_known).unique([*gift, *purchase], keep="first", maintain_order=True)
    others = told.filter(~pl.col("id").is_in(lines["id"].implode()).fill_null(False))
    counts = others.group_by(gift).agg(told=pl.len())
    left = bought.with_columns(nth=pl.int_range(pl.len()).over(gift)).join(counts, on=gift, how="left")
    further = left.filter(pl.col("nth") >= pl.col("told").fill_null(0)).select(found.columns)
    return pl.concat([told, further])


def by_night(found: pl.DataFrame, given: pl.DataFrame) -> tuple[RedeemedNight, ...]:
    """The figures of each night of one campaign, of its rows of a frame with REDEEMED and of one with GIVEN."""
    figures = found.group_by("night").agg(
        redeemed=pl.len(),
        by_others=pl.col("by_other").fill_null(False).sum(),
        # of one redemption without a cost nobody knows what all cost
        cost=pl.when(pl.col("cost").is_not_null().all()).then(pl.col("cost").sum()),
    )
    nights = given.group_by("night").agg(given=pl.len()).join(figures, on="night", how="left").sort("night")
    return tuple(
        RedeemedNight(
            night=row["night"],
            given=row["given"],
            redeemed=row["redeemed"] or 0,
            by_others=row["by_others"] or 0,
            cost=row["cost"] if row["redeemed"] else 0.0,
        )
        for row in nights.iter_rows(named=True)
    )


def _person(column: str, persons: Mapping[str, str]) -> pl.Expr:
    """Whom an id belongs to."""
    return pl.col(column).replace(persons) if persons else pl.col(column)
