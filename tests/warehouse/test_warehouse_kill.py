"""A kill at any moment leaves one whole version, and the next import succeeds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import DAY, NOW, settings

if TYPE_CHECKING:
    from small_deliveries import Folder

# A long run: OPTINB_KILLS=100 pytest -m chaos tests/warehouse
KILLS = int(os.environ.get("OPTINB_KILLS", "4"))
IMPORT = """
import sys
from datetime import date, datetime
from pathlib import Path
import msgspec
from optinb.base.settings import Settings
from optinb.warehouse import Warehouse
import duckdb, numpy, polars, pyarrow.parquet
warehouse = Warehouse(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Settings))
for line in sys.stdin:
    day, now = line.split()
    print("began", flush=True)
    warehouse.import_delivery(date.fromisoformat(day), now=datetime.fromisoformat(now))
    print("done", flush=True)
"""


def rows(count: int, day: int) -> str:
    """`count` transactions of four months, two of them to be joined; one in four replaces one of the day before."""
    lines = [f"t{day * count * 3 // 4 + i},007,2026-{8 + i % 4:02}-{10 + (i + day) % 12},{day}," for i in range(count)]
    return "\n".join(["transaction_id,customer_id,occurred_at,amount,product", *lines])


@pytest.mark.chaos
@pytest.mark.timeout(300 + 15 * KILLS)
def test_a_kill_at_any_moment_leaves_one_whole_version_and_the_next_import_succeeds(folder: Folder) -> None:
    import msgspec

    chance = random.Random(20261123)
    count = 3000
    expected = {0: count}
    folder.load({"transactions.csv": rows(count, 0)})
    encoded = msgspec.json.encode(settings()).decode()
    took, landed = 0.5, 0
    for day in range(1, KILLS + 1):
        date, now = DAY + timedelta(days=day), NOW + timedelta(days=day)
        events = "customer_id,occurred_at,name,value,properties\n"
        folder.deliver({"transactions.csv": rows(count, day), "events.csv": events}, day=date)
        process = subprocess.Popen(
            [sys.executable, "-c", IMPORT, str(folder.root), encoded],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(f"{date} {now.isoformat()}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "began\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0, took))
            process.kill()
        before = folder.warehouse.current
        with folder.warehouse.open() as snapshot:
            assert snapshot.version == before
            last = (snapshot.import_date - DAY).days
            assert last in (day - 1, day)
            landed += last == day
            seen = snapshot.scan("transactions").select(pl.len(), pl.col("transaction_id").n_unique()).collect().row(0)
            assert seen == (expected.get(last) or count * (3 * last + 4) // 4,) * 2
        began = time.monotonic()
        report = folder.warehouse.import_delivery(date, now=now)
        took = took if report.unchanged else time.monotonic() - began
        assert report.unchanged == (last == day) and not (folder.root / "warehouse" / "work").exists()
    with folder.warehouse.open() as snapshot:
        frame = snapshot.scan("transactions").collect()
        named = {p for name in ("transactions", "events") for p in snapshot.paths(name)}
    assert frame.height == frame["transaction_id"].n_unique() == count * (3 * KILLS + 4) // 4
    assert all(path.is_file() for path in named) and landed < KILLS
    assert any("month=" in str(path) for path in named)
