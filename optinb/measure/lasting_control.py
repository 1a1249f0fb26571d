"""Who is compared in the result of the programme: the lasting control group, and everybody else. Pure.

Customers are drawn by a hash of who they are, so that whoever was known before a period may be compared in it. Nothing
that messages may have changed decides who belongs: people who came later are left out, whom a message may have brought.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import polars as pl
from msgspec import Struct

from optinb.campaigns.policy import GLOBAL_CONTROL
from optinb.engine.persons import in_share

# What a night decided of customers whom only the lasting control group kept from it, or who were in its test.
JUDGED = pl.Schema({"person": pl.String, "left_out": pl.Boolean, "received": pl.Boolean})
FEW, TENTH = 5, 0.1
"""So many customers, or this share, may be on the other side than the draw says, before its share was another."""


class Sides(Struct, frozen=True, kw_only=True):
    """Everybody who is compared.

    Attributes:
        people: a row for each person, with `held_out`: whether they are in the lasting control group.
        merged: how many are left out, since they were drawn under several ids: their chance to be held out was another.
    """

    people: pl.DataFrame
    merged: int


class NightDraw(Struct, frozen=True, kw_only=True):
    """What a campaign's night did with the lasting control group.

    Attributes:
        night: of it.
        left_out: customers of the group whom it left out as such.
        taken: customers of the group who belonged to its test all the same.
        others: customers whom it left out as such, and who are not of the group.
        received: customers of the group who got the message.
    """

    night: date
    left_out: int
    taken: int
    others: int
    received: pl.Series

    @property
    def is_of_another_share(self) -> bool:
        """Whether the group was drawn with another share than today's, or not at all."""
        wrong = self.taken + self.others
        return wrong > max(FEW, TENTH * (wrong + self.left_out))


class LastingControl:
    """Draws people for the lasting control group as the contact policy does, whenever they came."""

    def __init__(self, persons: pl.DataFrame | None, *, share: float) -> None:
        """Args: `persons`: the published ones, whose person has another name; `share`: of all customers, 0 to 1."""
        self._share = share
        self._names = None if persons is None or persons.is_empty() else persons.select("customer_id", "person_id")
        self._several = None if self._names is None or persons is None else persons.filter("drawn")["person_id"]

    def sides(self, customers: pl.Series) -> Sides:
        """Everybody of some customers, by their ids, with the side that they are on."""
        ids = customers
        if self._names is not None:
            named = customers.to_frame("customer_id").join(self._names, on="customer_id", how="left")
            ids = named.select(pl.coalesce("person_id", "customer_id")).to_series().unique()
        known = self._drawn_once(ids.to_frame("person"))
        people = known.with_columns(held_out=self._held_out(known["person"]))
        return Sides(people=people, merged=len(ids) - people.height)

    def of_night(self, night: date, judged: pl.DataFrame) -> NightDraw:
        """What a campaign's night did with the group; `judged`: with JUDGED."""
        rows = self._drawn_once(judged)
        rows = rows.with_columns(ours=self._held_out(rows["person"]))
        ours, left_out = pl.col("ours"), pl.col("left_out")
        counts = rows.select(
            left_out=(left_out & ours).sum(), taken=(~left_out & ours).sum(), others=(left_out & ~ours).sum()
        )
        return NightDraw(
            night=night,
            **{name: int(count) for name, count in counts.row(0, named=True).items()},
            received=rows.filter(pl.col("received") & ours)["person"].unique(),
        )

    def _held_out(self, persons: pl.Series) -> pl.Series:
        return in_share(persons, salt=GLOBAL_CONTROL, share=self._share)

    def _drawn_once(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Without people whose ids were drawn each."""
        if self._several is None:
            return rows
        return rows.filter(~pl.col("person").is_in(self._several.implode()))


def last_of_another_share(draws: Iterable[NightDraw]) -> date | None:
    """The last night whose lasting control group was another than today's; None where it was the same in all."""
    return max((draw.night for draw in draws if draw.is_of_another_share), default=None)


def reached(draws: Iterable[NightDraw]) -> int:
    """How many people of the lasting control group got a message in any of some nights."""
    found = [draw.received for draw in draws]
    return pl.concat(found).n_unique() if found else 0
