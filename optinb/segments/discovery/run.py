"""Discovery from tables to findings: reads, searches, and measures what was found, as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.base.figures import figure
from optinb.base.progress import Hundredths, OnProgress, quiet
from optinb.engine import Tables, kinds
from optinb.engine.persons import in_share
from optinb.errors import RuleError, did_you_mean
from optinb.rules import AllOf, Rule, sentence
from optinb.segments.compile import check
from optinb.segments.discovery.columns import (
    AttributeColumn,
    as_rule,
    choose_attributes,
    read_column,
    read_customers,
    read_target,
)
from optinb.segments.discovery.evidence import Floats, interval, sums_of
from optinb.segments.discovery.find import find, members_of
from optinb.segments.discovery.finding import Finding

if TYPE_CHECKING:
    from optinb.segments.discovery.choice import FoundGroup


class Discovery(Struct, frozen=True, kw_only=True):
    """The groups that were found for a target, the strongest first.

    Attributes:
        target, within: what was looked for, and among whom (None: everybody), as sentences.
        kind: of the target.
        customers: everybody, or everybody within.
        known: those of them whose target is known, who are the customers looked at.
        rate: the target's rate (or average) among the known.
        tested: how many combinations of conditions were tested.
        attributes: which attributes were looked at.
        left_out: attributes that were not, with the reason.
        warnings: what to know before believing the result.
        earlier_on: the earlier day on which the findings were looked at again; None without one.
        not_earlier: why there is none.
        labels: what people call the attributes, by name.
    """

    target: str
    kind: Literal["yes/no", "number"]
    within: str | None
    run_date: date
    customers: int
    known: int
    rate: float
    tested: int
    attributes: tuple[str, ...]
    left_out: dict[str, str]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    earlier_on: date | None = None
    not_earlier: str = ""
    labels: dict[str, str] = {}

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The attributes that were looked at, as people call them."""
        return tuple(self.labels.get(name, name) for name in self.attributes)

    def who(self, finding: Finding) -> str:
        """A group that was found, read aloud with the labels of its attributes, without `within`.

        Args:
            finding: one of these.
        """
        return sentence(finding.condition, self.labels)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, place: int) -> Finding:
        return self.findings[place]

    def table(self) -> pl.DataFrame:
        """The findings as a frame, one row each, the strongest first.

        Its figures are rounded to four decimals, so that none is shown with an exponent; a finding has the exact ones.
        """
        figures = ("share", "rate", "rate_outside", "lift", "low", "high", "captured", "q_value", "p_confirmed")
        schema = {"sentence": pl.String, "size": pl.Int64, **dict.fromkeys(figures, pl.Float64), "rule": pl.String}
        rows = [(f.sentence, f.size, *(getattr(f, name) for name in figures), f.text) for f in self.findings]
        # what has no end, such as the lift over a group in which nobody did it, or more than 34 digits, becomes null
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
            pl.col(pl.Float64).cast(pl.Decimal(38, 4), strict=False)
        )


FEWEST = 200  # customers with a known target: fewer prove nothing
SMALLEST, SMALLEST_SHARE = 50, 0.002  # a group's customers, if nothing else is asked for
SEARCHED = 1_000_000  # customers at most that are searched; sizes and rates are of all
SALT = "optinb discovery"


def discover(
    tables: Tables,
    target: Rule | str,
    *,
    within: Rule | None = None,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
    depth: int = 3,
    min_size: int | None = None,
    limit: int = 12,
    overlapping: bool = False,
    of_purchases: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    on_progress: OnProgress = quiet,
) -> Discovery:
    """Finds groups of customers whose target is higher than everybody else's, as rules of the language.

    Every value and span of every attribute is tried, every two of them, and the best of those with a third. A rule
    counts by its gain over everybody of whom its attributes are known, and over each rule with one condition less. That
    anything is told where nothing differs has a chance of about 1 in 1,000 (Bonferroni, evenly over rules of one, two
    and three conditions). Intervals are charged for the search and for ends that were moved (`PassedBar`).

    Args:
        tables: of one night.
        target: a rule, or the name of a yes/no or number attribute; high values are looked for.
        within: whom to look at; everybody when left out.
        exclude: attributes to leave out, beside those that restate the target.
        include: attributes to look at although they are made of what the target is made of, or tell it nearly always.
        depth: conditions in a group at most, 1 to 3.
        min_size: customers in a group at least; 0.2 % and not under 50 when left out.
        limit: groups at most.
        overlapping: whether groups may overlap; else each is measured on those whom no stronger group holds.
        of_purchases: further attributes that are made of purchases.
        labels: what people call the attributes, by name.
        on_progress: is told that so many more hundredths are done, and what is next.

    Raises:
        RuleError: for a target that isn't known or the same for everybody, too few customers, no attribute.
    """
    _check_limits(depth, min_size, limit)
    check_target(target, tables)
    names, left_out = choose_attributes(
        tables, target, exclude=tuple(exclude), include=tuple(include), of_purchases=of_purchases
    )
    pace = Hundredths(on_progress)
    read = pace.part("reading", hundredths=5, of=1)
    customers = read_customers(tables, [*names, *([target] if isinstance(target, str) else [])], within)
    if within is not None and customers.is_empty():
        raise RuleError(f"nobody is within “{sentence(within)}”, so there is nobody to look at; loosen it")
    values, yes_no = read_target(tables, target, customers)
    known = np.isfinite(values)
    _check_values(values[known], target_words(target), yes_no=yes_no)
    columns = {name: read_column(customers[name], tables) for name in names}
    left_out |= {name: "no kind of value that groups are made of" for name, column in columns.items() if column is None}
    readable = [column for column in columns.values() if column is not None]
    ids = customers["customer_id"]
    searched = known & in_share(ids, salt=SALT, share=min(1.0, SEARCHED / len(ids))).to_numpy()
    read(1)
    least = min_size or max(SMALLEST, SMALLEST_SHARE * len(ids))
    found = find(
        [column.part(searched) for column in readable],
        values[searched],
        yes_no=yes_no,
        depth=depth,
        least=max(5, int(least * searched.sum() / len(ids))),
        limit=limit,
        overlapping=overlapping,
        keep=tuple(include),
        pace=pace,
    )
    findings = [_finding(group, readable, values, yes_no, within) for group in found.groups]
    return Discovery(
        target=target_words(target, labels),
        kind="yes/no" if yes_no else "number",
        within=None if within is None else sentence(within, labels),
        run_date=tables.run_date,
        customers=len(ids),
        known=int(known.sum()),
        rate=float(values[known].mean()),
        tested=found.tested,
        attributes=tuple(c.name for c in readable if c.name not in found.left_out),
        left_out=left_out | found.left_out,
        warnings=found.warnings,
        labels=dict(labels or {}),
        findings=tuple(finding for finding in findings if finding.low > 0),
    )


def check_target(target: Rule | str, tables: Tables) -> None:
    """Raises RuleError for a target that isn't known, or is neither a yes or no nor a number."""
    if not isinstance(target, str):
        check(target, tables)
        return
    known = kinds(tables.customer_schema)
    kind = known.get(target)
    if kind is None:
        raise RuleError(f"the target {target!r} isn't known{did_you_mean(target, known)}")
    if kind not in ("yes/no", "number"):
        example = "attr({!r}) >= days_ago(30)" if kind == "day" else "attr({!r}) == ..."
        raise RuleError(f"the target {target!r} is a {kind}; ask for a rule, such as {example.format(target)}")


def target_words(target: Rule | str, labels: Mapping[str, str] | None = None) -> str:
    """The target as it is read; `labels` are what people call the attributes."""
    if isinstance(target, str):
        return (labels or {}).get(target) or target.replace("_", " ")
    return sentence(target, labels)


def _check_limits(depth: int, min_size: int | None, limit: int) -> None:
    if depth not in (1, 2, 3):
        raise RuleError(f"depth={depth!r}: a group has 1, 2 or 3 conditions")
    if min_size is not None and not (_is_whole(min_size) and min_size >= 10):
        raise RuleError(f"min_size={min_size!r}: fewer than 10 customers prove nothing; ask for 10 or more")
    if not (_is_whole(limit) and limit >= 1):
        raise RuleError(f"limit={limit!r}: ask for 1 group or more")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_values(known: Floats, target: str, *, yes_no: bool) -> None:
    """Raises RuleError where the known values of the target can't tell any group apart."""
    if len(known) < FEWEST:
        raise RuleError(
            f"the target “{target}” is known of {len(known):,} customers; to find groups takes "
            f"{FEWEST:,} or more: widen within"
        )
    if known.min() == known.max():
        same = (
            ("holds for everybody" if known[0] else "holds for nobody")
            if yes_no
            else f"is {figure(float(known[0]))} for all"
        )
        raise RuleError(f"the target “{target}” {same} of {len(known):,} customers, so no group can differ")


def _finding(
    group: FoundGroup, columns: Sequence[AttributeColumn], values: Floats, yes_no: bool, within: Rule | None
) -> Finding:
    mask, known = members_of(group.conditions, columns), np.isfinite(values)
    inside, outside = (sums_of(values[known & part]) for part in (mask, ~mask))
    low, high = interval(inside, outside, yes_no=yes_no, passed=group.passed)
    total = float(values[known].sum())
    rules = [as_rule(condition, columns[condition.column]) for condition in group.conditions]
    condition = _all(rules)
    looked_at = int((mask & known).sum())
    return Finding(
        rule=condition if within is None else _all([within, condition]),
        condition=condition,
        size=int(mask.sum()),
        looked_at=looked_at,
        share=looked_at / int(known.sum()),
        rate=float(inside.target) / float(inside.customers),  # type: ignore[arg-type]
        rate_outside=float(outside.target) / float(outside.customers),  # type: ignore[arg-type]
        low=low,
        high=high,
        captured=float(values[known & mask].sum()) / total if total > 0 else None,
        q_value=group.q_value,
        p_confirmed=None,
    )


def _all(rules: Sequence[Rule]) -> Rule:
    parts = [part for rule in rules for part in (rule.rules if isinstance(rule, AllOf) else (rule,))]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))
