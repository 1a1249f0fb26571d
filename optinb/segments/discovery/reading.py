"""Customers as arrays: attributes to make conditions of, and the target to look for. The shell around the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.customers import ATTRIBUTES
from optinb.engine import Tables, kinds
from optinb.errors import RuleError, did_you_mean
from optinb.rules import PURCHASE, Rule, attributes_of, behaviours_of
from optinb.segments.compile import members
from optinb.segments.discovery.columns import MOST_VALUES, AttributeColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

IDS = frozenset({"customer_id", "external_user_id"})
OF_APPS = frozenset({"apps", "last_app_use_on"})
OF_PURCHASES = frozenset(a.name for a in ATTRIBUTES) - IDS - OF_APPS - {"tenure_days"}
"""What the customer models make of purchases."""


def choose_attributes(
    tables: Tables, target: Rule | str, *, exclude: Iterable[str], include: Iterable[str]
) -> tuple[list[str], dict[str, str]]:
    """The attributes to look at, and those left out with the reason. Raises RuleError for a name that isn't known.

    Left out are ids, what the target is made of, and, where the target is about purchases, everything else that is
    made of purchases: it would say the same in other words. `include` brings attributes back.
    """
    known = kinds(tables.customer_schema)
    for name in (*exclude, *include):
        if name not in known:
            raise RuleError(f"attribute {name!r} isn't known{did_you_mean(name, known)}")
    left_out = {name: "an id" for name in known if name in IDS}
    if _asks_about_purchases(target, known):
        left_out |= {name: "made from purchases, as the target is" for name in known if name in OF_PURCHASES}
    left_out |= dict.fromkeys(exclude, "excluded")
    for name in include:
        left_out.pop(name, None)
    left_out |= dict.fromkeys({target} if isinstance(target, str) else attributes_of(target), "part of the target")
    return [name for name in known if name not in left_out], left_out


def _asks_about_purchases(target: Rule | str, known: Iterable[str]) -> bool:
    if isinstance(target, str):
        return target in OF_PURCHASES
    bought = any(behaviour.event == PURCHASE for behaviour in behaviours_of(target))
    return bought or bool(attributes_of(target) & OF_PURCHASES & set(known))


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
    labels = counted[name].head(2 * MOST_VALUES).to_list()
    places = series.replace_strict(labels, list(range(len(labels))), default=-1, return_dtype=pl.Int64)
    return AttributeColumn(
        name=name, kind="text", values=places.fill_null(-1).to_numpy(), known=known, labels=tuple(labels)
    )
