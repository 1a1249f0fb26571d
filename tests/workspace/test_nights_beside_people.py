"""Nights at a moment when somebody imports or models by hand: the night waits, and goes on."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from optinb import open_workspace
from optinb.customers import modelling
from optinb.demo import AUTHOR, RUN_DATE, SCHEDULER
from optinb.nightly import Blocked, Night

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace


@contextmanager
def somebody_imports(ws: Workspace) -> Iterator[None]:
    """Somebody who has just begun to import by hand, and ends a moment later."""
    began, lease = Event(), ws.warehouse._versions.lease

    def hold() -> None:
        with lease("the import of a day", user=AUTHOR, now=ws.now()):
            began.set()
            Event().wait(0.3)

    holder = Thread(target=hold)
    holder.start()
    began.wait()
    yield
    holder.join()


@pytest.fixture
def night(ws: Workspace, folder: Path) -> Iterator[Night]:
    opened = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    yield opened
    opened.close()


def test_a_night_waits_for_what_somebody_imports_or_models_by_hand(ws: Workspace, night: Night) -> None:
    with somebody_imports(ws):
        assert not isinstance(night.import_delivery(), Blocked)
    with somebody_imports(ws):
        assert not isinstance(night.model(), Blocked)


def test_a_night_models_again_what_somebody_else_published_meanwhile(
    ws: Workspace, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = modelling.model_customers, []

    def meanwhile(*args: Any, **named: Any) -> Any:
        made.append(args)
        if len(made) == 1:
            ws.model()
        return make(*args, **named)

    monkeypatch.setattr(modelling, "model_customers", meanwhile)
    night.import_delivery()
    before = ws.warehouse.current or 0
    assert not isinstance(night.model(), Blocked)
    assert (len(made), ws.warehouse.current) == (3, before + 2)
