"""Values as tools write them: what is read, what is emptied in a row that stays, and what a gate stops."""

from __future__ import annotations

import io
import unicodedata
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import CUSTOMERS, DAY, NOW

from optinb.errors import GateError
from optinb.warehouse.gates import failed

if TYPE_CHECKING:
    from small_deliveries import Folder

    from optinb.warehouse import ImportReport

NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)
HEAD = "customer_id,registered_at"


def customers(folder: Folder) -> dict[str, dict[str, object]]:
    with folder.warehouse.open() as snapshot:
        return {row["customer_id"]: row for row in snapshot.table("customers").collect().to_dicts()}


def only(folder: Folder, text: str | bytes, *, name: str = "customers.csv", day: date = DAY) -> ImportReport:
    """Imports customers alone."""
    folder.configure(required=())
    return folder.load({name: text}, base=False, day=day, now=NOW if day == DAY else LATER)


def parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


BAD_VALUES = [
    ("time_zone", "Mars/Base", "IANA name"),
    ("push_opt_in", "perhaps", "neither true nor false"),
    ("birth_date", "31.05.1990", "isn't a date"),
    ("birth_date", "2090-01-01", "in the future"),
    ("birth_date", "0001-01-01", "before the year 1800"),
    ("external_user_id", "x" * 256, "longer than 255"),
    ("external_user_id", "a\x07b", "control character"),
    ("country", "D\x00E", "NUL character"),
]


@pytest.mark.parametrize(("column", "value", "why"), BAD_VALUES)
def test_a_bad_optional_value_is_emptied_and_its_person_stays(
    folder: Folder, column: str, value: str, why: str
) -> None:
    report = only(folder, f"{HEAD},{column},plan\n1,2026-01-01,{value},pro\n").table("customers")
    assert (report.read, report.loaded, report.quarantined, report.emptied) == (1, 1, 0, {column: 1})
    row = customers(folder)["1"]
    assert row[column] in (None, "") and row["plan"] == "pro"
    kept = folder.warehouse.quarantine(DAY).to_dicts()
    assert [(k["line"], k["column"], k["value"]) for k in kept] == [(2, column, value)] and why in kept[0]["reason"]


def test_a_bad_value_of_an_app_use_is_emptied_and_the_use_stays(folder: Folder) -> None:
    users = "customer_id,app_id,push_enabled,last_used_at\n007,shop-ios,true,yesterday\n"
    report = folder.load({"app_users.csv": users}).table("app_users")
    assert (report.loaded, report.emptied) == (1, {"last_used_at": 1})


def test_what_every_row_needs_still_refuses_the_row(folder: Folder) -> None:
    report = only(folder, f"{HEAD}\n1,never\n,2026-01-01\nnone,2026-01-01\n2,2026-01-01\n").table("customers")
    assert (report.loaded, report.quarantined, report.emptied) == (2, 2, {}) and "none" in customers(folder)


def test_a_refused_row_counts_its_bad_values_only_once(folder: Folder) -> None:
    report = only(folder, f"{HEAD},push_opt_in\n1,never,perhaps\n2,2026-01-01,true\n").table("customers")
    assert (report.read, report.loaded, report.quarantined, report.emptied) == (2, 1, 1, {})
    assert folder.warehouse.quarantine(DAY)["column"].to_list() == [None]


def test_values_of_attributes_are_emptied_whatever_they_hold(folder: Folder) -> None:
    report = only(folder, f"{HEAD},name\n1,2026-01-01,A\x00nn\n2,2026-01-01,Bob\n").table("customers")
    assert report.emptied == {"name": 1} and customers(folder)["1"]["name"] is None
    assert customers(folder)["2"]["name"] == "Bob"


@pytest.mark.parametrize("form", ["parquet", "ndjson"])
def test_an_emptied_value_is_kept_for_every_format(folder: Folder, form: str) -> None:
    only(folder, f"{HEAD},visits\n1,2026-01-01,3\n2,2026-01-01,4\n")
    content = {
        "parquet": parquet(customer_id=["1", "2"], registered_at=["2026-01-01"] * 2, visits=["x", "5"]),
        "ndjson": '{"customer_id":"1","registered_at":"2026-01-01","visits":"x"}\n'
        '{"customer_id":"2","registered_at":"2026-01-01","visits":5}\n',
    }[form]
    report = only(folder, content, name=f"customers.{form}", day=NEXT).table("customers")
    assert (report.loaded, report.emptied) == (2, {"visits": 1})
    kept = folder.warehouse.quarantine(NEXT).select("line", "column", "value").rows()
    assert kept == [(1, "visits", "x")]
    assert [row["visits"] for row in customers(folder).values()] == [None, 5]


def test_too_many_emptied_values_of_a_column_block_and_name_the_column(folder: Folder) -> None:
    folder.load()
    folder.configure(max_emptied_share=0.3)
    bad = CUSTOMERS.replace("pro,3", "pro,three")
    with pytest.raises(
        GateError, match=r"1 of 3 values of visits in customers can't be read \(33\.33%; limit 30\.00%\)"
    ):
        folder.load({"customers.csv": bad}, day=NEXT, now=LATER)
    folder.configure(max_emptied_share=0.34)
    assert folder.load({"customers.csv": bad}, day=NEXT, now=LATER).table("customers").emptied == {"visits": 1}


def test_words_for_nothing_are_missing_values_in_any_case_and_are_counted(folder: Folder) -> None:
    words = ["NULL", "\\N", "n/a", "None", "nan", "#N/A", "null", "N/A", "NaN", ""]
    rows = "".join(f"{i},2026-01-01,{word},{i},{word}\n" for i, word in enumerate(words)) + "x,2026-01-01,3,4,Nan\n"
    report = only(folder, f"{HEAD},visits,orders,country\n{rows}")
    found = customers(folder)
    assert all(found[str(i)]["visits"] is None and found[str(i)]["country"] is None for i in range(len(words)))
    assert found["x"]["visits"] == 3 and found["5"]["orders"] == 5
    assert report.table("customers").read_as_missing == {"country": 10, "visits": 9}
    assert any("country (10), visits (9)" in warning for warning in report.warnings)


def test_which_words_are_missing_is_a_setting(folder: Folder) -> None:
    folder.configure(required=(), missing=("-",))
    folder.load({"customers.csv": f"{HEAD},city,vip\n1,2026-01-01,None,-\n2,2026-01-01,-,true\n"}, base=False)
    assert [(row["city"], row["vip"]) for row in customers(folder).values()] == [("None", None), (None, True)]


def test_days_that_do_not_exist_are_missing_where_a_day_is_optional(folder: Folder) -> None:
    rows = "1,2026-01-01,0000-00-00,1900-01-00\n2,2026-01-01,1990-05-31,0000-00-00 00:00:00\n3,2026-01-01,,2026-01-05\n"
    report = only(folder, f"{HEAD},birth_date,seen\n{rows}").table("customers")
    assert (report.loaded, report.emptied) == (3, {})
    assert [(row["birth_date"], row["seen"]) for row in customers(folder).values()] == [
        (None, None), (date(1990, 5, 31), None), (None, date(2026, 1, 5)),
    ]  # fmt: skip
    assert only(folder, f"{HEAD},birth_date\n1,0000-00-00,\n2,2026-01-01,\n").table("customers").quarantined == 1


def test_texts_and_ids_are_composed_and_ids_that_fall_together_are_one(folder: Folder) -> None:
    apart, together = unicodedata.normalize("NFD", "Zoë"), "Zoë"
    assert apart != together
    rows = f"{apart},2026-01-01,{apart}\n{together},2026-01-01,x\n"
    report = only(folder, f"{HEAD},name\n{rows}").table("customers")
    assert (report.loaded, report.quarantined) == (1, 1) and customers(folder)[together]["name"] == together
    refused = folder.warehouse.quarantine(DAY).select("line", "raw").rows()
    assert refused == [(3, f"{together},2026-01-01,x")]
    only(folder, parquet(customer_id=[apart], registered_at=["2026-01-01"]), name="customers.parquet", day=NEXT)
    assert list(customers(folder)) == [together]


def test_flags_and_whole_numbers_of_columns_with_gaps_are_read(folder: Folder) -> None:
    only(folder, f"{HEAD},push_opt_in,is_vip,visits\n1,2026-01-01,1,true,5\n2,2026-01-01,0,false,6\n")
    rows = "1,2026-01-01,0.0,1.0,7.0\n2,2026-01-01,1.0,,8.5\n"
    report = only(folder, f"{HEAD},push_opt_in,is_vip,visits\n{rows}", day=NEXT).table("customers")
    found = [(row["push_opt_in"], row["is_vip"], row["visits"]) for row in customers(folder).values()]
    assert found == [(False, True, 7), (True, None, None)] and report.emptied == {"visits": 1}


def test_a_share_that_begins_with_whole_numbers_stays_a_number_with_decimals(folder: Folder) -> None:
    only(folder, f"{HEAD},share\n1,2026-01-01,1.0\n2,2026-01-01,0.0\n")
    assert only(folder, f"{HEAD},share\n1,2026-01-01,0.5\n", day=NEXT).table("customers").emptied == {}
    assert customers(folder)["1"]["share"] == 0.5


def test_whole_floats_of_a_parquet_file_are_the_ids_that_they_were(folder: Folder) -> None:
    content = parquet(
        customer_id=pl.Series([1001.0, 1002.0]),
        registered_at=["2026-01-01"] * 2,
        external_user_id=pl.Series(["7001", "7002"]).cast(pl.Decimal(12, 2)),
        ratio=[1.0, 2.0],
    )
    only(folder, content, name="customers.parquet")
    found = [(row["customer_id"], row["external_user_id"], row["ratio"]) for row in customers(folder).values()]
    assert found == [("1001", "7001", 1.0), ("1002", "7002", 2.0)]


def test_a_float_that_is_none_refuses_its_row_and_no_other(folder: Folder) -> None:
    content = parquet(customer_id=pl.Series([1001.0, float("nan")]), registered_at=["2026-01-01"] * 2)
    report = only(folder, content, name="customers.parquet").table("customers")
    assert (report.loaded, report.quarantined) == (1, 1) and list(customers(folder)) == ["1001"]


ALTERED = ["1002.0", "1.23457E+11", "1e+15", "9E+9"]


@pytest.mark.parametrize("column", ["customer_id", "external_user_id"])
@pytest.mark.parametrize("value", ALTERED)
def test_ids_that_a_tool_wrote_as_numbers_block_the_delivery(folder: Folder, column: str, value: str) -> None:
    row = {"customer_id": "5", "external_user_id": "e5", column: value}
    text = f"{HEAD},external_user_id\n{row['customer_id']},2026-01-01,{row['external_user_id']}\n6,2026-01-01,e6\n"
    with pytest.raises(GateError, match=f"1 values of {column} in customers were written as numbers"):
        only(folder, text)
    assert folder.warehouse.current is None


def test_transaction_ids_as_numbers_block_and_ids_that_only_look_like_it_do_not(folder: Folder) -> None:
    head = "transaction_id,customer_id,occurred_at,amount\n"
    with pytest.raises(GateError, match="values of transaction_id in transactions"):
        folder.load({"transactions.csv": f"{head}5.0,007,2026-11-20,1\n"})
    fine = "".join(f"{x},007,2026-11-20,1\n" for x in ("1e5", "12e3a", "v1.0", "A-1.00", "E+", "10.05", "2E-7"))
    assert failed(folder.load({"transactions.csv": head + fine}).gates) == ()


def test_ids_without_their_leading_zeros_are_told_with_examples(folder: Folder) -> None:
    folder.load()
    warnings = folder.load({"customers.csv": CUSTOMERS.replace("\n007", "\n7").replace("\n008", "\n08")},
                           day=NEXT, now=LATER).warnings  # fmt: skip
    said = [warning for warning in warnings if "lost the zeros" in warning]
    assert len(said) == 2 and "08 (it was 008), 7 (it was 007)" in said[0]
    again = folder.load({"customers.csv": CUSTOMERS + "10,2026-01-01,DE,,\n"}, day=NEXT, now=LATER).warnings
    assert not any("lost the zeros" in warning for warning in again)


def test_text_without_the_mark_of_utf8_is_read_and_other_bytes_are_emptied(folder: Folder) -> None:
    content = parquet(
        customer_id=[b"1", b"2", b"\xff3"],
        registered_at=["2026-01-01"] * 3,
        city=["Köln".encode(), b"K\xf6ln", None],
    )
    report = only(folder, content, name="customers.parquet").table("customers")
    assert (report.loaded, report.quarantined, report.emptied) == (2, 1, {"city": 1})
    assert [row["city"] for row in customers(folder).values()] == ["Köln", None]
    assert any("bytes that are no UTF-8" in reason for reason in folder.warehouse.quarantine(DAY)["reason"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.234\n2.500\n999\n12.000\n", "1.234, 2.500, 12.000"),
        ("1.234\n2.5\n999\n", None),
        ("12\n999\n", None),
    ],
)
def test_points_that_may_be_thousands_are_told_with_the_first_values(
    folder: Folder, text: str, told: str | None
) -> None:
    rows = "".join(f"t{i};007;2026-11-20;{amount}\n" for i, amount in enumerate(text.split()))
    warnings = folder.load({"transactions.csv": f"transaction_id;customer_id;occurred_at;amount\n{rows}"}).warnings
    said = [w for w in warnings if "three digits" in w]
    assert (len(said) == 1 and told in said[0]) if told else not said


def test_points_in_a_file_with_commas_are_decimals(folder: Folder) -> None:
    rows = "t1,007,2026-11-20,1.234\n"
    report = folder.load({"transactions.csv": f"transaction_id,customer_id,occurred_at,amount\n{rows}"})
    assert not any("three digits" in warning for warning in report.warnings)
