"""How many customers each group had that a night looks at by itself, in two halves, and what they are worth.

The groups are the lifecycle stages, each frequent value of each text or yes/no that IT delivers, and both together:
"country is DE", "country is DE and stage is churned". Customers are halved by a hash of their id, so that what is found
in one half can be held against the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.engine.persons import in_share

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZES = pl.Schema(
    {
        "attribute": pl.String(),
        "value": pl.String(),
        "stage": pl.String(),
        "half": pl.Int8(),
        "customers": pl.Int64(),
        "worth": pl.Float64(),
    }
)
"""One row for each value of an attribute, stage and half; `worth` is the sum of their future value. Everybody by stage
has the attribute and the value "".
"""

MOST_VALUES = 300  # of an attribute, the most frequent
LEAST = 100  # customers of a value
SALT = "optinb news"
# ids, what is no kind of people, and the names of what is put beside the attributes
NOT_LOOKED_AT = frozenset({"customer_id", "external_user_id", "time_zone", "is_test", "stage", "half", "future_value"})


def looked_at(customers: pl.LazyFrame) -> tuple[str, ...]:
    """The attributes whose values are groups: delivered texts and yes/no, without ids.

    Args:
        customers: as they were delivered.
    """
    schema = customers.collect_schema()
    return tuple(
        name
        for name, kind in schema.items()
        if kind.base_type() in (pl.String, pl.Boolean, pl.Categorical, pl.Enum) and name not in NOT_LOOKED_AT
    )


def sizes_of(customers: pl.DataFrame, attributes: Iterable[str]) -> pl.DataFrame:
    """The sizes of a night.

    Args:
        customers: a row each, with customer_id (text), stage (text), future_value (Float64, null where no model tells
            it), and the attributes.
        attributes: of `looked_at`; one with more values than a thousand tells names or places, and isn't looked at.

    Returns:
        a frame with SIZES, sorted; values that fewer than `LEAST` customers have aren't in it.
    """
    first = in_share(customers["customer_id"], salt=SALT, share=0.5)
    rows = customers.with_columns(half=pl.when(first).then(0).otherwise(1).cast(pl.Int8))
    sums = (pl.len().cast(pl.Int64).alias("customers"), pl.col("future_value").sum().alias("worth"))
    found = [
        rows.group_by("stage", "half").agg(*sums).with_columns(attribute=pl.lit(""), value=pl.lit("")),
    ]
    for name in attributes:
        told = rows.select("stage", "half", "future_value", value=pl.col(name).cast(pl.String)).drop_nulls("value")
        frequent = told.group_by("value").len().filter(pl.col("len") >= LEAST)
        frequent = frequent.sort(["len", "value"], descending=[True, False]).head(MOST_VALUES)
        kept = told.join(frequent, on="value", how="semi").group_by("value", "stage", "half").agg(*sums)
        found.append(kept.with_columns(attribute=pl.lit(name)))
    parts = [part.select(SIZES.names()) for part in found]
    return pl.concat(parts).cast(SIZES).sort(SIZES.names()[:4])  # type: ignore[arg-type]


def groups_in(sizes: pl.DataFrame) -> pl.DataFrame:
    """Sizes by group, a row each: those of a value in a stage, and of a value whatever the stage (stage is "").

    Args:
        sizes: with SIZES and further columns, such as the night, which tell rows apart.

    Returns:
        the same columns; everybody isn't a group.
    """
    others = [name for name in sizes.columns if name not in ("stage", "customers", "worth")]
    whole = sizes.filter(pl.col("attribute") != "").group_by(others).agg(pl.col("customers", "worth").sum())
    return pl.concat([sizes, whole.with_columns(stage=pl.lit("")).select(sizes.columns)])
