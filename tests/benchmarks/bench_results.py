"""What the results of 20 campaigns of a year cost beside one Polars pass over their purchases, in one run.

    python tests/benchmarks/bench_results.py [--customers 5000000] [--transactions 50000000] [--nights 30,300]
        [--runs 1] [--quick] [--folder DIR]

A workspace is made for each number of past nights: customers as a first delivery, two years of transactions written
straight into the published layout (30 days a file), since importing them would take hours, and 20 campaigns, each of
which was to go to one customer in twenty over its nights, with a tenth held out. Every night goes to customers whom the
campaign hasn't had yet and to some whom it has, and its frozen audience tells of others whom it left out. One customer
in twenty is in the lasting control group. Each kind is a process of its own:

- `pass`: one Polars pass over the window's transactions (the campaigns' windows and the year before them): how many
  purchases, and what they came to, by customer;
- `results`: all campaigns' results (`CampaignResults.of_all`): purchases, refunds, days and spend of each arm;
- `alone`: the result of one campaign, as whoever opens its page waits for it;
- `programme`: everybody against the lasting control group over a quarter, with the campaigns' parts.

Prints one JSON: of each kind and number of nights processor seconds and peak memory in MB, and `to_pass`, the processor
time of all results by that of the pass (the bar: at most 4; memory at most 3,000 MB, the programme's too, and as much
for 300 nights as for 30). `--quick` is one fiftieth of it with 10 and 40 nights, and takes less than 50 seconds; what
it costs to begin with weighs more there, so that `to_pass` says little.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from deliveries import RUN_DATE, settings, usage, write
from msgspec.structs import replace

from optinb.base.context import Context
from optinb.base.settings import PolicySection
from optinb.campaigns import AUDIENCE_SCHEMA, Campaign, CampaignRecord, Schedule
from optinb.campaigns.policy import GLOBAL_CONTROL
from optinb.delivery import ContactHistory, plan
from optinb.delivery.journal import Accepted, Store
from optinb.delivery.journal.rows import as_json
from optinb.engine.persons import in_share
from optinb.measure import CampaignResults, CampaignTests, ProgrammeResults
from optinb.measure.result_details import ResultDetails
from optinb.warehouse import Warehouse, building
from optinb.warehouse.days import DayFile
from optinb.warehouse.sql import connect
from optinb.warehouse.versions import Versions

FILES, FILE_DAYS, CAMPAIGNS = 24, 30, 20
FIRST = RUN_DATE - timedelta(days=FILES * FILE_DAYS)
YEAR = RUN_DATE - timedelta(days=365)
CONTROL, LASTING = 0.1, 0.05
KINDS = ("pass", "results", "alone", "programme")
c = pl.col


def at_three(day: date) -> datetime:
    return datetime.combine(day, time(3), UTC)


def context(root: Path) -> Context:
    of_it = replace(settings(), policy=PolicySection(global_control=LASTING))
    return Context(root, of_it, now=lambda: at_three(RUN_DATE), user="bench")


def make_warehouse(root: Path, customers: int, transactions: int) -> None:
    """A first delivery of a year ago and one of today, and two years of transactions."""
    write(root / "inbox" / f"{RUN_DATE}", customers=customers, app_users=10, transactions=10, parquet=("customers",))
    Warehouse(root, settings()).import_delivery(RUN_DATE, now=at_three(RUN_DATE))
    versions, files = Versions(root / "warehouse"), []
    with versions.lease("history", user="", now=at_three(RUN_DATE)), connect(scratch=versions.work) as con:
        building.attach(con, versions.path(1), "cur", read_only=True)
        contents = building.read_contents(con, "cur")
        for number in range(FILES):
            first, rows = FIRST + timedelta(days=number * FILE_DAYS), transactions // FILES
            path = versions.folder / f"transactions/month={first:%Y-%m-%d}/v000002-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            con.execute(
                f"""COPY (SELECT 'T' || i AS transaction_id,
                  'C' || lpad((hash(i) % {customers})::VARCHAR, 9, '0') AS customer_id,
                  TIMESTAMP '{first}' + INTERVAL (hash(i, 1) % {FILE_DAYS * 86_400}) SECOND AS occurred_at,
                  occurred_at::DATE AS day,
                  if(hash(i, 2) % 20 = 0, -1, 1) * exp(1 + hash(i, 3) % 4000 / 1000.0) AS amount,
                  'EUR' AS currency, (1 + hash(i, 4) % 3)::DOUBLE AS quantity,
                  'product-' || hash(i, 5) % 3000 AS product, 'category-' || hash(i, 6) % 40 AS category
                FROM range({number * rows}, {(number + 1) * rows}) r(i)) TO '{path}' (FORMAT parquet)"""
            )
            files.append(
                DayFile(
                    table="transactions",
                    day=first,
                    path=path.relative_to(versions.folder).as_posix(),
                    rows=rows,
                    bytes=path.stat().st_size,
                    delivery=RUN_DATE,
                    until=first + timedelta(days=FILE_DAYS - 1),
                )
            )
        built = versions.work / "next.duckdb"
        building.attach(con, built, "next", read_only=False)
        building.carry_over(con, without=())
        kept = tuple(file for file in contents.files if file.table not in ("transactions", "keys"))
        deliveries = (replace(contents.deliveries[0], run_date=YEAR), *contents.deliveries)
        building.write_contents(con, replace(contents, version=2, files=(*kept, *files), deliveries=deliveries))
        building.finish(con)
        versions.publish(built, 2)
        building.clean_up(con, versions, keep=1)


def make_campaigns(root: Path, customers: int, nights: int) -> None:
    """Campaigns that ran over so many nights of the year, two each night, and whose requests Appboy took."""
    random, each = np.random.default_rng(7), max(1, 2 * nights // CAMPAIGNS)
    with Store.open(root / "state.sqlite", root=root) as store:
        for number in range(CAMPAIGNS):
            campaign = Campaign(
                name=f"Campaign {number:02}", app_group="Shop", template="T", group="G",
                schedule=Schedule(at="18:30", every="day"), control=CONTROL, measurement_days=14,
            )  # fmt: skip
            record = CampaignRecord(
                campaign=campaign,
                state="approved",
                author="bench",
                submitted_at=at_three(YEAR),
                updated_at=at_three(YEAR),
            )
            store.campaigns.put(record, expected=None, user="bench", action="submit", now=at_three(YEAR))
            chosen = random.choice(customers, customers // 20, replace=False)
            for at, part in enumerate(np.array_split(chosen, each)):
                night = YEAR + timedelta(days=int((at + number / CAMPAIGNS) * 330 / each) + 1)
                again = random.choice(chosen[: len(chosen) * at // each], len(part) // 5) if at else part[:0]
                audience = audience_of(campaign, np.concatenate([part, np.unique(again)]))
                plan(
                    store, audience, campaign=campaign, run_date=night, app_group_id="g", template_id="t",
                    send_at=datetime.combine(night, time(17, 30), UTC), fingerprint="f" * 64, root=root, user="bench",
                    now=at_three(night),
                )  # fmt: skip
    with closing(sqlite3.connect(root / "state.sqlite")) as con, con:
        state = as_json(Accepted(dispatch_id="d", schedule_id="s"))
        con.execute("UPDATE batches SET state = 'accepted', detail = ?", (state,))


def audience_of(campaign: Campaign, numbers: np.ndarray) -> pl.DataFrame:
    """Recipients, controls, and a third as many whom something else leaves out."""
    ids = "C" + pl.Series("customer_id", numbers).cast(pl.String).str.zfill(9)
    rows = pl.DataFrame({"customer_id": ids, "external_user_id": ids}).unique("customer_id", maintain_order=True)
    lasting = in_share(rows["customer_id"], salt=GLOBAL_CONTROL, share=LASTING)
    held_out = in_share(rows["customer_id"], salt=campaign.id, share=CONTROL)
    kept = (
        pl.when(lasting).then(pl.lit("excluded")).when(held_out).then(pl.lit("control")).otherwise(pl.lit("recipient"))
    )
    ours = rows.with_columns(
        outcome=kept, reason=pl.when(lasting).then(pl.lit("global_control")), properties=pl.lit("{}")
    )
    others = rows.head(rows.height // 3).select(pl.format("X{}", c("customer_id")).alias("customer_id"))
    others = others.with_columns(
        external_user_id="customer_id", outcome=pl.lit("excluded"), reason=pl.lit("push_off"), properties=pl.lit("{}")
    )
    return pl.concat([ours, others]).select(c(name).cast(kind) for name, kind in AUDIENCE_SCHEMA.items())


def measured(root: Path, kind: str) -> dict[str, object]:
    """One kind, and what it told, so that nothing is measured that did nothing."""
    here = context(root)
    with Store.open(root / "state.sqlite", root=root) as store, Warehouse(root, here.settings).open() as published:
        contacts = ContactHistory(root, store)
        tests = CampaignTests(here, store, contacts, published=lambda: published)
        details = ResultDetails(here, as_of=lambda _: published, redemptions=lambda _: None, contacts=tests.contacts)
        results = CampaignResults(here, store, tests, details)
        names = [record.campaign.name for record in store.campaigns.list()]
        begun = usage()["processor_s"]
        match kind:
            case "pass":
                rows = published.scan("transactions", since=FIRST, until=RUN_DATE).filter(c("amount") > 0)
                told = rows.group_by("customer_id").agg(c("amount").sum(), pl.len()).collect(engine="streaming").height
            case "results":
                told = sum(sum(one.customers.values()) for one in results.of_all(names) if one.arms)
            case "alone":
                told = sum(results.of(names[-1]).customers.values())
            case _:
                programme = ProgrammeResults(here, store, contacts, results, published=lambda: published)
                found = programme.of(since=RUN_DATE - timedelta(days=100), until=RUN_DATE - timedelta(days=10))
                assert found.figures, found.sentence()
                told = sum(found.customers.values())
    used = usage()
    return {"told": told, "processor_s": used["processor_s"] - begun, "peak_mb": used["peak_mb"]}


def in_own_process(root: Path, kind: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "--one", kind, str(root)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--transactions", type=int, default=50_000_000)
    parser.add_argument("--nights", default="30,300")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(Path(options.one[1]), options.one[0])))
        return
    customers, transactions, past = options.customers, options.transactions, options.nights
    if options.quick:
        customers, transactions, past = customers // 50, transactions // 50, "10,40"
    report: dict[str, object] = {"sizes": {"customers": customers, "transactions": transactions}}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        make_warehouse(root, customers, transactions)
        for nights in map(int, past.split(",")):
            make_campaigns(root, customers, nights)
            runs = [{kind: in_own_process(root, kind) for kind in KINDS} for _ in range(options.runs)]
            seconds = {kind: statistics.median(run[kind]["processor_s"] for run in runs) for kind in KINDS}
            report[f"{nights} nights"] = {
                "processor_s": {kind: round(one, 2) for kind, one in seconds.items()},
                "peak_mb": {kind: round(max(run[kind]["peak_mb"] for run in runs)) for kind in KINDS},
                "customers": {kind: runs[0][kind]["told"] for kind in KINDS},
                "to_pass": round(seconds["results"] / seconds["pass"], 2),
            }
            for left in root.glob("state.sqlite*"):
                left.unlink()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
