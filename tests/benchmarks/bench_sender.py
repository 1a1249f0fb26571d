"""How fast the sender is beside a bare loop over httpx, in one run, and how much memory a long send takes.

    python tests/benchmarks/bench_sender.py [--recipients 50000] [--rounds 5] [--concurrency 8] [--memory 0]

The sandbox runs in a process of its own for the whole run, without a journal. In each round the kinds take turns, each
in a new process, since a machine is faster at one time than at another:

- `sender`: `optinb.delivery.send` on a planned night, with the journal in SQLite (every window on the disk before its
  requests), the frozen Parquet file and its SHA-256, and pacing off;
- `bare`: one `httpx.Client` and as many threads, which post the same bodies, made before the clock starts, and read
  every answer.

Prints one JSON: recipients a second of each round, their medians, processor seconds of the client's process, and
`ratio`, the median of the rounds' sender over bare. The bar is 0.85. With `--memory N` it sends N recipients once and
tells the peak of the resident memory after the first 100,000 and at the end; the bar is 400 MB, and no growth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

KEY = "sandbox-shop-key"
NIGHT = date(2026, 11, 23)
WARM_UP = 400  # requests of nobody's, so that the server's first ones don't count


def audience(recipients: int) -> pl.DataFrame:
    """Customers with three properties each, as a campaign of three placeholders freezes them."""
    from optinb.campaigns import AUDIENCE_SCHEMA

    n = pl.int_range(recipients, dtype=pl.Int64)
    number = n.cast(pl.String).str.zfill(8)
    text = pl.concat_str(
        pl.lit('{"first_name":"Anna '), number, pl.lit('","promo_code":"SUMMER20","points":'), n, pl.lit("}")
    )
    return pl.select(
        customer_id=pl.lit("c") + number,
        external_user_id=pl.lit("user-") + number,
        outcome=pl.lit("recipient"),
        reason=pl.lit(None, dtype=pl.String),
        properties=text,
    ).select(pl.col(name).cast(kind) for name, kind in AUDIENCE_SCHEMA.items())


def serve() -> None:
    """The sandbox, until its standard input ends."""
    from optinb.sandbox import Sandbox, make_world

    with Sandbox(make_world(["Shop"])) as sandbox:
        group = sandbox.world.group("Shop")
        print(json.dumps({"url": sandbox.url, "group": group.id, "template": group.campaigns[0].id}), flush=True)
        sys.stdin.read()


def planned(root: Path, where: dict[str, str], recipients: int):
    """A store with one planned night, and the night."""
    from optinb.campaigns import Campaign, Schedule
    from optinb.delivery import plan
    from optinb.delivery.journal import Store

    store = Store.open(root / "state.sqlite", root=root)
    now = datetime.now(UTC)
    frozen = plan(
        store,
        audience(recipients),
        campaign=Campaign(
            name="Summer", app_group="Shop", template="T", group="G", schedule=Schedule(at="18:30", every="day")
        ),
        run_date=NIGHT,
        app_group_id=where["group"],
        template_id=where["template"],
        send_at=now + timedelta(days=1),
        fingerprint="f" * 64,
        root=root,
        user="bench",
        now=now,
    )
    return store, frozen


def group_settings(where: dict[str, str]):
    from optinb.base.settings import AppGroupSettings

    return AppGroupSettings(id=where["group"], name="Shop", api=where["url"], key="env:BENCH_KEY")


def run_sender(where: dict[str, str], recipients: int, concurrency: int, root: Path) -> dict[str, float]:
    """The whole sender, from taking the lease to the last outcome."""
    from optinb.appboy import AppboyClient
    from optinb.base.settings import SendSection
    from optinb.delivery import SendIds, send

    store, frozen = planned(root, where, recipients)
    done = [0]
    early: list[float] = []

    def progress(count: int) -> None:
        done[0] += count
        if not early and done[0] >= min(100_000, recipients):
            early.append(peak_mb())

    with store, AppboyClient(group_settings(where)) as client:
        ids = SendIds(store, [frozen], clock=lambda: datetime.now(UTC))
        begin, cpu = time.perf_counter(), time.process_time()
        counts = send(
            store,
            client,
            frozen,
            root=root,
            clock=lambda: datetime.now(UTC),
            settings=SendSection(concurrency=concurrency),
            holder="bench",
            progress=progress,
            identify=lambda there, lease: ids.identify(client, there, lease),
        )
        wall, spent = time.perf_counter() - begin, time.process_time() - cpu
    assert counts.accepted == recipients, counts
    return {"rate": recipients / wall, "cpu_s": spent, "peak_mb_early": early[0], "peak_mb": peak_mb()}


def run_bare(where: dict[str, str], recipients: int, concurrency: int, root: Path) -> dict[str, float]:
    """Threads that post ready-made bodies with one httpx.Client."""
    import httpx
    import msgspec

    from optinb.appboy import AppboyClient

    with AppboyClient(group_settings(where)) as client:
        send_id = client.create_send_id(where["template"])
    rows = audience(recipients).select("external_user_id", "properties").rows()
    at = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    bodies = [
        msgspec.json.encode(
            {
                "campaign_id": where["template"],
                "recipients": [
                    {"external_user_id": user, "trigger_properties": msgspec.Raw(properties.encode())}
                    for user, properties in rows[first : first + 50]
                ],
                "schedule": {"time": at},
                "send_id": send_id,
            }
        )
        for first in range(0, recipients, 50)
    ]
    waiting = iter(bodies)
    lock = threading.Lock()
    url = where["url"] + "/campaigns/trigger/schedule/create"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}

    def work(client: httpx.Client) -> None:
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            answer = client.post(url, content=body, headers=headers)
            assert answer.status_code == 201 and answer.json()["message"] == "success"

    with httpx.Client(timeout=30) as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(concurrency)]
        begin, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall, spent = time.perf_counter() - begin, time.process_time() - cpu
    return {"rate": recipients / wall, "cpu_s": spent}


def peak_mb() -> float:
    """The peak of this process's resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(kind: str, where: dict[str, str], recipients: int, concurrency: int) -> dict[str, float]:
    """Runs a kind in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="optinb-bench-") as folder:
        arguments = ["--as", kind, "--where", json.dumps(where), "--folder", folder]
        arguments += ["--recipients", str(recipients), "--concurrency", str(concurrency)]
        done = subprocess.run(
            [sys.executable, __file__, *arguments],
            env={**os.environ, "BENCH_KEY": KEY},
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(done.stdout)


def compare(where: dict[str, str], recipients: int, rounds: int, concurrency: int) -> dict[str, object]:
    """The two kinds, in turns."""
    kinds = ("sender", "bare")
    in_process("bare", where, WARM_UP * 50, concurrency)
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for n in range(rounds):
        for kind in kinds if n % 2 == 0 else reversed(kinds):
            found[kind].append(in_process(kind, where, recipients, concurrency))
    rates = {kind: [round(one["rate"]) for one in found[kind]] for kind in kinds}
    ratios = [s / b for s, b in zip(rates["sender"], rates["bare"], strict=True)]
    return {
        "recipients": recipients,
        "concurrency": concurrency,
        "recipients_a_second": rates,
        "median": {kind: statistics.median(rates[kind]) for kind in kinds},
        "cpu_s": {kind: round(statistics.median(one["cpu_s"] for one in found[kind]), 2) for kind in kinds},
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "bar": 0.85,
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--memory", type=int, default=0, metavar="RECIPIENTS")
    parser.add_argument("--as", dest="kind", choices=("serve", "sender", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--where", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind == "serve":
        serve()
        return
    if given.kind:
        run = run_sender if given.kind == "sender" else run_bare
        print(json.dumps(run(given.where, given.recipients, given.concurrency, given.folder)))
        return
    server = subprocess.Popen(
        [sys.executable, __file__, "--as", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        if given.memory:
            result = in_process("sender", where, given.memory, given.concurrency) | {"bar_mb": 400}
        else:
            result = compare(where, given.recipients, given.rounds, given.concurrency)
    finally:
        server.communicate("")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
