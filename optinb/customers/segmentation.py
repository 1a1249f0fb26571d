"""Micro-segments: the string of a customer's clusters over the layers of their stage, `active:spend3.rhythm1.taste4`.

A segmentation is frozen and has a version. Every night scores all customers with it and measures how far the shares of
its clusters have drifted; it is fitted again when they have, or when it is old, starting from what it was.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.customers.clusters import ENOUGH, Clustering, fit_clusters
from optinb.customers.layers import LAYERS, Layer, people
from optinb.customers.lifecycle import STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.base.settings import ModelsSection

DRIFTED = 0.25
"""The population stability index from which a shift of shares is commonly called large."""


class Segmentation(Struct, frozen=True, kw_only=True):
    """All frozen clusterings of a version, when and why it was fitted."""

    version: int
    fitted_on: date
    reason: str
    clusterings: tuple[Clustering, ...]

    def of(self, stage: str) -> list[Clustering]:
        """The clusterings of a stage, in the order of the layers."""
        return [clustering for clustering in self.clusterings if clustering.stage == stage]

    def score(self, table: pl.LazyFrame, run_date: date) -> pl.LazyFrame:
        """customer_id and micro_segment (String) of every customer, in no particular order.

        An expression over the frozen centroids for each stage, so that it runs where the data is.
        """
        rows = nw.from_native(table).lazy()
        parts = []
        for stage in STAGES:
            part = rows.filter(nw.col("stage") == stage)
            names = []
            for i, clustering in enumerate(self.of(stage)):
                part = clustering.label(part, f"layer {i}", run_date)
                names.append(f"layer {i}")
            told = nw.concat_str(*names, separator=".") if names else nw.lit("")
            label = nw.concat_str(nw.lit(f"{stage}:"), told).alias("micro_segment")
            parts.append(part.select("customer_id", label))
        return nw.concat(parts, how="vertical").to_native()

    def describe(self, micro_segment: str) -> tuple[str, ...]:
        """The profile of a micro-segment, a sentence for each layer."""
        stage, _, labels = micro_segment.partition(":")
        numbers = dict(re.findall(r"([a-z]+)(\d+)", labels))
        clusterings = (clustering for clustering in self.of(stage) if clustering.layer in numbers)
        return tuple(clustering.sentence(int(numbers[clustering.layer])) for clustering in clusterings)


class Drift(Struct, frozen=True, kw_only=True):
    """The largest shift of shares since the fit: its population stability index, and in which layer and stage."""

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
    """Scores all customers with the frozen segmentation; fits it anew first where there is none, or it no longer fits.

    `table` has customer_id (sorted), stage and the columns of the layers; `customers` what is delivered, for the layer
    of people, without the columns in `leave`. Gives the segmentation, the table with micro_segment, and the drift of
    the one that was there before.
    """
    layers = [LAYERS[name] for name in settings.layers if name in LAYERS]
    if "people" in settings.layers:
        layer = people(customers, leave=leave)
        layers.append(layer)
        own = [name for name, _ in layer.figures if name not in table.columns]
        wide = table.join(customers.select("customer_id", *own).collect(), on="customer_id", how="left")
        wide = wide.sort("customer_id")
    else:
        wide = table
    names = tuple(layer.name for layer in layers)
    drift = None
    if before is None:
        reason = "there was none"
    elif before.fitted_on > run_date:
        reason = f"the one of {before.fitted_on} is of a later night"
        before = None
    elif any(tuple(c.layer for c in before.of(stage)) != names for stage in STAGES):
        reason = "the layers in the settings have changed"
    else:
        scored = _scored(table, wide, before, run_date)
        drift = drift_of(scored, before)
        reason = _why_refit(drift, before, scored, run_date, settings)
        if reason is None:
            return before, scored, drift
    fitted = _fit(wide, layers, before, run_date=run_date, most=settings.most_clusters, reason=reason)
    return fitted, _scored(table, wide, fitted, run_date), drift


def _why_refit(
    drift: Drift | None, before: Segmentation, scored: pl.DataFrame, run_date: date, settings: ModelsSection
) -> str | None:
    if drift and drift.index > DRIFTED:
        return f"the shares of {drift.where} had drifted (stability index {drift.index:.2f})"
    age = (run_date - before.fitted_on).days
    if age >= settings.refit_days:
        return f"it was {age} days old"
    counts = dict(scored["stage"].value_counts().iter_rows())
    grown = [s for s in STAGES if counts.get(s, 0) >= 2 * ENOUGH > 2 * max(c.customers for c in before.of(s))]
    return f"there were too few {grown[0]} customers before" if grown else None


def _scored(table: pl.DataFrame, wide: pl.DataFrame, fitted: Segmentation, run_date: date) -> pl.DataFrame:
    labels = fitted.score(wide.lazy(), run_date).collect()
    return table.join(labels, on="customer_id", how="left", maintain_order="left")


def _fit(
    wide: pl.DataFrame,
    layers: list[Layer],
    before: Segmentation | None,
    *,
    run_date: date,
    most: int,
    reason: str,
) -> Segmentation:
    known = {(c.stage, c.layer): c for c in before.clusterings} if before else {}
    return Segmentation(
        version=before.version + 1 if before else 1,
        fitted_on=run_date,
        reason=reason,
        clusterings=tuple(
            fit_clusters(
                wide.filter(pl.col("stage") == stage),
                layer,
                stage=stage,
                most=most,
                run_date=run_date,
                before=known.get((stage, layer.name)),
            )
            for stage in STAGES
            for layer in layers
        ),
    )


def drift_of(scored: pl.DataFrame, fitted: Segmentation) -> Drift | None:
    """The largest drift among stages that are large enough to say so; None where there is none."""
    worst: Drift | None = None
    for stage in STAGES:
        labels = scored.filter(pl.col("stage") == stage)["micro_segment"].value_counts()
        if labels["count"].sum() < ENOUGH:
            continue
        for clustering in fitted.of(stage):
            if clustering.customers < ENOUGH or not clustering.centroids:
                continue
            counts = labels.group_by(pl.col("micro_segment").str.extract(rf"\b{clustering.layer}(\d+)").alias("n"))
            now: Mapping[str, int] = dict(counts.agg(pl.col("count").sum()).iter_rows())
            index = stability_index(clustering.shares, [now.get(str(i + 1), 0) for i in range(len(clustering.shares))])
            if worst is None or index > worst.index:
                worst = Drift(index=index, where=f"{clustering.layer} among the {stage}")
    return worst


def stability_index(shares: tuple[float, ...], counts: list[int]) -> float:
    """Population stability index of counts against shares: the sum of (now - then) times the log of their quotient."""
    total, tiny = sum(counts), 1e-4
    pairs = ((max(share, tiny), max(count / total, tiny)) for share, count in zip(shares, counts, strict=True))
    return sum((now - then) * math.log(now / then) for then, now in pairs)
