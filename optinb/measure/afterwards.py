"""Where customers stood at the end of their window, and whether an event is told of them in it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

ACTIVE = ("active", "reactivated")


def active_at_end(people: pl.DataFrame, states: pl.DataFrame, days: Mapping[datetime, date]) -> pl.Series:
    """Whether each is active or reactivated once their window is over; who left the tables isn't.

    Args:
        people: with ASSIGNED.
        states: with STATES.
        days: for the end of each window the day whose night tells.
    """
    told = states.filter(pl.col("stage").is_in(ACTIVE)).select("person", "day").unique().with_columns(active=True)
    ends = people.select("person", day=pl.col("until").replace_strict([*days], [*days.values()], return_dtype=pl.Date))
    found = ends.join(told, on=["person", "day"], how="left", maintain_order="left")
    return found["active"].fill_null(False)


def did_event(people: pl.DataFrame, events: pl.LazyFrame) -> pl.Series:
    """Whether an event is told of each in their window.

    Args:
        people: with ASSIGNED.
        events: person and occurred_at (UTC); of other people and times, too.
    """
    is_inside = (pl.col("occurred_at") >= pl.col("since")) & (pl.col("occurred_at") < pl.col("until"))
    theirs = events.join(people.lazy().drop("arm"), on="person", how="inner").filter(is_inside)
    told = theirs.select("person").unique().with_columns(event=True).collect(engine="streaming")
    return people.join(told, on="person", how="left", maintain_order="left")["event"].fill_null(False)
