"""A plan read aloud: what is left out before it is read or grouped, and why nobody is lost by it. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from optinb.base.figures import share
from optinb.rules import Node, sentence
from optinb.segments.plan import Plan, Scan
from optinb.segments.pushdown import all_of, is_cheap

What = Literal["days", "columns", "rows", "customers", "one pass", "join"]


class Reason(Struct, frozen=True):
    """One thing that a plan leaves out (or could have: then `done` is false), and why it may."""

    kind: What
    what: str
    why: str
    done: bool = True

    def __str__(self) -> str:
        return f"{'' if self.done else 'not done: '}{self.what}: {self.why}"


class PlanStep(Struct, frozen=True):
    """A step of a plan, with its reasons."""

    does: str
    reasons: tuple[Reason, ...] = ()


class Explanation(Struct, frozen=True):
    """A rule's plan, step by step; `print` it, or look at `steps` and `plan`."""

    sentence: str
    steps: tuple[PlanStep, ...]
    plan: Plan

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons of all steps."""
        return tuple(reason for step in self.steps for reason in step.reasons)

    def __str__(self) -> str:
        lines = [f"Customers for whom {self.sentence}"]
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{number}. {step.does}")
            lines += [f"   - {reason}" for reason in step.reasons]
        return "\n".join(lines)

    __repr__ = __str__


def explain_plan(plan: Plan) -> Explanation:
    """What a plan does and why nobody is lost by it."""
    counted = [PlanStep("Count what campaigns did, by customer")] if plan.contacts else []
    joined = [_join(plan)] if plan.costly else []
    steps = (_customers(plan), *map(_scan, plan.scans), *counted, *joined)
    return Explanation(sentence=sentence(plan.rule), steps=steps, plan=plan)


def _customers(plan: Plan) -> PlanStep:
    reasons = [Reason("columns", f"columns {', '.join(plan.columns)}", "nothing else of a customer is asked about")]
    if plan.lookups:
        looked_up = "; ".join(_said(lookup) for lookup in plan.lookups)
        reasons.append(Reason("customers", f"each customer once, also with several apps ({looked_up})",
                              "only whether the customer is found is kept"))  # fmt: skip
    if plan.cheap and not is_cheap(plan.rule):
        told = f"only customers for whom {_said(all_of(plan.cheap))}"
        reasons.append(Reason("customers", told, "every member fulfils it, so nobody else has to be looked at"))
    return PlanStep("Read the customers", tuple(reasons))


def _scan(scan: Scan) -> PlanStep:
    since = f"from {scan.first} to {scan.last}" if scan.first else f"up to {scan.last}"
    reasons = [
        Reason("days", f"only days {since}",
               "no window reaches beyond, so that other rows are counted nowhere; files of other days stay shut"),
        Reason("columns", f"columns {', '.join(scan.columns)}", "no condition and no measure reads another"),
    ]  # fmt: skip
    kinds = [_kind(rows.event, rows.filter) for rows in scan.rows]
    if all(kinds):
        told = " or ".join(dict.fromkeys(kinds))
        reasons.append(Reason("rows", f"only rows where {told}", "a row that fits nothing is counted nowhere"))
    if len(scan.rows) > 1:
        told = f"{len(scan.rows)} kinds of rows in one pass"
        reasons.append(Reason("one pass", told, "each measure adds up only the rows of its own kind"))
    if scan.relevant is not None:
        part = "" if scan.share is None else f" (about {share(scan.share, decimals=0)})"
        told = f"only rows of customers for whom {_said(scan.relevant)}{part}"
        why = "for all others the rule is decided, whatever they did"
        if scan.only is None:
            why = "it would be safe, but so many fulfil it that looking them up costs more than it saves"
        reasons.append(Reason("customers", told, why, done=scan.only is not None))
    doing = f"find {scan.run} days in a row" if scan.run else f"measure {len(scan.measures)} figures"
    return PlanStep(f"Read {scan.table} and {doing}, by customer", tuple(reasons))


def _join(plan: Plan) -> PlanStep:
    told = {
        "semi": ("members are looked for among the customers with rows", "whoever has no row doesn't belong"),
        "anti": ("who has rows that speak against it is taken away", "whoever has no row belongs and stays"),
        "inner": ("customers without rows are left out", "whoever has no row doesn't belong"),
        "left": ("customers without rows are kept, with nothing counted", "some of them may belong"),
    }
    met = [(scan.table, join, *told[join]) for scan, join in zip(plan.scans, plan.joins, strict=True)]
    reasons = (Reason("join", f"{table}: {what}", why, done=join != "left") for table, join, what, why in met)
    return PlanStep("Bring them together", tuple(reasons))


def _kind(event: str | None, filter_: Node | None) -> str:
    named = [] if event is None else [f"name is {event}"]
    return " and ".join([*named, *([] if filter_ is None else [_said(filter_)])])


def _said(rule: Node) -> str:
    text = sentence(rule)  # type: ignore[arg-type]
    return text if len(text) <= 300 else f"{text[:280]} …"
