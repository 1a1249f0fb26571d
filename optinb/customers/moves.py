"""Who moved: between lifecycle stages, micro-segments or any value that is kept of every night."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

    from optinb.warehouse import Snapshot

NOT_YET = "not a customer"


class SegmentMove(Struct, frozen=True, kw_only=True):
    """How many customers went from one value to another (the same, where they stayed)."""

    before: str
    after: str
    customers: int


class Migration(Struct, frozen=True, kw_only=True):
    """The moves between two nights.

    Attributes:
        attribute: what moved: "stage", "micro_segment" or "value_segment".
        since: the night that was modelled last up to the earlier day.
        until: the night that was modelled last up to the later day.
        moves: how many customers went from which value to which.
    """

    attribute: str
    since: date
    until: date
    moves: tuple[SegmentMove, ...]

    def values(self, order: tuple[str, ...]) -> list[str]:
        """Every value that occurs.

        Args:
            order: values that come first where they occur, in this order; others follow by name.
        """
        found = {value for move in self.moves for value in (move.before, move.after)}
        return [value for value in order if value in found] + sorted(found - set(order))

    def customers(self, before: str, after: str) -> int:
        """How many went from one value to another.

        Args:
            before: the value on the earlier night.
            after: the value on the later night; the same for those who stayed.
        """
        return sum(move.customers for move in self.moves if (move.before, move.after) == (before, after))


def migration(snapshot: Snapshot, since: date, until: date, *, by: str) -> Migration:
    """The matrix of moves between two days.

    Raises UsageError for a value that isn't kept, a day without a model, or a first day after the second.
    """
    import polars as pl

    first, last, both = _both(snapshot, since, until, by)
    counted = both.group_by("before", "after").agg(customers=pl.len()).sort("before", "after")
    return Migration(
        attribute=by,
        since=first,
        until=last,
        moves=tuple(SegmentMove(before=b, after=a, customers=n) for b, a, n in counted.iter_rows()),
    )


def changers(snapshot: Snapshot, since: date, until: date, *, by: str) -> pl.DataFrame:
    """customer_id, before and after of every customer whose value is another one on the second day, sorted."""
    import polars as pl

    *_, both = _both(snapshot, since, until, by)
    return both.filter(pl.col("before") != pl.col("after")).sort("customer_id")


def _both(snapshot: Snapshot, since: date, until: date, by: str) -> tuple[date, date, pl.DataFrame]:
    import polars as pl

    if since > until:
        raise UsageError(f"{since} is later than {until}: name the earlier day first")
    nights = sorted({file.day for file in snapshot.contents.files if file.table == "history"})
    days = []
    for day in (since, until):
        before = [night for night in nights if night <= day]
        if not before:
            raise UsageError(
                f"no night up to {day} was modelled; the first is {nights[0] if nights else 'still to come'}"
            )
        days.append(before[-1])
    frames = []
    for day in days:
        states = snapshot.history(since=day, until=day)
        schema = states.collect_schema()
        texts = [name for name, kind in schema.items() if kind == pl.String and name != "customer_id"]
        if by not in texts:
            raise UsageError(f"no moves are known of {by!r} on {day}{did_you_mean(by, texts)}")
        frames.append(states.select("customer_id", by).collect())
    both = frames[0].join(frames[1], on="customer_id", how="full", suffix=" after", coalesce=True)
    nobody = (pl.col(name).fill_null(NOT_YET) for name in (by, f"{by} after"))
    return (
        days[0],
        days[1],
        both.select("customer_id", *(v.alias(n) for v, n in zip(nobody, ("before", "after"), strict=True))),
    )
