"""One night in which 20 campaigns compete for 5 million customers, against the same anti-joins written by hand.

    python tests/benchmarks/bench_audiences.py [--customers 5000000] [--campaigns 20]

Every campaign targets a quarter of all customers. Four past nights of half a million contacts each lie behind; there
are two caps and three campaigns with exclusion periods. Every template may be had at any time, so that nothing is
looked at of what Appboy filters. By hand it's one Polars anti-join for every rule: who was contacted within an
exclusion period, who has had enough (a group-by of all contacts, then an anti-join), and who was promised to another
campaign in the same night. Both start from the same frames in memory and draw the control group by the same function;
each runs in a process of its own. Prints processor time, wall time and peak memory as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from datetime import time as clock_time

import numpy as np
import polars as pl

from optinb.appboy import TemplateRules
from optinb.base.settings import AppSettings, CapSettings, PolicySection
from optinb.campaigns import (
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Sent,
    TemplateSending,
    VendorState,
    build_audience,
    waterfall,
)
from optinb.engine.persons import in_share

NIGHT = date(2026, 11, 23)
APPS = (
    AppSettings(id="ios", name="iOS", platform="ios"),
    AppSettings(id="android", name="Android", platform="android"),
)
POLICY = PolicySection(caps=(CapSettings(messages=3, days=7), CapSettings(messages=1, per="day")))
CONTROL = 0.1


def sending(n: int, ago: int) -> TemplateSending:
    """Each campaign on a template of its own that may be had at any time, as whoever lets it recur has it."""
    wall = datetime.combine(NIGHT - timedelta(days=ago), clock_time(10))
    rules = TemplateRules(again_after_s=0)
    return TemplateSending(app_group_id="g", template_id=f"t{n:02}", clock="workspace", wall=wall, rules=rules)


def rivals(count: int) -> list[Competitor]:
    return [
        Competitor(
            campaign_id=f"c{n:02}",
            app_group_id="g",
            day=NIGHT,
            priority=n % 5,
            exclusion_days=3 if n % 7 == 0 else 0,
            sendings=(sending(n, 0),),
        )
        for n in range(count)
    ]


def world(customers: int) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.DataFrame]:
    """Customers, app users, and past contacts (customer_id, campaign, days_ago)."""
    draw = np.random.default_rng(7)
    ids = pl.Series("customer_id", np.arange(customers)).cast(pl.String).str.zfill(9)
    people = pl.DataFrame(
        {
            "customer_id": ids,
            "external_user_id": ids,
            "is_blocked": draw.random(customers) < 0.01,
            "is_test": draw.random(customers) < 0.001,
            "push_opt_in": draw.random(customers) < 0.9,
        }
    )
    uses = pl.DataFrame(
        {
            "customer_id": ids,
            "app_id": np.where(draw.random(customers) < 0.5, "ios", "android"),
            "push_enabled": draw.random(customers) < 0.8,
            "app_version": "3.2",
        }
    )
    nights = []
    for ago in range(1, 5):
        chosen = pl.Series(draw.choice(customers, customers // 10, replace=False))
        contacts = pl.DataFrame({"customer_id": ids.gather(chosen)})
        nights.append(contacts.with_columns(n=pl.lit(ago * 3), ago=pl.lit(ago), control=pl.lit(False)))
    return people.lazy(), uses.lazy(), pl.concat(nights)


def members(people: pl.LazyFrame, n: int) -> pl.LazyFrame:
    """A quarter of all customers, another one for each campaign."""
    return people.select("customer_id").filter(pl.int_range(pl.len()) * 2_654_435_761 // (n + 1) % 4 == n % 4)


def ours(customers: int, campaigns: int) -> int:
    people, uses, past = world(customers)
    start = time.process_time(), time.perf_counter()
    placed, known = PlacedCustomers(people, uses), rivals(campaigns)
    nights = past.partition_by("n", "ago", as_dict=True)
    before = [
        Sent(known[n].campaign_id, sending(n, ago), lambda _, rows=rows: rows) for (n, ago), rows in nights.items()
    ]
    vendor = VendorState(placed, zone="UTC", sent=before)
    policy_state = ContactPolicyState(placed, days=[NIGHT], policy=POLICY, vendor=vendor)
    for (n, ago), rows in nights.items():
        who = Competitor(
            campaign_id=known[n].campaign_id,
            app_group_id="g",
            day=NIGHT - timedelta(days=ago),
            exclusion_days=known[n].exclusion_days,
        )
        policy_state.add(rows["customer_id"], who)
    sent = 0
    for who in sorted(known, key=lambda rival: rival.order):
        n = int(who.campaign_id[1:])
        audience = build_audience(
            members(people, n),
            people,
            uses,
            messages=[AudienceMessage(apps=tuple(APPS))],
            control=CONTROL,
            salt=who.campaign_id,
            policy_state=policy_state,
            who=who,
        )
        policy_state.promise(audience, who)
        sent += waterfall(audience).recipients
    return report(start, sent)


def by_hand(customers: int, campaigns: int) -> int:
    people, uses, past = world(customers)
    start = time.process_time(), time.perf_counter()
    known = rivals(campaigns)
    exclusions = {n: who.exclusion_days for n, who in enumerate(known)}
    today: list[pl.DataFrame] = []
    sent = 0
    for who in sorted(known, key=lambda rival: rival.order):
        n = int(who.campaign_id[1:])
        contacts = pl.concat([past, *today])
        windows = contacts.with_columns(days=pl.col("n").replace_strict(exclusions)).filter(
            (pl.col("ago") < pl.col("days")) & (pl.col("n") != n)
        )
        got = contacts.lazy().filter(~pl.col("control"))
        enough = [
            got.group_by("customer_id").len().filter(pl.col("len") >= 3),
            contacts.lazy().filter((pl.col("ago") == 0) & (~pl.col("control") | (exclusions[n] > 0))),
        ]
        reach = uses.filter(pl.col("app_id").is_in([app.id for app in APPS]) & pl.col("push_enabled"))
        able = (
            members(people, n)
            .join(people, on="customer_id", how="inner")
            .filter(~pl.col("is_blocked") & ~pl.col("is_test") & pl.col("push_opt_in"))
            .join(reach, on="customer_id", how="semi")
            .join(windows.lazy(), on="customer_id", how="anti")
        )
        for full in enough:
            able = able.join(full, on="customer_id", how="anti")
        rows = able.select("customer_id").sort("customer_id").collect()
        rows = rows.with_columns(in_share(rows["customer_id"], salt=who.campaign_id, share=CONTROL))
        sent += rows.filter(~pl.col("in_share")).height
        today.append(rows.select("customer_id", n=pl.lit(n), ago=pl.lit(0), control="in_share"))
    return report(start, sent)


def report(start: tuple[float, float], sent: int) -> int:
    print(
        json.dumps(
            {
                "processor_s": round(time.process_time() - start[0], 2),
                "wall_s": round(time.perf_counter() - start[1], 2),
                "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
                "recipients": sent,
            }
        )
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--campaigns", type=int, default=20)
    parser.add_argument("--as", dest="kind", choices=("ours", "by_hand"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.kind:
        return {"ours": ours, "by_hand": by_hand}[given.kind](given.customers, given.campaigns)
    size = ["--customers", str(given.customers), "--campaigns", str(given.campaigns)]
    found = {
        kind: json.loads(subprocess.check_output([sys.executable, __file__, "--as", kind, *size], text=True))
        for kind in ("ours", "by_hand")
    }
    assert found["ours"]["recipients"] == found["by_hand"]["recipients"], found
    ratio = found["ours"]["processor_s"] / found["by_hand"]["processor_s"]
    bars = {"wall_s": 60, "peak_gb": 3, "ratio": 1.5}
    print(json.dumps({**found, "ratio": round(ratio, 2), "bars": bars}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
