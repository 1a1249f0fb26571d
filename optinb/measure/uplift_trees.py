"""Boosted trees as data: what was learned, to be kept as JSON and to score whoever comes later. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        return np.asarray(self.base + sum((_added(tree, x) for tree in self.trees), np.zeros(len(x))))


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


def _added(tree: Tree, x: NDArray[np.float64]) -> NDArray[np.float64]:
    left, right = np.array(tree.left), np.array(tree.right)
    column, most, gaps_left = np.array(tree.column), np.array(tree.most), np.array(tree.gaps_left)
    at, rows = np.zeros(len(x), dtype=np.int64), np.arange(len(x))
    while (inner := left[at] > 0).any():
        figure = x[rows, column[at]]
        to_left = np.where(np.isnan(figure), gaps_left[at], figure <= most[at])
        at = np.where(inner, np.where(to_left, left[at], right[at]), at)
    return np.array(tree.value)[at]
