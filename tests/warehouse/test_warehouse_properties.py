"""Arbitrary tables and arbitrary bytes: no crash, and read = loaded + quarantined for every file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_deliveries import CUSTOMERS, DAY, NOW, Folder

from optinb.errors import GateError

BUDGET = settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck))
COLUMNS = ["transaction_id", "customer_id", "occurred_at", "amount", "product"]
PLAIN = st.sampled_from(["", "007", "t1", "2026-11-20", "2026-02-30", "1.5", "1.234,56", "NaN", "x", " ", "nul\x00l"])
CELL = PLAIN | st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)
RECORDS = st.lists(st.lists(CELL, min_size=5, max_size=5), max_size=6)


def imported(name: str, content: bytes) -> int | None:
    """Rows that were read of a file, or None if the delivery was refused; the promise is held against both."""
    with tempfile.TemporaryDirectory() as root:
        folder = Folder(Path(root))
        folder.configure(required=())
        folder.deliver({"customers.csv": CUSTOMERS, name: content}, base=False)
        try:
            report = folder.warehouse.import_delivery(DAY, now=NOW)
        except GateError:
            assert folder.warehouse.current is None
            return None
        for table in report.tables:
            assert table.read == table.loaded + table.quarantined == table.loaded + sum(table.reasons.values())
        emptied = sum(sum(table.emptied.values()) for table in report.tables)
        kept = folder.warehouse.quarantine(DAY)
        assert kept["column"].null_count() == sum(table.quarantined for table in report.tables)
        assert kept.height == kept["column"].null_count() + emptied
        with folder.warehouse.open() as snapshot:
            assert snapshot.scan("transactions").collect().height == report.table("transactions").loaded
            assert snapshot.table("customers").collect().height == report.table("customers").loaded
        return report.table("transactions").read


@BUDGET
@given(RECORDS, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_every_record_of_any_csv_is_counted(records: list[list[str]], delimiter: str, newline: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([COLUMNS, *records])
    assert imported("transactions.csv", out.getvalue().encode()) == len(records)


@BUDGET
@given(RECORDS.filter(bool))
def test_every_object_of_any_ndjson_is_counted(records: list[list[str]]) -> None:
    lines = [json.dumps(dict(zip(COLUMNS, record, strict=True))) for record in records]
    assert imported("transactions.ndjson", "\n".join(lines).encode()) == len(records)


@BUDGET
@given(RECORDS)
def test_every_row_of_any_parquet_file_is_counted(records: list[list[str]]) -> None:
    out = io.BytesIO()
    pl.DataFrame(records, schema=dict.fromkeys(COLUMNS, pl.String()), orient="row").write_parquet(out)
    assert imported("transactions.parquet", out.getvalue()) == len(records)


@BUDGET
@given(st.sampled_from(["csv", "ndjson", "parquet", "csv.gz"]), st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_never_crash_an_import(form: str, content: bytes, headed: bool) -> None:
    header = b"transaction_id,customer_id,occurred_at,amount\n" if headed else b""
    imported(f"transactions.{form}", header + content)
    imported(f"customers-2.{form}", b"customer_id,registered_at,x\n" + content)
