from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from page_text import text_of

from optinb import views
from optinb.base.workspace_folder import init_workspace
from optinb.customers import modelling
from optinb.demo import AUTHOR, RUN_DATE, demo_settings
from optinb.errors import DeliveryError
from optinb.workspace import open_workspace

NEXT = RUN_DATE + timedelta(days=1)


def a_day_later() -> datetime:
    return datetime.fromisoformat(os.environ["OPTINB_NOW"]) + timedelta(days=1)


@contextmanager
def nobody(*, reaching):
    """Does what follows without the rights of root, which may read everything."""
    if os.geteuid():
        yield
        return
    modes = {
        path: path.stat().st_mode for path in (reaching, *reaching.parents) if path.stat().st_mode & 0o011 != 0o011
    }
    for path, mode in modes.items():
        path.chmod(mode | 0o011)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.fixture
def tomorrow(folder, monkeypatch):
    """The workspace on the day after the sample's, whose delivery, one customer shorter, waits in the inbox."""
    inbox = folder / "inbox"
    shutil.copytree(inbox / RUN_DATE.isoformat(), inbox / NEXT.isoformat())
    customers = inbox / NEXT.isoformat() / "customers.csv"
    lines = customers.read_text().splitlines(keepends=True)
    customers.write_text("".join(lines[:500] + lines[501:]))
    monkeypatch.setenv("OPTINB_NOW", a_day_later().isoformat())
    with open_workspace(folder, user=AUTHOR) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr("optinb.views.debounce.LOOK_AGAIN_S", 0.01)


async def ended(view) -> None:
    while view.job.is_running:
        await asyncio.sleep(0.01)


def test_a_delivery_is_imported_and_modelled_while_one_goes_on_working(tomorrow):
    async def work():
        view, editor = views.delivery(tomorrow), views.rule_editor(tomorrow, 'attr("purchases") >= 0')
        before = text_of(view.about.value)
        view.job.start.click()
        shares, turns = set(), 0
        while view.job.is_running:
            shares |= set(re.findall(r"\d+%", text_of(view.job.progress.value)))
            turns += 1
            await asyncio.sleep(0.001)
        while editor.preview is None or editor.preview.warehouse_version != tomorrow.warehouse.current:
            await asyncio.sleep(0.01)
        after, answer = text_of(view.about.value), text_of(view.answer.value)
        view.close()
        editor.close()
        return before, shares, turns, after, answer, editor.preview.total

    before, shares, turns, after, answer, counted = asyncio.run(work())
    assert "Mon 23 Nov 2026 is published (version 2), modelled" in before
    assert "The delivery of Tue 24 Nov 2026 waits in the inbox" in before
    assert len(shares) > 10 and turns > 50
    assert "Tue 24 Nov 2026 is published (version 4), modelled. No newer one waits" in after
    assert "Delivery of Tue 24 Nov 2026 version 3" in answer and "2,000" in answer and "active" in answer
    assert tomorrow.snapshot().model_date == NEXT and counted == 2000


def test_a_double_click_imports_once_and_is_told_no_error(tomorrow):
    async def work():
        view = views.delivery(tomorrow)
        view.job.start.click()
        view.job.start.click()
        said = set()
        while view.job.is_running:
            said.add(view.job.progress.value)
            await asyncio.sleep(0.001)
        view.close()
        return " ".join(text_of(html) for html in said), text_of(view.answer.value)

    said, answer = asyncio.run(work())
    assert "under way" not in said and "Delivery of Tue 24 Nov 2026 version 3" in answer
    assert tomorrow.warehouse.current == 4 and tomorrow.snapshot().model_date == NEXT


def test_what_is_cancelled_while_it_reads_publishes_nothing_and_can_be_begun_again(tomorrow):
    async def work():
        view = views.delivery(tomorrow)
        view.job.start.click()
        view.job.cancel.click()
        assert view.job.cancel.disabled and "Cancelling" in text_of(view.job.progress.value)
        await ended(view)
        said, version = text_of(view.job.progress.value), tomorrow.warehouse.current
        view.job.start.click()
        await ended(view)
        view.close()
        return said, version

    said, version = asyncio.run(work())
    assert said == "Cancelled; what is published and saved is as it was." and version == 2
    assert tomorrow.warehouse.current == 4


def test_cancelled_after_the_import_the_import_stands_and_is_told(tomorrow):
    async def work():
        view = views.delivery(tomorrow)
        view.job.start.click()
        while tomorrow.warehouse.current == 2:
            await asyncio.sleep(0)
        view.job.cancel.click()
        await ended(view)
        view.close()
        return text_of(view.answer.value), text_of(view.about.value)

    answer, about = asyncio.run(work())
    assert "Delivery of Tue 24 Nov 2026 version 3" in answer
    assert "aren't modelled, since that was cancelled" in answer
    assert "(version 3), not modelled yet" in about
    assert tomorrow.snapshot().import_date == NEXT


def test_when_the_models_fail_the_import_stands_and_both_are_told(tomorrow, monkeypatch):
    make = modelling.model_customers

    def meanwhile(*args, **named):
        monkeypatch.setattr(modelling, "model_customers", make)
        with open_workspace(tomorrow.root, user=AUTHOR) as colleague:
            colleague.model()
        return make(*args, **named)

    monkeypatch.setattr(modelling, "model_customers", meanwhile)
    view = views.delivery(tomorrow)
    view.job.start.click()
    answer = text_of(view.answer.value)
    assert "Delivery of Tue 24 Nov 2026 version 3" in answer
    assert "The delivery is published. Its customers aren't modelled: " in answer
    assert "version 4 has been published meanwhile" in answer
    assert "Tue 24 Nov 2026 is published (version 4)" in text_of(view.about.value)


def test_an_inbox_that_may_not_be_read_is_named(tmp_path):
    init_workspace(tmp_path / "new", settings=demo_settings("http://127.0.0.1:8021"))
    with open_workspace(tmp_path / "new", user=AUTHOR) as closed:
        views.delivery(closed)
        inbox = closed.root / "inbox"
        inbox.mkdir(exist_ok=True)
        inbox.chmod(0)
        with (
            nobody(reaching=closed.root),
            pytest.raises(DeliveryError, match=r"inbox can't be read: Permission denied"),
        ):
            views.delivery(closed)


def test_a_blocked_delivery_asks_for_a_reason_and_is_published_with_it(tomorrow):
    customers = tomorrow.root / "inbox" / NEXT.isoformat() / "customers.csv"
    customers.write_text("".join(customers.read_text().splitlines(keepends=True)[:900]))
    view = views.delivery(tomorrow)
    assert view.reason.layout.display == "none"
    view.job.start.click()
    assert "is blocked, version 2 stays current" in text_of(view.answer.value)
    assert tomorrow.warehouse.current == 2 and view.reason.layout.display == ""
    view.reason.value = "half of the shops were sold"
    view.job.start.click()
    assert "published it anyway: half of the shops were sold" in text_of(view.answer.value)
    assert view.reason.layout.display == "none" and view.reason.value == ""
    (noted,) = [entry for entry in tomorrow.store.audit.list() if entry.action == "gate overridden"]
    assert noted.who == AUTHOR and noted.detail["reason"] == "half of the shops were sold"


def test_the_published_day_can_be_imported_again_and_days_ahead_or_before_are_not_offered(ws):
    inbox = ws.root / "inbox"
    for other in (RUN_DATE - timedelta(days=1), RUN_DATE + timedelta(days=1)):
        shutil.copytree(inbox / RUN_DATE.isoformat(), inbox / other.isoformat())
    (inbox / "notes").mkdir()
    view = views.delivery(ws)
    assert view.delivery.options == (("Mon 23 Nov 2026, published", RUN_DATE),)
    assert "No newer one waits in the inbox" in text_of(view.about.value)
    view.job.start.click()
    assert "Imported before; nothing changed." in text_of(view.answer.value)


def test_a_delivery_that_comes_meanwhile_is_offered_by_itself(ws, monkeypatch):
    monkeypatch.setattr(ws.context, "now", a_day_later)

    async def wait():
        view = views.delivery(ws)
        chosen = view.delivery.value
        shutil.copytree(ws.root / "inbox" / RUN_DATE.isoformat(), ws.root / "inbox" / NEXT.isoformat())
        while view.delivery.value == chosen:
            await asyncio.sleep(0.01)
        view.close()
        return chosen, view.delivery.value, text_of(view.about.value)

    before, after, about = asyncio.run(wait())
    assert (before, after) == (RUN_DATE, NEXT) and "The delivery of Tue 24 Nov 2026 waits" in about


def test_an_empty_inbox_says_what_to_do(tmp_path):
    init_workspace(tmp_path / "new", settings=demo_settings("http://127.0.0.1:8021"))
    with open_workspace(tmp_path / "new", user=AUTHOR) as empty:
        view = views.delivery(empty)
        assert "Nothing is published yet. IT puts a delivery into the folder inbox/DATE" in text_of(view.about.value)
        view.job.start.click()
        assert f"put its files into inbox/{RUN_DATE}" in text_of(view.job.progress.value)
