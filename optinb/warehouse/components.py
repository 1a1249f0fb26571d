"""Which ids belong to one person, from pairs that say so. Pure: frames in, frames out."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray


PEOPLE = pl.Schema({"customer_id": pl.String, "person_id": pl.String, "drawn": pl.Boolean})


def components(links: pl.DataFrame) -> pl.DataFrame:
    """The ids of some links (`old`, `new`) with the `group` of each: whoever is linked, over any chain, is in one.

    Returns customer_id, group (from 0), is_new: whether some link leads to it.
    """
    ids = pl.concat([links["old"], links["new"]]).unique().sort()
    old, new = _places(links, ids)
    return pl.DataFrame(
        {
            "customer_id": ids,
            "group": pl.Series(_labels(len(ids), old, new, strong=False), dtype=pl.Int32),
            "is_new": pl.Series(np.isin(np.arange(len(ids)), new)),
        }
    )


def linked(links: pl.DataFrame, ids: Collection[str]) -> frozenset[str]:
    """Everybody whom a chain of links joins to one of some ids."""
    if links.is_empty():
        return frozenset()
    found = components(links)
    groups = found.filter(pl.col("customer_id").is_in(list(ids)))["group"].unique()
    return frozenset(found.filter(pl.col("group").is_in(groups.implode()))["customer_id"])


def cycles(links: pl.DataFrame) -> list[list[str]]:
    """The ids that lead to each other in a circle, so that nobody can tell which of them is the newest."""
    if links.is_empty():
        return []
    ids = pl.concat([links["old"], links["new"]]).unique().sort()
    old, new = _places(links, ids)
    labels = pl.DataFrame({"id": ids, "label": _labels(len(ids), old, new, strong=True)})
    found = labels.group_by("label").agg("id").filter(pl.col("id").list.len() > 1)
    return sorted(sorted(some) for some in found["id"])


def people(members: pl.DataFrame) -> pl.DataFrame:
    """Who each id is, with PEOPLE: one row for each id whose person has another name than the id itself.

    A person keeps the name by which they were known; of two that turn out to be one, the older id names both.

    Args:
        members: customer_id, group and is_new as of `components`; `prior`: the person that the id was before, null for
            one that was unknown; `was_drawn`: whether draws were made for this very id before.
    """
    named = members.filter(pl.col("prior").is_not_null()).select("group", customer_id="prior").unique()
    newer = members.select("customer_id", "is_new")
    named = named.join(newer, on="customer_id", how="left").with_columns(pl.col("is_new").fill_null(False))
    unnamed = members.join(named, on="group", how="anti").select("group", "customer_id", "is_new")
    first = pl.concat([named, unnamed]).sort("group", "is_new", "customer_id").unique("group", keep="first")
    told = members.join(first.select("group", person_id="customer_id"), on="group", how="inner")
    before = named.select("customer_id", was_person=pl.lit(True))
    told = told.join(before, on="customer_id", how="left")
    return (
        told.filter(pl.col("customer_id") != pl.col("person_id"))
        .select(
            "customer_id", "person_id", drawn=pl.col("was_drawn").fill_null(False) | pl.col("was_person").is_not_null()
        )
        .sort("customer_id")
    )


def _places(links: pl.DataFrame, ids: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return ids.search_sorted(links["old"]).to_numpy(), ids.search_sorted(links["new"]).to_numpy()


def _labels(size: int, old: NDArray[np.int64], new: NDArray[np.int64], *, strong: bool) -> NDArray[np.int32]:
    # scipy takes a while to import, and most nights link nobody
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(old), np.int8), (old, new)), shape=(size, size))
    return connected_components(graph.tocsr(), directed=True, connection="strong" if strong else "weak")[1]
