"""The file of answers beside an audience: what it adds up to, and what a database that was put back is told by it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import delete

from optinb.base.erasing import ForgottenPerson
from optinb.base.files import write_atomically
from optinb.campaigns import TimeMove, Waterfall
from optinb.delivery.journal import (
    Accepted,
    Account,
    Batch,
    Cancelled,
    Draw,
    FrozenAudience,
    JournalSide,
    Planned,
    Sending,
    Store,
    Unknown,
    replay,
    send_lease,
    why_behind,
)
from optinb.delivery.journal.answers import AnswerFiles, AnswerLine, Pen
from optinb.delivery.journal.origins import Origin
from optinb.delivery.traces import erase_files
from optinb.errors import StateError
from optinb.store.schema import audiences, audit_entries, batches, code_grants, leases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NIGHT = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
TAKEN = Accepted(dispatch_id="d", schedule_id="s")
MARKED = Sending(holder="box:1")
ONE = frozenset({1})


def frozen(**values: Any) -> FrozenAudience:
    given = FrozenAudience(
        campaign_id="c1",
        campaign_name="Summer",
        run_date=NIGHT,
        app_group_id="shop",
        template_id="t",
        path="audiences/2026-11-23/summer.parquet",
        sha256="a" * 64,
        send_at=NOW + timedelta(hours=15),
        recipients=130,
        batches=3,
        waterfall=Waterfall(target=130, excluded={}, control=0, recipients=130),
        fingerprint="f" * 64,
        planned_at=NOW,
    )
    return replace(given, **values)


def planned() -> list[Batch]:
    return [
        Batch(campaign_id="c1", run_date=NIGHT, number=n, first=50 * n, size=size, state=Planned())
        for n, size in enumerate((50, 50, 30))
    ]


def text(*lines: AnswerLine | bytes) -> bytes:
    return b"".join(line if isinstance(line, bytes) else msgspec.json.encode(line) + b"\n" for line in lines)


PLAN = AnswerLine(at=NOW, audience=frozen(), requests=((50, 2), (30, 1)), anew=True)


def test_the_newest_state_of_a_batch_counts_except_by_a_hold_that_was_taken_over() -> None:
    account = replay(
        text(
            PLAN,
            AnswerLine(at=NOW, token=1, states=(((0, 1), MARKED),)),
            AnswerLine(at=NOW, token=2, states=(((0, 1), Unknown(message="died")),)),
            AnswerLine(at=NOW, token=1, states=(((0,), TAKEN), ((1,), Planned()))),
        )
    )
    assert account.states == {0: Unknown(message="died"), 1: Unknown(message="died")}
    assert (account.token, account.begun, account.damaged) == (2, {0, 1}, [])


def test_a_new_plan_of_a_night_begins_again() -> None:
    lines = [
        PLAN,
        AnswerLine(at=NOW, token=1, states=(((0,), TAKEN),)),
        AnswerLine(at=NOW, audience=frozen(cancelled="wrong")),
    ]
    assert replay(text(*lines)).states == {0: TAKEN}
    again = replay(text(*lines, replace(PLAN, audience=frozen(sha256="b" * 64))))
    assert (again.states, again.audience) == ({}, frozen(sha256="b" * 64))


def test_a_line_that_a_crash_has_torn_is_no_damage_and_any_other_is(tmp_path: Path) -> None:
    torn = msgspec.json.encode(AnswerLine(at=NOW, token=1, states=(((0,), TAKEN),)))[:-9]
    assert replay(text(PLAN, torn)).damaged == []
    file = tmp_path / "answers"
    file.write_bytes(text(PLAN, torn))
    pen = Pen(file)
    pen.write(AnswerLine(at=NOW, token=1, states=(((1,), TAKEN),)))
    pen.write(AnswerLine(at=NOW, token=1, states=(((2,), TAKEN),)))
    pen.close()
    account = replay(file.read_bytes())
    assert (account.damaged, account.states) == ([], {1: TAKEN, 2: TAKEN})
    assert replay(text(PLAN, b"{damaged\n", AnswerLine(at=NOW))).damaged == [2]
    assert replay(text(PLAN, b"{damaged\n")).damaged == [2]
    assert replay(text(b"{damaged\n", b"{damaged\n", PLAN)).damaged == [1, 2]


def test_a_pen_writes_on_in_a_file_that_was_rewritten_and_waits_while_it_is(tmp_path: Path) -> None:
    """A sender in a process of its own, while people are forgotten: no line of it is lost."""
    file = tmp_path / "audiences" / "c1.answers.jsonl"
    script = (
        "import sys, time; from datetime import UTC, datetime; from pathlib import Path\n"
        "from optinb.delivery.journal.answers import AnswerFiles, AnswerLine, Pen\n"
        "from optinb.delivery.journal.values import Accepted\n"
        "pen = Pen(Path(sys.argv[1]))\n"
        "for n in range(600):\n"
        "    time.sleep(0.002)\n"
        "    said = Accepted(dispatch_id=f'for C{n % 40} d', schedule_id='s')\n"
        "    pen.write(AnswerLine(at=datetime.now(UTC), token=1, states=(((n,), said),)))\n"
        "pen.close()\n"
    )
    sender = subprocess.Popen([sys.executable, "-c", script, str(file)])
    rewritten, n = 0, 0
    while sender.poll() is None:
        person = ForgottenPerson([f"C{n % 40}"], stand_in="forgotten-1")
        rewritten += erase_files(tmp_path, person).rewritten
        n += 1
    assert sender.returncode == 0
    account = replay(file.read_bytes())
    assert rewritten > 5
    assert (account.damaged, sorted(account.states)) == ([], list(range(600)))


def test_a_rewritten_file_that_cannot_be_opened_is_told_of_and_written_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = AnswerFiles(tmp_path)
    line = AnswerLine(at=NOW, states=(((0,), TAKEN),))
    path = files.path("c1", NIGHT)
    with files.appending("c1", NIGHT) as pen:
        pen.write(line)
        write_atomically(path, path.read_bytes())
        with monkeypatch.context() as full, pytest.raises(StateError, match=r"can't be written \(no handles\)"):
            full.setattr("optinb.delivery.journal.answers.open_privately", Mock(side_effect=OSError(24, "no handles")))
            pen.write(line)
        pen.sync()
        pen.write(line)
    assert path.read_bytes().count(b"\n") == 2
    with (
        monkeypatch.context() as full,
        pytest.raises(StateError, match="no handles"),
        files.appending("c1", NIGHT) as pen,
    ):
        pen.write(line)
        write_atomically(path, path.read_bytes())
        full.setattr("optinb.delivery.journal.answers.open_privately", Mock(side_effect=OSError(24, "no handles")))
        pen.write(line)


def test_a_forgotten_person_goes_from_what_appboy_said_and_the_plan_stays_readable(tmp_path: Path) -> None:
    file = tmp_path / "c1.answers.jsonl"
    plan = replace(PLAN, audience=frozen(campaign_name="C1"))
    file.write_bytes(text(plan, AnswerLine(at=NOW, token=1, states=(((0,), Unknown(message="C1 isn't known")),))))
    done = erase_files(tmp_path, ForgottenPerson(["C1"], stand_in="X"))
    account = replay(file.read_bytes())
    assert (done.rewritten, done.left, account.damaged) == (1, (), [])
    assert account.audience == frozen(campaign_name="C1")
    assert account.states == {0: Unknown(message="X isn't known")}


@pytest.mark.parametrize(
    ("account", "there", "said"),
    [
        (Account(audience=frozen()), JournalSide(audience=None), "it isn't in the database"),
        (
            Account(audience=frozen(), states={1: MARKED}),
            JournalSide(audience=frozen(), planned=frozenset({1})),
            "1 of",
        ),
        (Account(audience=frozen(), token=3), JournalSide(audience=frozen(), token=2), "somebody has worked on it"),
        (Account(audience=frozen(cancelled="wrong")), JournalSide(audience=frozen()), "it was cancelled since (wrong)"),
        (
            Account(audience=frozen(send_at=NOW + timedelta(hours=16))),
            JournalSide(audience=frozen()),
            "it was moved to 18:00 UTC since",
        ),
        (Account(audience=frozen(sha256="b" * 64)), JournalSide(audience=frozen()), "its list was frozen anew"),
        (
            Account(audience=frozen(sha256="b" * 64), states={1: TAKEN}),
            JournalSide(audience=frozen(), planned=ONE, seals=frozenset({"b" * 64})),
            "1 of its",
        ),
        (
            Account(audience=frozen(), states={1: TAKEN, 2: Cancelled(message="wrong")}),
            JournalSide(audience=frozen(planned_at=NOW + timedelta(hours=1)), planned=ONE),
            "1 requests of an earlier plan were made, and weren't recalled",
        ),
        # what a crash or another machine leaves behind
        (
            Account(audience=frozen(), states={1: Cancelled(message="wrong"), 2: Planned()}),
            JournalSide(audience=frozen(planned_at=NOW + timedelta(hours=1)), planned=ONE),
            None,
        ),
        (Account(audience=frozen()), JournalSide(audience=frozen(cancelled="wrong"), token=4), None),
        (Account(audience=frozen(), states={1: TAKEN}), JournalSide(audience=frozen(), planned=frozenset({2})), None),
        (
            Account(audience=frozen(), states={1: Planned()}),
            JournalSide(audience=frozen(), planned=frozenset({1})),
            None,
        ),
        (
            Account(audience=frozen(sha256="b" * 64), states={1: TAKEN}),
            JournalSide(audience=frozen(), planned=frozenset({2}), seals=frozenset({"b" * 64})),
            None,
        ),
        (Account(), JournalSide(audience=None), None),
    ],
)
def test_a_database_is_behind_where_the_file_knows_what_no_crash_could_have_kept_from_it(
    account: Account, there: JournalSide, said: str | None
) -> None:
    found = why_behind(account, there)
    assert (found or "").startswith(said or "") and (found is None) == (said is None)


@pytest.fixture
def kept(address: str, tmp_path: Path) -> Iterator[Store]:
    with Store.open(address, root=tmp_path) as store:
        yield store


def forget_everything(store: Store) -> None:
    """As a database from before the night."""
    with store._database.writing() as con:
        for table in (batches, code_grants, audiences, leases, audit_entries):
            con.execute(delete(table))


def test_a_night_is_rebuilt_with_its_states_codes_and_holds(kept: Store) -> None:
    kept.codes.add("Pool", [f"C{n:03}" for n in range(200)], user="ana", now=NOW)
    draw: Draw = kept.codes.draw("Pool", 130)
    audience = kept.deliveries.plan(frozen(codes="pool"), planned(), user="cron", now=NOW, draw=draw)
    lease = kept.leases.take(send_lease(*audience.night), holder="box:1", now=NOW)
    kept.recovery.take_over(*audience.night, lease=lease, now=NOW)
    marked = kept.deliveries.turn(*audience.night, lease=lease, now=NOW, size=2)
    kept.deliveries.turn(*audience.night, lease=lease, now=NOW, settled=[replace(marked[0], state=TAKEN)])
    assert kept.recovery.why_behind(*audience.night) is None
    assert kept.codes.get("Pool").left == 70

    forget_everything(kept)
    assert kept.codes.get("Pool").left == 200
    assert kept.recovery.why_behind(*audience.night) == "it isn't in the database"
    rebuilt = kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW)
    assert rebuilt.recipients == {"accepted": 50, "unknown": 50, "planned": 30}
    assert kept.deliveries.find(*audience.night) == audience
    assert [type(b.state) for b in kept.deliveries.batches(*audience.night)] == [Accepted, Unknown, Planned]
    assert kept.codes.get("Pool").left == 70
    assert kept.recovery.why_behind(*audience.night) is None
    assert [entry.action for entry in kept.audit.list()] == ["night rebuilt", "delivery planned"]
    assert kept.deliveries.why_unlike_planned(audience) is None, "its rest may go out"
    with pytest.raises(StateError, match="had expired"):
        kept.deliveries.turn(*audience.night, lease=lease, now=NOW, size=1)
    later = kept.leases.take(send_lease(*audience.night), holder="box:2", now=NOW)
    assert later.token > lease.token
    kept.recovery.take_over(*audience.night, lease=later, now=NOW)
    assert [b.number for b in kept.deliveries.turn(*audience.night, lease=later, now=NOW, size=9)] == [2]


def test_rebuilding_what_is_whole_already_changes_no_state(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    kept.deliveries.cancel(*audience.night, reason="wrong", user="ana", now=NOW)
    before = kept.deliveries.batches(*audience.night)
    for _ in range(2):
        kept.recovery.rebuild(*audience.night, why="asked", user="ops", now=NOW)
        assert kept.deliveries.batches(*audience.night) == before
    assert all(isinstance(batch.state, Cancelled) for batch in before)


def test_a_plan_made_anew_replaces_the_one_that_was_put_back(kept: Store) -> None:
    first = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    kept.deliveries.cancel(*first.night, reason="wrong", user="ana", now=NOW)
    later = frozen(sha256="b" * 64, recipients=50, batches=1, planned_at=NOW + timedelta(hours=1))
    assert kept.deliveries.plan(later, planned()[:1], user="cron", now=NOW) == later
    file = kept.deliveries.answers.path(*first.night)
    text_of_later = file.read_bytes()
    forget_everything(kept)
    kept.deliveries.plan(first, planned(), user="cron", now=NOW)
    file.write_bytes(text_of_later)
    assert kept.recovery.why_behind(*first.night) == "it was planned anew since"
    assert kept.recovery.rebuild(*first.night, why="put back", user="ops", now=NOW).recipients == {"planned": 50}
    assert kept.deliveries.find(*first.night) == later


def test_a_file_that_lost_its_plan_still_tells_what_was_sent(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    file = kept.deliveries.answers.path(*audience.night)
    file.write_bytes(text(b"{damaged\n", AnswerLine(at=NOW, token=1, states=(((0,), TAKEN),))))
    assert (kept.recovery.why_behind(*audience.night) or "").startswith("1 of its 3 requests were made")
    found = kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW)
    assert found.recipients == {"accepted": 50, "unknown": 80}
    forget_everything(kept)
    file.write_bytes(text(b"{damaged\n", AnswerLine(at=NOW, token=1, states=(((0,), TAKEN),))))
    with pytest.raises(StateError, match="has lost its plan"):
        kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW)


def test_a_new_seal_is_no_reason_to_refuse_and_an_old_one_is(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    sealed = {"path": "audiences/2026-11-23/anew.parquet", "sha256": "b" * 64}
    kept.seals.renew(audience, **sealed, renamed={}, why="a customer was forgotten", user="ana", now=NOW)
    assert kept.recovery.why_behind(*audience.night) is None
    with kept._database.writing() as con:
        con.execute(audiences.update().values(path=audience.path, sha256=audience.sha256))
        con.execute(delete(audit_entries).where(audit_entries.c.action == "audience sealed anew"))
    assert kept.recovery.why_behind(*audience.night) == "its list was frozen anew since"
    kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW)
    found = kept.deliveries.find(*audience.night)
    assert found is not None and found.sha256 == "b" * 64


def test_a_new_seal_keeps_what_was_moved_or_cancelled_since_the_audience_was_read(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    later = NOW + timedelta(hours=17)
    kept.deliveries.reschedule(*audience.night, send_at=later, user="ann", now=NOW)
    kept.deliveries.cancel(*audience.night, reason="wrong", user="ann", now=NOW)
    sealed = kept.seals.renew(
        audience, path="audiences/anew", sha256="b" * 64, renamed={}, why="somebody was forgotten", user="ann", now=NOW
    )
    assert sealed == kept.deliveries.find(*audience.night)
    account = kept.recovery.account(*audience.night)
    assert account is not None and account.audience == sealed
    assert (sealed.send_at, sealed.cancelled, sealed.sha256) == (later, "wrong", "b" * 64)


def test_a_store_without_a_folder_keeps_no_files_and_compares_nothing(store: Store, tmp_path: Path) -> None:
    audience = store.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    assert store.recovery.why_behind(*audience.night) is None
    assert not list(tmp_path.rglob("*.answers.jsonl"))


def test_a_stopped_plan_of_the_same_people_is_not_taken_for_the_one_that_followed_it(kept: Store) -> None:
    """As of two machines with folders of their own on one database: each has a file, one of them of the older plan."""
    first = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    kept.deliveries.cancel(*first.night, reason="wrong", user="ana", now=NOW)
    older = kept.deliveries.answers.path(*first.night).read_bytes()
    again = kept.deliveries.plan(frozen(planned_at=NOW + timedelta(hours=1)), planned(), user="cron", now=NOW)
    assert again.sha256 == first.sha256
    lease = kept.leases.take(send_lease(*again.night), holder="box:2", now=NOW)
    kept.recovery.take_over(*again.night, lease=lease, now=NOW)
    marked = kept.deliveries.turn(*again.night, lease=lease, now=NOW, size=3)
    kept.deliveries.turn(*again.night, lease=lease, now=NOW, settled=[replace(b, state=TAKEN) for b in marked])
    kept.deliveries.answers.path(*first.night).write_bytes(older)  # what the other machine has
    assert kept.recovery.why_behind(*again.night) is None
    later = kept.leases.take(send_lease(*again.night), holder="box:1", now=NOW + timedelta(hours=1))
    kept.recovery.take_over(*again.night, lease=later, now=NOW)
    assert [type(b.state) for b in kept.deliveries.batches(*again.night)] == [Accepted] * 3


def test_the_trail_tells_who_moved_an_audience_and_what_a_recovery_left_to_be_sent(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    at = audience.send_at + timedelta(hours=1)
    kept.deliveries.reschedule(*audience.night, send_at=at, user="ana", now=NOW, signature="signed")
    move = TimeMove(who="ana", before=audience.send_at, send_at=at, signature="signed")
    assert kept.origins.of(audience) == Origin(is_rebuilt=False, moves=(move,))
    assert kept.origins.rebuilt(audience.campaign_id, late_minutes=15) == ()
    forget_everything(kept)
    kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW)
    assert kept.origins.of(audience) == Origin(is_rebuilt=True, moves=())
    (rebuilt,) = kept.origins.rebuilt(audience.campaign_id, late_minutes=15)
    assert (rebuilt.recipients, rebuilt.unsent) == (audience.recipients, audience.recipients)
    assert (rebuilt.sha256, rebuilt.send_at, rebuilt.run_date) == (audience.sha256, at, audience.run_date)
    assert kept.origins.rebuilt("another", late_minutes=15) == ()
    # planned anew after it was stopped, it is the night's own work again
    kept.deliveries.cancel(*audience.night, reason="wrong", user="ana", now=NOW)
    kept.deliveries.plan(frozen(planned_at=NOW + timedelta(hours=1)), planned(), user="cron", now=NOW)
    assert not kept.origins.of(audience).is_rebuilt


def test_a_night_without_recipients_is_rebuilt_too(kept: Store) -> None:
    nobody = frozen(recipients=0, batches=0, waterfall=Waterfall(target=0, excluded={}, control=0, recipients=0))
    audience = kept.deliveries.plan(nobody, [], user="cron", now=NOW)
    forget_everything(kept)
    assert kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=NOW).recipients == {}
    assert kept.recovery.why_behind(*audience.night) is None


def test_what_no_approval_can_release_any_more_is_not_told_as_still_to_be_sent(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    moment = audience.send_at + timedelta(minutes=15)
    for minutes, told in ((0, 1), (1, 0)):
        forget_everything(kept)
        kept.recovery.rebuild(*audience.night, why="put back", user="ops", now=moment + timedelta(minutes=minutes))
        assert len(kept.origins.rebuilt(audience.campaign_id, late_minutes=15)) == told
        assert kept.origins.of(audience).is_rebuilt


def test_what_an_earlier_release_rebuilt_is_held_and_its_campaign_can_be_read(kept: Store) -> None:
    audience = kept.deliveries.plan(frozen(), planned(), user="cron", now=NOW)
    kept.audit.note(
        who="ops", action="night rebuilt", subject=audience.campaign_name, now=NOW, campaign_id=audience.campaign_id,
        run_date=audience.run_date, sha256=audience.sha256, recipients={"planned": 120},
    )  # fmt: skip
    assert kept.origins.rebuilt(audience.campaign_id, late_minutes=15) == ()
    assert kept.origins.of(audience).is_rebuilt
