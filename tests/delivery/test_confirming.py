"""Asking Appboy what became of accepted messages, over HTTP: who got one, who didn't, and what is kept of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from confirming_desk import ConfirmingDesk
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk
from msgspec.structs import asdict, replace
from page_text import text_of

from optinb.appboy.template_rules import TemplateRules
from optinb.base.settings import RehearsedGroup
from optinb.delivery import counting, lease_name
from optinb.delivery.confirmation import VERDICTS
from optinb.delivery.confirmed_nights import alarm_words
from optinb.delivery.journal import Accepted
from optinb.delivery.reconcile import FIELDS
from optinb.errors import Exit, StateError, UsageError
from optinb.sandbox import Fault, Rates, Sandbox, World, make_world
from optinb.show import html, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHILD = str(Path(__file__).with_name("confirming_child.py"))
TOMORROW = NIGHT + timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world(["Shop"], templates=["Once", "Often_iOS"], rates=Rates(opened=0.5))


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfirmingDesk]:
    monkeypatch.setenv(KEY_NAME, world.group("Shop").keys[0].key)
    plain = Desk(tmp_path)
    yield ConfirmingDesk(plain, sandbox, world)
    plain.store.close()


def test_whoever_got_it_is_confirmed_and_the_night_is_final(desk: ConfirmingDesk) -> None:
    frozen = desk.night(120)
    assert set(desk.statuses(frozen).values()) == {"accepted"}
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None and night.counts.is_final and night.note is None
    assert (night.counts.confirmed, night.counts.asked, night.counts.requests, night.asked_now) == (120, 120, 3, 120)
    assert night.counts.sent == 120 and night.alarm is None
    assert (night.share.low, night.share.high) == (1.0, 1.0) if night.share else False
    assert set(desk.statuses(frozen).values()) == {"confirmed"}
    before = desk.sandbox.requests["/users/export/ids"]
    again = desk.confirming.confirm()
    assert again.exit_code == Exit.DONE and [n.asked_now for n in again.nights] == [0]
    assert desk.sandbox.requests["/users/export/ids"] == before, "nobody is asked about who is known"
    assert len(desk.desk.store.confirmations.list()) == 1


def opened_by(desk: ConfirmingDesk, users: Iterable[str]) -> set[str]:
    """Who has opened the push by now, as Appboy tells whoever asks."""
    ids = sorted(users)
    with desk.client() as client:
        told = [user for at in range(0, len(ids), 50) for user in client.export_users(ids[at : at + 50], FIELDS).users]
    return {user.external_id for user in told if user.campaigns_received[0].engaged.opened_push}


def test_rules_know_who_opened_a_push_and_who_did_not(desk: ConfirmingDesk) -> None:
    frozen = desk.night(120)
    before = desk.history.table()
    assert set(before["outcome"]) == {"received", "in_control"}, "nobody is known to have ignored it yet"
    users = set(before.filter(pl.col("outcome") == "received")["external_user_id"])
    at_first = opened_by(desk, users)
    desk.confirming.confirm()
    table = desk.history.table()
    by = {outcome: set(table.filter(pl.col("outcome") == outcome)["external_user_id"]) for outcome in table["outcome"]}
    assert at_first and at_first <= by["opened"] <= opened_by(desk, users), "the sandbox's clock goes on meanwhile"
    assert by["received"] == users
    assert by["not_opened"] == users - by["opened"]
    assert not by["in_control"] & users
    assert table.height == 240 + frozen.waterfall.control


def test_who_had_not_opened_it_is_asked_about_once_more_when_nothing_can_be_late_any_more(
    desk: ConfirmingDesk,
) -> None:
    desk.night(120)
    desk.confirming.confirm()
    first = desk.history.table()
    early = first.filter(pl.col("outcome") == "opened").height
    desk.go(desk.desk.now + timedelta(days=4))
    (night,) = desk.confirming.confirm().nights
    assert night.asked_now == 120 - early
    table = desk.history.table()
    assert table.filter(pl.col("outcome") == "opened").height > early
    assert table.filter(pl.col("outcome").is_in(["opened", "not_opened"])).height == 120
    assert set(table["outcome"]) == set(first["outcome"])
    (again,) = desk.confirming.confirm().nights
    assert again.asked_now == 0


def test_a_template_that_is_had_once_is_named_the_next_morning(desk: ConfirmingDesk) -> None:
    desk.night(100)
    desk.confirming.confirm()
    template = desk.templates.list()[0]
    desk.templates.set_rules("Shop", template.id, TemplateRules(again_after_s=0))
    desk.go(NOW + timedelta(days=1, hours=1))
    second = desk.night(120, run_date=TOMORROW)
    done = desk.confirming.confirm()
    newest = done.nights[0]
    assert newest.run_date == TOMORROW and newest.counts is not None
    assert newest.alarm is not None and "Once went to 20 of 120" in newest.alarm
    assert "once per customer" in newest.alarm
    assert done.exit_code == Exit.MESSAGES_FILTERED and done.alarms == (alarm_words(newest),)
    truth = desk.fates(second)
    statuses = desk.statuses(second)
    assert {user for user, state in truth.items() if state == "filtered"} == {
        user for user, status in statuses.items() if status == "filtered"
    }
    assert newest.counts.filtered == {"re_eligibility": 100}
    got = desk.history.table().filter(pl.col("day") == TOMORROW, pl.col("outcome") == "received")
    assert set(got["external_user_id"]) == {user for user, state in truth.items() if state == "delivered"}
    assert len(counting(desk.history.rows(second), "recipient")) == 120, "nobody is written to again by Appboy's word"


def test_the_alarm_comes_the_next_morning_though_one_newcomer_got_it(desk: ConfirmingDesk) -> None:
    desk.night(100)
    desk.confirming.confirm()
    desk.templates.set_rules("Shop", desk.templates.list()[0].id, TemplateRules(again_after_s=0))
    desk.go(NOW + timedelta(days=1, hours=1))
    desk.night(101, run_date=TOMORROW, over_since=timedelta(hours=7, minutes=30))
    newest = desk.confirming.confirm().nights[0]
    assert newest.counts is not None and newest.counts.confirmed == 1
    assert newest.alarm is not None and "Once went to 1 of 101" in newest.alarm
    assert "once per customer" in newest.alarm


def test_who_asks_in_the_evening_does_not_put_off_the_next_mornings_alarm(desk: ConfirmingDesk) -> None:
    desk.night(100)
    desk.confirming.confirm()
    desk.templates.set_rules("Shop", desk.templates.list()[0].id, TemplateRules(again_after_s=0))
    desk.go(NOW + timedelta(days=1, hours=1))
    desk.night(100, run_date=TOMORROW, over_since=timedelta(minutes=75))
    evening = desk.confirming.confirm().nights[0]
    assert (evening.run_date, evening.asked_now, evening.alarm) == (TOMORROW, 100, None), "too early to tell"
    desk.go(desk.desk.now + timedelta(minutes=15))
    assert desk.confirming.confirm().nights[0].asked_now == 0, "nothing is judged otherwise by now"
    desk.go(desk.desk.now + timedelta(hours=7))
    morning = desk.confirming.confirm().nights[0]
    assert morning.asked_now == 100
    assert morning.alarm is not None and "Once went to 0 of 100" in morning.alarm
    again = desk.confirming.confirm().nights[0]
    assert again.asked_now == 0 and again.alarm == morning.alarm, "nobody is asked twice in one night"


def test_a_dead_appboy_ends_it_with_a_note_and_the_next_time_goes_on(desk: ConfirmingDesk) -> None:
    frozen = desk.night(170)
    desk.sandbox.set_faults([Fault("status", endpoint="/users/export/ids", status=401, nth=(3,))])
    done = desk.confirming.confirm()
    (night,) = done.nights
    assert night.note is not None and "Appboy couldn't be asked" in night.note and "401" in night.note
    assert (night.asked_now, night.problem) == (100, None) and "Appboy couldn't be asked" in done.notes[0]
    assert text(done).count("Appboy couldn't be asked") == 1, "for all nights together"
    assert list(desk.statuses(frozen).values()).count("confirmed") == 100
    assert night.counts is not None and not night.counts.is_final and night.alarm is None
    desk.sandbox.set_faults([])
    (night,) = desk.confirming.confirm().nights
    assert (night.asked_now, desk.sandbox.requests["/users/export/ids"], night.note) == (70, 2, None)
    assert set(desk.statuses(frozen).values()) == {"confirmed"}
    folder = (desk.desk.root / frozen.path).parent
    assert len([path for path in folder.iterdir() if path.suffix == ".verdicts"]) == 1, "the older file is gone"


def test_one_that_never_answers_leaves_everything_as_it_was(desk: ConfirmingDesk) -> None:
    frozen = desk.night(60)
    desk.sandbox.set_faults([Fault("status", status=403)])
    done = desk.confirming.confirm()
    assert "Appboy couldn't be asked" in done.notes[0] and done.nights[0].counts is None
    assert done.exit_code == Exit.DONE, "a night's sends don't wait for it"
    assert set(desk.statuses(frozen).values()) == {"accepted"}
    desk.sandbox.set_faults([Fault("status", endpoint="/users/export/ids", status=401, nth=(2,))])
    assert desk.confirming.confirm().nights[0].asked_now == 50
    desk.sandbox.set_faults([Fault("status", status=403)])
    assert desk.confirming.confirm().nights[0].asked_now == 0
    (there,) = desk.desk.store.confirmations.list()
    assert there.version == 1, "what says nothing new is no version"


def test_no_time_no_question(desk: ConfirmingDesk) -> None:
    desk.night(60)
    done = desk.confirming.confirm(minutes=0)
    assert done.notes == ("Shop: the time for asking was over",) and done.nights[0].counts is None
    assert not desk.sandbox.requests["/users/export/ids"]


def test_a_fiftieth_of_the_hours_requests_is_all_that_asking_uses(desk: ConfirmingDesk) -> None:
    desk.night(120)
    send = replace(desk.context.settings.send, an_hour=100)
    desk.confirming.settings = replace(desk.context.settings, send=send)
    done = desk.confirming.confirm(minutes=0.1)
    assert done.nights[0].asked_now == 100 and "this hour" in done.notes[0]
    desk.go(desk.desk.now + timedelta(minutes=1))
    assert desk.confirming.confirm(minutes=0.1).nights[0].asked_now == 0, "what was registered in this hour counts"
    desk.go(desk.desk.now + timedelta(hours=1))
    desk.ahead += 3600.0
    assert desk.confirming.confirm(minutes=0.1).nights[0].asked_now == 20


def killed(desk: ConfirmingDesk, answers: int) -> int:
    """The exit code of a process that is killed after so many answers."""
    asked = [str(desk.desk.root), desk.sandbox.url, desk.group.id, desk.desk.now.isoformat(), str(answers)]
    path = os.pathsep.join([str(Path(CHILD).parent), *sys.path])
    done = subprocess.run([sys.executable, CHILD, *asked], env={**os.environ, "PYTHONPATH": path}, timeout=120)
    return done.returncode


def test_a_kill_between_parts_asks_few_twice_and_loses_nothing(desk: ConfirmingDesk) -> None:
    frozen = desk.night(350)
    assert killed(desk, 5) == -signal.SIGKILL
    assert set(desk.statuses(frozen).values()) == {"accepted"}, "nothing is half-done"
    parts = sorted((desk.desk.root / frozen.path).parent.glob("*.asked-*.verdicts"))
    assert len(parts) == 2
    parts[0].write_bytes(parts[0].read_bytes()[:-1])
    before = desk.sandbox.requests["/users/export/ids"]
    with sqlite3.connect(desk.desk.root / "state.sqlite") as con:
        con.execute("UPDATE leases SET expires_at = NULL")  # as half a minute later
    done = desk.confirming.confirm()
    (night,) = done.nights
    assert "1 of 2 parts were changed or are gone" in done.notes[0]
    assert (night.asked_now, desk.sandbox.requests["/users/export/ids"] - before) == (250, 5)
    assert set(desk.statuses(frozen).values()) == {"confirmed"}
    assert len(list((desk.desk.root / frozen.path).parent.glob("*.verdicts"))) == 1


def test_two_at_once_ask_nobody_twice(desk: ConfirmingDesk) -> None:
    desk.night(60)
    with desk.desk.store.lease(
        f"confirm {desk.group.id}", holder="cat@box", clock=desk.desk.store.clock, what="asking Appboy"
    ):
        done = desk.confirming.confirm()
    assert done.notes and "cat@box is working on asking Appboy" in done.notes[0]
    assert not desk.sandbox.requests["/users/export/ids"]
    assert desk.confirming.confirm().nights[0].asked_now == 60


def test_sends_go_first(desk: ConfirmingDesk) -> None:
    desk.night(60)
    store = desk.desk.store
    later = desk.plan(50, name="Later", send_at=desk.desk.now + timedelta(hours=5), run_date=TOMORROW)
    with store.lease(lease_name(later), holder="cron", clock=store.clock):
        done = desk.confirming.confirm(minutes=2)
    assert done.notes == ("Shop: the time for asking was over",) and sum(desk.waits) >= 60
    done = desk.confirming.confirm(before_sends=True)
    assert done.notes == ("Shop: what is still to be sent tonight goes first; Appboy is asked the next time",)
    assert not desk.sandbox.requests["/users/export/ids"]
    assert desk.confirming.confirm().nights[0].asked_now == 60, "what nobody sends just now keeps nobody waiting"


def test_a_changed_or_lost_file_is_never_read_and_asking_again_mends_it(desk: ConfirmingDesk) -> None:
    frozen = desk.night(60)
    desk.confirming.confirm()
    asked = desk.desk.store.confirmations.newest(*frozen.night)
    assert asked is not None
    path = desk.desk.root / asked.path
    assert pl.read_parquet(path).schema == VERDICTS
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(StateError, match=r"was changed since it was sealed.*optinb confirm --date 2026-11-23"):
        desk.history.rows(frozen)
    path.unlink()
    desk.history.reopen()
    with pytest.raises(StateError, match=r"can't be read.*optinb confirm"):
        desk.history.table()
    desk.confirming.confirm()
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def test_only_a_night_that_sent_something_can_be_named(desk: ConfirmingDesk) -> None:
    with pytest.raises(UsageError, match="nothing was sent in the night of 2026-11-23"):
        desk.confirming.confirm(NIGHT)


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), -1.0])
def test_what_is_no_time_is_refused(desk: ConfirmingDesk, minutes: float) -> None:
    with pytest.raises(UsageError, match=f"{minutes} is no time to ask for; give minutes"):
        desk.confirming.confirm(minutes=minutes)


@pytest.mark.scale
def test_two_hundred_thousand_are_told_in_twenty_minutes(desk: ConfirmingDesk) -> None:
    frozen = desk.night(200_000)
    begun = desk.ahead
    (night,) = desk.confirming.confirm().nights
    assert night.counts is not None and night.note is None
    assert (night.counts.asked, night.counts.requests, night.counts.confirmed) == (200_000, 4_000, 200_000)
    assert desk.ahead - begun < 20 * 60
    assert set(desk.statuses(frozen).values()) == {"confirmed"}


def test_a_rehearsal_whose_sandbox_began_later_alarms_nobody(desk: ConfirmingDesk) -> None:
    store = desk.desk.store
    later = desk.plan(60, send_at=NOW + timedelta(hours=15))
    lease = store.leases.take(lease_name(later), holder="box", now=store.clock())
    marked = store.deliveries.turn(*later.night, lease=lease, now=NOW, size=9)
    taken = [replace(batch, state=Accepted(dispatch_id="d", schedule_id="s")) for batch in marked]
    store.deliveries.turn(*later.night, lease=lease, now=NOW, settled=taken)
    store.leases.release(lease)
    desk.go(NOW + timedelta(days=1))
    group = RehearsedGroup(**{**asdict(desk.group), "named": "https://rest.iad-01.braze.com"})
    desk.confirming.settings = replace(desk.context.settings, app_groups=(group,))
    done = desk.confirming.confirm()
    assert done.exit_code == Exit.DONE and "it began later" in (done.nights[0].note or "")
    for shown in (text(done), text_of(html(done))):
        assert f"'Summer', night of {NIGHT}: the sandbox of this rehearsal knows nothing of that night" in shown
    desk.confirming.settings = desk.context.settings
    done = desk.confirming.confirm()
    assert done.exit_code == Exit.MESSAGES_FILTERED, "of the real Appboy it is an alarm"
