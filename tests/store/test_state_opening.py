"""Opening a store: migrations, several processes at once, and what a person reads when it fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres_server import emptied

import optinb.store
from optinb.delivery.journal import Store
from optinb.errors import StateError
from optinb.store import database, in_folder
from optinb.store.schema import REVISION, metadata

if TYPE_CHECKING:
    from datetime import datetime

OPENER = """
import sys
from optinb.delivery.journal import Store
from datetime import UTC, datetime
with Store.open(sys.argv[1]) as store:
    store.groups.save(sys.argv[2], rule_json="{}", sentence="all", user="u", now=datetime.now(UTC))
"""


def engine_of(address: str) -> sa.Engine:
    return sa.create_engine(address if "://" in address else f"sqlite:///{address}")


def test_migrations_make_exactly_the_tables_of_the_schema(store: Store, address: str) -> None:
    with engine_of(address).connect() as con:
        context = MigrationContext.configure(con)
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_the_schema_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(optinb.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_several_processes_may_open_a_new_store_at_once(address: str) -> None:
    openers = [
        subprocess.Popen([sys.executable, "-c", OPENER, address, f"group {n}"], stderr=subprocess.PIPE, text=True)
        for n in range(5)
    ]
    for opener in openers:
        _, complaint = opener.communicate(timeout=60)
        assert opener.returncode == 0, complaint
    with Store.open(address) as store:
        assert [group.name for group in store.groups.list()] == [f"group {n}" for n in range(5)]
        assert store.audit.verify().problem is None


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    upgrade = command.upgrade

    def half(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise OSError("the power went off")

    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(OSError, match="power"):
        Store.open(tmp_path / "state.sqlite")
    with sqlite3.connect(tmp_path / "state.sqlite") as con:
        assert con.execute("select count(*) from sqlite_master where type = 'table'").fetchone() == (0,)


def test_an_sqlite_store_survives_power_failures_and_lets_readers_in(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with Store.open(path) as store, store._database.reading() as con:
        assert con.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert con.exec_driver_sql("pragma synchronous").scalar() == 2
        assert con.exec_driver_sql("pragma foreign_keys").scalar() == 1


def test_a_store_of_a_newer_optinb_is_refused(store: Store, address: str) -> None:
    with engine_of(address).begin() as con:
        con.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StateError, match=r"newer optinb .*9999.*update optinb"):
        Store.open(address)


def test_a_server_of_an_earlier_release_takes_the_keys_of_several_messages(cluster: sa.URL) -> None:
    address = emptied(cluster)
    Store.open(address).close()
    with engine_of(address).begin() as con:
        for table in ("audiences", "batches", "confirmations", "code_grants", "reach_days"):
            con.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN campaign_id TYPE VARCHAR(12)")
        con.exec_driver_sql("ALTER TABLE audiences DROP COLUMN variant")
        con.exec_driver_sql("UPDATE alembic_version SET version_num = '0008'")
    Store.open(address).close()
    with engine_of(address).connect() as con:
        assert compare_metadata(MigrationContext.configure(con), metadata) == []


def test_times_are_read_whatever_style_the_server_writes_them_in(cluster: sa.URL, now: datetime) -> None:
    address = emptied(cluster)
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.exec_driver_sql("ALTER ROLE reader SET datestyle = 'German'")
    engine.dispose()
    try:
        with Store.open(address) as store:
            lease = store.leases.take("night", holder="box:1", now=now)
            with pytest.raises(StateError, match="box:1 is working on night since 2026-11-23 17:05:09 UTC"):
                store.leases.take("night", holder="box:2", now=now)
            assert lease.taken_at == now
    finally:
        emptied(cluster)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"nowhere of the state store isn't there; .*optinb init"):
        Store.open(tmp_path / "nowhere" / "state.sqlite")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_text("customer_id,amount\n" * 200)
    with pytest.raises(StateError, match=r"state\.sqlite isn't an SQLite file; restore it"):
        Store.open(tmp_path / "state.sqlite")


def test_a_store_that_stays_locked_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    path = tmp_path / "state.sqlite"
    Store.open(path).close()
    monkeypatch.setattr(database, "BUSY_S", 0.05)
    with sqlite3.connect(path, isolation_level=None) as other, Store.open(path) as store:
        other.execute("begin immediate")
        with pytest.raises(StateError, match=r"has been locked by another program for more than .* s; close it"):
            store.leases.take("night", holder="a", now=now)
        other.execute("rollback")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql+psycopg://team:s3cret@127.0.0.1:1/optinb", "can't be reached"),
        ("postgresql://team:s3cret@127.0.0.1:notaport/optinb", "can't be read; write one such as"),
        ("postgresql+nosuch://team:s3cret@127.0.0.1/optinb", "can't be 'postgresql+nosuch'"),
        ("mysql://team:s3cret@127.0.0.1/optinb", "can't be 'mysql'"),
        ("sqlite://", "must be a file"),
    ],
)
def test_a_wrong_address_is_explained_without_its_password(address: str, says: str) -> None:
    with pytest.raises(StateError) as caught:
        Store.open(address)
    texts = []
    error: BaseException | None = caught.value
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert says in texts[0]
    assert not any("s3cret" in text for text in texts)


def test_a_relative_path_is_one_from_the_workspace_on_wherever_the_process_stands(
    tmp_path: Path,
) -> None:
    for address in ("other.sqlite", "sqlite:///other.sqlite"):
        assert in_folder(address, tmp_path) == address.replace("other", f"{tmp_path}/other")
    for address in ("sqlite:////var/other.sqlite", "postgresql+psycopg://ann@db:5432/optinb", "/var/other.sqlite"):
        assert in_folder(address, tmp_path) == address
