"""Files that are still being written are waited for, and then stop the import."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from small_deliveries import DAY, FILES, NOW, TRANSACTIONS, Folder

from optinb.base.progress import quiet
from optinb.errors import GateError
from optinb.warehouse.settling import Look, Seen, Unsettled, finished_name, settle

if TYPE_CHECKING:
    from collections.abc import Callable

UNFINISHED = [
    ("transactions.csv.filepart", "transactions.csv"),
    ("transactions.csv.part", "transactions.csv"),
    ("Customers.CSV.Part", "Customers.CSV"),
    ("customers.csv.gz.part", "customers.csv.gz"),
    ("customers.csv.gz.tmp", "customers.csv.gz"),
    ("events.ndjson.crdownload", "events.ndjson"),
    ("customers-1.parquet.partial", "customers-1.parquet"),
    ("app_users.csv.download", "app_users.csv"),
    ("app_users.csv~", "app_users.csv"),
    ("transactions.tmp", "transactions"),
    (".customers.csv.part", "customers.csv"),
    (".customers.csv.Xa3k9Q", "customers.csv"),
]
OTHERS = [
    "customers.csv",
    "customers-part1.csv",
    "notes.tmp",
    "customers_old.csv.tmp",
    "customers.csv.bak",
    ".DS_Store",
]


@pytest.mark.parametrize(("name", "whole"), UNFINISHED)
def test_a_tables_name_with_the_ending_of_a_transfer_is_unfinished(name: str, whole: str) -> None:
    assert finished_name(name) == whole


@pytest.mark.parametrize("name", OTHERS)
def test_whole_files_and_names_of_no_table_are_not(name: str) -> None:
    assert finished_name(name) is None


class Pretended:
    """A folder and a clock that a test moves: `at` seconds after the start, what the folder holds then."""

    def __init__(self, looks: Callable[[float], Look]) -> None:
        self.clock, self.waits = 1000.0, 0
        self._looks = looks
        self.told: list[str] = []

    def now(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds
        self.waits += 1

    def settle(self, *, limit_s: float = 20.0) -> tuple[Unsettled, ...]:
        def on_progress(_done: int, what: str = "", /) -> None:
            self.told.append(what)

        return settle(
            lambda: self._looks(self.clock - 1000.0),
            limit_s=limit_s,
            on_progress=on_progress,
            now=self.now,
            sleep=self.sleep,
        )


def test_whole_files_of_some_time_ago_cost_no_pause() -> None:
    folder = Pretended(lambda _: {"customers.csv": Seen(10, 999.5)})
    assert folder.settle() == ()
    assert folder.waits == 0


def test_a_file_that_was_written_this_moment_costs_one_short_look() -> None:
    folder = Pretended(lambda _: {"customers.csv": Seen(10, 999.95)})
    assert folder.settle() == ()
    assert folder.waits == 1 and folder.clock < 1000.3


def test_a_file_that_grows_is_waited_for_until_it_is_still() -> None:
    folder = Pretended(lambda at: {"customers.csv": Seen(int(min(at, 5) * 10), 1000 + min(at, 5))})
    assert folder.settle() == ()
    assert 7 <= folder.clock - 1000 < 8
    assert "waiting for customers.csv" in folder.told


def test_a_file_that_never_stops_growing_is_told_after_the_limit() -> None:
    folder = Pretended(lambda at: {"customers.csv": Seen(int(at * 10), 1000 + at)})
    (left,) = folder.settle()
    assert left.name == "customers.csv" and 20 <= left.waited_s < 21


def test_a_transfer_that_ends_while_it_is_waited_for_is_no_more_unfinished() -> None:
    def look(at: float) -> Look:
        return {"customers.csv.part" if at < 4 else "customers.csv": Seen(int(min(at, 4) * 9), 1000 + min(at, 4))}

    folder = Pretended(look)
    assert folder.settle() == ()
    assert folder.clock - 1000 < 8


def test_a_transfer_that_does_not_end_is_told_after_the_limit() -> None:
    folder = Pretended(lambda _: {"customers.csv.part": Seen(10, 999.0), "app_users.csv": Seen(3, 0.0)})
    assert folder.settle() == (Unsettled("customers.csv.part", waited_s=19.0),)


def test_what_a_transfer_left_hours_ago_is_told_at_once() -> None:
    folder = Pretended(lambda _: {"customers.csv.part": Seen(10, 0.0)})
    assert folder.settle() == (Unsettled("customers.csv.part", waited_s=0.0),)
    assert folder.waits == 0


def test_without_patience_nothing_is_waited_for() -> None:
    folder = Pretended(lambda _: {"customers.csv": Seen(10, 1000.0), "events.csv.tmp": Seen(10, 1000.0)})
    assert folder.settle(limit_s=0) == (Unsettled("events.csv.tmp", waited_s=0.0),)
    assert folder.waits == 0


def old(folder: Folder, *names: str) -> None:
    for name in names:
        os.utime(folder.root / "inbox" / DAY.isoformat() / name, (0, 0))


def test_an_unfinished_file_blocks_and_the_text_names_it_and_the_remedy(folder: Folder) -> None:
    files = {name: text for name, text in FILES.items() if name != "transactions.csv"}
    folder.deliver({**files, "transactions.csv.filepart": TRANSACTIONS[:40]}, base=False)
    with pytest.raises(GateError, match=r"transactions\.csv\.filepart is still being written") as error:
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert "settle_seconds" in str(error.value) and "delete it and send the file again" in str(error.value)
    assert folder.warehouse.current is None


def test_the_check_of_a_folder_tells_of_an_unfinished_file_too(folder: Folder) -> None:
    home = folder.deliver({"events.csv.gz.part": b"x"})
    report, _ = folder.warehouse.check(home, run_date=DAY, now=NOW)
    assert [gate.table for gate in report.gates if not gate.passed] == ["events.csv.gz.part"]
    assert not any("ignored" in warning for warning in report.warnings)


def test_a_delivery_beside_an_unfinished_file_can_be_accepted_and_is_then_unchanged(folder: Folder) -> None:
    folder.deliver({"events-2.csv.tmp": "x"})
    report = folder.warehouse.import_delivery(DAY, now=NOW, accept_anyway="the transfer of last week", user="ann")
    assert report.accepted_because == "the transfer of last week"
    assert folder.warehouse.import_delivery(DAY, now=NOW).unchanged


def test_an_import_waits_for_a_file_that_takes_its_whole_name(folder: Folder) -> None:
    folder.configure(settle_seconds=30.0)
    home = folder.deliver({"customers-2.csv.part": "customer_id,registered_at\n010,2026-01-01\n"})
    finish = threading.Timer(1.0, lambda: (home / "customers-2.csv.part").rename(home / "customers-2.csv"))
    finish.start()
    assert folder.warehouse.import_delivery(DAY, now=NOW).table("customers").loaded == 4


def test_an_import_reads_a_file_to_its_end_that_grows_while_it_looks(folder: Folder) -> None:
    folder.configure(settle_seconds=30.0)
    home = folder.deliver({"transactions.csv": "transaction_id,customer_id,occurred_at,amount\n"})

    def write() -> None:
        with (home / "transactions.csv").open("a") as stream:
            for n in range(15):
                stream.write(f"g{n},007,2026-11-20T10:00:00,1\n")
                stream.flush()
                time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    assert folder.warehouse.import_delivery(DAY, now=NOW).table("transactions").loaded == 15
    writer.join()


def test_a_file_that_changes_while_it_is_read_is_read_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two bursts of a slow sender nothing grows: the second look comes once the files were read."""
    from optinb.warehouse import importing

    folder.configure(settle_seconds=30.0)
    home = folder.deliver({})
    old(folder, *FILES)
    reads: list[int] = []
    real = importing.digest

    def slow(*args: object, **kw: object) -> str:
        found = real(*args, **kw)  # pyright: ignore[reportArgumentType]
        reads.append(len(reads))
        if len(reads) == 1:
            with (home / "transactions.csv").open("a") as stream:
                stream.write("t9,007,2026-11-20T10:00:00,1,hat\n")
        return found

    monkeypatch.setattr(importing, "digest", slow)
    assert folder.warehouse.import_delivery(DAY, now=NOW).table("transactions").loaded == 4
    assert len(reads) == 2
    assert folder.warehouse.import_delivery(DAY, now=NOW).unchanged


def test_a_file_that_comes_while_the_others_are_read_blocks_without_patience(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optinb.warehouse import importing

    home = folder.deliver({})
    real = importing.digest

    def slow(*args: object, **kw: object) -> str:
        (home / "customers-2.csv").write_text("customer_id,registered_at\n010,2026-01-01\n")
        return real(*args, **kw)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(importing, "digest", slow)
    with pytest.raises(GateError, match=r"customers-2\.csv was changed while the delivery was read"):
        folder.warehouse.import_delivery(DAY, now=NOW)
    assert folder.warehouse.current is None


def test_complete_files_of_this_moment_are_imported_without_a_noticeable_delay(folder: Folder) -> None:
    folder.configure(settle_seconds=20.0)
    folder.deliver({})
    written, began = Seen(1, time.time()), time.monotonic()
    assert settle(lambda: {"customers.csv": written}, limit_s=20.0, on_progress=quiet) == ()
    assert time.monotonic() - began < 1
    assert folder.warehouse.import_delivery(DAY, now=NOW).version == 1
