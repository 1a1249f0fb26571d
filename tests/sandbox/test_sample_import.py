from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from optinb.base.settings import load_settings
from optinb.sandbox.sample import write_sample
from optinb.warehouse import Warehouse

SETTINGS = load_settings(Path(__file__).parents[2] / "data" / "optinb.toml")
FIRST = date(2026, 11, 23)


@pytest.mark.parametrize("fmt", ["csv", "parquet"])
def test_an_import_puts_aside_exactly_the_rows_that_are_bad_on_purpose(tmp_path: Path, fmt) -> None:
    sample = write_sample(tmp_path / "inbox", customers=400, days=120, nights=3, fmt=fmt)
    warehouse = Warehouse(tmp_path, SETTINGS)
    for night in range(3):
        day = FIRST + timedelta(days=night)
        now = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
        report = warehouse.import_delivery(day, now=now)
        assert {table.table: table.read for table in report.tables} == sample.deliveries[f"{day}"]
        for table in report.tables:
            kinds = sample.bad[table.table] if night == 0 else {}
            # One of them is an optional value, of which the row is loaded without it.
            assert sorted([*table.reasons.values(), *table.emptied.values()]) == sorted(kinds.values()), table
            assert table.quarantined + sum(table.emptied.values()) == sum(kinds.values())
