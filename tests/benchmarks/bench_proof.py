"""Whether results of campaigns tell the truth, in half a year of a shop whose every answer to a message is known.

    python tests/benchmarks/bench_proof.py [--quick] [--seed N]

200 campaigns go to some thousands of 20,000 customers each, one in five held out; half of them move nobody, the others
bring 15 % or 50 % more purchases, or 30 % fewer, and all of them overlap. `inside`: how often the interval of each
figure holds what the message did to all of its members (95 %, between `least` and `most` by luck). `advice`: how often
keep, stop and wait are said, by the effect; `false_calls`: the share of campaigns that move nobody which are kept or
stopped (5 %), `wrong_way`: of the others, how many are said to do the opposite. `found`: how many of those with a
strong effect are told as what they are.

Prints one JSON. `--quick` looks at 40 campaigns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).parents[1]))

from known_world import World, judged
from scipy.stats import binom


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    campaigns = 40 if given.quick else 200
    found = judged(World(customers=20_000, campaigns=campaigns, seed=given.seed).told(seed=given.seed))
    advice = Counter(f"{effect:+.0%}: {said}" for effect, said in found.advice)
    least, most = binom.ppf([0.005, 0.995], campaigns, 0.95) / campaigns
    told = {
        "campaigns": campaigns,
        "inside": {figure: round(share, 3) for figure, share in found.inside.items()},
        "least": least,
        "most": most,
        "advice": dict(sorted(advice.items())),
        "false_calls": round(found.false_calls, 3),
        "wrong_way": found.wrong_way,
        "found": round(found.found, 3),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
