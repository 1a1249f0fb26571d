"""Many target groups in one night: what their behaviours share is read once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace as narrowed
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from msgspec.structs import replace

from optinb.errors import RuleError
from optinb.rules import Contacted, Did, Rule, attributes_of, behaviours_of, nodes_of, walk
from optinb.segments.compile import PROBED, Answers, check, members
from optinb.segments.conditions import condition
from optinb.segments.lookups import contacted, with_flag
from optinb.segments.plan import MAX_CONDITIONS, lookups_of, scans_of
from optinb.segments.pushdown import cheap_parts, either, relevance
from optinb.segments.sharing import Pass, passes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optinb.engine import Tables


def members_of_all(rules: Mapping[str, Rule], tables: Tables) -> pl.DataFrame:
    """Who belongs to each of several rules, each behaviour being measured once for all of them.

    Args:
        rules: rules by name; a name must not be "customer_id".
        tables: of any engine.

    Returns:
        a frame with one row for each customer: customer_id, and a column for each rule, true for its members.

    Raises RuleError when one of the rules doesn't fit the tables.
    """
    for rule in rules.values():
        check(rule, tables)
    answers = Answers(tables)
    customers = _customers(rules.values(), answers)
    ids = customers.select("customer_id")
    columns = [c for part in _passes(rules.values(), answers, customers) for c in _measured(part, answers, ids)]
    frame = nw.from_native(customers.with_columns(columns).lazy())
    for node in dict.fromkeys(node for rule in rules.values() for node in nodes_of(rule, Contacted)):
        found = contacted(node, tables).collect("polars").lazy()
        frame = with_flag(frame, found, answers.flag(node))
    row = answers.row()
    belong = [condition(rule, row).alias(name) for name, rule in rules.items()]
    return frame.select("customer_id", *belong).to_native().collect()


def groups_of(
    customer_id: str, names: Iterable[str], *, rule: Callable[[str], Rule], tables: Tables
) -> tuple[str, ...]:
    """Which of some groups a customer is in; one whose rule can't be evaluated has nobody."""
    mine = nw.col("customer_id") == customer_id
    alone = narrowed(tables, customers=tables.customers.filter(mine))
    found = []
    for name in names:
        with suppress(RuleError):
            if len(members(rule(name), alone).filter(mine).collect()):
                found.append(name)
    return tuple(found)


def _customers(rules: Iterable[Rule], answers: Answers) -> pl.DataFrame:
    """Every customer with the answers to the cheap conditions of the rules, a bit each."""
    tables = answers.tables
    parts = list(dict.fromkeys(part for rule in rules for part in cheap_parts(rule)))
    needed = frozenset().union(*map(attributes_of, parts)) - {"customer_id"}
    lookups = dict.fromkeys(lookup for part in parts for lookup in lookups_of(part))
    looked_up = answers.with_lookups(tables.customers.select("customer_id", *sorted(needed)), lookups)
    row = answers.row()
    told = [condition(part, row) for part in parts]
    columns = [found.alias(answers.flag(part)) for found, part in zip(told, parts, strict=True)]
    return looked_up.select("customer_id", *columns).collect("polars").to_native()


def _passes(rules: Iterable[Rule], answers: Answers, customers: pl.DataFrame) -> tuple[Pass, ...]:
    """The passes over the data that measure all behaviours of the rules."""
    matters: dict[Did, list[Rule | None]] = {}
    for rule in rules:
        outside = relevance(rule)
        for leaf in behaviours_of(rule):
            matters.setdefault(leaf, []).append(outside[leaf])
    sample = nw.from_native(customers.gather_every(max(customers.height // PROBED, 1)).lazy())
    row = answers.row()

    def wanted(cheap: Rule) -> NDArray[np.bool_]:
        found = sample.select(condition(cheap, row).alias("wanted")).to_native().collect()
        return found["wanted"].to_numpy() if found.height else np.ones(1, bool)

    relevant = {leaf: either(conditions) for leaf, conditions in matters.items()}
    short = {leaf: c if c is None or len(walk(c)) <= MAX_CONDITIONS else None for leaf, c in relevant.items()}
    return passes(short, answers.tables.run_date, wanted=wanted)


def _measured(part: Pass, answers: Answers, ids: pl.DataFrame) -> list[pl.Series]:
    """The answers to the behaviours of one pass, for each of the ids."""
    scans = (replace(scan, only=part.only) for scan in scans_of(part.leaves, answers.tables.run_date))
    return [column for scan in scans for column in _aligned(answers.measured(scan), ids)]


def _aligned(found: nw.LazyFrame[Any], ids: pl.DataFrame) -> list[pl.Series]:
    """The answers (one row a customer) in the order of the ids, null for customers that aren't there."""
    rows = found.collect("polars").to_native()
    return ids.join(rows, on="customer_id", how="left", maintain_order="left").drop("customer_id").get_columns()
