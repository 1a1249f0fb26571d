"""Row checks, attribute types and gates."""

# Stored times are UTC without a zone.
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import CUSTOMERS, DAY, NOW

from optinb.base.settings import ImportSection
from optinb.errors import GateError, UsageError
from optinb.warehouse import BlockedError, TableReport
from optinb.warehouse.gates import failed, judge

if TYPE_CHECKING:
    from small_deliveries import Folder

NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)
HEAD = "transaction_id,customer_id,occurred_at,amount,quantity\n"


BAD_ROWS = [
    (",007,2026-11-20,1,", "transaction_id is missing"),
    ("a,,2026-11-20,1,", "customer_id is missing"),
    ("a,nobody,2026-11-20,1,", "customer_id isn't in customers"),
    ("a" * 300 + ",007,2026-11-20,1,", "transaction_id is longer than 255"),
    ("a\x00b,007,2026-11-20,1,", "control character"),
    ("a,007,,1,", "occurred_at is missing"),
    ("a,007,2026-02-30,1,", "occurred_at isn't a time"),
    ("a,007,23.11.2026,1,", "occurred_at isn't a time"),
    ("a,007,infinity,1,", "occurred_at isn't a time"),
    ("a,007,epoch,1,", "occurred_at isn't a time"),
    ("a,007,26-11-20,1,", "occurred_at isn't a time"),
    ("a,007,0026-11-20,1,", "write the year with four digits"),
    ("a,007,0000-01-01,1,", "write the year with four digits"),
    ("a,007,2026-11-20T10:00:00+25:00,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-20T10:00:00+01:60,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-20 10:00:00 PST,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-20 10:00 Europe/Berlin,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-20 10:00:0Z,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-20  1:00:00,1,", "occurred_at isn't a time"),
    ("a,007,2026/11/20,1,", "occurred_at isn't a time"),
    ("a,007,2026-11-23T05:30:00,1,", "occurred_at is in the future"),
    ("a,007,2026-11-20,,", "amount is missing"),
    ('a,007,2026-11-20,"1.234,56",', "write 1234.56"),
    ("a,007,2026-11-20,12 EUR,", "write 1234.56"),
    ("a,007,2026-11-20,1_000,", "write 1234.56"),
    ("a,007,2026-11-20,NaN,", "isn't a finite number"),
    ("a,007,2026-11-20,1e400,", "isn't a finite number"),
    ("a,007,2026-11-20,12345678901234567890,", "would lose the last"),
    ("a,007,2026-11-20,1,many", "quantity isn't a number"),
    ("t1,007,2026-11-20,2,", "transaction_id stood before"),
]


def test_each_bad_row_is_quarantined_with_what_to_write_instead(folder: Folder) -> None:
    text = HEAD + "t1,007,2026-11-20,1,\n" + "".join(row + "\n" for row, _ in BAD_ROWS)
    table = folder.load({"transactions.csv": text}).table("transactions")
    assert (table.read, table.loaded, table.quarantined) == (len(BAD_ROWS) + 1, 1, len(BAD_ROWS))
    kept = {
        line: (raw, why)
        for line, raw, why in folder.warehouse.quarantine(DAY).select("line", "raw", "reason").iter_rows()
    }
    for line, (row, reason) in enumerate(BAD_ROWS, start=3):
        assert kept[line][0] == row and reason in kept[line][1]


def test_app_users_are_checked_against_customers_and_apps(folder: Folder) -> None:
    users = "customer_id,app_id\n007,shop-ios\n007,shop-ios\n007,other\nnobody,shop-ios\n"
    report = folder.load({"app_users.csv": users}).table("app_users")
    assert report.loaded == 1 and report.quarantined == 3
    for part in ("stood before", "no app of the", "isn't in customers"):
        assert any(part in why for why in report.reasons)


def test_times_follow_the_workspaces_zone_through_daylight_saving(folder: Folder) -> None:
    rows = {
        "summer": ("2026-07-01T12:00:00", datetime(2026, 7, 1, 10)),
        "winter": ("2026-01-01T12:00:00", datetime(2026, 1, 1, 11)),
        "offset": ("2026-07-01T12:00:00-0530", datetime(2026, 7, 1, 17, 30)),
        "zulu": ("2026-07-01 12:00:00.5Z", datetime(2026, 7, 1, 12, 0, 0, 500000)),
        "day": ("2026-07-01", datetime(2026, 6, 30, 22)),
        "gap": ("2026-03-29T02:30:00", datetime(2026, 3, 29, 1, 30)),
    }
    text = HEAD + "".join(f"{name},007,{written},1,\n" for name, (written, _) in rows.items())
    folder.load({"transactions.csv": text})
    with folder.warehouse.open() as snapshot:
        stored = dict(snapshot.scan("transactions").select("transaction_id", "occurred_at").collect().iter_rows())
    assert stored == {name: expected for name, (_, expected) in rows.items()}


def attributes(folder: Folder) -> dict[str, pl.DataType]:
    with folder.warehouse.open() as snapshot:
        return snapshot.schema("customers")


def test_attributes_take_the_narrowest_type_that_all_values_allow(folder: Folder) -> None:
    text = (
        "customer_id,registered_at,flag,whole,real,zip,born,seen,mixed,empty\n"
        "1,2026-01-01,true,12,1.5,01234,2020-02-29,2020-02-29T10:00:00,1,\n"
        "2,2026-01-01,False,-3,2,99999,,2020-03-01 11:00,x,\n"
    )
    folder.load({"customers.csv": text})
    schema = attributes(folder)
    assert [schema[name] for name in ("flag", "whole", "real", "zip", "born", "seen", "mixed", "empty")] == [
        pl.Boolean(),
        pl.Int64(),
        pl.Float64(),
        pl.String(),
        pl.Date(),
        pl.Datetime("us"),
        pl.String(),
        pl.String(),
    ]


def test_an_attribute_keeps_every_digit_and_only_dates_that_readers_know(folder: Folder) -> None:
    text = (
        "customer_id,registered_at,card,ean,ago,until,since\n"
        "1,2026-01-01,12345678901234567890,4006381333931,1700-01-01,9999-12-31,0001-01-01T00:00:00\n"
        "2,2026-01-01,1.5,1.5,2020-01-01,2020-01-01,2020-01-01T00:00:00\n"
    )
    folder.load({"customers.csv": text})
    schema = attributes(folder)
    assert [schema[name] for name in ("card", "ean", "ago", "until", "since")] == [
        pl.String(),
        pl.Float64(),
        pl.String(),
        pl.Date(),
        pl.String(),
    ]
    with folder.warehouse.open() as snapshot:
        rows = snapshot.table("customers").sort("customer_id").select("card", "until").collect().rows()
    assert rows[0] == ("12345678901234567890", date(9999, 12, 31))


LONG = ("0.123456789012345678", "1234567890.123456789", "-98765.4321098765432", "1.234567890123456789e5")
WRITTEN = ("12.50000000000000000000", "0.30000000000000004", "1.2345678901234567", "-1e-7", "0.00000000000000000001")


@pytest.mark.parametrize("text", LONG)
def test_an_amount_with_more_digits_than_a_number_keeps_is_refused(folder: Folder, text: str) -> None:
    rows = f"transaction_id,customer_id,occurred_at,amount\nt1,007,2026-11-20T10:00:00,{text}\n"
    report = folder.load({"transactions.csv": rows})
    (reason,) = report.table("transactions").reasons
    assert reason == "amount has more than 17 digits and would be rounded: write at most 15, such as 1234.56"


@pytest.mark.parametrize("text", WRITTEN)
def test_an_amount_as_programs_and_databases_write_it_is_loaded_as_it_is(folder: Folder, text: str) -> None:
    rows = f"transaction_id,customer_id,occurred_at,amount\nt1,007,2026-11-20T10:00:00,{text}\n"
    assert folder.load({"transactions.csv": rows}).table("transactions").loaded == 1
    with folder.warehouse.open() as snapshot:
        assert snapshot.scan("transactions").collect()["amount"].to_list() == [float(text)]


def test_an_attribute_with_more_digits_than_a_number_keeps_stays_text(folder: Folder) -> None:
    rows = ["customer_id,registered_at,rating,exact"]
    rows += [f"{i},2026-01-05,{text},{written}" for i, (text, written) in enumerate(zip(LONG, WRITTEN, strict=False))]
    folder.load({"customers.csv": "\n".join(rows) + "\n"})
    with folder.warehouse.open() as snapshot:
        customers = snapshot.table("customers").collect()
    assert customers["rating"].to_list() == list(LONG)
    assert customers["exact"].to_list() == [float(text) for text in WRITTEN[: len(LONG)]]


def test_a_type_once_published_stays_and_what_does_not_fit_is_emptied(folder: Folder) -> None:
    folder.load()
    changed = CUSTOMERS.replace("free,5", "free,five")
    report = folder.load({"customers.csv": changed}, day=NEXT, now=LATER).table("customers")
    assert (report.loaded, report.quarantined, report.emptied) == (3, 0, {"visits": 1})
    assert attributes(folder)["visits"] == pl.Int64()
    refused = folder.warehouse.quarantine(NEXT).select("line", "raw", "column", "value", "reason").row(0)
    assert refused[:4] == (4, "009,2026-03-01 08:30:00,DE,free,five", "visits", "five")
    assert "visits has been a whole number" in refused[4]


def test_a_correction_of_the_day_that_brought_an_attribute_may_change_its_type(folder: Folder) -> None:
    folder.load({"customers.csv": CUSTOMERS.replace("free,5", "free,five")})
    assert attributes(folder)["visits"] == pl.String()
    folder.load()
    assert attributes(folder)["visits"] == pl.Int64()


def test_attributes_appear_and_disappear_and_come_back_with_their_type(folder: Folder) -> None:
    folder.load()
    without = "customer_id,registered_at,country,tier\n007,2026-01-05,DE,gold\n"
    report = folder.load({"customers.csv": without}, day=NEXT, now=LATER)
    assert "visits" not in attributes(folder) and attributes(folder)["tier"] == pl.String()
    assert any("'visits' is no longer delivered" in warning for warning in report.warnings)
    day = NEXT + timedelta(days=1)
    back = folder.load({"customers.csv": CUSTOMERS.replace(",5\n", ",x\n")}, day=day, now=LATER + timedelta(days=1))
    assert back.table("customers").emptied == {"visits": 1} and attributes(folder)["visits"] == pl.Int64()


def test_a_gate_that_fails_publishes_nothing_says_the_figure_and_keeps_the_quarantine(folder: Folder) -> None:
    folder.load()
    folder.configure(max_reject_share=0.1)
    with pytest.raises(GateError, match=r"1 of 4 rows of customers are rejects \(25\.00%; limit 10\.00%\)") as caught:
        folder.load({"customers.csv": CUSTOMERS + "x,never,,,\n"}, day=NEXT, now=LATER)
    assert "version 1 stays current" in str(caught.value) and folder.warehouse.current == 1
    assert isinstance(caught.value, BlockedError) and caught.value.tables[0].quarantined == 1
    assert folder.warehouse.quarantine(NEXT).height == 1


def test_a_blocked_delivery_can_be_accepted_with_a_reason_that_is_recorded(folder: Folder) -> None:
    folder.load()
    folder.configure(max_shrink=0.1)
    small = {"customers.csv": "\n".join(CUSTOMERS.splitlines()[:2])}
    with pytest.raises(GateError, match="may shrink by 10%"):
        folder.load(small, day=NEXT, now=LATER)
    report = folder.load(small, day=NEXT, now=LATER, accept_anyway="shop closed in France", user="ann")
    assert (report.accepted_by, report.accepted_because) == ("ann", "shop closed in France")
    with folder.warehouse.open() as snapshot:
        kept = snapshot.contents.delivery(NEXT)
    assert kept is not None and kept.report.accepted_by == "ann"


def test_gates_compare_with_the_delivery_before_and_never_on_the_first() -> None:
    table = TableReport(table="customers", read=100, loaded=100, quarantined=0)
    limits = ImportSection(required=(), max_shrink=0.3, max_growth=1.0)

    def blocked(last: dict[str, int] | None) -> list[str]:
        return [gate.name for gate in failed(judge([table], limits=limits, last=last, problems={}))]

    assert blocked(None) == [] == blocked({"customers": 0}) == blocked({"customers": 50}) == blocked({"customers": 142})
    assert blocked({"customers": 49}) == ["growth"] and blocked({"customers": 143}) == ["shrink"]


def test_a_missing_required_table_blocks(folder: Folder) -> None:
    with pytest.raises(GateError, match="app_users is missing"):
        folder.load({"customers.csv": CUSTOMERS}, base=False)


def test_a_naive_now_is_refused(folder: Folder) -> None:
    with pytest.raises(UsageError, match="has no time zone"):
        folder.load(now=datetime(2026, 11, 23))


def test_the_tolerance_decides_what_is_too_far_ahead(folder: Folder) -> None:
    folder.configure(future_tolerance_minutes=60)
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    text = HEAD + "a,007,2026-11-20T13:00:00Z,1,\nb,007,2026-11-20T13:00:01Z,1,\n"
    report = folder.load({"transactions.csv": text, "events.csv": "customer_id,occurred_at,name\n"}, now=now)
    assert report.table("transactions").loaded == 1


def test_a_check_says_what_an_import_would_and_leaves_no_trace(folder: Folder) -> None:
    folder.configure(max_reject_share=0.1)
    delivery = folder.deliver({"customers.csv": CUSTOMERS + "x,never,,,\n"})
    report, refused = folder.warehouse.check(delivery, run_date=DAY, now=NOW)
    assert refused.select("file", "line", "raw").rows() == [("customers.csv", 5, "x,never,,,")]
    assert [gate.name for gate in failed(report.gates)] == ["rejects"] and report.table("customers").loaded == 3
    assert folder.warehouse.current is None and sorted(path.name for path in folder.root.iterdir()) == ["inbox"]
