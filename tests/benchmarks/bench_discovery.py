"""Discovery at full size: time, memory, planted groups, and permuted labels. Prints JSON.

    python tests/benchmarks/bench_discovery.py [customers] [permutations]

The baseline of the same run is a bare count: the time that Polars takes to count all members of the planted rules.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "segments"))

import planted

from optinb.segments import members
from optinb.segments.discovery import discover


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ids(rule: object, customers: pl.DataFrame) -> set[str]:
    return set(members(rule, planted.tables(customers)).collect().to_native()["customer_id"])  # type: ignore[arg-type]


def main(size: int, permutations: int) -> None:
    customers = planted.with_targets(planted.attributes(size, seed=1), seed=2).drop("spent")
    before_mb, begun = peak_mb(), time.process_time()
    true = [ids(rule, customers) for rule in planted.PLANTED]
    counted_s = time.process_time() - begun
    begun = time.process_time()
    found = discover(planted.tables(customers), "response")
    took_s, after_mb = time.process_time() - begun, peak_mb()
    told = [ids(finding.rule, customers) for finding in found]
    best = [max((len(t & g) / len(t | g) for g in told), default=0.0) for t in true]
    false = 0
    for seed in range(permutations):
        false += len(
            discover(planted.tables(customers.with_columns(pl.col("response").shuffle(seed=seed))), "response")
        )
    result = {
        "customers": size,
        "attributes": customers.width - 2,
        "processor_s": round(took_s, 2),
        "counting_the_planted_rules_processor_s": round(counted_s, 2),
        "ratio": round(took_s / max(counted_s, 1e-9), 1),
        "peak_mb_before": round(before_mb),
        "peak_mb": round(after_mb),
        "combinations_tested": found.tested,
        "groups": len(found),
        "jaccard_of_planted": [round(value, 3) for value in best],
        "permutations": permutations,
        "false_groups_on_permuted_labels": false,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    given = [int(value) for value in sys.argv[1:3]]
    main(*given, *(100_000, 20)[len(given) :])
