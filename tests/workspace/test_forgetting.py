"""A person who is forgotten is in no table, file, list, audience or journal any more, and every figure stays."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner
from forgetting_child import PLACES

import optinb
from optinb import show
from optinb.campaigns import AUDIENCE_SCHEMA, Campaign, Schedule
from optinb.cli import main
from optinb.delivery import FORGOTTEN, lease_name, plan, read_frozen
from optinb.delivery.delivered_files import delivers
from optinb.delivery.journal import Settlement, Unknown
from optinb.demo import AUTHOR, RUN_DATE
from optinb.errors import StateError, UsageError, WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optinb.workspace import Workspace

WHO, EXTERNAL = "000001", "ext-of-the-first"
NEXT = RUN_DATE + timedelta(days=1)
NIGHT = datetime(2026, 11, 24, 1, tzinfo=UTC)
CHILD = str(Path(__file__).with_name("forgetting_child.py"))


def frozen(ws: Workspace, *, name: str = "Summer", sent: bool = True) -> None:
    """A night of a campaign with the customer as the second of three recipients, whose only batch is unknown."""
    rows = [
        ("000000", "u0", "recipient", None, '{"n":"0"}'),
        (WHO, EXTERNAL, "recipient", None, '{"n":"Louis"}'),
        ("000002", "u2", "recipient", None, '{"n":"2"}'),
        ("000003", "u3", "control", None, '{"n":"3"}'),
    ]
    audience = plan(
        ws.store,
        pl.DataFrame(rows, schema=AUDIENCE_SCHEMA, orient="row"),
        campaign=Campaign(
            name=name, app_group="Shop", template="T", group="G", schedule=Schedule(at="18:30", every="day")
        ),
        run_date=RUN_DATE,
        app_group_id="shop",
        template_id="t",
        send_at=NIGHT + timedelta(hours=15),
        fingerprint="f" * 64,
        root=ws.root,
        user="cron",
        now=NIGHT,
    )
    if not sent:
        return
    lease = ws.store.leases.take(lease_name(audience), holder="box", now=NIGHT)
    ws.store.deliveries.turn(*audience.night, lease=lease, now=NIGHT, size=1)
    ws.store.deliveries.move(*audience.night, given="sending", to=Unknown(message="?"), lease=lease, now=NIGHT)
    (batch,) = ws.store.deliveries.batches(*audience.night)
    said = Settlement(received=("u0",), missing=(EXTERNAL, "u2"), untold=(), asked_at=NIGHT, asked_by="ann")
    ws.store.deliveries.settle(batch, said)
    ws.store.leases.release(lease)


@pytest.fixture(scope="module")
def full(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the customer is everywhere: two deliveries, models, quarantine, lists and an audience."""
    root = tmp_path_factory.mktemp("full") / "ws"
    shutil.copytree(modelled, root)
    inbox = root / "inbox"
    shutil.copytree(inbox / RUN_DATE.isoformat(), inbox / NEXT.isoformat())
    customers = inbox / NEXT.isoformat() / "customers.csv"
    text = customers.read_text().replace(",Louis,Lausanne,", ",Louis,Bern,", 1)
    customers.write_text(text + f"{WHO},not a time,CH,,,,,,,,,,,,\n1{WHO}9,not a time,CH,,,,,,,,,,,,\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_NOW", NIGHT.isoformat())
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            ws.import_delivery(NEXT)
            ws.lists.save("Fair", [WHO, "000002", "000003"])
            ws.lists.save("Alone", [WHO])
            ws.vendor_control.save("Shop", [EXTERNAL, "somebody"])
            frozen(ws)
    (root / "night.log").write_text(f"{WHO} was late\n1{WHO}9 was not\n")
    return root


@pytest.fixture
def root(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(full, tmp_path / "ws")
    monkeypatch.setenv("OPTINB_NOW", (NIGHT + timedelta(hours=1)).isoformat())
    return tmp_path / "ws"


@pytest.fixture
def known(root: Path) -> Iterator[Workspace]:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        yield ws


def traces(root: Path) -> set[str]:
    """Every place of a workspace, but its inbox, where a text names the customer, as a whole word."""
    names, found = re.compile(rf"(?<![0-9A-Za-z-])(?:{WHO}|{EXTERNAL})(?![0-9A-Za-z])"), set()

    def look(frame: pl.DataFrame, where: str) -> None:
        for column in frame.select(pl.col(pl.String)).iter_columns():
            texts = column.drop_nulls()
            named = texts.str.contains(rf"^{WHO}$|{EXTERNAL}").any()
            if named or (column.name == "raw" and any(map(names.search, texts))):
                found.add(f"{where} {column.name}")

    if any(EXTERNAL.encode() in path.read_bytes() for path in root.glob("state.sqlite*")):
        found.add("state.sqlite")
    for path in root.rglob("*"):
        where = path.relative_to(root).as_posix()
        if where.startswith("inbox") or not path.is_file():
            continue
        if path.suffix == ".parquet":
            look(pl.read_parquet(path, glob=False, hive_partitioning=False), where)
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as con:
                for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    look(con.sql(f'SELECT * FROM "{table}"').pl(), f"{where} {table}")
        elif path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as con:
                found.update(f"{where}" for line in con.iterdump() if EXTERNAL in line or f'"{WHO}"' in line)
        elif path.suffix in (".json", ".html", ".csv", ".log") and names.search(path.read_text(errors="replace")):
            found.add(where)
    return found


def test_a_forgotten_customer_leaves_no_trace_and_every_figure_stays(known: Workspace, root: Path) -> None:
    before = traces(root)
    for place in ("audiences/", "warehouse/v", "/day=", "history/", "changes/", "quarantine/", "lists/", "night.log"):
        assert any(place in where for where in before), place
    assert "state.sqlite" in before
    customers = known.customers().collect().height
    bought = known.snapshot().scan("transactions").filter(pl.col("customer_id") == WHO).collect().height
    refused = pl.concat([known.warehouse.quarantine(day) for day in (RUN_DATE, NEXT)])
    theirs = [WHO in re.split(r'[\s,;|"]+', raw) for raw in refused["raw"]]
    (audience,) = known.store.deliveries.list()

    done = known.forget(WHO, by="ticket 4711")

    assert traces(root) == set()
    assert done.found
    assert (done.rows["customers"], done.rows["transactions"]) == (1, bought)
    assert done.versions == 4  # three that were kept, and the next
    assert (done.audiences, done.lists, done.quarantined) == (1, 3, sum(theirs))
    assert f"{NEXT}/customers.csv" in done.inbox
    assert {name.rsplit("/", 1)[1] for name in done.inbox} == {
        "customers.csv",
        "app_users.csv",
        "events.ndjson.gz",
        "transactions.csv.gz",
    }
    assert done.scheduled == (f"Summer, {RUN_DATE}",)
    assert known.customers().collect().height == customers - 1
    left = pl.concat([known.warehouse.quarantine(day) for day in (RUN_DATE, NEXT)])
    assert left.drop("raw").equals(refused.drop("raw"))
    others = pl.Series([not mine for mine in theirs])
    assert left.filter(others)["raw"].equals(refused.filter(others)["raw"])
    assert any(f"1{WHO}9" in raw for raw in left["raw"])
    members = known.vendor_control.members("Shop")
    assert members is not None and members["external_user_id"].to_list() == ["somebody"]
    assert known.lists.get("Fair").customers == 2
    assert known.lists.members("Fair")["customer_id"].to_list() == ["000002", "000003"]
    (sealed,) = known.store.deliveries.list()
    assert (sealed.waterfall, sealed.recipients, sealed.batches) == (audience.waterfall, 3, 1)
    assert sealed.sha256 != audience.sha256
    rows = read_frozen(root / sealed.path, sealed.sha256)
    assert rows["outcome"].to_list() == ["recipient"] * 3 + ["control"]
    assert rows["customer_id"][1] == rows["external_user_id"][1]
    assert rows["customer_id"][1].startswith(FORGOTTEN)
    assert rows["properties"][1] == "{}"
    (batch,) = known.store.deliveries.batches(*sealed.night)
    assert batch.settlement
    assert batch.settlement.missing == (rows["external_user_id"][1], "u2")


def test_the_trail_records_it_without_naming_the_person(known: Workspace) -> None:
    (audience,) = known.store.deliveries.list()
    done = known.forget(WHO, by="ticket 4711")
    forgotten, sealed = known.store.audit.list(limit=2)
    assert (forgotten.action, forgotten.who, forgotten.detail["by"]) == ("customer forgotten", AUTHOR, "ticket 4711")
    assert forgotten.detail["person"] == done.person
    assert (sealed.action, sealed.detail["sha256_before"]) == ("audience sealed anew", audience.sha256)
    assert sealed.detail["sha256"] == known.store.deliveries.list()[0].sha256
    assert not known.store.audit.naming(WHO)
    assert known.checkpoints.verify().problem is None
    with pytest.raises(UsageError, match=f"customer '{WHO}' was forgotten, so nothing about them is kept"):
        known.why(WHO, run_date=RUN_DATE)
    again = known.forget(WHO)
    assert not again.found and again.forgotten_before and not done.forgotten_before
    assert show.text(again).startswith(
        "this customer was forgotten before: nothing of this customer was left to remove"
    )
    assert known.store.audit.list(limit=1) == (forgotten,)


def test_a_delivery_that_names_the_customer_again_brings_nobody_back(known: Workspace, root: Path) -> None:
    known.forget(WHO)
    third = RUN_DATE + timedelta(days=2)
    shutil.copytree(root / "inbox" / NEXT.isoformat(), root / "inbox" / third.isoformat())
    report = known.import_delivery(third)
    tables = {table.table: table for table in report.tables}
    assert tables["customers"].forgotten >= 2  # the good row, and those that would be refused
    assert all(t.forgotten > 0 for t in report.tables)
    assert all(t.read == t.loaded + t.quarantined + t.forgotten + t.repeated for t in report.tables)
    assert any("rows of forgotten customers left out" in warning for warning in report.warnings)
    assert traces(root) == set()


@pytest.mark.chaos
@pytest.mark.parametrize("place", PLACES)
def test_a_removal_that_is_killed_goes_on_where_it_stopped(known: Workspace, root: Path, place: str) -> None:
    passes = "1" if place == "older version built" else "0"
    killed = subprocess.run(
        [sys.executable, CHILD, str(root), WHO, place, passes], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_NOW", (NIGHT + timedelta(hours=2)).isoformat())
        # by then the hold of the one that died has ended
        patch.setattr(known.store, "clock", lambda: datetime.now(UTC) + timedelta(hours=1))
        known.forget(WHO)
    assert traces(root) == set()
    (audience,) = known.store.deliveries.list()
    assert read_frozen(root / audience.path, audience.sha256).height == 4
    done = [entry for entry in known.store.audit.list() if entry.action == "customer forgotten"]
    assert len(done) == 1
    assert known.customers().collect().height == 2000
    assert known.checkpoints.verify().problem is None


def test_who_is_still_to_be_written_to_is_not_forgotten_yet(known: Workspace, root: Path) -> None:
    frozen(known, name="Autumn", sent=False)
    before = traces(root)
    with pytest.raises(StateError, match=r"on the list of 'Autumn' for 2026-11-23, which is still to be sent; let the"):
        known.forget(WHO)
    assert traces(root) == before


def test_an_import_under_way_is_waited_for_by_a_person(known: Workspace) -> None:
    versions = known.warehouse._versions
    with (
        versions.lease("the import of a day", user="cron", now=NIGHT),
        pytest.raises(WarehouseError, match="under way"),
    ):
        known.forget(WHO)


@pytest.mark.parametrize("customer_id", ["nobody", "00001", "1000001"])
def test_an_id_that_never_was_is_told_and_leaves_nothing(known: Workspace, root: Path, customer_id: str) -> None:
    before = known.store.audit.list(limit=1)
    with pytest.raises(UsageError, match=f"'{customer_id}' is in no table, list, audience or delivery of"):
        known.forget(customer_id)
    assert not (root / "warehouse" / "FORGOTTEN.json").exists()
    assert known.store.audit.list(limit=1) == before


@pytest.mark.parametrize("place", ["tables", "list", "inbox", "audience", "quarantine"])
def test_who_is_named_in_one_place_only_is_forgotten(known: Workspace, root: Path, place: str) -> None:
    other = "z-9"
    match place:
        case "tables":
            shutil.rmtree(root / "inbox")
            other = "000500"
            assert known.warehouse.holds(other) and not known.warehouse.holds("00050")
        case "list":
            known.lists.save("Others", [other])
        case "inbox":
            (root / "inbox" / "2026-11-25").mkdir()
            (root / "inbox" / "2026-11-25" / "customers.csv").write_text(f"customer_id,registered_at\n{other},2026\n")
        case "audience":
            (audience,) = known.store.deliveries.list()
            rows = pl.read_parquet(root / audience.path).with_columns(
                customer_id=pl.col("customer_id").replace("000003", other)
            )
            rows.write_parquet(root / audience.path.replace(".parquet", "-left.parquet"))
        case _:
            refused = root / "quarantine" / NEXT.isoformat() / "rejects.parquet"
            rows = pl.read_parquet(refused)
            named = rows.head(1).with_columns(raw=pl.lit(f"{other},never"))
            pl.concat([rows, named]).write_parquet(refused)
    known.forget(other)
    assert known.warehouse.forgotten.knows(other)


def test_the_command_says_that_an_id_never_was_and_ends_with_wrong_use(known: Workspace, root: Path) -> None:
    result = CliRunner().invoke(main, ["forget", "nobody", "--yes", "--workspace", str(root)])
    assert result.exit_code == 2
    assert "'nobody' is in no table" in result.output


def test_wrong_calls_say_what_to_write(known: Workspace) -> None:
    with pytest.raises(UsageError, match="is no customer id"):
        known.forget(" ")
    with pytest.raises(UsageError, match="by must not name the customer"):
        known.forget(WHO, by=f"mail of {WHO}")


def test_the_command_asks_first_and_says_what_it_did(root: Path) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["forget", WHO, "-w", str(root), *arguments], input="n\n")
        return result.exit_code, result.output

    before = traces(root)
    exit_code, said = call()
    assert exit_code == 1
    assert f"Remove customer {WHO}" in said
    assert traces(root) == before
    exit_code, said = call("--yes", "--json")
    assert exit_code == 0, said
    assert json.loads(said)["audiences"] == 1
    exit_code, said = call("--yes")
    assert said.startswith("this customer was forgotten before: nothing of this customer was left to remove")
    assert "still in the inbox, for IT to remove: 2026-11-23/customers.csv" in said


@pytest.mark.parametrize(
    ("name", "text", "is_theirs"),
    [
        ("transactions.csv", "transaction_id;Customer_ID;quantity\nt1;7;1\n", True),
        ("transactions.csv", "transaction_id,customer_id,quantity\nt1,8,7\n", False),
        ("events.ndjson", '{"customer_id": 7, "name": "open"}\n', True),
        ("events.ndjson", '{"customer_id": "8", "value": 7}\n', False),
        ("notes.txt", "call 7 back\n", True),
    ],
)
def test_a_delivered_file_names_a_customer_by_the_column_of_their_ids(
    tmp_path: Path, name: str, text: str, is_theirs: bool
) -> None:
    (tmp_path / name).write_text(text)
    assert delivers(tmp_path / name, "7") is is_theirs
