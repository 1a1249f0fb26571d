"""How old each table is on a night, and which are too old to be sent from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from small_deliveries import APP_USERS, CUSTOMERS, DAY, NOW, Folder

from optinb.base.settings import ImportSection
from optinb.warehouse import ImportReport, TableAge, TableReport, table_ages
from optinb.warehouse.building import Contents, Delivery
from optinb.warehouse.days import DayFile

NIGHT = date(2026, 11, 24)
ZONE = ZoneInfo("Europe/Berlin")
WHOLE = ("customers", "app_users")


def ago(days: int) -> date:
    return NIGHT - timedelta(days=days)


def delivery(days_ago: int, *tables: str, newest: dict[str, int] | None = None) -> Delivery:
    """A delivery of some tables; `newest`: how many days before the night their newest rows are."""
    reports = tuple(
        TableReport(
            table=name,
            read=1,
            loaded=1,
            quarantined=0,
            newest=datetime.combine(ago(newest[name]), datetime.min.time(), tzinfo=ZONE)
            if name in (newest or {})
            else None,
        )
        for name in tables
    )
    report = ImportReport(run_date=ago(days_ago), version=1, tables=reports)
    return Delivery(run_date=ago(days_ago), digest="", version=1, imported_at=NOW, report=report)


def rows(table: str, *days_ago: int, delivered: int | None = None, until: int | None = None) -> tuple[DayFile, ...]:
    """The files of some days, each brought by the delivery of the next day, or by the one of `delivered`."""
    return tuple(
        DayFile(
            table=table,
            day=ago(days),
            path=f"{table}/{days}",
            rows=1,
            bytes=1,
            delivery=ago(days - 1 if delivered is None else delivered),
            until=ago(until) if until is not None else None,
        )
        for days in days_ago
    )


def ages(
    *deliveries: Delivery, files: tuple[DayFile, ...] = (), night: date = NIGHT, **limits: object
) -> dict[str, TableAge]:
    contents = Contents(
        version=1, created_at=NOW, import_date=max(d.run_date for d in deliveries), files=files, deliveries=deliveries
    )
    found = table_ages(contents, run_date=night, limits=ImportSection(**limits), zone=ZONE)  # pyright: ignore[reportArgumentType]
    return {age.table: age for age in found}


def daily(*, until: int, of: int = 40) -> tuple[tuple[Delivery, ...], tuple[DayFile, ...]]:
    """A shop with orders on every day up to `until` days ago, delivered every night, at last with old rows."""
    nights = tuple(
        delivery(days, *WHOLE, "transactions", newest={"transactions": max(days + 1, until)})
        for days in range(of, -1, -1)
    )
    return nights, rows("transactions", *range(until, of + 2))


def test_tables_that_came_tonight_with_rows_of_yesterday_are_fresh() -> None:
    nights, files = daily(until=1)
    found = ages(*nights, files=files)
    assert list(found) == ["customers", "app_users", "transactions"]
    assert all(age.delivered == NIGHT and age.stale is None and age.warning is None for age in found.values())
    assert found["transactions"].newest == ago(1)
    assert found["customers"].newest is None


def test_a_table_that_was_never_delivered_has_no_age() -> None:
    assert "events" not in ages(delivery(0, *WHOLE))


def test_a_table_that_stays_away_is_told_from_the_first_night_on_and_stale_beyond_the_limit() -> None:
    for days, is_stale in ((1, False), (2, False), (3, True), (30, True)):
        found = ages(delivery(days, *WHOLE, "transactions"), *(delivery(n, *WHOLE) for n in range(days - 1, -1, -1)))
        age = found["transactions"]
        assert age.delivered == ago(days)
        assert (age.stale is not None) is is_stale, days
        assert age.warning is not None and f"{ago(days)}" in age.warning and "transactions" in age.warning
        assert found["customers"].warning is None


def test_the_sentence_names_the_table_its_newest_delivery_the_limit_and_the_remedy() -> None:
    age = ages(delivery(5, *WHOLE, "transactions"), delivery(0, *WHOLE))["transactions"]
    assert age.stale == age.warning
    assert age.stale is not None
    for part in ("transactions", "2026-11-19", "5 days", "max_age_days = 2", "delivered again", "[import.max_age]"):
        assert part in age.stale


def test_a_night_without_any_delivery_tells_of_no_table_before_all_are_too_old() -> None:
    assert all(age.warning is None for age in ages(delivery(2, *WHOLE)).values())
    assert all(age.stale for age in ages(delivery(3, *WHOLE)).values())


def test_a_table_that_comes_once_a_week_is_fresh_for_a_week_under_a_limit_of_its_own() -> None:
    nights = (delivery(7, *WHOLE, "transactions"), *(delivery(n, *WHOLE) for n in range(6, -1, -1)))
    age = ages(*nights, files=rows("transactions", 8), max_age={"transactions": 8})["transactions"]
    assert age.stale is None and age.warning is None
    later = ages(*nights, files=rows("transactions", 8), max_age={"transactions": 6})["transactions"]
    assert later.stale is not None and "[import.max_age] transactions = 6" in later.stale


def test_a_limit_of_its_own_may_also_be_narrower() -> None:
    nights = (delivery(1, *WHOLE, "transactions"), delivery(0, *WHOLE))
    assert ages(*nights, max_age={"transactions": 0})["transactions"].stale


@pytest.mark.parametrize(("silent", "is_stale"), [(1, False), (2, False), (3, True), (20, True)])
def test_old_rows_delivered_every_night_are_stale_where_rows_came_on_every_day(silent: int, is_stale: bool) -> None:
    nights, files = daily(until=silent + 1)
    age = ages(*nights, files=files)["transactions"]
    assert age.delivered == NIGHT
    assert age.newest == ago(silent + 1)
    assert (age.stale is not None) is is_stale
    assert (age.warning is not None) is (silent + 1 > 2)


def test_the_same_rows_delivered_anew_each_night_make_no_table_fresh() -> None:
    nights, files = daily(until=10)
    anew = tuple(rows("transactions", *range(10, 42), delivered=0))  # the whole history, replaced tonight
    assert files != anew
    age = ages(*nights, files=anew)["transactions"]
    assert age.stale is not None and f"since the delivery of {ago(9)}" in age.stale


def test_a_shop_with_few_orders_is_not_held_within_twice_its_longest_pause() -> None:
    """Orders on some days only, the longest pause 6 days: 12 days of silence are by chance, 13 are not."""
    orders = (0, 3, 4, 10, 12, 17)  # days before the newest one
    for silent in (3, 6, 12, 13, 30):
        days = [silent + 1 + n for n in orders]
        nights = tuple(
            delivery(n, *WHOLE, "transactions", newest={"transactions": min(d for d in days if d > n)})
            for n in range(max(days) - 1, -1, -1)
        )
        age = ages(*nights, files=rows("transactions", *days))["transactions"]
        assert (age.stale is not None) is (silent > 12), silent
        assert age.warning is not None  # the night says how old its newest row is all the same


def test_a_pause_of_long_ago_and_one_that_late_rows_filled_make_no_pause_usual() -> None:
    nights, files = daily(until=6, of=60)
    assert ages(*nights, files=(*files, *rows("transactions", 600, 900)))["transactions"].stale
    late = rows("transactions", 30, 31, 32, delivered=20)
    assert ages(*nights, files=tuple({f.day: f for f in (*files, *late)}.values()))["transactions"].stale


def test_a_pause_within_a_file_of_a_whole_month_counts_as_none() -> None:
    nights, files = daily(until=6, of=20)
    month = rows("transactions", 80, until=40)
    age = ages(*nights, files=(*month, *(f for f in files if f.day > ago(40))))["transactions"]
    # from the month's last day to the next day with rows are 19 days
    assert age.stale is None
    joined = rows("transactions", 80, until=22)
    assert ages(*nights, files=(*joined, *files))["transactions"].stale


def test_versions_that_kept_no_newest_row_are_judged_by_their_files() -> None:
    nights = tuple(delivery(n, *WHOLE, "transactions") for n in range(20, -1, -1))
    files = rows("transactions", *range(6, 20))
    age = ages(*nights, files=files)["transactions"]
    assert age.newest == ago(6)
    assert age.stale is not None and f"since the delivery of {ago(5)}" in age.stale


def test_a_first_delivery_with_old_rows_is_told_and_held_only_once_nothing_newer_comes() -> None:
    files = rows("transactions", 79, delivered=3)
    newest = {"transactions": 79}
    first = delivery(3, *WHOLE, "transactions", newest=newest)
    then = tuple(delivery(n, *WHOLE, "transactions", newest=newest) for n in (2, 1, 0))
    for night, is_stale in ((ago(3), False), (ago(1), False), (NIGHT, True)):
        age = ages(first, *then, files=files, night=night)["transactions"]
        assert age.warning is not None and f"{ago(79)}" in age.warning
        assert (age.stale is not None) is is_stale, night


def test_an_import_keeps_the_newest_time_of_the_rows_that_were_loaded(folder: Folder) -> None:
    transactions = (
        "transaction_id,customer_id,occurred_at,amount\n"
        "t1,007,2026-11-21T10:00:00Z,10\n"
        "t2,008,2026-11-20T10:00:00Z,10\n"
        "t3,nobody,2026-11-22T10:00:00Z,10\n"
        "t4,008,2031-01-01T10:00:00Z,10\n"
    )
    report = folder.load({"transactions.csv": transactions})
    assert report.table("transactions").newest == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert report.table("customers").newest is None
    with folder.warehouse.open() as snapshot:
        stored = snapshot.contents.deliveries[0].report.table("transactions")
    assert stored.newest == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert folder.load({"transactions.csv": transactions.split("\n")[0] + "\n"}).table("transactions").newest is None


def test_a_published_version_tells_of_the_table_that_stayed_away(folder: Folder) -> None:
    folder.load()
    later = DAY + timedelta(days=3)
    folder.load(
        {"customers.csv": CUSTOMERS, "app_users.csv": APP_USERS}, day=later, base=False, now=NOW + timedelta(days=3)
    )
    with folder.warehouse.open() as snapshot:
        found = {a.table: a for a in table_ages(snapshot.contents, run_date=later, limits=ImportSection(), zone=ZONE)}
    assert {name for name, age in found.items() if age.stale} == {"transactions", "events"}
    assert found["transactions"].newest == date(2026, 11, 22)
