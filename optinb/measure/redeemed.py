"""Who redeemed what when, and whose code it was: the one derivation of it, and what it cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl
from msgspec import Struct

from optinb.base.figures import amount, many, share

# Who got an offer in a night, with the code of each where it has codes, and what one costs. `since`: when it was sent.
GIVEN = pl.Schema(
    {
        "campaign_id": pl.String,
        "night": pl.Date,
        "since": pl.Datetime("us"),
        "customer_id": pl.String,
        "code": pl.String,
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
            return f"nobody knows what was redeemed of {self.offer!r}: the table `redemptions` was never delivered"
        of = f" ({share(self.redeemed / self.given)})" if self.given else ""
        others = f", {many(self.by_others, 'time')} by somebody else than who got the code" if self.by_others else ""
        cost = "cost not known" if self.cost is None else f"cost {amount(self.cost)} {self.currency}"
        return (
            f"{self.offer!r}: redeemed {self.redeemed:,} of {self.given:,}{of}{others}; {cost}, by the delivery of "
            f"{self.until}"
        )


def redeemed(
    rows: pl.DataFrame, given: pl.DataFrame, *, offer: str, persons: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The redemptions of an offer that was given to customers.

    A row counts by its code, whoever came with it. One whose code nobody got counts by the name of the offer, for a
    customer who had got it by then, in the newest night that gave it to them.

    Args:
        rows: redemptions as they are delivered: redeemed_at, code, offer, customer_id, cost.
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
    rest = rows.join(by_code, on=_ROW, how="anti").filter(named, pl.col("customer_id").is_not_null())
    by_name = (
        rest.with_columns(person=_person("customer_id", known))
        .join(theirs.drop("code").with_columns(person=_person("owner", known)), on="person", how="inner")
        .filter(pl.col("redeemed_at") >= pl.col("since"))
        .sort("since", "campaign_id")
        .unique(_ROW, keep="last", maintain_order=True)
    )
    told = [_ROW, "redeemed_at", "campaign_id", "night", "code", "owner", "customer_id", "cost", "cost_of_one"]
    found = pl.concat([by_code.select(told), by_name.select(told)]).sort("redeemed_at", _ROW)
    return found.select(
        "redeemed_at",
        "campaign_id",
        "night",
        "code",
        customer_id="owner",
        redeemed_by="customer_id",
        by_other=_person("owner", known) != _person("customer_id", known),  # null where nobody knows who came
        cost=pl.col("cost").fill_null(pl.col("cost_of_one")),
    )


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
