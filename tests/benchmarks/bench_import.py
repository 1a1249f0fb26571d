"""What an import costs beside a bare typed load of the same files, in one run.

    python tests/benchmarks/bench_import.py [--customers 1000000] [--app-users 1500000] [--transactions 10000000]
        [--damaged 0] [--runs 3] [--folder DIR]

Each run is a process of its own, and the kinds take turns, since a machine is faster at one time than at another:

- `import`: `Warehouse.import_delivery` into a new workspace, with every check, quarantine, Parquet by day and index;
- `load`: DuckDB `CREATE TABLE … AS SELECT * FROM read_csv(…)` with all columns typed, into a database file;
- `load_in_memory`: the same into a database in memory, which is written nowhere.

Prints one JSON: of each kind the processor seconds of all its runs (with children), their median, and the peak memory
in MB; `ratio` and `ratio_in_memory` are medians of the import over those of the loads. The bar: a ratio of at most 2.0,
a peak of at most 2,000 MB. `--damaged N` leaves out the amount of one transaction in N.
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
from datetime import UTC, datetime, time
from pathlib import Path

import duckdb
from deliveries import RUN_DATE, TYPED, settings, usage, write

KINDS = ("import", "load", "load_in_memory")


def run_import(files: Path, work: Path) -> None:
    """Imports the delivery into a new workspace in `work`."""
    from optinb.warehouse import Warehouse

    inbox = work / "inbox" / RUN_DATE.isoformat()
    inbox.mkdir(parents=True)
    for file in files.iterdir():
        os.link(file, inbox / file.name)
    Warehouse(work, settings()).import_delivery(RUN_DATE, now=datetime.combine(RUN_DATE, time(3), UTC))


def run_load(files: Path, database: str) -> None:
    """Loads the files as they are into typed tables."""
    with duckdb.connect(database) as con:
        for table, types in TYPED.items():
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
            con.execute(
                f"CREATE TABLE {table} AS SELECT * FROM "
                f"read_csv('{files / table}.csv', header = true, columns = {{{columns}}})"
            )


def measure(kind: str, files: Path, work: Path) -> dict[str, float]:
    """Runs one kind in a process of its own."""
    work.mkdir()
    try:
        command = [sys.executable, __file__, "--one", kind, "--folder", str(files), "--work", str(work)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        shutil.rmtree(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--app-users", type=int, default=1_500_000)
    parser.add_argument("--transactions", type=int, default=10_000_000)
    parser.add_argument("--damaged", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where files are written; needs some gigabytes")
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        began = usage()["processor_s"]
        match options.one:
            case "import":
                run_import(options.folder, options.work)
            case "load":
                run_load(options.folder, str(options.work / "load.duckdb"))
            case _:
                run_load(options.folder, ":memory:")
        used = usage()
        print(json.dumps(used | {"processor_s": used["processor_s"] - began}))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        files = Path(root) / "files"
        sizes = {"customers": options.customers, "app_users": options.app_users, "transactions": options.transactions}
        write(files, **sizes, damaged=options.damaged)
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for _ in range(options.runs):
            for kind in KINDS:
                found[kind].append(measure(kind, files, Path(root) / "work"))
    medians = {kind: statistics.median(run["processor_s"] for run in runs) for kind, runs in found.items()}
    figures: dict[str, object] = {"sizes": sizes, "damaged": options.damaged, "duckdb": duckdb.__version__}
    for kind, runs in found.items():
        figures[kind] = {
            "processor_s": [round(run["processor_s"], 2) for run in runs],
            "median_s": round(medians[kind], 2),
            "peak_mb": round(max(run["peak_mb"] for run in runs)),
        }
    figures["ratio"] = round(medians["import"] / medians["load"], 2)
    figures["ratio_in_memory"] = round(medians["import"] / medians["load_in_memory"], 2)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
