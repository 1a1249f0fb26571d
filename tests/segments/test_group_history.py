"""Groups over time: who is in by what changed, what came and went, and when a size is told as unusual."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.segments import GroupNight, GroupNights
from optinb.segments.group_forecast import FALSE_ALARMS, LEAST_CHANGES, looked_at
from optinb.segments.group_moves import PERSONS, ROWS, STATES, changed, replayed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FIRST = date(2026, 3, 2)
RHYTHM = (0.0, 0.02, 0.05, 0.03, 0.0, -0.05, -0.08)


def nights(sizes: Iterable[float], **fields: Any) -> list[GroupNight]:
    known = {"name": "Lapsed", "version": 1, "rule": "a", "warehouse_version": 1, **fields}
    return [GroupNight(night=FIRST + timedelta(days=at), size=int(n), **known) for at, n in enumerate(sizes)]


def steady(days: int, *, seed: int = 0, size: float = 1000, scatter: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return size * np.exp(np.resize(RHYTHM, days) + rng.normal(0, scatter, days))


def wandering(days: int, *, seed: int) -> np.ndarray:
    """Sizes that each night take some of their members into the next."""
    steps = np.random.default_rng(seed).normal(0, 0.01, days)
    return 5000 * np.exp(np.resize(RHYTHM, days) + np.cumsum(steps))


def growing(days: int, *, seed: int) -> np.ndarray:
    return steady(days, seed=seed) * np.exp(0.01 * np.arange(days))


@pytest.mark.parametrize("sizes", [steady, wandering, growing])
def test_alarms_without_an_event_come_on_no_more_nights_than_is_stated(sizes: Any) -> None:
    told, judged = 0, 0
    for seed in range(40):
        found = looked_at(nights(sizes(35 if seed % 2 else 100, seed=seed)))
        told += sum(bool(one.alarm) for one in found)
        judged += sum(one.expected is not None for one in found)
    assert judged > 1500
    assert told / judged <= FALSE_ALARMS


def test_a_jump_is_told_once_and_doesnt_hide_the_next_one() -> None:
    sizes = steady(90)
    sizes[40:] *= 1.31
    sizes[70:] /= 1.31
    found = looked_at(nights(sizes))
    assert [one.night for one in found if one.alarm] == [FIRST + timedelta(days=at) for at in (40, 70)]
    first, second = (one.alarm for one in found if one.alarm)
    assert first == "Lapsed grew by 26% in a week, to 1,215 customers"
    assert second.startswith("Lapsed shrank by 2")


def test_slow_growth_in_a_week_is_told_though_no_night_jumps() -> None:
    sizes = steady(60, scatter=0.005)
    sizes[40:47] *= np.linspace(1.04, 1.28, 7)
    sizes[47:] *= 1.28
    told = [one for one in looked_at(nights(sizes)) if one.alarm]
    assert [(one.night - FIRST).days for one in told] == [40, 41, 44]  # each time twice as much
    assert "grew by 3%" in told[0].alarm and "grew by 2" in told[-1].alarm


@pytest.mark.parametrize(("is_more", "ends"), [(True, "; most came from active"), (False, "; most went to active")])
def test_an_alarm_says_where_most_came_from_net_of_those_who_went_back(is_more: bool, ends: str) -> None:
    found = nights([1000] * 40 + [1310 if is_more else 690])
    kinds = ("came_from", "went_to") if is_more else ("went_to", "came_from")
    # the churned come and go night by night, and bring nobody in the end
    back = [msgspec.structs.replace(one, came_from={"churned": 300}, went_to={"churned": 300}) for one in found[:-1]]
    last = msgspec.structs.replace(found[-1], **{kinds[0]: {"active": 300, "new": 110}, kinds[1]: {"new": 100}})
    alarm = looked_at([*back, last])[-1].alarm
    assert alarm == f"Lapsed {'grew' if is_more else 'shrank'} by 31% in a week, to {last.size:,} customers{ends}"


def test_new_customers_and_those_who_are_gone_are_said_in_words() -> None:
    found = nights([1000] * 40 + [1310])
    new = msgspec.structs.replace(found[-1], came_from={"not a customer": 160, "active": 150, "churned": 20})
    parts = looked_at([*found[:-1], new])[-1].alarm.split("; ")
    assert parts[1] == "the largest part (48%) are new customers"
    more = msgspec.structs.replace(found[-1], came_from={"not a customer": 310})
    assert looked_at([*found[:-1], more])[-1].alarm.endswith("; most are new customers")


def test_nothing_is_said_of_a_short_history_nor_across_another_rule_nor_without_the_night_a_week_ago() -> None:
    wild = nights([100, 5000] * 20)
    assert all(one.expected is None for one in looked_at(wild[: LEAST_CHANGES + 7]))
    assert looked_at(nights(steady(LEAST_CHANGES + 8)))[-1].expected is not None
    other = [msgspec.structs.replace(one, rule="b", size=9 * one.size) for one in nights(steady(60))[40:]]
    found = looked_at([*nights(steady(40)), *other])
    assert [one.night for one in found if one.has_new_rule] == [other[0].night]
    assert not any(one.alarm or one.expected for one in found[40:])
    gap = [one for at, one in enumerate(nights([1000] * 40 + [2000] * 8)) if at not in (33, 40)]
    assert [one.night for one in looked_at(gap) if one.alarm] == [FIRST + timedelta(days=41)]


def test_a_gap_of_weeks_begins_anew_with_what_is_known_before_it() -> None:
    sizes = nights(steady(70))
    found = looked_at([*sizes[:40], *sizes[60:]])
    assert all(one.expected is None for one in found[40:47])
    assert all(one.expected is not None and not one.alarm for one in found[47:])


def test_a_group_that_is_empty_grows_and_a_full_one_may_become_empty() -> None:
    assert looked_at(nights([0] * 40))[-1].alarm == ""
    assert looked_at(nights([0] * 40 + [4]))[-1].alarm == ""
    assert looked_at(nights([0] * 40 + [200]))[-1].alarm == "Lapsed grew from 0 to 200 customers in a week"
    assert looked_at(nights([200] * 40 + [0]))[-1].alarm == "Lapsed shrank by 100% in a week, to 0 customers"


def test_a_group_that_stops_to_grow_is_told_with_what_was_expected() -> None:
    grown = 1000 * np.exp(0.02 * np.arange(50))
    grown[-1] = grown[-8]
    last = looked_at(nights(grown))[-1]
    assert last.expected is not None
    assert last.alarm.startswith(f"Lapsed has {last.size:,} customers ({last.size:,} a week ago), where ")


def frame(ids: Iterable[str]) -> pl.DataFrame:
    return pl.DataFrame({"customer_id": sorted(ids)}, schema={"customer_id": pl.String})


def states(found: dict[str, str]) -> pl.LazyFrame:
    rows = [(who, stage, float(len(stage))) for who, stage in found.items()]
    return pl.DataFrame(rows, schema=STATES, orient="row").lazy()


def moves(before: str, now: str, *, persons: dict[str, str], then: dict[str, str], tonight: dict[str, str]) -> Any:
    rows = changed(
        frame(before),
        frame(now),
        persons=pl.DataFrame(list(persons.items()), schema=PERSONS, orient="row"),
        states_before=states(then),
        states_now=states(tonight),
    )
    assert rows.schema == ROWS
    return {who: rest for who, *rest in rows.iter_rows()}


def test_who_came_and_went_is_known_with_their_stages_and_value() -> None:
    then = {"a": "new", "b": "new", "c": "new", "d": "active"}
    tonight = {"a": "churned", "b": "new", "c": "new", "d": "new", "e": "dormant"}
    found = moves("abc", "bcde", persons={}, then=then, tonight=tonight)
    assert found == {
        "a": ["left", "new", "churned", 3.0],
        "d": ["joined", "active", "new", 3.0],
        "e": ["joined", "not a customer", "dormant", 7.0],
    }
    gone = moves("a", "", persons={}, then={"a": "active"}, tonight={})
    assert gone == {"a": ["left", "active", "not a customer", 6.0]}


@pytest.mark.parametrize("person", ["a", "b", "p"])
def test_a_person_who_only_has_another_id_neither_joined_nor_left(person: str) -> None:
    persons = {who: person for who in "ab" if who != person}
    same: dict[str, Any] = {"persons": persons, "then": {"a": "active"}, "tonight": {"b": "churned"}}
    assert {who: change for who, (change, *_) in moves("a", "b", **same).items()} == {"a": "old_id", "b": "new_id"}
    assert moves("ab", "b", **same)["a"][0] == "old_id"
    assert moves("a", "ab", **same)["b"][0] == "new_id"
    # under the other id they are in no more, or come for the first time
    assert moves("a", "", **same) == {"a": ["left", "active", "churned", 6.0]}
    assert moves("", "b", **same) == {"b": ["joined", "active", "churned", 7.0]}


@settings(max_examples=40)
@given(st.lists(st.sets(st.sampled_from("abcdefgh")), min_size=1, max_size=12), st.sets(st.sampled_from("abcdefgh")))
def test_any_nights_members_follow_from_the_changes(worlds: list[set[str]], people: set[str]) -> None:
    persons = dict.fromkeys(people, "x")
    kept = [frame(worlds[0]).with_columns(change=pl.lit("member", ROWS["change"]))]
    size = len(worlds[0])
    for before, now in pairwise(worlds):
        rows = changed(
            frame(before),
            frame(now),
            persons=pl.DataFrame(list(persons.items()), schema=PERSONS, orient="row"),
            states_before=None,
            states_now=states({}),
        )
        kept.append(rows)
        count = dict(rows["change"].cast(pl.String).value_counts().iter_rows())
        of = {change: count.get(change, 0) for change in ("joined", "left", "new_id", "old_id")}
        size += of["joined"] + of["new_id"] - of["left"] - of["old_id"]
        assert size == len(now)
    for at, world in enumerate(worlds):
        assert replayed(kept[: at + 1])["customer_id"].to_list() == sorted(world)


def test_files_are_small_read_alone_and_forget_people_without_their_figures(tmp_path: Path) -> None:
    kept = GroupNights(tmp_path)
    ids = [f"{at:06}" for at in range(20_000)]
    for name, days in (("Lapsed", 64), ("Others/…", 2)):
        for at, one in enumerate(nights([len(ids)] * days)):
            whole = kept.is_due(name, one.night, changes=2, size=len(ids))
            assert whole == (at in (0, 60))
            change = ["left" if at % 2 else "joined"] * 2 + ["member"] * (len(ids) - 2 if whole else 0)
            rows = frame(ids[: len(change)]).with_columns(
                change=pl.Series(change, dtype=ROWS["change"]), stage_before=None, stage_after=None, value=None
            ).cast(ROWS)  # type: ignore[arg-type]  # fmt: skip
            kept.write(msgspec.structs.replace(one, name=name, is_whole=whole), rows)
    files = sorted(tmp_path.rglob("*.parquet"))
    assert len(files) == 66 and sum(file.stat().st_size for file in files) < 500_000
    assert len(kept.members("LAPSED", FIRST)) == 20_000
    assert len(kept.members("Lapsed", FIRST + timedelta(days=63))) == 19_998
    before = kept.figures("Lapsed")
    (draft := files[0].with_name(".left-by-a-crash")).write_bytes(b"000001")
    assert kept.holds(["000001"]) and kept.forget(["000001", "000700"]) == 2
    assert not kept.holds(["000001", "000700"]) and kept.forget(["000001"]) == 0
    assert not draft.exists()
    assert kept.figures("Lapsed") == before
    assert len(kept.members("Lapsed", FIRST)) == 19_998
