"""What every customer was on every day, against a plain memory of what each day delivered."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from optinb.base.settings import ImportSection, Settings, WorkspaceSection
from optinb.warehouse import Warehouse
from optinb.warehouse.changes import attributes, counts_by_day, customers_on

if TYPE_CHECKING:
    from pathlib import Path

FIRST = date(2026, 11, 1)
WIDE = ImportSection(required=("customers",), max_reject_share=1.0, max_shrink=1.0, max_growth=1e9)
Row = dict[str, str]


def warehouse(root: Path, *, keep: int = 1) -> Warehouse:
    return Warehouse(root, Settings(workspace=WorkspaceSection(keep_versions=keep), imports=WIDE))


def deliver(house: Warehouse, root: Path, day: date, rows: list[Row]) -> None:
    folder = root / "inbox" / f"{day}"
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    lines = [",".join(columns), *(",".join(row.get(c, "") for c in columns) for row in rows)]
    (folder / "customers.csv").write_text("\n".join(lines) + "\n")
    house.import_delivery(day, now=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def people(seed: random.Random, *, columns: tuple[str, ...]) -> list[Row]:
    """A random population in random order, in which most stay as they are from one call to the next."""
    chosen = [n for n in range(40) if seed.random() < 0.9]
    values = {"country": ("DE", "FR", ""), "tier": ("gold", "silver"), "plan": ("a", "b", "")}
    rows = [
        {"customer_id": f"c{n:02}", "registered_at": f"2026-01-{n % 28 + 1:02}"}
        | {
            c: values[c][n % len(values[c]) if seed.random() < 0.85 else seed.randrange(len(values[c]))]
            for c in columns
        }
        for n in chosen
    ]
    seed.shuffle(rows)
    return rows


def remembered(rows: list[Row], name: str) -> Counter[str | None]:
    return Counter(row.get(name) or None for row in rows)


@pytest.mark.parametrize("seed", range(2))
def test_every_day_is_answered_as_it_was_delivered_though_one_version_is_kept(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    house = warehouse(tmp_path)
    memory: dict[date, list[Row]] = {}
    for step in range(7):
        day = FIRST + timedelta(days=step + (step > 3))  # nothing came on one day
        columns = [("country", "tier"), ("country", "tier"), ("tier", "country", "plan"), ("country", "plan")]
        for _ in range(chance.choice((1, 1, 2, 3))):  # corrections of the same day
            memory[day] = people(chance, columns=columns[chance.randrange(4)])
            deliver(house, tmp_path, day, memory[day])
    with house.open() as snapshot:
        for day, rows in memory.items():
            got = customers_on(snapshot, day).collect().sort("customer_id")
            assert got["customer_id"].to_list() == sorted(row["customer_id"] for row in rows)
            ids = customers_on(snapshot, day, columns=["customer_id"]).collect()
            assert ids.sort("customer_id").equals(got.select("customer_id"))
            for name in ("country", "tier", "plan"):
                known = {row["customer_id"]: row.get(name) or None for row in rows}
                assert name not in got.columns or dict(got.select("customer_id", name).iter_rows()) == known
        for name in attributes(snapshot).keys() & {"country", "tier", "plan"}:
            counted = counts_by_day(snapshot, name, list(memory))
            for day, rows in memory.items():
                found = dict(counted.filter(pl.col("day") == day).select(name, "customers").iter_rows())
                assert found == remembered(rows, name), (day, name)


def test_a_day_on_which_little_changed_costs_little(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    rows = [{"customer_id": f"{n}", "registered_at": "2026-01-01", "plan": "a"} for n in range(20_000)]
    deliver(house, tmp_path, FIRST, rows)
    assert not (tmp_path / "warehouse" / "changes").exists()
    for step in range(1, 4):
        rows[step] = rows[step] | {"plan": "b"}
        deliver(house, tmp_path, FIRST + timedelta(days=step), rows[::-1])
    with house.open() as snapshot:
        files = [file for file in snapshot.contents.files if file.table == "changes"]
        assert [file.rows for file in files] == [1, 1, 1] and sum(file.bytes for file in files) < 10_000
        plans = counts_by_day(snapshot, "plan", [FIRST, FIRST + timedelta(days=2)])
    assert plans.rows() == [
        (FIRST, "a", 20_000),
        (FIRST + timedelta(days=2), "a", 19_998),
        (FIRST + timedelta(days=2), "b", 2),
    ]


def test_a_correction_of_the_first_day_leaves_nothing_behind(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    for plan in ("wrong", "right"):
        deliver(house, tmp_path, FIRST, [{"customer_id": "1", "registered_at": "2026-01-01", "plan": plan}])
    with house.open() as snapshot:
        assert customers_on(snapshot, FIRST).collect()["plan"].to_list() == ["right"]
        assert not any(file.table == "changes" for file in snapshot.contents.files)


def test_the_files_of_a_version_are_named_by_it_and_what_no_version_names_is_removed(tmp_path: Path) -> None:
    house = warehouse(tmp_path)
    days = [FIRST + timedelta(days=n) for n in range(3)]
    for n, day in enumerate(days):
        deliver(house, tmp_path, day, [{"customer_id": "1", "registered_at": "2026-01-01", "plan": f"p{n}"}])
    left = tmp_path / "warehouse" / "changes" / "day=2026-11-09" / "v000009.parquet"
    left.parent.mkdir()
    left.write_text("left by a kill")
    before = {p.name for p in (tmp_path / "warehouse" / "changes").rglob("*.parquet")}
    deliver(house, tmp_path, days[2], [{"customer_id": "1", "registered_at": "2026-01-01", "plan": "corrected"}])
    assert not left.exists()
    assert before == {"v000002.parquet", "v000003.parquet", "v000009.parquet"}
    named: set[str] = set()
    for version in house.versions():
        with house.open(version.version) as snapshot:
            named |= {snapshot.path(file).name for file in snapshot.contents.files if file.table == "changes"}
    assert named == {p.name for p in (tmp_path / "warehouse" / "changes").rglob("*.parquet")} >= {"v000004.parquet"}
    with house.open() as snapshot:
        values: list[Any] = [customers_on(snapshot, day).collect()["plan"].item() for day in days]
    assert values == ["p0", "p1", "corrected"]
