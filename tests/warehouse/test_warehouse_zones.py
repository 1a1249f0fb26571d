"""The short way between a zone and UTC agrees with DuckDB's calendar through every change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from optinb.warehouse.sql import connect, literal, local_from_utc, transitions, utc_from_local

UNTIL = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_the_short_way_agrees_with_the_calendar(name: str) -> None:
    zone = ZoneInfo(name)
    with connect() as con:
        con.execute(
            "CREATE TABLE t AS SELECT TIMESTAMP '2021-01-01' + INTERVAL (i * 17) MINUTE AS x FROM range(183000) r(i)"
        )
        to_utc = f"timezone('UTC', timezone({literal(name)}, x))"
        to_local = f"timezone({literal(name)}, timezone('UTC', x))"
        differing = con.execute(
            f"SELECT count(*) FILTER ({utc_from_local('x', zone, until=UNTIL)} <> {to_utc}), "
            f"count(*) FILTER ({local_from_utc('x', zone, until=UNTIL)} <> {to_local}), count(*) "
            "FROM t WHERE x < TIMESTAMP '2026-11-23'"
        ).fetchone()
    assert differing is not None and differing[:2] == (0, 0) and differing[2] > 180_000


def test_transitions_are_the_changes_of_the_clock_newest_first() -> None:
    found = transitions(ZoneInfo("Europe/Berlin"), until=UNTIL)
    assert found[0] == (datetime(2026, 10, 25, 1, tzinfo=UTC), timedelta(hours=1))
    assert found[1] == (datetime(2026, 3, 29, 1, tzinfo=UTC), timedelta(hours=2))
    assert len(found) == 7
