"""Samples that draw the same customers again, whatever the order of rows, and most of them when others come and go."""

from __future__ import annotations

import polars as pl

_PARTS = 2**20


def sample(table: pl.DataFrame, count: int) -> pl.DataFrame:
    """About so many rows, drawn by a hash of the customer_id, so that the same customers are drawn again; sorted."""
    if len(table) > count:
        table = table.filter(pl.col("customer_id").hash(11) % _PARTS < _PARTS * count // len(table))
    return table.sort("customer_id")


def halves(table: pl.DataFrame, count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two samples of at most about so many rows with no customer in common, sorted."""
    odd = pl.col("customer_id").hash(13) % 2 == 1
    return sample(table.filter(~odd), count), sample(table.filter(odd), count)
