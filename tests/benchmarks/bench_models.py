"""What a night's customer models cost: features, stages, value, chances, micro-segments, and the forecast of stages.

    python tests/benchmarks/bench_models.py [--customers 200000,1000000] [--purchases 10]

Made-up customers who buy as the BG/NBD supposes, `--purchases` transactions each on average, over two years, with
categories and apps. Each size runs in a process of its own, twice: the first night fits the micro-segments, the second
scores with them. Prints one JSON: wall and processor seconds and peak memory in MB of each, and `growth`, processor
seconds a customer over those of the smallest size. The bar: 1 M customers and 10 M transactions in 3 minutes on 2
cores and in 4 GB, and growth of at most 1.2.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date

import numpy as np
import polars as pl

NIGHT, DAYS = date(2026, 6, 30), 730


def made_up(customers: int, purchases: float) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Customers, transactions and app users; the same for the same numbers."""
    rng = np.random.default_rng(1)
    since = rng.integers(1, DAYS, customers)
    rate = rng.gamma(0.8, 1 / 0.8, customers)
    stays = np.minimum(since, rng.exponential(400, customers))
    weight = rate * stays
    counts = rng.poisson(weight / weight.mean() * purchases)
    who = np.repeat(np.arange(customers), counts)
    ago = (since[who] - rng.random(len(who)) * stays[who]).astype(np.int64)
    level = rng.gamma(4, 10, customers)
    ids = pl.Series("customer_id", np.arange(customers)).cast(pl.String).str.zfill(9)
    transactions = pl.DataFrame({
        "customer_id": ids.gather(who),
        "day": pl.Series(np.datetime64(NIGHT) - ago.astype("timedelta64[D]")).cast(pl.Date),
        "amount": np.round(rng.gamma(6, level[who] / 6), 2) + 0.01,
        "category": pl.Series(rng.integers(0, 40, len(who)) // 3).cast(pl.String),
    })  # fmt: skip
    registered = pl.Series(np.datetime64(NIGHT) - since.astype("timedelta64[D]")).cast(pl.Datetime("us"))
    people = pl.DataFrame({"customer_id": ids, "registered_at": registered})
    uses = pl.DataFrame({"customer_id": ids, "app_id": "app", "last_used_at": registered}).filter(pl.Series(rate > 0.5))
    return people.lazy(), transactions.lazy(), uses.lazy()


def measure(customers: int, purchases: float) -> dict[str, float]:
    from optinb.base.settings import LifecycleSection
    from optinb.customers import model_customers

    tables = made_up(customers, purchases)
    rows = tables[1].select(pl.len()).collect().item()
    found: dict[str, float] = {"customers": customers, "transactions": rows}
    before = None
    for night in ("first", "second"):
        wall, spent = time.perf_counter(), time.process_time()
        model = model_customers(*tables, run_date=NIGHT, settings=LifecycleSection(), before=before)
        before = model.segmentation
        found[f"{night}_wall_s"] = round(time.perf_counter() - wall, 1)
        found[f"{night}_processor_s"] = round(time.process_time() - spent, 1)
    found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", default="200000,1000000")
    parser.add_argument("--purchases", type=float, default=10.0)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.purchases)))
        return
    found = []
    for size in options.customers.split(","):
        command = [sys.executable, __file__, "--one", size, "--purchases", str(options.purchases)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    smallest = found[0]["first_processor_s"] / found[0]["customers"]
    for one in found:
        one["growth"] = round(one["first_processor_s"] / one["customers"] / smallest, 2)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
