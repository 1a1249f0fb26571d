"""Who belongs to groups: for one customer which part of a rule decided it, for all how groups overlap, and over time.

How many customers a rule of today would have had is counted on each night that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.base.progress import OnProgress, quiet
from optinb.errors import RuleError, UsageError
from optinb.rules import Node, Rule, Uses, from_json, nodes_of, sentence
from optinb.segments.compile import check
from optinb.segments.together import members_of_all
from optinb.segments.why import PartVerdict, judge, person_of

if TYPE_CHECKING:
    from optinb.engine import Tables
    from optinb.segments.tables_view import TablesView


class Membership(Struct, frozen=True, kw_only=True):
    """Whether a customer belongs to a rule, with the tree that says why; without one for who is no customer."""

    customer_id: str
    sentence: str
    is_member: bool
    run_date: date
    warehouse_version: int
    tree: PartVerdict | None

    @property
    def is_customer(self) -> bool:
        """Whether the id is a customer's at all."""
        return self.tree is not None


def why_member(reading: TablesView, customer_id: str, rule_or_name: Rule | str) -> Membership:
    """Judges one customer. Raises RuleError when the rule doesn't fit the data."""
    groups = reading.groups
    bound = groups.bound(rule_or_name)
    tables = reading.tables_for(bound)
    check(bound, tables)
    rule = groups.with_lists(groups.rule(rule_or_name))
    person = person_of(customer_id, tables, group=lambda name: groups.with_lists(from_json(groups.get(name).rule_json)))
    tree = judge(rule, person) if person is not None else None
    return Membership(
        customer_id=customer_id,
        sentence=sentence(groups.rule(rule_or_name)),
        is_member=tree is not None and tree.holds,
        run_date=tables.run_date,
        warehouse_version=tables.version,
        tree=tree,
    )


class Combination(Struct, frozen=True, kw_only=True):
    """The customers who are in all of some groups, and in none of the others."""

    groups: tuple[str, ...]
    customers: int


class Overlap(Struct, frozen=True, kw_only=True):
    """Groups with their sizes, and every combination that somebody is in, the largest first.

    Attributes:
        run_date: the night as of which it was counted.
        total: how many customers there are.
        sizes: by the name of each group, how many are in it.
        combinations: each customer is in exactly one, that without any group included, so that they sum up to `total`.
    """

    run_date: date
    total: int
    sizes: dict[str, int]
    combinations: tuple[Combination, ...]

    def both(self, one: str, other: str) -> int:
        """How many customers are in both of two groups.

        Args:
            one: the name of a group.
            other: the name of another one.
        """
        return sum(c.customers for c in self.combinations if one in c.groups and other in c.groups)

    def table(self) -> pl.DataFrame:
        """One row a combination.

        Returns:
            a frame with a column for each group (Boolean), and customers (Int64), the largest first.
        """
        columns = {name: [name in c.groups for c in self.combinations] for name in self.sizes}
        return pl.DataFrame(
            {**columns, "customers": [c.customers for c in self.combinations]},
            schema={**dict.fromkeys(self.sizes, pl.Boolean), "customers": pl.Int64},
        )


def overlap_of(reading: TablesView, groups: Iterable[str] | Mapping[str, Rule | str]) -> Overlap:
    """How many customers are in each combination of some groups; see `Exploration.overlap`."""
    if isinstance(groups, str | Node):
        raise UsageError('give several groups: ws.overlap(["Lapsed", "Germans"])')
    named: dict[str, Rule | str] = dict(groups) if isinstance(groups, Mapping) else {name: name for name in groups}
    if not 2 <= len(named) <= MOST_GROUPS:
        raise UsageError(f"{len(named)} groups can't be compared; give 2 to {MOST_GROUPS}")
    for name in named:
        if not isinstance(name, str) or not name.strip() or name == "customer_id":
            raise UsageError(
                f'{name!r} is no name for a group; give saved names, or rules with names: {{"young": attr("age") < 30}}'
            )
    bound = {name: reading.groups.bound(rule) for name, rule in named.items()}
    tables = reading.tables_for(*bound.values())
    return overlap(members_of_all(bound, tables), run_date=tables.run_date)


def overlap(belong: pl.DataFrame, *, run_date: date) -> Overlap:
    """The combinations of some groups.

    `belong`: one row a customer, with customer_id and a column for each group that is true for its members, as
    `members_of_all` returns it.
    """
    names = [name for name in belong.columns if name != "customer_id"]
    counted = belong.group_by(names).len().rows() if names else []
    found = [
        Combination(groups=tuple(name for name, is_in in zip(names, flags, strict=True) if is_in), customers=count)
        for *flags, count in counted
    ]
    found.sort(key=lambda c: (-c.customers, len(c.groups), [names.index(name) for name in c.groups]))
    sizes = {name: int(belong[name].sum()) for name in names}
    return Overlap(run_date=run_date, total=belong.height, sizes=sizes, combinations=tuple(found))


MOST_NIGHTS = 60
MOST_GROUPS = 12  # a chart of more can't be read, and their combinations are thousands


class Sizes(Struct, frozen=True, kw_only=True):
    """The sizes of some groups by night; None where that night can't tell, with the reason by group."""

    nights: tuple[date, ...]
    customers: dict[str, tuple[int | None, ...]]
    reasons: dict[str, str]

    def table(self) -> pl.DataFrame:
        """One row a group and night: day, group, customers."""
        rows = [
            (night, group, count)
            for group, counts in self.customers.items()
            for night, count in zip(self.nights, counts, strict=True)
        ]
        return pl.DataFrame(rows, schema={"day": pl.Date, "group": pl.String, "customers": pl.Int64}, orient="row")


def sizes_of(reading: TablesView, groups: Iterable[str], *, nights: int, on_progress: OnProgress = quiet) -> Sizes:
    """Counts groups on the newest nights that were modelled.

    Args:
        reading: the version that is read.
        groups: names of saved groups.
        nights: how many at most; up to MOST_NIGHTS.
        on_progress: is told after each night that one more is done, and which is next; what it raises ends the count.

    A night knows the attributes that were delivered by then and those kept of every night, purchases and events up to
    it, and the groups and lists of today.

    Raises:
        UsageError: without a modelled night, or for too many.
    """
    if not 1 <= nights <= MOST_NIGHTS:
        raise UsageError(f"{nights} nights can't be counted; ask for 1 to {MOST_NIGHTS}")
    kept = reading.nights()[-nights:]
    if not kept:
        raise UsageError("no night was modelled yet: run `optinb model`")
    rules = {name: reading.groups.bound(name) for name in groups}
    counted: dict[str, list[int | None]] = {name: [] for name in rules}
    reasons: dict[str, str] = {}
    for night in kept:
        on_progress(0, f"{night}")
        is_newest, asked = night == kept[-1], rules.values()
        tables = reading.tables_for(*asked, run_date=night) if is_newest else reading.tables_on(night, *asked)
        able = {}
        for name, rule in rules.items():
            reason = _why_not(rule, tables, is_newest=is_newest)
            if reason is None:
                able[name] = rule
            else:
                reasons.setdefault(name, f"{night}: {reason}")
        found = members_of_all(able, tables).select(pl.col(able).sum()).row(0, named=True) if able else {}
        for name in rules:
            counted[name].append(found.get(name))
        on_progress(1, "")
    return Sizes(nights=kept, customers={name: tuple(c) for name, c in counted.items()}, reasons=reasons)


def _why_not(rule: Rule, tables: Tables, *, is_newest: bool) -> str | None:
    """Why a night can't tell who belonged to a rule; None if it can."""
    if not is_newest and nodes_of(rule, Uses):
        return "which app customers used isn't kept of past nights"
    try:
        check(rule, tables)
    except RuleError as error:
        return str(error).removeprefix("rule: ")
    return None
