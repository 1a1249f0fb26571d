"""Whole nights over HTTP after somebody changed the database by SQL, or cut or rewrote the audit trail.

With signing keys nothing that wasn't approved goes out; without them, what the trail or the notes of the nights
contradict doesn't either. Every case also shows a campaign that nobody touched, which goes out.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace
from stated_templates import state_any_time

import optinb
from optinb.base.clock import SANDBOX
from optinb.campaigns import CampaignRecord, SizeBand, new_key
from optinb.delivery import cut as requests_of
from optinb.delivery import freeze
from optinb.delivery.journal import Cancelled, Store
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, KEYS, RUN_DATE, SCHEDULER
from optinb.errors import ApprovalError, CampaignError, StateError
from optinb.night import Night
from optinb.sandbox import Sandbox, demo_world
from optinb.store.audit import digest

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.measure import NightSummary
    from optinb.store import HeldLease

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)
KEY, OTHER_KEY = new_key(), new_key()
START = datetime(2026, 11, 23, 1, tzinfo=UTC)
LATER = START + timedelta(minutes=1)


@pytest.fixture(scope="module", params=[False, True], ids=["without keys", "with keys"])
def prepared(
    request: pytest.FixtureRequest, modelled: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bool]:
    """A workspace with two approved campaigns, and the note of a night before."""
    root = tmp_path_factory.mktemp("approved") / "ws"
    shutil.copytree(modelled, root)
    settings = root / "optinb.toml"
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), now=START) as sandbox:
        given = {**KEYS, "OPTINB_NOW": START.isoformat(), "OPTINB_SIGNING_KEY": KEY.private, SANDBOX: sandbox.url}
        for variable, value in given.items():
            patch.setenv(variable, value)
        text = settings.read_text()
        keys = f'\n[policy.keys]\n"{APPROVER}" = "{KEY.public}"\n"{AUTHOR}" = "{OTHER_KEY.public}"\n'
        text = text.replace(f'["{APPROVER}"]', f'["{APPROVER}", "{AUTHOR}"]') + keys * request.param
        settings.write_text(text)
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            ws.templates.sync()
            state_any_time(ws)
            for campaign in CAMPAIGNS:
                ws.campaigns.submit(campaign)
        with optinb.open_workspace(root, user=APPROVER) as boss:
            for name in (SUMMER, CLUB):
                boss.campaigns.approve(name, seen=boss.campaigns.preview(name))
            note(boss)
    return root, request.param


@pytest.fixture
def root(prepared: tuple[Path, bool], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "prepared"
    shutil.copytree(prepared[0], root)
    monkeypatch.setenv(SANDBOX, sandbox.url)  # the address that was approved stays
    return root


def note(ws: optinb.Workspace) -> None:
    before = ws.root / "runs" / "2026-11-22"
    before.mkdir(parents=True, exist_ok=True)
    ws.checkpoints.note_head(before)


def by_hand(root: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
    with closing(sqlite3.connect(root / "state.sqlite")) as con:
        for statement in statements:
            con.execute(statement, values)
        con.commit()


def rewritten(root: Path, change: Callable[[dict[str, Any]], None] = lambda _entry: None) -> None:
    """The whole trail written anew, so that it's a whole chain again."""
    with optinb.open_workspace(root, user="eve") as ws, closing(sqlite3.connect(root / "state.sqlite")) as con:
        head = "0" * 64
        for entry in reversed(ws.store.audit.list()):
            raw = msgspec.to_builtins(entry)
            change(raw)
            entry = msgspec.convert({**raw, "previous": head}, type(entry))
            head = digest(entry)
            text = msgspec.json.encode(entry.detail, order="sorted").decode()
            values = (entry.who, text, entry.previous, head, entry.seq)
            con.execute("update audit_entries set who = ?, detail = ?, previous = ?, hash = ? where seq = ?", values)
        con.commit()


def record_of(root: Path, change: Callable[[CampaignRecord], CampaignRecord], *, name: str = SUMMER) -> None:
    """Changes what is stored of a campaign at last."""
    with closing(sqlite3.connect(root / "state.sqlite")) as con:
        query = "select version, record from campaign_versions where name = ? order by version desc"
        version, text = con.execute(query, (name,)).fetchone()
        changed = change(msgspec.json.decode(text, type=CampaignRecord))
        values = (msgspec.json.encode(changed, order="sorted").decode(), changed.state, name, version)
        con.execute("update campaign_versions set record = ?, state = ? where name = ? and version = ?", values)
        con.commit()


def run(root: Path, between: Callable[[Path], None] = lambda _root: None) -> NightSummary:
    """A night, between whose freezing and sending somebody may do something."""
    night = Night(optinb.open_workspace(root, user=SCHEDULER), RUN_DATE)
    try:
        night.templates()
        night.audiences()
        between(root)
        night.sends()
        return night.report()
    finally:
        night.close()


def sent(root: Path) -> dict[str, list[str]]:
    """Who got which template, by what arrived at Appboy."""
    file, found = root.parent / "sandbox.jsonl", {}
    for line in map(json.loads, file.read_text().splitlines() if file.exists() else ()):
        if line["endpoint"].endswith("schedule/create"):
            found.setdefault(line["campaign_id"], []).extend(r["external_user_id"] for r in line["recipients"])
    return found


def template_of(root: Path, name: str) -> str:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        campaign = ws.campaigns.get(name).campaign
        return ws.templates.get(campaign.app_group, campaign.template).id


def only_club(root: Path, summary: NightSummary, why: str) -> None:
    """What was changed is held with its reason, and the other campaign goes to each of its recipients once."""
    summer, club = (next(c for c in summary.campaigns if c.name == name) for name in (SUMMER, CLUB))
    assert re.search(why, f"{summer.held} {summary.problems}")
    assert (summer.accepted, club.held, club.accepted) == (0, None, club.recipients)
    (people,) = sent(root).values()
    assert list(sent(root)) == [template_of(root, CLUB)]
    assert len(set(people)) == len(people) == club.recipients > 0


def nothing(root: Path, summary: NightSummary, why: str) -> None:
    assert sent(root) == {}
    assert any(why in problem for problem in summary.problems), summary.problems
    assert summary.exit_code == 1


def test_a_night_whose_database_nobody_touched_sends_both(root: Path) -> None:
    summary = run(root)
    assert (summary.exit_code, summary.problems) == (0, ())
    assert set(sent(root)) == {template_of(root, SUMMER), template_of(root, CLUB)}
    with optinb.open_workspace(root, user=SCHEDULER) as ws:
        assert ws.checkpoints.verify().problem is None


def revive(root: Path) -> None:
    """Cancels a campaign, and puts the record with its signed approval in the place of the cancelled one."""
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        signed = ws.campaigns.get(SUMMER)
        ws.campaigns.cancel(SUMMER)
    record_of(root, lambda cancelled: replace(signed, version=cancelled.version))


def drop_the_last(root: Path) -> None:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.campaigns.cancel(SUMMER)
    by_hand(root, "delete from campaign_versions where name = ? and state = 'cancelled'", values=(SUMMER,))


def copy_under_another_id(root: Path) -> None:
    """A second campaign out of the approved version of one that was cancelled."""
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.campaigns.cancel(SUMMER)
    by_hand(root, f"update campaign_versions set id = 'x' where name = '{SUMMER}' and state = 'approved'")


def wider(record: CampaignRecord) -> CampaignRecord:
    """Approved for any size."""
    assert record.approval is not None
    return replace(record, approval=replace(record.approval, band=SizeBand(0, 9**9), signature=None))


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a cancelled campaign revived": (revive, "isn't in it"),
    "the version of its cancelling dropped": (drop_the_last, "isn't in it"),
    "its approved version under another id": (copy_under_another_id, "isn't in it"),
    "its author": (lambda root: record_of(root, lambda r: replace(r, author="eve")), "eve"),
    "its state": (lambda root: record_of(root, lambda r: replace(r, state="running")), "made it approved, not running"),
    "its submission": (lambda root: record_of(root, lambda r: replace(r, submission=7)), "another submission"),
    "its content": (
        lambda root: record_of(root, lambda r: replace(r, campaign=replace(r.campaign, control=0.5))),
        "control share",
    ),
    "what a fingerprint leaves out": (
        lambda root: record_of(root, lambda r: replace(r, campaign=replace(r.campaign, notes="x"))),
        "isn't what 'approve'",
    ),
    "the rule of its group": (
        lambda root: by_hand(
            root,
            "update group_versions set rule_json = (select rule_json from group_versions where name = 'Club regulars')"
            " where name = 'Lapsed buyers'",
        ),
        "rule of the target group",
    ),
    "its approval's band": (lambda root: record_of(root, wider), "'approve' by|doesn't bear the signature"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_campaign_that_was_changed_by_hand_is_not_sent_and_the_audit_names_it(root: Path, change: str) -> None:
    apply, why = CHANGES[change]
    apply(root)
    with optinb.open_workspace(root, user=SCHEDULER) as ws:
        if change != "the rule of its group":  # approved with its rule, which differs
            with pytest.raises(StateError, match="tampered with"):
                ws.checkpoints.verify()
    only_club(root, run(root), why)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("audiences set template_id = ?", "app group and template that were approved"),
        ("audiences set send_at = '2026-11-23 05:00:00.000000', clock = clock where ? <> ''", "send time"),
        ("batches set first = 0 where ? <> ''", "recipients of each request"),
    ],
    ids=["template", "send time", "requests"],
)
def test_what_was_changed_between_freezing_and_sending_is_not_sent(root: Path, statement: str, why: str) -> None:
    another, mine = (
        template_of(root, CLUB),
        "campaign_id in (select campaign_id from audiences where campaign_name = ?)",
    )
    where = f" {'and' if 'where' in statement else 'where'} {mine}"
    only_club(root, run(root, lambda r: by_hand(r, f"update {statement}{where}", values=(another, SUMMER))), why)


def test_another_template_in_an_audience_whose_trail_was_written_anew_too_is_found_by_the_note_of_the_freezing(
    root: Path,
) -> None:
    another = template_of(root, CLUB)

    def forge(r: Path) -> None:
        by_hand(r, "update audiences set template_id = ? where campaign_name = ?", values=(another, SUMMER))

        def change(entry: dict[str, Any]) -> None:
            if entry["action"] == "delivery planned" and entry["subject"] == SUMMER:
                entry["detail"]["template_id"] = another

        rewritten(r, change)

    nothing(root, run(root, forge), "is another than it was, by the note of the night 2026-11-23")


def cut(root: Path) -> None:
    """Takes a cancellation back by cutting it off the trail, with its version."""
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.campaigns.cancel(SUMMER)
        note(ws)
    drop = "delete from audit_entries where action = 'campaign cancel'"
    by_hand(root, drop, "delete from campaign_versions where state = 'cancelled'")


def write_anew(root: Path) -> None:
    """Somebody else becomes the author, in the record and in a trail that is whole."""

    def change(entry: dict[str, Any]) -> None:
        if entry["action"] == "campaign submit":
            entry["who"] = "eve"
        if entry["detail"].get("record"):
            entry["detail"]["record"]["author"] = "eve"

    for name in (SUMMER, CLUB):
        record_of(root, lambda r: replace(r, author="eve"), name=name)
    rewritten(root, change)


@pytest.mark.parametrize(
    ("change", "why"), [(cut, "is missing: the end was cut off|is another"), (write_anew, "is another than it was")]
)
def test_by_a_trail_that_was_cut_or_written_anew_nothing_is_planned_sent_or_approved(
    root: Path, change: Callable[[Path], None], why: str
) -> None:
    change(root)
    with optinb.open_workspace(root, user=SCHEDULER) as ws, pytest.raises(StateError, match=why):
        ws.checkpoints.verify()
    with pytest.raises(StateError, match="by the note of the night 2026-11-22"):
        run(root)
    assert not (root / "audiences").exists() and not sent(root)
    with optinb.open_workspace(root, user=APPROVER) as boss, pytest.raises(ApprovalError, match="tampered"):
        boss.campaigns.approve(CLUB, seen=boss.campaigns.preview(CLUB))
    with pytest.raises(StateError, match="by the note of the night 2026-11-22"):
        run(root)


@pytest.mark.parametrize("column", ["at", "who", "action", "subject", "detail", "previous", "hash", "seq"])
def test_an_entry_of_the_trail_that_was_changed_in_any_column_is_found(root: Path, column: str) -> None:
    value = {"seq": "99", "at": "'2020-01-01 00:00:00.000000'", "detail": "'{}'"}.get(column, "'eve'")
    by_hand(
        root, f"update audit_entries set {column} = {value} where action = 'campaign approve' and subject = '{CLUB}'"
    )
    with optinb.open_workspace(root, user=SCHEDULER) as ws, pytest.raises(StateError, match="tampered with: entry"):
        ws.checkpoints.verify()
    if column == "who":  # one of them through a whole night
        nothing(root, run(root), "was changed after it was written")


def test_a_template_that_was_changed_by_hand_is_read_anew_and_what_was_approved_goes_out(root: Path) -> None:
    by_hand(root, """update templates set body = replace(body, '"alert":"', '"alert":"Forged ')""")
    summary = run(root)
    assert [c.held for c in summary.campaigns] == [None, None]
    assert set(sent(root)) == {template_of(root, SUMMER), template_of(root, CLUB)}
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        template = ws.templates.get("Shop", template_of(root, SUMMER))
        assert not any("Forged" in message.alert for message in template.messages)


def test_an_author_does_not_approve_by_writing_somebody_else_into_the_record(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTINB_SIGNING_KEY", OTHER_KEY.private)
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.campaigns.submit({**CAMPAIGNS[0], "control": 0.3})
        record_of(root, lambda r: replace(r, author="ann"))
        with pytest.raises(ApprovalError, match=f"was submitted by '{AUTHOR}', and its record says 'ann'"):
            ws.campaigns.approve(SUMMER, seen=ws.campaigns.preview(SUMMER))


Adding = Callable[["Store", "Path", "FrozenAudience", "FrozenAudience"], None]


def plan_anew(store: Store, _root: Path, summer: FrozenAudience, club: FrozenAudience) -> None:
    """Stops a plan, and plans another campaign's list in its place."""
    now = replace(summer, path=club.path, sha256=club.sha256, recipients=club.recipients, planned_at=LATER)
    store.deliveries.cancel(*summer.night, reason="x", user=APPROVER, now=LATER)
    batches = requests_of(club.recipients, campaign_id=summer.campaign_id, run_date=RUN_DATE)
    store.deliveries.plan(now, batches, user=SCHEDULER, now=LATER)


def seal_another_list(store: Store, _root: Path, summer: FrozenAudience, club: FrozenAudience) -> None:
    store.seals.renew(summer, path=club.path, sha256=club.sha256, renamed={}, why="x", user=SCHEDULER, now=LATER)


def seal_another_text(store: Store, root: Path, summer: FrozenAudience, _club: FrozenAudience) -> None:
    rows = pl.read_parquet(root / summer.path)
    forged = pl.when(pl.col("properties").is_not_null()).then(pl.lit('{"product":"Forged"}')).alias("properties")
    file = freeze(rows.with_columns(forged), folder=(root / summer.path).parent, stem="forged")
    path = file.path.relative_to(root).as_posix()
    store.seals.renew(summer, path=path, sha256=file.sha256, renamed={}, why="x", user=SCHEDULER, now=LATER)


def moved_by(user: str) -> Adding:
    def move(store: Store, _root: Path, summer: FrozenAudience, _club: FrozenAudience) -> None:
        at = summer.send_at + timedelta(hours=4)
        store.deliveries.reschedule(*summer.night, send_at=at, user=user, now=LATER)

    return move


def forging(add: Adding) -> Callable[[Path], None]:
    """Adds entries and rows by the database alone, without a line in the files of answers."""

    def forge(root: Path) -> None:
        with Store.open(root / "state.sqlite") as store:
            of = {audience.campaign_name: audience for audience in store.deliveries.list(run_date=RUN_DATE)}
            add(store, root, of[SUMMER], of[CLUB])

    return forge


@pytest.mark.parametrize(
    ("add", "why"),
    [
        (plan_anew, "of the recipients that were frozen may not be written to by tonight's data"),
        (seal_another_list, "of the recipients that were frozen may not be written to by tonight's data"),
        (seal_another_text, "of the recipients that were frozen aren't those of the approved rule and properties"),
        (moved_by("eve"), "'eve' may not move campaigns"),
        (moved_by(AUTHOR), f"'{AUTHOR}' submitted '{SUMMER}' and can't move it"),
    ],
    ids=["planned", "another list", "another text", "moved by nobody", "moved by its author"],
)
def test_entries_that_were_added_to_a_whole_trail_with_the_rows_that_they_tell_of_send_nothing(
    root: Path, add: Adding, why: str
) -> None:
    only_club(root, run(root, forging(add)), why)


def test_a_night_that_was_sent_and_is_planned_once_more_by_hand_is_not_sent_again(root: Path) -> None:
    run(root)
    before = sent(root)
    stopped = msgspec.json.encode(Cancelled(message="x")).decode()
    by_hand(root, "update audiences set cancelled = 'x'")
    by_hand(root, "update batches set state = 'cancelled', detail = ?", values=(stopped,))

    def plan(store: Store, _root: Path, summer: FrozenAudience, _club: FrozenAudience) -> None:
        again = replace(summer, planned_at=LATER, cancelled=None)
        batches = requests_of(summer.recipients, campaign_id=summer.campaign_id, run_date=RUN_DATE)
        assert store.deliveries.plan(again, batches, user=SCHEDULER, now=LATER) == again

    forging(plan)(root)
    with pytest.raises(StateError, match="requests of an earlier plan were made, and weren't recalled"):
        run(root)
    assert sent(root) == before != {}


def test_with_keys_only_a_move_that_its_approver_signed_moves_a_send(root: Path, prepared: tuple[Path, bool]) -> None:
    summary = run(root, forging(moved_by(APPROVER)))
    if prepared[1]:
        only_club(root, summary, "without their signature")
    else:  # nobody can tell, as the guide says
        assert [c.held for c in summary.campaigns] == [None, None]


def test_a_move_by_an_approver_goes_out_at_its_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def move(root: Path) -> None:
        monkeypatch.setenv("OPTINB_SIGNING_KEY", KEY.private)
        with optinb.open_workspace(root, user=APPROVER) as boss:
            assert boss.sends.reschedule(SUMMER, "20:15").to_come > 0

    summer = next(c for c in run(root, move).campaigns if c.name == SUMMER)
    assert (summer.held, summer.accepted, summer.send_at) == (
        None,
        summer.recipients,
        datetime(2026, 11, 23, 19, 15, tzinfo=UTC),
    )


def test_two_moves_at_once_go_out_at_the_later_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def move(root: Path) -> None:
        monkeypatch.setenv("OPTINB_SIGNING_KEY", KEY.private)
        with (
            optinb.open_workspace(root, user=APPROVER) as first,
            optinb.open_workspace(root, user=APPROVER) as second,
        ):
            hold = second.sends._hold  # pyright: ignore[reportPrivateUsage]

            def after_the_first(audience: FrozenAudience) -> HeldLease:
                first.sends.reschedule(SUMMER, "19:30")
                return hold(audience)

            monkeypatch.setattr(second.sends, "_hold", after_the_first)
            assert second.sends.reschedule(SUMMER, "20:15").to_come > 0

    summer = next(c for c in run(root, move).campaigns if c.name == SUMMER)
    assert (summer.held, summer.send_at) == (None, datetime(2026, 11, 23, 19, 15, tzinfo=UTC))


def test_a_note_of_more_entries_that_came_meanwhile_is_not_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        known = ws.store.audit.list(limit=1)
        ws.store.audit.note(who="ann", action="list saved", subject="A", now=ws.now())
        note(ws)
        newer = (root / "runs" / "2026-11-22" / "audit-head.json").read_bytes()
        monkeypatch.setattr(ws.store.audit, "list", lambda **_: known)
        note(ws)
    assert (root / "runs" / "2026-11-22" / "audit-head.json").read_bytes() == newer


def test_an_added_entry_of_a_recovery_does_not_make_a_rewritten_trail_trusted_but_a_recovery_is_told_beside_it(
    root: Path,
) -> None:
    note = root / "runs" / "2026-11-22" / "audit-head.json"
    lost = msgspec.json.decode(note.read_bytes())
    note.with_name("summary.json").write_text('{"campaigns": []}')
    write_anew(root)
    with Store.open(root / "state.sqlite") as store:
        store.audit.note(who=APPROVER, action="journal recovered", subject="the journal", now=LATER, lost=[lost])
    with pytest.raises(StateError, match="by the note of the night 2026-11-22"):
        run(root)
    with optinb.open_workspace(root, user=APPROVER) as boss:
        assert boss.recover().witnesses
    (kept,) = note.parent.glob("audit-head.given-up-*.json")
    assert msgspec.json.decode(kept.read_bytes()) == lost and not note.exists()
    with Store.open(root / "state.sqlite") as store, closing(sqlite3.connect(root / "state.sqlite")) as con:
        con.execute("update audit_entries set action = 'x' where action = 'journal recovered'")
        con.commit()
        assert store.audit.verify().problem
    rewritten(root)  # whoever hides the recovery in the trail still leaves the file
    for made in (root / "runs").glob("*/audit-head.json"):
        made.unlink()
    with optinb.open_workspace(root, user=SCHEDULER) as ws:
        told = ws.checkpoints.verify().breaks  # of the night, and of the last decision
    assert f"the note runs/2026-11-22/{kept.name} was given up, and the trail doesn't say so" in told


def test_nobody_approves_a_template_whose_text_was_changed_by_hand_until_it_is_imported_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTINB_SIGNING_KEY", KEY.private)
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.campaigns.submit({**CAMPAIGNS[0], "priority": 60})
    by_hand(root, """update templates set body = replace(body, '"alert":"', '"alert":"Harmless ')""")
    with optinb.open_workspace(root, user=APPROVER) as boss:
        for look in (boss.campaigns.preview, boss.campaigns.test_send, lambda name: approve(boss, name)):
            with pytest.raises(CampaignError, match="isn't what its last import from Appboy brought"):
                look(SUMMER)
        boss.templates.sync()  # Appboy hasn't edited it since, and it is read again all the same
        preview = boss.campaigns.preview(SUMMER)
        assert not any("Harmless" in message.alert for message in preview.messages[0].template.messages)
        boss.campaigns.approve(SUMMER, seen=preview)


def approve(ws: optinb.Workspace, name: str) -> None:
    ws.campaigns.approve(name, seen="whatever the preview of another machine said")
