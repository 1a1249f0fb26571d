"""What is told of a night's sends while anybody may be at work on them."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from delivery_desk import NIGHT, Scripted
from msgspec.structs import replace

from optinb.appboy import RequestRefused, Stopped
from optinb.delivery.journal import DeliveryCounts
from optinb.delivery.send_watch import NightSends, Send, nights, watch

if TYPE_CHECKING:
    from delivery_desk import Desk

    from optinb.store import RunRecord

BEFORE = NIGHT - timedelta(days=1)


def watched(desk: Desk, night: date = NIGHT) -> NightSends:
    settings = SimpleNamespace(send=SimpleNamespace(late_minutes=15))
    return watch(cast("Any", SimpleNamespace(settings=settings, now=desk.clock)), desk.store, night)


def ran(desk: Desk, night: date = NIGHT, **summary: object) -> RunRecord:
    run = desk.store.runs.start(night, user="cron", now=desk.now)
    return desk.store.runs.finish(run, exit_code=0, summary=summary, now=desk.now) if summary else run


def test_nights_that_ran_or_have_sends_are_told_the_newest_first(desk: Desk) -> None:
    desk.plan(1)
    for days in (3, 2, 1, 0):
        ran(desk, NIGHT - timedelta(days=2 * days))
    expected = tuple(NIGHT - timedelta(days=days) for days in (0, 2, 4, 6))
    assert nights(desk.store) == expected
    assert nights(desk.store, limit=2) == expected[:2]
    for days in range(40):
        ran(desk, NIGHT - timedelta(days=100 + days))
    assert len(nights(desk.store)) == 30


def test_a_send_is_planned_then_sending_then_done_or_stopped_by_what_is_settled(desk: Desk) -> None:
    frozen = desk.plan(120)
    for counts, stage, settled in (
        (DeliveryCounts(batches=3, pending=120), "planned", 0),
        (DeliveryCounts(batches=3, pending=70, accepted=50), "sending", 50),
        (DeliveryCounts(batches=3, accepted=120), "done", 120),
    ):
        send = Send(audience=frozen, counts=counts, is_recallable=True)
        assert (send.stage, send.settled) == (stage, settled)
        stopped = Send(audience=replace(frozen, cancelled="wrong"), counts=counts, is_recallable=True)
        assert stopped.stage == "stopped"


def test_a_send_can_be_recalled_while_some_of_it_may_still_be_kept_from_going_out(desk: Desk) -> None:
    frozen = desk.plan(120)

    def recallable(minutes: float) -> bool:
        desk.now = frozen.send_at + timedelta(minutes=minutes)
        (send,) = watched(desk).sends
        assert (send.audience, send.counts) == (frozen, desk.store.deliveries.counts(*frozen.night))
        return send.is_recallable

    assert [recallable(minutes) for minutes in (-1, 15, 16)] == [True, True, False], "still to be posted"
    desk.now = frozen.planned_at
    desk.send(Scripted(), frozen)
    assert [recallable(minutes) for minutes in (-1, 0)] == [True, False], "all with Appboy"


def test_what_appboy_refused_as_a_whole_can_not_be_recalled(desk: Desk) -> None:
    frozen = desk.plan(50)
    desk.send(Scripted(RequestRefused(400, "no")), frozen)
    assert desk.store.deliveries.counts(*frozen.night).refused == 50
    (send,) = watched(desk).sends
    assert (send.is_recallable, send.stage) == (False, "done")


def test_the_newest_run_that_was_no_dry_run_is_the_nights(desk: Desk) -> None:
    assert watched(desk) == NightSends(run_date=NIGHT, run=None, sends=(), held={})
    assert not watched(desk).is_under_way
    ran(desk, BEFORE)
    first = ran(desk, campaigns=[])
    ran(desk, dry_run=True, campaigns=[{"name": "Dry", "held": "no"}])
    found = watched(desk)
    assert (found.run, found.held, found.is_under_way) == (first, {}, False)
    second = ran(desk)
    assert (watched(desk).run, watched(desk).is_under_way) == (second, True)
    assert watched(desk, BEFORE).run is not None


def test_what_a_run_held_is_told_with_the_reason_unless_it_has_a_send(desk: Desk) -> None:
    desk.plan(50, name="Sent")
    desk.send(Scripted(Stopped(401, "401", "key")), desk.plan(50, name="Other"))
    campaigns = [{"name": name, "held": held} for name, held in (("Sent", "since"), ("Held", "no"), ("Done", None))]
    ran(desk, campaigns=[*campaigns, {"name": "Unheld"}])
    found = watched(desk)
    assert found.held == {"Held": "no"}
    assert sorted(send.audience.campaign_name for send in found.sends) == ["Other", "Sent"]
