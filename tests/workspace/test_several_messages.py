"""Campaigns with a template for each platform and variants: one audience, one approval and one result."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import night_child
import polars as pl
import pytest
from page_text import text_of

from optinb import open_workspace, show
from optinb.campaigns.campaign import id_of
from optinb.delivery import read_frozen
from optinb.delivery.journal import Accepted, Unknown
from optinb.delivery.sends import Sends
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import CampaignError, Exit, StateError
from optinb.measure import in_one_line
from optinb.night.messages import plan_of
from optinb.nightly import Night
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SEED, RUNS = os.environ.get("OPTINB_CHAOS_SEED", "1"), int(os.environ.get("OPTINB_CHAOS_RUNS", "60"))
USUAL_S = 3.0  # that a night takes
DETAILS, CREATE = "/campaigns/details", "/campaigns/trigger/schedule/create"
BOTH = {
    **{name: value for name, value in CAMPAIGNS[0].items() if name != "template"},
    "name": "Both phones",
    "variants": [
        {
            "name": "Sale",
            "templates": {"ios": "Optimove_SummerSale_iOS", "android": "Optimove_SummerSale_Android"},
        },
        {
            "name": "We miss you",
            "templates": {"ios": "Optimove_WinBack_iOS", "android": "Optimove_WinBack_Android"},
            "properties": {"promo_code": {"value": "BACK"}},
        },
    ],
}
NAME = BOTH["name"]
CODES = {"Sale": "SUMMER", "We miss you": "BACK"}


def approve(folder: Path) -> None:
    with open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))


@pytest.fixture
def planned(ws: Workspace, folder: Path) -> Workspace:
    ws.campaigns.submit(BOTH)
    approve(folder)
    return ws


def run(folder: Path, *, sends: bool = True, dry_run: bool = False) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE, dry_run=dry_run)
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences):
            step()
        if sends:
            night.sends()
        return night.report()
    finally:
        night.close()


def messages(ws: Workspace) -> tuple[FrozenAudience, ...]:
    return ws.store.deliveries.messages(id_of(NAME), RUN_DATE)


def rows(ws: Workspace, message: FrozenAudience) -> pl.DataFrame:
    return read_frozen(ws.root / message.path, message.sha256)


def alive(sandbox: Sandbox) -> dict[str, Counter[str]]:
    """How often everybody would get each template of what is scheduled now."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for dispatch in sandbox.world.dispatches:
        if dispatch.plans[-1].until is None:
            found[dispatch.campaign_id].update(dispatch.ids)
    return found


def names(ws: Workspace) -> dict[str, str]:
    return {template.name: template.id for template in ws.templates.list()}


def requests(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder.parent / "sandbox.jsonl").read_text().splitlines()]
    return [line for line in lines if line["endpoint"].endswith("schedule/create")]


def test_each_customer_gets_what_their_phones_and_variant_say_and_nobody_is_lost(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    summary = run(folder)
    (told,) = summary.campaigns
    assert (summary.exit_code, told.held) == (Exit.DONE, None)
    assert told.closes()
    assert len(told.messages) == 4
    assert told.accepted == told.planned == sum(m.counts.accepted for m in told.messages)
    assert [m.variant for m in told.messages] == ["Sale", "Sale", "We miss you", "We miss you"]
    there = messages(planned)
    assert [m.campaign_id for m in there] == [id_of(NAME), *(f"{id_of(NAME)}.{n}" for n in (1, 2, 3))]
    first, *others = (rows(planned, message) for message in there)
    sent = [frame.filter(pl.col("outcome") == "recipient") for frame in (first, *others)]
    everybody = {user for frame in sent for user in frame["external_user_id"]}
    # one row for everybody who was considered, in the first message or in others
    assert told.target == len({*first["customer_id"], *(user for frame in others for user in frame["customer_id"])})
    assert told.recipients == len(everybody)
    assert told.control == first.filter(pl.col("outcome") == "control").height > 0
    # what the sandbox has is what is frozen, and nobody has a template twice
    by_template = alive(sandbox)
    ids = names(planned)
    wanted = [BOTH["variants"][v]["templates"][p] for v in (0, 1) for p in ("ios", "android")]
    assert [m.template_id for m in there] == [ids[name] for name in wanted]
    for message, frame in zip(there, sent, strict=True):
        assert set(by_template[message.template_id]) == set(frame["external_user_id"])
        assert set(by_template[message.template_id].values()) == {1}
        codes = {json.loads(text)["promo_code"] for text in frame["properties"]}
        assert codes == {CODES[message.variant or ""]}
    sale, back = ({*sent[n]["external_user_id"], *sent[n + 1]["external_user_id"]} for n in (0, 2))
    assert not sale & back
    assert min(len(sale), len(back)) > len(everybody) / 4
    assert planned.campaigns.get(NAME).state == "done"
    assert planned.checkpoints.verify().problem is None
    # the same night again
    before = len(requests(folder))
    (again,) = run(folder).campaigns
    assert (again.accepted, len(requests(folder))) == (told.accepted, before)


def test_history_counts_a_night_once_and_answers_name_the_message(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    run(folder)
    there = messages(planned)
    with open_workspace(folder, user=AUTHOR) as ws:
        table = ws.contacts.table()
        mine = table.filter(pl.col("campaign") == NAME)
        assert not mine.is_duplicated().any()
        history = [ws.contacts.rows(m, ("campaign_id", "variant", "role", "status", "customer_id")) for m in there]
        every = pl.concat(history)
        assert set(every["campaign_id"]) == {id_of(NAME)}
        assert set(every.filter(pl.col("role") == "recipient")["variant"]) == {"Sale", "We miss you"}
        assert (
            every.filter(pl.col("role") != "recipient")["variant"].null_count()
            == every.filter(pl.col("role") != "recipient").height
        )
        got = every.filter(pl.col("role") == "recipient")["customer_id"].value_counts()
        received = mine.filter(pl.col("outcome") == "received")
        assert received.height == got.height
        for many in sorted(set(got["count"])):
            customer = got.filter(pl.col("count") == many)["customer_id"][0]
            answers = [a for a in ws.why(customer).answers if a.campaign == NAME]
            assert len(answers) == many
            assert all(a.template and a.variant and a.template in a.why for a in answers)
            assert len({a.template for a in answers}) == many
        control = every.filter(pl.col("role") == "control")["customer_id"][0]
        (answer,) = (a for a in ws.why(control).answers if a.campaign == NAME)
        assert (answer.outcome, answer.template) == ("control", None)
        # one contact for the policy, whoever got two
        state = ws.campaigns.compete(RUN_DATE, tables_of=RUN_DATE)
        counts = state.on(RUN_DATE)._counts
        assert all(int(count.max()) <= 1 for count in counts)


def test_what_one_message_meets_leaves_the_others_and_everybody_has_the_answers_of_their_own(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    in_order = folder / "optinb.toml"
    text = in_order.read_text(encoding="utf-8")
    in_order.write_text(text.replace("# concurrency = 8 ", "concurrency = 1 "), encoding="utf-8")
    (frozen,) = run(folder, sends=False).campaigns
    later = messages(planned)[0].batches + 1  # the first request of the second message
    met = ((later, 429), (later + 1, 400), (later + 2, 504))
    sandbox.set_faults([Fault("status", endpoint=CREATE, nth=(n,), status=status) for n, status in met])
    (told,) = run(folder).campaigns
    assert told.closes()
    assert (told.planned, told.pending) == (frozen.planned, 0)
    assert min(told.refused, told.unknown) > 0
    assert told.messages[0].counts.accepted == told.messages[0].recipients
    by_key: dict[str, list[FrozenAudience]] = defaultdict(list)
    outcome: dict[str, str] = {}
    for message in messages(planned):
        for customer, what in rows(planned, message).select("customer_id", "outcome").iter_rows():
            outcome[customer] = what
            by_key[customer] += [message] if what == "recipient" else []
    names_of = {key: name for name, key in names(planned).items()}
    # one customer for each choice of messages, and for each that leads to none
    chosen = {(outcome[c], *(m.number for m in mine)): c for c, mine in by_key.items()}
    assert {key[1:] for key in chosen} >= {(), (0,), (1,), (0, 1), (2,), (3,), (2, 3)}
    for (what, *_), customer in chosen.items():
        answers = [a for a in planned.why(customer).answers if a.campaign == NAME]
        wanted = [(names_of[m.template_id], m.variant) for m in by_key[customer]]
        assert [(a.template, a.variant) for a in answers] == (wanted or [(None, None)])
        assert {a.outcome for a in answers} == {what}
        assert all(a.delivery in ("accepted", "refused", "unknown") for a in answers) or not wanted


def test_an_edit_of_one_template_holds_all_messages_and_is_said_once(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    sandbox.set_faults([])
    (frozen,) = run(folder, sends=False).campaigns
    # the second run asks as often, and looks at each template before the first message; the fourth is edited right then
    edited = sandbox.requests[DETAILS] + 4
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(edited,), body="Everything for 1 EUR")])
    summary = run(folder)
    (held,) = summary.campaigns
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert "the template 'Optimove_WinBack_Android' was edited in Appboy" in (held.held or "")
    assert (held.held or "").count("was edited") == 1
    assert held.closes()
    assert held.cancelled == held.planned == frozen.planned
    # what went out before it was found is recalled
    assert 0 < held.recalled < held.cancelled
    assert not any(alive(sandbox).values())
    sandbox.set_faults([])
    approve(folder)
    (sent,) = run(folder).campaigns
    assert (sent.held, sent.accepted) == (None, sent.planned)
    assert {count for users in alive(sandbox).values() for count in users.values()} == {1}


def test_a_cancel_half_way_recalls_all_messages(planned: Workspace, folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([Fault("status", endpoint=CREATE, nth=tuple(range(6, 200)), status=401)])
    (stopped,) = run(folder).campaigns
    assert stopped.accepted > 0 < stopped.pending
    sandbox.set_faults([])
    with open_workspace(folder, user=APPROVER) as boss:
        done = boss.campaigns.cancel(NAME, comment="no")
        (night,) = done.nights
        assert (night.stopped, night.recalled) == (stopped.pending, stopped.accepted)
        (audiences,) = {tuple(m.cancelled for m in messages(boss))}
        assert set(audiences) == {"no"}
    assert not any(alive(sandbox).values())
    assert planned.checkpoints.verify().problem is None


def test_a_move_moves_all_messages(planned: Workspace, folder: Path, sandbox: Sandbox) -> None:
    run(folder)
    with open_workspace(folder, user=APPROVER) as boss:
        moved = boss.sends.reschedule(NAME, "20:15")
        there = messages(boss)
        assert len({m.send_at for m in there}) == 1
        assert moved.moved == sum(m.recipients for m in there)
        assert moved.send_at == there[0].send_at
    assert {count for users in alive(sandbox).values() for count in users.values()} == {1}


def test_a_dry_run_tells_each_message_and_sends_none(planned: Workspace, folder: Path, sandbox: Sandbox) -> None:
    (told,) = run(folder, dry_run=True).campaigns
    assert told.closes()
    assert told.pending == told.planned == sum(m.recipients for m in told.messages)
    assert not requests(folder) if (folder.parent / "sandbox.jsonl").exists() else True
    assert not messages(planned)


def test_what_was_frozen_is_sent_by_another_run(planned: Workspace, folder: Path, sandbox: Sandbox) -> None:
    (frozen,) = run(folder, sends=False).campaigns
    assert (frozen.accepted, frozen.pending) == (0, frozen.planned)
    (sent,) = run(folder).campaigns
    assert (sent.held, sent.accepted) == (None, frozen.planned)
    assert "We miss you" in (folder / "runs" / str(RUN_DATE) / "report.html").read_text()


def test_the_next_days_tell_what_arrived_and_was_counted_by_message(
    planned: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (told,) = run(folder).campaigns
    later = datetime(2026, 11, 27, 12, tzinfo=UTC)
    sandbox.move_clock(to=later)
    monkeypatch.setenv("OPTINB_NOW", later.isoformat())
    with open_workspace(folder, user=AUTHOR) as ws:
        confirmed = ws.confirming.confirm(minutes=5)
        assert confirmed.problems == ()
        accepted = {(m.template, m.variant): m.counts.accepted for m in told.messages}
        titles = {f"{NAME} ({m.template}, variant {m.variant})" for m in told.messages}
        assert {night.title for night in confirmed.nights} == titles
        for night in confirmed.nights:
            assert night.counts is not None
            assert night.counts.recipients == accepted[night.template, night.variant]
            assert night.counts.confirmed == night.counts.recipients
        shown = text_of(show.html(confirmed))
        assert all(title in show.text(confirmed) and title in shown for title in titles)
        assert ws.reach_figures.read().problems == ()
        figures = ws.reach_figures.of(NAME)
        assert {(n.template, n.variant): n.accepted for n in figures.nights} == accepted
        assert all(n.total("unique_recipients") == n.accepted for n in figures.nights)
        assert in_one_line(figures).accepted == told.planned
        (line,) = ws.reach_figures.lately()
        assert line == figures
        assert all(f", {m.template}, variant {m.variant}" in show.text(figures) for m in told.messages)
        assert set(ws.contacts.table().filter(pl.col("campaign") == NAME)["outcome"]) >= {"received", "in_control"}
        assert set(ws.contacts.rows(messages(ws)[0]).filter(pl.col("role") == "control")["status"]) == {"confirmed"}
    assert planned.checkpoints.verify().problem is None


def everybody_once(ws: Workspace, folder: Path) -> tuple[int, int]:
    """How many messages of the night were accepted, and of how many nobody knows; nobody got one twice."""
    taken = Counter(
        (line["campaign_id"], r["external_user_id"]) for line in requests(folder) for r in line["recipients"]
    )
    assert set(taken.values()) == {1}
    certain, doubtful = set[tuple[str, str]](), set[tuple[str, str]]()
    for message in messages(ws):
        users = rows(ws, message).filter(pl.col("outcome") == "recipient")["external_user_id"]
        assert len(users) == message.recipients
        for batch in ws.store.deliveries.batches(*message.night):
            mine = {(message.template_id, user) for user in users[batch.first : batch.first + batch.size]}
            assert isinstance(batch.state, Accepted | Unknown)
            (certain if isinstance(batch.state, Accepted) else doubtful).update(mine)
    assert certain <= set(taken) <= certain | doubtful
    return len(certain), len(doubtful)


def put_back(folder: Path, copy: bytes) -> None:
    for file in folder.glob("state.sqlite*"):
        file.unlink()
    (folder / "state.sqlite").write_bytes(copy)


def test_half_a_night_that_was_put_back_goes_on_once_it_is_approved_and_only_to_phones_that_still_take_it(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    ws.campaigns.submit(BOTH)
    approve(folder)
    ws.close()
    evening = (folder / "state.sqlite").read_bytes()
    sandbox.set_faults([Fault("status", endpoint=CREATE, nth=tuple(range(2, 200)), status=401)])
    (stopped,) = run(folder).campaigns
    assert stopped.accepted > 0 < stopped.pending
    put_back(folder, evening)
    sandbox.set_faults([])
    with open_workspace(folder, user=APPROVER) as boss:
        done = boss.recover()
        assert (done.problems, len(done.nights)) == ((), 4)
        assert boss.campaigns.get(NAME).state == "held"
        of_ios, of_android = (rows(boss, m).filter(pl.col("outcome") == "recipient") for m in messages(boss)[2:])
        both = of_android.join(of_ios, on="customer_id", how="semi")["customer_id"][0]
    (told,) = run(folder).campaigns
    assert told.held and told.pending == stopped.pending
    approve(folder)
    # somebody turned the messages of one of their phones off since
    delivered = folder / "inbox" / str(RUN_DATE) / "app_users.csv"
    before = delivered.read_text(encoding="utf-8")
    assert f"{both},shop-android,true" in before
    delivered.write_text(before.replace(f"{both},shop-android,true", f"{both},shop-android,false"), encoding="utf-8")
    (told,) = run(folder).campaigns
    assert "1 of the recipients that were frozen may not be written to by tonight's data (who " in (told.held or "")
    assert told.accepted == stopped.accepted
    delivered.write_text(before, encoding="utf-8")
    (sent,) = run(folder).campaigns
    assert (sent.held, sent.accepted, sent.pending) == (None, stopped.planned, 0)
    with open_workspace(folder, user=AUTHOR) as after:
        assert everybody_once(after, folder) == (stopped.planned, 0)


def test_what_fails_for_one_message_keeps_no_other_from_being_sent(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    run(folder, sends=False)
    second = messages(planned)[1]
    file = folder / second.path
    whole = file.read_bytes()
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences):
        step()
    file.write_bytes(whole[:-1] + b"?")
    night._tonight._looked_at |= {plan_of(message) for message in messages(planned)}
    night.sends()
    summary = night.report()
    night.close()
    (told,) = summary.campaigns
    assert summary.exit_code == Exit.FAILED
    assert any("was changed since it was planned" in problem for problem in summary.problems)
    assert (told.pending, told.accepted) == (second.recipients, told.planned - second.recipients)
    file.write_bytes(whole)
    (sent,) = run(folder).campaigns
    assert (sent.accepted, sent.pending) == (sent.planned, 0)
    assert everybody_once(planned, folder) == (sent.planned, 0)


def test_a_move_that_ended_half_way_is_ended_by_asking_again(
    planned: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder)
    real, left = Sends._move, [2]

    def dying(*args: Any) -> Any:
        if not left[0]:
            raise StateError("the power went off")
        left[0] -= 1
        return real(*args)

    with open_workspace(folder, user=APPROVER) as boss:
        with monkeypatch.context() as patched, pytest.raises(StateError, match="power"):
            patched.setattr(Sends, "_move", dying)
            boss.sends.reschedule(NAME, "20:15")
        there = messages(boss)
        assert len({m.send_at for m in there}) == 2
        moved = boss.sends.reschedule(NAME, "20:15")
        assert moved.moved == sum(m.recipients for m in there[2:])
        assert {m.send_at for m in messages(boss)} == {there[0].send_at}
        with pytest.raises(CampaignError, match="only be moved to a later time"):
            boss.sends.reschedule(NAME, "20:15")
    times = {d.plans[-1].at for d in sandbox.world.dispatches if d.plans[-1].until is None}
    assert times == {there[0].send_at}


@pytest.mark.chaos
def test_killed_anywhere_in_the_whole_night_each_message_reaches_everybody_once(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    rng, fork = random.Random(SEED), multiprocessing.get_context("forkserver")
    settings = folder / "optinb.toml"
    text = settings.read_text(encoding="utf-8").replace("# window_batches = 40 ", "window_batches = 2 ")
    settings.write_text(text.replace("# concurrency = 8 ", "concurrency = 1 "), encoding="utf-8")
    sandbox.set_faults([Fault("delay", endpoint=CREATE, share=1.0, delay_s=0.1)])
    environment = {name: value for name, value in os.environ.items() if name.startswith("OPTINB_")}
    kills, wanted = 0, max(3, round(RUNS / 20))
    for number in range(wanted + 20):
        child = fork.Process(target=night_child.run, args=(str(folder), RUN_DATE, SCHEDULER, environment))
        child.start()
        if number < wanted:
            if number % 3:  # among the requests, whose first ends the planning
                until = sandbox.requests[CREATE] + rng.randint(0, 3)
                while child.is_alive() and sandbox.requests[CREATE] <= until:
                    child.join(0.01)
            else:
                child.join(rng.uniform(0.0, USUAL_S))
            child.kill()
        child.join()
        kills += child.exitcode == -signal.SIGKILL
        with closing(sqlite3.connect(folder / "state.sqlite")) as state, state:
            state.execute("UPDATE leases SET expires_at = NULL")  # those of whoever is dead, which end by themselves
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    accepted, unknown = everybody_once(planned, folder)
    assert kills > 0
    assert 0 <= unknown <= kills * 2 * 50
    assert accepted + unknown == sum(m.recipients for m in messages(planned)) > 200
    assert planned.checkpoints.verify().problem is None
