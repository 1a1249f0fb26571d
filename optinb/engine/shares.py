"""Shares of customers drawn by a stable hash: the same everywhere, on every night, in every engine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def in_share(ids: pl.Series, *, salt: str, share: float) -> pl.Series:
    """Whether each id falls into a share of all customers.

    The first 64 bits of MD5(salt, unit separator, id), read little-endian, are compared with `share * 2**64`. MD5 is
    not a secret here, only an even and lasting spread: library hashes change between versions, and with them the
    control groups would.

    Args:
        ids: text, any order.
        salt: what makes this draw independent of others, such as a campaign id.
        share: 0 to 1.

    Returns:
        booleans in the order of `ids`.
    """
    if share <= 0 or not len(ids):
        return pl.repeat(False, len(ids), dtype=pl.Boolean, eager=True).alias("in_share")
    if share >= 1:
        return pl.repeat(True, len(ids), dtype=pl.Boolean, eager=True).alias("in_share")
    limit = min(int(share * 2**64), 2**64 - 1)
    drawn = ids.cast(pl.String).to_frame("id").with_row_index("place")
    with _engine().cursor() as con:
        con.register("drawn", drawn.to_arrow())
        return (
            con.sql(
                "select md5_number_upper($salt || chr(31) || id) < $limit::ubigint as in_share "
                "from drawn order by place",
                params={"salt": salt, "limit": limit},
            )
            .pl()
            .to_series()
        )


@cache
def _engine() -> DuckDBPyConnection:
    """One engine for all draws: to open one takes longer than to draw from thousands."""
    import duckdb

    return duckdb.connect(config={"autoinstall_known_extensions": "false"})
