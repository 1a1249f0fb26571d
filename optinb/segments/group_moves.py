"""Who is in a group by what changed night after night, and what changed between two nights. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Literal, get_args

import polars as pl

from optinb.customers.moves import NOT_YET
from optinb.segments.group_forecast import UNKNOWN

if TYPE_CHECKING:
    from optinb.warehouse import Snapshot

Change = Literal["member", "joined", "left", "new_id", "old_id"]
"""A row of a night: somebody who was in already (in a whole list), a person who joined or left, an id under which a
person is in now who was in under another one before, and one under which a person was in who is in under another now.
"""

INSIDE: tuple[Change, ...] = ("member", "joined", "new_id")
ROWS = pl.Schema(
    {
        "customer_id": pl.String(),
        "change": pl.Enum(get_args(Change)),
        "stage_before": pl.String(),
        "stage_after": pl.String(),
        "value": pl.Float64(),
    }
)
"""What is kept of a night, a row a customer: their stages on the night before and on this one, and their future value,
of those who left as of the night before. Stage and value aren't kept of whoever was in already.
"""

PERSONS = pl.Schema({"customer_id": pl.String(), "person_id": pl.String()})
STATES = pl.Schema({"customer_id": pl.String(), "stage": pl.String(), "value": pl.Float64()})


def replayed(nights: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Who is in after some nights (with ROWS, the oldest first), the first of which has everybody: customer_id."""
    rows = [night.select("customer_id", "change") for night in nights]
    if not rows:
        return pl.DataFrame(schema={"customer_id": pl.String})
    last = pl.concat(rows).unique("customer_id", keep="last", maintain_order=True)
    return last.filter(pl.col("change").is_in(INSIDE)).select("customer_id").sort("customer_id")


def changed(
    before: pl.DataFrame,
    now: pl.DataFrame,
    *,
    persons: pl.DataFrame,
    states_before: pl.LazyFrame | None,
    states_now: pl.LazyFrame,
) -> pl.DataFrame:
    """What changed between two nights.

    Args:
        before: customer_id of the members on the earlier night, each once.
        now: the same of the later one.
        persons: customer_id and person_id of those who have another name as a person, as they are known now.
        states_before: STATES of all customers on the earlier night; None where nothing is kept of it.
        states_now: the same of the later one.

    Returns:
        a frame with ROWS, without those who stay, sorted by customer_id.
    """
    came, went = now.join(before, on="customer_id", how="anti"), before.join(now, on="customer_id", how="anti")
    rows = pl.concat(
        [
            _with_person(came, persons).with_columns(
                change=pl.when(_is_in(_others(before, persons))).then(pl.lit("new_id")).otherwise(pl.lit("joined"))
            ),
            _with_person(went, persons).with_columns(
                change=pl.when(_is_in(_others(now, persons))).then(pl.lit("old_id")).otherwise(pl.lit("left"))
            ),
        ]
    )
    then, tonight = (_looked_up(rows, states, persons) for states in (states_before, states_now))
    is_gone = pl.col("change").is_in(["left", "old_id"])
    return (
        rows.with_columns(
            stage_before=then["stage"],
            stage_after=tonight["stage"],
            value=pl.when(is_gone).then(then["value"]).otherwise(tonight["value"]),
        )
        .select(ROWS.names())
        .cast(ROWS)  # type: ignore[arg-type]
        .sort("customer_id")
    )


def persons_of(snapshot: Snapshot) -> pl.DataFrame:
    """PERSONS of a version."""
    if not snapshot.has("persons"):
        return pl.DataFrame(schema=PERSONS)
    return snapshot.table("persons").select(PERSONS.names()).cast(PERSONS).collect()  # type: ignore[arg-type]


def states_of(states: pl.LazyFrame) -> pl.LazyFrame:
    """STATES from the columns of the models."""
    known = states.collect_schema().names()
    value = pl.col("future_value") if "future_value" in known else pl.lit(None, pl.Float64)
    return states.select("customer_id", "stage", value=value).cast(STATES)  # type: ignore[arg-type]


def states_on(snapshot: Snapshot, night: date) -> pl.LazyFrame | None:
    """STATES of a night; None where nothing is kept of it."""
    found = snapshot.history(since=night, until=night).filter(pl.col("day") == night)
    return states_of(found) if "stage" in found.collect_schema() else None


def net_moves(rows: pl.DataFrame) -> dict[str, int]:
    """How many more came from each lifecycle stage than went to it, of what `changed` gives."""
    net: dict[str, int] = {}
    for change, column, sign in (("joined", "stage_before", 1), ("left", "stage_after", -1)):
        stages = rows.filter(pl.col("change") == change)[column].drop_nulls()
        for stage, count in stages.value_counts().iter_rows():
            net[stage] = net.get(stage, 0) + sign * count
    return net


def _with_person(rows: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """Customers with the person that each is."""
    joined = rows.join(persons, on="customer_id", how="left", maintain_order="left")
    return joined.select("customer_id", person=pl.coalesce("person_id", "customer_id"))


def _others(members: pl.DataFrame, persons: pl.DataFrame) -> pl.Series:
    """The people among some members who may be in it under several ids."""
    people = persons["person_id"].unique()
    known = members.filter(pl.col("customer_id").is_in(pl.concat([people, persons["customer_id"]]).implode()))
    return _with_person(known, persons)["person"]


def _is_in(people: pl.Series) -> pl.Expr:
    return pl.col("person").is_in(people.implode())


def _looked_up(rows: pl.DataFrame, states: pl.LazyFrame | None, persons: pl.DataFrame) -> pl.DataFrame:
    """Stage and value of customers (customer_id, person) in their order, by their own id or by another of theirs."""
    if states is None:
        return rows.with_columns(stage=pl.lit(UNKNOWN), value=pl.lit(None, pl.Float64)).select("stage", "value")
    theirs = persons.join(rows, left_on="person_id", right_on="person", how="semi")["customer_id"]
    wanted = pl.concat([rows["customer_id"], rows["person"], theirs]).unique()
    found = states.filter(pl.col("customer_id").is_in(wanted.implode())).select(STATES.names()).cast(STATES).collect()  # type: ignore[arg-type]
    of_person = _with_person(found.select("customer_id").sort("customer_id"), persons).join(found, on="customer_id")
    first = of_person.unique("person", keep="first", maintain_order=True).drop("customer_id")
    told = rows.join(found, on="customer_id", how="left", maintain_order="left")
    told = told.join(first, on="person", how="left", maintain_order="left", suffix="_other")
    is_own = pl.col("stage").is_not_null()
    return told.select(
        stage=pl.coalesce("stage", "stage_other", pl.lit(NOT_YET)),
        value=pl.when(is_own).then("value").otherwise("value_other"),
    )
