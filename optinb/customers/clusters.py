"""Clusters of one layer in one lifecycle stage: fitted once, frozen, and moved with care.

KMeans on at most 50,000 customers, drawn by a hash of the id: on a million that gave the same clusters in a third of
the time. The number of clusters is the largest on which two halves of the customers agree (adjusted Rand index), since
the silhouette picks two whatever the data. A refit starts where the last one ended and keeps the scale and the numbers
of its clusters, so that whoever didn't change isn't relabelled.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.figures import figure
from optinb.customers.fitting import Floats, Places, halves, one_thread, sample
from optinb.customers.layers import Dimension, Layer, dimensions, figures

if TYPE_CHECKING:
    import polars as pl

LEARNS_FROM = 50_000
TRIES_ON = 5_000
"""Customers of each half that the number of clusters is tried on."""

AGREE = 0.8
"""The adjusted Rand index from which two halves count as agreeing; 0 is chance, 1 is the same."""

ENOUGH = 200
"""With fewer customers in a stage, all are in one cluster."""


class Clustering(Struct, frozen=True, kw_only=True):
    """The frozen clusters of a layer in a stage; without centroids, everybody is in cluster 1.

    `centre` and `scale` turn figures into the space of the `centroids`; `shares` are the clusters' shares of the
    customers when they were fitted, `agreement` is the adjusted Rand index of the two halves.
    """

    stage: str
    layer: str
    customers: int
    dimensions: tuple[Dimension, ...] = ()
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    centroids: tuple[tuple[float, ...], ...] = ()
    shares: tuple[float, ...] = (1.0,)
    agreement: float | None = None

    def label(self, rows: nw.LazyFrame[Any], name: str, run_date: date) -> nw.LazyFrame[Any]:
        """The rows with a column `name`: layer and number of the nearest centroid, such as spend3 (String)."""
        if not self.centroids:
            return rows.with_columns(nw.lit(f"{self.layer}1").alias(name))
        scaled = zip(self.dimensions, self.centre, self.scale, strict=True)
        xs = [((d.expression(run_date) - m) / s).alias(f"x{i}") for i, (d, m, s) in enumerate(scaled)]
        # The nearest centroid c has the largest 2cx - cc; of equally near ones the first is taken.
        near = [f"near{j}" for j in range(len(self.centroids))]
        nearness = [
            (sum((2 * c * nw.col(f"x{i}") for i, c in enumerate(of)), nw.lit(-sum(c * c for c in of)))).alias(column)
            for of, column in zip(self.centroids, near, strict=True)
        ]
        best = nw.max_horizontal(*near)
        number: nw.Expr = nw.lit(f"{self.layer}{len(near)}")
        for j in range(len(near) - 2, -1, -1):
            number = nw.when(nw.col(near[j]) == best).then(nw.lit(f"{self.layer}{j + 1}")).otherwise(number)
        columns = (*rows.collect_schema().names(), name)
        return rows.with_columns(*xs).with_columns(*nearness).with_columns(number.alias(name)).select(*columns)

    def profile(self, number: int) -> tuple[tuple[str, float, float], ...]:
        """What makes a cluster (1, 2, …) differ: name of the figure, its typical value there and in the stage.

        The figure that differs most, measured by its spread, comes first.
        """
        if not self.centroids:
            return ()
        at = self.centroids[number - 1]
        order = sorted(range(len(at)), key=lambda i: -abs(at[i]))
        return tuple(
            (d.name, d.plain(self.centre[i] + at[i] * self.scale[i]), d.plain(self.centre[i]))
            for i in order
            for d in (self.dimensions[i],)
        )

    def sentence(self, number: int) -> str:
        """The profile in words: the two figures that differ most."""
        told = [
            f"{name} {figure(there, digits=3)} (of the stage {figure(usual, digits=3)})"
            for name, there, usual in self.profile(number)[:2]
        ]
        return f"{self.layer}{number}: {', '.join(told)}" if told else f"{self.layer}{number}: everybody"


@one_thread
def fit_clusters(
    table: pl.DataFrame, layer: Layer, *, stage: str, most: int, run_date: date, before: Clustering | None = None
) -> Clustering:
    """The clusters of a layer among the customers of a stage.

    `table` has customer_id and the columns of the layer; `before` is what was frozen, which a refit moves as little as
    the data allows. Deterministic for the same rows in any order.
    """
    one = Clustering(stage=stage, layer=layer.name, customers=len(table))
    if len(table) < ENOUGH:
        return one
    drawn = sample(table, LEARNS_FROM)
    if before and before.centroids and {d.column for d in before.dimensions} <= set(table.columns):
        return _moved(before, _scaled(drawn, before, run_date), customers=len(table))
    found = dimensions(layer, drawn, run_date)
    if not found:
        return one
    columns = np.column_stack([column.to_numpy() for column in figures(drawn, found, run_date)])
    frame = Clustering(
        stage=stage,
        layer=layer.name,
        customers=len(table),
        dimensions=found,
        centre=tuple(columns.mean(axis=0).tolist()),
        scale=tuple(columns.std(axis=0).tolist()),
    )
    points = _scaled(drawn, frame, run_date)
    first, second = (_scaled(half, frame, run_date) for half in halves(drawn, TRIES_ON))
    count, agreement = choose_count(first, second, most=most)
    if count == 1:
        return one
    centroids, labels = _kmeans(points, count)
    by = drawn[layer.order_by].to_numpy()
    order = sorted(range(count), key=lambda j: (float(by[labels == j].mean()), tuple(centroids[j])))
    return _frozen(frame, centroids[order], points, agreement=agreement)


def choose_count(first: Floats, second: Floats, *, most: int) -> tuple[int, float | None]:
    """The largest number of clusters on which two halves agree, and how well; 1 and None if they agree on none."""
    from sklearn.metrics import adjusted_rand_score

    together = np.vstack([first, second])
    different = len(np.unique(together, axis=0))
    best: tuple[int, float | None] = (1, None)
    for count in range(2, min(most, different) + 1):
        if min(len(np.unique(half, axis=0)) for half in (first, second)) < count:
            break
        one, other = (nearest(together, _kmeans(half, count)[0]) for half in (first, second))
        agreement = float(adjusted_rand_score(one, other))
        if agreement >= AGREE:
            best = (count, agreement)
    return best


def nearest(points: Floats, centroids: Floats) -> Places:
    """The centroid that each point is nearest to; of equally near ones the first."""
    return np.argmax(2 * points @ centroids.T - (centroids**2).sum(axis=1), axis=1)


def _moved(before: Clustering, points: Floats, *, customers: int) -> Clustering:
    from scipy.optimize import linear_sum_assignment

    old = np.array(before.centroids)
    new, _ = _kmeans(points, len(old), start=old)
    distances = ((old[:, None, :] - new[None, :, :]) ** 2).sum(axis=2)
    _, match = linear_sum_assignment(distances)
    frame = replace(before, customers=customers)
    return _frozen(frame, new[match], points, agreement=before.agreement)


def _frozen(frame: Clustering, centroids: Floats, points: Floats, *, agreement: float | None) -> Clustering:
    counts = np.bincount(nearest(points, centroids), minlength=len(centroids))
    # Rounded, so that the last bits of a sum on another machine don't make another model.
    rounded = tuple(tuple(round(c, 9) for c in row) for row in centroids.tolist())
    shares = tuple((counts / counts.sum()).tolist())
    return replace(frame, centroids=rounded, shares=shares, agreement=agreement)


def _scaled(table: pl.DataFrame, frame: Clustering, run_date: date) -> Floats:
    columns = [column.to_numpy() for column in figures(table, frame.dimensions, run_date)]
    return (np.column_stack(columns) - np.array(frame.centre)) / np.array(frame.scale)


def _kmeans(points: Floats, count: int, *, start: Floats | None = None) -> tuple[Floats, Places]:
    from sklearn.cluster import KMeans

    how: dict[str, Any] = {"n_init": 3, "random_state": 0} if start is None else {"n_init": 1, "init": start}
    model = KMeans(count, **how)
    labels = model.fit_predict(points)
    return model.cluster_centers_, labels
