"""Many target groups in one night: what they share is read once, so that fifty cost a few times what one does.

A pass that measures more costs more only a little, as long as it reads the same days and groups the same customers'
rows; one for everything would group all rows of the longest window, and hold every measure of every customer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as narrowed
from datetime import date
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from msgspec.structs import replace

from optinb.errors import OptinbError, RuleError
from optinb.rules import Contacted, Did, Rule, attributes_of, behaviours_of, nodes_of, walk
from optinb.segments.compile import PROBED, Answers, check, members
from optinb.segments.conditions import condition, contacted, with_flag
from optinb.segments.plan import MAX_CONDITIONS, lookups_of, measures_of, rows_of, scans_of
from optinb.segments.pushdown import cheap_parts, either, relevance

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optinb.engine import Tables
    from optinb.segments.tables_view import TablesView

# Nanoseconds for each row of a pass, measured on 25 M rows of 5 M customers: reading it, asking whether its customer
# matters (for a share of 1), grouping it, and adding it to one measure.
READ_NS, ASK_NS, GROUP_NS, MEASURE_NS = 55.0, 600.0, 470.0, 25.0
# As `plan.RESTRICT_BELOW`; lower, since the answers of a pass are held beside those of the others (measured on fifty
# groups: at 50 % a twentieth more processor time and a quarter more memory).
RESTRICT_BELOW = 0.4
# Measures of one pass, each of which costs memory for every customer while the pass runs.
AT_ONCE = 8
# What "ever" is taken for.
EVER_DAYS = 3650


@dataclass(frozen=True)
class Pass:
    """Behaviours measured together, on the rows of the customers who fulfil `only` (None: of all)."""

    leaves: tuple[Did, ...]
    only: Rule | None


@dataclass(frozen=True)
class _Part:
    """Some behaviours, and what a pass for them would cost."""

    leaves: tuple[Did, ...]
    table: str
    first: int
    last: int
    wanted: NDArray[np.bool_]
    measures: frozenset

    def joined(self, other: _Part) -> _Part:
        return _Part(
            leaves=self.leaves + other.leaves,
            table=self.table,
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            wanted=self.wanted | other.wanted,
            measures=self.measures | other.measures,
        )

    @property
    def restricted(self) -> bool:
        """Whether it pays to leave out the rows of customers to whom nothing here can matter."""
        return float(self.wanted.mean()) <= RESTRICT_BELOW

    @property
    def cost(self) -> float:
        """Nanoseconds, for one row a day."""
        a_row = GROUP_NS + MEASURE_NS * len(self.measures)
        if self.restricted:
            a_row = (ASK_NS + a_row) * float(self.wanted.mean())
        return (self.last - self.first + 1) * (READ_NS + a_row)


def passes(
    relevant: Mapping[Did, Rule | None], run_date: date, *, wanted: Callable[[Rule], NDArray[np.bool_]]
) -> tuple[Pass, ...]:
    """Shares the behaviours out over passes, one after another, each to where it adds the least cost.

    Args:
        relevant: each behaviour with the condition outside of which it can't matter (None: it may for everybody).
        run_date: the night.
        wanted: of some sample of the customers, who fulfils a condition.
    """
    found: list[_Part] = []
    parts = [_part(leaf, condition, run_date, wanted) for leaf, condition in relevant.items()]
    for part in sorted(parts, key=lambda p: -p.cost):
        best, least = None, part.cost
        for i, existing in enumerate(found):
            if existing.table != part.table or part.leaves[0].measure == "days_in_a_row":
                continue
            joined = existing.joined(part)
            if len(joined.measures) <= AT_ONCE and (added := joined.cost - existing.cost) < least:
                best, least = i, added
        if best is None:
            found.append(part)
        else:
            found[best] = found[best].joined(part)
    return tuple(
        Pass(part.leaves, either(relevant[leaf] for leaf in part.leaves) if part.restricted else None) for part in found
    )


def _part(leaf: Did, condition: Rule | None, run_date: date, wanted: Callable[[Rule], NDArray[np.bool_]]) -> _Part:
    rows = rows_of(leaf, run_date)
    return _Part(
        leaves=(leaf,),
        table=rows.table if leaf.measure != "days_in_a_row" else f"{rows.table} in a row",
        first=rows.last.toordinal() - EVER_DAYS if rows.first is None else rows.first.toordinal(),
        last=rows.last.toordinal(),
        wanted=np.ones(1, bool) if condition is None else wanted(condition),
        measures=frozenset(measures_of(leaf, run_date)),
    )


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


class SharedGroups:
    """Who belongs to each of some rules, on one version of the tables and as of one night.

    A rule that doesn't fit the tables is left out, so that it stands in nobody's way; so is everything where there are
    fewer than two rules to share anything. Whoever uses such a rule evaluates it alone and is told what is wrong.
    """

    def __init__(self, reading: TablesView, rules: Iterable[Rule], *, run_date: date | None) -> None:
        """Args: `rules` name no groups any more; `run_date` as in `Reading.tables`."""
        self._columns: dict[Rule, str] = {}
        self._found: pl.DataFrame | None = None
        distinct = tuple(dict.fromkeys(rules))
        if len(distinct) < 2:
            return
        self._of = (reading.snapshot().version, run_date)
        tables = reading.tables_for(*distinct, run_date=run_date)
        fitting = {f"rule {number}": rule for number, rule in enumerate(distinct) if _fits(rule, tables)}
        if len(fitting) < 2:
            return
        with suppress(OptinbError):
            self._found = members_of_all(fitting, tables)
            self._columns = {rule: name for name, rule in fitting.items()}

    def members(self, reading: TablesView, rule: Rule, *, run_date: date | None) -> pl.LazyFrame | None:
        """The customers (customer_id, each once) of one of the rules.

        None where they weren't found together with others, or on another version or night than is asked for.
        """
        column = self._columns.get(rule)
        if self._found is None or column is None or self._of != (reading.snapshot().version, run_date):
            return None
        return self._found.lazy().filter(column).select("customer_id")


def _fits(rule: Rule, tables: Tables) -> bool:
    try:
        check(rule, tables)
    except RuleError:
        return False
    return True
