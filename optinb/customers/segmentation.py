"""Micro-segments: stage and bands of the layers in words, `active, high spend, bought often`.

A segmentation is frozen and has a version. Every night all customers are labelled with it. It is made again only where
it no longer serves: a cell has too few customers, there are too few cells, or it is old; then cut points and cells
stay as they are wherever they still do.
"""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.customers.cells import (
    FEWEST,
    LEAST,
    WANTED,
    Counts,
    SegmentCell,
    make_cells,
    mended,
    occupied,
    regrown,
    sizes,
    split_further,
    to_be_mended,
    with_shares,
)
from optinb.customers.layers import SPENDERS, LayerName, Scale, learn_scales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.base.settings import ModelsSection

FEW = 300
"""With fewer customers, fewer micro-segments than `FEWEST` are no reason to make them again."""


class Segmentation(Struct, frozen=True, kw_only=True):
    """All frozen cells of a version, when and why they were made; no cells, in what an earlier release has left.

    `layers` are those that were asked for, `scales` of those in which customers differ. Every customer is in one cell.
    """

    version: int
    fitted_on: date
    reason: str
    layers: tuple[LayerName, ...] = ()
    scales: tuple[Scale, ...] = ()
    cells: tuple[SegmentCell, ...] = ()

    def label(self, cell: SegmentCell) -> str:
        """What its customers' micro-segment is called."""
        parts = [s.word(*r) for s, r in zip(self.scales, cell.ranges, strict=True) if r != s.whole]
        return ", ".join((" or ".join(cell.stages), *parts))

    def score(self, table: Any) -> Any:
        """customer_id and micro_segment (String) of every customer, lazily and in no particular order.

        `table` is a frame that Narwhals knows, with stage and the columns of the scales: it is an expression over the
        frozen cells, so that it runs where the data is.
        """
        rows = nw.from_native(table).lazy()
        rows = rows.with_columns(scale.band().alias(f"band {i}") for i, scale in enumerate(self.scales))
        *cells, last = self.cells
        label: nw.Expr = nw.lit(self.label(last))
        for cell in reversed(cells):
            label = nw.when(self._holds(cell)).then(nw.lit(self.label(cell))).otherwise(label)
        return rows.select("customer_id", label.alias("micro_segment")).to_native()

    def _holds(self, cell: SegmentCell) -> nw.Expr:
        held = [nw.col("stage").is_in(list(cell.stages))]
        for i, (scale, (low, high)) in enumerate(zip(self.scales, cell.ranges, strict=True)):
            if (low, high) != scale.whole:
                held.append((nw.col(f"band {i}") >= low) & (nw.col(f"band {i}") <= high))
        return nw.all_horizontal(*held, ignore_nulls=False)

    def counts(self, table: pl.DataFrame) -> Counts:
        """The number of customers by stage and bands."""
        bands = [scale.band().alias(f"band {i}") for i, scale in enumerate(self.scales)]
        rows = nw.from_native(table).select("stage", *bands).to_native()
        counted = rows.group_by(pl.all()).agg(customers=pl.len()).sort(pl.all())
        return {(stage, tuple(at)): count for stage, *at, count in counted.iter_rows()}

    def describe(self, micro_segment: str) -> tuple[str, ...]:
        """What a micro-segment means, a sentence for each layer; nothing of one that isn't of this version."""
        for cell in self.cells:
            if self.label(cell) == micro_segment:
                told = tuple(s.sentence(*r) for s, r in zip(self.scales, cell.ranges, strict=True) if r != s.whole)
                return told or (f"everybody who is {' or '.join(cell.stages)}",)
        return ()


def shares_of(labels: pl.Series) -> dict[str, float]:
    """The share of all customers of each micro-segment that has any, the smallest first."""
    counted = labels.value_counts().sort(["count", labels.name])
    return {label: count / len(labels) for label, count in counted.iter_rows()}


class Drift(Struct, frozen=True, kw_only=True):
    """The shift of shares since the cells were made: its population stability index, and where it is largest."""

    index: float
    where: str


def segment(
    table: pl.DataFrame,
    customers: pl.LazyFrame,
    *,
    run_date: date,
    settings: ModelsSection,
    leave: frozenset[str],
    before: Segmentation | None = None,
) -> tuple[Segmentation, pl.DataFrame, Drift | None]:
    """Labels all customers with the frozen segmentation; makes it first where there is none, or it no longer serves.

    `table` has customer_id (sorted), stage and the columns of the layers; `customers` what is delivered, for the layer
    of people, without the columns in `leave`. Gives the segmentation, the table with micro_segment, and the drift of
    the one that was there before.
    """
    delivered = []
    if "people" in settings.layers:
        schema = customers.collect_schema()
        delivered = [name for name, kind in schema.items() if kind == pl.String and name not in table.columns]
        own = customers.select("customer_id", *delivered).collect()
        wide = table.join(own, on="customer_id", how="left", maintain_order="left")
    else:
        wide = table
    delivered = [name for name in delivered if name not in leave]
    reason, drift = _unusable(before, wide, run_date, settings), None
    if before is None or reason is not None:
        found = _made(wide, delivered, before, run_date=run_date, settings=settings, reason=reason or "there was none")
    else:
        counts = before.counts(wide)
        drift = drift_of(before, counts)
        found = _kept(before, counts, run_date=run_date, settings=settings)
        if occupied(found.cells, counts) < FEWEST and len(wide) >= FEW:
            few = f"only {occupied(before.cells, counts)} of its micro-segments had customers"
            anew = _made(wide, delivered, before, run_date=run_date, settings=settings, reason=few)
            found = anew if occupied(anew.cells, anew.counts(wide)) >= FEWEST else found
    labels = found.score(wide.lazy()).collect()
    return found, table.join(labels, on="customer_id", how="left", maintain_order="left"), drift


def drift_of(fitted: Segmentation, counts: Counts) -> Drift | None:
    """The drift of its cells against when they were made; None without customers."""
    now = sizes(fitted.cells, counts)
    if not sum(now):
        return None
    terms = stability_terms([cell.share for cell in fitted.cells], now)
    largest = max(range(len(terms)), key=lambda i: terms[i])
    return Drift(index=sum(terms), where=fitted.label(fitted.cells[largest]))


def stability_terms(shares: Sequence[float], counts: Sequence[int]) -> list[float]:
    """What each share adds to the population stability index: (now - then) times the log of their quotient."""
    total, tiny = sum(counts), 1e-4
    pairs = ((max(share, tiny), max(count / total, tiny)) for share, count in zip(shares, counts, strict=True))
    return [(now - then) * math.log(now / then) for then, now in pairs]


def _unusable(before: Segmentation | None, wide: pl.DataFrame, run_date: date, settings: ModelsSection) -> str | None:
    """Why the one before can't label these customers; None where it can."""
    if before is None:
        return None
    if before.fitted_on > run_date:
        return f"the one of {before.fitted_on} is of a later night"
    if not before.cells:
        return "the one before had numbered labels, which meant another thing in each stage"
    if before.layers != settings.layers:
        return "the layers in the settings have changed"
    gone = [scale.column for scale in before.scales if scale.column not in wide.columns]
    return f"{gone[0]} is no longer delivered" if gone else None


def _kept(before: Segmentation, counts: Counts, *, run_date: date, settings: ModelsSection) -> Segmentation:
    """The segmentation before, or its next version with what had to be mended."""
    wholes = [scale.whole for scale in before.scales]
    small = to_be_mended(before.cells, counts, wholes)
    cells = mended(before.cells, counts, wholes) if small else before.cells
    reason = f"too few customers were left in {before.label(small[0])}" if small else None
    if occupied(cells, counts) < FEWEST and (more := split_further(cells, counts)) != cells:
        cells, reason = more, reason or "too few of its micro-segments had customers"
    age = (run_date - before.fitted_on).days
    if age >= settings.refit_days:
        cells, reason = regrown(cells, counts, wholes), f"it was {age} days old"
    if reason is None:
        return before
    cells = with_shares(cells, counts)
    return replace(before, version=before.version + 1, fitted_on=run_date, reason=reason, cells=cells)


def _made(
    wide: pl.DataFrame,
    delivered: Sequence[str],
    before: Segmentation | None,
    *,
    run_date: date,
    settings: ModelsSection,
    reason: str,
) -> Segmentation:
    """A new segmentation: with shares and bands of spend that make enough cells, or else those that make the most."""
    empty = Segmentation(
        version=before.version + 1 if before else 1, fitted_on=run_date, reason=reason, layers=settings.layers
    )
    tried = []
    for bands in SPENDERS:
        scales = learn_scales(wide, settings.layers, spend_bands=bands, delivered=delivered)
        known = replace(empty, scales=scales)
        tried.append((known, known.counts(wide)))
    best, most = None, -1
    for least in LEAST:
        for known, counts in tried:
            cells = make_cells(counts, [scale.whole for scale in known.scales], least=least)
            found = occupied(cells, counts)
            if found > most:
                best, most = replace(known, cells=cells), found
        if most >= (WANTED if least != LEAST[-2] else FEWEST):
            break
    assert best is not None
    return best
