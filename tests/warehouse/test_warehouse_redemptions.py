"""The delivered table of redemptions: what is loaded of it, what is refused, and what comes again."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from small_deliveries import DAY, NOW
from small_deliveries import folder as folder

from optinb.errors import GateError
from optinb.warehouse.days import scan_of

HEAD = "redeemed_at,code,offer,customer_id,cost,redemption_id\n"
ROWS = """2026-11-21T10:00:00Z,A-1,,007,,r1
2026-11-22T11:00:00Z,A-2,,,2.5,r2
2026-11-22T12:00:00Z,,Free coffee,008,,
"""
NEXT, LATER = DAY + timedelta(days=1), NOW + timedelta(days=1)


def stored(folder) -> list[tuple]:
    with folder.warehouse.open() as snapshot:
        found = snapshot.scan("redemptions").sort("redeemed_at", "code").collect()
    return found.select("code", "offer", "customer_id", "cost").rows()


def test_codes_and_offers_that_were_redeemed_are_loaded_by_day(folder):
    report = folder.load({"redemptions.csv": HEAD + ROWS})
    assert report.table("redemptions").loaded == 3
    assert stored(folder) == [
        ("A-1", None, "007", None),
        ("A-2", None, None, 2.5),
        (None, "Free coffee", "008", None),
    ]
    with folder.warehouse.open() as snapshot:
        days = snapshot.scan("redemptions").select(pl.col("day").unique().sort()).collect()["day"].to_list()
    assert days == [date(2026, 11, 21), date(2026, 11, 22)]


def test_a_workspace_without_the_table_has_none_of_its_rows(folder):
    folder.load()
    assert stored(folder) == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-11-22T12:00:00Z,,,007,,", "neither code nor offer"),
        ("2026-11-22T12:00:00Z,,Free coffee,,,", "nobody can tell who redeemed it"),
        ("2026-11-22T12:00:00Z,A-3,,999,,", "customer_id isn't in customers"),
        ("yesterday,A-3,,007,,", "redeemed_at"),
        ("2026-11-22T12:00:00Z,A-3,,007,free,", "cost"),
    ],
)
def test_a_row_that_says_too_little_is_quarantined_with_the_reason(folder, row, reason):
    report = folder.load({"redemptions.csv": HEAD + ROWS + row + "\n"}).table("redemptions")
    assert (report.read, report.loaded) == (4, 3)
    assert any(reason in told for told in report.reasons)


def test_what_comes_again_is_left_out_and_a_known_id_replaces_its_row(folder):
    folder.load({"redemptions.csv": HEAD + ROWS})
    again = ROWS.replace("A-2,,,2.5,r2", "A-2,,009,3.5,r2")
    report = folder.load({"redemptions.csv": HEAD + again}, day=NEXT, now=LATER)
    assert report.table("redemptions").repeated == 1  # the one without an id
    assert stored(folder) == [
        ("A-1", None, "007", None),
        ("A-2", None, "009", 3.5),
        (None, "Free coffee", "008", None),
    ]


def test_codes_that_a_tool_has_made_numbers_block(folder):
    with pytest.raises(GateError, match="values of code in redemptions were written as numbers"):
        folder.load({"redemptions.csv": HEAD + "2026-11-22T12:00:00Z,1002.0,,007,,\n"})


BOUGHT = "transaction_id,customer_id,occurred_at,amount,product,promo_code\n"


def codes_of(folder) -> list[tuple]:
    with folder.warehouse.open() as snapshot:
        return (
            snapshot.scan("transactions").select("transaction_id", "promo_code").sort("transaction_id").collect().rows()
        )


def test_purchases_bring_their_codes_beside_those_of_earlier_days_that_have_none(folder):
    folder.load()
    bought = [(2, "2026-11-20", ""), (4, "2026-11-22", "A-1"), (5, "2026-11-23", "007")]
    rows = [f"t{n},007,{day}T11:00:00Z,5,hat,{code}\n" for n, day, code in bought]
    report = folder.load({"transactions.csv": BOUGHT + "".join(rows)}, day=NEXT, now=LATER)
    assert report.table("transactions").loaded == 3
    assert codes_of(folder) == [("t1", None), ("t2", None), ("t3", None), ("t4", "A-1"), ("t5", "007")]
    with folder.warehouse.open() as snapshot:  # as old days are joined to months
        con = duckdb.connect()
        files = sorted(snapshot.files("transactions"), key=lambda file: file.delivery)
        joined = con.sql(f"SELECT promo_code FROM {scan_of(folder.root / 'warehouse', files)} ORDER BY 1").fetchall()
    assert [code for (code,) in joined if code] == ["007", "A-1"] and len(joined) == 5


@pytest.mark.parametrize(("code", "reason"), [("X" * 256, "promo_code is longer than 255"), ('"A\x07"', "promo_code")])
def test_a_purchase_with_a_code_that_is_none_is_quarantined_with_the_reason(folder, code, reason):
    rows = f"t4,007,2026-11-22T11:00:00Z,5,hat,{code}\nt5,007,2026-11-22T11:00:00Z,5,hat,\n"
    report = folder.load({"transactions.csv": BOUGHT + rows}).table("transactions")
    assert (report.loaded, report.quarantined) == (1, 1)
    assert any(reason in told for told in report.reasons)


def test_a_header_that_is_nearly_the_code_of_a_purchase_is_asked_about(folder):
    with pytest.raises(GateError, match=r"no promo_code; did you mean promo_code\?"):
        folder.load({"transactions.csv": BOUGHT.replace("promo_code", "Coupon_Code") + "t4,007,2026-11-22,5,hat,A\n"})
    with pytest.raises(GateError, match="values of promo_code in transactions were written as numbers"):
        folder.load({"transactions.csv": BOUGHT + "t4,007,2026-11-22,5,hat,1002.0\n"})


def test_whoever_is_forgotten_is_in_no_redemption_and_the_others_stay(folder):
    folder.load({"redemptions.csv": HEAD + ROWS})
    folder.warehouse.forget("007", user="boss", now=NOW)
    assert [row[2] for row in stored(folder)] == [None, "008"]
    folder.load({"redemptions.csv": HEAD + ROWS}, day=NEXT, now=LATER)
    assert "007" not in [row[2] for row in stored(folder)]
