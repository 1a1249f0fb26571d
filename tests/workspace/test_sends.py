"""A night that is scheduled: recalled, moved, and asked about, as people do it."""

from __future__ import annotations

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Event
from time import sleep
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from optinb import open_workspace, show
from optinb.appboy import tied
from optinb.appboy.tied import SeenIds
from optinb.cli import main
from optinb.delivery import lease_name
from optinb.delivery.journal import Accepted, Batch, Planned, Unknown
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import ApprovalError, CampaignError, Exit, UsageError
from optinb.nightly import Night
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.sandbox import Sandbox
    from optinb.store import HeldLease
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]


@pytest.fixture
def sent(ws: Workspace, folder: Path) -> FrozenAudience:
    """The first campaign, approved and scheduled for 18:30."""
    ws.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(NAME, seen=approver.campaigns.preview(NAME))
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    night.import_delivery()
    night.model()
    night.templates()
    night.audiences()
    (summary,) = night.sends()
    night.close()
    assert summary.accepted == summary.recipients > 100
    (audience,) = ws.store.deliveries.list()
    return audience


@pytest.mark.parametrize(("days", "held"), [(89, ""), (91, "expired on 2027-02-2")])
def test_a_clock_that_is_set_back_revives_no_approval_that_the_trail_has_outlived(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch, days: int, held: str
) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(NAME, seen=approver.campaigns.preview(NAME))
    ws.store.audit.note(who="ann", action="list saved", subject="A", now=ws.now() + timedelta(days=days))
    monkeypatch.setattr("optinb.night.tonight.is_pretended", lambda: False)
    # each workspace's pretended clock begins anew: the night's must not be behind the one that the approval went by
    monkeypatch.setenv("OPTINB_NOW", (ws.now() + timedelta(hours=1)).isoformat())
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    night.import_delivery()
    night.model()
    night.templates()
    (summary,) = night.audiences()
    night.close()
    assert held in (summary.held or "") and (summary.held is None) == (held == "")


def test_cancelling_a_scheduled_campaign_recalls_it_and_says_so(
    ws: Workspace, sandbox: Sandbox, sent: FrozenAudience
) -> None:
    assert ws.campaigns.get(NAME).state == "done"
    done = ws.campaigns.cancel(NAME, comment="wrong code")
    assert ws.campaigns.get(NAME).state == "cancelled"
    assert f"0 were not sent, {sent.recipients} were recalled, 0 may already be out" in show.text(done)
    assert all(d.plans[-1].until is not None for d in sandbox.world.dispatches)
    with pytest.raises(CampaignError, match="is cancelled; there is nothing to cancel"):
        ws.campaigns.cancel(NAME)


def test_a_night_whose_sender_does_not_end_keeps_no_other_night_of_the_campaign_from_being_recalled(
    ws: Workspace, sandbox: Sandbox, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optinb.delivery.sends.WAIT_S", 0.0)
    stuck = replace(
        sent, run_date=sent.run_date + timedelta(days=1), send_at=sent.send_at + timedelta(days=1), batches=1
    )
    batch = Batch(campaign_id=sent.campaign_id, run_date=stuck.run_date, number=0, first=0, size=50, state=Planned())
    ws.store.deliveries.plan(stuck, [batch], user="cron", now=ws.now())
    held = ws.store.lease(lease_name(stuck), holder="stuck:9", clock=ws.store.clock)
    with held as lease:
        ws.store.deliveries.turn(*stuck.night, lease=lease, now=ws.now(), size=1)
        done = ws.campaigns.cancel(NAME, comment="wrong code")
        newer, older = done.nights
        assert older.recalled == sent.recipients
        assert all(d.plans[-1].until is not None for d in sandbox.world.dispatches)
        assert (newer.left, newer.exit_code, done.exit_code) == (50, Exit.FAILED, Exit.FAILED)
        assert "stuck:9 is working on the send" in show.text(done) and "run the same command again" in show.text(done)
    again = ws.campaigns.cancel(NAME)
    assert (again.exit_code, [night.may_be_out for night in again.nights]) == (Exit.DELIVERIES_UNKNOWN, [50])


def test_whom_a_working_sender_stops_at_its_end_count_as_not_sent(ws: Workspace, sent: FrozenAudience) -> None:
    night = replace(
        sent, run_date=sent.run_date + timedelta(days=1), send_at=sent.send_at + timedelta(days=1), batches=3
    )
    batches = [
        Batch(campaign_id=sent.campaign_id, run_date=night.run_date, number=n, first=50 * n, size=50, state=Planned())
        for n in range(3)
    ]
    deliveries = ws.store.deliveries
    deliveries.plan(night, batches, user="cron", now=ws.now())
    has_begun = Event()

    def send() -> None:
        """Begins with everything, and once it is cancelled, ends with what it didn't come to."""
        with ws.store.lease(lease_name(night), holder="cron:9", clock=ws.store.clock) as lease:
            one, *rest = deliveries.turn(*night.night, lease=lease, now=ws.now(), size=3)
            has_begun.set()
            while (there := deliveries.find(*night.night)) and there.cancelled is None:
                sleep(0.01)
            taken = replace(one, state=Accepted(dispatch_id="d", schedule_id=None))
            left = [replace(batch, state=Planned()) for batch in rest]
            deliveries.turn(*night.night, lease=lease, now=ws.now(), settled=[taken, *left], size=3)

    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send)
        assert has_begun.wait(30)
        newer, older = ws.campaigns.cancel(NAME, comment="wrong code").nights
        sender.result()
    assert (newer.stopped, older.stopped, older.recalled) == (100, 0, sent.recipients)
    assert deliveries.counts(*night.night).cancelled == 100


def test_a_time_that_somebody_else_has_moved_meanwhile_is_the_one_to_be_later_than(
    folder: Path, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_workspace(folder, user=APPROVER) as first, open_workspace(folder, user=APPROVER) as second:
        hold = second.sends._hold  # pyright: ignore[reportPrivateUsage]

        def after_the_first(audience: FrozenAudience) -> HeldLease:
            first.sends.reschedule(NAME, "20:15")
            return hold(audience)

        monkeypatch.setattr(second.sends, "_hold", after_the_first)
        with pytest.raises(CampaignError, match="goes out at 20:15 and can only be moved to a later time"):
            second.sends.reschedule(NAME, "19:30")
        (there,) = second.store.deliveries.list()
        assert there.send_at == sent.send_at + timedelta(hours=1, minutes=45)


def test_what_was_cancelled_while_a_move_waited_is_not_moved(
    ws: Workspace, folder: Path, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_workspace(folder, user=APPROVER) as approver:
        hold = approver.sends._hold  # pyright: ignore[reportPrivateUsage]

        def once_cancelled(audience: FrozenAudience) -> HeldLease:
            ws.campaigns.cancel(NAME)
            return hold(audience)

        monkeypatch.setattr(approver.sends, "_hold", once_cancelled)
        with pytest.raises(CampaignError, match="was cancelled or went out meanwhile, so nothing of it was moved"):
            approver.sends.reschedule(NAME, "19:30")
        assert [audience.send_at for audience in ws.store.deliveries.list()] == [sent.send_at]


def test_only_a_second_person_moves_a_scheduled_campaign_and_only_to_later(
    ws: Workspace, folder: Path, sandbox: Sandbox, sent: FrozenAudience
) -> None:
    with pytest.raises(ApprovalError, match="may not move campaigns"):
        ws.sends.reschedule(NAME, "19:30")
    with open_workspace(folder, user=APPROVER) as approver:
        for at in ("18:00", "18:30"):
            with pytest.raises(CampaignError, match="goes out at 18:30 and can only be moved to a later time"):
                approver.sends.reschedule(NAME, at)
        with pytest.raises(CampaignError, match="is no time of day"):
            approver.sends.reschedule(NAME, "half past seven")
        moved = approver.sends.reschedule(NAME, "19:30")
    assert (moved.moved, moved.unmoved, moved.to_come) == (sent.recipients, 0, 0)
    assert {d.schedule["time"] for d in sandbox.world.dispatches if d.schedule} == {"2026-11-23T18:30:00Z"}
    assert "19:30" not in str(ws.campaigns.get(NAME).campaign.schedule)


def test_a_move_that_some_missed_may_be_asked_for_again(folder: Path, sandbox: Sandbox, sent: FrozenAudience) -> None:
    update = "/campaigns/trigger/schedule/update"
    sandbox.set_faults([Fault("status", endpoint=update, nth=(1,), status=400, body='{"message":"no"}')])
    with open_workspace(folder, user=APPROVER) as approver:
        first = approver.sends.reschedule(NAME, "19:30")
        assert first.unmoved > 0 and "reschedule again" in show.text(first)
        again = approver.sends.reschedule(NAME, "19:30")
        assert (again.moved, again.unmoved) == (sent.recipients, 0)
        with pytest.raises(CampaignError, match="can only be moved to a later time"):
            approver.sends.reschedule(NAME, "19:30")
    assert {d.schedule["time"] for d in sandbox.world.dispatches if d.schedule} == {"2026-11-23T18:30:00Z"}


def test_commands_end_with_what_somebody_has_to_see_to(
    folder: Path,
    sandbox: Sandbox,
    sent: FrozenAudience,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(*arguments: str, user: str = APPROVER) -> int | str | None:
        monkeypatch.setenv("OPTINB_USER", user)
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--workspace", str(folder)])
        return stopped.value.code

    update, delete = (f"/campaigns/trigger/schedule/{verb}" for verb in ("update", "delete"))
    refused = '{"message":"no"}'
    sandbox.set_faults([Fault("status", endpoint=update, nth=(1,), status=400, body=refused)])
    assert ended("campaigns", "reschedule", NAME, "--at", "19:30") == Exit.DELIVERIES_UNKNOWN
    assert "couldn't be moved and may get it at the old time" in capsys.readouterr().out
    assert ended("campaigns", "reschedule", NAME, "--at", "19:30") == Exit.DONE
    sandbox.set_faults([Fault("status", endpoint=delete, status=403, body=refused)])
    assert ended("campaigns", "cancel", NAME) == Exit.FAILED
    assert f"{sent.recipients} of these are still scheduled" in capsys.readouterr().out
    sandbox.set_faults([])
    assert ended("campaigns", "cancel", NAME) == Exit.DONE
    assert f"{sent.recipients} were recalled" in capsys.readouterr().out


def test_a_move_says_who_was_unknown_and_goes_at_the_old_time(
    ws: Workspace, folder: Path, sent: FrozenAudience
) -> None:
    lease = ws.store.leases.take(lease_name(sent), holder="test", now=datetime.fromisoformat("2026-11-23T03:00:00Z"))
    first = ws.store.deliveries.batches(*sent.night)[0]
    doubtful = [replace(first, state=Unknown(message="504"))]
    ws.store.deliveries.revise(doubtful, given="accepted", lease=lease, now=ws.now())
    with open_workspace(folder, user=APPROVER) as approver:
        moved = approver.sends.reschedule(NAME, "19:30")
    assert (moved.unknown, moved.unmoved, moved.exit_code) == (first.size, 0, Exit.DELIVERIES_UNKNOWN)
    assert f"{first.size} were unknown before and can't be moved" in show.text(moved)


def test_answers_of_an_earlier_process_are_known_to_the_next(
    folder: Path, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tied, "_SEEN", defaultdict(SeenIds))  # as another process has it
    with open_workspace(folder, user=SCHEDULER) as ws, ws.sends.client(sent) as client:
        (batch,) = ws.store.deliveries.batches(*sent.night)[:1]
        assert isinstance(batch.state, Accepted) and batch.state.schedule_id and batch.state.dispatch_id
        assert not client._seen.claim([batch.state.schedule_id])
        assert not client._seen.claim([batch.state.dispatch_id])
        assert client._seen.claim(["another"])


def test_unknown_deliveries_are_settled_and_listed_for_a_new_approval(
    ws: Workspace, folder: Path, sandbox: Sandbox, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = ws.sends.reconcile(RUN_DATE)
    assert (nothing.nights, nothing.exit_code) == ((), 0)  # so that a scheduler may ask after each night
    with pytest.raises(UsageError, match="nothing was sent in the night of 2026-11-22"):
        ws.sends.reconcile(date(2026, 11, 22))
    lease = ws.store.leases.take(lease_name(sent), holder="test", now=datetime.fromisoformat("2026-11-23T03:00:00Z"))
    first, second = ws.store.deliveries.batches(*sent.night)[:2]
    assert isinstance(second.state, Accepted) and second.state.schedule_id
    with ws.sends.client(sent) as client:  # as if the second one had never been taken
        client.unschedule(sent.template_id, second.state.schedule_id)
    doubtful = [replace(batch, state=Unknown(message="504")) for batch in (first, second)]
    ws.store.deliveries.revise(doubtful, given="accepted", lease=lease, now=ws.now())
    early = ws.sends.reconcile(RUN_DATE)
    assert early.exit_code == Exit.DELIVERIES_UNKNOWN and "it is too early to ask" in show.text(early)
    late = datetime.fromisoformat("2026-11-23T18:55:00+01:00")
    sandbox.move_clock(to=late)
    monkeypatch.setenv("OPTINB_NOW", late.isoformat())
    with open_workspace(folder, user=SCHEDULER) as later:
        found = later.sends.reconcile()
    (night,) = found.nights
    assert found.exit_code == Exit.DONE
    assert (night.reconciled.received, night.reconciled.missing) == (first.size, second.size)
    assert night.list is not None and ws.lists.get(night.list).customers == second.size
    assert "with its own approval" in show.text(found)


def test_the_commands_say_the_same(folder: Path, sent: FrozenAudience, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["campaigns", "cancel", NAME, "--comment", "no", "--json", "--workspace", str(folder)])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["nights"][0]["recalled"] == sent.recipients
    with pytest.raises(SystemExit) as ended:
        main(["reconcile", "--workspace", str(folder)])
    assert ended.value.code == 0
    assert "no delivery is unknown" in capsys.readouterr().out
