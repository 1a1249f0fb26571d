"""Versions: what a reader sees, what a correction replaces, what is removed when."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import APP_USERS, CUSTOMERS, DAY, NOW, TRANSACTIONS

from optinb.errors import DeliveryError, UsageError, WarehouseError

if TYPE_CHECKING:
    from small_deliveries import Folder

HEAD = "transaction_id,customer_id,occurred_at,amount,product\n"
NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)


def amounts(folder: Folder, version: int | None = None) -> dict[str, float]:
    with folder.warehouse.open(version) as snapshot:
        frame = snapshot.scan("transactions").select("transaction_id", "amount").collect()
    return dict(frame.iter_rows())


def test_opening_before_the_first_import_says_what_to_run(folder: Folder) -> None:
    assert folder.warehouse.current is None
    with pytest.raises(WarehouseError, match="run `optinb import`"):
        folder.warehouse.open()


def test_an_import_publishes_typed_tables_in_utc(folder: Folder) -> None:
    report = folder.load()
    assert report.version == folder.warehouse.current == 1
    assert [(t.table, t.read, t.loaded, t.quarantined) for t in report.tables] == [
        ("customers", 3, 3, 0),
        ("app_users", 3, 3, 0),
        ("transactions", 3, 3, 0),
        ("events", 2, 2, 0),
    ]
    with folder.warehouse.open() as snapshot:
        customers = snapshot.table("customers").sort("customer_id").collect()
        assert customers["customer_id"].to_list() == ["007", "008", "009"] == customers["external_user_id"].to_list()
        assert customers["registered_at"].cast(pl.String).to_list() == [
            "2026-01-04 23:00:00.000000",
            "2026-02-01 10:00:00.000000",
            "2026-03-01 07:30:00.000000",
        ]
        assert customers.schema["visits"] == pl.Int64 and customers.schema["plan"] == pl.String
        assert customers["push_opt_in"].all() and not customers["is_test"].any()
        days = dict(snapshot.scan("transactions").select("transaction_id", "day").collect().iter_rows())
        # 23:30 UTC is past midnight in Berlin.
        assert days == {"t1": date(2026, 11, 20), "t2": date(2026, 11, 22), "t3": date(2026, 11, 22)}
        assert snapshot.import_date == DAY and snapshot.model_date is None


def test_tables_that_were_never_delivered_are_there_and_empty(folder: Folder) -> None:
    folder.configure(required=("customers",))
    folder.load({"customers.csv": CUSTOMERS}, base=False)
    with folder.warehouse.open() as snapshot:
        assert snapshot.table("app_users").collect().is_empty()
        for name in ("transactions", "events"):
            frame = snapshot.scan(name).collect()
            assert frame.is_empty() and dict(frame.schema) == snapshot.schema(name)
        assert snapshot.history().collect().is_empty()


def test_the_same_delivery_again_changes_nothing_and_carries_the_first_figures(folder: Folder) -> None:
    first = folder.load()
    again = folder.warehouse.import_delivery(DAY, now=LATER)
    assert again.unchanged and again.tables == first.tables and folder.warehouse.current == 1


def test_the_same_files_under_other_settings_are_read_again(folder: Folder) -> None:
    folder.load()
    assert not folder.configure(time_zone="America/New_York").import_delivery(DAY, now=NOW).unchanged


def test_a_changed_transaction_replaces_the_earlier_one_and_leaves_other_days_alone(folder: Folder) -> None:
    folder.load()
    with folder.warehouse.open() as old:
        before = set(old.paths("transactions"))
        changed = f"{HEAD}t1,007,2026-11-20T10:00:00,99,\nt4,009,2026-11-23,1,\n"
        folder.load(
            {"transactions.csv": changed, "events.csv": "customer_id,occurred_at,name,value,properties\n"},
            day=NEXT,
            now=LATER,
        )
        assert amounts(folder) == {"t1": 99, "t2": 20, "t3": 30, "t4": 1}
        with folder.warehouse.open() as new:
            assert {p.parent.name for p in before & set(new.paths("transactions"))} == {"day=2026-11-22"}
        assert old.scan("transactions").select(pl.col("amount").sum()).collect().item() == 60.5


def test_a_transaction_that_moves_to_another_day_leaves_no_trace_in_the_old_one(folder: Folder) -> None:
    folder.load()
    moved = f"{HEAD}t2,007,2026-11-10,21,\n"
    folder.load({"transactions.csv": moved}, day=NEXT, now=LATER)
    with folder.warehouse.open() as snapshot:
        rows = snapshot.scan("transactions").filter(pl.col("transaction_id") == "t2").collect()
    assert rows["day"].to_list() == [date(2026, 11, 10)] and rows["amount"].to_list() == [21]


def test_a_corrected_delivery_replaces_all_that_the_first_one_brought(folder: Folder) -> None:
    folder.load()
    wrong = f"{HEAD}t1,007,2026-11-20,1000,\nt9,007,2026-11-23,9,\n"
    events = "customer_id,occurred_at,name,value,properties\n009,2026-11-23,wrong,,\n"
    folder.load({"transactions.csv": wrong, "events.csv": events}, day=NEXT, now=LATER)
    right = f"{HEAD}t5,007,2026-11-23,5,\n"
    report = folder.load(
        {"transactions.csv": right, "events.csv": events.replace("wrong", "right")}, day=NEXT, now=LATER
    )
    assert report.version == 3
    assert amounts(folder) == {"t1": 10.5, "t2": 20, "t3": 30, "t5": 5}
    with folder.warehouse.open() as snapshot:
        assert sorted(snapshot.scan("events").collect()["name"]) == ["app_open", "right", "search"]


def test_the_first_day_delivered_again_with_fewer_rows_is_told(folder: Folder) -> None:
    folder.load()
    smaller = folder.load(
        {"customers.csv": "\n".join(CUSTOMERS.splitlines()[:2]), "app_users.csv": APP_USERS}, base=False
    )
    told = [warning for warning in smaller.warnings if "the same day" in warning]
    assert told[0].startswith("customers has 1 row, the delivery of the same day that this one replaces had 3:")
    (folder.root / "inbox" / DAY.isoformat() / "transactions.csv").unlink()
    without = folder.load({"app_users.csv": APP_USERS.splitlines()[0]}, base=False)
    assert any(warning.startswith("transactions has 0 rows") for warning in without.warnings)
    back = folder.load({"customers.csv": CUSTOMERS, "transactions.csv": TRANSACTIONS, "app_users.csv": APP_USERS})
    assert not any("the same day" in warning for warning in back.warnings)


def test_a_check_of_a_day_that_was_delivered_tells_what_would_be_fewer(folder: Folder) -> None:
    folder.load()
    home = folder.deliver({"customers.csv": "\n".join(CUSTOMERS.splitlines()[:3])})
    report, _ = folder.warehouse.check(home, run_date=DAY, now=NOW)
    assert any(warning.startswith("customers has 2 rows") for warning in report.warnings)


def test_an_older_delivery_than_the_published_one_is_refused(folder: Folder) -> None:
    folder.load(day=NEXT, now=LATER)
    with pytest.raises(DeliveryError, match="older than the published one"):
        folder.load(now=LATER)


def test_whole_tables_replace_yesterdays(folder: Folder) -> None:
    folder.load()
    folder.load({"customers.csv": "\n".join(CUSTOMERS.splitlines()[:2])}, day=NEXT, now=LATER)
    with folder.warehouse.open() as snapshot:
        assert snapshot.table("customers").collect()["customer_id"].to_list() == ["007"]


def test_published_models_join_the_imported_tables_and_survive_the_next_import(folder: Folder) -> None:
    folder.load()
    features = pl.DataFrame({"customer_id": ["007", "008"], "recency": [1.0, None], "stage": ["active", "new"]})
    assert folder.warehouse.publish({"features": features}, model_date=DAY) == 2
    folder.load(day=NEXT, now=LATER)
    with folder.warehouse.open() as snapshot:
        assert snapshot.version == 3 and snapshot.model_date == DAY and snapshot.has("features")
        assert snapshot.table("features").sort("customer_id").collect().equals(features)
        assert snapshot.table("customers").collect().height == 3


class GivenUpError(Exception):
    """Somebody doesn't want to wait any more."""


def give_up_at(step: int, said: list[str]):
    def on_progress(_done: int, what: str = "", /) -> None:
        if len(said) == step:
            raise GivenUpError
        said.append(what)

    return on_progress


def test_an_import_tells_how_far_it_is_and_given_up_at_any_step_publishes_nothing(folder: Folder) -> None:
    folder.load()
    folder.deliver({}, day=NEXT)
    last: list[str] = []
    said: list[str] = []
    step, version = 0, None
    while version is None:
        said = []
        try:
            version = folder.warehouse.import_delivery(NEXT, now=LATER, on_progress=give_up_at(step, said)).version
        except GivenUpError:
            assert folder.warehouse.current == 1 and amounts(folder) == {"t1": 10.5, "t2": 20, "t3": 30}
            last, step = said, step + 1
    assert version == 2 and len(said) == step > 15 and said[:-1] == last
    assert said[0] == "reading customers" and said[-1] == "publishing"


def test_what_was_made_from_a_version_is_not_published_on_another_one(folder: Folder) -> None:
    folder.load()
    features = pl.DataFrame({"customer_id": ["007"], "stage": ["new"]})
    folder.load(day=NEXT, now=LATER)
    with pytest.raises(WarehouseError, match="made from version 1, and version 2 has been published meanwhile"):
        folder.warehouse.publish({"features": features}, model_date=NEXT, made_from=1)
    assert folder.warehouse.publish({"features": features}, model_date=NEXT, made_from=2) == 3


def test_history_keeps_a_day_for_each_model_date_and_a_second_run_replaces_its_own(folder: Folder) -> None:
    folder.load()
    for day, stage in ((DAY, "new"), (NEXT, "active"), (NEXT, "churned")):
        state = pl.DataFrame({"customer_id": ["007"], "stage": [stage]})
        folder.warehouse.publish({}, model_date=day, history=state)
    with folder.warehouse.open() as snapshot:
        rows = snapshot.history().sort("day").select("day", "stage").collect().rows()
        assert rows == [(DAY, "new"), (NEXT, "churned")]
        assert snapshot.history(since=NEXT).collect().height == 1 == snapshot.history(until=DAY).collect().height


def test_history_reads_across_models_with_other_columns(folder: Folder) -> None:
    folder.load()
    folder.warehouse.publish({}, model_date=DAY, history=pl.DataFrame({"customer_id": ["007"], "a": [1]}))
    folder.warehouse.publish({}, model_date=NEXT, history=pl.DataFrame({"customer_id": ["007"], "b": ["x"]}))
    with folder.warehouse.open() as snapshot:
        assert set(snapshot.history().collect().columns) == {"customer_id", "day", "a", "b"}


@pytest.mark.parametrize("name", ["customers", "files", "history"])
def test_a_model_cannot_overwrite_delivered_tables(folder: Folder, name: str) -> None:
    folder.load()
    with pytest.raises(UsageError, match="the warehouse's own"):
        folder.warehouse.publish({name: pl.DataFrame({"a": [1]})}, model_date=DAY)


def test_a_reader_keeps_its_version_beyond_retention_and_it_goes_when_closed(folder: Folder) -> None:
    warehouse = folder.configure(keep_versions=1)
    folder.load()
    reader = warehouse.open()
    for step in range(1, 3):
        text = TRANSACTIONS + f"n{step},007,2026-11-20,{step}\n"
        folder.load({"transactions.csv": text}, day=DAY + timedelta(days=step), now=NOW + timedelta(days=step))
    assert reader.version == 1
    assert reader.scan("transactions").collect().height == 3
    assert reader.table("customers").collect().height == 3
    reader.close()
    folder.load(day=DAY + timedelta(days=3), now=NOW + timedelta(days=3))
    with pytest.raises(WarehouseError, match=r"version 1 of the warehouse isn't there \(kept are: 4\)"):
        warehouse.open(1)
    with warehouse.open() as snapshot:
        files = {*snapshot.contents.files, *snapshot.contents.base_files}
    left = {path for path in (folder.root / "warehouse").rglob("*") if path.suffix in (".parquet", ".run")}
    assert left == {folder.root / "warehouse" / file.path for file in files}


def test_a_closed_snapshot_says_so(folder: Folder) -> None:
    folder.load()
    snapshot = folder.warehouse.open()
    snapshot.close()
    with pytest.raises(WarehouseError, match="was closed"):
        snapshot.table("customers")


def test_a_table_that_is_not_there_is_named_with_the_nearest(folder: Folder) -> None:
    folder.load()
    with folder.warehouse.open() as snapshot:
        with pytest.raises(WarehouseError, match="did you mean 'customers'"):
            snapshot.table("customer")
        with pytest.raises(WarehouseError, match="run `optinb model`"):
            snapshot.table("features")


def test_a_second_import_is_told_who_holds_the_lease_and_a_dead_holder_holds_nothing(folder: Folder) -> None:
    folder.deliver({})
    code = (
        "import sys, datetime; from pathlib import Path\n"
        "from optinb.warehouse.versions import Versions\n"
        "with Versions(Path(sys.argv[1])).lease('the import of yesterday', user='ann', now=datetime.datetime.now()):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.root / "warehouse")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(WarehouseError, match=rf"the import of yesterday by ann \(process {holder.pid} on"):
            folder.warehouse.import_delivery(DAY, now=NOW)
        holder.kill()
        holder.wait()
    assert folder.warehouse.import_delivery(DAY, now=NOW).version == 1


def test_an_import_where_nothing_can_be_locked_says_so_and_what_to_check(folder: Folder) -> None:
    folder.load()
    lease = folder.root / "warehouse" / "LEASE"
    lease.unlink()
    lease.mkdir()
    folder.deliver({}, day=NEXT)
    with pytest.raises(
        WarehouseError, match=r"import of .* failed and version 1 stays current: .*; check .* permissions"
    ):
        folder.warehouse.import_delivery(NEXT, now=LATER)
    with pytest.raises(WarehouseError, match="publication of history failed and version 1 stays current"):
        folder.warehouse.publish({}, model_date=DAY)


def test_a_pointer_that_cannot_be_read_is_named(folder: Folder) -> None:
    pointer = folder.root / "warehouse" / "CURRENT"
    pointer.mkdir(parents=True)
    with pytest.raises(WarehouseError, match=r"CURRENT can't be read: .*; check the rights"):
        folder.warehouse.open()


def test_a_second_import_waits_for_the_first(folder: Folder) -> None:
    folder.deliver({})
    began, lease = Event(), folder.warehouse._versions.lease

    def hold() -> None:
        with lease("the import of yesterday", user="ann", now=NOW):
            began.set()
            ended.wait(0.3)

    ended = Event()
    holder = Thread(target=hold)
    holder.start()
    began.wait()
    with pytest.raises(WarehouseError, match=r"is under way after 0\.01 s; wait until it has ended"):
        folder.warehouse.publish({}, model_date=DAY, wait_s=0.01)
    assert folder.warehouse.import_delivery(DAY, now=NOW, wait_s=30).version == 1
    holder.join()


def test_the_versions_of_the_last_nights_are_kept_however_many_a_night_has(folder: Folder) -> None:
    warehouse = folder.configure(keep_versions=2)
    for step in range(3):
        folder.load(day=DAY + timedelta(days=step), now=NOW + timedelta(days=step))
        warehouse.publish({}, model_date=DAY + timedelta(days=step))
        warehouse.publish({}, model_date=DAY + timedelta(days=step))
    assert [info.import_date for info in warehouse.versions()] == [NEXT] * 3 + [NEXT + timedelta(days=1)] * 3


def test_what_a_killed_import_left_is_removed_by_the_next(folder: Folder) -> None:
    folder.load()
    warehouse = folder.root / "warehouse"
    (warehouse / "work").mkdir()
    (warehouse / "work" / "next.duckdb").write_text("half")
    (warehouse / "v000002.duckdb").write_text("built, never published")
    (warehouse / "events" / "day=2020-01-01").mkdir()
    (warehouse / "events" / "day=2020-01-01" / "v000002-1-0.parquet").write_text("never published")
    folder.load(day=NEXT, now=LATER)
    assert folder.warehouse.current == 2 and not (warehouse / "work").exists()
    assert not (warehouse / "events" / "day=2020-01-01").exists()


def test_time_travel_opens_the_last_version_of_a_day(folder: Folder) -> None:
    folder.load()
    folder.warehouse.publish({}, model_date=DAY)
    folder.load(day=NEXT + timedelta(days=1), now=LATER + timedelta(days=1))
    assert [(info.version, info.import_date) for info in folder.warehouse.versions()] == [
        (1, DAY),
        (2, DAY),
        (3, NEXT + timedelta(days=1)),
    ]
    with folder.warehouse.as_of(NEXT) as snapshot:
        assert snapshot.version == 2
    with pytest.raises(WarehouseError, match="the oldest that is kept is of 2026-11-23"):
        folder.warehouse.as_of(DAY - timedelta(days=1))
