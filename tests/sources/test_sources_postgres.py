"""Fetching from a real PostgreSQL server: types, size, failures, and what never appears in a message."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import sqlalchemy as sa
from postgres_server import PASSWORD
from sources_desk import DAY, NOW

from optinb.base.settings import SourceSection
from optinb.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Not a conftest.py: several folders of tests import from theirs by that name.
pytest_plugins = ["sources_fixtures"]
SCHEMA = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public;
CREATE TABLE crm (id uuid, no integer, since timestamptz, local timestamp, born date, vip boolean, score numeric,
                  ratio double precision, tags jsonb, note text);
INSERT INTO crm VALUES
  ('6f1f3f0e-0000-4000-8000-000000000007', 7, '2026-01-05 09:30:00+01', '2026-07-01 12:00', '1990-05-31', true,
   123456789.120, 0.1, '{"plan": "pro", "seats": [1, 2]}', E'quoted "text",\nsecond line'),
  ('6f1f3f0e-0000-4000-8000-000000000008', 8, '2026-02-01 00:00:00+00', NULL, NULL, false, 'NaN', 'Infinity', NULL, '');
CREATE TABLE orders AS SELECT 't' || i AS no, 7 AS who, timestamptz '2026-11-20 00:00+00' + i * interval '1 s' AS at,
  mod(i, 100)::numeric(10, 2) AS total FROM generate_series(1, 120000) i;
"""


@pytest.fixture
def database(cluster: sa.URL, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setenv("SHOP_DB", cluster.render_as_string(hide_password=False))
    engine = sa.create_engine(cluster, isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.exec_driver_sql(SCHEMA)
    yield engine
    engine.dispose()


def source(query: str, *, table: Any = "customers", **more: Any) -> SourceSection:
    return SourceSection(table=table, query=query, address="env:SHOP_DB", **more)


CRM = source("SELECT no AS customer_id, since AS registered_at FROM crm")


def test_every_type_arrives_as_the_contract_writes_it(database: sa.Engine, warehouse: Any, tmp_path: Path) -> None:
    query = "SELECT id AS customer_id, since AS registered_at, local, born AS birth_date, vip, score, ratio, tags, note"
    house = warehouse(source(f"{query} FROM crm ORDER BY no"))
    assert house.import_delivery(DAY, now=NOW).table("customers").loaded == 2
    first, second = pl.read_parquet(tmp_path / "ws" / "inbox" / f"{DAY}" / "customers-source.parquet").rows(named=True)
    assert first["customer_id"] == "6f1f3f0e-0000-4000-8000-000000000007"
    assert (first["vip"], first["score"], first["ratio"]) == ("true", "123456789.120", "0.1")
    assert (first["tags"], first["local"]) == ('{"plan": "pro", "seats": [1, 2]}', "2026-07-01 12:00:00")
    assert (second["vip"], second["score"], second["ratio"], second["tags"]) == ("false", "NaN", "inf", None)
    with house.open() as snapshot:
        customers = snapshot.table("customers").sort("customer_id").collect()
        schema = snapshot.schema("customers")
    assert customers["registered_at"].dt.to_string("iso:strict")[0] == "2026-01-05T08:30:00.000000"
    # A time without a zone is the workspace's, here two hours before UTC.
    assert customers["local"].dt.to_string("iso:strict")[0] == "2026-07-01T10:00:00.000000"
    assert customers["note"].to_list() == ['quoted "text",\nsecond line', None]
    assert schema["vip"] == pl.Boolean() and customers["birth_date"].to_list()[1] is None


def test_times_that_only_postgresql_has_are_rejects_of_their_own_rows(database: sa.Engine, warehouse: Any) -> None:
    query = """SELECT * FROM (VALUES
      (1, timestamptz '2026-01-05 09:30+01', date '1990-05-31', timestamp '2026-11-20 10:00:00.25'),
      (2, 'infinity', NULL, NULL), (3, '-infinity', NULL, NULL), (4, '2026-01-01', 'infinity', NULL),
      (5, '12026-01-01', NULL, NULL), (6, '0044-03-15 BC', NULL, NULL), (7, '2026-01-01', NULL, 'infinity')
    ) AS t (customer_id, registered_at, birth_date, seen)"""
    house = warehouse(source(query))
    with database.connect() as con:
        con.exec_driver_sql("ALTER ROLE reader SET datestyle = 'German'")
    report = house.import_delivery(DAY, now=NOW)
    customers = report.table("customers")
    assert (customers.read, customers.quarantined, customers.emptied) == (7, 4, {"birth_date": 1})
    with house.open() as snapshot:
        kept = snapshot.table("customers").sort("customer_id").select("customer_id", "registered_at", "seen").collect()
    assert kept["customer_id"].to_list() == ["1", "4", "7"] and kept["seen"].to_list()[2] == "infinity"
    assert kept["registered_at"].dt.to_string("iso:strict").to_list()[0] == "2026-01-05T08:30:00.000000"


def test_a_large_table_passes_through_in_batches(database: sa.Engine, warehouse: Any, tmp_path: Path) -> None:
    orders = source(
        "SELECT no AS transaction_id, who AS customer_id, at AS occurred_at, total AS amount FROM orders "
        "WHERE at >= :since AND at < :run_date AND no LIKE 't%' AND mod(total, 100)::text <> '\\:x'",
        table="transactions",
        batch_rows=5_000,
    )
    house = warehouse(CRM, orders)
    assert house.import_delivery(DAY, now=NOW).table("transactions").loaded == 120_000
    path = tmp_path / "ws" / "inbox" / f"{DAY}" / "transactions-source.parquet"
    assert pl.read_parquet(path)["amount"].cast(pl.Decimal(12, 2)).sum() == 120_000 * 49.5
    following = house.import_delivery(DAY + timedelta(days=1), now=NOW + timedelta(days=1))
    assert following.table("transactions").read == 0


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("SELECT no AS customer_id FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT no AS customer_id FROM crm FOR UPDATE", "read-only transaction"),
        ("SELECT no AS customer_id, 1 / (no - 8) AS x FROM crm", "division by zero"),
        ("SELECT interval '1 day' AS customer_id", "holds timedelta"),
        # the driver may see the broken connection before the server's word about it, so that only the remedy is sure
        ("SELECT pg_terminate_backend(pg_backend_pid())", "check the query, and whether the database is up"),
    ],
)
def test_what_the_server_refuses_becomes_one_sentence(
    database: sa.Engine, warehouse: Any, tmp_path: Path, query: str, complaint: str
) -> None:
    with pytest.raises(GateError) as caught:
        warehouse(source(query)).import_delivery(DAY, now=NOW)
    said = str(caught.value)
    assert complaint in said and "\n" not in said and PASSWORD not in said
    assert not (tmp_path / "ws" / "inbox" / f"{DAY}").exists()


def test_a_wrong_password_and_a_wrong_host_are_told_without_the_password(
    cluster: sa.URL, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (cluster.set(password="s3cret-wrong"), cluster.set(port=1)):
        monkeypatch.setenv("SHOP_DB", wrong.render_as_string(hide_password=False))
        with pytest.raises(GateError, match=r"postgresql\+psycopg://reader:\*\*\*@127\.0\.0\.1") as caught:
            warehouse(CRM).import_delivery(DAY, now=NOW)
        said = f"{caught.value!r} {caught.value.__cause__!r}"
        assert PASSWORD not in said and "s3cret" not in said


def test_a_query_sees_one_state_of_the_database_while_others_write(database: sa.Engine, warehouse: Any) -> None:
    stop = threading.Event()

    def write() -> None:
        with database.connect() as con:
            number = 1_000_000
            while not stop.is_set():
                number += 1
                con.exec_driver_sql(
                    f"INSERT INTO orders VALUES ('a{number}', 7, '2026-11-20', 1), ('b{number}', 7, '2026-11-20', 1)"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        orders = source(
            "SELECT no AS transaction_id, who AS customer_id, at AS occurred_at, total AS amount FROM orders",
            table="transactions",
            batch_rows=1_000,
        )
        report = warehouse(CRM, orders).import_delivery(DAY, now=NOW).table("transactions")
    finally:
        stop.set()
        writer.join()
    assert report.loaded == report.read >= 120_000 and report.read % 2 == 0


WRITING = """
CREATE FUNCTION adds() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO crm (no) VALUES (99); RETURN 99; END $$;
CREATE FUNCTION frees() RETURNS int LANGUAGE plpgsql AS $$
  BEGIN SET TRANSACTION READ WRITE; INSERT INTO crm (no) VALUES (99); RETURN 99; END $$;
CREATE SEQUENCE counter;
"""


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("INSERT INTO crm (no) VALUES (99) RETURNING no AS customer_id", "begins with 'INSERT'"),
        ("/* a */ -- b\n DELETE FROM crm RETURNING no AS customer_id", "begins with 'DELETE'"),
        ("COPY (SELECT 1) TO PROGRAM 'true'", "begins with 'COPY'"),
        ("SET TRANSACTION READ WRITE; INSERT INTO crm (no) VALUES (99)", "begins with 'SET'"),
        ("WITH x AS (INSERT INTO crm (no) VALUES (99) RETURNING no) SELECT no AS customer_id FROM x", "data-modifying"),
        ("SELECT 1 AS customer_id; INSERT INTO crm (no) VALUES (99)", "multiple commands"),
        ("SELECT 1 AS customer_id; COMMIT; INSERT INTO crm (no) VALUES (99); SELECT 1", "multiple commands"),
        ("SELECT no AS customer_id INTO made FROM crm", "INTO"),
        ("SELECT adds() AS customer_id", "read-only transaction"),
        ("SELECT frees() AS customer_id", "read-write mode"),
        ("SELECT set_config('transaction_read_only', 'off', false), adds() AS customer_id", "read-write mode"),
        ("SELECT set_config('default_transaction_read_only', 'off', false), adds() AS c", "read-only transaction"),
        ("SELECT nextval('counter') AS customer_id", "read-only transaction"),
    ],
)
def test_a_query_on_postgresql_can_only_read(
    database: sa.Engine, warehouse: Any, tmp_path: Path, query: str, complaint: str
) -> None:
    with database.connect() as con:
        con.exec_driver_sql(WRITING)
        before = con.exec_driver_sql("SELECT no, note FROM crm ORDER BY no").fetchall()
        with pytest.raises(GateError) as caught:
            warehouse(source(query)).import_delivery(DAY, now=NOW)
        assert complaint in str(caught.value) and "source customers-source" in str(caught.value)
        assert con.exec_driver_sql("SELECT no, note FROM crm ORDER BY no").fetchall() == before
    assert not (tmp_path / "ws" / "inbox" / f"{DAY}").exists()


@pytest.mark.parametrize("query", ["SELECT 7 AS customer_id", "(SELECT 7 AS customer_id)", "VALUES (7)", "TABLE crm"])
def test_whatever_reads_is_let_through(database: sa.Engine, warehouse: Any, tmp_path: Path, query: str) -> None:
    with pytest.raises(GateError, match=r"its header has no column"):
        warehouse(source(query)).import_delivery(DAY, now=NOW)
    assert (tmp_path / "ws" / "inbox" / f"{DAY}" / "customers-source.parquet").exists()
