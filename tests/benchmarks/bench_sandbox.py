"""How fast the sandbox takes a rehearsal and tells what came of it, and how much memory that takes.

    python tests/benchmarks/bench_sandbox.py [--requests 20000] [--switches]

One world takes so many requests of 50 recipients, without a server. A day later somebody asks for the campaign's
figures, twice, for 100 exports of 50 users, for the page and for every recipient's fate. With `--switches` the app
group has caps, quiet hours and a drawn control group besides.

Prints one JSON: for each step the processor seconds, and the resident memory after it in MB above the beginning.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from optinb.sandbox import (
    FrequencyCap,
    GlobalControl,
    Members,
    QuietHours,
    SandboxRequest,
    World,
    apply,
    handle,
    make_world,
)
from optinb.sandbox.page import page

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
HEADERS = {"authorization": "Bearer sandbox-shop-key", "content-type": "application/json"}


def ask(world: World, at: datetime, path: str, body: Any = None, **query: str) -> None:
    """One request, whose changes are made."""
    method, payload = ("GET", b"") if body is None else ("POST", json.dumps(body).encode())
    handled = handle(world, SandboxRequest(method, path, query, HEADERS, payload), at)
    for change in handled.changes:
        apply(world, change)
    assert handled.reply.status < 300, handled.reply.body


def users_of(request: int) -> list[str]:
    return [f"user-{request * 50 + n:08}" for n in range(50)]


def resident_mb() -> float:
    """The resident memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--switches", action="store_true")
    given = parser.parse_args()
    world = make_world(["Shop"])
    group = world.group("Shop")
    campaign = group.campaigns[0].id
    if given.switches:
        hours = QuietHours(NOW.replace(hour=22).time(), NOW.replace(hour=8).time())
        control = GlobalControl(Members(share=0.1))
        world.put(replace(group, caps=(FrequencyCap(1),), quiet_hours=hours, global_control=control))
    begin = resident_mb()
    found: dict[str, dict[str, float]] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        started = time.process_time()
        work()
        spent = time.process_time() - started
        found[name] = {"cpu_s": round(spent, 2), "resident_mb": round(resident_mb() - begin)}

    def take() -> None:
        for request in range(given.requests):
            people = [
                {"external_user_id": user, "trigger_properties": {"first_name": "Anna", "promo_code": "SUMMER20"}}
                for user in users_of(request)
            ]
            body = {"campaign_id": campaign, "recipients": people, "schedule": {"time": "2026-11-23T18:30:00Z"}}
            ask(world, NOW, "/campaigns/trigger/schedule/create", body)

    def export() -> None:
        for request in range(100):
            ask(world, LATER, "/users/export/ids", {"external_ids": users_of(request)})

    def figures() -> None:
        ask(world, LATER, "/campaigns/data_series", campaign_id=campaign, length="14")

    step("take", take)
    step("figures", figures)
    step("figures again", figures)
    step("100 exports", export)
    step("page", lambda: page(world, LATER))
    step("fates", lambda: world.fates(campaign, LATER))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
