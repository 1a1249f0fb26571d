"""Tables that come from SQL queries: what is written where, when, and what a failure leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from sources_desk import DAY, NOW, settings

from optinb.base.settings import SourceSection, parse_settings
from optinb.errors import GateError, SettingsError
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

# Not a conftest.py: several folders of tests import from theirs by that name.
pytest_plugins = ["sources_fixtures"]
NEXT = DAY + timedelta(days=1)
CRM = SourceSection(
    table="customers",
    name="crm",
    address="env:SHOP_DB",
    query="SELECT id AS customer_id, since AS registered_at, land AS Country, vip FROM crm ORDER BY id",
)
ORDERS = SourceSection(
    table="transactions",
    name="shop",
    address="env:SHOP_DB",
    query="SELECT no AS transaction_id, who AS customer_id, at AS occurred_at, total AS amount FROM orders "
    "WHERE at >= :since AND at < :run_date ORDER BY no",
)


def changed(source: SourceSection, **fields: Any) -> SourceSection:
    return msgspec.structs.replace(source, **fields)


def files(tmp_path: Path, day: Any = DAY) -> list[str]:
    return sorted(path.name for path in (tmp_path / "ws" / "inbox" / f"{day}").glob("*"))


def test_an_import_fetches_its_sources_and_checks_their_rows_like_any_delivery(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    house = warehouse(CRM, ORDERS)
    assert house.has_delivery(DAY)
    report = house.import_delivery(DAY, now=NOW)
    assert files(tmp_path) == ["customers-crm.parquet", "transactions-shop.parquet"]
    assert [(t.table, t.read, t.loaded) for t in report.tables] == [("customers", 3, 2), ("transactions", 2, 2)]
    (refused,) = house.quarantine(DAY).rows(named=True)
    assert refused["file"] == "customers-crm.parquet" and refused["line"] == 2
    assert "008" in refused["raw"] and "registered_at isn't a time" in refused["reason"]
    with house.open() as snapshot:
        customers = snapshot.table("customers").sort("customer_id").collect()
        assert customers.select("customer_id", "country", "vip").rows() == [("007", "DE", 1), ("009", None, 0)]
        assert customers["registered_at"].dt.to_string("iso:strict").to_list() == [
            "2026-01-05T08:30:00.000000",
            "2026-02-28T23:00:00.000000",
        ]
    assert house.import_delivery(DAY, now=NOW).unchanged


def test_since_is_the_delivery_before_so_that_a_missed_night_is_caught_up(shop: sa.Engine, warehouse: Any) -> None:
    house = warehouse(CRM, ORDERS)
    house.import_delivery(DAY, now=NOW)
    with shop.begin() as con:
        con.exec_driver_sql(
            "INSERT INTO orders VALUES ('t3', '007', '2026-11-24 10:00:00', 1), ('t4', '007', '2026-11-22', 2)"
        )
    later = DAY + timedelta(days=3)
    report = house.import_delivery(later, now=NOW + timedelta(days=3))
    # t2 fell on the day before the first delivery, t4 was entered late: the query asked for neither.
    assert report.table("transactions").read == 1
    with house.open() as snapshot:
        assert sorted(snapshot.scan("transactions").collect()["transaction_id"]) == ["t1", "t2", "t3"]


def test_a_file_delivered_by_hand_takes_the_place_of_its_source(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "ws" / "inbox" / f"{DAY}"
    folder.mkdir(parents=True)
    (folder / "customers.csv").write_text("customer_id,registered_at\n007,2026-01-01\n009,2026-01-01\n1,2026-01-01\n")
    report = warehouse(CRM, ORDERS).import_delivery(DAY, now=NOW)
    assert report.table("customers").read == 3
    assert files(tmp_path) == ["customers.csv", "transactions-shop.parquet"]


def test_two_sources_of_one_table_are_two_parts_and_a_removed_one_is_fetched_again(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    half = [
        changed(CRM, name=name, query=f"{CRM.query[:-12]} WHERE id {op} '008'") for name, op in (("a", "<"), ("b", ">"))
    ]
    house = warehouse(*half)
    assert house.import_delivery(DAY, now=NOW).table("customers").loaded == 2
    (tmp_path / "ws" / "inbox" / f"{DAY}" / "customers-b.parquet").unlink()
    with shop.begin() as con:
        con.exec_driver_sql("INSERT INTO crm VALUES ('010', '2026-01-01', 'IT', 0)")
    again = house.import_delivery(DAY, now=NOW)
    assert not again.unchanged and again.table("customers").loaded == 3


def test_an_older_day_is_not_fetched_from_databases_that_have_moved_on(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    house = warehouse(CRM)
    house.import_delivery(NEXT, now=NOW + timedelta(days=1))
    with pytest.raises(Exception, match="older than the published one"):
        house.import_delivery(DAY, now=NOW + timedelta(days=1))
    assert not (tmp_path / "ws" / "inbox" / f"{DAY}").exists()


def test_many_batches_become_one_whole_file(shop: sa.Engine, warehouse: Any, tmp_path: Path) -> None:
    many = changed(
        CRM,
        batch_rows=7,
        query="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
        "SELECT i AS customer_id, '2026-01-01' AS registered_at FROM n",
    )
    assert warehouse(many).import_delivery(DAY, now=NOW).table("customers").loaded == 1000
    frame = pl.read_parquet(tmp_path / "ws" / "inbox" / f"{DAY}" / "customers-crm.parquet")
    assert set(frame.schema.values()) == {pl.String()} and frame["customer_id"][999] == "1000"


def test_a_query_without_rows_is_a_file_with_a_header_only(shop: sa.Engine, warehouse: Any) -> None:
    report = warehouse(CRM, changed(ORDERS, query=f"{ORDERS.query[:-12]} AND no = 'none'")).import_delivery(
        DAY, now=NOW
    )
    assert report.table("transactions").read == 0 and "transactions has a header and no row" in report.warnings


FAILURES = [
    ({"query": "SELECT 1 FROM nowhere"}, "no such table: nowhere"),
    ({"query": "DELETE FROM crm"}, "not authorized"),
    ({"query": "SELECT x'ff' AS customer_id, '2026-01-01' AS registered_at"}, "'customer_id' holds bytes"),
    ({"query": "SELECT :runn_date AS customer_id"}, "did you mean 'run_date'"),
    ({"address": "env:NOT_SET"}, "set the environment variable NOT_SET"),
    ({"address": "env:NO_ADDRESS"}, "can't be read; write one such as"),
    ({"address": "env:NO_FILE"}, "there is no SQLite file"),
    ({"address": "env:NO_DIALECT"}, "'nosuch' is no database that is known here"),
    ({"address": "env:NO_DRIVER"}, "no driver for oracle"),
    ({"address": "env:NO_SERVER"}, r"from postgresql://me:\*\*\*@127.0.0.1"),
]


@pytest.mark.parametrize(("fields", "complaint"), FAILURES)
def test_a_failing_source_blocks_says_why_and_leaves_nothing_half_done(
    shop: sa.Engine, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Any, complaint: str
) -> None:
    monkeypatch.setenv("NO_ADDRESS", "s3cret at nowhere")
    monkeypatch.setenv("NO_FILE", f"sqlite:///{tmp_path}/none.sqlite")
    monkeypatch.setenv("NO_DIALECT", "nosuch://me:s3cret@host/db")
    monkeypatch.setenv("NO_DRIVER", "oracle://me:s3cret@host/db")
    monkeypatch.setenv("NO_SERVER", "postgresql://me:s3cret@127.0.0.1:1/db")
    house = warehouse(ORDERS, changed(CRM, **fields))
    with pytest.raises(GateError, match=complaint) as caught:
        house.import_delivery(DAY, now=NOW)
    assert str(caught.value).startswith("the source customers-crm") and caught.value.exit_code == 3
    assert "s3cret" not in str(caught.value) and house.current is None
    assert not (tmp_path / "ws" / "inbox" / f"{DAY}").exists()
    with shop.connect() as con:
        assert con.exec_driver_sql("SELECT count(*) FROM crm").scalar() == 3


def test_a_database_that_fails_half_way_leaves_the_delivery_as_it_was(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "ws" / "inbox" / f"{DAY}"
    folder.mkdir(parents=True)
    (folder / "app_users.csv").write_text("customer_id,app_id\n")
    with shop.begin() as con:
        con.exec_driver_sql("INSERT INTO crm SELECT 'x' || value, '2026-01-01', 'DE', 0 FROM json_each('[1,2,3,4]')")
        con.exec_driver_sql("INSERT INTO crm VALUES ('broken', CAST(x'ff' AS TEXT), 'DE', 0)")
    half = changed(CRM, batch_rows=2, query="SELECT id AS customer_id, since AS registered_at FROM crm")
    with pytest.raises(GateError, match=r"customers-crm can't be fetched from sqlite"):
        warehouse(ORDERS, half).import_delivery(DAY, now=NOW)
    assert files(tmp_path) == ["app_users.csv"]


KILLED = """
import sys
from datetime import date, datetime
from pathlib import Path
import msgspec
from optinb.base.settings import Settings
from optinb.warehouse import Warehouse, sources
real = sources._write
def write(*args):
    for n, batch in enumerate(real(*args)):
        yield batch
        if n == 2:
            print("half", flush=True)
            sys.stdin.read()
sources._write = write
house = Warehouse(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Settings))
house.import_delivery(date.fromisoformat(sys.argv[3]), now=datetime.fromisoformat(sys.argv[4]))
"""


def test_a_kill_while_fetching_leaves_no_part_that_an_import_would_read(shop: sa.Engine, tmp_path: Path) -> None:
    with shop.begin() as con:
        con.exec_driver_sql("DELETE FROM crm")
        con.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
            "INSERT INTO crm SELECT i, '2026-01-01', 'DE', 0 FROM n"
        )
    chosen = settings(changed(CRM, batch_rows=10), ORDERS)
    root = tmp_path / "ws"
    arguments = [str(root), msgspec.json.encode(chosen).decode(), str(DAY), NOW.isoformat()]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "half\n"
        process.kill()
    assert files(tmp_path) == [".customers-crm.parquet.unfinished"]
    report = Warehouse(root, chosen).import_delivery(DAY, now=NOW)
    assert report.table("customers").loaded == 100
    assert files(tmp_path) == ["customers-crm.parquet", "transactions-shop.parquet"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('table = "customer"\nquery = "SELECT 1"\naddress = "env:DB"', "write one of"),
        ('table = "customers"\nquery = " "\naddress = "env:DB"', "must not be empty"),
        (
            'table = "customers"\nquery = "SELECT 1"\naddress = "postgresql://me:s3cret@h/db"',
            "must not be in this file",
        ),
        ('table = "customers"\nquery = "SELECT 1"\naddress = "env:DB"\nname = "../x"', "sources"),
        ('table = "customers"\nquery = "SELECT 1"\naddress = "env:DB"\nbatch_rows = 0', "batch_rows"),
        ('table = "events"\nquery = "SELECT 1"', "'address' is missing"),
        (
            "\n[[sources]]\n".join(['table = "events"\nquery = "SELECT 2"\naddress = "env:A"'] * 2),
            "under the same name",
        ),
    ],
)
def test_a_wrong_source_is_refused_on_opening_the_settings(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=r"optinb.toml, line \d+") as caught:
        parse_settings(f"[[sources]]\n{text}\n")
    assert complaint in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "ATTACH '{}' AS other",
        "ATTACH 'file:{}?mode=rwc' AS other",
        "PRAGMA user_version = 7",
        "VACUUM INTO '{}'",
        "INSERT INTO crm VALUES ('010', '2026-01-05', 'DE', 0) RETURNING id AS customer_id",
        "DELETE FROM crm RETURNING id AS customer_id",
        "CREATE TABLE made (id TEXT)",
    ],
)
def test_a_query_on_sqlite_can_only_read(shop: sa.Engine, warehouse: Any, tmp_path: Path, query: str) -> None:
    before = (tmp_path / "shop.sqlite").read_bytes()
    with pytest.raises(GateError, match=r"not authorized|authorization denied"):
        warehouse(changed(CRM, query=query.format(tmp_path / "made.db"))).import_delivery(DAY, now=NOW)
    assert (tmp_path / "shop.sqlite").read_bytes() == before and not list(tmp_path.rglob("made*"))


def test_a_column_that_a_query_no_longer_names_blocks_like_one_that_a_file_lacks(
    shop: sa.Engine, warehouse: Any, tmp_path: Path
) -> None:
    query = "SELECT id AS customer_id, '2026-01-05' AS registered_at, id = '007' AS {} FROM crm"
    warehouse(changed(CRM, query=query.format("is_blocked"))).import_delivery(DAY, now=NOW)
    renamed = changed(CRM, query=query.format("blocked"))
    later = {"now": NOW + timedelta(days=1)}
    with pytest.raises(GateError, match=r"the column is_blocked, which earlier deliveries had, .*'blocked' is there"):
        warehouse(renamed).import_delivery(NEXT, **later)
    house = warehouse(renamed, columns={"is_blocked": "blocked"})
    house.import_delivery(NEXT, **later)
    with house.open() as snapshot:
        blocked = snapshot.table("customers").filter(pl.col("is_blocked")).collect()
    assert blocked["customer_id"].to_list() == ["007"]
