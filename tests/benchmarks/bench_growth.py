"""What the same night's import costs with ever more history in place.

    python tests/benchmarks/bench_growth.py [--history 0,100000000,300000000] [--customers 200000]
        [--app-users 300000] [--transactions 200000] [--changed 0] [--ids sequential random] [--runs 3] --folder DIR

For each kind of ids and each size of history a workspace is made: a first delivery of customers, then history of
200,000 transactions a day, which is written straight into the published layout (Parquet of two months by day and of
earlier ones by month, at most 4 M rows a file, and the index of ids), since importing it would take hours. Then
the same night is imported, in a process of its own, and the pointer is set back; `--runs` times, sizes taking turns.
All its transactions are new; with `--changed N` one in N has the id of a row of history, evenly over all of it,
and the days of these rows are written anew: then the cost is that of the days that the night changes.

Prints one JSON: for each kind of ids and size the processor seconds of all runs, their median, the peak memory in MB,
and `growth`: the median over that of the smallest history. The bar: 1.2. 300 M transactions take 12 to 20 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from deliveries import IDS, RUN_DATE, settings, usage, write
from msgspec.structs import replace

from optinb.warehouse import Warehouse, building
from optinb.warehouse.days import DayFile, scan_of
from optinb.warehouse.keyindex import KeyIndex
from optinb.warehouse.sql import connect
from optinb.warehouse.versions import Versions

PER_DAY = 200_000
PER_FILE = 4_000_000
FRESH_DAYS = 60
BEFORE = RUN_DATE - timedelta(days=1)


def make_workspace(root: Path, first: Path, *, rows: int, ids: str, customers: int) -> None:
    """A workspace with a delivery of customers on the day before, and `rows` of history."""
    _deliver(first, root, BEFORE)
    Warehouse(root, settings()).import_delivery(BEFORE, now=_three(BEFORE))
    versions = Versions(root / "warehouse")
    with versions.lease("history", user="", now=_three(BEFORE)), connect(scratch=versions.work) as con:
        building.attach(con, versions.path(1), "cur", read_only=True)
        contents = building.read_contents(con, "cur")
        index = KeyIndex(con, root=versions.folder, version=2, delivery=BEFORE)
        files: list[DayFile] = []
        runs: list[DayFile] = []
        for start, count, day, until in _files(rows):
            made = f"day={day}" if until is None else f"month={day:%Y-%m}"
            path = f"transactions/{made}/v000002-{len(files)}.parquet"
            (versions.folder / path).parent.mkdir(parents=True, exist_ok=True)
            con.execute(
                f"""COPY (SELECT {IDS[ids].format(i="i")} AS transaction_id,
                  'C' || lpad((hash(i) % {customers})::VARCHAR, 9, '0') AS customer_id,
                  DATE '{day}' + INTERVAL ((i - {start}) // {PER_DAY}) DAY + INTERVAL (i % 86400) SECOND AS occurred_at,
                  DATE '{day}' + ((i - {start}) // {PER_DAY})::INT AS day, (hash(i, 2) % 20000) / 100.0 AS amount,
                  'EUR' AS currency, (1 + hash(i, 3) % 3)::DOUBLE AS quantity,
                  'product-' || hash(i, 4) % 3000 AS product, 'category-' || hash(i, 5) % 40 AS category
                FROM range({start}, {start + count}) r(i)) TO '{versions.folder / path}' (FORMAT parquet)"""
            )
            size = (versions.folder / path).stat().st_size
            files.append(
                DayFile(table="transactions", day=day, path=path, rows=count, bytes=size, delivery=BEFORE, until=until)
            )
            runs, _ = index.add(runs, key="transaction_id", rows=scan_of(versions.folder, files[-1:]))
        built = versions.work / "next.duckdb"
        building.attach(con, built, "next", read_only=False)
        building.carry_over(con, without=())
        kept = tuple(file for file in contents.files if file.table not in ("transactions", "keys"))
        building.write_contents(con, replace(contents, version=2, files=(*kept, *files, *runs)))
        building.finish(con)
        versions.publish(built, 2)
        building.clean_up(con, versions, keep=1)


def _files(rows: int) -> list[tuple[int, int, date, date | None]]:
    """(first row, rows, day, last day) of every file, the newest rows on the day before the run."""
    days = [BEFORE - timedelta(days=i) for i in range(rows // PER_DAY)][::-1]
    fresh = days[-FRESH_DAYS:]
    files: list[tuple[int, int, date, date | None]] = []
    for number, day in enumerate(days):
        last = files[-1] if files else None
        if last and day not in fresh and day.month == last[2].month and last[1] + PER_DAY <= PER_FILE:
            files[-1] = (last[0], last[1] + PER_DAY, last[2], day)
        else:
            files.append((number * PER_DAY, PER_DAY, day, None))
    return files


def _deliver(files: Path, root: Path, day: date) -> None:
    inbox = root / "inbox" / day.isoformat()
    inbox.mkdir(parents=True)
    for file in files.iterdir():
        os.link(file, inbox / file.name)


def _three(day: date) -> datetime:
    return datetime.combine(day, time(3), UTC)


def _change(night: Path, *, one_in: int, rows: int, ids: str) -> None:
    """Gives one transaction in so many the id of a row of history."""
    path = night / "transactions.csv"
    with connect() as con:
        con.execute(f"CREATE TABLE t AS SELECT * FROM read_csv('{path}', all_varchar = true, header = true)")
        total = con.execute("SELECT count(*) FROM t").fetchall()[0][0]
        old = IDS[ids].format(i=f"(rowid * {rows // total})")
        con.execute(f"UPDATE t SET transaction_id = {old} WHERE rowid % {one_in} = 0")
        path.unlink()
        con.execute(f"COPY t TO '{path}' (HEADER)")


def measure(root: Path) -> dict[str, float]:
    """Imports the night in a process of its own, and sets the workspace back."""
    done = subprocess.run([sys.executable, __file__, "--one", str(root)], check=True, capture_output=True, text=True)
    (root / "warehouse" / "CURRENT").write_text("2\n")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", default="0,100000000,300000000")
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--app-users", type=int, default=300_000)
    parser.add_argument("--transactions", type=int, default=200_000)
    parser.add_argument("--changed", type=int, default=0)
    parser.add_argument("--ids", nargs="+", choices=list(IDS), default=list(IDS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        Warehouse(options.one, settings()).import_delivery(RUN_DATE, now=_three(RUN_DATE))
        print(json.dumps(usage()))
        return
    sizes = [int(size) for size in options.history.split(",")]
    people = {"customers": options.customers, "app_users": options.app_users}
    figures: dict[str, object] = {"sizes": people | {"transactions": options.transactions}, "changed": options.changed}
    for ids in options.ids:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            first, night = Path(folder) / "first", Path(folder) / "night"
            write(first, **people, transactions=0)
            write(night, **people, transactions=options.transactions, ids=ids)
            roots = {rows: Path(folder) / str(rows) for rows in sizes}
            for rows, root in roots.items():
                make_workspace(root, first, rows=rows, ids=ids, customers=options.customers)
                mine = root / "night"
                shutil.copytree(night, mine)
                if options.changed and rows:
                    _change(mine, one_in=options.changed, rows=rows, ids=ids)
                _deliver(mine, root, RUN_DATE)
            found: dict[int, list[dict[str, float]]] = {rows: [] for rows in sizes}
            for _ in range(options.runs):
                for rows, root in roots.items():
                    found[rows].append(measure(root))
        medians = {rows: statistics.median(run["processor_s"] for run in runs) for rows, runs in found.items()}
        figures[ids] = {
            rows: {
                "processor_s": [round(run["processor_s"], 2) for run in runs],
                "median_s": round(medians[rows], 2),
                "growth": round(medians[rows] / medians[sizes[0]], 2),
                "peak_mb": round(max(run["peak_mb"] for run in runs)),
            }
            for rows, runs in found.items()
        }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
