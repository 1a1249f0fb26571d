"""Attributes as arrays, and the conditions that discovery may put on them; each has its rule of the language.

Below stands what reads them, and the target to look for, from the tables: the shell around the search.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.engine import Tables, kinds
from optinb.errors import RuleError, did_you_mean
from optinb.rules import (
    AllOf,
    Compare,
    DaysAgo,
    Kind,
    Missing,
    Not,
    OneOf,
    Rule,
    attributes_of,
)
from optinb.segments.compile import members
from optinb.segments.restated import IDS, OF_APPS, OF_REGISTRATION, restated

if TYPE_CHECKING:
    from numpy.typing import NDArray

COARSE, FINE = 11, 63  # cuts of a measure: in the search, and where a found group is sharpened
SPAN_EVERY = 2  # spans between two cuts are searched on every other coarse cut
MOST_LABELS = 1_000  # values of a text that are conditions: the most frequent
MOST_VALUES, PAIRED_VALUES = 20, 6  # of them, those that enter combinations in any case, and that start as two together


@dataclass(frozen=True, eq=False, kw_only=True)
class AttributeColumn:
    """One attribute of n customers.

    values: shape (n,); numbers as delivered, days as whole days before the run date, texts and yes/no as places in
        `labels`, which stand by frequency (-1 for a text that is too rare). What stands where `known` is false means
        nothing.
    known: shape (n,), booleans.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    known: NDArray[np.bool_]
    labels: tuple[str | bool, ...] = ()

    @property
    def is_measure(self) -> bool:
        """Whether its values have an order."""
        return self.kind in ("number", "day")

    def part(self, rows: NDArray[Any] | slice) -> AttributeColumn:
        """The column of some of the customers."""
        return replace(self, values=self.values[rows], known=self.known[rows])


class Span(Struct, frozen=True):
    """`low <= value < high`; None where it is open."""

    column: int
    low: float | int | None = None
    high: float | int | None = None


class Among(Struct, frozen=True):
    """The value is one of several, by their places in the column's labels."""

    column: int
    codes: tuple[int, ...]


class Known(Struct, frozen=True):
    """The attribute is empty, or is not."""

    column: int
    known: bool


Condition = Span | Among | Known


def holds(condition: Condition, column: AttributeColumn) -> NDArray[np.bool_]:
    """For which customers a condition holds; false where the attribute is empty, as everywhere in the language."""
    match condition:
        case Span(low=low, high=high):
            mask = column.known.copy()
            if low is not None:
                mask &= column.values >= low
            if high is not None:
                mask &= column.values < high
            return mask
        case Among(codes=codes):
            return np.isin(column.values, codes) & column.known
        case Known(known=known):
            return column.known.copy() if known else ~column.known
        case _:
            assert_never(condition)


def as_rule(condition: Condition, column: AttributeColumn) -> Rule:
    """The condition in the language of target groups."""
    name = column.name
    match condition:
        case Span(low=low, high=high) if column.kind == "day":
            parts = [] if high is None else [Compare(name, "gt", DaysAgo(int(high)))]
            parts += [] if low is None else [Compare(name, "le", DaysAgo(int(low)))]
            return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
        case Span(low=low, high=high):
            if isinstance(high, int) and low == high - 1:
                return Compare(name, "eq", high - 1)
            parts = [] if low is None else [Compare(name, "ge", low)]
            if high is not None:
                parts += [Compare(name, "le", high - 1) if isinstance(high, int) else Compare(name, "lt", high)]
            return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
        case Among(codes=codes):
            values = tuple(column.labels[code] for code in codes)
            return Compare(name, "eq", values[0]) if len(values) == 1 else OneOf(name, values)
        case Known(known=known):
            return Not(Missing(name)) if known else Missing(name)
        case _:
            assert_never(condition)


def conditions(place: int, column: AttributeColumn) -> list[Condition]:
    """The conditions on a column that the search begins with, `place` being where the column stands."""
    found: list[Condition] = []
    if not column.known.all():
        found += [Known(place, False), Known(place, True)]
    if column.is_measure:
        at = cuts(column, COARSE)
        found += [Span(place, low=cut) for cut in at] + [Span(place, high=cut) for cut in at]
        ends = at if len(at) <= COARSE // SPAN_EVERY + 1 else at[::SPAN_EVERY]
        found += [Span(place, low, high) for i, low in enumerate(ends) for high in ends[i + 1 :]]
        return found
    codes = range(len(column.labels))
    found += [Among(place, (code,)) for code in codes]
    if len(codes) > 2:
        found += [Among(place, (a, b)) for a in codes[:PAIRED_VALUES] for b in codes[a + 1 : PAIRED_VALUES]]
    return found


def cuts(column: AttributeColumn, number: int) -> list[float | int]:
    """Where a measure may be cut, ascending: near its quantiles, at round figures, and on both sides of a heavy value.

    A column of few different values is cut at each. Cuts are ints where the values are.
    """
    values = np.sort(column.values[column.known])
    if not len(values):
        return []
    whole = values.dtype.kind in "iu"
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= number + 1:
        found = set(distinct[1:].tolist())
    else:
        heavy = np.flatnonzero(counts > len(values) / (number + 1))
        found = set(distinct[heavy].tolist()) | set(distinct[np.minimum(heavy + 1, len(distinct) - 1)].tolist())
        last, width = len(values) - 1, 0.3 / (number + 1)
        for i in range(1, number + 1):
            share = i / (number + 1)
            low, high = values[int(last * (share - width))].item(), values[int(last * (share + width))].item()
            found.add(round_figure(low, high, days=column.kind == "day") if low < high else high)
    lowest = distinct[0].item()
    return [int(cut) if whole else float(cut) for cut in sorted(found) if cut > lowest and np.isfinite(cut)]


def round_figure(low: float | int, high: float | int, *, days: bool = False) -> float | int:
    """The roundest number above `low` and not above `high`; of days, years and months are the roundest."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return high
    whole = isinstance(high, int)
    largest = int(np.floor(np.log10(max(abs(low), abs(high), 1e-300))))
    smallest = max(int(np.floor(np.log10(high - low))) - 1, 0 if whole else -300)
    steps: list[tuple[int, int]] = [(365, 0), (30, 0), (7, 0)] if days and low > 0 else []
    steps += [(times, power) for power in range(largest, smallest - 1, -1) for times in (10, 5, 2, 1)]
    for times, power in steps:
        # an exact power of ten divides; a negative one would leave 0.30000000000000004
        found = (
            (int(high // (times * 10**power))) * times * 10**power
            if power >= 0
            else np.floor(high * 10**-power / times) * times / 10**-power
        )
        if low < found <= high:
            return int(found) if whole else float(found)
    return high


def choose_attributes(
    tables: Tables,
    target: Rule | str,
    *,
    exclude: Iterable[str],
    include: Iterable[str],
    of_purchases: Iterable[str] = (),
) -> tuple[list[str], dict[str, str]]:
    """The attributes to look at, and those left out with the reason. Raises RuleError for a name that isn't known.

    Left out are ids, published scores, what the target is made of, and everything else that is made of the same
    (purchases, the use of apps, the registration): it would say the same in other words. `include` brings attributes
    back.
    """
    known = kinds(tables.customer_schema)
    for name in (*exclude, *include):
        if name not in known:
            raise RuleError(f"attribute {name!r} isn't known{did_you_mean(name, known)}")
    left_out = {name: "an id" for name in known if name in IDS}
    asked = Missing(target) if isinstance(target, str) else target
    same = restated(asked, of_purchases=of_purchases)
    left_out |= {name: f"made from {_made_of(name)}, as the target is" for name in known if name in same}
    left_out |= {name: "learned from what customers did" for name in known if name in tables.scores}
    left_out |= dict.fromkeys(exclude, "excluded")
    for name in include:
        left_out.pop(name, None)
    left_out |= dict.fromkeys(attributes_of(asked), "part of the target")
    return [name for name in known if name not in left_out], left_out


def _made_of(name: str) -> str:
    return "app use" if name in OF_APPS else "the registration" if name in OF_REGISTRATION else "purchases"


def read_customers(tables: Tables, names: Iterable[str], within: Rule | None) -> pl.DataFrame:
    """customer_id and some attributes of the customers within a rule, sorted by customer_id."""
    frame = tables.customers
    if within is not None:
        frame = frame.join(members(within, tables), on="customer_id", how="semi")
    return frame.select("customer_id", *dict.fromkeys(names)).collect(backend="polars").to_native().sort("customer_id")


def read_target(tables: Tables, target: Rule | str, customers: pl.DataFrame) -> tuple[NDArray[np.float64], bool]:
    """The target of each customer (NaN where it isn't known), and whether it is a yes or no."""
    if isinstance(target, str):
        column = customers[target]
        values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return np.where(np.isfinite(values), values, np.nan), column.dtype == pl.Boolean
    ids = members(target, tables).collect(backend="polars").to_native()["customer_id"]
    return customers["customer_id"].is_in(ids.implode()).cast(pl.Float64).to_numpy(), True


def read_column(series: pl.Series, tables: Tables) -> AttributeColumn | None:
    """One attribute as a column; None for a type that discovery makes no condition of."""
    known = series.is_not_null().to_numpy()
    dtype = series.dtype
    if dtype == pl.Boolean:
        places = series.fill_null(False).cast(pl.Int64).to_numpy()
        return AttributeColumn(name=series.name, kind="yes/no", values=places, known=known, labels=(False, True))
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return _texts(series.cast(pl.String), known)
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        if isinstance(dtype, pl.Datetime):
            utc = series if dtype.time_zone else series.dt.replace_time_zone("UTC")
            series = utc.dt.convert_time_zone(tables.zone.key).dt.date()
        since_1970 = series.cast(pl.Int32).cast(pl.Int64).fill_null(0).to_numpy()
        ago = (tables.run_date.toordinal() - _EPOCH) - since_1970
        return AttributeColumn(name=series.name, kind="day", values=ago, known=known)
    if not dtype.is_numeric():
        return None
    if dtype.is_decimal():
        series = series.cast(pl.Float64)
    if series.dtype.is_float():
        # the engines sort what is no number above all numbers
        series = series.fill_nan(float("inf"))
    return AttributeColumn(name=series.name, kind="number", values=series.fill_null(0).to_numpy(), known=known)


_EPOCH = 719_163  # the ordinal of 1 January 1970


def _texts(series: pl.Series, known: NDArray[np.bool_]) -> AttributeColumn:
    """A text with the places of its most frequent values; the others stand at -1."""
    name = series.name
    counted = series.drop_nulls().value_counts(name="customers").sort(["customers", name], descending=[True, False])
    labels = counted[name].head(MOST_LABELS).to_list()
    places = series.replace_strict(labels, list(range(len(labels))), default=-1, return_dtype=pl.Int64)
    return AttributeColumn(
        name=name, kind="text", values=places.fill_null(-1).to_numpy(), known=known, labels=tuple(labels)
    )
