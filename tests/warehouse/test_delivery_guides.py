"""What IT and analysts read about deliveries: no setting and no column is missing, and each example is what is said."""

from __future__ import annotations

import gzip
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from small_deliveries import DAY, NOW, Folder

from optinb.base.settings import ImportSection
from optinb.base.share import shared
from optinb.errors import DeliveryError
from optinb.warehouse.contract import TABLES
from optinb.warehouse.gates import failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.warehouse.contract import Table

CONTRACT = shared("data/README.md").read_text(encoding="utf-8")
GUIDE = shared("notebooks/guides/deliveries.md").read_text(encoding="utf-8")
LIMITS = ImportSection()
NEXT, LATER = DAY + timedelta(days=1), NOW + timedelta(days=1)
HEADER = "customer_id,registered_at,external_user_id,country,push_opt_in,is_vip"


def customers(numbers: Iterable[int] = range(1, 201), *, header: str = HEADER, **other: object) -> str:
    """Customers of 20 countries of whom a fifth has opted out; `other` replaces a column's value, or tells it."""
    rows = [header]
    for n in numbers:
        row: dict[str, object] = {
            "customer_id": f"{n:03d}",
            "registered_at": "2026-01-05",
            "external_user_id": f"ext-{n}",
            "country": f"C{n % 20}",
            "push_opt_in": "false" if n % 5 == 0 else "true",
            "is_vip": "true" if n % 10 == 0 else "false",
        }
        row |= {name: told(n) if callable(told) else told for name, told in other.items()}
        rows.append(",".join(str(value) for value in row.values() if value is not None))
    return "\n".join(rows) + "\n"


def app_users(numbers: Iterable[int] = range(1, 201)) -> str:
    return "customer_id,app_id\n" + "".join(f"{n:03d},shop-ios\n" for n in numbers)


def transactions(amount: str = "5", *, day: date = DAY) -> str:
    rows = (f"T{day}-{n},{n:03d},{day}T00:10:00Z,{amount}\n" for n in range(1, 61))
    return "transaction_id,customer_id,occurred_at,amount\n" + "".join(rows)


WITHOUT_CONSENT = "customer_id,registered_at,external_user_id,country,is_vip"
CASES: Mapping[str, dict[str, str | bytes | None]] = {
    "required": {"app_users.csv": None},
    "readable": {
        "customers.csv": None,
        "customers.csv.gz": gzip.compress("".join(map(str, range(100_000))).encode())[:9_000],
    },
    "settled": {"transactions.csv": None, "transactions.csv.part": transactions(day=NEXT)},
    "rejects": {"transactions.csv": transactions("12 EUR", day=NEXT)},
    "emptied": {"customers.csv": customers(header=f"{HEADER},birth_date", birth_date="31.05.1990")},
    "shrink": {"customers.csv": customers(range(1, 101)), "app_users.csv": app_users(range(1, 101))},
    "growth": {"customers.csv": customers(range(1, 501))},
    "columns": {
        "customers.csv": None,
        "customers-1.csv": customers(range(1, 101)),
        "customers-2.csv": customers(range(101, 201), header=WITHOUT_CONSENT, push_opt_in=None),
    },
    "drift of consent": {"customers.csv": customers(push_opt_in="true")},
    "drift of empty values": {"customers.csv": customers(country=lambda n: "" if n % 2 else f"C{n % 20}")},
    "drift of an attribute": {"customers.csv": customers(is_vip="true")},
    "drift of different values": {"customers.csv": customers(country=lambda n: f"C{n % 2}")},
    "drift of a median": {"transactions.csv": transactions("500", day=NEXT)},
    "ids": {"customers.csv": customers(customer_id=lambda n: f"{n + 1000}.0")},
    "merged_ids": {"customer_ids.csv": "old,new\n" + "".join(f"{n:03d},001\n" for n in range(2, 80))},
}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A workspace with one delivery, whose gates are those that a new one has."""
    folder = Folder(tmp_path_factory.mktemp("known"))
    folder.configure(
        max_reject_share=LIMITS.max_reject_share,
        max_emptied_share=LIMITS.max_emptied_share,
        max_shrink=LIMITS.max_shrink,
        max_growth=LIMITS.max_growth,
        settle_seconds=0.2,
    )
    folder.load(written({"transactions.csv": transactions()}))
    return folder


def written(files: Mapping[str, str | bytes | None]) -> dict[str, str | bytes]:
    """A whole delivery, but for files that are None."""
    usual = {"customers.csv": customers(), "app_users.csv": app_users(), "transactions.csv": transactions(day=NEXT)}
    return {name: text for name, text in {**usual, **files}.items() if text is not None}


def said(text: str) -> str:
    """A text in one line, however it is broken into lines."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("what", CASES)
def test_each_example_of_a_refusal_is_what_a_delivery_is_refused_with(known: Folder, what: str) -> None:
    folder = known.deliver(written(CASES[what]), day=NEXT, base=False)
    try:
        report, _ = known.warehouse.check(folder, run_date=NEXT, now=LATER, watched={"is_vip"})
    finally:
        for path in folder.iterdir():
            path.unlink()
    bad = [gate for gate in failed(report.gates) if gate.name == what.split()[0]]
    bad = [gate for gate in bad if gate.name != "shrink" or gate.table == "customers"]
    examples = said(CONTRACT).replace("(waited 20 s; settle_seconds = 20)", "(waited 0.2 s; settle_seconds = 0.2)")
    assert bad
    for gate in bad:
        text = gate.message.removesuffix(": have the delivery corrected, or accept it with a reason")
        assert said(text) in examples
        assert gate.setting in CONTRACT


def test_the_first_delivery_with_a_header_that_is_nearly_a_column_is_refused_as_the_example_says(
    folder: Folder,
) -> None:
    delivery = folder.deliver(
        written({"customers.csv": customers(header=HEADER.replace("external_user_id", "external_id"))}), base=False
    )
    report, _ = folder.warehouse.check(delivery, run_date=DAY, now=LATER)
    (gate,) = failed(report.gates)
    assert said(gate.message) in said(CONTRACT)


def test_a_delivery_that_is_older_is_refused_as_the_example_says(folder: Folder) -> None:
    last, older = date(2026, 11, 22), date(2026, 11, 20)
    folder.load(written({"transactions.csv": None}), base=False, day=last)
    with pytest.raises(DeliveryError) as refused:
        folder.load(written({"transactions.csv": None}), base=False, day=older)
    assert said(str(refused.value)) in said(CONTRACT)


def test_every_setting_of_imports_is_in_the_page_for_it_or_in_the_guide() -> None:
    named = set(re.findall(r"`(?:\[import\.)?(\w+)\]?`", CONTRACT + GUIDE))
    assert set(LIMITS.__struct_fields__) - named == set()


def test_the_guide_names_every_default_of_a_limit() -> None:
    for row in (line.split("|") for line in GUIDE.splitlines() if line.startswith("| `")):
        defaults = row[2].strip().split(", ")
        for number, name in enumerate(re.findall(r"`(max_\w+|settle_seconds|future_tolerance_minutes)`", row[1])):
            assert float(defaults[min(number, len(defaults) - 1)]) == float(getattr(LIMITS, name)), name


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_column_of_the_contract_is_in_the_section_of_its_table(table: Table) -> None:
    section = CONTRACT.partition(f"\n### {table.name}")[2].partition("\n##")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    named = {name.strip(" *"): "**" in name for cell in cells for name in cell.split(",")}
    for column in table.columns:
        assert named.get(column.name) is column.required, column.name
