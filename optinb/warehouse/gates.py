"""The gates of a delivery: figures against limits. Pure: a gate that fails is a value, the caller decides what then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from optinb.warehouse.contract import TABLES
from optinb.warehouse.formats import FORMATS
from optinb.warehouse.report import Gate, ImportReport, TableReport

if TYPE_CHECKING:
    from optinb.base.settings import ImportSection


_OTHER_ENDINGS = ", ".join(f".{form.name}" for form in FORMATS[1:])


def judge(
    tables: Sequence[TableReport],
    *,
    limits: ImportSection,
    last: Mapping[str, int] | None,
    problems: Mapping[str, str],
) -> tuple[Gate, ...]:
    """Every gate of a delivery, passed or not.

    `tables`: what was read. `last`: rows loaded of each whole table by the delivery before, None for the first one.
    `problems`: file name to what makes it unreadable as a whole.
    """
    reports = {report.table: report for report in tables}
    gates = [_required(name, reports) for name in limits.required]
    gates += [_readable(name, why) for name, why in problems.items()]
    gates += [_rejects(report, limits.max_reject_share) for report in tables if report.read]
    gates += [_emptied(report, name, limits.max_emptied_share) for report in tables for name in report.emptied]
    for report in tables:
        before = (last or {}).get(report.table, 0)
        if TABLES[report.table].whole and before > 0:
            gates += _size(report, before, limits)
    return tuple(gates)


def fewer(tables: Sequence[TableReport], replaced: ImportReport | None) -> tuple[str, ...]:
    """What a corrected delivery lacks against the one of the same day that it replaces, in sentences.

    The gates compare with the day before, and there is none for the very first.
    """
    if replaced is None:
        return ()
    now = {report.table: report.loaded for report in tables}
    return tuple(
        f"{was.table} has {_rows(now.get(was.table, 0))}, the delivery of the same day that this one replaces had "
        f"{was.loaded:,}: import the first one again if this is not meant"
        for was in replaced.tables
        if now.get(was.table, 0) < was.loaded
    )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def failed(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates that block a delivery."""
    return tuple(gate for gate in gates if not gate.passed)


def _required(name: str, reports: Mapping[str, TableReport]) -> Gate:
    found = name in reports
    return Gate(
        name="required",
        table=name,
        value=float(found),
        limit=1.0,
        passed=found,
        setting="required",
        message=f"{name} was delivered"
        if found
        else f"{name} is missing: the delivery has no usable file for it; deliver {name}.csv (or {_OTHER_ENDINGS}), "
        f"or take {name!r} out of `required`",
    )


def _readable(name: str, why: str) -> Gate:
    return Gate(
        name="readable",
        table=name,
        value=0.0,
        limit=1.0,
        passed=False,
        setting="",
        message=f"{name} can't be read: {why}",
    )


def _rejects(report: TableReport, limit: float) -> Gate:
    share = report.quarantined / report.read
    text = (
        f"{report.quarantined:,} of {report.read:,} rows of {report.table} are rejects ({share:.2%}; limit {limit:.2%})"
    )
    most = max(report.reasons.items(), key=lambda item: item[1], default=("", 0))
    return Gate(
        name="rejects",
        table=report.table,
        value=share,
        limit=limit,
        passed=share <= limit,
        setting="max_reject_share",
        message=text if share <= limit else f"{text}; most often: {most[0]} ({_rows(most[1])})",
    )


def _emptied(report: TableReport, name: str, limit: float) -> Gate:
    share = report.emptied[name] / report.read
    text = (
        f"{report.emptied[name]:,} of {report.read:,} values of {name} in {report.table} can't be read ({share:.2%}; "
        f"limit {limit:.2%})"
    )
    return Gate(
        name="emptied",
        table=report.table,
        value=share,
        limit=limit,
        passed=share <= limit,
        setting="max_emptied_share",
        message=text if share <= limit else f"{text}; `optinb quarantine` shows them, with what to write instead",
    )


def _size(report: TableReport, before: int, limits: ImportSection) -> list[Gate]:
    change = report.loaded / before - 1
    figures = f"{report.table} has {report.loaded:,} rows, the delivery before had {before:,} ({change:+.1%}"
    remedy = "have the delivery completed, or accept it with a reason"
    shrunk, grown = -change > limits.max_shrink, change > limits.max_growth
    return [
        Gate(
            name="shrink",
            table=report.table,
            value=max(-change, 0.0),
            limit=limits.max_shrink,
            passed=not shrunk,
            setting="max_shrink",
            message=f"{figures}; it may shrink by {limits.max_shrink:.0%})" + (f": {remedy}" if shrunk else ""),
        ),
        Gate(
            name="growth",
            table=report.table,
            value=max(change, 0.0),
            limit=limits.max_growth,
            passed=not grown,
            setting="max_growth",
            message=f"{figures}; it may grow by {limits.max_growth:.0%})" + (f": {remedy}" if grown else ""),
        ),
    ]
