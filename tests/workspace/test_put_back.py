"""Yesterday's database put back after a night: noticed before anything is done, and brought up to date."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from optinb import nightly, open_workspace
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit, StateError
from optinb.nightly import Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

PHONES = {"ios": "iOS", "android": "Android"}
SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)
SEVERAL = {
    **{name: value for name, value in CAMPAIGNS[0].items() if name != "template"},
    "variants": [
        {"name": "Sale", "templates": {p: f"Optimove_SummerSale_{t}" for p, t in PHONES.items()}},
        {"name": "We miss you", "templates": {p: f"Optimove_WinBack_{t}" for p, t in PHONES.items()}},
    ],
}
"""The first campaign with two variants, each with a template for either phone."""
LATE = {**CAMPAIGNS[0], "name": "Planned after the copy"}


def plan(folder: Path, *campaigns: dict) -> None:
    with open_workspace(folder, user=AUTHOR) as author:
        for campaign in campaigns:
            author.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        for campaign in campaigns:
            approver.campaigns.approve(campaign["name"], seen=approver.campaigns.preview(campaign["name"]))


def run(folder: Path) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        night.import_delivery()
        night.model()
        night.templates()
        night.audiences()
        night.sends()
        return night.report()
    finally:
        night.close()


def copied(folder: Path, name: str) -> Path:
    """The database's file as it is while nobody has it open."""
    copy = folder.parent / name
    shutil.copy(folder / "state.sqlite", copy)
    assert not list(folder.glob("state.sqlite-*"))
    return copy


def put_back(folder: Path, copy: Path) -> None:
    for file in folder.glob("state.sqlite*"):
        file.unlink()
    shutil.copy(copy, folder / "state.sqlite")


def taken(folder: Path) -> Counter[str]:
    lines = map(json.loads, (folder.parent / "sandbox.jsonl").read_text().splitlines())
    creates = [line for line in lines if line["endpoint"].endswith("schedule/create")]
    return Counter(f"{line['campaign_id']}/{r['external_user_id']}" for line in creates for r in line["recipients"])


def optinb(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command of the scheduler; only an approver recovers."""
    user = APPROVER if arguments[0] == "recover" else SCHEDULER
    called = [*arguments, "--workspace", str(folder)]
    result = CliRunner().invoke(main, called, env={"OPTINB_USER": user}, catch_exceptions=False)
    return result.exit_code, result.output


@pytest.fixture
def evening(ws: Workspace, folder: Path, request: pytest.FixtureRequest) -> Path:
    """The database of the evening, with two approved campaigns; a test may ask for another one as the first."""
    ws.close()
    plan(folder, getattr(request, "param", CAMPAIGNS[0]), CAMPAIGNS[1])
    return copied(folder, "evening")


beside_several_messages = pytest.mark.parametrize("evening", [SEVERAL], indirect=True, ids=["several messages"])
"""One campaign of the night has several messages, and the other one has one."""


@beside_several_messages
def test_every_act_on_the_database_of_the_evening_before_is_refused_until_it_is_recovered(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    first = run(folder)
    sent = taken(folder)
    assert first.exit_code == Exit.DONE and len(sent) > 200
    put_back(folder, evening)
    acts = (
        ("campaigns", "cancel", SUMMER),
        ("campaigns", "reschedule", SUMMER, "--at", "20:00"),
        ("reconcile",),
        ("forget", "c00001", "--yes"),
    )
    for act in acts:
        code, said = optinb(folder, *act)
        assert (code, "was put back to an earlier state" in said, "`optinb recover`" in said) == (1, True, True), said
    with pytest.raises(StateError, match="was put back to an earlier state"):
        run(folder)
    with pytest.raises(StateError, match="was put back to an earlier state"):
        nightly.begin(RUN_DATE.isoformat(), str(folder))
    code, said = optinb(folder, "audit", "verify")
    assert code == 1 and "optinb recover" in said
    assert taken(folder) == sent

    code, told = optinb(folder, "recover", "--dry-run")
    assert code == 0 and "nothing is changed" in told
    code, done = optinb(folder, "recover")
    assert code == 0 and told.splitlines()[1:] == done.splitlines()[1:]
    assert SUMMER in done and CLUB in done and "accepted" in done
    code, again = optinb(folder, "recover")
    assert (code, "there is nothing to recover" in again) == (0, True)
    code, said = optinb(folder, "audit", "verify")
    assert code == 0 and "recovered a database that had been put back" in said

    second = run(folder)
    assert second.exit_code == Exit.DONE
    assert taken(folder) == sent and max(sent.values()) == 1
    assert [replace(c, held=None) for c in second.campaigns] == [replace(c, held=None) for c in first.campaigns]
    assert all(c.closes() and c.pending == 0 for c in second.campaigns)
    code, said = optinb(folder, "campaigns", "cancel", SUMMER)
    accepted = next(c.accepted for c in first.campaigns if c.name == SUMMER)
    assert code == 0 and f"{accepted:,} were recalled" in said
    assert optinb(folder, "audit", "verify")[0] == 0


@pytest.mark.parametrize("step", ["cancel", "pause", "submit"])
def test_what_was_stopped_after_the_copy_is_not_sent_by_it(folder: Path, evening: Path, step: str) -> None:
    with open_workspace(folder, user=AUTHOR) as author:
        if step == "submit":
            author.campaigns.submit({**CAMPAIGNS[0], "priority": 60})
        else:
            getattr(author.campaigns, step)(SUMMER)
    after = copied(folder, "after")
    put_back(folder, evening)
    told = rf"was put back to an earlier state.* by the note of the last decision \({step} '{SUMMER}' by {AUTHOR}\)"
    with pytest.raises(StateError, match=told):
        run(folder)
    assert not (folder.parent / "sandbox.jsonl").exists() or not taken(folder)
    code, said = optinb(folder, "recover", "--dry-run")
    assert code == 0 and "by the note of the last decision" in said
    put_back(folder, after)
    assert {c.name for c in run(folder).campaigns if c.accepted} == {CLUB}


def test_a_decision_stands_where_its_note_can_not_be_written(
    folder: Path, evening: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(folder / "runs")
    (folder / "runs").write_text("no folder")
    with open_workspace(folder, user=AUTHOR) as author:
        author.campaigns.pause(SUMMER)
        assert author.campaigns.get(SUMMER).state == "paused"
    assert "a decision isn't noted outside the database" in caplog.text


def test_a_campaign_that_the_database_has_forgotten_can_be_recalled_by_its_name(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    plan(folder, LATE)
    summary = run(folder)
    accepted = {c.name: c.accepted for c in summary.campaigns}
    assert accepted[LATE["name"]] > 100
    put_back(folder, evening)
    code, said = optinb(folder, "recover")
    assert code == 0 and f"plan and approve again what is to go on: {LATE['name']!r}" in said
    code, said = optinb(folder, "campaigns", "cancel", LATE["name"])
    assert code == 0 and f"{accepted[LATE['name']]:,} were recalled" in said


def test_a_database_that_was_not_put_back_is_left_alone(folder: Path, evening: Path) -> None:
    run(folder)
    night = copied(folder, "night")
    put_back(folder, night)
    run(folder)
    with open_workspace(folder, user=APPROVER) as ws:
        entries = ws.store.audit.list()
        assert ws.recover().nights == ()
        assert ws.store.audit.list() == entries


def test_missing_and_damaged_files_of_answers_are_told_and_stop_nothing(folder: Path, evening: Path) -> None:
    run(folder)
    one, other = sorted((folder / "audiences").glob("*/*.answers.jsonl"))
    one.unlink()
    lines = other.read_bytes().splitlines(keepends=True)
    other.write_bytes(b"".join([*lines[:-1], b"{damaged\n", lines[-1]]))
    summary = run(folder)
    assert summary.exit_code == Exit.DONE
    told = [warning for warning in summary.warnings if "file of answers" in warning]
    assert len(told) == 2 and any("has no file" in w for w in told) and any("a damaged file" in w for w in told)


@beside_several_messages
def test_a_damaged_file_leaves_unknown_what_it_can_not_tell(folder: Path, evening: Path) -> None:
    first = run(folder)
    sent = taken(folder)
    for file in (folder / "audiences").glob("*/*.answers.jsonl"):
        plan_line, *_ = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(plan_line + b"{damaged\n")
    put_back(folder, evening)
    assert optinb(folder, "recover")[0] == 0
    second = run(folder)
    assert taken(folder) == sent
    assert [c.unknown for c in second.campaigns] == [c.planned for c in first.campaigns]


@beside_several_messages
def test_a_night_that_left_no_file_of_answers_is_unknown_by_its_summary_and_not_sent_again(
    folder: Path, evening: Path
) -> None:
    first = run(folder)
    sent = taken(folder)
    for file in (folder / "audiences").glob("*/*.answers.jsonl"):
        file.unlink()
    put_back(folder, evening)
    with pytest.raises(StateError, match="was put back to an earlier state"):
        run(folder)
    code, said = optinb(folder, "recover")
    assert code == 0 and "it isn't in the database, and has no file of answers" in said
    second = run(folder)
    assert taken(folder) == sent
    assert [(c.unknown, c.recipients) for c in second.campaigns] == [(c.planned, c.recipients) for c in first.campaigns]
    assert optinb(folder, "audit", "verify")[0] == 0


@beside_several_messages
def test_a_night_that_ended_before_its_report_is_rebuilt_by_its_files_of_answers(folder: Path, evening: Path) -> None:
    run(folder)
    sent = taken(folder)
    (folder / "runs" / RUN_DATE.isoformat() / "summary.json").unlink()
    put_back(folder, evening)
    code, said = optinb(folder, "recover")
    assert code == 0 and "accepted" in said, said
    assert run(folder).exit_code == Exit.DONE
    assert taken(folder) == sent and max(sent.values()) == 1


def test_a_night_of_which_nothing_is_left_but_its_note_stays_refused(folder: Path, evening: Path) -> None:
    run(folder)
    sent = taken(folder)
    (folder / "runs" / RUN_DATE.isoformat() / "summary.json").unlink()
    for file in (folder / "audiences").rglob("*.answers.jsonl"):
        file.unlink()
    put_back(folder, evening)
    for _ in range(2):
        code, said = optinb(folder, "recover")
        assert code == 1 and "don't run that night again" in said
        with pytest.raises(StateError, match="was put back to an earlier state"):
            run(folder)
    assert taken(folder) == sent and max(sent.values()) == 1


def test_who_may_not_write_to_the_notes_of_nights_is_told_before_anything_is_recovered(
    folder: Path, evening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder)
    put_back(folder, evening)
    with monkeypatch.context() as patched:
        refusing = SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK, X_OK=os.X_OK)
        patched.setattr("optinb.delivery.recovery.os", refusing)
        code, said = optinb(folder, "recover")
    assert code != 0 and "give this login the right to write to runs/" in said
    assert "journal recovered" not in optinb(folder, "audit", "list")[1]
    assert optinb(folder, "recover")[0] == 0
