"""Workspaces that earlier versions made, with today's code: all is there, and nobody gets what they had or refused."""

from __future__ import annotations

import json
import tarfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import make_workspace as week
import polars as pl
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import optinb
from optinb import attr, did
from optinb.appboy import TemplateRules
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR
from optinb.errors import RuleError, UsageError
from optinb.sandbox import Sandbox, demo_world

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHIVES = sorted(Path(__file__).parent.glob("workspace-*.tar.xz"))
NEW = range(61, 71)
LAST, NEXT, AFTER = (week.NEXT + timedelta(days=days) for days in (-1, 0, 1))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    start = datetime.fromisoformat(week.at(NEXT, 1))
    with Sandbox(demo_world(), journal=tmp_path / "sandbox.jsonl", now=start) as running:
        yield running


@pytest.fixture(params=ARCHIVES, ids=lambda archive: archive.name)
def root(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of an earlier version, unpacked, on the morning after its last night."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "ws", filter="data")
    settings = tmp_path / "ws" / "optinb.toml"
    # this sandbox knows nothing of what another one took in the week before
    unasked = "\n[confirm]\nminutes = 0\n"
    settings.write_text(settings.read_text().replace(week.PLACEHOLDER, sandbox.url) + unasked)
    monkeypatch.setenv("OPTINB_USER", AUTHOR)
    monkeypatch.setenv("OPTINB_NOW", week.at(NEXT, 2))
    return tmp_path / "ws"


def deliver(root: Path, day: date, **numbers: range) -> None:
    """Puts the delivery of a night into the inbox, with all that events may tell, which on some nights none does."""
    week.deliver(root, day, **numbers)
    seen = {"customer_id": week.customer(2), "occurred_at": f"{day - timedelta(days=1)}T21:00:00Z", "name": "view"}
    with (root / "inbox" / day.isoformat() / "events.ndjson").open("a") as out:
        out.write(json.dumps({**seen, "value": 1, "properties": {"page": "p1"}}) + "\n")


def audience(root: Path, campaign: str, day: object) -> pl.DataFrame:
    """Everybody in the target group of a night of a campaign; of nobody, where it wasn't due."""
    files = list((root / "audiences" / str(day)).glob(f"{campaign.lower().replace(', ', '-').replace(' ', '-')}-*"))
    return pl.concat([pl.read_parquet(file, glob=False, hive_partitioning=False) for file in files])


def people(rows: pl.DataFrame, outcome: str) -> set[str]:
    return set(rows.filter(pl.col("outcome") == outcome)["external_user_id"])


def sent(root: Path) -> list[dict[str, object]]:
    journal = root.parent / "sandbox.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [recipient for line in lines if line["endpoint"] == week.CREATE for recipient in line["recipients"]]


def summary(root: Path, day: object) -> dict:
    return json.loads((root / "runs" / str(day) / "summary.json").read_text())


def test_it_opens_and_everything_is_still_there(root: Path) -> None:
    files = {path: path.read_bytes() for path in root.glob("audiences/*/*")}
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        assert ws.customers().collect().height == 59
        assert {c.campaign.name: c.state for c in ws.campaigns.list()} == {
            week.DAILY: "running",
            week.CODES: "running",
            week.ONCE: "done",
            "Some day": "draft",
        }
        assert {g.name for g in ws.groups.list()} == {"Fair visitors", "Fresh", "German women", "Openers"}
        assert ws.lists.get("Trade fair").customers == 29  # without the one who was forgotten
        given = [audience(root, week.CODES, day) for day in ("2026-11-16", "2026-11-18", "2026-11-20", LAST)]
        assert ws.codes.get("Drinks").left == 200 - sum(len(people(rows, "recipient")) for rows in given)
        assert ws.members("Openers", engine="duckdb").equals(ws.members("Openers", engine="polars"))
        assert ws.preview("Fresh").customers == ws.members("Fresh").height > 0
        assert ws.quarantine("2026-11-18").rows == 1
        assert week.customer(week.FORGOTTEN) not in ws.customers().collect()["customer_id"]
        with pytest.raises(UsageError, match="was forgotten"):
            ws.why(week.customer(week.FORGOTTEN))
        assert ws.checkpoints.verify().problem is None
    assert files == {path: path.read_bytes() for path in root.glob("audiences/*/*")}


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("why", week.customer(1)), ("audit", "verify"), ("codes", "list"), ("campaigns", "calendar")],
    ids=" ".join,
)
def test_its_commands_answer(root: Path, arguments: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*arguments, "-w", str(root)])
    assert told.exit_code == 0, told.output
    assert told.output.strip()


def test_a_message_of_the_week_is_told_of_each_customer(root: Path) -> None:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        for day in ("2026-11-16", "2026-11-18", LAST):
            for campaign in summary(root, day)["campaigns"]:
                for row in audience(root, campaign["name"], day).iter_rows(named=True):
                    if row["customer_id"].isdigit():  # not anonymous
                        answers = ws.why(row["customer_id"], run_date=str(day)).answers
                        (told,) = [a.outcome for a in answers if a.campaign == campaign["name"]]
                        assert told == row["outcome"]


def test_the_next_nights_go_to_those_who_may_get_it_and_to_nobody_else(root: Path, sandbox: Sandbox) -> None:
    had = people(audience(root, week.DAILY, LAST), "recipient")
    controls = people(audience(root, week.DAILY, LAST), "control")
    assert had and controls
    nights = ("2026-11-16", "2026-11-18", "2026-11-20", LAST)
    gone = {code for day in nights for code in _codes(audience(root, week.CODES, day))}
    for day in (NEXT, AFTER):
        deliver(root, day, numbers=range(1, NEW.stop))
        week.set_clock(sandbox, week.at(day, 2))
        before = len(sent(root))
        week.run_night(root, day)
        held = {c["name"]: c["held"] for c in summary(root, day)["campaigns"] if c["held"]}
        assert held.keys() == {NEXT: {week.DAILY}, AFTER: {week.CODES}}[day]
        assert all("approved it before these were a part of an approval: " in why for why in held.values())
        new = len(sent(root)) - before
        assert new == sum(c["recipients"] for c in summary(root, day)["campaigns"] if not c["held"])
        with optinb.open_workspace(root, user=APPROVER) as boss:
            for name in held:
                plan = boss.campaigns.get(name).campaign  # of whose template nobody could state anything before
                boss.templates.set_rules(plan.app_group, plan.template, TemplateRules(again_after_s=0))
                changes = boss.campaigns.last_approval(boss.campaigns.preview(boss.campaigns.get(name).campaign))
                assert changes is not None
                assert {c.before for c in changes.changes} == {"not a part of an approval then", "none"}
                boss.campaigns.approve(name, seen=boss.campaigns.preview(name))
        week.run_night(root, day)
        assert summary(root, day)["exit_code"] == 0, summary(root, day)["problems"]
    daily = {day: audience(root, week.DAILY, day) for day in (NEXT, AFTER)}
    codes = audience(root, week.CODES, AFTER)
    reached = {str(recipient["external_user_id"]) for recipient in sent(root)}

    women = {week.external(n) for n in NEW if n % 2 and n % 5}
    assert people(daily[NEXT], "recipient") | people(daily[NEXT], "control") == women | controls
    assert people(daily[NEXT], "recipient") >= women - people(daily[NEXT], "control") != set()
    assert people(codes, "recipient")
    assert reached == people(daily[NEXT], "recipient") | people(codes, "recipient")

    for day in (NEXT, AFTER):
        assert controls <= people(daily[day], "control")
        assert not people(daily[day], "recipient") & (had | controls)
    assert not people(codes, "recipient") & (had | people(daily[NEXT], "recipient") | controls)
    refused = week.OPTED_OUT | week.BLOCKED | week.TEST | week.PUSH_OFF | {week.FORGOTTEN}
    assert not reached & {week.external(n) for n in refused}
    mine = _codes(codes)
    assert len(mine) == len(set(mine)) == len(people(codes, "recipient"))
    assert not set(mine) & gone
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        assert ws.checkpoints.verify().problem is None
        assert ws.codes.get("Drinks").left == 200 - len(gone) - len(mine)


def test_its_events_which_know_no_id_are_read_joined_and_forgotten_beside_those_that_have_one(
    root: Path, sandbox: Sandbox
) -> None:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        before = ws.snapshot().scan("events").collect()
    # An earlier day than most of the old files, so that the first file that is read knows the column.
    late = {"customer_id": week.customer(2), "occurred_at": "2026-11-15T23:00:00Z", "name": "open"}
    deliver(root, NEXT)
    with (root / "inbox" / NEXT.isoformat() / "events.ndjson").open("a") as out:
        out.writelines(json.dumps({**late, "event_id": name}) + "\n" for name in ("e1", "e2"))
        out.write(week.events(LAST))  # yesterday's once more
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        imported = ws.import_delivery(NEXT).table("events")
        assert imported.repeated == len(week.events(LAST).splitlines())
        ws.reopen()
        everybody = did("open").at_least(1)
        found = ws.members(everybody)
        assert found.height == 59
        assert ws.members(everybody, engine="duckdb").sort("customer_id").equals(found.sort("customer_id"))
        assert ws.snapshot().scan("events").collect().height == before.height + imported.loaded
        with pytest.raises(RuleError, match="event_id"):
            ws.members(did("open").where(attr("event_id") == "e1"))
    # Months later the days of November become one file.
    winter = date(2027, 2, 1)
    for number, day in enumerate((winter, winter + timedelta(days=1))):
        week.set_clock(sandbox, week.at(day, 2))
        deliver(root, day)
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            ws.import_delivery(day)
            ws.reopen()
            files = [file for file in ws.snapshot().files("events") if file.day < date(2026, 12, 1)]
            assert len(files) == 1
            rows = ws.snapshot().scan("events").filter(pl.col("day") < date(2026, 12, 1)).collect()
            assert rows.height == before.height + imported.loaded
            assert rows["event_id"].drop_nulls().sort().to_list() == ["e1", "e2"]
            if number == 0:
                assert ws.forget(week.customer(4)).rows["events"] > 0
                rows = rows.filter(pl.col("customer_id") != week.customer(4))
                left = ws.snapshot().scan("events").filter(pl.col("day") < date(2026, 12, 1)).collect()
                assert left.height == rows.height
                before = before.filter(pl.col("customer_id") != week.customer(4))
                imported = replace(imported, loaded=left.height - before.height)


def _codes(rows: pl.DataFrame) -> list[str]:
    given = rows.filter(pl.col("outcome") == "recipient")["properties"]
    return [json.loads(text)["promo_code"] for text in given if text]
