"""Times of delivered data: hours that a clock shows twice or never, days of the workspace's zone, what lies ahead."""

# Stored times are UTC without a zone.
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optinb.base.settings import ImportSection, Settings, WorkspaceSection
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.warehouse import TableReport

DAY = date(2026, 11, 23)


def load(root: Path, zone: str, times: dict[str, str], *, now: datetime | None = None, extra: str = "") -> Warehouse:
    """Imports a customer for each time, and a transaction of theirs at that time."""
    folder = root / "inbox" / f"{DAY}"
    folder.mkdir(parents=True)
    head = "customer_id,registered_at" + (",seen_at" if extra else "")
    people = [f"{name},2020-01-01" + (f",{extra}" if extra else "") for name in times]
    (folder / "customers.csv").write_text("\n".join([head, *people]) + "\n")
    rows = [f"{name},{name},{at},1" for name, at in times.items()]
    (folder / "transactions.csv").write_text("\n".join(["transaction_id,customer_id,occurred_at,amount", *rows]) + "\n")
    limits = ImportSection(required=("customers",), max_reject_share=1.0)
    house = Warehouse(root, Settings(workspace=WorkspaceSection(time_zone=zone), imports=limits))
    house.import_delivery(DAY, now=now or datetime(2026, 11, 23, 12, tzinfo=UTC))
    return house


def stored(house: Warehouse) -> dict[str, tuple[datetime, date]]:
    with house.open() as snapshot:
        rows = snapshot.scan("transactions").select("transaction_id", "occurred_at", "day").collect()
    return {name: (at, day) for name, at, day in rows.iter_rows()}


def refused(house: Warehouse) -> dict[str, str]:
    return {raw.split(",")[0]: reason for raw, reason in house.quarantine(DAY).select("raw", "reason").iter_rows()}


def test_an_hour_that_comes_twice_is_the_later_one_unless_its_offset_is_written(tmp_path: Path) -> None:
    house = load(
        tmp_path,
        "Europe/Berlin",
        {
            "none": "2026-10-25T02:30:00",
            "summer": "2026-10-25T02:30:00+02:00",
            "winter": "2026-10-25T02:30:00+01:00",
            "blank": "2026-10-25 02:30:00.000",
        },
    )
    hours = {name: at.hour for name, (at, _) in stored(house).items()}
    assert hours["summer"] == 0 and hours["winter"] == 1
    # Whatever the spelling, a time without an offset is one and the same moment.
    assert hours["none"] == hours["blank"] == 1


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("America/New_York", datetime(2026, 11, 1, 4)),
        ("Asia/Kolkata", datetime(2026, 10, 31, 18, 30)),
        ("Pacific/Kiritimati", datetime(2026, 10, 31, 10)),
        ("Australia/Lord_Howe", datetime(2026, 10, 31, 13)),
    ],
)
def test_a_day_begins_at_midnight_in_the_workspaces_zone(tmp_path: Path, zone: str, midnight: datetime) -> None:
    last = midnight - timedelta(seconds=1)
    found = stored(load(tmp_path, zone, {"last": f"{last}Z", "first": f"{midnight}Z", "local": "2026-11-01"}))
    assert found["first"] == found["local"] == (midnight, date(2026, 11, 1))
    assert found["last"] == (last, date(2026, 10, 31))


def test_a_day_of_25_hours_holds_them_all(tmp_path: Path) -> None:
    start = datetime(2026, 10, 24, 22)  # midnight in Berlin
    hours = {f"h{n:02}": f"{start + timedelta(hours=n)}Z" for n in range(26)}
    days = [day for _, day in stored(load(tmp_path, "Europe/Berlin", hours)).values()]
    assert days.count(date(2026, 10, 25)) == 25 and days.count(date(2026, 10, 26)) == 1


def test_what_lies_ahead_is_judged_by_the_moment_not_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    house = load(
        tmp_path,
        "Asia/Tokyo",
        {
            "just now": "2026-11-23T21:00:00",
            "tolerated": "2026-11-23T21:59:59",
            "too far": "2026-11-23T22:00:01",
            "far away and past": "2026-11-23T22:30:00+12:00",
            "near and ahead": "2026-11-23T13:00:01Z",
        },
        now=now,
    )
    assert stored(house).keys() == {"just now", "tolerated", "far away and past"}
    assert all("is in the future" in reason for reason in refused(house).values())


def test_an_attribute_that_is_a_time_follows_the_zone_too(tmp_path: Path) -> None:
    with load(tmp_path, "Europe/Berlin", {"a": "2026-11-01"}, extra="2026-07-01T12:00:00").open() as snapshot:
        assert snapshot.schema("customers")["seen_at"] == pl.Datetime("us")
        assert snapshot.table("customers").collect()["seen_at"].to_list() == [datetime(2026, 7, 1, 10)]


@pytest.mark.parametrize("written", ["2026-02-29", "2026-13-01", "1", "yesterday", "20261101", "2026-11-01T25:00:00"])
def test_what_is_no_time_is_refused_with_what_to_write(tmp_path: Path, written: str) -> None:
    house = load(tmp_path, "Europe/Berlin", {"a": written, "good": "2024-02-29T23:59:59Z"})
    assert stored(house).keys() == {"good"}
    assert "write ISO 8601" in refused(house)["a"]
    table: TableReport = house.check(tmp_path / "inbox" / f"{DAY}", run_date=DAY, now=datetime.now(UTC))[0].tables[1]
    assert (table.read, table.loaded, table.quarantined) == (2, 1, 1)
