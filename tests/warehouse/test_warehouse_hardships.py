"""Damaged Parquet files, a full disk, and several imports at once: a named error or a good import, nothing between."""

from __future__ import annotations

import io
import os
import random
import resource
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pyarrow.parquet as pq
import pytest
from small_deliveries import DAY, NOW, Folder, settings

from optinb.errors import GateError, WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A long run: OPTINB_DAMAGES=500 pytest tests/warehouse/test_warehouse_hardships.py
DAMAGES = int(os.environ.get("OPTINB_DAMAGES", "8"))
NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)
IMPORT = """
import sys
from datetime import date, datetime
from pathlib import Path
import msgspec
from optinb.errors import WarehouseError
from optinb.base.settings import Settings
from optinb.warehouse import Warehouse
warehouse = Warehouse(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Settings))
day, now = date.fromisoformat(sys.argv[3]), datetime.fromisoformat(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
try:
    report = warehouse.import_delivery(day, now=now, user="ann", wait_s=float(sys.argv[5]))
    print("unchanged" if report.unchanged else "published", report.version)
except WarehouseError as error:
    print(error)
"""


def parquet_files() -> list[bytes]:
    """Small files of several writers and compressions, with plain, nested and null values."""
    rows = 60
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(rows)],
            "registered_at": [datetime(2026, 1, 1 + i % 28) for i in range(rows)],  # noqa: DTZ001
            "plan": ["pro", "free", None] * (rows // 3),
            "score": [i / 7 for i in range(rows)],
            "tags": [["a", "b"], [], None] * (rows // 3),
        }
    )
    made = []
    for compression in ("snappy", "none", "gzip"):
        out = io.BytesIO()
        pq.write_table(frame.to_arrow(), out, compression=compression)
        made.append(out.getvalue())
    out = io.BytesIO()
    frame.write_parquet(out)
    return [*made, out.getvalue()]


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """Bytes flipped anywhere or in the footer, cut short, or overwritten with zeros."""
    data, size = bytearray(whole), len(whole)
    footer = size - 8 - int.from_bytes(whole[-8:-4], "little")
    match chance.randrange(4):
        case 0:
            for _ in range(chance.choice([1, 3, 20])):
                data[chance.randrange(size)] = chance.randrange(256)
        case 1:
            for _ in range(chance.choice([1, 2, 5])):
                data[chance.randrange(footer, size)] = chance.randrange(256)
        case 2:
            data = data[: chance.randrange(size)]
        case _:
            start = chance.randrange(size)
            end = min(size, start + chance.randrange(400))
            data[start:end] = bytes(end - start)
    return bytes(data)


def test_any_damage_to_a_parquet_file_ends_in_a_named_gate_or_a_good_import(tmp_path: Path) -> None:
    chance, files, refused = random.Random(20261123), parquet_files(), 0
    for number in range(DAMAGES):
        root = tmp_path / str(number)
        root.mkdir()
        folder = Folder(root)
        folder.configure(required=("customers",))
        try:
            report = folder.load({"customers.parquet": damaged(chance.choice(files), chance)}, base=False)
        except GateError as error:
            refused += 1
            assert "customers.parquet can't be read: it" in str(error) and folder.warehouse.current is None
            continue
        table = report.table("customers")
        assert table.read == table.loaded + table.quarantined
        with folder.warehouse.open() as snapshot:
            assert snapshot.table("customers").collect().height == table.loaded
    assert refused > 0


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [2_000, 800_000])
def test_a_full_disk_leaves_the_old_version_whole_and_the_next_import_succeeds(folder: Folder, size: int) -> None:
    folder.load()
    rows = "".join(f"t{i},007,2026-11-{1 + i % 20:02},{i},p{i * 7919 % 100003}\n" for i in range(40_000))
    refused = "".join(f"b{i},never{i * 7919},DE,,\n" for i in range(4_000))
    head, people = "transaction_id,customer_id,occurred_at,amount,product\n", "customer_id,registered_at,country,b,c\n"
    folder.deliver(
        {"transactions.csv": head + rows, "customers.csv": f"{people}007,2026-01-01,,,\n{refused}"}, day=NEXT
    )
    with (
        files_of_at_most(size),
        pytest.raises(WarehouseError, match=r"version 1 stays current.*File too large; check free disk space"),
    ):
        folder.warehouse.import_delivery(NEXT, now=LATER)
    with folder.warehouse.open() as snapshot:
        assert snapshot.version == 1 and snapshot.scan("transactions").collect().height == 3
    assert not [path for path in folder.root.rglob("*") if "unfinished" in path.name or path.name == "work"]
    assert folder.warehouse.import_delivery(NEXT, now=LATER).table("transactions").loaded == 40_000


@pytest.mark.parametrize("wait_s", [0, 60])
def test_of_three_imports_at_once_one_publishes_and_the_others_wait_or_say_who_does(
    folder: Folder, wait_s: float
) -> None:
    many = "".join(f"m{i},2026-01-01,DE,pro,{i}\n" for i in range(20_000))
    folder.deliver({"customers.csv": f"customer_id,registered_at,country,plan,visits\n{many}"})
    arguments = [str(folder.root), msgspec.json.encode(settings()).decode(), str(DAY), NOW.isoformat(), str(wait_s)]
    imports = [
        subprocess.Popen(
            [sys.executable, "-c", IMPORT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in imports:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in imports:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=120)[0].strip() for process in imports)
    assert said.count("published 1") == 1 and folder.warehouse.current == 1
    others = [text for text in said if text != "published 1"]
    if wait_s:
        assert others == ["unchanged 1", "unchanged 1"]
    else:
        assert all(text == "unchanged 1" or "by ann (process" in text for text in others), others


READ = """
import sys
from datetime import date
from pathlib import Path
import msgspec
import polars as pl
from optinb.base.settings import Settings
from optinb.warehouse import Warehouse
warehouse = Warehouse(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Settings))
print("ready", flush=True)
seen, last = 0, 0
while last < int(sys.argv[3]):
    with warehouse.open() as snapshot:
        last = snapshot.version
        for _ in range(2):
            night = snapshot.table("customers").select(pl.col("visits").unique()).collect()["visits"].to_list()
            rows = snapshot.scan("transactions").select(pl.len(), pl.col("transaction_id").n_unique()).collect().row(0)
            assert night == [last] and rows == (2 + last, 2 + last), (last, night, rows)
    seen += 1
print(seen)
"""


def test_notebooks_read_whole_versions_while_nights_are_imported(folder: Folder) -> None:
    def night(number: int) -> None:
        people = "".join(f"{name},2026-01-05,{number}\n" for name in ("007", "008", "009"))
        rows = f"a,007,2026-11-20,{number}\nb,007,2026-11-21,{number}\nn{number},007,2026-11-20,{number}\n"
        day = timedelta(days=number)
        folder.load(
            {
                "customers.csv": f"customer_id,registered_at,visits\n{people}",
                "transactions.csv": "transaction_id,customer_id,occurred_at,amount\n" + rows,
                "events.csv": "customer_id,occurred_at,name\n",
            },
            day=DAY + day,
            now=NOW + day,
        )

    folder.configure(keep_versions=1)
    night(1)
    arguments = [str(folder.root), msgspec.json.encode(settings()).decode(), "5"]
    readers = [
        subprocess.Popen([sys.executable, "-c", READ, *arguments], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for reader in readers:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
    for number in range(2, 6):
        night(number)
    for reader in readers:
        said, _ = reader.communicate(timeout=120)
        assert reader.returncode == 0 and int(said) >= 1


def test_a_folder_that_duckdb_cannot_write_to_is_named(tmp_path: Path) -> None:
    root = tmp_path / "what?"
    root.mkdir()
    with pytest.raises(WarehouseError, match=r"rename the folder that has a \? in its name"):
        Folder(root).load()
