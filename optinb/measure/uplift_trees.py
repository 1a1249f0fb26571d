"""Boosted trees as data: what was learned, to be kept as JSON and to score whoever comes later. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 1 << 14
"""Rows that are looked at together: their figures stay near the processor, a sixth of the time of all at once."""
LARGEST = float(np.finfo(float).max)
"""In place of infinity, which JSON has not."""


class Tree(Struct, frozen=True, kw_only=True):
    """A tree, by its nodes; the first is the root.

    Attributes:
        column: of each node, which decides.
        most: of each node, the largest figure that goes to the left.
        left: the number of the node there; 0 at a leaf.
        right: the number of the node for the others.
        gaps_left: whether those of whom it isn't known go to the left.
        value: at a leaf, what is added.
    """

    column: tuple[int, ...]
    most: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    gaps_left: tuple[bool, ...]
    value: tuple[float, ...]


class BoostedTrees(Struct, frozen=True, kw_only=True):
    """Trees whose values are added up.

    Attributes:
        base: what they are added to.
        trees: in their order.
    """

    base: float
    trees: tuple[Tree, ...]

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is expected of each row.

        Args:
            x: (rows x columns) in the order that they were learned in; gaps are NaN.
        """
        parts = [x[at : at + AT_ONCE].T.copy() for at in range(0, len(x), AT_ONCE)]
        added = [sum((_added(tree, part) for tree in self.trees), np.zeros(part.shape[1])) for part in parts]
        return np.asarray(self.base + np.concatenate([np.empty(0), *added]))


def as_trees(fitted: Any) -> BoostedTrees:
    """What a HistGradientBoostingRegressor learned.

    Args:
        fitted: one of numbers, with a single output.
    """
    trees = []
    for (predictor,) in fitted._predictors:
        nodes = predictor.nodes
        trees.append(
            Tree(
                column=tuple(nodes["feature_idx"].tolist()),
                most=tuple(np.clip(nodes["num_threshold"], -LARGEST, LARGEST).tolist()),
                left=tuple(np.where(nodes["is_leaf"], 0, nodes["left"]).tolist()),
                right=tuple(np.where(nodes["is_leaf"], 0, nodes["right"]).tolist()),
                gaps_left=tuple(nodes["missing_go_to_left"].astype(bool).tolist()),
                value=tuple(nodes["value"].tolist()),
            )
        )
    return BoostedTrees(base=float(np.asarray(fitted._baseline_prediction).item()), trees=tuple(trees))


def _added(tree: Tree, x: NDArray[np.float64], node: int = 0) -> NDArray[np.float64]:
    """What a tree adds, from a node on, to (columns x rows)."""
    if not tree.left[node]:
        return np.full(x.shape[1], tree.value[node])
    figure = x[tree.column[node]]
    to_left = figure <= tree.most[node]
    if tree.gaps_left[node]:
        to_left |= np.isnan(figure)
    return np.where(to_left, _added(tree, x, tree.left[node]), _added(tree, x, tree.right[node]))
