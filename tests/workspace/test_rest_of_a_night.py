"""From an unknown batch to the last customer: asked about, listed, approved anew, sent, and nobody twice."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from msgspec.structs import replace

from optinb import all_of, in_list, open_workspace, received, show
from optinb.delivery.journal import Accepted, Unknown, send_lease
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.nightly import Night
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import Batch, Settlement
    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
CREATE = "/campaigns/trigger/schedule/create"
EXPORT = "/users/export/ids"
LIST = f"{NAME} {RUN_DATE}, not received"
NEXT = date(2026, 11, 24)


def approve(ws: Workspace, campaign: dict[str, Any]) -> None:
    ws.campaigns.submit(campaign)
    with open_workspace(ws.root, user=APPROVER) as approver:
        approver.campaigns.approve(campaign["name"], seen=approver.campaigns.preview(campaign["name"]))


def run(folder: Path, day: date) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), day)
    night.import_delivery()
    night.model()
    night.templates()
    night.audiences()
    night.sends()
    summary = night.report()
    night.close()
    return summary


@pytest.fixture
def now(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """Moves every clock."""

    def move(moment: str) -> None:
        monkeypatch.setenv("OPTINB_NOW", moment)
        sandbox.move_clock(to=datetime.fromisoformat(moment))

    return move


@pytest.fixture
def doubtful(ws: Workspace, folder: Path, sandbox: Sandbox) -> NightSummary:
    """A night of which one batch was taken and another one wasn't, and neither answer came."""
    settings = folder / "optinb.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("# concurrency = 8 ", "concurrency = 1 "), encoding="utf-8")  # requests in order
    lost = Fault("status", endpoint=CREATE, nth=(1,), status=504, after_taking=True)
    sandbox.set_faults([lost, Fault("status", endpoint=CREATE, nth=(2,), status=504)])
    approve(ws, {**CAMPAIGNS[0], "exclusion_days": 30})
    summary = run(folder, RUN_DATE)
    assert summary.exit_code == Exit.DELIVERIES_UNKNOWN
    assert summary.campaigns[0].unknown == 100
    return summary


def recipients(folder: Path, summary: NightSummary) -> pl.DataFrame:
    """Of the only campaign of a night, as they were frozen."""
    (campaign,) = summary.campaigns
    assert campaign.audience is not None
    return pl.read_parquet(folder / campaign.audience).filter(pl.col("outcome") == "recipient")


def settlements(ws: Workspace) -> list[tuple[Batch, Settlement]]:
    """The unknown batches that Appboy was asked about."""
    (audience,) = ws.store.deliveries.list(run_date=RUN_DATE)
    batches = ws.store.deliveries.batches(*audience.night, state="unknown")
    return [(batch, batch.settlement) for batch in batches if batch.settlement]


def taken(folder: Path) -> Counter[str]:
    lines = [json.loads(line) for line in (folder.parent / "sandbox.jsonl").read_text().splitlines()]
    return Counter(r["external_user_id"] for line in lines for r in line["recipients"])


def test_the_rest_of_a_night_is_listed_approved_anew_and_sent_so_that_everybody_has_it_once(
    folder: Path, sandbox: Sandbox, doubtful: NightSummary, now: Any
) -> None:
    frozen = recipients(folder, doubtful)
    assert len(taken(folder)) == len(frozen) - 50
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        (night,) = ws.sends.reconcile(RUN_DATE).nights
    assert (night.reconciled.received, night.reconciled.missing, night.list) == (50, 50, LIST)
    with open_workspace(folder, user="ann") as ws:
        missing = set(ws.lists.members(LIST)["customer_id"])
        assert missing == set(frozen.filter(~pl.col("external_user_id").is_in(list(taken(folder))))["customer_id"])
        ws.groups.save("The rest", in_list(LIST))
        rest = {"name": "Summer, the rest", "group": "The rest", "schedule": {"date": NEXT, "at": "18:30"}}
        approve(ws, {**CAMPAIGNS[0], **rest, "control": 0.0})
    now("2026-11-24T02:00:00+01:00")
    summary = run(folder, NEXT)
    (sent,) = [c for c in summary.campaigns if c.name == "Summer, the rest"]
    assert (sent.accepted, sent.recipients, sent.held) == (50, 50, None)
    assert taken(folder) == dict.fromkeys(frozen["external_user_id"], 1)
    # asked once more, when the same template has gone out again, Appboy has no word any more, and the first one counts
    now("2026-11-24T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        again = ws.sends.reconcile(RUN_DATE)
        assert (again.nights[0].reconciled.received, again.nights[0].reconciled.missing) == (50, 50)
        assert (again.exit_code, ws.lists.get(LIST).version) == (Exit.DONE, 1)
        taken_for = Counter((d.app_group_id, user) for d in sandbox.world.dispatches for user in d.ids)
        assert set(taken_for.values()) == {1}


def test_once_everybody_is_asked_about_the_night_needs_nobody_any_more(
    folder: Path, doubtful: NightSummary, now: Any
) -> None:
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        told = show.text(ws.sends.reconcile(RUN_DATE))
    assert f'who didn\'t: in_list("{LIST}")' in told and "with its own approval" in told
    summary = run(folder, RUN_DATE)
    assert (summary.exit_code, summary.problems) == (Exit.DONE, ())
    assert (summary.campaigns[0].received, summary.campaigns[0].missing, summary.campaigns[0].unknown) == (50, 50, 100)


def test_a_list_of_the_rest_follows_what_appboy_says_later(folder: Path, doubtful: NightSummary, now: Any) -> None:
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        ws.sends.reconcile(RUN_DATE)
        batch, told = next((batch, told) for batch, told in settlements(ws) if told.missing)
        ws.store.deliveries.settle(batch, replace(told, received=told.missing, missing=()))
        found = ws.sends.reconcile(RUN_DATE)
        assert (found.nights[0].reconciled.received, found.nights[0].reconciled.missing) == (100, 0)
        assert (ws.lists.get(LIST).version, ws.lists.get(LIST).customers) == (2, 0)


def test_why_tells_what_appboy_said_later(
    ws: Workspace, folder: Path, doubtful: NightSummary, now: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from optinb.cli import main

    frozen = recipients(folder, doubtful)
    ids = dict(frozen.select("external_user_id", "customer_id").iter_rows())

    def customer(users: tuple[str, ...]) -> str:
        return ids[users[0]]

    (before,) = ws.why(frozen["customer_id"][0]).answers
    assert (before.delivery, before.settled) == ("unknown", None) and "it is unknown whether Appboy took" in before.why
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as later:
        later.sends.reconcile(RUN_DATE)
    told = {
        "received": customer(next(told.received for _, told in settlements(ws) if told.received)),
        "missing": customer(next(told.missing for _, told in settlements(ws) if told.missing)),
    }
    for verdict, words in (("received", "says that it arrived"), ("missing", "says that nothing arrived")):
        (answer,) = ws.why(told[verdict]).answers
        assert (answer.delivery, answer.settled) == ("unknown", verdict)
        assert words in answer.why
        with pytest.raises(SystemExit):
            main(["why", told[verdict], "--workspace", str(folder)])
        assert words in capsys.readouterr().out
        assert any(words in m.answer.why for m in ws.customer(told[verdict]).messages)
    batch, missing = next((batch, told) for batch, told in settlements(ws) if told.missing)
    ws.store.deliveries.settle(batch, replace(missing, missing=(), untold=missing.missing))
    (answer,) = ws.why(told["missing"]).answers
    assert answer.settled == "untold" and "it can't tell any more" in answer.why


def test_rules_know_who_received_it_after_all(folder: Path, doubtful: NightSummary, now: Any) -> None:
    accepted = doubtful.campaigns[0].accepted
    with open_workspace(folder, user="ann") as ws:
        assert ws.members(received(NAME)).height == accepted
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        ws.sends.reconcile(RUN_DATE)
        assert ws.members(received(NAME)).height == accepted + 50
        assert ws.members(all_of(received(NAME), in_list(LIST))).is_empty()


def test_an_app_group_that_cannot_be_asked_does_not_keep_the_others_from_it(
    ws: Workspace, folder: Path, sandbox: Sandbox, now: Any
) -> None:
    for campaign in CAMPAIGNS:
        approve(ws, campaign)
    sandbox.set_faults([Fault("status", endpoint=CREATE, status=504, after_taking=True)])
    assert all(campaign.unknown == campaign.recipients for campaign in run(folder, RUN_DATE).campaigns)
    club = sandbox.world.group("Club")
    keys = tuple(replace(key, permissions=("campaigns.list",)) for key in club.keys)
    sandbox.world.put(replace(club, keys=keys))
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as later:
        found = later.sends.reconcile()
        by_name = {night.reconciled.campaign: night for night in found.nights}
        assert by_name[NAME].problem is None and by_name[NAME].reconciled.received > 100
        assert "permission" in str(by_name[CAMPAIGNS[1]["name"]].problem)
        assert found.exit_code == Exit.FAILED and "it couldn't be asked: " in show.text(found)
        sandbox.world.put(club)
        assert later.sends.reconcile().exit_code == Exit.DONE


def test_without_a_date_nobody_is_asked_about_twice_so_that_what_cannot_be_told_any_more_ends_with_0_the_next_time(
    folder: Path, sandbox: Sandbox, doubtful: NightSummary, now: Any
) -> None:
    now("2026-11-23T18:55:00+01:00")
    with open_workspace(folder, user=SCHEDULER) as ws:
        assert ws.sends.reconcile().nights[0].reconciled.missing == 50
        (untold, told), (missing, _) = sorted(settlements(ws), key=lambda each: len(each[1].missing))
        ws.store.deliveries.settle(untold, replace(told, received=(), untold=told.received))
        asked = sandbox.requests[EXPORT]
        again = ws.sends.reconcile()
        assert (again.nights, again.exit_code, sandbox.requests[EXPORT]) == ((), Exit.DONE, asked)
        # another request of that night, of which nobody has asked yet: the others' words stand, and so does the list
        lease = ws.store.leases.take(send_lease(*untold.night), holder="test", now=ws.now())
        third = next(b for b in ws.store.deliveries.batches(*untold.night) if isinstance(b.state, Accepted))
        ws.store.deliveries.revise(
            [replace(third, state=Unknown(message="504"))], given="accepted", lease=lease, now=ws.now()
        )
        ws.store.leases.release(lease)
        (night,) = ws.sends.reconcile().nights
        found = night.reconciled
        assert (found.received, found.missing, found.untold) == (third.size, 50, 50)
        assert sandbox.requests[EXPORT] == asked + 1 and ws.lists.get(LIST).version == 1
        assert ws.sends.reconcile().exit_code == Exit.DONE
        # by its date it is asked about as a whole, and Appboy has a word again
        (night,) = ws.sends.reconcile(RUN_DATE).nights
        assert (night.reconciled.received, night.reconciled.untold) == (50 + third.size, 0)
        assert sandbox.requests[EXPORT] == asked + 4
        assert missing.size == 50


def test_what_nobody_foresaw_in_one_campaign_is_told_and_not_thrown(
    folder: Path, doubtful: NightSummary, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RecursionError("too deep")

    now("2026-11-23T18:55:00+01:00")
    monkeypatch.setattr("optinb.delivery.sends.reconcile", broken)
    with open_workspace(folder, user=SCHEDULER) as ws:
        found = ws.sends.reconcile(RUN_DATE)
    assert found.exit_code == Exit.FAILED
    assert [night.problem for night in found.nights] == ["it failed (RecursionError: too deep)"]
