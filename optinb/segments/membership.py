"""For one customer and one rule: whether the customer belongs, and which part of the rule decided it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.rules import Rule, from_json, sentence
from optinb.segments.compile import check
from optinb.segments.why import PartVerdict, judge, person_of

if TYPE_CHECKING:
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
