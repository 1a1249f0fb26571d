"""Notes outside the database of how far its audit trail had come: what they notice, and what they leave alone."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from delivery_desk import NIGHT, NOW

from optinb.delivery.audit_checkpoint import (
    FILE_NAME,
    GIVEN_UP,
    RECOVERED,
    SUBJECT,
    AuditCheckpoint,
    AuditCheckpoints,
    nights_with_answers,
)
from optinb.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    from delivery_desk import Desk

    from optinb.campaigns import CampaignRecord

RECORD = cast("CampaignRecord", SimpleNamespace(campaign=SimpleNamespace(name="Summer")))


def entries(desk: Desk, count: int) -> None:
    for number in range(count):
        desk.store.audit.note(who="ann", action="looked", subject=f"{number}", now=NOW)


def checkpoints(desk: Desk) -> AuditCheckpoints:
    return AuditCheckpoints(cast("Any", SimpleNamespace(root=desk.root, user="ann")), desk.store)


def folder_of(desk: Desk, night: date | None = NIGHT) -> Path:
    folder = desk.root / "runs" / (night.isoformat() if night else "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def noted(folder: Path) -> AuditCheckpoint:
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=AuditCheckpoint)


def note(folder: Path, entries: int, head: str, **more: str) -> None:
    (folder / FILE_NAME).write_bytes(msgspec.json.encode(AuditCheckpoint(entries=entries, head=head, **more)))


def head(desk: Desk) -> tuple[int, str]:
    (newest,) = desk.store.audit.list(limit=1)
    return newest.seq, newest.hash


def test_a_night_notes_the_last_entry_and_a_decision_also_who_decided_what(desk: Desk) -> None:
    empty = folder_of(desk, NIGHT - timedelta(days=1))
    checkpoints(desk).note_head(empty)
    assert not (empty / FILE_NAME).exists(), "there is nothing to note"
    entries(desk, 3)
    checkpoints(desk).note_head(folder_of(desk))
    assert noted(folder_of(desk)) == AuditCheckpoint(entries=3, head=head(desk)[1])
    checkpoints(desk).note_decision(RECORD, "approved")
    decision = AuditCheckpoint(entries=3, head=head(desk)[1], decided="approved 'Summer' by ann")
    assert noted(folder_of(desk, None)) == decision
    assert checkpoints(desk).lost() == []
    entries(desk, 1)
    checkpoints(desk).note_decision(RECORD, "paused")
    assert noted(folder_of(desk, None)).entries == 4
    assert (checkpoints(desk).why_behind(), checkpoints(desk).why_distrusted()) == (None, None)
    checkpoints(desk).must_not_be_behind()


def test_the_first_decision_is_noted_before_any_night_and_one_that_can_not_be_stands_and_is_logged(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    entries(desk, 1)
    runs = desk.root / "runs"
    checkpoints(desk).note_decision(RECORD, "approved")
    assert noted(runs).entries == 1
    (runs / FILE_NAME).unlink()
    runs.rmdir()
    runs.write_text("in the way")
    checkpoints(desk).note_decision(RECORD, "approved")
    (line,) = caplog.records
    assert line.getMessage() == "a decision isn't noted outside the database"
    assert "runs" in line.__dict__["error"]


def test_a_note_that_knows_more_entries_stays_and_one_that_knows_as_many_is_made_anew(desk: Desk) -> None:
    entries(desk, 2)
    count, hashed = head(desk)
    folder = folder_of(desk)
    note(folder, count, hashed, decided="old")
    checkpoints(desk).note_head(folder)
    assert noted(folder).decided == ""
    # another has added and noted an entry between the look at the chain and this note
    chain = desk.store.audit.list
    desk.store.audit.list = lambda **given: chain(**given)[:1] if "limit" in given else chain(**given)
    before = head(desk)
    entries(desk, 1)
    checkpoints(desk).note_head(folder)
    later = noted(folder)
    assert later.entries == count + 1
    desk.store.audit.list = lambda **_given: tuple(e for e in chain() if e.seq == before[0])
    checkpoints(desk).note_head(folder)
    assert noted(folder) == later


@pytest.mark.parametrize(
    ("entries_noted", "hashed", "what"),
    [(9, "f" * 64, "entry 9 is missing: the end was cut off"), (2, "f" * 64, "entry 2 is another than it was")],
)
def test_a_note_that_the_trail_does_not_fit_is_told_by_whose_it_is_and_never_written_over(
    desk: Desk, entries_noted: int, hashed: str, what: str
) -> None:
    entries(desk, 3)
    note(folder_of(desk), entries_noted, hashed)
    ours = checkpoints(desk)
    (lost,) = ours.lost()
    assert (lost.night, lost.checkpoint.entries, lost.why) == (
        NIGHT,
        entries_noted,
        f"{what}, by the note of the night 2026-11-23",
    )
    assert ours.why_behind() == lost.why
    ours.note_head(folder_of(desk))
    ours.note_head(folder_of(desk, NIGHT + timedelta(days=1)))
    assert noted(folder_of(desk)).head == hashed
    assert not (folder_of(desk, NIGHT + timedelta(days=1)) / FILE_NAME).exists()
    with pytest.raises(StateError, match=what):
        ours.must_not_be_behind()
    told = ours.why_distrusted()
    assert told is not None
    assert told.startswith("the audit trail was tampered with, or its database was put back to an earlier state: entry")
    with pytest.raises(StateError, match="put back to an earlier state"):
        ours.verify()
    note(folder_of(desk, None), entries_noted, hashed, decided="approved 'Summer' by ann")
    assert [one.why for one in ours.lost()][1:] == [
        f"{what}, by the note of the last decision (approved 'Summer' by ann)"
    ]


def test_a_note_that_can_not_be_read_is_named(desk: Desk) -> None:
    file = folder_of(desk) / FILE_NAME
    file.write_text("{")
    with pytest.raises(StateError, match=f"{file} can't be read .*; restore it from a copy"):
        checkpoints(desk).lost()
    file.unlink()
    (desk.root / "runs" / "a copy").mkdir()
    note(desk.root / "runs" / "a copy", 1, "f" * 64)
    with pytest.raises(StateError, match="can't be read"):
        checkpoints(desk).why_behind()


def test_a_note_is_given_up_by_a_name_that_keeps_it_and_is_told_unless_the_trail_says_so(desk: Desk) -> None:
    entries(desk, 3)
    ours = checkpoints(desk)
    for night in (NIGHT, None):
        note(folder_of(desk, night), 9, "f" * 64 if night else "e" * 64)
        ours.give_up(night)
        assert not (folder_of(desk, night) / FILE_NAME).exists()
        (kept,) = folder_of(desk, night).glob(f"{GIVEN_UP}*.json")
        assert len(kept.name) == len(GIVEN_UP) + 12 + len(".json")
    assert ours.lost() == []
    untold = ours.verify().breaks
    assert len(untold) == 2
    assert all("was given up, and the trail doesn't say so" in text for text in untold)
    assert any(text.startswith(f"the note runs/2026-11-23/{GIVEN_UP}") for text in untold)
    lost = [{"night": NIGHT, "entries": 9, "head": "f" * 64}]
    desk.store.audit.note(who="boss", action=RECOVERED, subject=SUBJECT, now=NOW, lost=lost, nights=[])
    desk.store.audit.note(who="boss", action=RECOVERED, subject=SUBJECT, now=NOW, lost=[], nights=[])
    desk.store.audit.note(who="boss", action="looked", subject=SUBJECT, now=NOW, lost=lost)
    told, still = ours.verify().breaks
    assert told == (
        "on 2026-11-23 02:00 UTC boss recovered a database that had been put back: 1 notes of nights tell of entries "
        "that are lost"
    )
    assert still.startswith(f"the note runs/{GIVEN_UP}")


def test_only_the_note_that_knows_most_entries_is_looked_at_before_an_act(desk: Desk) -> None:
    entries(desk, 3)
    note(folder_of(desk), *head(desk))
    note(folder_of(desk, NIGHT - timedelta(days=1)), 2, "f" * 64)
    checkpoints(desk).must_not_be_behind()
    assert len(checkpoints(desk).lost()) == 1


def test_only_the_nights_of_the_week_before_the_newest_are_held_against_their_files_of_answers(desk: Desk) -> None:
    def behind(*days: int) -> list[int]:
        """Which of some nights were asked about, where the newest is of the last day."""
        asked: list[int] = []
        for file in desk.root.glob("audiences/*/*"):
            file.unlink()
        for day in days:
            file = desk.store.deliveries.answers.path("c", NIGHT + timedelta(days=day))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        desk.store.recovery.whys_behind = lambda campaign_id, run_date: asked.append((run_date - NIGHT).days) or {}
        checkpoints(desk).must_not_be_behind()
        return asked

    assert behind() == []
    assert behind(-8, -7, -6, 0) == [-7, -6, 0]
    entries(desk, 1)
    note(folder_of(desk, NIGHT - timedelta(days=2)), *head(desk))
    assert behind(-10, -9, -8, 0) == [-9, -8, 0], "the week before the night that noted last counts too"
    note(folder_of(desk, NIGHT + timedelta(days=2)), *head(desk))
    desk.store.recovery.whys_behind = lambda campaign_id, run_date: {campaign_id: "it has forgotten"}
    with pytest.raises(StateError, match="the night of 2026-11-23: it has forgotten"):
        checkpoints(desk).must_not_be_behind()


def test_files_that_somebody_copied_beside_the_nights_are_no_nights(desk: Desk) -> None:
    frozen = desk.plan(1)
    copy = desk.root / "audiences" / "a copy"
    copy.mkdir()
    (copy / desk.store.deliveries.answers.path(*frozen.night).name).touch()
    assert list(nights_with_answers(desk.root)) == [(NIGHT, frozen.campaign_id)]


def test_sends_whose_files_of_answers_are_missing_or_damaged_are_told_for_a_week(desk: Desk) -> None:
    from delivery_desk import Scripted

    whole, missing, damaged, planned = (desk.plan(50, name=name) for name in ("Whole", "Missing", "Damaged", "Planned"))
    for frozen in (whole, missing, damaged):
        desk.send(Scripted(), frozen)
    desk.store.deliveries.answers.path(*missing.night).unlink()
    desk.store.deliveries.answers.path(*planned.night).unlink()
    file = desk.store.deliveries.answers.path(*damaged.night)
    file.write_bytes(b"{\n" + file.read_bytes())
    told = checkpoints(desk).without_answers(NIGHT)
    assert sorted(text.partition(" beside")[0] for text in told) == [
        "the send of 'Damaged' for 2026-11-23 has a damaged file of answers",
        "the send of 'Missing' for 2026-11-23 has no file of answers",
    ]
    assert len(checkpoints(desk).without_answers(NIGHT + timedelta(days=7))) == 2
    assert checkpoints(desk).without_answers(NIGHT + timedelta(days=8)) == ()
