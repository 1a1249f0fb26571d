"""One column of a file that a person made, by whatever tool."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import ZipFile

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.warehouse.delimited import delimiter_of, differs_in_kind, header_of, plain_cell, plain_name
from optinb.warehouse.limits import UnreadableError
from optinb.warehouse.tabular import Wanted, read_column, without_header

if TYPE_CHECKING:
    from pathlib import Path

IDS = ["007", "a-1", "Ä 2"]


def wanted(**fields: object) -> Wanted:
    return Wanted(what="customer ids", name="customer_id", names=frozenset({"customerid"}), **fields)  # type: ignore[arg-type]


def read(path: Path, content: str | bytes, **fields: object) -> list[tuple[int, str]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    asked = wanted(**fields)
    column = without_header(read_column(path, asked), asked)
    return list(zip(column.lines, column.cells, strict=True))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["customer_id", " Customer ID ", '"CUSTOMER-ID"', "customerId"])
def test_spreadsheets_of_all_kinds_give_the_same_ids(
    tmp_path: Path, head: str, delimiter: str, bom: str, end: str
) -> None:
    others = delimiter.join(["Name", "", head, "Note"])
    lines = [others, *(delimiter.join(["x", "", f' "{i}" ', '"a;b,c\td"']) for i in IDS[:2]), "", delimiter * 3]
    assert read(tmp_path / "a.csv", bom + end.join(lines) + end) == [(2, "007"), (3, "a-1")]
    assert read(tmp_path / "b.txt", bom + end.join([head, *IDS[:2], "", ""])) == [(2, "007"), (3, "a-1")]
    assert read(tmp_path / "c.csv", bom + end.join(i + delimiter * 2 for i in IDS)) == [*enumerate(IDS, start=1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_long_list_is_read_to_its_end(tmp_path: Path, end: str) -> None:
    ids = [f"{n:07}" for n in range(90_000)]
    cells = read(tmp_path / "a.csv", "customer_id;n" + end + "".join(f'{i};"a{end}b"{end}' for i in ids))
    assert [cell for _, cell in cells] == ids
    assert [cell for _, cell in read(tmp_path / "a.txt", end.join(ids))] == ids


def test_tables_and_compressed_files_give_the_same_ids(tmp_path: Path) -> None:
    pl.DataFrame({"x": [1, 2, 3], "Customer_ID": IDS}).write_parquet(tmp_path / "a.parquet")
    lines = "".join(json.dumps({"customer_id": i, "x": None}) + "\n" for i in IDS)
    packed = gzip.compress(("sep=;\nx;customer_id\n" + "".join(f"1;{i}\n" for i in IDS)).encode())
    found = [
        read(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes()),
        read(tmp_path / "b.jsonl", lines),
        read(tmp_path / "c.csv.gz", packed),
        read(tmp_path / "d.csv", ("\n".join(f'="{i}"' for i in IDS)), header=False),
    ]
    assert [[cell for _, cell in cells] for cells in found] == [IDS] * 4
    assert found[2][0][0] == 3


def test_whole_floats_of_a_table_are_the_numbers_and_those_that_lost_digits_are_not(tmp_path: Path) -> None:
    pl.DataFrame({"customer_id": [1002.0, None, 1e15, 1e17]}).write_parquet(tmp_path / "a.parquet")
    cells = read(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert cells[0] == (1, "1002") and cells[1][0] == 3
    assert not cells[2][1].isdecimal()


def zipped(name: str) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        archive.writestr(name, "customer_id\n1\n")
    return stream.getvalue()


def test_lines_of_json_are_objects_whatever_the_name_of_their_file_is(tmp_path: Path) -> None:
    lines = "".join(f'{{"customer_id": "{i}", "n": 1}}\n' for i in IDS)
    found = [read(tmp_path / name, lines) for name in ("a.txt", "b.csv", "c")]
    assert [[cell for _, cell in cells] for cells in found] == [IDS] * 3
    assert [cell for _, cell in read(tmp_path / "d.txt", "{x}\n[y]\n", header=False)] == ["{x}", "[y]"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "customer_id\n1\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        ("a.csv", "customer_id\n1\n".encode("utf-16-be"), "save it as UTF-8"),
        ("a.txt", "customer_id\nGr\xfc\xdfe\n".encode("latin-1"), "line 2 isn't UTF-8; save the file as UTF-8"),
        ("a.xlsx", b"anything", "it is a spreadsheet, not a text; open it and save it as .CSV UTF-8."),
        ("a.csv", b"PK\x03\x04anything", "it is a spreadsheet, not a text"),
        ("a.csv.gz", b"no gzip", "no valid gzip"),
        ("a.zip", zipped("users.txt"), "it is a zip archive; unpack it and give the file in it"),
        ("a.csv", zipped("users.txt"), "it is a zip archive; unpack it"),
        ("a.csv", zipped("[Content_Types].xml"), "it is a spreadsheet, not a text"),
        ("a.json", '[{"customer_id": "1"}]', r"jq -c '\.\[\]' a.json > list.ndjson does, and give list.ndjson"),
        ("a.txt", '[\n  {"customer_id": "1"}\n]\n', r"as jq -c '\.\[\]' a.txt >"),
        ("a.json", '["1", "2"]', r"jq -r '\.\[\]' a.json > list.txt"),
        ("a.json", '{"users": [{"customer_id": "1"}]}', r"jq -c '\.users\[\]' a.json >"),
        ("a.json", '{\n "customer_id": "1"\n}\n', "jq -c . a.json >"),
        ("a.csv", gzip.compress(b"1\n", mtime=0), "add .gz to its name"),
        ("a.csv", "1;a\n2;b\n", r"line 1, 2 has several columns \('1', 'a'\), and none is named 'customer_id'"),
        ("a.csv", "id;Name\n2;b\n", r"choose by name or number: column='2' \(--column 2\)"),
        ("a.csv", "customer_id,Customer ID\n1,2\n", "more than one could be 'customer_id'"),
        ("a.csv", "1\n2\n3,x\n", "line 1, 2, 3 has several columns|line 3 has several columns"),
        ("a.csv", "customer_id,n\n1,a,b\n2,c\n", "line 2 has several columns, more than the 2 of the first line"),
        (
            "a.csv",
            "Kunde\n001\n002\n",
            r"its first line \('Kunde'\) may be a header or one of the customer ids, and it",
        ),
        (
            "a.csv",
            "customer_id\n1\ncustomer_id\n2\n",
            "line 3 names the column; delete what is none of the customer ids",
        ),
        ("a.jsonl", '{"customer_id": "1"}\n[]\n', "1 of its lines can't be read"),
        ("a.jsonl", '{"id": "1"}\n', r"no column 'customer_id' \(it has 'id'\).*column='id' \(--column id\)"),
        ("a.txt", "1\ncustomer_id\n2\n", "line 2 names the column"),
        ("a.txt", "x" * 200_000, "can't be taken apart"),
        ("a.txt", "1\n" * 200_000 + "x," * 300_000, "it has a line of more than 262,144 characters"),
    ],
)
def test_what_a_person_has_to_mend_or_say_is_told(
    tmp_path: Path, name: str, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(UnreadableError, match=complaint) as caught:
        read(tmp_path / name, content)
    assert "codec" not in str(caught.value)


def test_a_person_may_choose_column_and_header(tmp_path: Path) -> None:
    path, table = tmp_path / "a.csv", "Nr;Kunde\n1;007\n2;008\n"
    chosen = [(2, "007"), (3, "008")]
    assert read(path, table, column="kunde") == chosen
    assert read(path, table, column="2", header=True) == chosen
    assert read(path, table, column="2", header=False) == [(1, "Kunde"), *chosen]
    assert read(path, "Kunde\n007\n", header=True) == [(2, "007")]
    assert read(path, "Kunde\n007\n", header=False) == [(1, "Kunde"), (2, "007")]
    assert read(path, "customer_id\n007\ncustomer_id\n", header=False)[0] == (1, "customer_id")
    assert read(path, "nobody\n007\n008\n", known=lambda cell: cell == "nobody")[0] == (1, "nobody")
    with pytest.raises(UnreadableError, match="may be a header"):
        read(path, table, column="2")
    with pytest.raises(UnreadableError, match=r"it has no column 'Konto' \(it begins with 'Nr', 'Kunde'\); name one"):
        read(path, table, column="Konto")
    with pytest.raises(UnreadableError, match="1 to 2"):
        read(path, table, column="3")
    with pytest.raises(UnreadableError, match="has 'Nr' more than once; choose it by its number"):
        read(path, "Nr;Nr\n1;2\n", column="Nr")


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("Aktion", ["AB-1", "CD-2"]),
        ("GUTSCHEINE", ["ABCDEF", "GHIJKL"]),
        ("Sommer", ["ABCDEF", "GHIJKL"]),
        ("AKTION", ["SUM-AB", "SUM-CD"]),
        ("AKTION", ["SUMABC", "SUMDEF"]),
        ("Nr", ["1234", "99"]),
        ("My codes", ["mycodes", "others"]),
        ("CODE2026", ["ABCD1234", "EFGH5678"]),
        ("ACTIONS", ["ab", "cdf", "ghik"]),
        ("AVERYLONGWORDINDEED", ["AB", "CDF", "GHIK"]),
    ],
)
def test_a_first_line_unlike_all_others_differs_in_kind(first: str, others: list[str]) -> None:
    assert differs_in_kind(first, others)


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("999", ["1000", "1001"]),
        ("AB-99", ["AB-100", "AB-101"]),
        ("SOMMER", ["WINTER", "HERBST"]),
        ("SALE", ["SUMMER", "NEW"]),
        ("SAVE10", ["WELCOME5", "X7"]),
        ("001", ["a", "b"]),
        ("alone", []),
    ],
)
def test_a_first_line_like_the_others_does_not(first: str, others: list[str]) -> None:
    assert not differs_in_kind(first, others)


@given(st.lists(st.from_regex(r"[A-Z]{2}[0-9]{2,6}", fullmatch=True), min_size=2, max_size=30))
def test_codes_built_alike_are_never_asked_about(codes: list[str]) -> None:
    assert not differs_in_kind(codes[0], codes[1:])


@given(
    st.sampled_from(["Aktion", "promo_code", "Code ID", "GUTSCHEINCODE", "Voucher", "my.coupon"]),
    st.lists(st.from_regex(r"[A-Z0-9]{4}-[0-9]{4}", fullmatch=True), min_size=1, max_size=30),
)
def test_a_word_before_codes_with_digits_is_always_asked_about(head: str, codes: list[str]) -> None:
    assert differs_in_kind(head, codes)


def test_names_and_cells_lose_what_tools_put_around_them() -> None:
    assert {plain_name(name) for name in ("Customer ID", "customer_id", " CUSTOMER-ID", "customerId")} == {"customerid"}
    assert [plain_cell(cell) for cell in (' ="007" ', '"a"', "b ", '"', '=""', "=1")] == [
        "007",
        "a",
        "b",
        '"',
        '=""',
        "=1",
    ]


def test_the_delimiter_is_the_one_that_finds_the_names_or_else_most_columns() -> None:
    assert header_of("a,b;customer_id\n", known={"customer_id"}, like=str.lower) == (";", ("a,b", "customer_id"))
    assert header_of("a,b\n", known={"customer_id"}, like=str.lower)[0] == ","
    assert delimiter_of("1,5;x\n2,5;y\n", known={"id"}, like=str) == ";"
    assert delimiter_of("1,5\tx;\n2\ty\n", known={"id"}, like=str) == "\t"
    assert delimiter_of("id\n1;2\n", known={"id"}, like=str) == ";"
