"""What Appboy said of messages, after somebody changed it: rows, sealed files, and parts that are kept meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest
from confirming_desk import ConfirmingDesk
from delivery_desk import KEY_NAME, Desk

from optinb.delivery import AuditCheckpoints
from optinb.delivery.confirmation import EVIDENCE, VERDICTS
from optinb.delivery.verdict_files import AskedSoFar, write_verdicts
from optinb.errors import CampaignError, StateError
from optinb.sandbox import Sandbox, World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optinb.delivery import FrozenAudience

RECIPIENTS = 60


@pytest.fixture
def world() -> World:
    return make_world(["Shop"], templates=["Once"])


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfirmingDesk]:
    monkeypatch.setenv(KEY_NAME, world.group("Shop").keys[0].key)
    plain = Desk(tmp_path)
    yield ConfirmingDesk(plain, sandbox, world)
    plain.store.close()


def verify(desk: ConfirmingDesk) -> None:
    assert AuditCheckpoints(desk.context, desk.desk.store).verify().problem is None


def by_hand(desk: ConfirmingDesk, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(desk.desk.root / "state.sqlite")) as con:
        con.execute(statement, values)
        con.commit()


def all_filtered(desk: ConfirmingDesk, frozen: FrozenAudience) -> tuple[str, str]:
    """A whole file of verdicts that a forger has made: nobody got anything."""
    rows = [(place, "filtered", "segment", None, None, None) for place in range(RECIPIENTS)]
    made = write_verdicts(pl.DataFrame(rows, schema=VERDICTS, orient="row"), frozen, root=desk.desk.root)
    return made.path.relative_to(desk.desk.root).as_posix(), made.sha256


def other_file(desk: ConfirmingDesk, frozen: FrozenAudience) -> None:
    path, sha256 = all_filtered(desk, frozen)
    newest = "version = (select max(version) from confirmations)"
    by_hand(desk, f"update confirmations set path = ?, sha256 = ? where {newest}", path, sha256)


def other_counts(desk: ConfirmingDesk, _frozen: FrozenAudience) -> None:
    by_hand(desk, "update confirmations set counts = replace(counts, '\"confirmed\":60', '\"unconfirmed\":60')")


def no_counts(desk: ConfirmingDesk, _frozen: FrozenAudience) -> None:
    by_hand(desk, "update confirmations set counts = '['")


def later_word(desk: ConfirmingDesk, _frozen: FrozenAudience) -> None:
    by_hand(desk, "update confirmations set asked_at = '2027-01-01 00:00:00.000000'")


def one_less(desk: ConfirmingDesk, _frozen: FrozenAudience) -> None:
    by_hand(desk, "delete from confirmations where version = (select max(version) from confirmations)")


def none(desk: ConfirmingDesk, _frozen: FrozenAudience) -> None:
    by_hand(desk, "delete from confirmations")


def one_more(desk: ConfirmingDesk, frozen: FrozenAudience) -> None:
    path, sha256 = all_filtered(desk, frozen)
    by_hand(
        desk,
        "insert into confirmations select campaign_id, run_date, version + 1, ?, ?, counts, 'eve', asked_at "
        "from confirmations order by version desc limit 1",
        path,
        sha256,
    )


FORGED: dict[Callable[[ConfirmingDesk, FrozenAudience], None], str] = {
    other_file: "it was changed or taken away since",
    other_counts: "it was changed or taken away since",
    no_counts: "it was changed or taken away since",
    later_word: "it was changed or taken away since",
    one_less: "it was changed or taken away since",
    none: "it isn't there any more",
    one_more: "it isn't in it, version 8 by 'eve'",
}


def test_a_row_that_the_trail_does_not_bear_out_counts_as_not_asked_is_named_and_asked_about_again(
    desk: ConfirmingDesk,
) -> None:
    frozen, store = desk.night(RECIPIENTS, codes=None), desk.desk.store
    assert desk.confirming.confirm().notes == ()
    verify(desk)
    for forge, what in FORGED.items():
        forge(desk, frozen)
        said = f"what Appboy said of 'Summer' on 2026-11-23 isn't what the audit trail says that it said: {what}"
        assert store.confirmations.newest(*frozen.night) is None and store.confirmations.list() == ()
        assert set(desk.statuses(frozen).values()) == {"accepted"}
        with pytest.raises(StateError, match=f"tampered with: {said}.*`optinb confirm --date 2026-11-23`"):
            verify(desk)
        (note,) = desk.confirming.known().notes
        assert note.startswith(said)
        done = desk.confirming.confirm()
        assert done.notes == (note,) and [night.asked_now for night in done.nights] == [RECIPIENTS]
        assert set(desk.statuses(frozen).values()) == {"confirmed"}
        assert desk.confirming.known().notes == ()
        verify(desk)


def test_codes_are_not_given_back_by_a_row_that_somebody_wrote(desk: ConfirmingDesk) -> None:
    desk.desk.store.codes.add("Ten", [f"CODE{n:04}" for n in range(RECIPIENTS)], user="ann", now=desk.desk.now)
    frozen = desk.night(RECIPIENTS, codes="ten", over_since=timedelta(days=5))
    path, sha256 = all_filtered(desk, frozen)
    counts = f'{{"recipients":{RECIPIENTS},"asked":{RECIPIENTS},"confirmed":1,"planned":{RECIPIENTS}}}'
    by_hand(
        desk,
        "insert into confirmations values (?, ?, 1, ?, ?, ?, 'eve', ?)",
        *(frozen.campaign_id, frozen.run_date.isoformat(), path, sha256, counts, "2026-12-24 00:00:00.000000"),
    )
    with pytest.raises(CampaignError, match="nobody knows yet who was filtered of 'Summer'"):
        desk.confirming.give_back_codes("Summer", frozen.run_date)


def test_a_file_that_was_exchanged_or_is_gone_is_named_and_asked_about_again(desk: ConfirmingDesk) -> None:
    frozen, root = desk.night(RECIPIENTS), desk.desk.root
    desk.confirming.confirm()
    for forged in (True, False):
        there = desk.desk.store.confirmations.newest(*frozen.night)
        assert there is not None
        (root / there.path).unlink()
        if forged:
            shutil.move(root / all_filtered(desk, frozen)[0], root / there.path)
        what = "was changed since it was sealed" if forged else "can't be read"
        said = f"what Appboy said of 'Summer' on 2026-11-23, .*verdicts, {what}"
        with pytest.raises(StateError, match=said):
            desk.statuses(frozen)
        with pytest.raises(StateError, match=f"^{said}; restore it from a copy, or ask Appboy again"):
            verify(desk)
        done = desk.confirming.confirm()
        assert what in done.notes[0] and [night.asked_now for night in done.nights] == [RECIPIENTS]
        assert set(desk.statuses(frozen).values()) == {"confirmed"}
        verify(desk)


def test_a_night_whose_files_lie_on_another_machine_is_verified_there(desk: ConfirmingDesk) -> None:
    frozen, root = desk.night(RECIPIENTS), desk.desk.root
    desk.confirming.confirm()
    shutil.rmtree((root / frozen.path).parent)
    verify(desk)


def evidence(desk: ConfirmingDesk, word: str, first: int, size: int) -> pl.DataFrame:
    """What Appboy told of some places."""
    row = dict.fromkeys(EVIDENCE) | {"evidence": word, "asked_at": desk.desk.now}
    return pl.DataFrame([{**row, "place": place} for place in range(first, first + size)], schema=EVIDENCE)


def test_a_part_counts_only_as_it_was_told(desk: ConfirmingDesk) -> None:
    frozen, store, root = desk.night(RECIPIENTS), desk.desk.store, desk.desk.root
    parts = AskedSoFar(frozen, store.confirmations, root=root)
    for first in (0, 10):
        parts.keep(evidence(desk, "received", first, 10), user="ann", now=desk.desk.now)
    forger = AskedSoFar(frozen, cast("Any", SimpleNamespace(note_part=lambda *_, **__: None)), root=root)
    assert parts.why_unlike() is None and parts.read(now=desk.desk.now).height == 20
    verify(desk)
    forger.keep(evidence(desk, "not_received", 20, 40), user="eve", now=desk.desk.now)
    assert parts.read(now=desk.desk.now).height == 20
    assert "(1 file is none that it knows)" in (parts.why_unlike() or "")
    assert parts.why_unlike(but_more=True) is None, "as a run that is killed leaves it"
    verify(desk)
    first = min((root / frozen.path).parent.glob("*.asked-00000-*"))
    first.write_bytes(min((root / frozen.path).parent.glob("*.asked-00002-*")).read_bytes())
    with pytest.raises(StateError, match=r"so far of 'Summer' on 2026-11-23 isn't .*1 of 2 parts were changed or are"):
        verify(desk)
    assert parts.read(now=desk.desk.now).height == 10
    done = desk.confirming.confirm()
    assert "(1 of 2 parts were changed or are gone, 2 files are none that it knows)" in done.notes[0]
    assert [night.asked_now for night in done.nights] == [RECIPIENTS - 10]
    assert set(desk.statuses(frozen).values()) == {"confirmed"}
    verify(desk)


def test_a_part_of_an_earlier_round_that_is_put_back_is_none_of_this_one(desk: ConfirmingDesk) -> None:
    frozen, store, root = desk.night(RECIPIENTS), desk.desk.store, desk.desk.root
    parts = AskedSoFar(frozen, store.confirmations, root=root)
    parts.keep(evidence(desk, "received", 0, 10), user="ann", now=desk.desk.now)
    (there,) = (root / frozen.path).parent.glob("*.asked-*")
    kept = there.read_bytes()
    desk.confirming.confirm()
    assert parts.read(now=desk.desk.now).is_empty() and not there.exists()
    there.write_bytes(kept)
    assert parts.read(now=desk.desk.now).is_empty()
