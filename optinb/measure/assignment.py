"""Who belongs to the test of a campaign, and on which side: from who got what. Pure.

Fixed at the freeze: what became of a message afterwards changes nothing, or those left would no longer be like the
control group.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
from msgspec import Struct

from optinb.delivery.anonymous import FORGOTTEN
from optinb.measure.effect import CONTROL
from optinb.measure.outcomes import ASSIGNED

MESSAGE = "message"
"""The arm of a campaign that has no variants."""
# A row for every recipient and control of each of a campaign's nights, as often as messages went to them. `send_at`: in
# UTC. Excluded customers aren't among them.
TESTED = pl.Schema(
    {"person": pl.String, "night": pl.Date, "send_at": pl.Datetime("us"), "role": pl.String, "variant": pl.String}
)


class Assignment(Struct, frozen=True, kw_only=True):
    """Who belongs to the test of a campaign.

    Attributes:
        people: with ASSIGNED, a row for each person, by the first night that they belong to.
        nights: those that the test is of, the first first.
        contaminated: how many were to get it in one night and were held out in another, such as two customers who
            turned out to be one person. They stay on the side of their first night.
        crossed: how many of these stay in the control group, although they got it.
        forgotten: how many were forgotten since; a row without a name stands in for each.
    """

    people: pl.DataFrame
    nights: tuple[date, ...]
    contaminated: int
    crossed: int = 0
    forgotten: int = 0

    @property
    def until(self) -> datetime | None:
        """When the last window ends (UTC, without a zone); None where nobody belongs to it."""
        ends = self.people["until"].max()
        return ends if isinstance(ends, datetime) else None


def assign(tested: pl.DataFrame, *, days: int, night: date | None = None, since: datetime | None = None) -> Assignment:
    """Who belongs to a campaign's test over all of its nights, or to that of one, or of a period.

    Over all nights the unit stays the person: what they do counts from the first message that they got, or would have
    got, and a later one within the window is part of what the campaign brought. A night alone, or a period, is that of
    whoever belonged to none before: who bought by an earlier message may have left the target group, or be capped,
    while the control group stayed, so that the others aren't alike any more.

    Args:
        tested: with TESTED; with `last` beside, when the last of a night's customers gets it, where that is known. It
            begins for all when the first does: on their own clocks nobody knows it of each.
        days: of 24 hours, that are measured from the send on.
        night: the only one, of which `tested` tells with those before it; all when left out.
        since: when the period begins (UTC, without a zone), of which `tested` tells with the nights before it.
    """
    if since is not None:
        tested = tested.filter(pl.col("send_at").min().over("person") >= since)
    rows = tested if night is None else tested.filter(pl.col("night").min().over("person") == night)
    rows = rows if night is None else rows.filter(pl.col("night") == night)
    held_out = pl.col("role") == CONTROL
    arm = pl.when(held_out).then(pl.lit(CONTROL)).otherwise(pl.col("variant").fill_null(MESSAGE))
    # of two ids of one person in a night the one that was held out counts, whatever variants are called
    is_drawn = pl.col("arm") != CONTROL
    in_order = rows.with_columns(arm=arm).sort("send_at", "person", is_drawn, "arm", maintain_order=True)
    last = "last" if "last" in rows.columns else "send_at"
    people = in_order.group_by("person", maintain_order=True).agg(
        pl.col("arm").first(),
        since=pl.col("send_at").first(),
        until=pl.col(last).first() + timedelta(days=days),
        on_both=held_out.any() & ~held_out.all(),
    )
    return Assignment(
        people=people.select(ASSIGNED.names()),
        nights=tuple(rows["night"].unique().sort().to_list()),
        contaminated=int(people["on_both"].sum()),
        crossed=int((people["on_both"] & (people["arm"] == CONTROL)).sum()),
        forgotten=int(people["person"].str.starts_with(FORGOTTEN).sum()),
    )
