"""What a preview costs in a notebook, beside a bare Polars count of the same customers.

    python tests/benchmarks/bench_preview.py [--customers 5000000] [--transactions 50000000] [--runs 3] [--folder DIR]

A real workspace: customers and app users are imported, and purchases of the last days (200,000 a day) written straight
into the published layout. Two things are measured, each in processes of their own:

- `attributes`: one process, as a notebook's kernel is. After a first preview, which looks everybody up, twenty
  different rules about attributes are previewed, and counted by Polars alone on the same frame in memory. Medians of
  wall and processor milliseconds (bar: below 100 warm), the slowest, and the memory that previews keep in MB.
- each rule about behaviour: previewed in a new process, from opening the workspace to the result (`whole_s`, with
  everybody looked up), and with everybody looked up before (`preview_s`; bar: `s_a_million` below 1, of the whole),
  beside the best Polars query for its members, counted, in a process of its own (`count_s`).

Prints one JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from bench_growth import BEFORE, PER_DAY, make_workspace
from deliveries import settings, usage, write

from optinb.rules import attr, did
from optinb.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.rules import Rule
    from optinb.warehouse import Snapshot

c = pl.col
BEHAVIOURS: dict[str, Rule] = {
    "bought": did("purchase").within(days=60),
    "lapsed": (attr("country") == "DE") & did("purchase").at_least(2) & ~did("purchase").within(days=60),
    "quiet": ~did("purchase").within(days=180),
    "spent": (attr("gender") == "f") & (did("purchase").within(days=90).total("amount") >= 100),
}


def hand(name: str, snapshot: Snapshot) -> pl.LazyFrame:
    """The best query that we know for the members of a rule; `customers` are read from the version."""
    people = snapshot.table("customers")

    def since(days: int) -> pl.LazyFrame:
        first = BEFORE - timedelta(days=days)
        return snapshot.scan("transactions", since=first).filter(c("amount") > 0, c("day") >= first)

    match name:
        case "bought":
            return people.join(since(60), on="customer_id", how="semi")
        case "quiet":
            return people.join(since(180), on="customer_id", how="anti")
        case "lapsed":
            wanted = people.filter(c("country") == "DE").select("customer_id")
            recent = (c("day") >= BEFORE - timedelta(days=60)).sum()
            rows = since(3650).join(wanted, on="customer_id", how="semi").group_by("customer_id")
            return rows.agg(n=pl.len(), recent=recent).filter((c("n") >= 2) & (c("recent") == 0))
        case _:
            wanted = people.filter(c("gender") == "f").select("customer_id")
            spent = since(90).join(wanted, on="customer_id", how="semi").group_by("customer_id")
            return spent.agg(c("amount").sum()).filter(c("amount") >= 100)


def attribute_rules() -> list[tuple[Rule, pl.Expr]]:
    """Rules about attributes, each with the condition that Polars counts."""
    found: list[tuple[Rule, pl.Expr]] = []
    for n, (country, plan) in enumerate((country, plan) for country in ("DE", "FR") for plan in ("free", "pro")):
        both = attr("country") == country, c("country") == country
        found += [
            both,
            (attr("visits") >= 10 + n, c("visits") >= 10 + n),
            (both[0] & attr("visits").between(n, 30), both[1] & c("visits").is_between(n, 30)),
            (attr("plan").one_of([plan, "team"]) | both[0], c("plan").is_in([plan, "team"]) | both[1]),
            (~both[0] & ~(attr("gender") == "f"), ~both[1] & ~(c("gender") == "f").fill_null(False)),
        ]
    return found


def resident_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024


def took(make: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    make()
    return time.perf_counter() - wall, time.process_time() - processor


def opened(root: Path) -> Workspace:
    return Workspace(root, settings(), user="bench", clock=lambda: datetime.combine(BEFORE, datetime.min.time(), UTC))


def attributes(root: Path) -> dict[str, float]:
    """The attribute rules in one process."""
    with opened(root) as ws:
        first = took(lambda: ws.preview(attr("country") == "GB", app_group="Shop"))
        gc.collect()
        people, kept = ws.customers().collect(), resident_mb()
        ours, bare = [], []
        for rule, condition in attribute_rules():
            found: list[int] = []
            ours.append(took(lambda rule=rule, found=found: found.append(ws.preview(rule, app_group="Shop").customers)))
            count = people.lazy().filter(condition).select(pl.len())
            bare.append(took(lambda count=count, found=found: found.append(count.collect().item())))
            assert found[0] == found[1], rule
        figures = {"first_s": first[0], "first_processor_s": first[1], "resident_mb": kept}
        figures["customers_mb"] = people.estimated_size() / 2**20
        for kind, runs in (("preview", ours), ("count", bare)):
            for at, what in enumerate(("ms", "processor_ms")):
                figures[f"{kind}_{what}"] = 1000 * statistics.median(run[at] for run in runs)
            figures[f"{kind}_slowest_ms"] = 1000 * max(run[0] for run in runs)
        return figures


def behaviour(root: Path, name: str, *, is_warm: bool) -> dict[str, float]:
    """One preview of a behaviour in a new process."""
    began = time.perf_counter(), time.process_time()
    with opened(root) as ws:
        if is_warm:
            ws.preview(attr("country") == "GB", app_group="Shop")
            began = time.perf_counter(), time.process_time()
        found = ws.preview(BEHAVIOURS[name], app_group="Shop").customers
        wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    return {"members": found, "s": wall, "processor_s": processor, "peak_mb": usage()["peak_mb"]}


def count(root: Path, name: str) -> dict[str, float]:
    """The same members, counted by a query written by hand."""
    with opened(root) as ws:
        snapshot, found = ws.snapshot(), []
        query = hand(name, snapshot).select(pl.len())
        wall, processor = took(lambda: found.append(query.collect(engine="streaming").item()))
    return {"members": found[0], "s": wall, "processor_s": processor, "peak_mb": usage()["peak_mb"]}


def run_one(kind: str, name: str, root: Path) -> dict[str, float]:
    match kind:
        case "attributes":
            return attributes(root)
        case "count":
            return count(root, name)
        case _:
            return behaviour(root, name, is_warm=kind == "preview")


def measure(root: Path, kind: str, name: str = "") -> dict[str, float]:
    """Runs one kind in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, "--name", name, "--folder", str(root)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(root: Path, customers: int, runs: int) -> dict[str, object]:
    """All figures, of several runs the median; the kinds take turns."""
    measured = [measure(root, "attributes") for _ in range(runs)]
    figures: dict[str, object] = {
        "polars": pl.__version__,
        "customers": customers,
        "attributes": {key: round(statistics.median(run[key] for run in measured), 1) for key in measured[0]},
    }
    for name in BEHAVIOURS:
        one = partial(measure, root, name=name)
        found = [{kind: one(kind) for kind in ("whole", "preview", "count")} for _ in range(runs)]
        counts = {run[kind]["members"] for run in found for kind in run}
        assert max(counts) - min(counts) <= max(counts) / 10_000, (name, counts)
        told: dict[str, float] = {"members": found[0]["whole"]["members"]}
        for kind in ("whole", "preview", "count"):
            for what in ("s", "processor_s", "peak_mb"):
                told[f"{kind}_{what}"] = round(statistics.median(run[kind][what] for run in found), 2)
        told["s_a_million"] = round(told["whole_s"] / (customers / 1e6), 2)
        figures[name] = told
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--transactions", type=int, default=50_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the workspace lies, or is made; needs eight gigabytes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run_one(given.one, given.name, given.folder)))
        return
    with tempfile.TemporaryDirectory() as made:
        root = given.folder or Path(made) / "workspace"
        if not (root / "warehouse").exists():
            with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
                first, people = Path(scratch) / "first", given.customers
                write(first, customers=people, app_users=people * 5 // 4, transactions=0)
                rows = max(given.transactions // PER_DAY, 1) * PER_DAY
                make_workspace(root, first, rows=rows, ids="sequential", customers=people)
        print(json.dumps(report(root, given.customers, given.runs), indent=1))


if __name__ == "__main__":
    main()
