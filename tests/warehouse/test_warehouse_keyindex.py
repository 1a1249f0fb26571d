"""The index of transaction ids: no key is ever missed, runs stay few, and it is made anew where it is lost."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from small_deliveries import DAY, NOW

from optinb.warehouse import keyindex
from optinb.warehouse.keyindex import KEYS, KeyIndex, merged, open_run, write_run
from optinb.warehouse.sql import connect

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from small_deliveries import Folder

FIRST = date(2026, 1, 1)
ENTRIES = st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 300) | st.just((1 << 64) - 1), max_size=200)


def night(con, number: int, ids: list[str]) -> str:
    """A table of ids on days of that night."""
    frame = pl.DataFrame({"id": ids, "day": [FIRST + timedelta(days=number)] * len(ids)})
    con.register("ids_of_night", frame)
    con.execute(f"CREATE TABLE night{number} AS SELECT * FROM ids_of_night")
    return f"night{number}"


def index_of(con, root: Path, version: int) -> KeyIndex:
    return KeyIndex(con, root=root, version=version, delivery=FIRST + timedelta(days=version))


@settings(max_examples=60, deadline=None)
@given(ENTRIES, ENTRIES)
def test_a_run_finds_exactly_the_entries_with_the_hashes_that_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, some: list[int], others: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    path, singles = folder / "x.run", []
    for name, values in (("a.run", some), ("b.run", others)):
        part = np.sort(np.array(values, dtype=np.uint64))
        singles.append(open_run(folder / name, write_run(folder / name, keyindex.in_parts(part), at_most=len(part))))
    count = write_run(path, merged([run for run in singles if run is not None]), at_most=len(some) + len(others))
    run = open_run(path, count)
    assert run is not None and run.entries.tolist() == sorted({*some, *others})
    asked = np.sort(keyindex.hashes_of(np.array([*some, 5 << keyindex.DAY_BITS], dtype=np.uint64)))
    expected = {entry for entry in {*some, *others} if np.uint64(entry) & ~np.uint64((1 << 17) - 1) in asked}
    assert set(run.find(asked).tolist()) == expected
    assert open_run(path, count + 1) is None


def test_every_key_is_found_on_all_its_days_however_many_nights_went_by(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(keyindex, "_AT_ONCE", 700)
    with connect() as con:
        index: list = []
        for number in range(30):
            ids = [f"t{number}-{i}" for i in range(400)] + [f"again{i}" for i in range(10)]
            index, earlier = index_of(con, tmp_path, number).add(index, key="id", rows=night(con, number, ids))
            assert len(keyindex.days_of(earlier)) == number
        assert len(index) <= 6 and sum(run.rows for run in index) == 30 * 410
        asked = night(con, 99, ["again3", "t7-399", "t29-0", "never", *(f"no{i}" for i in range(5000))])
        last = index_of(con, tmp_path, 40)
        _, earlier = last.add(index, key="id", rows=asked)
        last.select(earlier, key="id", rows=asked, into="changed")
        assert keyindex.days_of(earlier) == {FIRST + timedelta(days=number) for number in range(30)}
        assert con.execute("SELECT id FROM changed ORDER BY id").fetchall() == [("again3",), ("t29-0",), ("t7-399",)]


def test_long_runs_are_merged_no_more(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(keyindex, "LARGEST", 1000)
    with connect() as con:
        index: list = []
        for number in range(10):
            rows = night(con, number, [f"{number}-{i}" for i in range(450)])
            index, _ = index_of(con, tmp_path, number).add(index, key="id", rows=rows)
    assert [run.rows for run in index] == [900] * 5


def test_a_lost_or_damaged_index_is_made_anew_from_the_published_rows(folder: Folder) -> None:
    folder.load()
    for step, harm in enumerate(["gone", "cut"], start=1):
        for path in (folder.root / "warehouse" / KEYS).iterdir():
            if harm == "gone":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:-8])
        text = f"transaction_id,customer_id,occurred_at,amount,product\nt{step},007,2026-11-01,{step}000,\n"
        folder.load({"transactions.csv": text}, day=DAY + timedelta(days=step), now=NOW + timedelta(days=step))
    with folder.warehouse.open() as snapshot:
        rows = snapshot.scan("transactions").sort("transaction_id").select("transaction_id", "amount").collect().rows()
        index = [file for file in snapshot.contents.files if file.table == KEYS]
    assert rows == [("t1", 1000.0), ("t2", 2000.0), ("t3", 30.0)]
    assert sum(file.rows for file in index) >= 3


def test_the_first_day_that_a_time_may_have_is_indexed_in_any_zone(folder: Folder) -> None:
    folder.configure(time_zone="Pacific/Honolulu")
    text = "transaction_id,customer_id,occurred_at,amount\nold,007,1900-01-01T00:00:00Z,{}\n"
    folder.load({"transactions.csv": text.format(1)})
    folder.load({"transactions.csv": text.format(2)}, day=DAY + timedelta(days=1), now=NOW + timedelta(days=1))
    with folder.warehouse.open() as snapshot:
        rows = snapshot.scan("transactions").select("day", "amount").collect().rows()
    assert rows == [(date(1899, 12, 31), 2.0)]
