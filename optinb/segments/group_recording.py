"""Notes who is in each saved group tonight, from the published tables and models, and tells which sizes are unusual."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import OptinbError, StateError, failure
from optinb.rules import Rule, expand, from_json, to_json
from optinb.segments.compile import check
from optinb.segments.group_forecast import LEARNT, WEEK, looked_at
from optinb.segments.group_history import GroupNight
from optinb.segments.group_moves import ROWS, changed, persons_of, states_of, states_on
from optinb.segments.together import members_of_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.segments.group_nights import GroupNights
    from optinb.segments.groups import GroupRecord
    from optinb.segments.tables_view import TablesView

SPEND = "spend_365d"


class GroupsRecorded(Struct, frozen=True, kw_only=True):
    """What was noted of the saved groups of a night.

    Attributes:
        night: which one.
        groups: how many groups were noted.
        alarms: which of them left what was expected, a sentence each.
        problems: what couldn't be noted, and why, in sentences.
    """

    night: date
    groups: int = 0
    alarms: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def record_groups(reading: TablesView, kept: GroupNights, *, night: date) -> GroupsRecorded:
    """Notes the members of every saved group on a night. What fails for one group doesn't keep the others from it.

    Args:
        reading: the version that is read; its customers must have been modelled on that night.
        kept: where it is noted; what was noted of the same night before is replaced.
        night: which one.
    """
    saved, snapshot = reading.groups.list(), reading.snapshot()
    if not saved:
        return GroupsRecorded(night=night)
    if snapshot.model_date != night:
        told = f"the saved groups of {night} weren't noted, since the customers aren't modelled as of it"
        return GroupsRecorded(night=night, problems=(told,))
    rules, problems = _fitting(reading, saved, night)
    if not rules:
        return GroupsRecorded(night=night, problems=tuple(problems))
    # names of groups may be anything, also that of a column
    columns = {name: f"group {number}" for number, name in enumerate(rules)}
    tables = reading.tables_for(*rules.values(), run_date=night)
    found = members_of_all({columns[name]: rule for name, rule in rules.items()}, tables)
    people = persons_of(snapshot)
    states = snapshot.table("features")
    alarms = []
    for group in saved:
        if group.name not in rules:
            continue
        try:
            members = found.lazy().filter(columns[group.name]).select("customer_id").collect()
            figures = _record(reading, kept, group, members, night=night, persons=people, states=states)
            alarms += [figures.alarm] if figures.alarm else []
        except Exception as error:  # one that can't be noted must not keep the others from it
            problems.append(f"the group {group.name!r} wasn't noted: {failure(error, doing='note a group')}")
    return GroupsRecorded(
        night=night, groups=len(saved) - len(problems), alarms=tuple(alarms), problems=tuple(problems)
    )


def _fitting(reading: TablesView, saved: tuple[GroupRecord, ...], night: date) -> tuple[dict[str, Rule], list[str]]:
    """The rules that can be evaluated, by name, and what is told of the others."""
    rules: dict[str, Rule] = {}
    problems: list[str] = []
    for group in saved:
        try:
            rule = reading.groups.bound(group.name)
            check(rule, reading.tables_for(rule, run_date=night))
            rules[group.name] = rule
        except OptinbError as error:
            problems.append(f"the group {group.name!r} wasn't noted: {error}")
    return rules, problems


def _record(
    reading: TablesView,
    kept: GroupNights,
    group: GroupRecord,
    members: pl.DataFrame,
    *,
    night: date,
    persons: pl.DataFrame,
    states: pl.LazyFrame,
) -> GroupNight:
    """Notes one group, and returns its figures with what was expected of them."""
    nights = kept.nights(group.name)
    if nights and nights[-1] > night:
        raise StateError(f"the later night of {nights[-1]} is noted already")
    before = max((one for one in nights if one < night), default=None)
    figures = GroupNight(
        night=night,
        name=group.name,
        version=group.version,
        rule=rule_mark(group, lambda name: reading.groups.get(name).rule_json),
        warehouse_version=reading.snapshot().version,
        size=members.height,
        before=before,
        **_sums(members, states),
    )
    rows = pl.DataFrame(schema=ROWS)
    if before is not None:
        earlier = kept.members(group.name, before)
        rows = changed(
            earlier,
            members,
            persons=persons,
            states_before=states_on(reading.snapshot(), before),
            states_now=states_of(states),
        )
        (last,) = kept.figures(group.name, since=before)[:1]
        figures = replace(figures, forgotten=last.size - earlier.height, **_moves(rows))
    if kept.is_due(group.name, night, changes=rows.height, size=members.height):
        figures, rows = replace(figures, is_whole=True), _whole(members, rows)
    kept.write(figures, rows)
    return looked_at(kept.figures(group.name, since=night - LEARNT - 2 * WEEK))[-1]


def rule_mark(group: GroupRecord, rule_of: Callable[[str], str]) -> str:
    """What tells a group's rule from others, the groups that it names included; new content of a list is no new rule.

    Args:
        group: a saved one.
        rule_of: gives the canonical JSON of another saved one.
    """
    whole = expand(
        from_json(group.rule_json),
        group=lambda name: from_json(rule_of(name)),
        list_sha256=lambda name: sha256(name.casefold().encode()).hexdigest(),
        name=group.name,
    )
    return sha256(to_json(whole).encode()).hexdigest()[:16]


def _whole(members: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a night with everybody."""
    stay = members.join(rows, on="customer_id", how="anti").with_columns(change=pl.lit("member", ROWS["change"]))
    return pl.concat([rows, stay], how="diagonal").select(ROWS.names()).sort("customer_id")


def _sums(members: pl.DataFrame, states: pl.LazyFrame) -> dict[str, Any]:
    """Stages, value and spend of members; None for what isn't modelled."""
    known = states.collect_schema().names()
    sums = {"value": "future_value", "spend": SPEND}
    wanted = [name for name in ("stage", *sums.values()) if name in known]
    theirs = members.lazy().join(states.select("customer_id", *wanted), on="customer_id")
    by_stage = theirs.group_by("stage").agg(
        pl.len().alias("customers"), *(pl.col(name).sum() for name in sums.values() if name in known)
    )
    found = by_stage.sort("stage").collect()
    return {
        "stages": dict(found.select("stage", "customers").iter_rows()),
        **{name: float(found[column].sum()) if column in known else None for name, column in sums.items()},
    }


def _moves(rows: pl.DataFrame) -> dict[str, Any]:
    """The figures of those who came and went; `merged` counts ids, the others people."""
    joined, left = (rows.filter(pl.col("change") == change) for change in ("joined", "left"))
    ids = dict(rows["change"].value_counts().iter_rows())
    known = {
        "joined_value": float(joined["value"].sum()) if joined["value"].count() or joined.is_empty() else None,
        "left_value": float(left["value"].sum()) if left["value"].count() or left.is_empty() else None,
    }
    return {
        "joined": joined.height,
        "left": left.height,
        "merged": ids.get("old_id", 0) - ids.get("new_id", 0),
        "came_from": _counts(joined["stage_before"]),
        "went_to": _counts(left["stage_after"]),
        **known,
    }


def _counts(stages: pl.Series) -> dict[str, int]:
    return dict(stages.drop_nulls().value_counts().sort(stages.name).iter_rows())
