"""What is known of each variant of a mix that learns, from what its customers did. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.campaigns.learning import Learned
from optinb.measure.arms import MEANS
from optinb.measure.effect import CONTROL
from optinb.measure.mix_files import GIVEN

if TYPE_CHECKING:
    from datetime import datetime

    from optinb.campaigns.learning import LearningFigure

LEAST = 1e-3
"""Below every floor: the share of somebody whose variant isn't in the mix of their night any more."""


def learned(outcomes: pl.DataFrame, figure: LearningFigure, *, measured_until: datetime | None) -> dict[str, Learned]:
    """What is known of the figure of each variant.

    Nights differ, and so do the shares of variants in them: each customer counts by how unlikely their variant was in
    their night, so that a variant of good nights isn't taken for a good variant (Hajek 1971).

    Args:
        outcomes: with OUTCOMES, of everybody of the campaign, with the share of each variant in the night of each where
            that differs, as `with_given` has it.
        figure: of which.
        measured_until: how far the tables tell (UTC, without a zone); only windows that are over by then count.

    Returns:
        by variant; of none whose customers' windows aren't over.
    """
    if measured_until is None:
        return {}
    over = outcomes.filter(pl.col("until") <= measured_until, pl.col("arm") != CONTROL)
    found: dict[str, Learned] = {}
    for (arm,), rows in over.group_by("arm", maintain_order=True):
        given = GIVEN.format(arm)
        share = rows[given].to_numpy() if given in rows.columns else np.ones(rows.height)
        value, weight = rows.select(MEANS[figure].cast(pl.Float64)).to_series().to_numpy(), 1 / np.maximum(share, LEAST)
        part = weight / weight.sum()
        mean = float(part @ value)
        error = float(np.sqrt((part**2) @ (value - mean) ** 2))
        found[str(arm)] = Learned(customers=rows.height, mean=mean, error=error)
    return found
