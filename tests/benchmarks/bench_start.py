"""What it costs to begin: `import optinb`, and the shortest command on a workspace, beside a Python that does nothing.

    python tests/benchmarks/bench_start.py [--runs 10]

Each is a process of its own, and they take turns, so that a busy machine slows all of them alike. The figures are
medians of processor seconds (user and system): of `pass`, the bare interpreter, and of the others what they take
beyond it (`more_s`) and how many times as much (`ratio`). The bars: 0.1 s more for the import, 0.6 s for
`optinb groups list` on a workspace with ten groups.

Prints one JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from optinb import attr, open_workspace
from optinb.base.workspace_folder import init_workspace
from optinb.demo import demo_settings

BARS_S = {"import": 0.1, "groups": 0.6}


def processor_s(*arguments: str) -> float:
    """Processor seconds of one Python process, with those that it started."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_workspace(root: Path) -> None:
    """A workspace with ten groups and no delivery."""
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
    with open_workspace(root, user="bench") as ws:
        for number in range(10):
            ws.groups.save(f"Group {number}", attr("country") == f"C{number}")


def report(root: Path, runs: int) -> dict[str, object]:
    """The medians of all kinds."""
    kinds = {
        "pass": ("-c", "pass"),
        "import": ("-c", "import optinb"),
        "groups": ("-m", "optinb", "groups", "list", "--workspace", str(root)),
    }
    for arguments in kinds.values():
        processor_s(*arguments)  # which compiles what is not yet, and reads the files for the first time
    took = [{kind: processor_s(*arguments) for kind, arguments in kinds.items()} for _ in range(runs)]
    median = {kind: statistics.median(run[kind] for run in took) for kind in kinds}
    figures: dict[str, object] = {"python": sys.version.split()[0], "runs": runs, "pass_s": round(median["pass"], 3)}
    for kind, bar in BARS_S.items():
        more = median[kind] - median["pass"]
        ratio = round(median[kind] / median["pass"], 1)
        figures[kind] = {"more_s": round(more, 3), "ratio": ratio, "bar_s": bar, "holds": more <= bar}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    os.environ["OPTINB_USER"] = "bench"
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "workspace"
        make_workspace(root)
        print(json.dumps(report(root, given.runs), indent=1))


if __name__ == "__main__":
    main()
