"""A published file that is missing or damaged is named with a remedy, whoever comes upon it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import CUSTOMERS, DAY, NOW, TRANSACTIONS

from optinb.errors import WarehouseError

if TYPE_CHECKING:
    from pathlib import Path

    from small_deliveries import Folder

NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)
REMEDY = "restore it from a backup, or write the number of an older version into CURRENT"


def harm(path: Path, how: str) -> None:
    """Damages a file: gone, cut, overwritten with zeros, or with noise in its middle."""
    whole = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(whole[:-9])
        case "zeros":
            path.write_bytes(bytes(len(whole)))
        case "noise":
            path.write_bytes(whole[:20] + random.Random(1).randbytes(len(whole) - 40) + whole[-20:])


@pytest.mark.parametrize("how", ["gone", "cut", "zeros"])
def test_a_reader_is_told_which_parquet_file_is_damaged(folder: Folder, how: str) -> None:
    folder.load()
    folder.warehouse.publish({}, model_date=DAY, history=pl.DataFrame({"customer_id": ["007"], "stage": ["new"]}))
    with folder.warehouse.open() as snapshot:
        for name in ("transactions", "history"):
            path = snapshot.paths(name)[0]
            harm(path, how)
            with pytest.raises(WarehouseError, match=REMEDY) as caught:
                snapshot.history() if name == "history" else snapshot.scan(name)
            assert str(path) in str(caught.value)
        assert snapshot.scan("events").collect().height == 2


@pytest.mark.parametrize("how", ["gone", "cut", "zeros", "noise"])
def test_an_import_that_must_read_a_damaged_day_says_so_and_publishes_nothing(folder: Folder, how: str) -> None:
    folder.load()
    with folder.warehouse.open() as snapshot:
        for path in snapshot.paths("transactions"):
            harm(path, how)
    changed = TRANSACTIONS.replace("10.5", "11.5")
    with pytest.raises(WarehouseError, match=REMEDY):
        folder.load({"transactions.csv": changed}, day=NEXT, now=LATER)
    assert folder.warehouse.current == 1


@pytest.mark.parametrize("how", ["cut", "zeros", "noise"])
def test_a_damaged_version_is_named_by_readers_imports_and_models(folder: Folder, how: str) -> None:
    folder.load({"customers.csv": CUSTOMERS + "".join(f"c{i},2026-01-01,DE,pro,{i}\n" for i in range(20_000))})
    folder.load(day=NEXT, now=LATER)
    harm(folder.root / "warehouse" / "v000002.duckdb", how)
    with pytest.raises(WarehouseError, match=REMEDY):
        folder.warehouse.open().table("customers")
    with pytest.raises(WarehouseError, match=REMEDY):
        folder.load(day=NEXT + timedelta(days=1), now=LATER + timedelta(days=1))
    with pytest.raises(WarehouseError, match=REMEDY):
        folder.warehouse.publish({"features": pl.DataFrame({"customer_id": ["007"]})}, model_date=NEXT)
    (folder.root / "warehouse" / "CURRENT").write_text("1\n")
    assert folder.load(day=NEXT, now=LATER).version == 2
    with folder.warehouse.open() as snapshot:
        assert snapshot.table("customers").collect().height == 3


def test_a_damaged_old_version_stops_no_import_and_nothing_it_may_name_is_removed(folder: Folder) -> None:
    folder.configure(keep_versions=1)
    folder.load()
    reader = folder.warehouse.open()
    folder.load({"transactions.csv": TRANSACTIONS.replace("10.5", "11")}, day=NEXT, now=LATER)
    harm(folder.root / "warehouse" / "v000001.duckdb", "zeros")
    report = folder.load(day=NEXT + timedelta(days=1), now=LATER + timedelta(days=1))
    assert report.version == 3 and reader.scan("transactions").collect().height == 3
    reader.close()
