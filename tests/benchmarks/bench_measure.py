"""How honest the results of campaigns are, and what they cost, beside Welch's test on the same customers.

    python tests/benchmarks/bench_measure.py [--quick]

Made-up customers buy as often as a Poisson at a rate of their own says, baskets whose amounts have a long tail; one in
ten is in the control group. `outside`, `outside_low`, `outside_high`: how often the interval misses a campaign without
effect (5 % ± 1.0, each side 2.5 % ± 0.8; with and without what was known before), and `p_below`: how often p is below
.05 (5 % ± 0.7), of 1,000 customers each. `peeking`: how often one of 14 nightly looks at 5,000 customers misses it (at
most 5.5 %). `coverage`: how often it holds an effect of 30 % more purchases (at least 94 %), and `width_to_welch`: its
median width by that of Welch's interval, with what was known before (at most 1.1). `welch_outside` and
`tea_tasting_outside`: how often the intervals of Welch's test and of tea-tasting's, adjusted by what was known before,
miss a campaign without effect. `time_to_welch`: processor time for
three figures of campaigns of 10,000 customers with 500 draws, by that of Welch's test (at most 10).

Prints one JSON. `--quick` takes less than 50 seconds, with a quarter of the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import polars as pl
import tea_tasting
from scipy.stats import ttest_ind

from optinb.measure.effect import Look, compare, compare_figures

NIGHTS = 14
FREQUENCY = 0.5
"""Purchases of a customer in the window, on average."""
BASKET = float(np.exp(3.0 + 0.5 + 0.5**2 / 2))


def spend(purchases: np.ndarray, level: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What so many purchases of each customer come to, with baskets that are log-normal around their level."""
    found = np.zeros(len(purchases))
    for nth in range(int(purchases.max(initial=0))):
        found += np.where(purchases > nth, level * np.exp(random.normal(3.0, 1.0, len(purchases))), 0.0)
    return found


def people(customers: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each buys in a window, on which level, and whether they are to get the message."""
    rate = random.gamma(1.0, FREQUENCY, customers)
    return rate, np.exp(random.normal(0.0, 0.5, customers)), random.random(customers) >= 0.1


def campaign(seed: int, effect: float, draws: int) -> dict[str, float]:
    """What one campaign of 1,000 shows: which sides miss the truth, with and without history, and as Welch sees it."""
    random = np.random.default_rng(seed)
    rate, level, assigned = people(1_000, random)
    before = spend(random.poisson(3 * rate), level, random)
    outcome = spend(random.poisson(rate * (1 + effect * assigned)), level, random)
    truth = effect * FREQUENCY * BASKET
    plain = compare(assigned, outcome, seed=seed, draws=draws)
    known = compare(assigned, outcome, before, seed=seed, draws=draws)
    welch = ttest_ind(outcome[assigned], outcome[~assigned], equal_var=False).confidence_interval()
    rows = pl.DataFrame({"variant": assigned.astype(int), "spend": outcome, "before": before})
    other = tea_tasting.Experiment(spend=tea_tasting.Mean("spend", covariate="before")).analyze(rows)["spend"]
    return {
        "low": truth < plain.low,
        "high": truth > plain.high,
        "p": plain.p < 0.05,
        "known_low": truth < known.low,
        "known_high": truth > known.high,
        "known_p": known.p < 0.05,
        "welch_low": truth < welch.low,
        "welch_high": truth > welch.high,
        "tea_tasting_low": truth < other.effect_size_ci_lower,
        "tea_tasting_high": truth > other.effect_size_ci_upper,
        "width": (known.high - known.low) / (welch.high - welch.low),
    }


def looked_at(seed: int, draws: int) -> bool:
    """Whether any of the nightly looks at a campaign without effect misses that."""
    random = np.random.default_rng(seed)
    rate, level, assigned = people(5_000, random)
    outcome, missed = np.zeros(5_000), False
    for night in range(1, NIGHTS + 1):
        outcome += spend(random.poisson(rate / NIGHTS), level, random)
        found = compare(assigned, outcome, seed=seed * NIGHTS + night, draws=draws, look=Look(night, NIGHTS))
        missed = missed or not found.low <= 0 <= found.high
    return missed


def cost(campaigns: int) -> float:
    """Processor time of three figures of campaigns of 10,000, by that of Welch's test on the same arrays."""
    ours = theirs = 0.0
    looked_at(0, 2)  # what is imported when first used belongs to no campaign
    for seed in range(campaigns):
        random = np.random.default_rng(seed)
        rate, level, assigned = people(10_000, random)
        orders = random.poisson(rate)
        figures = {"response": orders > 0, "orders": orders, "spend": spend(orders, level, random)}
        begun = time.process_time()
        compare_figures(assigned, figures, seed=seed, draws=500)
        ours += time.process_time() - begun
        begun = time.process_time()
        for values in figures.values():
            ttest_ind(values[assigned], values[~assigned], equal_var=False)
        theirs += time.process_time() - begun
    return ours / theirs


def report(runs: int, effects: int, peeks: int, campaigns: int, draws: int) -> dict[str, object]:
    """All figures, each of so many runs."""
    with ProcessPoolExecutor() as pool:
        none = [*pool.map(campaign, range(runs), [0.0] * runs, [draws] * runs, chunksize=25)]
        more = [*pool.map(campaign, range(runs, runs + effects), [0.3] * effects, [draws] * effects, chunksize=25)]
        peeking = [*pool.map(looked_at, range(peeks), [draws] * peeks, chunksize=5)]

    def share(found: list[dict[str, float]], *names: str) -> float:
        return round(float(np.mean([any(one[name] for name in names) for one in found])), 4)

    return {
        "runs": {"none": runs, "effect": effects, "peeking": peeks, "draws": draws},
        "p_below": share(none, "p"),
        "outside": share(none, "low", "high"),
        "outside_low": share(none, "low"),
        "outside_high": share(none, "high"),
        "known": {
            "p_below": share(none, "known_p"),
            "outside_low": share(none, "known_low"),
            "outside_high": share(none, "known_high"),
        },
        "welch_outside": share(none, "welch_low", "welch_high"),
        "welch_outside_low": share(none, "welch_low"),
        "tea_tasting_outside": share(none, "tea_tasting_low", "tea_tasting_high"),
        "peeking": round(float(np.mean(peeking)), 4),
        "coverage": round(1 - share(more, "known_low", "known_high"), 4),
        "width_to_welch": round(float(np.median([one["width"] for one in more])), 3),
        "time_to_welch": round(cost(campaigns), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    sizes = (1_000, 600, 100, 50, 500) if parser.parse_args().quick else (4_000, 2_000, 2_000, 1_000, 2_000)
    print(json.dumps(report(*sizes), indent=1))


if __name__ == "__main__":
    main()
