"""A night whose audience was frozen on another machine that shares the state store."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from delivery_desk import Scripted
from postgres_server import emptied

from optinb.appboy import RequestUnknown
from optinb.delivery import Budget, ContactHistory
from optinb.delivery.journal import Store
from optinb.delivery.reconcile import reconcile
from optinb.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa
    from delivery_desk import Desk

    from optinb.delivery import FrozenAudience


@pytest.fixture
def shared(desk: Desk, cluster: sa.URL) -> Desk:
    """The desk, with its state on a server that other machines see."""
    desk.store.close()
    desk.store = Store.open(emptied(cluster))
    return desk


def on_another_machine(desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    desk.root = root
    monkeypatch.setattr("optinb.delivery.elsewhere.gethostname", lambda: "box-2")


def planned_here(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> FrozenAudience:
    monkeypatch.setattr("optinb.delivery.elsewhere.gethostname", lambda: "box-1")
    return desk.plan(120)


def test_a_second_machine_says_where_the_frozen_audience_lies_and_sends_nothing(
    shared: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = planned_here(shared, monkeypatch)
    folder = (shared.root / frozen.path).parent
    assert (
        shared.send(
            Scripted(RequestUnknown("504"), *[RequestUnknown("504")] * 2), shared.plan(120, name="Sent")
        ).unknown
        == 120
    )
    sent = shared.plan(120, name="Sent")
    on_another_machine(shared, tmp_path / "second", monkeypatch)
    poster = Scripted()
    where = rf"of 'Summer' for 2026-11-23 was written on box-1, in {folder}, and isn't at .*second.* on box-2"
    with pytest.raises(StateError, match=where):
        shared.send(poster, frozen)
    assert poster.requests == [] and shared.store.deliveries.counts(*frozen.night).pending == 120
    with pytest.raises(StateError, match=where):
        ContactHistory(shared.root, shared.store).rows(frozen)
    with pytest.raises(StateError, match="of 'Sent' for 2026-11-23 was written on box-1"):
        reconcile(
            shared.store,
            poster,  # pyright: ignore[reportArgumentType]  - nobody is asked
            sent,
            root=shared.root,
            clock=lambda: sent.send_at + timedelta(hours=1),
            user="ann",
            late_minutes=15,
            budget=Budget(an_hour=15_000, reserve=0.0),
        )


@pytest.mark.parametrize("how", ["a shared folder", "a copy"])
def test_a_second_machine_goes_on_with_a_shared_folder_or_a_copy(
    shared: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    frozen = planned_here(shared, monkeypatch)
    folder = shared.root / "audiences"
    on_another_machine(shared, tmp_path / "second", monkeypatch)
    if how == "a copy":
        shutil.copytree(folder, shared.root / "audiences")
    else:
        (shared.root / "audiences").symlink_to(folder)
    poster = Scripted()
    assert shared.send(poster, frozen).accepted == 120
    assert sorted(poster.users) == [f"u{n:07}" for n in range(120)]


def test_a_file_that_is_gone_where_it_was_written_is_no_other_machines(
    shared: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = planned_here(shared, monkeypatch)
    (shared.root / frozen.path).unlink()
    with pytest.raises(StateError, match=r"can't be read .* restore it, or cancel this night's send"):
        shared.send(Scripted(), frozen)
