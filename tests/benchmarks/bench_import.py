"""What an import costs beside a bare typed load of the same files, in one run.

    python tests/benchmarks/bench_import.py [--customers 1000000] [--app-users 1500000] [--transactions 10000000]
        [--events 3000000] [--damaged 0] [--runs 3] [--folder DIR] [--before DIR]

Customers and transactions are CSV, app users Parquet, events lines of JSON.

Each run is a process of its own, and the kinds take turns, since a machine is faster at one time than at another:

- `import`: `Warehouse.import_delivery` into a new workspace, with every check, quarantine, Parquet by day and index;
- `load`: DuckDB `CREATE TABLE … AS SELECT * FROM read_csv(…)` with all columns typed, into a database file;
- `load_in_memory`: the same into a database in memory, which is written nowhere.

Prints one JSON: of each kind the processor seconds of all its runs (with children), their median, and the peak memory
in MB; `ratio` and `ratio_in_memory` are medians of the import over those of the loads. The bar: a ratio of at most 2.0,
a peak of at most 2,000 MB. `--damaged N` leaves out the amount of one transaction in N.

`--before DIR` compares with an earlier checkout in DIR instead: five pairs (`--runs`) of the second night's import in a
workspace of two, now and before by turns. Prints the processor seconds of both and `ratio`, the median of the pairs'
ratios. The bar for what checks more: at most 1.05.
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
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import duckdb
from deliveries import RUN_DATE, TYPED, settings, usage, write

KINDS = ("import", "load", "load_in_memory")
PARQUET = ("app_users",)


def run_import(files: Path, work: Path, *, night: int = 0) -> None:
    """Imports a delivery into a workspace in `work`."""
    from optinb.warehouse import Warehouse

    day = RUN_DATE + timedelta(days=night)
    inbox = work / "inbox" / day.isoformat()
    inbox.mkdir(parents=True)
    for file in files.iterdir():
        os.link(file, inbox / file.name)
    Warehouse(work, settings()).import_delivery(day, now=datetime.combine(day, time(3), UTC))


def run_load(files: Path, database: str) -> None:
    """Loads the files as they are into typed tables."""
    with duckdb.connect(database) as con:
        for table, types in TYPED.items():
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
            cast = ", ".join(f"{name}::{kind} AS {name}" for name, kind in types.items())
            for file in files.glob(f"{table}.*"):
                query = {
                    ".csv": f"SELECT * FROM read_csv('{file}', header = true, columns = {{{columns}}})",
                    ".ndjson": f"SELECT * FROM read_ndjson('{file}', columns = {{{columns}}})",
                    ".parquet": f"SELECT {cast} FROM read_parquet('{file}')",
                }[file.suffix]
                con.execute(f"CREATE TABLE {table} AS {query}")


def measure(kind: str, files: Path, work: Path, *, code: Path | None = None) -> dict[str, float]:
    """Runs one kind in a process of its own, with the code of a checkout."""
    work.mkdir()
    environment = os.environ if code is None else {**os.environ, "PYTHONPATH": str(code)}
    try:
        command = [sys.executable, __file__, "--one", kind, "--folder", str(files), "--work", str(work)]
        return json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        )
    finally:
        shutil.rmtree(work)


def compare(options: argparse.Namespace, root: Path) -> dict[str, object]:
    """Now and before by turns, in pairs."""
    for night in (0, 1):
        write(root / "files" / str(night), **_sizes(options), night=night, parquet=PARQUET)
    codes = {"now": Path(__file__).resolve().parents[2], "before": options.before.resolve()}
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    peaks: dict[str, float] = dict.fromkeys(codes, 0)
    for pair in range(options.runs):
        # Who comes first changes, since a machine that is warm is another one.
        for name in sorted(codes, reverse=pair % 2 == 1):
            run = measure("second_import", root / "files", root / "work", code=codes[name])
            seconds[name].append(round(run["processor_s"], 2))
            peaks[name] = max(peaks[name], round(run["peak_mb"]))
    ratios = [now / before for now, before in zip(seconds["now"], seconds["before"], strict=True)]
    return {"processor_s": seconds, "peak_mb": peaks, "ratio": round(statistics.median(ratios), 3)}


def _sizes(options: argparse.Namespace) -> dict[str, int]:
    return {name: getattr(options, name) for name in ("customers", "app_users", "transactions", "events")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--app-users", type=int, default=1_500_000)
    parser.add_argument("--transactions", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--damaged", type=int, default=0)
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--before", type=Path, default=None, help="an earlier checkout to compare with")
    parser.add_argument("--folder", type=Path, default=None, help="where files are written; needs some gigabytes")
    parser.add_argument("--one", choices=(*KINDS, "second_import"), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.runs = options.runs or (5 if options.before else 3)
    if options.one:
        if options.one == "second_import":
            run_import(options.folder / "0", options.work)
        began = usage()["processor_s"]
        match options.one:
            case "import":
                run_import(options.folder, options.work)
            case "second_import":
                run_import(options.folder / "1", options.work, night=1)
            case "load":
                run_load(options.folder, str(options.work / "load.duckdb"))
            case _:
                run_load(options.folder, ":memory:")
        used = usage()
        print(json.dumps(used | {"processor_s": used["processor_s"] - began}))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        files, sizes = Path(root) / "files", _sizes(options)
        if options.before:
            print(json.dumps({"sizes": sizes, **compare(options, Path(root))}, indent=1))
            return
        write(files, **sizes, damaged=options.damaged, parquet=PARQUET)
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
