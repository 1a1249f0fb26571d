"""The main job on data that no one here made: half a year of real groceries, and a week of nights after it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import journey_oracle as oracle
import polars as pl
import pytest
from click.testing import CliRunner
from complete_journey import FIRST_RUN, ZONE, apps_of, write_delivery
from journey import (
    APPROVER,
    APPS,
    AUTHOR,
    CAMPAIGNS,
    KEYS,
    LAPSED,
    NIGHTS,
    PARENTS,
    RANK_ABOVE,
    SCHEDULER,
    SDK_FROM,
    TWICE,
    WINDOW_DAYS,
    Files,
    Journey,
    Night,
    environment,
    read_journal,
    travel,
    working,
)

from optinb.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST = FIRST_RUN + timedelta(days=NIGHTS)
EVERY_CAMPAIGN = pytest.mark.parametrize("campaign", CAMPAIGNS)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    yield from travel(tmp_path_factory.mktemp("journey"))


@pytest.fixture(scope="module")
def salts(journey: Journey) -> dict[str, str]:
    """The id of each campaign."""
    with working(journey.root, LAST, user=SCHEDULER) as ws:
        return {record.campaign.name: record.id for record in ws.campaigns.list()}


def frozen(journey: Journey, night: Night, campaign: str) -> pl.DataFrame:
    """The audience that a night says it froze for a campaign."""
    figures = night.campaign(campaign)
    content = (journey.root / figures["audience"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == figures["audience_sha256"]
    rows = pl.read_parquet(content)
    assert rows["customer_id"].is_unique().all()
    return rows


def rows_of(audience: pl.DataFrame) -> dict[str, oracle.Row]:
    """An audience in the oracle's form."""
    return {
        row["customer_id"]: oracle.Row(
            row["outcome"], row["reason"], row["properties"] and json.loads(row["properties"])
        )
        for row in audience.to_dicts()
    }


def target_group(journey: Journey, night: date, group: str) -> set[str]:
    """The members of a group on a night, as the package's data have them."""
    if group == PARENTS:
        return oracle.baby_buyers(night, days=WINDOW_DAYS)
    ranks = oracle.ranks(published(journey, night, "future_value"))
    return {customer for customer in oracle.churned(night) if ranks[customer] > RANK_ABOVE}


def published(journey: Journey, night: date, figure: str) -> dict[str, Any]:
    """What the model of a night said of every customer."""
    with working(journey.root, LAST, user=SCHEDULER) as ws:
        history = ws.snapshot().history(since=night, until=night)
        return dict(history.select("customer_id", figure).collect().iter_rows())


def test_the_week_has_the_nights_it_should_have(journey) -> None:
    assert [night.day for night in journey.nights] == [FIRST_RUN + timedelta(days=n) for n in range(NIGHTS + 1)]
    with working(journey.root, LAST, user=SCHEDULER) as ws:
        runs = [ws.store.runs.get(night.day) for night in journey.nights]
        records = ws.campaigns.list()
    assert all(run and (run.exit_code, run.started_by) == (0, SCHEDULER) for run in runs)
    assert {run.run_date for run in runs if run and run.attempt == 2} == {TWICE}
    approvers = {(r.state, r.author, r.approval and r.approval.approver) for r in records}
    assert approvers == {("running", AUTHOR, APPROVER)}


def test_a_night_with_papermill_prints_its_summary_and_nothing_else(journey) -> None:
    folder = journey.root / "runs" / f"{FIRST_RUN}"
    assert journey.stdout.count("\n") == 1
    assert json.loads(journey.stdout) == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert json.loads(journey.stdout)["notebook"] == str(folder / "nightly_send.ipynb")
    cells = json.loads((folder / "nightly_send.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert (folder / "report.html").stat().st_size > 0


def test_every_row_that_was_delivered_is_loaded_and_none_twice(journey) -> None:
    total = 0
    for night in journey.nights:
        wrote = journey.written[night.day]
        imported = night.summary["imported"]
        assert {name: table["read"] for name, table in imported.items()} == wrote._asdict()
        assert all(t["loaded"] == t["read"] and t["quarantined"] == 0 for t in imported.values())
        assert night.summary["customers"] == wrote.customers
        total += wrote.transactions
    with working(journey.root, LAST, user=SCHEDULER) as ws:
        snapshot = ws.snapshot()
        assert snapshot.import_date == snapshot.model_date == LAST
        rows = snapshot.scan("transactions").select(pl.len(), ids=pl.col("transaction_id").n_unique()).collect().row(0)
        assert rows == (total, total)
        assert snapshot.table("customers").collect().height == journey.written[LAST].customers
        assert snapshot.table("app_users").collect().height == journey.written[LAST].app_users


def test_every_summary_closes(journey) -> None:
    for night in journey.runs():
        assert (night.summary["exit_code"], night.summary["problems"], night.summary["warnings"]) == (0, [], [])
        assert [c["name"] for c in night.summary["campaigns"]] == list(CAMPAIGNS)
        for c in night.summary["campaigns"]:
            assert c["target"] == c["recipients"] + c["control"] + sum(c["excluded"].values())
            outcomes = ("accepted", "refused", "unknown", "expired", "cancelled")
            assert c["recipients"] == sum(c[outcome] for outcome in outcomes) == c["accepted"] > 0
            assert c["control"] > 0
            assert c["batches"] == -(-c["recipients"] // 50)
            assert c["pending"] == 0
            assert c["held"] is None


@EVERY_CAMPAIGN
def test_the_journal_of_the_sandbox_is_the_frozen_audiences(journey, campaign) -> None:
    template, at = journey.template_id(campaign), CAMPAIGNS[campaign]["schedule"]["at"]
    for night in journey.nights:
        requests = [request for request in night.sent if request["campaign_id"] == template]
        received = [
            (recipient["external_user_id"], recipient["trigger_properties"])
            for request in requests
            for recipient in request["recipients"]
        ]
        rows = rows_of(frozen(journey, night, campaign))
        wanted = [(customer, row.properties) for customer, row in rows.items() if row.outcome == "recipient"]
        assert sorted(received, key=lambda r: r[0]) == sorted(wanted, key=lambda r: r[0])
        assert all(1 <= len(request["recipients"]) <= 50 for request in requests)
        local = datetime.fromisoformat(f"{night.day}T{at}").replace(tzinfo=ZoneInfo(ZONE))
        for request in requests:
            assert datetime.fromisoformat(request["schedule"]["time"]) == local
            taken = datetime.fromisoformat(request["taken_at"]).astimezone(ZoneInfo(ZONE))
            assert taken.date() == night.day
            assert taken < local


def test_the_journal_holds_nothing_else(journey) -> None:
    templates = {journey.template_id(campaign) for campaign in CAMPAIGNS}
    lines = read_journal(journey.root)
    assert lines == [line for night in journey.nights for line in night.sent]
    assert {line["campaign_id"] for line in lines} == templates
    assert {line["endpoint"] for line in lines} == {"/campaigns/trigger/schedule/create"}


def test_a_night_that_is_run_twice_sends_nothing_twice(journey) -> None:
    assert journey.again is not None
    first = next(night for night in journey.nights if night.day == TWICE)
    assert first.sent
    assert journey.again.sent == []
    assert journey.again.summary["campaigns"] == first.summary["campaigns"]
    assert journey.again.summary["imported"] == first.summary["imported"]


@EVERY_CAMPAIGN
def test_nobody_of_a_control_group_is_ever_sent_to(journey, campaign) -> None:
    template = journey.template_id(campaign)
    sent = {
        recipient["external_user_id"]
        for line in read_journal(journey.root)
        if line["campaign_id"] == template
        for recipient in line["recipients"]
    }
    outcomes = defaultdict(set)
    for night in journey.nights:
        for customer, row in rows_of(frozen(journey, night, campaign)).items():
            outcomes[customer].add(row.outcome)
    control = {customer for customer, seen in outcomes.items() if "control" in seen}
    assert control
    assert not control & sent
    assert all(outcomes[customer] == {"control"} for customer in control)
    assert sent == {customer for customer, seen in outcomes.items() if "recipient" in seen}


@EVERY_CAMPAIGN
def test_audiences_are_what_plain_counting_on_the_raw_data_gives(journey, salts, campaign) -> None:
    wanted = CAMPAIGNS[campaign]
    groups, known, by_default = set(), 0, 0
    for night in journey.nights:
        group = target_group(journey, night.day, wanted["group"])
        groups.add(frozenset(group))
        expected = oracle.audience(
            group,
            apps=APPS[campaign],
            sdk_from=SDK_FROM,
            control=wanted["control"],
            salt=salts[campaign],
            properties=wanted["properties"],
        )
        assert rows_of(frozen(journey, night, campaign)) == expected
        (attribute,) = (name for name, source in wanted["properties"].items() if "attribute" in source)
        values = [row.properties[attribute] for row in expected.values() if row.properties]
        by_default += values.count(wanted["properties"][attribute]["default"])
        known += len(set(values)) - 1
    # the groups do move from night to night, and some customers have the attribute and others don't
    assert len(groups) > NIGHTS / 2
    assert known > 0 < by_default


def test_the_data_would_show_a_window_or_a_day_that_is_off_by_one(journey) -> None:
    nights = [night.day for night in journey.nights]
    right = [oracle.baby_buyers(night, days=WINDOW_DAYS) for night in nights]
    for days, zone in ((WINDOW_DAYS - 1, ZONE), (WINDOW_DAYS + 1, ZONE), (WINDOW_DAYS, "UTC")):
        assert [oracle.baby_buyers(night, days=days, zone=zone) for night in nights] != right


def test_stages_and_value_are_what_plain_counting_gives(journey) -> None:
    for night in journey.nights:
        stages = published(journey, night.day, "stage")
        assert {customer for customer, stage in stages.items() if stage == "churned"} == oracle.churned(night.day)
        assert night.summary["stages"]["churned"] == len(oracle.churned(night.day))
        ranks = oracle.ranks(published(journey, night.day, "future_value"))
        bands = {c: "high" if rank > 80 else "medium" if rank > 50 else "low" for c, rank in ranks.items()}
        assert published(journey, night.day, "value_segment") == bands


def test_a_night_writes_its_own_rows_and_leaves_every_older_file_alone(journey) -> None:
    before, seen = journey.before.by_path, {FIRST_RUN}
    for run in journey.runs():
        after = run.files.by_path
        new, gone = after.keys() - before.keys(), before.keys() - after.keys()
        assert {path: after[path] for path in before if path in after}.items() <= before.items()
        kept = set(map(folder_of, after))
        # the state of a day that was modelled twice goes with the last version that named its first file, and what
        # was joined into a month with the last that named it by days
        assert all(folder_of(path) in kept or month_of(path) in kept for path in gone)
        states, bought = f"history/day={run.day}", f"transactions/day={run.day - timedelta(days=1)}"
        folders = set(map(folder_of, new))
        assert {states} <= folders if run.day in seen else {states, bought} <= folders
        joined = folders - {states, bought, f"changes/day={run.day}"}
        assert len(joined) <= 1 and all(folder.startswith("transactions/month=") for folder in joined)
        before, seen = after, {*seen, run.day}


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


def month_of(path: str) -> str:
    """The folder of the month that a day's file is joined into."""
    return re.sub(r"day=(\d+-\d+)-\d+/.*", r"month=\1", path)


def test_an_import_opens_no_transactions_of_other_days(journey, tmp_path: Path) -> None:
    day = LAST + timedelta(days=1)
    copy = tmp_path / "ws"
    shutil.copytree(journey.root, copy, ignore=shutil.ignore_patterns("inbox", "audiences", "runs"))
    wrote = write_delivery(copy / "inbox", day, since=LAST)
    unreadable = [
        *(copy / "warehouse" / "transactions").rglob("*.parquet"),
        *(copy / "warehouse" / "history").rglob("*.parquet"),
    ]
    assert len(unreadable) > 40
    for file in unreadable:
        file.write_bytes(b"")
    before = Files.of(copy)
    with working(copy, day, user=SCHEDULER) as ws:
        report = ws.import_delivery(day)
    assert {table.table: table.loaded for table in report.tables} == wrote._asdict()
    after = Files.of(copy).by_path
    assert {path: after[path] for path in before.by_path} == before.by_path
    new = {folder_of(path) for path in after.keys() - before.by_path.keys()}
    assert new == {f"transactions/day={LAST}", f"changes/day={day}"}


@pytest.mark.parametrize("night", [FIRST_RUN, TWICE, LAST], ids=str)
@EVERY_CAMPAIGN
def test_why_says_what_happened_to_a_customer(journey, campaign, night) -> None:
    run = next(n for n in journey.nights if n.day == night)
    rows = rows_of(frozen(journey, run, campaign))
    delivered = {
        recipient["external_user_id"]: recipient["trigger_properties"]
        for request in run.sent
        if request["campaign_id"] == journey.template_id(campaign)
        for recipient in request["recipients"]
    }
    recipient = max(customer for customer, row in rows.items() if row.outcome == "recipient")
    answer = why(journey, recipient, night, campaign)
    assert (answer["outcome"], answer["delivery"]) == ("recipient", "accepted")
    assert json.loads(answer["properties"]) == delivered[recipient]
    assert datetime.fromisoformat(answer["send_at"]) == datetime.fromisoformat(run.campaign(campaign)["send_at"])

    control = next(customer for customer, row in rows.items() if row.outcome == "control")
    answer = why(journey, control, night, campaign)
    assert (answer["outcome"], answer["delivery"]) == ("control", None)
    assert "control group" in answer["why"]

    for reason, words in {
        "no_app": "does not use these apps",
        "no_sdk": "without the Appboy SDK",
        "push_off": "push",
    }.items():
        for customer in [c for c, row in rows.items() if row.reason == reason][:1]:
            answer = why(journey, customer, night, campaign)
            assert (answer["outcome"], answer["delivery"]) == ("excluded", None)
            assert words in answer["why"]

    outside = next(c for c in published(journey, night, "stage") if c not in rows)
    answer = why(journey, outside, night, campaign)
    assert (answer["outcome"], answer["delivery"], answer["properties"]) == ("not in the group", None, None)


def why(journey: Journey, customer: str, night: date, campaign: str) -> dict[str, Any]:
    """The answer of the command for one campaign."""
    arguments = ["why", customer, "--date", f"{night}", "--workspace", str(journey.root), "--json"]
    done = CliRunner().invoke(main, arguments, env=environment(LAST))
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["customer_id"], answer["run_date"], answer["is_known"]) == (customer, f"{night}", True)
    assert {a["campaign"] for a in answer["answers"]} == set(CAMPAIGNS)
    return next(a for a in answer["answers"] if a["campaign"] == campaign)


def test_who_is_left_out_covers_every_reason_that_the_apps_give(journey) -> None:
    reasons = {reason for night in journey.nights for reason in night.campaign("Baby week")["excluded"]}
    assert reasons == {"no_app", "no_sdk", "push_off"}
    no_app = {
        c for c, row in rows_of(frozen(journey, journey.nights[0], "Come back")).items() if row.reason == "no_app"
    }
    ios_only = {c for c in no_app if any(use.app_id == "cj-ios" for use in apps_of(c))}
    assert ios_only  # an Android template reaches nobody on an iPhone


@EVERY_CAMPAIGN
def test_the_sandbox_delivers_what_was_scheduled(journey, campaign) -> None:
    group = CAMPAIGNS[campaign]["app_group"].upper()
    query = {"campaign_id": journey.template_id(campaign), "length": NIGHTS + 1, "ending_at": f"{LAST}T23:59:59Z"}
    answer = httpx.get(
        f"{journey.api}/campaigns/data_series",
        params=query,
        headers={"Authorization": f"Bearer {KEYS[f'OPTINB_{group}_KEY']}"},
    )
    delivered = {row["time"]: row["unique_recipients"] for row in answer.json()["data"]}
    assert delivered == {f"{night.day}": night.campaign(campaign)["recipients"] for night in journey.nights}


def test_a_lapsed_household_that_buys_again_leaves_the_group(journey) -> None:
    members = [target_group(journey, night.day, LAPSED) for night in journey.nights]
    bought = oracle.purchases()
    left = {
        (customer, night.day)
        for night, before, now in zip(journey.nights[1:], members[:-1], members[1:], strict=True)
        for customer in before - now
        if not bought.filter(
            pl.col("customer_id") == customer, pl.col("day") == night.day - timedelta(days=1)
        ).is_empty()
    }
    assert left
    for customer, day in left:
        night = next(n for n in journey.nights if n.day == day)
        assert customer not in rows_of(frozen(journey, night, "Come back"))
