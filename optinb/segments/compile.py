"""From a plan to Narwhals frames: the same for Polars, DuckDB and Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

import narwhals as nw

from optinb.engine import Tables, kinds
from optinb.errors import RuleError, did_you_mean
from optinb.rules import (
    COMPARE,
    DECIMALS,
    PURCHASE,
    Day,
    DaysAgo,
    Did,
    Rule,
    attributes_of,
    behaviours_of,
    day_of,
    fit,
    is_uplift,
)
from optinb.segments.conditions import Row, condition, contacted, with_flag, with_lookup
from optinb.segments.explain import Explanation, explain_plan
from optinb.segments.plan import (
    BehaviourRows,
    Lookup,
    Measure,
    Plan,
    Scan,
    absent_from,
    lookups_of,
    measures_of,
    plan_of,
    rows_of,
    run_lengths,
)
from optinb.segments.pushdown import all_of, is_cheap

# Customers whose rows are looked at to estimate how many a condition lets through.
PROBED = 20_000


def check(rule: Rule, tables: Tables) -> None:
    """Checks a rule against the tables. Raises RuleError with the path in the tree and the nearest known name.

    An event that was never delivered is refused too: by a slip of the pen, "didn't do it" would select everybody. So is
    an attribute that no model tells tonight, with the reason.
    """
    for name in sorted(attributes_of(rule) - tables.customer_schema.keys()):
        if name in tables.not_modelled:
            raise RuleError(f"no model tells {name!r}: {tables.not_modelled[name]}")
        if name in tables.scores:
            raise RuleError(f"{name!r} isn't kept of past days; leave it out to look at {tables.run_date}")
        if is_uplift(name):
            raise RuleError(
                f"no {name!r} is published{did_you_mean(name, tables.scores)}; once the campaign is final, "
                "`optinb uplift NAME --publish` (ws.uplifts.publish(name)) makes it an attribute"
            )
    events = [behaviour.event for behaviour in behaviours_of(rule) if behaviour.event != PURCHASE]
    names = tables.event_names() if events else None
    if names is not None and not names:
        raise RuleError(
            f"no event was ever delivered, so a rule can't ask about {events[0]!r}{did_you_mean(events[0], [PURCHASE])}"
        )
    fit(
        rule,
        kinds(tables.customer_schema),
        purchases=kinds(tables.purchase_schema),
        events=kinds(tables.event_schema),
        event_names=names,
        apps=tables.apps,
        campaigns=tables.campaigns,
        lists=tables.list_names,
    )


def plan(rule: Rule, tables: Tables) -> Plan:
    """The plan of a rule on these tables. Raises RuleError when the rule doesn't fit them."""
    check(rule, tables)
    return plan_of(rule, tables.run_date, share=lambda cheap: _share(cheap, tables))


def explain(rule: Rule, tables: Tables) -> Explanation:
    """The plan of a rule on these tables, with the reason for everything that is left out. Raises RuleError."""
    return explain_plan(plan(rule, tables))


def members(rule: Rule, tables: Tables) -> nw.LazyFrame[Any]:
    """The customers for whom a rule holds.

    Returns a lazy frame with one column, customer_id (text), each customer once, in no particular order.
    Raises RuleError when the rule doesn't fit the tables.
    """
    return run(plan(rule, tables), tables)


def belongs(rule: Rule, tables: Tables) -> nw.LazyFrame[Any] | None:
    """Whether a rule holds for each customer, in their order: one column, true or false, of no table but theirs.

    None for a rule that asks about more than the customer's own row. Raises RuleError when it doesn't fit the tables.
    """
    check(rule, tables)
    if not is_cheap(rule) or lookups_of(rule):
        return None
    return tables.customers.select(condition(rule, Answers(tables).row()).alias("belongs"))


def run(plan: Plan, tables: Tables) -> nw.LazyFrame[Any]:
    """Evaluates a plan: a lazy frame with one column, customer_id (text), each customer once."""
    answers = Answers(tables)
    customers = answers.with_lookups(tables.customers.select(*plan.columns), plan.lookups)
    if plan.cheap:
        customers = customers.filter(condition(all_of(plan.cheap), answers.row()))
    if not plan.costly:
        return customers.select("customer_id")
    if plan.whether:
        how = "semi" if plan.joins == ("semi",) else "anti"
        return customers.select("customer_id").join(answers.present(plan.scans[0]), on="customer_id", how=how)
    measured = [answers.measured(scan) for scan in plan.scans]
    if plan.joins in (("semi",), ("anti",)):
        rest = condition(all_of(plan.costly), answers.row())
        if plan.joins == ("anti",):
            return customers.select("customer_id").join(measured[0].filter(~rest), on="customer_id", how="anti")
        found = measured[0].filter(rest).select("customer_id")
        restricted = bool(plan.cheap) and plan.scans[0].only == all_of(plan.cheap)
        return found if restricted else customers.select("customer_id").join(found, on="customer_id", how="semi")
    for rows, how in zip(measured, plan.joins, strict=True):
        customers = customers.join(rows, on="customer_id", how="inner" if how == "inner" else "left")
    for rule in plan.contacts:
        customers = with_flag(customers, contacted(rule, tables), answers.flag(rule))
    return customers.filter(condition(all_of(plan.costly), answers.row())).select("customer_id")


class Answers:
    """Columns that answer the conditions which the customer's own row doesn't: their names, and what fills them."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._columns: dict[Measure | Rule | tuple[BehaviourRows, int], str] = {}
        self._leaves: dict[Rule, nw.Expr] = {}

    def row(self, schema: Mapping[str, nw.dtypes.DType] | None = None) -> Row:
        """What conditions know of a frame with these columns (those of customers, when left out) and the answers."""
        tables = self.tables
        return Row(schema or tables.customer_schema, tables.run_date, tables.zone, tables.moment, self._leaves)

    def with_lookups(self, customers: nw.LazyFrame[Any], lookups: Iterable[Lookup]) -> nw.LazyFrame[Any]:
        """The customers with a column for the answer of each lookup."""
        for lookup in lookups:
            customers = with_lookup(customers, lookup, self.flag(lookup), self.tables)
        return customers

    def flag(self, rule: Rule) -> str:
        """The name of the column, true or false, that answers a condition."""
        column = self._column(rule)
        self._leaves[rule] = nw.col(column)
        return column

    def measured(self, scan: Scan) -> nw.LazyFrame[Any]:
        """What a scan answers: customer_id, each once, and columns that are true or false.

        Customers for whom it would answer what it does for those without rows are left out.
        """
        rows = self._rows(scan)
        if scan.run is not None:
            found = _runs(rows, scan.run).with_columns(nw.lit(True).alias(self._column((scan.rows[0], scan.run))))
            self._leaves |= {leaf: self._answer(leaf) for leaf in scan.leaves}
            return found
        counts = {kind: self._counts(kind, scan) for kind in scan.rows} if len(scan.rows) > 1 else {}
        figures = [_figure(m, counts.get(m.rows)).alias(self._column(m)) for m in scan.measures]
        answered = [self._answer(leaf).alias(self.flag(leaf)) for leaf in scan.leaves]
        found = rows.group_by("customer_id").agg(*figures).select("customer_id", *answered)
        absent = absent_from(scan)
        told = [~nw.col(self.flag(leaf)) if value else nw.col(self.flag(leaf)) for leaf, value in absent.items()]
        self._leaves |= {leaf: nw.col(self.flag(leaf)).fill_null(value) for leaf, value in absent.items()}
        return found.filter(reduce(or_, told))

    def present(self, scan: Scan) -> nw.LazyFrame[Any]:
        """The customers (customer_id, perhaps several times) with a row that counts."""
        return self._rows(scan).select("customer_id")

    def _rows(self, scan: Scan) -> nw.LazyFrame[Any]:
        """The rows that count for something, without those of customers to whom they can't matter."""
        rows = self.tables.rows(scan.table, scan.first, scan.last).filter(nw.col("day") <= scan.last)
        if scan.first is not None:
            rows = rows.filter(nw.col("day") >= scan.first)
        counted = [self._counts(kind, scan) for kind in scan.rows]
        some = [counts for counts in counted if counts is not None]
        if len(some) == len(counted):
            rows = rows.filter(reduce(or_, some))
        rows = rows.select(*scan.columns)
        if scan.only is None:
            return rows
        needed = ["customer_id", *sorted(attributes_of(scan.only) - {"customer_id"})]
        own = Answers(self.tables)
        customers = own.with_lookups(self.tables.customers.select(*needed), lookups_of(scan.only))
        wanted = customers.filter(condition(scan.only, own.row())).select("customer_id")
        return rows.join(wanted, on="customer_id", how="semi")

    def _counts(self, kind: BehaviourRows, scan: Scan) -> nw.Expr | None:
        """Whether a row of the scan's days counts; None where every one does."""
        parts = []
        if kind.last < scan.last:
            parts.append(nw.col("day") <= kind.last)
        if kind.first is not None and kind.first != scan.first:
            parts.append(nw.col("day") >= kind.first)
        if kind.event is not None:
            parts.append(nw.col("name") == kind.event)
        if kind.filter is not None:
            parts.append(condition(kind.filter, self.row(self._schema(kind))))
        return reduce(and_, parts) if parts else None

    def _column(self, answer: Measure | Rule | tuple[BehaviourRows, int]) -> str:
        return self._columns.setdefault(answer, f"optinb {len(self._columns)}")

    def _answer(self, leaf: Did) -> nw.Expr:
        """Whether a behaviour's comparison holds, where a customer without rows has nulls."""
        run_date, value, compared = self.tables.run_date, leaf.value, COMPARE[leaf.op]
        if isinstance(value, Day | DaysAgo):
            measure = nw.col(self._column(measures_of(leaf, run_date)[0]))
            return compared(measure, day_of(value, run_date)).fill_null(False)
        if leaf.measure == "days_in_a_row":
            rows = rows_of(leaf, run_date)
            least = {n: nw.col(self._column((rows, n))).fill_null(False) for n in run_lengths(leaf)}
            return _compared_run(leaf.op, int(value), least)
        total, *known = (nw.col(self._column(m)).fill_null(0) for m in measures_of(leaf, run_date))
        if known:
            # divided only where there is something to divide by, since an engine may divide first and filter then
            some = nw.when(known[0] > 0).then(known[0])
            return compared((total / some).round(DECIMALS), value).fill_null(False)
        if leaf.measure == "count":
            return compared(total, int(value))
        is_float = self._schema(rows_of(leaf, run_date))[leaf.column or ""].is_float()
        return compared(total.round(DECIMALS) if is_float else total, value)

    def _schema(self, kind: BehaviourRows) -> Mapping[str, nw.dtypes.DType]:
        return self.tables.purchase_schema if kind.table == "purchases" else self.tables.event_schema


def _figure(measure: Measure, counts: nw.Expr | None) -> nw.Expr:
    """The figure over a group, of the rows that count; of all rows where none is given."""
    value = nw.col("day") if measure.column is None else nw.col(measure.column)
    counted = value if counts is None else nw.when(counts).then(value)
    match measure.figure:
        case "count" | "known":
            # Every row has a day. Counting it takes a third less memory in Polars than adding up ones.
            return nw.len() if counts is None and measure.column is None else counted.count()
        case "total":
            return counted.sum()
        case "first":
            return counted.min()
        case "last":
            return counted.max()


def _runs(rows: nw.LazyFrame[Any], length: int) -> nw.LazyFrame[Any]:
    """The customers with rows on N days in a row: their last is a day whose (N-1)th before it lies N-1 days back."""
    days = rows.select("customer_id", "day").unique(["customer_id", "day"])
    if length > 1:
        before = nw.col("day").shift(length - 1).over("customer_id", order_by="day")
        days = days.with_columns(before.dt.offset_by(f"{length - 1}d").alias("until"))
        days = days.filter(nw.col("until") == nw.col("day"))
    return days.select("customer_id").unique("customer_id")


def _compared_run(op: str, days: int, least: Mapping[int, nw.Expr]) -> nw.Expr:
    """Compares the longest run of days with a number, knowing whether there is one of some lengths at least."""
    if days == 0 and op in ("ge", "lt"):
        return least[1].is_null() if op == "lt" else ~least[1].is_null()
    return {
        "ge": lambda: least[days],
        "lt": lambda: ~least[days],
        "gt": lambda: least[days + 1],
        "le": lambda: ~least[days + 1],
        "eq": lambda: least[days] & ~least[days + 1] if days else ~least[1],
    }[op]()


def _share(cheap: Rule, tables: Tables) -> float | None:
    """The share of the first customers who fulfil a cheap condition, where looking at them costs next to nothing."""
    if not tables.probe or lookups_of(cheap):
        return None
    row = Answers(tables).row()
    some = tables.customers.select("customer_id", *sorted(attributes_of(cheap) - {"customer_id"})).head(PROBED)
    return some.select(condition(cheap, row).cast(nw.Int64).mean().alias("share")).collect("polars").item()
