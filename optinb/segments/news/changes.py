"""Which groups changed in a week beyond chance and season: from the sizes of many nights to rules and sentences."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from optinb.rules import AllOf, Rule, attr, attributes_of, to_json
from optinb.segments.news.sizes import groups_in
from optinb.segments.news.unusual import LEAST_CUSTOMERS, LEAST_SHARE, Change, unusual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from optinb.segments.news.item import NewsKind

    Floats = NDArray[np.float64]

WEEK = timedelta(days=7)
LEARNT = 8 * WEEK
YEAR = timedelta(days=364)  # the same weekday of the year before
KEY = ("attribute", "value", "stage")


class Changed(NamedTuple):
    """A group that changed: who it is (`about` leaves the stage away), how, its size a week ago, and the change."""

    rule: Rule
    about: str
    kind: NewsKind
    week_ago: int
    change: Change

    @property
    def by(self) -> float:
        """The change in a week, as a share."""
        return float(np.expm1(sum(self.change.seen) / 2))

    @property
    def expected(self) -> tuple[float, float]:
        """Between which shares it was expected."""
        middle, apart = self.change.expected, self.change.apart
        return float(np.expm1(middle - apart)), float(np.expm1(middle + apart))

    @property
    def is_of_value(self) -> bool:
        """Whether it is of the mean value of the customers, and not of how many there are."""
        return self.kind in ("value rose", "value fell")


class Changes(NamedTuple):
    """The groups that changed, the surest first; how many were looked at, and why others couldn't be."""

    found: tuple[Changed, ...]
    looked_at: int
    silent: str


def nights_wanted(night: date) -> tuple[date, ...]:
    """The nights whose sizes tell what is usual on one: those of ten weeks, and the same week of the year before."""
    lately = (night - timedelta(days=back) for back in range(LEARNT.days + 2 * WEEK.days, -1, -1))
    return (night - YEAR - WEEK, night - YEAR, *lately)


def changes_of(
    sizes: Mapping[date, pl.DataFrame], night: date, *, is_flag: Callable[[str], bool], with_value: bool = True
) -> Changes:
    """The groups that changed in the week up to a night.

    Args:
        sizes: with SIZES, of that night and of those of `nights_wanted` that are known.
        night: which one.
        is_flag: whether an attribute is a yes or no.
        with_value: whether the mean value is looked at, too; what two models tell can't be compared.
    """
    if night not in sizes or night - WEEK not in sizes:
        return Changes((), 0, f"what changed can't be told: the customers of {night - WEEK:%d %B %Y} weren't modelled")
    days = [day for day in nights_wanted(night) if day in sizes]
    table = pl.concat([groups_in(sizes[day]).with_columns(night=pl.lit(day)) for day in days])
    groups = table.filter(pl.col("night") == night).select(KEY).unique().sort(KEY)
    counts, worth = _cubes(table, groups, days)
    pairs = [(days.index(day - WEEK), at) for at, day in enumerate(days) if day - WEEK in days]
    earlier = [(one, other) for one, other in pairs if night - LEARNT - WEEK <= days[other] <= night - WEEK]
    then = next((pair for pair in pairs if days[pair[1]] == night - YEAR), None)
    now = (days.index(night - WEEK), days.index(night))
    if len(earlier) < 14:
        told = f"what changed can be told from four weeks of nights on; {len(earlier)} changes of a week are known"
        return Changes((), 0, told)
    logs = _logs(groups, counts, worth)
    if not with_value:
        del logs["value"]
    looked_at = {name: int(np.isfinite(own[0, :, now[1]]).sum()) for name, (own, _) in logs.items()}
    found: list[Changed] = []
    for name, (own, common) in logs.items():
        beside = own - common
        week = {pair: beside[:, :, pair[1]] - beside[:, :, pair[0]] for pair in dict.fromkeys([*pairs, now])}
        everywhere = (common[:, :, now[1]] - common[:, :, now[0]]).mean(axis=0)
        seen = unusual(
            week[now],
            np.stack([week[pair] for pair in earlier], axis=2),
            counts[:, :, now[0]],
            alike=np.unique(groups["stage"].to_numpy(), return_inverse=True)[1],
            year_before=None if then is None else week[then].mean(axis=0),
            tests=sum(looked_at.values()),
        )
        for place, change in seen.items():
            before, tonight = (int(counts[:, place, at].sum()) for at in now)
            off = sum(change.seen) / 2 - change.expected
            if abs(np.expm1(off)) < LEAST_SHARE or (name == "size" and abs(tonight - before) < LEAST_CUSTOMERS):
                continue
            kind: NewsKind = ("grew" if off > 0 else "shrank") if name == "size" else _value_kind(off > 0)
            rule, change = _rule(groups.row(place), is_flag), change.beside(float(everywhere[place]))
            found.append(Changed(rule, about(rule), kind, before, change))
    found.sort(key=lambda one: (one.change.p, -abs(one.by)))
    return Changes(tuple(found), groups.height, "")


def about(rule: Rule) -> str:
    """What a group is about whatever the stage: customers who move from stage to stage change several groups."""
    parts = rule.rules if isinstance(rule, AllOf) else (rule,)
    return " ".join(to_json(part) for part in parts if attributes_of(part) != {"stage"})


def _value_kind(rises: bool) -> NewsKind:
    return "value rose" if rises else "value fell"


def _logs(groups: pl.DataFrame, counts: Floats, worth: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Of each figure the logarithm by half, group and night, and that of everybody beside it (0 of a whole stage).

    What a season does to everybody is no news of a group: sizes stand beside those of the stage, or of all customers,
    and the mean value beside that of all. NaN where it isn't known; the mean value is looked at of whole groups alone.
    """
    stages, is_stage = groups["stage"].to_numpy(), (groups["attribute"] == "").to_numpy()
    total = np.nansum(counts[:, is_stage], axis=1)
    common = np.broadcast_to(total[:, None, :], counts.shape).copy()
    for stage in np.unique(stages[is_stage]):
        common[:, (stages == stage) & ~is_stage] = counts[:, (stages == stage) & is_stage]
    common[:, is_stage] = 1.0
    mean = np.nansum(worth[:, is_stage], axis=1) / total
    is_whole = (stages == "")[None, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (
            np.where(is_whole, np.log(worth / counts), np.nan),
            np.log(np.broadcast_to(mean[:, None, :], counts.shape)),
        )
        figures = {"size": (np.log(counts), np.log(common)), "value": value}
    return {
        name: (np.where(np.isfinite(own), own, np.nan), np.where(np.isfinite(beside), beside, np.nan))
        for name, (own, beside) in figures.items()
    }


def _cubes(table: pl.DataFrame, groups: pl.DataFrame, days: list[date]) -> tuple[Floats, Floats]:
    """Customers and worth by half, group and night; NaN where a group wasn't seen."""
    places = groups.with_row_index("place")
    nights = pl.DataFrame({"night": days, "at": range(len(days))})
    rows = table.join(places, on=KEY).join(nights, on="night")
    cubes = []
    for name in ("customers", "worth"):
        cube = np.full((2, groups.height, len(days)), np.nan)
        cube[rows["half"].to_numpy(), rows["place"].to_numpy(), rows["at"].to_numpy()] = rows[name].to_numpy()
        cubes.append(cube)
    return cubes[0], cubes[1]


def _rule(key: tuple[str, str, str], is_flag: Callable[[str], bool]) -> Rule:
    attribute, value, stage = key
    parts: list[Rule] = []
    if attribute:
        parts.append(attr(attribute) == (value == "true" if is_flag(attribute) else value))
    if stage:
        parts.append(attr("stage") == stage)
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
