"""What can be done with a send that Appboy has taken: recalling it, moving it, asking who received it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from delivery_desk import Scripted
from msgspec.structs import replace

from optinb import appboy
from optinb.appboy import AppboyClient, CampaignReceived, Exported, ExportedUser
from optinb.base.settings import SendSection
from optinb.delivery import Budget, DeliveryCounts, FrozenAudience, RecallTools, lease_name, reschedule
from optinb.delivery.evidence import verdict_on, verdicts
from optinb.delivery.journal import Accepted, Unknown
from optinb.delivery.recall import recall
from optinb.delivery.reconcile import reconcile, sent_again_at
from optinb.errors import Exit
from optinb.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from delivery_desk import Desk

    from optinb.delivery.journal import Verdict
    from optinb.delivery.reconcile import Exporter

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
DELETE, UPDATE = "/campaigns/trigger/schedule/delete", "/campaigns/trigger/schedule/update"


def tools(desk: Desk, client: AppboyClient) -> RecallTools:
    return RecallTools(client, desk.clock, SendSection(concurrency=4, max_tries=4), None, desk.sleep, lambda: 1.0)


def recalled(desk: Desk, client: AppboyClient, frozen: FrozenAudience):
    lease = desk.store.leases.take(lease_name(frozen), holder="box:2", now=desk.now)
    try:
        return recall(desk.store, frozen, tools(desk, client), lease=lease, reason="wrong code")
    finally:
        desk.store.leases.release(lease)


@pytest.fixture
def sent(desk: Desk, client: AppboyClient, template_id: str) -> FrozenAudience:
    frozen = desk.plan(520, template_id=template_id)
    assert desk.send(client, frozen, concurrency=4).accepted == 520
    return frozen


def received(sandbox: Sandbox, client: AppboyClient, users: list[str]) -> list[str]:
    found = client.export_users(users, ["external_id", "campaigns_received"]).users
    return [user.external_id for user in found if user.campaigns_received]


def test_what_is_recalled_in_time_reaches_nobody(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    done = recalled(desk, client, sent)
    assert (done.recalled, done.may_be_out, done.out, done.problems) == (520, 0, 0, {})
    counts = desk.store.deliveries.counts(*sent.night)
    assert counts == DeliveryCounts(batches=11, cancelled=520, recalled=520, errors={"recalled: wrong code": 11})
    sandbox.move_clock(to=sent.send_at + timedelta(hours=1))
    assert received(sandbox, client, [f"u{n:07}" for n in range(50)]) == []


def test_a_recall_close_to_the_time_leaves_it_unknown_who_gets_it(
    desk: Desk, client: AppboyClient, sent: FrozenAudience
) -> None:
    desk.now = sent.send_at - timedelta(minutes=9)
    done = recalled(desk, client, sent)
    assert (done.recalled, done.may_be_out, done.out) == (0, 520, 0)
    assert desk.store.deliveries.counts(*sent.night).unknown == 520


def test_what_was_unknown_before_a_recall_may_be_out(desk: Desk, client: AppboyClient, template_id: str) -> None:
    frozen = desk.plan(300, template_id=template_id)
    desk.send(Scripted(appboy.RequestUnknown("504"), *[client.schedule] * 3, appboy.Stopped(401, "401", "key")), frozen)
    dead = desk.store.leases.take(lease_name(frozen), holder="dead:9", now=desk.now)
    assert len(desk.store.deliveries.turn(*frozen.night, lease=dead, size=1, now=desk.now)) == 1
    desk.move(31)
    before = desk.store.deliveries.counts(*frozen.night)
    done = recalled(desk, client, frozen)
    assert (done.recalled, done.may_be_out, done.out) == (before.accepted, 100, 0)
    after = desk.store.deliveries.counts(*frozen.night)
    assert (after.unknown, after.cancelled) == (100, before.accepted)


def test_what_is_out_is_not_recalled(desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience) -> None:
    desk.now = sent.send_at
    assert recalled(desk, client, sent).out == 520
    assert sandbox.requests[DELETE] == 0
    assert desk.store.deliveries.counts(*sent.night).accepted == 520


def test_a_recall_goes_on_through_faults_and_says_what_it_could_not_learn(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    busy = Fault("status", endpoint=DELETE, nth=(1, 2), status=503)
    gone = Fault("reset", endpoint=DELETE, nth=(3,), after_taking=True)
    sandbox.set_faults([busy, gone])
    done = recalled(desk, client, sent)
    # the one whose answer got lost was deleted: asked again, Appboy knows no such schedule
    assert (done.recalled, done.may_be_out, done.out) == (470 if done.may_be_out == 50 else 500, done.may_be_out, 0)
    assert done.may_be_out in (20, 50) and sum(done.problems.values()) == 1
    assert desk.waits == [1.0]
    counts = desk.store.deliveries.counts(*sent.night)
    assert (counts.cancelled, counts.unknown, counts.recipients) == (done.recalled, done.may_be_out, 520)


def test_a_recall_that_may_not_be_asked_for_changes_nothing(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    sandbox.set_faults([Fault("status", endpoint=DELETE, status=403)])
    done = recalled(desk, client, sent)
    assert (done.recalled, done.out) == (0, 520)
    assert desk.store.deliveries.counts(*sent.night).accepted == 520


def test_a_recall_from_an_appboy_that_fails_ends_at_its_deadline_and_goes_on_when_asked_again(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    sandbox.set_faults([Fault("status", endpoint=DELETE, nth=tuple(range(3, 500)), status=503)])
    given = replace(tools(desk, client), until=60.0, ticks=lambda: (desk.now - sent.planned_at).total_seconds())
    lease = desk.store.leases.take(lease_name(sent), holder="box:2", now=desk.now)
    told: list[int] = []
    done = recall(desk.store, sent, given, lease=lease, reason="wrong code", progress=told.append)
    assert (desk.now - sent.planned_at).total_seconds() <= 60.0 and sum(told) == 520
    assert done.recalled in (70, 100) and done.out == done.left == 520 - done.recalled
    assert done.exit_code == Exit.FAILED
    assert desk.store.deliveries.counts(*sent.night).accepted == done.left
    sandbox.set_faults([])
    again = recall(desk.store, sent, tools(desk, client), lease=lease, reason="wrong code")
    assert (again.recalled, again.left, again.exit_code) == (done.left, 0, Exit.DONE)
    assert all(d.plans[-1].until is not None for d in sandbox.world.dispatches)


def test_a_recall_waits_for_the_limit_no_longer_than_its_deadline(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    budget = Budget(an_hour=250_000, reserve=0.0, clock=lambda: 1_000.0, sleep=desk.sleep)
    budget.hold(3_600.0)
    given = replace(tools(desk, client), budget=budget, until=time.monotonic() + 5.0)
    lease = desk.store.leases.take(lease_name(sent), holder="box:2", now=desk.now)
    done = recall(desk.store, sent, given, lease=lease, reason="wrong code")
    assert (done.recalled, done.left) == (0, 520) and sandbox.requests[DELETE] == 0
    assert list(done.problems) == ["the time that this may take was over; ask again"]


def test_a_send_is_moved_with_everything_that_is_scheduled_and_still_planned(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(300, template_id=template_id)
    poster = Scripted(*[client.schedule] * 2, appboy.Stopped(401, "401: key", "check the key"))
    assert desk.send(poster, frozen).accepted == 100
    sandbox.set_faults([Fault("status", endpoint=UPDATE, nth=(2,), status=400, body='{"message":"no such schedule"}')])
    lease = desk.store.leases.take(lease_name(frozen), holder="box:2", now=desk.now)
    later = frozen.send_at + timedelta(hours=1)
    moved = reschedule(desk.store, frozen, tools(desk, client), lease=lease, send_at=later, user="ann")
    desk.store.leases.release(lease)
    assert (moved.moved, moved.unmoved, moved.to_come, moved.before) == (50, 50, 200, frozen.send_at)
    assert (moved.unknown, moved.exit_code) == (0, Exit.DELIVERIES_UNKNOWN)
    counts = desk.send(client, frozen)
    assert counts.accepted == 300
    assert [error for error in counts.errors if "couldn't be moved to 2026-11-23T18:00:00Z" in error]
    times = [d.schedule["time"] for d in sandbox.world.dispatches if d.schedule]
    assert sorted(times) == ["2026-11-23T17:00:00Z"] + ["2026-11-23T18:00:00Z"] * 5
    entry = next(e for e in desk.store.audit.list() if e.action == "delivery rescheduled")
    assert entry.who == "ann"


def moved(desk: Desk, client: AppboyClient, frozen: FrozenAudience, *, hours: float = 1.0):
    """Moves a night by so many hours from its first time."""
    lease = desk.store.leases.take(lease_name(frozen), holder="box:2", now=desk.now)
    there = desk.store.deliveries.find(*frozen.night)
    assert there is not None
    try:
        later = frozen.send_at + timedelta(hours=hours)
        return reschedule(desk.store, there, tools(desk, client), lease=lease, send_at=later, user="ann")
    finally:
        desk.store.leases.release(lease)


def test_a_move_that_appboy_holds_up_ends_at_the_next_look_once_it_is_called_off(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    headers = {"Retry-After": "3600"}
    sandbox.set_faults([Fault("status", endpoint=UPDATE, nth=tuple(range(1, 500)), status=429, headers=headers)])

    def cancel_once(seconds: float) -> None:
        desk.move(seconds)
        if len(desk.waits) == 2:
            desk.store.deliveries.cancel(*sent.night, reason="wrong", user="ann", now=desk.now)

    desk.on_wait = cancel_once
    done = moved(desk, client, sent)
    assert (done.moved, done.unmoved) == (0, 520)
    assert len(desk.waits) == 2 and max(desk.waits) <= 5.0
    sandbox.set_faults([])
    assert recalled(desk, client, sent).recalled == 520


def test_what_was_unknown_before_a_move_counts_as_received_when_it_went_out_at_the_earlier_time(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(150, template_id=template_id)

    def lost(request: appboy.ScheduleRequest) -> appboy.Outcome:
        client.schedule(request)
        return appboy.RequestUnknown("504")

    desk.send(Scripted(lost, appboy.RequestUnknown("504"), client.schedule), frozen)
    first = moved(desk, client, frozen)
    # whoever of them was taken gets it at the earlier time, and the command says so
    assert (first.moved, first.unmoved, first.unknown) == (50, 0, 100)
    assert first.exit_code == Exit.DELIVERIES_UNKNOWN
    moved(desk, client, frozen, hours=2)
    desk.now = frozen.send_at + timedelta(hours=3)
    sandbox.move_clock(to=desk.now)
    there = desk.store.deliveries.find(*frozen.night)
    assert there is not None and there.send_at == frozen.send_at + timedelta(hours=2)
    exports = Budget(an_hour=15_000, reserve=0.0)
    found = asked(desk, client, there, exports)
    assert (found.received, found.missing) == (50, 50)


def asked(desk: Desk, client: Exporter, frozen: FrozenAudience, exports: Budget):
    return reconcile(
        desk.store, client, frozen, root=desk.root, clock=desk.clock, user="ann", late_minutes=15, budget=exports
    )


def test_a_sender_that_died_before_a_move_leaves_its_batches_unknown_at_the_earlier_time(
    desk: Desk, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(150, template_id=template_id)
    dead = desk.store.leases.take(lease_name(frozen), holder="dead:9", now=desk.now)
    desk.store.deliveries.turn(*frozen.night, lease=dead, size=2, now=desk.now)
    desk.move(31)
    assert moved(desk, client, frozen).to_come == 50
    unknown = [batch.state for batch in desk.store.deliveries.batches(*frozen.night, state="unknown")]
    assert [state.since for state in unknown if isinstance(state, Unknown)] == [frozen.send_at] * 2


def test_a_move_that_was_cut_off_is_finished_by_asking_for_the_same_time_again(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = client.reschedule
    calls = iter(range(100))

    def dying(*args: Any) -> appboy.Outcome:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return asked(*args)

    monkeypatch.setattr(client, "reschedule", dying)
    with pytest.raises(KeyboardInterrupt):
        moved(desk, client, sent)
    left = [batch.state for batch in desk.store.deliveries.batches(*sent.night, state="accepted")]
    assert {state.before for state in left if isinstance(state, Accepted)} == {sent.send_at}
    whole = moved(desk, client, sent)
    assert (whole.moved, whole.exit_code) == (520, Exit.DONE)
    assert {d.schedule["time"] for d in sandbox.world.dispatches if d.schedule} == {"2026-11-23T18:00:00Z"}
    done = [batch.state for batch in desk.store.deliveries.batches(*sent.night, state="accepted")]
    assert {state.before for state in done if isinstance(state, Accepted)} == {None}


def test_what_could_not_be_moved_is_recalled_by_its_earlier_time(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    sandbox.set_faults([Fault("status", endpoint=UPDATE, nth=(2,), status=400, body='{"message":"no"}')])
    assert moved(desk, client, sent).unmoved in (20, 50)
    desk.now = sent.send_at - timedelta(minutes=5)  # too close for what kept its time, and early for the others
    there = desk.store.deliveries.find(*sent.night)
    assert there is not None
    done = recalled(desk, client, there)
    assert done.may_be_out in (20, 50) and done.recalled == 520 - done.may_be_out


def test_what_went_out_at_its_earlier_time_is_not_moved_again(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, sent: FrozenAudience
) -> None:
    sandbox.set_faults([Fault("status", endpoint=UPDATE, nth=(2,), status=400, body='{"message":"no"}')])
    first = moved(desk, client, sent)
    desk.now = sent.send_at + timedelta(minutes=5)
    sandbox.move_clock(to=desk.now)
    again = moved(desk, client, sent, hours=2)
    assert again.unmoved == first.unmoved and again.moved == first.moved
    assert sandbox.requests[UPDATE] == 11 + 10


def test_unknown_recipients_are_asked_about_after_the_time_and_only_then(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(300, template_id=template_id)

    def lost(request: appboy.ScheduleRequest) -> appboy.Outcome:
        client.schedule(request)
        return appboy.RequestUnknown("504")

    counts = desk.send(Scripted(lost, appboy.RequestUnknown("504"), *[client.schedule] * 4), frozen)
    assert (counts.accepted, counts.unknown) == (200, 100)
    exports = Budget(an_hour=15_000, reserve=0.0)

    opens_at = frozen.send_at + timedelta(minutes=15 + 5)  # nobody posts any more, and what was posted has arrived
    for early in (frozen.send_at, opens_at - timedelta(seconds=1)):
        desk.now = early
        assert asked(desk, client, frozen, exports).ask_after == opens_at
        assert sandbox.requests["/users/export/ids"] == 0
    desk.now = opens_at
    sandbox.move_clock(to=desk.now)
    found = asked(desk, client, frozen, exports)
    assert (found.received, found.missing, found.untold, found.unknown) == (50, 50, 0, 100)
    assert found.missing_ids == tuple(f"u{n:07}" for n in range(50, 100))
    counts = desk.store.deliveries.counts(*frozen.night)
    assert (counts.unknown, counts.received, counts.missing, counts.recipients) == (100, 50, 50, 300)
    assert desk.send(Scripted(), frozen) == counts  # nothing is sent by itself
    settlement = desk.store.deliveries.batches(*frozen.night, state="unknown")[0].settlement
    assert settlement is not None and settlement.asked_by == "ann" and len(settlement.received) == 50


@pytest.mark.parametrize(
    ("last", "until", "verdict"),
    [
        (None, None, "missing"),
        (AT - timedelta(seconds=1), None, "missing"),
        (AT, None, "received"),
        (AT + timedelta(hours=2), AT + timedelta(hours=3), "received"),
        (AT + timedelta(hours=3), AT + timedelta(hours=3), "untold"),
    ],
)
def test_the_last_time_says_who_received_it_unless_it_went_out_again(
    last: datetime | None, until: datetime | None, verdict: Verdict
) -> None:
    told = (CampaignReceived(api_campaign_id="t", last_received=last.isoformat()),) if last else ()
    other = CampaignReceived(api_campaign_id="other", last_received=AT.isoformat())
    assert verdict_on((other, *told), template_id="t", since=AT, until=until) == verdict


@pytest.mark.parametrize("last", [None, "", "yesterday", "2026-11-23T25:00:00Z", 1_795_453_200])
def test_a_time_that_cannot_be_read_tells_nothing_and_stops_nothing(last: Any) -> None:
    unreadable = CampaignReceived(api_campaign_id="t", last_received=last)
    whose = CampaignReceived(last_received=AT.isoformat())
    known = CampaignReceived(api_campaign_id="t", last_received=AT.isoformat())
    before = CampaignReceived(last_received="2026-11-22T17:00:00Z")
    assert verdict_on((unreadable,), template_id="t", since=AT, until=None) == "untold"
    assert verdict_on((whose,), template_id="t", since=AT, until=None) == "untold"
    assert verdict_on((unreadable, known), template_id="t", since=AT, until=None) == "received"
    assert verdict_on((before,), template_id="t", since=AT, until=None) == "missing"


def test_only_whom_the_export_names_can_be_missing() -> None:
    mine = (CampaignReceived(api_campaign_id="t", last_received=AT.isoformat()),)
    users = (
        ExportedUser(external_id="got it"),
        ExportedUser(external_id="got it", campaigns_received=mine),
        ExportedUser(external_id="got nothing"),
    )
    told = Exported(users=users, invalid_user_ids=("nobody",))
    ids = ["got it", "got nothing", "nobody", "passed over"]
    assert verdicts(told, ids, template_id="t", since=AT, until=None) == {
        "got it": "received",
        "got nothing": "missing",
        "nobody": "missing",
        "passed over": "untold",
    }


class Silent:
    """An export that leaves every second user out, as one that was cut off would."""

    def __init__(self, client: AppboyClient) -> None:
        self._client = client
        self.rate_limit: appboy.RateLimit | None = None

    def export_users(self, external_ids: Iterable[str], fields: Iterable[str]) -> Exported:
        told = self._client.export_users(external_ids, fields)
        return Exported(users=told.users[::2], invalid_user_ids=told.invalid_user_ids)


def test_silence_of_the_export_sends_nobody_a_second_message(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    frozen = desk.plan(50, template_id=template_id)
    desk.send(Scripted(appboy.RequestUnknown("504")), frozen)
    desk.now = frozen.send_at + timedelta(hours=1)
    sandbox.move_clock(to=desk.now)
    exports = Budget(an_hour=15_000, reserve=0.0)
    first = asked(desk, Silent(client), frozen, exports)
    assert (first.received, first.missing, first.untold) == (0, 25, 25)
    again = asked(desk, client, frozen, exports)
    assert (again.received, again.missing, again.untold) == (0, 50, 0)


def test_a_later_send_of_the_same_template_is_known(desk: Desk) -> None:
    frozen = desk.plan(1)
    again = replace(frozen, campaign_id="other", send_at=frozen.send_at + timedelta(days=1))
    elsewhere = replace(again, template_id="x", send_at=frozen.send_at)
    before = replace(again, send_at=frozen.send_at - timedelta(days=1))
    assert sent_again_at(frozen, [frozen, elsewhere, before], since=frozen.send_at) is None
    assert sent_again_at(frozen, [frozen, elsewhere, before, again], since=frozen.send_at) == again.send_at
    assert sent_again_at(frozen, [frozen, before], since=before.send_at) == before.send_at
