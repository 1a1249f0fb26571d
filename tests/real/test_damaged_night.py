"""A night of real groceries of which one row in a hundred is damaged, in ten ways: each is found where it stands."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections import Counter
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from complete_journey import CURRENCY, FIRST_RUN, GROUPS, ZONE, write_delivery

from optinb.base.settings import AppGroupSettings, AppSettings, Settings, WorkspaceSection
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.warehouse import ImportReport

NIGHT = FIRST_RUN + timedelta(days=1)
SHARE = 0.01
Row = dict[str, str | None]


class Damage(NamedTuple):
    """A way in which a row goes wrong: in which table, how, and what the quarantine says."""

    table: str
    spoil: Callable[[Row], Row]
    reason: str


def with_value(**values: str) -> Callable[[Row], Row]:
    return lambda row: row | values


DAMAGES: dict[str, Damage] = {
    "no id": Damage("transactions", with_value(transaction_id=""), "transaction_id is missing"),
    "unknown customer": Damage("transactions", with_value(customer_id="nobody"), "customer_id isn't in customers"),
    "a day that is none": Damage("transactions", with_value(occurred_at="2017-02-30 10:00:00"), "isn't a time"),
    "the year after": Damage("transactions", with_value(occurred_at="2018-07-01T10:00:00Z"), "is in the future"),
    "a comma for a point": Damage("transactions", with_value(amount="1.234,56"), "write 1234.56"),
    "no number at all": Damage("transactions", with_value(amount="NaN"), "isn't a finite number"),
    "the same id again": Damage("transactions", with_value(transaction_id="FIRST"), "stood before in this delivery"),
    "a shifted column": Damage("transactions", with_value(customer_id="x" * 300), "longer than 255 characters"),
    "unknown app": Damage("app_users", with_value(app_id="cj-windows"), "app_id is no app of the settings"),
    "half a yes": Damage("app_users", with_value(push_enabled="perhaps"), "neither true nor false"),
}


class Planted(NamedTuple):
    """Where a damaged row stands, and how it reads."""

    table: str
    file: str
    line: int
    raw: str


class Night(NamedTuple):
    """A damaged night, imported."""

    report: ImportReport
    quarantine: pl.DataFrame
    planted: dict[Planted, str]
    rows: dict[str, int]
    warehouse: Warehouse


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    root = tmp_path_factory.mktemp("damaged")
    apps = {name: tuple(AppSettings(id=i, name=i, platform="ios") for i in ids) for name, ids in GROUPS.items()}
    groups = tuple(AppGroupSettings(id=n, name=n, api="http://127.0.0.1:1", apps=own) for n, own in apps.items())
    warehouse = Warehouse(root, Settings(WorkspaceSection(time_zone=ZONE, currency=CURRENCY), groups))
    write_delivery(root / "inbox", FIRST_RUN, since=FIRST_RUN - timedelta(days=7))
    warehouse.import_delivery(FIRST_RUN, now=at_two(FIRST_RUN))
    write_delivery(root / "inbox", NIGHT, since=FIRST_RUN)
    planted, rows = damage(root / "inbox" / f"{NIGHT}", random.Random(2017))
    report = warehouse.import_delivery(NIGHT, now=at_two(NIGHT))
    return Night(report, warehouse.quarantine(NIGHT), planted, rows, warehouse)


def at_two(day: Any) -> datetime:
    return datetime.combine(day, time(2), tzinfo=ZoneInfo(ZONE))


def damage(folder: Path, chance: random.Random) -> tuple[dict[Planted, str], dict[str, int]]:
    """Turns a delivery into text and spoils one row in a hundred: transactions as CSV and NDJSON, app users as CSV."""
    tables = {path.stem: text_of(path) for path in sorted(folder.glob("*.parquet"))}
    for path in folder.glob("*.parquet"):
        path.unlink()
    counts = {name: len(rows) for name, rows in tables.items()}
    ways = [way for _ in range(counts["transactions"]) for way in DAMAGES][: round(SHARE * sum(counts.values()))]
    spoilt: dict[str, dict[int, str]] = {name: {} for name in tables}
    for name, taken in spoilt.items():
        mine = [way for way in ways if DAMAGES[way].table == name]
        taken.update(zip(chance.sample(range(1, counts[name]), len(mine)), mine, strict=True))
    first = tables["transactions"][0]["transaction_id"] or ""
    for name, taken in spoilt.items():
        for at, way in taken.items():
            row = DAMAGES[way].spoil(tables[name][at])
            tables[name][at] = {k: first if v == "FIRST" else v for k, v in row.items()}
    for at, row in enumerate(tables["transactions"]):
        if at % 50 == 7:  # a product over two lines, as real ones are: no line number is a row number any more
            row["product"] = f'{row["product"]},\n"second line"'
    half = counts["transactions"] // 2
    planted = write_csv(folder / "customers.csv", "customers", tables["customers"], {})
    planted |= write_csv(folder / "app_users.csv", "app_users", tables["app_users"], spoilt["app_users"])
    mine = spoilt["transactions"]
    head = {at: way for at, way in mine.items() if at < half}
    tail = {at - half: way for at, way in mine.items() if at >= half}
    planted |= write_csv(folder / "transactions-1.csv", "transactions", tables["transactions"][:half], head)
    planted |= write_ndjson(folder / "transactions-2.ndjson.gz", "transactions", tables["transactions"][half:], tail)
    return planted, counts


def text_of(path: Path) -> list[Row]:
    """The rows of a Parquet file as text, times in ISO 8601."""
    frame = pl.read_parquet(path)
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(times).dt.to_string("iso:strict")).cast(pl.String).to_dicts()


def write_csv(path: Path, table: str, rows: list[Row], taken: dict[int, str]) -> dict[Planted, str]:
    planted, line = {}, 2
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerow(rows[0])
        for at, row in enumerate(rows):
            cell = io.StringIO()
            csv.writer(cell, lineterminator="\n").writerow("" if v is None else v for v in row.values())
            text = cell.getvalue()
            out.write(text)
            if at in taken:
                planted[Planted(table, path.name, line, text.rstrip("\n"))] = taken[at]
            line += text.count("\n")
    return planted


def write_ndjson(path: Path, table: str, rows: list[Row], taken: dict[int, str]) -> dict[Planted, str]:
    lines = [json.dumps(row) for row in rows]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return {Planted(table, path.name, at + 1, lines[at]): way for at, way in taken.items()}


def test_a_hundredth_of_the_rows_is_damaged_in_ten_ways_over_three_files(night: Night) -> None:
    assert len(night.planted) == round(SHARE * sum(night.rows.values())) >= 80
    assert Counter(night.planted.values()).keys() == DAMAGES.keys()
    assert {place.file for place in night.planted} == {
        "app_users.csv",
        "transactions-1.csv",
        "transactions-2.ndjson.gz",
    }


def test_every_damaged_row_is_found_with_file_line_text_and_the_right_reason_and_no_other_row(night: Night) -> None:
    said = night.quarantine.select("table", "file", "line", "raw", "reason")
    found = {Planted(*row): reason for *row, reason in said.iter_rows()}
    assert found.keys() == night.planted.keys() and len(found) == night.quarantine.height
    for place, way in night.planted.items():
        assert DAMAGES[way].reason in found[place], (way, place)


def test_read_is_loaded_and_quarantined_and_the_rest_of_the_night_is_published(night: Night) -> None:
    damaged = Counter(place.table for place in night.planted)
    # A value that may be left out loses only itself.
    emptied = sum(way == "half a yes" for way in night.planted.values())
    assert night.report.table("app_users").emptied == {"push_enabled": emptied} and emptied
    damaged["app_users"] -= emptied
    assert {t.table: (t.read, t.loaded, t.quarantined) for t in night.report.tables} == {
        name: (count, count - damaged[name], damaged[name]) for name, count in night.rows.items()
    }
    with night.warehouse.open() as snapshot:
        assert snapshot.import_date == NIGHT
        assert snapshot.table("app_users").collect().height == night.rows["app_users"] - damaged["app_users"]
        loaded = snapshot.scan("transactions").filter(pl.col("day") == FIRST_RUN).collect()
    assert loaded.height == night.rows["transactions"] - damaged["transactions"]
    assert loaded["product"].str.contains("second line").sum() > 10
