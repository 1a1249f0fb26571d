"""Old days become months: few files, the same rows, and readers of earlier versions notice nothing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from small_deliveries import DAY, NOW

from optinb.warehouse.days import DayFile, due, rows_to_join

if TYPE_CHECKING:
    from small_deliveries import Folder

HEAD = "transaction_id,customer_id,occurred_at,amount\n"
NO_EVENTS = "customer_id,occurred_at,name\n"


def small(day: date, rows: int, number: int = 0) -> DayFile:
    return DayFile(table="transactions", day=day, path=f"{day}-{number}", rows=rows, bytes=1, delivery=day)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=200), st.integers(10, 5000))
def test_joining_ends_with_few_files_and_joins_no_row_often(sizes: list[int], at_most: int) -> None:
    files = [small(date(2026, 1, 1 + i % 31), rows, i) for i, rows in enumerate(sizes)]
    joined = 0
    while group := due(files, run_date=date(2026, 6, 1), at_most=at_most):
        rows = sum(file.rows for file in group)
        joined += rows
        assert len(group) > 1 and rows <= at_most
        files = [file for file in files if file not in group] + [small(group[0].day, rows, len(sizes) + joined)]
    total = sum(sizes)
    assert sum(file.rows for file in files) == total
    assert joined <= total * max(1, total.bit_length())
    assert len([file for file in files if file.rows <= at_most // 4]) <= total.bit_length() + 1


def test_only_months_that_ended_a_month_ago_are_joined() -> None:
    files = [small(date(2026, 9, day), 10) for day in (1, 2, 3)] + [small(date(2026, 10, day), 10) for day in (1, 2)]
    assert due(files, run_date=date(2026, 10, 31), at_most=1000) == []
    assert due(files, run_date=date(2026, 11, 1), at_most=1000) == files[:3]
    assert [file.day.month for file in due(files[3:], run_date=date(2026, 12, 2), at_most=1000)] == [10, 10]
    assert rows_to_join(0) < rows_to_join(2_000_000) < rows_to_join(10**9) == rows_to_join(10**10)


def state(folder: Folder, version: int | None = None) -> list[tuple]:
    with folder.warehouse.open(version) as snapshot:
        return (
            snapshot.scan("transactions")
            .sort("transaction_id")
            .select("transaction_id", "day", "amount")
            .collect()
            .rows()
        )


def test_old_days_become_months_night_by_night_and_no_reader_notices(folder: Folder) -> None:
    days = [date(2026, 8, 1) + timedelta(days=i) for i in range(92)]
    text = HEAD + "".join(f"t{i}-{k},007,{day}T12:00:00Z,{i}\n" for i, day in enumerate(days) for k in range(3))
    folder.load({"transactions.csv": text, "events.csv": NO_EVENTS})
    before, reader = state(folder), folder.warehouse.open()
    for step in range(1, 3):
        late = HEAD + f"late{step},007,2026-08-0{step}T12:00:00Z,{step}\n"
        folder.load(
            {"transactions.csv": late, "events.csv": NO_EVENTS},
            day=DAY + timedelta(days=step),
            now=NOW + timedelta(days=step),
        )
    with folder.warehouse.open() as snapshot:
        files = [file for file in snapshot.contents.files if file.table == "transactions"]
        (month,) = [path for path in snapshot.paths("transactions") if path.parent.name == "month=2026-09"]
    # August and September have a file each, and one or two of rows that came late; October is too fresh.
    assert 31 + 3 <= len(files) <= 31 + 4
    assert [row for row in state(folder) if not row[0].startswith("late")] == before == state(folder, 1)
    assert reader.scan("transactions").collect().height == len(before)
    reader.close()
    assert pq.read_table(month, columns=["day"])["day"].to_pylist() == sorted([*days[31:61]] * 3)


def test_a_row_of_a_joined_month_is_replaced_and_the_month_stays_one_file(folder: Folder) -> None:
    text = HEAD + "".join(f"t{i},007,2026-08-{1 + i:02}T12:00:00Z,{i}\n" for i in range(30))
    folder.load({"transactions.csv": text, "events.csv": NO_EVENTS})
    with folder.warehouse.open() as snapshot:
        (path,) = snapshot.paths("transactions")
        assert path.parent.name == "month=2026-08"
    for step, amount in enumerate([99.0, 100.0], start=1):
        changed = HEAD + f"t4,007,2026-11-{20 + step}T12:00:00Z,{amount}\n"
        folder.load(
            {"transactions.csv": changed, "events.csv": NO_EVENTS},
            day=DAY + timedelta(days=step),
            now=NOW + timedelta(days=step),
        )
        with folder.warehouse.open() as snapshot:
            frame = snapshot.scan("transactions").collect()
            months = [path for path in snapshot.paths("transactions") if "month=" in str(path)]
        assert frame.height == 30 and frame.filter(pl.col("transaction_id") == "t4")["amount"].to_list() == [amount]
        assert len(months) == 1
