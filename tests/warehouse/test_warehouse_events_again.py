"""Events that come again are counted once, and those that only look alike are all kept."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import DAY, EVENTS, NOW, Folder

from optinb.errors import WarehouseError

if TYPE_CHECKING:
    from optinb.warehouse import ImportReport

OPEN = {"customer_id": "007", "occurred_at": "2026-11-22T09:00:00Z", "name": "open"}


def lines(*events: dict) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def load(folder: Folder, events: str, *, later: int = 0, name: str = "events.ndjson", **kw) -> ImportReport:
    """Imports a delivery whose events are these, so many days after the first."""
    day = DAY + timedelta(days=later)
    target = folder.deliver({name: events}, day=day)
    for other in set(target.glob("events*")) - {target / name}:
        other.unlink()
    report = folder.warehouse.import_delivery(day, now=NOW + timedelta(days=later), **kw)
    for table in report.tables:
        assert table.read == table.loaded + table.quarantined + table.forgotten + table.repeated
    return report


def stored(folder: Folder) -> list[dict]:
    with folder.warehouse.open() as snapshot:
        return snapshot.scan("events").sort("occurred_at", "name", "value", "event_id").collect().to_dicts()


def counted(report: ImportReport) -> tuple[int, int, int]:
    table = report.table("events")
    return table.loaded, table.quarantined, table.repeated


def test_an_event_that_an_earlier_delivery_brought_is_left_out_and_told(folder: Folder) -> None:
    assert counted(load(folder, lines(OPEN, {**OPEN, "value": 2, "properties": {"q": 1}}))) == (2, 0, 0)
    more = {**OPEN, "value": 2, "properties": {"q": 2}}
    again = load(folder, lines(OPEN, {**OPEN, "value": 2.0, "properties": {"q": 1}}, more), later=1)
    assert counted(again) == (1, 0, 2)
    assert any("events: 2 rows came before" in warning for warning in again.warnings)
    assert len(stored(folder)) == 3
    assert folder.warehouse.quarantine(DAY + timedelta(days=1)).filter(pl.col("table") == "events").is_empty()
    other = [{**OPEN, key: value} for key, value in {"customer_id": "008", "name": "view", "value": 0}.items()]
    moved = {**OPEN, "occurred_at": "2026-11-22T09:00:01Z"}
    assert counted(load(folder, lines(*other, moved), later=2)) == (4, 0, 0)


def test_two_equal_rows_of_one_delivery_are_two_events(folder: Folder) -> None:
    assert counted(load(folder, lines(OPEN, OPEN))) == (2, 0, 0)
    assert counted(load(folder, lines(OPEN, OPEN), later=1)) == (0, 0, 2)
    assert len(stored(folder)) == 2


def test_a_corrected_delivery_drops_nothing_that_only_the_first_one_of_its_day_brought(folder: Folder) -> None:
    load(folder, lines(OPEN))
    view = {**OPEN, "name": "view"}
    assert counted(load(folder, lines(OPEN, view), later=1)) == (1, 0, 1)
    assert counted(load(folder, lines(OPEN, view, view), later=1)) == (2, 0, 1)
    assert [row["name"] for row in stored(folder)] == ["open", "view", "view"]


def test_equal_rows_stay_where_the_setting_says_so(folder: Folder) -> None:
    load(folder, lines(OPEN))
    folder.configure(drop_repeated_events=False)
    kept = load(folder, lines(OPEN), later=1)
    assert counted(kept) == (1, 0, 0)
    assert len(stored(folder)) == 2
    folder.configure(drop_repeated_events=True)
    assert counted(load(folder, lines(OPEN), later=1)) == (0, 0, 1)


def test_an_event_with_an_id_replaces_the_earlier_one_wherever_it_lies(folder: Folder) -> None:
    first = {**OPEN, "event_id": "e1", "value": 1}
    load(folder, lines(first, {**first, "event_id": "e2"}, OPEN))
    moved = {**first, "occurred_at": "2026-11-20T09:00:00Z", "value": 5}
    assert counted(load(folder, lines(moved), later=1)) == (1, 0, 0)
    rows = stored(folder)
    assert [(row["event_id"], row["value"], row["day"].day) for row in rows] == [
        ("e1", 5.0, 20),
        (None, None, 22),
        ("e2", 1.0, 22),
    ]
    # Equal in all but the id: two events.
    assert counted(load(folder, lines({**moved, "event_id": "e3"}), later=2)) == (1, 0, 0)
    assert len(stored(folder)) == 4


def test_an_id_that_comes_twice_in_one_delivery_counts_once(folder: Folder) -> None:
    one = {**OPEN, "event_id": "e1"}
    report = load(folder, lines(one, one, {**one, "value": 3}, {**OPEN, "event_id": "e2"}))
    assert counted(report) == (2, 1, 1)
    assert list(report.table("events").reasons) == ["event_id stood before in this delivery: the first row stays"]
    assert [(row["event_id"], row["value"]) for row in stored(folder)] == [("e1", None), ("e2", None)]


def test_ids_that_begin_or_end_bring_nothing_twice(folder: Folder) -> None:
    load(folder, lines(OPEN))
    begun = load(folder, lines({**OPEN, "event_id": "e1"}, {**OPEN, "event_id": "e2", "value": 1}), later=1)
    assert counted(begun) == (1, 0, 1)
    folder.configure(columns={"event_id": ""})
    assert counted(load(folder, lines({**OPEN, "value": 1}, OPEN), later=2)) == (0, 0, 2)
    assert len(stored(folder)) == 2


def test_csv_and_json_lines_say_the_same(folder: Folder) -> None:
    load(folder, EVENTS, name="events.csv")
    lines_of_it = lines(
        {"customer_id": "007", "occurred_at": "2026-11-22T08:00:00Z", "name": "app_open"},
        {"customer_id": "008", "occurred_at": "2026-11-22T09:30:00+01:00", "name": "search", "value": 1.5}
        | {"properties": '{"q": "a,b"}'},
    )
    assert counted(load(folder, lines_of_it, later=1)) == (0, 0, 2)


def test_only_files_of_the_days_that_come_are_read(folder: Folder) -> None:
    load(folder, lines(OPEN))
    load(folder, lines({**OPEN, "occurred_at": "2026-11-23T00:30:00Z"}), later=1)
    with folder.warehouse.open() as snapshot:
        (old,) = [snapshot.path(file) for file in snapshot.files("events") if file.day.day == 22]
    kept = old.read_bytes()
    old.unlink()
    assert counted(load(folder, lines({**OPEN, "occurred_at": "2026-11-23T00:30:00Z"}), later=2)) == (0, 0, 1)
    with pytest.raises(WarehouseError, match=old.name):
        load(folder, lines(OPEN), later=3)
    old.write_bytes(kept)
    assert counted(load(folder, lines(OPEN), later=3)) == (0, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_any_deliveries_leave_what_a_plain_account_of_them_leaves(folder: Folder, seed: int) -> None:
    chance = random.Random(seed)
    known: list[tuple] = []  # rows of earlier deliveries: day, name, value, id
    for later in range(4):
        events, mine, ids = [], [], set()
        for _ in range(chance.randrange(1, 25)):
            row = (chance.randrange(18, 22), chance.choice("ab"), chance.choice([None, 1.5]))
            event_id = chance.choice([None, None, *(f"e{n}" for n in range(9))])
            events.append(event(*row, event_id))
            if event_id in ids:
                continue  # refused or repeated: in either case the first one stays
            ids |= {event_id} - {None}
            if any(_is_known(old, (*row, event_id)) for old in known):
                continue
            mine.append((*row, event_id))
        ids = {row[3] for row in mine} - {None}
        known = [old for old in known if old[3] not in ids] + mine
        load(folder, lines(*events), later=later)
        now = [(row["day"].day, row["name"], row["value"], row["event_id"]) for row in stored(folder)]
        assert Counter(now) == Counter(known)


def event(day: int, name: str, value: float | None, event_id: str | None) -> dict:
    said = {**OPEN, "occurred_at": f"2026-11-{day}T09:00:00Z", "name": name, "value": value, "event_id": event_id}
    return {key: value for key, value in said.items() if value is not None}


def _is_known(old: tuple, new: tuple) -> bool:
    """Whether a row of an earlier delivery says the same, and one of the two has no id."""
    return old[:3] == new[:3] and None in (old[3], new[3])
