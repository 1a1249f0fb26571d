"""A night of several messages: planned together or not at all, each with its own file, journal, codes and answers."""

from __future__ import annotations

import json
import multiprocessing
import random
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import polars as pl
import pytest
import several_child
from delivery_desk import NIGHT, NOW, Desk, Scripted
from msgspec.structs import replace
from several_child import NAMES, campaign, dealt, planned

from optinb.campaigns import MESSAGES, Offer, Property
from optinb.delivery import ContactHistory, plan, read_frozen, recovery
from optinb.delivery.audit_checkpoint import AuditCheckpoints, nights_with_answers
from optinb.delivery.confirmation import VERDICTS
from optinb.delivery.journal import DeliveryCounts, Draw, plans
from optinb.delivery.journal.answers import AnswerLine, Pen
from optinb.delivery.recall import Recall, together
from optinb.delivery.send_ids import send_id_of
from optinb.delivery.verdict_files import files_of, write_verdicts
from optinb.errors import CampaignError, ConflictError, StateError
from optinb.measure import CampaignSummary, MessageSummary
from optinb.sandbox import Sandbox, make_world

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.delivery.journal.values import StateName

ID = campaign().id
KEYS = [ID, f"{ID}.1", f"{ID}.2", f"{ID}.3"]


def several(desk: Desk, recipients: int = 400, *, hours: float = 15) -> tuple[FrozenAudience, ...]:
    return planned(desk.store, desk.root, list(NAMES), recipients, now=desk.now, night=NIGHT, hours=hours)


def test_each_message_has_a_file_of_its_own_and_everybody_is_in_one(desk: Desk) -> None:
    there = several(desk)
    assert [m.campaign_id for m in there] == KEYS
    assert [(m.template_id, m.variant) for m in there] == [("A1", "A"), ("A2", "A"), ("B1", "B"), ("B2", "B")]
    assert [m.recipients for m in there] == [200, 100, 100, 200]
    figures = there[0].waterfall  # of customers, all messages together
    assert (figures.target, figures.control, figures.recipients) == (402, 1, 400)
    assert {m.of_campaign for m in there} == {ID}
    frames = [read_frozen(desk.root / m.path, m.sha256) for m in there]
    assert len(set(pl.concat(frames)["customer_id"])) == 402
    assert all(set(frame["outcome"]) == {"recipient"} for frame in frames[1:])
    assert desk.store.deliveries.list(campaign_id=ID) == there
    assert desk.store.deliveries.find(ID, NIGHT) == there[0]
    entries = [e for e in desk.store.audit.list() if e.action == "delivery planned"]
    assert [e.detail["campaign_id"] for e in reversed(entries)] == KEYS
    assert list(desk.store.deliveries.all_unlike_planned()) == []
    assert several(desk) == there


def test_a_campaign_of_one_template_is_journalled_as_ever(desk: Desk) -> None:
    frozen = desk.plan(60)
    (entry,) = (e for e in desk.store.audit.list() if e.action == "delivery planned")
    assert " ".join(sorted(entry.detail)) == (
        "app_group_id batches campaign_id clock code_runs codes fingerprint path place planned_at recipients requests "
        "run_date send_at sha256 template_id"
    )
    line = json.loads(desk.store.deliveries.answers.path(*frozen.night).read_text())
    assert " ".join(line["audience"]) == (
        "campaign_id campaign_name run_date app_group_id template_id path sha256 send_at recipients batches waterfall "
        "fingerprint planned_at cancelled clock codes send_id"
    )
    assert frozen.night == (frozen.of_campaign, NIGHT)
    assert frozen.path == f"audiences/{NIGHT}/summer-{frozen.of_campaign[:6]}-{frozen.sha256[:12]}.parquet"
    assert desk.store.deliveries.messages(frozen.of_campaign, NIGHT) == (frozen,)


def test_all_messages_are_registered_or_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = plans.record_plan, []

    def failing(*args: object, **kwargs: object) -> None:
        done.append(args)
        if len(done) == 3:
            raise StateError("the power went off")
        real(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(plans, "record_plan", failing)
    with pytest.raises(StateError, match="power"):
        several(desk)
    assert desk.store.deliveries.list() == ()
    assert desk.store.audit.list() == ()
    monkeypatch.undo()
    assert len(several(desk)) == 4


def test_a_message_that_nobody_gets_is_left_out_but_the_first(desk: Desk) -> None:
    rows = dealt(40).with_columns(pl.when(pl.col(MESSAGES) > 0).then(2).otherwise(0).cast(pl.UInt32).alias(MESSAGES))
    plan_of(desk, rows)
    there = desk.store.deliveries.messages(ID, NIGHT)
    assert [(m.number, m.recipients) for m in there] == [(0, 0), (1, 40)]
    assert there[0].waterfall.recipients == 40


def plan_of(desk: Desk, rows: pl.DataFrame, **changes: Any) -> FrozenAudience:
    of = campaign(**changes)
    return plan(
        desk.store,
        rows,
        campaign=of,
        run_date=NIGHT,
        app_group_id="shop",
        template_id=list(NAMES)[: len(of.messages)],
        send_at=desk.now + timedelta(hours=15),
        fingerprint="f" * 64,
        root=desk.root,
        user="cron",
        now=desk.now,
    )


def test_a_night_is_planned_anew_only_where_nothing_of_any_message_was_sent(desk: Desk) -> None:
    there = several(desk)
    for message in there:
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    desk.move(60)
    again = several(desk)
    assert again[0].planned_at > there[0].planned_at
    desk.send(Scripted(), again[2])
    for message in again:
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    desk.move(60)
    assert {m.planned_at for m in several(desk)} == {again[0].planned_at}


def test_a_stopped_message_that_is_not_planned_again_is_planned_for_nobody(desk: Desk) -> None:
    for message in several(desk):
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    desk.move(60)
    plan_of(desk, dealt(20).with_columns(MESSAGES_ONE), variants=campaign().variants[:1])
    there = desk.store.deliveries.messages(ID, NIGHT)
    assert [m.recipients for m in there] == [20, 0, 0, 0]
    assert [desk.store.recovery.why_behind(*m.night) for m in there] == [None] * 4
    assert list(desk.store.deliveries.all_unlike_planned()) == []
    assert sum(desk.store.deliveries.counts(*m.night).recipients for m in there) == 20


MESSAGES_ONE = pl.when(pl.col(MESSAGES) > 0).then(1).otherwise(0).cast(pl.UInt32).alias(MESSAGES)


def test_a_plan_that_would_leave_a_message_over_is_refused(desk: Desk) -> None:
    there = several(desk)
    for message in there:
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    with pytest.raises(ConflictError, match="run the night again"):
        desk.store.deliveries.plan(there[0], [], user="cron", now=desk.now)
    assert desk.store.deliveries.messages(ID, NIGHT)[1].recipients == there[1].recipients


def test_codes_go_message_by_message_and_nobody_needs_two(desk: Desk) -> None:
    codes = [f"C{n:04}" for n in range(100)]
    desk.store.codes.add("Pool", codes, user="ann", now=NOW)
    offer = {"offer": Offer(name="Ten", kind="discount", codes="Pool"), "properties": {"promo": Property(offer="code")}}
    rows = several_child.audience(40, code=True).with_columns(dealt(40)[MESSAGES])
    with pytest.raises(CampaignError, match=r"60 messages to 40 customers.*last_used"):
        plan_of(desk, rows, **offer)
    one_each = rows.with_columns(pl.col(MESSAGES).replace({3: 2, 12: 4}))
    plan_of(desk, one_each, **offer)
    there = desk.store.deliveries.messages(ID, NIGHT)
    given = [
        json.loads(text)["promo"]
        for m in there
        for text in read_frozen(desk.root / m.path, m.sha256).filter(pl.col("outcome") == "recipient")["properties"]
    ]
    assert sorted(given) == codes[:40]
    assert desk.store.codes.get("Pool").left == 60
    told = [desk.store.codes.code_of(m, place) for m in there for place in range(m.recipients)]
    assert told == given
    for message in there:
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    assert desk.store.codes.get("Pool").left == 100
    desk.move(60)
    plan_of(desk, one_each.with_columns(pl.col(MESSAGES).replace({1: 8, 8: 1})), **offer)
    assert desk.store.codes.get("Pool").left == 60, "planned anew, whichever message had which codes before"


def test_a_draw_is_shared_out_in_order() -> None:
    draw = Draw(pool="p", codes=tuple("abcdefg"), runs=((1, 3), (7, 4)))
    first, nobody, second = draw.shared([5, 0, 2])
    assert (first.codes, first.runs) == (tuple("abcde"), ((1, 3), (7, 2)))
    assert (nobody.codes, nobody.runs) == ((), ())
    assert (second.codes, second.runs) == (tuple("fg"), ((9, 2),))


def test_a_night_that_the_database_forgot_is_rebuilt_message_by_message(desk: Desk, tmp_path: Path) -> None:
    before = (desk.root / "state.sqlite").read_bytes()
    desk.store.close()
    desk = Desk(tmp_path)
    poster = Scripted()
    there = several(desk, 120)
    for message in there[:3]:
        desk.send(poster, message)
    desk = put_back(desk, before)
    assert all(desk.store.recovery.why_behind(*m.night) for m in there)
    assert [set(states) for states in recovered(desk)] == [{"accepted"}] * 3 + [{"planned"}]
    assert [m.variant for m in desk.store.deliveries.messages(ID, NIGHT)] == ["A", "A", "B", "B"]
    sent_once(desk, poster)
    desk.store.close()


class Killed(BaseException):
    """As if the process had ended there."""


def killed_after(desk: Desk, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans the night, whose planner dies when it has told so many lines of its files."""
    real, left = Pen.write, [lines]

    def write(pen: Pen, line: AnswerLine) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(pen, line)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Pen, "write", write)
        several(desk, 120)


def put_back(desk: Desk, copy: bytes) -> Desk:
    desk.store.close()
    for file in desk.root.glob("state.sqlite*"):
        file.unlink()
    (desk.root / "state.sqlite").write_bytes(copy)
    return Desk(desk.root)


def recovered(desk: Desk) -> list[dict[StateName, int]]:
    """Rebuilds what was forgotten, as `optinb recover` does; what each message is then."""
    for night, key in nights_with_answers(desk.root):
        for one, why in desk.store.recovery.whys_behind(key, night).items():
            desk.store.recovery.rebuild(one, night, why=why, user="ops", now=desk.now)
    assert not any(desk.store.recovery.whys_behind(key, night) for night, key in nights_with_answers(desk.root))
    states = desk.store.deliveries.states(since=NIGHT, until=NIGHT, campaign_id=ID)
    return [states[message.night] for message in desk.store.deliveries.messages(ID, NIGHT)]


def sent_once(desk: Desk, poster: Scripted) -> None:
    """Sends what is left, after which each recipient of each message got it once."""
    desk.move(60)
    for message in several(desk, 120):
        desk.send(poster, message)
    sent = Counter((request.campaign_id, r.external_user_id) for request in poster.requests for r in request.recipients)
    assert set(sent.values()) == {1}
    assert Counter(template for template, _ in sent) == {"A1": 60, "A2": 30, "B1": 30, "B2": 60}
    assert [desk.store.deliveries.counts(*m.night).pending for m in desk.store.deliveries.messages(ID, NIGHT)] == [
        0
    ] * 4


@pytest.mark.parametrize("lines", range(5))
def test_killed_while_it_told_its_files_a_plan_loses_no_message_to_a_database_put_back(
    tmp_path: Path, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, poster = Desk(tmp_path), Scripted()
    desk.store.close()
    before = (tmp_path / "state.sqlite").read_bytes()
    desk = Desk(tmp_path)
    killed_after(desk, lines, monkeypatch)
    desk = put_back(desk, before)
    assert len(recovered(desk)) == (4 if lines else 0)
    sent_once(desk, poster)
    desk = put_back(desk, before)
    recovered(desk)
    sent_once(desk, poster)
    desk.store.close()


@pytest.mark.parametrize(("lines", "first"), [(0, 0), (0, 2), (1, 1), (3, 3), (4, 0)])
def test_who_goes_on_with_a_plan_that_was_not_told_tells_it_before_the_first_request(
    tmp_path: Path, lines: int, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, poster = Desk(tmp_path), Scripted()
    desk.store.close()
    before = (tmp_path / "state.sqlite").read_bytes()
    desk = Desk(tmp_path)
    killed_after(desk, lines, monkeypatch)
    desk.move(60)
    desk.send(poster, desk.store.deliveries.messages(ID, NIGHT)[first])
    assert all(desk.store.deliveries.answers.path(key, NIGHT).exists() for key in KEYS)
    desk = put_back(desk, before)
    assert [not states.keys() - {"planned"} for states in recovered(desk)] == [n != first for n in range(4)]
    sent_once(desk, poster)
    desk.store.close()


def test_a_message_whose_file_is_lost_is_unknown_in_a_database_put_back_and_not_sent_again(tmp_path: Path) -> None:
    desk, poster = Desk(tmp_path), Scripted()
    desk.store.close()
    before = (tmp_path / "state.sqlite").read_bytes()
    desk = Desk(tmp_path)
    for message in several(desk, 120):
        desk.send(poster, message)
    desk.store.deliveries.answers.path(KEYS[2], NIGHT).unlink()
    (told,) = AuditCheckpoints(cast("Any", SimpleNamespace(root=desk.root)), desk.store).without_answers(NIGHT)
    assert "has no file of answers" in told
    desk = put_back(desk, before)
    assert [set(states) for states in recovered(desk)] == [{"accepted"}, {"accepted"}, {"unknown"}, {"accepted"}]
    sent_once(desk, poster)
    desk.store.close()


def test_a_plan_made_anew_that_was_not_told_is_not_taken_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, poster = Desk(tmp_path), Scripted()
    desk.store.close()
    before = (tmp_path / "state.sqlite").read_bytes()
    desk = Desk(tmp_path)
    for message in several(desk, 120):
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    desk.move(60)
    killed_after(desk, 2, monkeypatch)
    desk = put_back(desk, before)
    assert [set(states) for states in recovered(desk)] == [{"planned"}] * 4
    sent_once(desk, poster)
    desk.store.close()


def test_the_control_group_is_where_the_furthest_message_is(desk: Desk) -> None:
    there = several(desk)
    contacts = ContactHistory(desk.root, desk.store)

    def control() -> set[str]:
        return set(contacts.rows(there[0]).filter(pl.col("role") == "control")["status"])

    assert control() == {"planned"}
    for message in there[:3]:
        desk.store.deliveries.cancel(*message.night, reason="no", user="ann", now=desk.now)
    assert contacts.table().is_empty()
    desk.send(Scripted(), there[3])
    assert control() == {"accepted"}
    table = contacts.table()
    assert table.filter(pl.col("outcome") == "in_control").height == 1
    assert table.filter(pl.col("outcome") == "received").height == there[3].recipients


def test_no_message_takes_the_files_or_the_send_id_of_another(desk: Desk) -> None:
    there = several(desk)
    for message in there:
        write_verdicts(pl.DataFrame(schema=VERDICTS), message, root=desk.root)
    found = [list(files_of(m, root=desk.root)) for m in there]
    assert [len(files) for files in found] == [1, 1, 1, 1]
    assert len({files[0] for files in found}) == 4
    assert len({send_id_of(m) for m in there}) == 4
    assert all(send_id_of(m).isascii() and len(send_id_of(m)) <= 64 for m in there)


def test_a_summary_tells_a_recovery_what_each_message_was() -> None:
    took = DeliveryCounts(batches=3, accepted=150)
    each = tuple(
        MessageSummary(number=n, template=name, variant="A", recipients=150, counts=took, audience=f"{n}.parquet")
        for n, name in enumerate(("A1", "A2"))
    )
    whole = CampaignSummary(name="Both", app_group="Shop", template="A1, A2", target=210, control=10, recipients=200,
                            batches=6, accepted=300, messages=each)  # fmt: skip
    (read,) = msgspec.json.decode(msgspec.json.encode({"campaigns": [whole]}), type=recovery._Summary).campaigns
    first, second = read.each
    assert (first.number, first.template, first.audience, first.batches) == (0, "A1", "0.parquet", 3)
    assert (first.figures.target, first.figures.recipients, first.recipients) == (210, 200, 150)
    assert (second.number, second.template, second.variant) == (1, "A2", "A")
    assert (second.figures.target, second.figures.control, second.recipients) == (150, 0, 150)


def test_the_sums_of_a_night_are_of_customers_and_of_messages() -> None:
    took = DeliveryCounts(batches=3, accepted=150)
    each = tuple(MessageSummary(number=n, template="T", recipients=150, counts=took) for n in range(2))
    whole = CampaignSummary(name="Both", app_group="Shop", template="T", target=210, control=10, recipients=200,
                            accepted=300, messages=each)  # fmt: skip
    assert whole.closes()
    assert (whole.planned, whole.counted) == (300, "messages")
    assert not replace(whole, accepted=299).closes()
    assert not replace(whole, recipients=201).closes()
    assert not replace(whole, recipients=140, target=150).closes(), "fewer customers than one message has"
    assert not replace(whole, recipients=301, target=311).closes(), "more customers than messages"
    lost = replace(each[1], counts=DeliveryCounts(accepted=140, refused=9))
    assert not replace(whole, accepted=290, refused=10, messages=(each[0], lost)).closes()


def test_recalls_of_a_night_are_told_as_one() -> None:
    one = Recall(campaign="Both", run_date="2026-11-23", recalled=3, problems={"x": 1})
    two = Recall(campaign="Both", run_date="2026-11-23", stopped=2, left=1, problems={"x": 1, "y": 2}, untold="full")
    both = together([one, two])
    assert (both.recalled, both.stopped, both.left, both.untold) == (3, 2, 1, "full")
    assert both.problems == {"x": 2, "y": 2}
    assert together([one]) is one


@pytest.mark.parametrize("seed", [1])
def test_killed_at_any_moment_each_message_reaches_its_recipients_once(tmp_path: Path, seed: int) -> None:
    rng, fork = random.Random(seed), multiprocessing.get_context("forkserver")
    world = make_world(["Shop"], templates=[f"Optimove_{name}" for name in NAMES])
    group = world.group("Shop")
    templates = [template.id for template in group.campaigns]
    kills = rounds = 0
    with Sandbox(world, journal=tmp_path / "journal.jsonl") as sandbox:
        while True:
            arguments = (str(tmp_path), sandbox.url, group.keys[0].key, templates, 1_200, NIGHT, 40.0 * rounds)
            child = fork.Process(target=several_child.run, args=arguments)
            child.start()
            if rounds < 5:
                child.join(rng.uniform(0.2, 1.5))
                child.kill()
            child.join()
            kills += child.exitcode == -9
            rounds += 1
            assert rounds < 20
            if child.exitcode == 0:
                break
        sent = {
            template: Counter(user for d in sandbox.world.dispatches if d.campaign_id == template for user in d.ids)
            for template in templates
        }
    assert {count for users in sent.values() for count in users.values()} == {1}
    desk = Desk(tmp_path)
    there = desk.store.deliveries.messages(ID, NIGHT)
    counts = [desk.store.deliveries.counts(*m.night) for m in there]
    assert [one.pending for one in counts] == [0] * 4
    assert [one.recipients for one in counts] == [m.recipients for m in there] == [600, 300, 300, 600]
    for template, one in zip(templates, counts, strict=True):
        assert one.accepted <= len(sent[template]) <= one.accepted + one.unknown
    assert desk.store.audit.verify().problem is None
    assert kills > 0
    desk.store.close()
