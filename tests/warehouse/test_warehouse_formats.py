"""Every format of the contract, and every way in which a file can be broken, has its own clear outcome."""

# Stored times are UTC without a zone.
# ruff: noqa: DTZ001

from __future__ import annotations

import gzip
import io
import random
import time
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import CUSTOMERS, DAY, NOW

from optinb.errors import DeliveryError, GateError

if TYPE_CHECKING:
    from small_deliveries import Folder

HEADER = "customer_id,registered_at,note\n"


@pytest.fixture
def customers_only(folder: Folder) -> Folder:
    folder.configure(required=("customers",))
    return folder


def notes(folder: Folder) -> dict[str, str | None]:
    with folder.warehouse.open() as snapshot:
        return dict(snapshot.table("customers").select("customer_id", "note").collect().iter_rows())


def rejects(folder: Folder) -> list[tuple[int | None, str]]:
    return folder.warehouse.quarantine(DAY).select("line", "raw").rows()


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("customers.csv", b"customer_id,registered_at,note\n007,2026-01-01,hi\n"),
        ("customers.csv", b"\xef\xbb\xbfCustomer_ID;REGISTERED_AT; Note \r\n007;2026-01-01;hi\r\n"),
        ("Customers.TSV", b"customer_id\tregistered_at\tnote\n007\t2026-01-01\thi"),
        ("customers.csv", b'\n\n"customer_id","registered_at","note"\n\n"007","2026-01-01","hi"\n\n'),
        ("customers.csv", b"customer_id,registered_at,note\r\n007,2026-01-01,hi\n"),
        ("customers.csv", b"customer_id,registered_at,note\r007,2026-01-01,hi\r"),
        ("customers.csv.gz", gzip.compress(b"customer_id,registered_at,note\n007,2026-01-01,hi\n", mtime=0)),
        ("customers.ndjson", b'{"customer_id":"007","registered_at":"2026-01-01","Note":"hi"}'),
        ("customers.jsonl", b'\xef\xbb\xbf{"customer_id":"007","registered_at":"2026-01-01","note":"hi"}\r\n\r\n'),
        (
            "customers.ndjson.gz",
            gzip.compress(b'{"customer_id":"007","registered_at":"2026-01-01","note":"hi"}', mtime=0),
        ),
        (
            "customers-1.parquet",
            parquet(pl.DataFrame({"customer_id": ["007"], "Registered_At": [datetime(2026, 1, 1)], "note": ["hi"]})),
        ),
    ],
)
def test_every_format_gives_the_same_rows(customers_only: Folder, name: str, content: bytes) -> None:
    customers_only.load({name: content}, base=False)
    assert notes(customers_only) == {"007": "hi"}
    with customers_only.warehouse.open() as snapshot:
        assert snapshot.table("customers").collect()["registered_at"].to_list() == [datetime(2025, 12, 31, 23)]


def test_parts_of_one_table_may_differ_in_format_and_columns(customers_only: Folder) -> None:
    frame = pl.DataFrame({"customer_id": ["2"], "registered_at": ["2026-01-01"], "zip": ["01234"]})
    parts = {"customers-1.csv": HEADER + "1,2026-01-01,a\n", "customers-2.parquet": parquet(frame)}
    report = customers_only.load(parts, base=False)
    assert report.table("customers").loaded == 2
    with customers_only.warehouse.open() as snapshot:
        rows = snapshot.table("customers").sort("customer_id").select("note", "zip").collect().rows()
    assert rows == [("a", None), (None, "01234")]


def test_rejects_keep_their_line_and_raw_text_across_quoted_newlines(customers_only: Folder) -> None:
    text = HEADER + '1,2026-01-01,"a\nb"\n2,soon,"c\n""d"""\n\n3,2026-01-01\n4,soon,\n'
    report = customers_only.load({"customers.csv": text}, base=False)
    assert (report.table("customers").read, report.table("customers").loaded) == (4, 1)
    assert sorted(rejects(customers_only)) == [(4, '2,soon,"c\n""d"""'), (7, "3,2026-01-01"), (8, "4,soon,")]


def test_lines_are_found_again_after_stray_quotation_marks(customers_only: Folder) -> None:
    text = HEADER + '1,2026-01-01,5" nail\n2,soon,"x\ny"\n3,2026-01-01,"k"z\n4,soon,u\n'
    customers_only.load({"customers.csv": text}, base=False)
    assert sorted(rejects(customers_only)) == [(3, '2,soon,"x\ny"'), (5, '3,2026-01-01,"k"z'), (6, "4,soon,u")]


def test_rejects_of_a_parquet_file_keep_their_row_number(customers_only: Folder) -> None:
    frame = pl.DataFrame({"customer_id": ["1", None, "1"], "registered_at": ["2026-01-01"] * 3})
    customers_only.load({"customers.parquet": parquet(frame)}, base=False)
    assert [line for line, _ in rejects(customers_only)] == [2, 3]


def test_lines_that_are_no_json_object_are_rejects_of_their_own(customers_only: Folder) -> None:
    good = '{"customer_id":1,"registered_at":"2026-01-01","note":{"a":[1]}}'
    text = f'{good}\n\nnope\n[1]\n{{"customer_id":"2"}}\n{{"customer_id":"3","regis'
    report = customers_only.load({"customers.ndjson": text}, base=False)
    assert (report.table("customers").read, report.table("customers").loaded) == (5, 1)
    assert notes(customers_only) == {"1": '{"a":[1]}'}
    assert [line for line, _ in rejects(customers_only)] == [3, 4, 5, 6]


def test_names_of_json_objects_may_be_written_in_any_case(customers_only: Folder) -> None:
    lines = [
        '{"Customer_ID":"1","REGISTERED_AT":"2026-01-01","Note":"a"}',
        '{"customer_id":"2","registered_at":"2026-01-01","note":"b"}',
        '{"customer_id":"3","registered_at":"2026-01-01","note":"b","NOTE":"c"}',
    ]
    report = customers_only.load({"customers.ndjson": "\n".join(lines)}, base=False)
    assert notes(customers_only) == {"1": "a", "2": "b"} and rejects(customers_only) == [(3, lines[2])]
    assert "one name in two spellings" in next(iter(report.table("customers").reasons))


def test_hundreds_of_columns_take_seconds(customers_only: Folder) -> None:
    names = [f"c{i}" for i in range(300)]
    head = ",".join(["customer_id", "registered_at", *names])
    rows = "".join(",".join([str(i), "2026-01-01", *(str(j) for j in range(300))]) + "\n" for i in range(20))
    began = time.process_time()
    customers_only.load({"customers.csv": f"{head}\n{rows}"}, base=False)
    # Where the time grows with the square of their number, 300 take over a quarter of a minute.
    assert time.process_time() - began < 10


def test_a_line_in_another_encoding_is_a_reject_and_the_others_are_loaded(customers_only: Folder) -> None:
    text = (HEADER + "1,2026-01-01,Müller\n2,2026-01-01,ok\n").encode("latin-1")
    report = customers_only.load({"customers.csv": text}, base=False)
    assert notes(customers_only) == {"2": "ok"}
    assert list(report.table("customers").reasons) == ["the line is not UTF-8: save the file as UTF-8"]


NOISE = random.Random(0).randbytes(2_000).hex()
ROWS = "".join(f"{i},2026-01-01,{NOISE[8 * i : 8 * i + 8]}\n" for i in range(500))
CUT = gzip.compress((HEADER + ROWS).encode(), mtime=0)[:-900]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("customers.csv", b"", "is empty"),
        ("customers.csv", HEADER.encode("utf-16"), "is UTF-16"),
        ("customers.csv", HEADER.encode("utf-16-le"), "isn't UTF-8 text"),
        ("customers.csv", HEADER.encode("utf-32"), "is UTF-32"),
        ("customers.ndjson", '{"customer_id":"1"}'.encode("utf-16-be"), "isn't UTF-8 text"),
        ("customers.csv.gz", gzip.compress(HEADER.encode("utf-16"), mtime=0), "is UTF-16"),
        ("customers.csv", HEADER.replace("note", "n" * 300).encode(), "has a name that is none"),
        ("customers.csv", HEADER.replace("note", "no\0te").encode(), "has a name that is none"),
        ("customers.csv", (HEADER[:-1] + ",c".join(map(str, range(1001)))).encode(), "1,000 columns"),
        (
            "customers.ndjson",
            "\n".join(f'{{"customer_id":"{i}","registered_at":"2026-01-01","k{i}":1}}' for i in range(1001)).encode(),
            "1,000 columns",
        ),
        (
            "customers.parquet",
            parquet(pl.DataFrame({"customer_id": ["1"], "registered_at": ["2026-01-01"], "a": [{"x": 1}], "A": [1]})),
            "'a' more than once",
        ),
        ("customers.csv", "customer_id,registered_at,größe\n".encode("latin-1"), "header is not UTF-8"),
        ("customers.csv", gzip.compress(b"x", mtime=0), "add .gz to its name"),
        ("customers.csv.gz", CUT, "its gzip ends too early"),
        ("customers.csv.gz", b"hello", "no valid gzip"),
        ("customers.csv", b"id,registered_at\n1,2026-01-01\n", "no column 'customer_id'"),
        ("customers.csv", b"customer_id,Customer_ID,registered_at\n", "'customer_id' more than once"),
        ("customers.csv", b"\n\n", "no header"),
        ("customers.parquet", b"PAR1 and no more PAR1", "no whole parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_blocks_the_delivery_and_says_why(
    customers_only: Folder, name: str, content: bytes, why: str
) -> None:
    with pytest.raises(GateError, match=why) as caught:
        customers_only.load({name: content}, base=False)
    assert str(customers_only.root) not in str(caught.value)
    assert customers_only.warehouse.current is None


def test_a_file_with_only_a_header_is_read_and_warned_about(folder: Folder) -> None:
    report = folder.load({"events.csv": "customer_id,occurred_at,name"})
    assert report.table("events").read == 0 and "events has a header and no row" in report.warnings


def test_files_that_the_contract_does_not_know_are_named_and_ignored(folder: Folder) -> None:
    report = folder.load({"orders.csv": "x", "customers_old.csv": "y", ".hidden": "z"})
    assert [warning.split(" ")[0] for warning in report.warnings] == ["customers_old.csv", "orders.csv"]
    assert report.table("customers").loaded == 3


def test_columns_that_the_contract_does_not_know_are_ignored_beside_customers(folder: Folder) -> None:
    report = folder.load({"events.csv": "customer_id,occurred_at,name,shoe\n007,2026-11-22,open,1\n"})
    assert report.table("events").loaded == 1 and any("'shoe'" in warning for warning in report.warnings)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_out_of_the_inbox_is_refused(folder: Folder, target: str) -> None:
    outside = folder.root / "outside"
    outside.mkdir()
    (outside / "customers.csv").write_text(CUSTOMERS)
    inbox = folder.root / "inbox"
    inbox.mkdir()
    if target == "folder":
        (inbox / DAY.isoformat()).symlink_to(outside)
    else:
        folder.deliver({})
        (inbox / DAY.isoformat() / "customers.csv").unlink()
        (inbox / DAY.isoformat() / "customers.csv").symlink_to(outside / "customers.csv")
    with pytest.raises(DeliveryError, match="outside the inbox"):
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert folder.warehouse.current is None


def test_names_and_values_are_only_ever_names_and_values(tmp_path) -> None:
    from small_deliveries import Folder

    root = tmp_path / "it's [a] *folder*; DROP TABLE x"
    root.mkdir()
    folder = Folder(root)
    nasty = """customer_id,registered_at,"a""b'; --",${HOME}\n'; DROP TABLE meta; --,2026-01-01,../../etc,1\n"""
    folder.configure(required=("customers",))
    folder.load({"customers.csv": nasty}, base=False)
    with folder.warehouse.open() as snapshot:
        row = snapshot.table("customers").collect().row(0, named=True)
    assert row["customer_id"] == "'; DROP TABLE meta; --" and row["a\"b'; --"] == "../../etc" and row["${home}"] == 1


def test_a_date_without_a_folder_is_a_gate_that_says_what_is_missing(folder: Folder) -> None:
    with pytest.raises(
        GateError, match=f"there is no folder inbox/{DAY}, nothing is published; put the delivery there"
    ):
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert not (folder.root / "quarantine").exists()
    folder.deliver({}, base=False)
    with pytest.raises(GateError, match="customers is missing"):
        folder.warehouse.import_delivery(DAY, now=NOW)
    with pytest.raises(DeliveryError, match="has no files"):
        folder.configure(required=()).import_delivery(DAY, now=NOW)
    folder.deliver({"customers.csv": ""}, base=False)
    with pytest.raises(GateError, match="it is empty"):
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert not (folder.root / "quarantine" / DAY.isoformat()).exists()


def test_what_is_refused_of_a_blocked_delivery_stays_when_nothing_of_the_next_can_be_read(folder: Folder) -> None:
    with pytest.raises(GateError, match="app_users is missing"):
        folder.load({"customers.csv": "customer_id,registered_at\n1,never\n"}, base=False)
    assert folder.warehouse.quarantine(DAY).height == 1
    folder.deliver({"customers.csv": ""}, base=False)
    with pytest.raises(GateError, match="it is empty"):
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert folder.warehouse.quarantine(DAY).height == 1
