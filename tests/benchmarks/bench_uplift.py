"""How good a ranking of customers by uplift is, and how often one is shown where there is none.

    python tests/benchmarks/bench_uplift.py [--quick]

Made-up customers with ten attributes, one in five of whom is in the control group, buy with a chance that some
attributes say, and the message adds to it by others. `of_oracle`: the Qini coefficient that the ranking truly has, by
that of a ranking by the true effect, with 100,000 assigned (at least 0.7 in each shape); `x_learner` and `t_learner`:
that of such learners of the same trees. `seconds`: processor time to learn it. `shown`: how often a ranking is shown of
4,000 customers without any effect, or with the same effect on all (at most 5 %), also with one in ten held out, of
whom 30 buy.

Prints one JSON. `--quick` takes about a minute, with fewer runs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np

from optinb.measure.uplift import FOLDS, Uplift, _boosted, _ranks, learn_uplift

CONTROL = 0.2
MANY, SOME = 100_000, 4_000
SHAPES = ("linear", "step", "nuisance", "rare")
WITHOUT = ("none", "constant", "none, few buy, 10 % held out")


def held_out(shape: str) -> float:
    """The share that is held out."""
    return 0.1 if "10 %" in shape else CONTROL


def world(shape: str, customers: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """What is known of customers, who is to get the message, who buys, and what it truly adds to the chance."""
    x = random.normal(size=(customers, 10))
    x[:, 8], x[:, 9] = random.integers(0, 5, customers), random.exponential(1, customers)
    x[random.random(customers) < 0.1, 7] = np.nan
    leaning = 1 / (1 + np.exp(2.5 - 0.8 * x[:, 0] - 0.5 * x[:, 9]))
    base, adds = np.full(customers, 0.1), np.zeros(customers)
    if shape == "linear":
        adds = np.clip(0.02 + 0.02 * x[:, 1], -0.08, 0.3)
    elif shape == "step":
        adds = np.where((x[:, 1] > 0) & (x[:, 2] > 0), 0.06, 0.0)
    elif shape == "nuisance":
        base = np.minimum(1 / (1 + np.exp(2 - 1.5 * x[:, 0] - 0.7 * x[:, 3] + 0.5 * x[:, 9])), 0.95)
        adds = np.where(x[:, 1] > 0.3, 0.05, 0.0)
    elif shape == "rare":
        base = 1 / (1 + np.exp(3.6 - 0.5 * x[:, 0]))
        adds = np.where((x[:, 1] > 0.5) & (x[:, 8] >= 2), 0.04, 0.003)
    elif shape == "constant":
        base, adds = np.minimum(leaning, 0.97), np.full(customers, 0.03)
    elif shape == "none":
        base = leaning
    else:
        base = 0.06 + 0.03 * (x[:, 0] > 0)
    treated = random.random(customers) >= held_out(shape)
    return x, treated, random.random(customers) < base + adds * treated, adds


def learned(shape: str, customers: int, seed: int) -> tuple[Uplift, np.ndarray, tuple[np.ndarray, ...]]:
    """The ranking, its place of each customer within their part, and the world that it is of."""
    made = world(shape, customers, np.random.default_rng(seed))
    x, treated, bought, _ = made
    found = learn_uplift(x, treated, bought, seed=seed, control_share=held_out(shape))
    return found, placed(found.scores, seed), made


def parts(customers: int, seed: int) -> np.ndarray:
    """The parts that a ranking of that seed puts customers into."""
    return np.random.default_rng(seed).permutation(customers) % FOLDS


def placed(scores: np.ndarray, seed: int) -> np.ndarray:
    """The places of scores within their parts."""
    ranks, part = np.full(len(scores), 0.5), parts(len(scores), seed)
    for one in range(FOLDS):
        ranks[part == one] = _ranks(scores[part == one])
    return ranks


def worth(ranks: np.ndarray, adds: np.ndarray) -> float:
    """The coefficient that places truly have."""
    return float(np.mean(adds * (0.5 - ranks)))


def classic(x: np.ndarray, treated: np.ndarray, bought: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The places that a T- and an X-learner of like trees give."""
    y, part = bought.astype(float), parts(len(x), seed)
    t_scores, x_scores = np.empty(len(x)), np.empty(len(x))
    for one in range(FOLDS):
        out, some, rest = part == one, (part != one) & treated, (part != one) & ~treated
        with_it, without = (_boosted(x[of], y[of], leaf=300, depth=3) for of in (some, rest))
        t_scores[out] = with_it.predict(x[out]) - without.predict(x[out])
        on_some = _boosted(x[some], y[some] - without.predict(x[some]), leaf=1_000, depth=2).predict(x[out])
        on_rest = _boosted(x[rest], with_it.predict(x[rest]) - y[rest], leaf=250, depth=2).predict(x[out])
        x_scores[out] = (1 - CONTROL) * on_rest + CONTROL * on_some
    return {"t_learner": placed(t_scores, seed), "x_learner": placed(x_scores, seed)}


def planted(shape: str, seed: int) -> dict[str, float]:
    """How good the ranking of one campaign is."""
    begun = time.process_time()
    found, ranks, (x, treated, bought, adds) = learned(shape, MANY, seed)
    took = time.process_time() - begun
    oracle = worth(_ranks(adds), adds)
    others = classic(x, treated, bought, seed)
    return {
        "of_oracle": worth(ranks, adds) / oracle,
        **{name: worth(of, adds) / oracle for name, of in others.items()},
        "shown": found.is_shown,
        "seconds": took,
    }


def shown(shape: str, seed: int) -> bool:
    """Whether one of a campaign without differences is shown."""
    return learned(shape, SOME, seed)[0].is_shown


def report(runs: int, worlds: int) -> dict[str, object]:
    """All figures, each of so many runs."""
    with ProcessPoolExecutor() as pool:
        found = {shape: [*pool.map(planted, [shape] * worlds, range(worlds))] for shape in SHAPES}
        false = {shape: [*pool.map(shown, [shape] * runs, range(runs), chunksize=10)] for shape in WITHOUT}
    return {
        "runs": {"planted": worlds, "without": runs},
        "planted": {
            shape: {name: round(float(np.mean([one[name] for one in ones])), 3) for name in ones[0]}
            | {"least": round(min(one["of_oracle"] for one in ones), 3)}
            for shape, ones in found.items()
        },
        "shown": {shape: round(float(np.mean(ones)), 4) for shape, ones in false.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    runs, worlds = (100, 1) if parser.parse_args().quick else (400, 3)
    print(json.dumps(report(runs, worlds), indent=1))


if __name__ == "__main__":
    main()
