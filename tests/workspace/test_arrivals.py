"""Nights of the demo with one template wrongly set: the alarm the next morning, and whom everybody counts by then."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import optinb
from optinb import did_not_open, opened, received, responded
from optinb.base.figures import share
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, KEYS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.measure.arrivals import arrived
from optinb.nightly import Night
from optinb.sandbox import Sandbox, demo_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.delivery import ConfirmedNights
    from optinb.measure import NightSummary
    from optinb.workspace import Workspace

CLUB = CAMPAIGNS[1]["name"]
TEMPLATE = CAMPAIGNS[1]["template"]
DAYS = [RUN_DATE + timedelta(days=n) for n in range(7)]
NEWEST = DAYS[-1]
LATER = NEWEST + timedelta(days=4)
"""When nothing of any night can be late any more, by Appboy's 72 hours."""


class Week(NamedTuple):
    """Nights that ran, one after the other, and the sandbox that knows what became of everything."""

    ws: Workspace
    sandbox: Sandbox
    nights: list[NightSummary]
    later: ConfirmedNights

    def truth(self, day: date) -> dict[str, str]:
        """What really became of the club's messages of a day."""
        (campaign,) = [c for c in self.sandbox.world.group("Club").campaigns if c.name == TEMPLATE]
        fates = self.sandbox.world.fates(campaign.id, self.sandbox.clock.now())
        audience = next(a for a in self.ws.contacts.nights(run_date=day) if a.campaign_name == CLUB)
        dispatches = set(self.ws.contacts.rows(audience, ("dispatch_id",))["dispatch_id"])
        return {fate.external_user_id: fate.state for fate in fates if fate.dispatch_id in dispatches}


def at(day: date, ws: Workspace) -> datetime:
    return datetime.combine(day, time(2), tzinfo=ws.settings.zone)


def ran(root: Path, day: date) -> NightSummary:
    night = Night(optinb.open_workspace(root, user=SCHEDULER), day)
    try:
        night.templates()
        night.confirm()
        night.audiences()
        night.sends()
        return night.report()
    finally:
        night.close()


@pytest.fixture(scope="module")
def week(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    """Seven nights; in Appboy the club's template is set to once per customer, and everybody says: at any time."""
    root = tmp_path_factory.mktemp("week") / "ws"
    shutil.copytree(modelled, root)
    world = demo_world()
    club = world.group("Club")
    (campaign,) = [c for c in club.campaigns if c.name == TEMPLATE]
    start = datetime.combine(RUN_DATE, time(1, 30)).astimezone()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "OPTINB_NOW": f"{RUN_DATE}T02:00:00+01:00"}.items():
            patch.setenv(name, value)
        world.put_campaign(club.id, replace(campaign, re_eligible_after_s=None), now=start)
        with Sandbox(world, now=datetime.fromisoformat(f"{RUN_DATE}T02:00:00+01:00")) as sandbox:
            file = root / "optinb.toml"
            text = file.read_text().replace("# max_age_days = 2 ", "max_age_days = 30 ")  # the sample is one delivery
            file.write_text(re.sub(r"http://127\.0\.0\.1:\d+", sandbox.url, text))
            with optinb.open_workspace(root, user=AUTHOR) as ws, optinb.open_workspace(root, user=APPROVER) as boss:
                ws.templates.sync()
                for name in (TEMPLATE,):
                    ws.templates.set_rules("Club", name, optinb.demo.STATED[name])
                ws.campaigns.submit(CAMPAIGNS[1])
                boss.campaigns.approve(CLUB, seen=boss.campaigns.preview(CLUB))
                nights = []
                for day in DAYS:
                    patch.setenv("OPTINB_NOW", at(day, ws).isoformat())
                    if day > RUN_DATE:
                        sandbox.move_clock(to=at(day, ws))
                    nights.append(ran(root, day))
                sandbox.move_clock(to=at(LATER, ws))
                patch.setenv("OPTINB_NOW", at(LATER, ws).isoformat())
            with optinb.open_workspace(root, user=AUTHOR) as ws:
                later = ws.confirming.confirm()
                yield Week(ws, sandbox, nights, later)


@pytest.fixture(autouse=True)
def _now(week: Week, _environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTINB_NOW", at(LATER, week.ws).isoformat())


def test_the_alarm_names_the_template_the_next_morning_and_not_before(week: Week) -> None:
    first, second, third, *others = week.nights
    assert not first.confirmed and first.exit_code == Exit.DONE
    (of_first,) = second.confirmed
    assert of_first.counts is not None and of_first.alarm is None and second.exit_code == Exit.DONE
    assert of_first.counts.confirmed == first.campaigns[0].accepted > 50
    assert third.exit_code == Exit.MESSAGES_FILTERED
    assert (
        third.problems[0].startswith(f"{TEMPLATE} went to ")
        and CLUB in third.problems[0]
        and "once per customer" in third.problems[0]
    )

    for night in others:
        assert night.exit_code == Exit.MESSAGES_FILTERED, "and each morning after it, as long as it is set so"
        assert night.problems[0].startswith(f"{TEMPLATE} went to ") and "once per customer" in night.problems[0]
        assert night.campaigns[0].accepted > 50

    page = (week.ws.root / "runs" / DAYS[2].isoformat() / "report.html").read_text(encoding="utf-8")
    assert "What arrived of earlier nights" in page and "once per customer" in page


def test_what_may_still_come_counts_as_received_and_is_filtered_once_it_is_too_late(week: Week) -> None:
    (of_second,) = week.nights[2].confirmed
    assert of_second.counts is not None and of_second.counts.unconfirmed == of_second.counts.recipients
    in_time = {night.run_date: night for night in week.nights[5].confirmed}[DAYS[1]]
    assert in_time.counts is not None and in_time.counts.lost == of_second.counts.recipients, "within the same week"
    found = {night.run_date: night for night in week.later.nights}
    for day in DAYS[1:]:
        counts = found[day].counts
        assert counts is not None and counts.lost >= counts.recipients * 0.9 and not counts.unconfirmed
        assert arrived(found[day]) == share(counts.confirmed / counts.recipients)
    assert week.later.alarms and found[DAYS[1]].alarm is None, "the alarm is of the newest night"


def test_whoever_was_filtered_received_nothing_and_is_no_effect(week: Week) -> None:
    for day, state in zip(DAYS, ("delivered", *["filtered"] * 6), strict=True):
        truth = week.truth(day)
        assert len(truth) > 50 and list(truth.values()).count(state) > len(truth) * 0.9
        counted = week.ws.contacts.table().filter(
            pl.col("campaign") == CLUB, pl.col("day") == day, pl.col("outcome") == "received"
        )
        assert set(counted["external_user_id"]) == {user for user, fate in truth.items() if fate == "delivered"}
    late = {user for day in DAYS[1:] for user, fate in week.truth(day).items() if fate == "delivered"}
    for what in (received(CLUB), responded(CLUB, days=7), opened(CLUB), did_not_open(CLUB)):
        found = week.ws.groups.count(what.between(DAYS[1], NEWEST), run_date=LATER).customers
        assert found <= len(late), "whom it reached so late is new in the group"
    assert not week.ws.groups.count(received(CLUB).between(DAYS[1], DAYS[1]), run_date=LATER).customers
    week.ws.reach_figures.read()
    nights = {night.run_date: night for night in week.ws.campaign_page(CLUB).figures.nights}
    for day in DAYS[1:]:
        reached = sum(fate == "delivered" for fate in week.truth(day).values())
        assert nights[day].total("unique_recipients") == nights[day].total("sent") == reached


def test_why_says_what_appboy_did(week: Week) -> None:
    lost = next(user for user, fate in week.truth(DAYS[1]).items() if fate == "filtered")
    audience = week.ws.contacts.nights(run_date=DAYS[1])[0]
    rows = week.ws.contacts.rows(audience)
    customer = rows.filter(pl.col("external_user_id") == lost)["customer_id"][0]
    for day, words in (
        (DAYS[0], "got the message: Appboy says that it arrived"),
        (DAYS[1], "got no message, although Appboy accepted the request"),
    ):
        (answer,) = week.ws.why(customer, run_date=day).answers
        assert words in answer.why
    assert answer.arrival == "filtered"
    told = [answer.why for _, answer in ((m.night, m.answer) for m in week.ws.customer(customer).messages)]
    assert any("although Appboy accepted" in why for why in told)


def test_commands_tell_it_and_end_with_its_exit_code(week: Week) -> None:
    where = ["--workspace", str(week.ws.root)]
    done = CliRunner().invoke(main, ["confirm", *where])
    assert done.exit_code == Exit.MESSAGES_FILTERED and "once per customer" in done.output, done.output
    done = CliRunner().invoke(main, ["confirm", "--json", *where])
    assert json.loads(done.output)["nights"][0]["counts"]["alarm"] in week.later.alarms[0]
    done = CliRunner().invoke(main, ["status", *where])
    assert done.exit_code == Exit.DONE and "once per customer" in done.output and "confirmed" in done.output
    assert "once per customer" in optinb.show.html(week.ws.status())
    done = CliRunner().invoke(main, ["codes", "give-back", CLUB, "--date", f"{DAYS[1]}", *where])
    assert done.exit_code == Exit.WRONG_USE and "gave out no promotion codes" in done.output


def test_asking_can_be_tried_out(week: Week, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTINB_NOW")
    done = CliRunner().invoke(main, ["confirm", "--rehearse", "--workspace", str(week.ws.root)])
    assert done.exit_code == Exit.DONE and "could be asked about yet" in done.output, done.output


def test_a_night_that_is_run_again_asks_nobody_a_second_time(week: Week) -> None:
    before = week.sandbox.requests["/users/export/ids"]
    again = ran(week.ws.root, DAYS[2])
    assert week.sandbox.requests["/users/export/ids"] == before
    assert again.exit_code == Exit.MESSAGES_FILTERED, "what is wrong is wrong until a later night says otherwise"
    assert again.campaigns[0].accepted == week.nights[2].campaigns[0].accepted


def test_whoever_has_seen_an_alarm_ends_it_for_the_nights_up_to_then(
    week: Week, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "ws"
    shutil.copytree(week.ws.root, root)
    where = ["--workspace", str(root)]

    def call(*words: str) -> Any:
        return CliRunner().invoke(main, [*words, *where])

    command = re.search(r"`optinb (confirm --seen \S+) --comment WHY`", call("status").output)
    assert command is not None, "the alarm names the command"
    wrong = call("confirm", "--seen", TEMPLATE[:-1])
    assert wrong.exit_code == Exit.WRONG_USE and f"did you mean '{TEMPLATE}'" in wrong.output, wrong.output
    with optinb.open_workspace(root, user=AUTHOR) as ws:  # whoever saw that of an earlier night
        (group,) = [g.id for g in ws.settings.app_groups if g.name == "Club"]
        template = ws.store.deliveries.list()[0].template_id
        entry = {"who": AUTHOR, "action": "alarm seen", "subject": TEMPLATE, "now": ws.now()}
        ws.store.audit.note(**entry, app_group=group, template=template, until=NEWEST - timedelta(days=1), comment="")
    assert call("confirm").exit_code == Exit.MESSAGES_FILTERED, "a later night with the same fault alarms again"

    done = call(*command[1].split(), "--comment", "we know")
    assert done.exit_code == Exit.DONE and "once per customer" in done.output, done.output
    for words in (("confirm",), ("status",)):
        done = call(*words)
        assert done.exit_code == Exit.DONE and "! " not in done.output and "seen by" in done.output
        assert "over: " in done.output and ": we know)" in done.output
    assert ran(root, LATER).exit_code == Exit.DONE, "and the next night ends as if nothing were wrong"
    trail = json.loads(call("audit", "list", "--subject", TEMPLATE, "--json").output)["rows"]
    assert trail[0]["action"] == "alarm seen" and trail[0]["who"] and "we know" in trail[0]["detail"]
    again = call("confirm", "--seen", TEMPLATE)
    assert again.exit_code == Exit.WRONG_USE and "there is no alarm" in again.output
    assert call("confirm", "--seen", TEMPLATE, "--date", f"{NEWEST}").exit_code == Exit.WRONG_USE

    week.sandbox.move_clock(to=at(LATER + timedelta(days=1), week.ws))
    monkeypatch.setenv("OPTINB_NOW", at(LATER + timedelta(days=1), week.ws).isoformat())
    assert call("confirm").exit_code == Exit.MESSAGES_FILTERED, "but its messages are filtered as before"
