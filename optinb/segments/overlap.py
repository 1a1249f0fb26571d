"""How groups overlap: the exact number of customers in every combination of them."""

from __future__ import annotations

from datetime import date

import polars as pl
from msgspec import Struct


class Combination(Struct, frozen=True, kw_only=True):
    """The customers who are in all of some groups, and in none of the others."""

    groups: tuple[str, ...]
    customers: int


class Overlap(Struct, frozen=True, kw_only=True):
    """Groups with their sizes, and every combination that somebody is in, the largest first.

    Attributes:
        run_date: the night as of which it was counted.
        total: how many customers there are.
        sizes: by the name of each group, how many are in it.
        combinations: each customer is in exactly one, that without any group included, so that they sum up to `total`.
    """

    run_date: date
    total: int
    sizes: dict[str, int]
    combinations: tuple[Combination, ...]

    def both(self, one: str, other: str) -> int:
        """How many customers are in both of two groups.

        Args:
            one: the name of a group.
            other: the name of another one.
        """
        return sum(c.customers for c in self.combinations if one in c.groups and other in c.groups)

    def table(self) -> pl.DataFrame:
        """One row a combination.

        Returns:
            a frame with a column for each group (Boolean), and customers (Int64), the largest first.
        """
        columns = {name: [name in c.groups for c in self.combinations] for name in self.sizes}
        return pl.DataFrame(
            {**columns, "customers": [c.customers for c in self.combinations]},
            schema={**dict.fromkeys(self.sizes, pl.Boolean), "customers": pl.Int64},
        )


def overlap(belong: pl.DataFrame, *, run_date: date) -> Overlap:
    """The combinations of some groups.

    `belong`: one row a customer, with customer_id and a column for each group that is true for its members, as
    `members_of_all` returns it.
    """
    names = [name for name in belong.columns if name != "customer_id"]
    counted = belong.group_by(names).len().rows() if names else []
    found = [
        Combination(groups=tuple(name for name, is_in in zip(names, flags, strict=True) if is_in), customers=count)
        for *flags, count in counted
    ]
    found.sort(key=lambda c: (-c.customers, len(c.groups), [names.index(name) for name in c.groups]))
    sizes = {name: int(belong[name].sum()) for name in names}
    return Overlap(run_date=run_date, total=belong.height, sizes=sizes, combinations=tuple(found))
