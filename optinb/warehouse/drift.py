"""Whether what a column holds jumps against the deliveries before. Pure: figures in, verdicts and gates out.

A figure may always move by what chance does to that many rows, so that small tables raise no false alarm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from optinb.base.figures import figure as in_figures
from optinb.base.figures import share
from optinb.warehouse.report import ColumnDrift, ColumnFigures, Gate, Measure, Verdict

if TYPE_CHECKING:
    from optinb.base.settings import ImportSection
    from optinb.warehouse import building
    from optinb.warehouse.contract import Column, Table


NIGHTS = 5
# Of fewer values their number and median tell nothing; a share that turns round completely needs but a handful.
_FEW, _HANDFUL = 50, 5
# Standard errors of the difference between two shares: less than one honest figure in ten thousand is beyond.
_CHANCE = 4.0
_ALL = 0.99
# So many rows for each value, or the number of values is that of the rows.
_ROWS_A_VALUE = 10
_UNIQUE = 0.9
_WORDS: Mapping[Measure, str] = {
    "empty": "the share of empty values",
    "true": "the share of true among the values",
    "values": "the number of different values",
    "median": "the median",
}


MEASURES: Mapping[Measure, str] = {
    "empty": "empty",
    "true": "true",
    "values": "different values",
    "median": "median",
}


def before(deliveries: Iterable[building.Delivery], table: Table) -> dict[str, ColumnFigures]:
    """What is usual for each column: the median of its figures in the last deliveries that brought it.

    What somebody accepted although it had jumped is the new beginning.
    """
    found: dict[str, list[ColumnFigures]] = {}
    settled: set[str] = set()
    for delivery in sorted(deliveries, key=lambda d: d.run_date, reverse=True):
        for report in delivery.report.brought:
            if report.table != table.name:
                continue
            for name, figures in report.figures.items():
                if name not in settled and len(found.setdefault(name, [])) < NIGHTS:
                    found[name].append(figures)
        settled |= {d.column for d in delivery.report.drift if d.table == table.name and d.verdict == "jump"}
    return {name: usual(figures) for name, figures in found.items()}


def usual(figures: Sequence[ColumnFigures]) -> ColumnFigures:
    """The median of each figure, of those that have it."""

    def middle(name: str) -> float | None:
        known = [value for one in figures if (value := getattr(one, name)) is not None]
        return median(known) if known else None

    found: dict[str, Any] = {name: middle(name) for name in ColumnFigures.__struct_fields__}
    whole = {name: round(value) for name in ("sampled", "distinct") if (value := found[name]) is not None}
    return ColumnFigures(**found | whole | {"rows": int(median(one.rows for one in figures))})


def compare(
    table: Table,
    now: Mapping[str, ColumnFigures],
    last: Mapping[str, ColumnFigures],
    *,
    limits: ImportSection,
    watched: Collection[str],
) -> tuple[ColumnDrift, ...]:
    """How each column moved that this delivery has and earlier ones had.

    Args:
        table: whose columns they are.
        now: this delivery's figures.
        last: what is usual.
        limits: how far a figure may move.
        watched: further columns that rules or campaigns use; the others aren't gated.
    """
    contract = {column.name: column for column in table.columns}
    found: list[ColumnDrift] = []
    for name, figures in now.items():
        if name not in last:
            continue
        column = contract.get(name)
        gated = (column is not None and not column.varies) or name in watched
        moves = _moves(table, name, figures, last[name], column=column, limits=limits)
        found += moves if gated else (replace(moved, verdict="not gated") for moved in moves)
    return tuple(found)


def gates_of(drifts: Iterable[ColumnDrift]) -> tuple[Gate, ...]:
    """The gates that fail since a figure jumped."""
    return tuple(
        Gate(
            name="drift",
            table=drift.table,
            value=drift.now,
            limit=_crossed(drift),
            passed=False,
            setting=drift.setting,
            message=_sentence(drift),
        )
        for drift in drifts
        if drift.verdict == "jump"
    )


def figure(drift: ColumnDrift, value: float | None) -> str:
    """A figure of a column as people read it."""
    if value is None:
        return "…"
    return share(value) if drift.measure in ("empty", "true") else in_figures(value, digits=6)


def span(drift: ColumnDrift) -> str:
    """Between what a figure may lie."""
    return f"{figure(drift, drift.lowest)} to {figure(drift, drift.highest)}"


def told_first(drifts: Iterable[ColumnDrift]) -> list[ColumnDrift]:
    """The same, those that jumped first, then those that moved furthest of what they may."""

    def order(drift: ColumnDrift) -> tuple[bool, bool, float]:
        bound = drift.highest if drift.now >= drift.before else drift.lowest
        room = abs((drift.now if bound is None else bound) - drift.before)
        moved = abs(drift.now - drift.before)
        return drift.verdict != "jump", drift.verdict == "not gated", -moved / room if room else -moved

    return sorted(drifts, key=order)


def _moves(
    table: Table,
    name: str,
    now: ColumnFigures,
    last: ColumnFigures,
    *,
    column: Column | None,
    limits: ImportSection,
) -> Iterator[ColumnDrift]:
    strict = column is not None and column.permits
    by_day = table.by_day is not None
    shared = "max_consent_change" if strict else "max_null_change"
    empty = _most_empty(last, column)
    if now.nulls is not None and (last.nulls is not None or (empty is not None and now.nulls > empty)):
        most = limits.max_consent_change if strict else limits.max_null_change
        yield _share(
            table, name, "empty", shared, empty or 0.0, now.nulls, now=now, last=last,
            most=_generous(most, by_day=by_day), strict=strict,
        )  # fmt: skip
    if last.true is not None and now.true is not None:
        said, most = now.true, limits.max_consent_change if strict else limits.max_true_change
        if last.nulls is None and now.nulls is not None and column is not None:
            # Those figures are of rows in which the default stood for what is empty.
            said = now.true * (1 - now.nulls) + now.nulls * (column.default == "true")
        setting = "max_consent_change" if strict else "max_true_change"
        yield _share(table, name, "true", setting, last.true, said, now=now, last=last, most=most, strict=strict)
    if last.distinct and now.distinct and last.evenly and now.evenly:
        yield _values(table, name, now, last, most=_generous(limits.max_distinct_change, by_day=by_day))
    if last.median is not None and now.median is not None:
        yield _middle(table, name, now, last, most=_generous(limits.max_median_change, by_day=by_day))


def _most_empty(last: ColumnFigures, column: Column | None) -> float | None:
    """The share of empty values, or what it can have been at most where the default filled them."""
    if last.nulls is not None or last.true is None or column is None:
        return last.nulls
    return last.true if column.default == "true" else 1 - last.true


def _generous(most: float, *, by_day: bool) -> float:
    """A limit, moved half-way to none for tables by day, of which a night has few rows and no two are alike."""
    return 1 - (1 - most) ** 2 if by_day else most


def _share(
    table: Table,
    name: str,
    measure: Measure,
    setting: str,
    was: float,
    is_now: float,
    *,
    now: ColumnFigures,
    last: ColumnFigures,
    most: float,
    strict: bool,
) -> ColumnDrift:
    pooled = (was * last.rows + is_now * now.rows) / max(last.rows + now.rows, 1)
    chance = _CHANCE * sqrt(pooled * (1 - pooled) * (1 / max(last.rows, 1) + 1 / max(now.rows, 1)))
    may = max(most, chance)
    turned = strict and most < 1 and min(was, is_now) <= 1 - _ALL and max(was, is_now) >= _ALL
    jumped = min(now.rows, last.rows) >= _HANDFUL and (turned or abs(is_now - was) > may + 1e-9)
    return ColumnDrift(
        table=table.name,
        column=name,
        measure=measure,
        before=was,
        now=is_now,
        lowest=max(was - may, 0.0),
        highest=min(was + may, 1.0),
        verdict="jump" if jumped else "ok",
        setting=setting,
    )


def _values(table: Table, name: str, now: ColumnFigures, last: ColumnFigures, *, most: float) -> ColumnDrift:
    was, is_now = last.distinct or 0, now.distinct or 0
    even, even_now = last.evenly or 0.0, now.evenly or 0.0
    known, known_now = last.sampled or 0, now.sampled or 0
    enough = min(known, known_now) >= _FEW
    verdict: Verdict = "ok"
    if enough and table.by_day is None and was >= _UNIQUE * known:
        # Nearly each row has a value of its own: the number follows that of the rows.
        was = was * known_now / max(known, 1)
        verdict = "jump" if is_now < was * (1 - most) else "ok"
    elif enough and is_now < was * (1 - most) and even * _ROWS_A_VALUE <= known_now:
        verdict = "jump" if even_now < even * (1 - most) else "rare values"
    elif enough and is_now * (1 - most) > was and even * _ROWS_A_VALUE <= known:
        verdict = "jump" if even_now * (1 - most) > even else "rare values"
    return ColumnDrift(
        table=table.name,
        column=name,
        measure="values",
        before=float(round(was)),
        now=float(is_now),
        lowest=was * (1 - most),
        highest=was / (1 - most) if most < 1 else None,
        verdict=verdict,
        setting="max_distinct_change",
    )


def _middle(table: Table, name: str, now: ColumnFigures, last: ColumnFigures, *, most: float) -> ColumnDrift:
    was, is_now = last.median or 0.0, now.median or 0.0
    near = sorted([was * (1 - most), was / (1 - most)] if most < 1 else [])
    # Within what half of the rows had, another median is no jump, however far it is relative to a small number.
    lowest = min([*near[:1], was if last.low is None else last.low])
    highest = max([*near[1:], was if last.high is None else last.high])
    # A night's few purchases may well all have been free of charge.
    told = most < 1 and (table.by_day is None or was != 0)
    outside = told and not lowest - 1e-9 <= is_now <= highest + 1e-9
    return ColumnDrift(
        table=table.name,
        column=name,
        measure="median",
        before=was,
        now=is_now,
        lowest=lowest if most < 1 else None,
        highest=highest if most < 1 else None,
        verdict="jump" if outside and min(now.rows, last.rows) >= _FEW else "ok",
        setting="max_median_change",
    )


def _crossed(drift: ColumnDrift) -> float:
    below = drift.lowest is not None and drift.now < drift.lowest
    bound = drift.lowest if below else drift.highest
    return drift.now if bound is None else bound


def _sentence(drift: ColumnDrift) -> str:
    return (
        f"{drift.table}: {_WORDS[drift.measure]} of {drift.column} is {figure(drift, drift.now)}, and was "
        f"{figure(drift, drift.before)} in the deliveries before; it may lie from {span(drift)} ({drift.setting}): "
        "have the delivery corrected, or accept it with a reason"
    )
