"""Segmentation layers, declared as data: which attributes of a customer are looked at together, and how.

A layer is a set of attributes with a common context. Amounts and counts are skewed, so that their logarithm is taken; a
category becomes one figure, 0 or 1, for each of its most frequent values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import Literal

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.customers.lifecycle import day_number

How = Literal["plain", "log", "since", "is"]
MOST_VALUES = 4
"""Of a category, so many values get a figure of their own."""

KINDS_OF_PEOPLE = 8
"""A delivered text with more values tells places or names, not kinds of people."""


class Dimension(Struct, frozen=True, kw_only=True):
    """A figure of a layer: a column as it is, its logarithm, the log of the days since it, or whether it is `value`.

    `fill` stands for a null, in the figure's own unit.
    """

    column: str
    how: How
    value: str | None = None
    fill: float = 0.0

    @property
    def name(self) -> str:
        """What a profile calls it."""
        if self.how == "is":
            return f"{self.column} {self.value}"
        return f"days since {self.column}" if self.how == "since" else self.column

    def expression(self, run_date: date) -> nw.Expr:
        """The figure (Float64) of each customer on that night."""
        column = nw.col(self.column)
        if self.how == "is":
            return (column == self.value).fill_null(False).cast(nw.Float64)
        if self.how == "since":
            column = (run_date.toordinal() - day_number(column)).clip(0)
        figure = column.cast(nw.Float64)
        if self.how in ("log", "since"):
            figure = (figure + 1.0).log()
        return figure.fill_null(self.fill)

    def plain(self, figure: float) -> float:
        """The figure in the unit of its column."""
        plain = math.expm1(figure) if self.how in ("log", "since") else figure
        return round(plain, 6) + 0.0


class Layer(Struct, frozen=True, kw_only=True):
    """A layer: its figures, and the column by whose mean its clusters are numbered, the lowest first."""

    name: str
    figures: tuple[tuple[str, How], ...]
    order_by: str


LAYERS: dict[str, Layer] = {
    layer.name: layer
    for layer in (
        Layer(
            name="spend",
            figures=(("average_order", "log"), ("spend_365d", "log"), ("spend_90d", "log")),
            order_by="spend_365d",
        ),
        Layer(
            name="rhythm",
            figures=(("recency_days", "log"), ("rhythm_days", "log"), ("purchases_365d", "log")),
            order_by="purchases_365d",
        ),
        Layer(
            name="taste",
            figures=(("favourite_category", "is"), ("favourite_share", "plain"), ("categories", "log")),
            order_by="spend_365d",
        ),
        Layer(name="apps", figures=(("apps", "plain"), ("last_app_use_on", "since")), order_by="apps"),
    )
}
"""The layers whose attributes every workspace has; that of people is made of what is delivered (`people`)."""


def people(customers: pl.LazyFrame, *, leave: frozenset[str]) -> Layer:
    """The layer of what is delivered of people: texts of few values, numbers, and the birth date."""
    schema = customers.collect_schema()
    texts = [name for name, kind in schema.items() if kind == pl.String and name not in leave]
    counts = customers.select(pl.col(texts).drop_nulls().n_unique()).collect().row(0) if texts else ()
    figures: list[tuple[str, How]] = [
        (name, "is") for name, count in zip(texts, counts, strict=True) if 2 <= count <= KINDS_OF_PEOPLE
    ]
    numbers = [name for name, kind in schema.items() if kind.is_numeric() and name not in leave]
    figures.extend((name, "plain") for name in numbers)
    figures.extend((name, "since") for name in schema if name == "birth_date")
    return Layer(name="people", figures=tuple(figures), order_by="spend_365d")


def dimensions(layer: Layer, table: pl.DataFrame, run_date: date) -> tuple[Dimension, ...]:
    """The figures of a layer that differ among the customers of a table, with what stands for their nulls."""
    found: list[Dimension] = []
    for column, how in layer.figures:
        if column not in table.columns:
            continue
        if how == "is":
            counted = table[column].drop_nulls().value_counts().sort(["count", column], descending=[True, False])
            found += [Dimension(column=column, how=how, value=value) for value in counted[column][:MOST_VALUES]]
            continue
        known = Dimension(column=column, how=how)
        middle = figures(table.drop_nulls(column), [known], run_date)[0].median()
        if middle is not None:
            found.append(Dimension(column=column, how=how, fill=float(middle)))  # type: ignore[arg-type]
    columns = figures(table, found, run_date)
    return tuple(d for d, column in zip(found, columns, strict=True) if column.n_unique() > 1)


def figures(table: pl.DataFrame, dimensions: Iterable[Dimension], run_date: date) -> list[pl.Series]:
    """The figures of each row, a column for each dimension."""
    expressions = [d.expression(run_date).alias(f"x{i}") for i, d in enumerate(dimensions)]
    if not expressions:
        return []
    return nw.from_native(table).select(*expressions).to_native().get_columns()
