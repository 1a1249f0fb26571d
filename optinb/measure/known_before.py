"""What was known of the people of a test before the send: their stage, micro-segment and platforms of that night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from optinb.base.settings import AppSettings
    from optinb.measure.breakdown import By
    from optinb.measure.measured_tables import MeasuredTables
    from optinb.warehouse import Snapshot

NOWHERE = "none"


def known_before(
    people: pl.DataFrame, tables: MeasuredTables, *, as_of: Callable[[date], Snapshot], apps: Sequence[AppSettings]
) -> tuple[tuple[tuple[By, pl.Series], ...], tuple[str, ...]]:
    """What each person was before they were drawn; and what can't be told of that, with the reason.

    A message may change all of these, so that nothing of later counts.

    Args:
        people: person, and the `day` of sending.
        tables: the published ones, which keep the states of each night.
        as_of: the version that a night read, while it is kept; raises WarehouseError.
        apps: those of the campaign's app group.
    """
    days: list[date] = people["day"].unique().sort().to_list()
    found: list[tuple[By, pl.Series]] = []
    untold = []
    try:
        platforms = pl.concat([_platforms(day, as_of, tables, apps) for day in days])
        found.append(("platform", _of(people, platforms)["platform"].fill_null(NOWHERE)))
    except WarehouseError as error:
        untold.append(f"by platform nothing is told: {error}; raise keep_versions in optinb.toml to keep more")
    states = tables.states(days, before=True)
    if states is None:
        untold.append(
            "by stage and micro-segment nothing is told: not every night of it modelled the customers, or it has more "
            "than 31 nights; name one of them"
        )
    else:
        of_each = _of(people, states)
        found.append(("stage", of_each["stage"]))
        found.append(("micro-segment", of_each["micro_segment"]))
    return tuple(found), tuple(untold)


def _of(people: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The first row of each person's day, in the order of the people."""
    once = rows.unique(["person", "day"], keep="first", maintain_order=True)
    return people.select("person", "day").join(once, on=["person", "day"], how="left", maintain_order="left")


def _platforms(
    day: date, as_of: Callable[[date], Snapshot], tables: MeasuredTables, apps: Sequence[AppSettings]
) -> pl.DataFrame:
    """On which platforms everybody could be reached, by the version that a night read."""
    names = {app.id: app.platform for app in apps}
    with as_of(day) as snapshot:
        rows = snapshot.table("app_users").filter(pl.col("app_id").is_in([*names]), pl.col("push_enabled"))
        with_name = rows.with_columns(platform=pl.col("app_id").replace_strict(names, return_dtype=pl.String))
        theirs = tables.by_person(with_name).group_by("person").agg(pl.col("platform").unique().sort().str.join(" + "))
        return theirs.with_columns(day=pl.lit(day)).sort("person").collect()
