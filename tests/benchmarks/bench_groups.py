"""What target groups cost beside the best hand-written Polars query for each, and fifty beside one, in one run.

    python tests/benchmarks/bench_groups.py [--customers 5000000] [--transactions 50000000] [--runs 3] [--folder DIR]
        [--only rules|groups]

Customers as one Parquet file, transactions as one file a day over two years. Each run is a process of its own, and the
kinds take turns, since a machine is faster at one time than at another:

- `ours`: the rule, compiled;
- `hand`: the best Polars query that we know for the rule, written by hand;
- `naive`: all history grouped by customer, everything joined, and filtered at the end;
- `one` / `fifty`: each of some groups alone, and fifty groups of one night in `members_of_all`.

Prints one JSON: of each kind the median of processor seconds and the peak memory in MB; of each rule `to_hand` (the
bar: at most 1.15) and `to_naive` (at most 0.5 where something can be pushed down); `fifty_to_one` (below 10, against
the median of the groups run alone); `plan_ms`, what a plan costs over its Polars query (below 5).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import narwhals as nw
import numpy as np
import polars as pl
from deliveries import usage

from optinb.engine import Tables
from optinb.rules import Rule, attr, did
from optinb.segments import members, members_of_all

RUN = date(2026, 11, 23)
DAYS = 730
CATEGORIES = ["BABY", "TOY", "FOOD", "HOME", "BOOKS", "SPORT", "GARDEN", "PETS", None]
c = pl.col
ID = "customer_id"
RULES: dict[str, Rule] = {
    "lapsed": (attr("country") == "DE")
    & did("purchase").at_least(2).within(days=365)
    & ~did("purchase").within(days=60),
    "quiet": ~did("purchase").within(days=180),
    "baby": (attr("gender") == "f")
    & attr("country").one_of(["DE", "AT"])
    & (did("purchase").where(attr("category") == "BABY").within(days=90).total("amount") >= 100),
    "gold": attr("loyalty").one_of(["gold", "platinum"]) & (did("purchase").within(days=365).total("amount") >= 200),
    "either": (attr("loyalty") == "platinum") | did("purchase").at_least(5).within(days=90),
}


def paths(folder: Path, first: date | None) -> list[Path]:
    days = DAYS if first is None else min(DAYS, (RUN - first).days + 1)
    return [folder / "transactions" / f"day={RUN - timedelta(days=i)}" / "v000001-1.parquet" for i in range(days)]


def rows(folder: Path, days: int | None) -> pl.LazyFrame:
    """The purchases of the last days."""
    first = None if days is None else RUN - timedelta(days=days)
    return pl.scan_parquet(paths(folder, first), glob=False, hive_partitioning=False).filter(c("amount") > 0)


def tables(folder: Path) -> Tables:
    """What rules read, with whole files of other days left out, as from a published version."""

    def of_days(table: str, first: date | None, last: date | None) -> nw.LazyFrame:
        return nw.from_native(rows(folder, None if first is None else (RUN - first).days))

    nothing = nw.from_native(pl.LazyFrame(schema={ID: pl.String, "day": pl.Date, "name": pl.String}))
    return Tables(
        customers=nw.from_native(pl.scan_parquet(folder / "customers.parquet")),
        purchases=of_days("purchases", None, None),
        events=nothing,
        app_users=nothing,
        event_names=frozenset,
        run_date=RUN,
        zone=ZoneInfo("UTC"),
        of_days=of_days,
    )


def hand(name: str, folder: Path) -> pl.LazyFrame:
    """The best query for a rule that we know."""
    people, since = pl.scan_parquet(folder / "customers.parquet"), partial(rows, folder)
    match name:
        case "lapsed":
            wanted = people.filter(c("country") == "DE").select(ID)
            recent = (c("day") >= RUN - timedelta(days=60)).sum()
            grouped = since(365).join(wanted, on=ID, how="semi").group_by(ID).agg(n=pl.len(), recent=recent)
            return grouped.filter((c("n") >= 2) & (c("recent") == 0)).select(ID)
        case "quiet":
            return people.select(ID).join(since(180).select(ID), on=ID, how="anti")
        case "baby":
            spent = since(90).filter(c("category") == "BABY").group_by(ID).agg(c("amount").sum())
            wanted = people.filter((c("gender") == "f") & c("country").is_in(["DE", "AT"])).select(ID)
            return wanted.join(spent.filter(c("amount") >= 100), on=ID, how="semi")
        case "gold":
            wanted = people.filter(c("loyalty").is_in(["gold", "platinum"])).select(ID)
            spent = since(365).join(wanted, on=ID, how="semi").group_by(ID).agg(c("amount").sum())
            return spent.filter(c("amount") >= 200).select(ID)
        case _:
            often = since(90).group_by(ID).len().filter(c("len") >= 5).select(ID, often=pl.lit(True))
            found = people.select(ID, "loyalty").join(often, on=ID, how="left")
            return found.filter((c("loyalty") == "platinum").fill_null(False) | c("often").fill_null(False)).select(ID)


def naive(name: str, folder: Path) -> pl.LazyFrame:
    """Everything grouped, everything joined, filtered at the end."""

    def within(days: int) -> pl.Expr:
        return c("day") >= RUN - timedelta(days=days)

    measures = {
        "lapsed": {"a": within(365).sum(), "b": within(60).sum()},
        "quiet": {"a": within(180).sum()},
        "baby": {"a": c("amount").filter(within(90) & (c("category") == "BABY")).sum()},
        "gold": {"a": c("amount").filter(within(365)).sum()},
        "either": {"a": within(90).sum()},
    }[name]
    a, b = c("a").fill_null(0), c("b").fill_null(0)
    keep = {
        "lapsed": lambda: (c("country") == "DE") & (a >= 2) & (b == 0),
        "quiet": lambda: a == 0,
        "baby": lambda: (c("gender") == "f") & c("country").is_in(["DE", "AT"]) & (a >= 100),
        "gold": lambda: c("loyalty").is_in(["gold", "platinum"]) & (a >= 200),
        "either": lambda: (c("loyalty") == "platinum").fill_null(False) | (a >= 5),
    }[name]()
    grouped = rows(folder, None).group_by(ID).agg(**measures)
    people = pl.scan_parquet(folder / "customers.parquet").select(ID, "country", "gender", "loyalty")
    return people.join(grouped, on=ID, how="left").filter(keep).select(ID)


def fifty() -> dict[str, Rule]:
    """The groups of a night: five families over ten kinds of customers; some behaviours stand in several."""
    kinds = [
        attr("country") == "DE",
        attr("country") == "AT",
        attr("country") == "FR",
        (attr("country") == "DE") & (attr("gender") == "f"),
        (attr("country") == "DE") & (attr("loyalty") == "gold"),
        attr("loyalty").one_of(["gold", "platinum"]),
        attr("stage") == "new",
        attr("stage") == "churned",
        attr("language") == "nl",
        attr("future_value") >= 200,
    ]
    families = [
        lambda i: did("purchase").at_least(2).within(days=365) & ~did("purchase").within(days=60),
        lambda i: ~did("purchase").within(days=30 + 15 * i),
        lambda i: did("purchase").where(attr("category") == CATEGORIES[i % 8]).within(days=90).total("amount") >= 50,
        lambda i: did("purchase").within(days=365).total("amount") >= 100 + 20 * i,
        lambda i: did("purchase").at_least(2 + i % 3).within(days=180),
    ]
    return {f"group {f}{i}": kind & family(i) for f, family in enumerate(families) for i, kind in enumerate(kinds)}


ALONE = [f"group {f}{i}" for f in range(5) for i in (0, 5)]


def generate(folder: Path, customers: int, transactions: int) -> None:
    """Writes the data, drawn from a fixed seed."""
    random, ids = np.random.default_rng(7), pl.Series(ID, np.arange(customers)).cast(pl.String).str.zfill(9)

    def pick(values: list, shares: list[float] | None = None, size: int = customers) -> pl.Series:
        return pl.Series(values).gather(random.choice(len(values), size, p=shares).astype(np.uint32))

    pl.DataFrame(
        {
            ID: ids,
            "country": pick(["DE", "AT", "CH", "FR", "NL"], [0.4, 0.15, 0.1, 0.25, 0.1]),
            "language": pick(["de", "fr", "nl", "en"], [0.6, 0.2, 0.1, 0.1]),
            "gender": pick(["f", "m", None], [0.5, 0.4, 0.1]),
            "loyalty": pick(["none", "silver", "gold", "platinum"], [0.7, 0.2, 0.08, 0.02]),
            "stage": pick(["new", "active", "churned", "dormant"], [0.1, 0.4, 0.3, 0.2]),
            "future_value": random.gamma(1, 60, customers),
            "email": ids + "@example.com",
        }
    ).write_parquet(folder / "customers.parquet", compression="snappy", row_group_size=122_880)
    a_day, order = transactions // DAYS, random.permutation(customers).astype(np.uint32)
    for number, path in enumerate(paths(folder, None)):
        path.parent.mkdir(parents=True)
        who = order[(customers * random.random(a_day) ** 1.6).astype(np.uint32)]
        day = pl.lit(RUN - timedelta(days=number))
        frame = pl.DataFrame(
            {
                "transaction_id": pl.Series(np.arange(a_day) + number * a_day).cast(pl.String).str.zfill(12),
                ID: ids.gather(who),
                "amount": np.round(random.gamma(2, 20, a_day), 2),
                "product": pl.Series(random.integers(0, 20_000, a_day)).cast(pl.String),
                "category": pick(CATEGORIES, [0.06, 0.12, 0.3, 0.15, 0.1, 0.1, 0.07, 0.06, 0.04], a_day),
            }
        )
        seconds = pl.duration(seconds=pl.lit(pl.Series(np.sort(random.integers(0, 86_400, a_day)))))
        frame = frame.with_columns(occurred_at=day.cast(pl.Datetime("us")) + seconds, day=day)
        frame.write_parquet(path, compression="snappy", row_group_size=30_000)


def run_one(kind: str, name: str, folder: Path) -> int:
    """Runs one kind; returns how many members there are."""
    match kind:
        case "ours":
            query = members(RULES[name], tables(folder)).to_native()
        case "hand":
            query = hand(name, folder)
        case "naive":
            query = naive(name, folder)
        case "one":
            query = members(fifty()[name], tables(folder)).to_native()
        case _:
            found = members_of_all(fifty(), tables(folder))
            return int(found.select(pl.sum_horizontal(pl.col(pl.Boolean).sum())).item())
    return query.collect(engine="streaming").height


def measure(kind: str, name: str, folder: Path) -> dict[str, float]:
    """Runs one kind in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, "--name", name, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def plan_ms(folder: Path) -> float:
    """Milliseconds that a plan costs beyond building the hand-written query, median over the rules."""
    data = tables(folder)

    def median(make) -> float:
        took = []
        for _ in range(20):
            began = time.process_time()
            make()
            took.append(time.process_time() - began)
        return statistics.median(took) * 1000

    return statistics.median(
        median(lambda name=name: members(RULES[name], data)) - median(lambda name=name: hand(name, folder))
        for name in RULES
    )


def summary(runs: list[dict[str, float]]) -> dict[str, float]:
    return {
        "processor_s": round(statistics.median(run["processor_s"] for run in runs), 2),
        "peak_mb": round(max(run["peak_mb"] for run in runs)),
        "members": runs[0]["members"],
    }


def report(folder: Path, count: int, only: str | None) -> dict[str, object]:
    """All figures."""
    kinds = [("ours", n) for n in RULES] + [("hand", n) for n in RULES] + [("naive", n) for n in RULES]
    groups = [("one", n) for n in ALONE] + [("fifty", "")]
    wanted = kinds * (only != "groups") + groups * (only != "rules")
    runs: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in wanted}
    for _ in range(count):
        for key in wanted:
            runs[key].append(measure(*key, folder))
    found = {key: summary(each) for key, each in runs.items()}
    figures: dict[str, object] = {"runs": count, "polars": pl.__version__, "plan_ms": round(plan_ms(folder), 2)}
    if only != "groups":
        for name in RULES:
            ours, by_hand, plain = (found[kind, name] for kind in ("ours", "hand", "naive"))
            # sums of amounts differ in the last digit with their order, so that one at the border may fall either way
            counts = [ours["members"], by_hand["members"], plain["members"]]
            assert max(counts) - min(counts) <= max(counts) / 10_000, (name, counts)
            figures[name] = {
                "to_hand": round(ours["processor_s"] / by_hand["processor_s"], 2),
                "to_naive": round(ours["processor_s"] / plain["processor_s"], 2),
                "ours": ours, "hand": by_hand, "naive": plain,
            }  # fmt: skip
    if only != "rules":
        one = statistics.median(found["one", name]["processor_s"] for name in ALONE)
        mean = statistics.mean(found["one", name]["processor_s"] for name in ALONE)
        figures |= {
            "one": {name: found["one", name] for name in ALONE},
            "fifty": found["fifty", ""],
            "fifty_to_one": round(found["fifty", ""]["processor_s"] / one, 2),
            "fifty_to_mean_of_one": round(found["fifty", ""]["processor_s"] / mean, 2),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--transactions", type=int, default=50_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("rules", "groups"))
    parser.add_argument("--folder", type=Path, help="where the data lies, or is written; needs two gigabytes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        # what libraries import at their first use is no cost of a rule, and in a notebook is long over
        tiny = nw.from_native(pl.LazyFrame({ID: ["a"]}))
        tiny.join(tiny.group_by(ID).agg(n=nw.len()), on=ID).to_native().collect(engine="streaming")
        began = usage()["processor_s"]
        found = run_one(given.one, given.name, given.folder)
        used = usage()
        print(json.dumps(used | {"processor_s": used["processor_s"] - began, "members": found}))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        folder.mkdir(exist_ok=True)
        if not (folder / "customers.parquet").exists():
            generate(folder, given.customers, given.transactions)
        print(json.dumps(report(folder, given.runs, given.only), indent=1))


if __name__ == "__main__":
    main()
