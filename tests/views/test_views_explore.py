from __future__ import annotations

import asyncio
import re
import shutil
from datetime import timedelta
from threading import Event

import pytest
from page_text import text_of

from optinb import attr, in_group, views
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.demo import AUTHOR, RUN_DATE, demo_settings
from optinb.errors import UsageError
from optinb.views.controls import choose
from optinb.views.job import Job
from optinb.workspace import open_workspace


@pytest.fixture
def empty(tmp_path):
    init_workspace(tmp_path / "new", settings=demo_settings("http://127.0.0.1:8021"))
    with open_workspace(tmp_path / "new", user=AUTHOR) as opened:
        yield opened


def test_a_group_is_compared_with_everybody_else_and_with_another_one(ws):
    view = views.compare(ws)
    view.group.value = "Lapsed buyers"
    inside = ws.groups.count("Lapsed buyers").customers
    assert f"{inside:,} in this group, {2001 - inside:,} customers besides" in text_of(view.answer.value)
    view.other.value = "Club regulars"
    regulars = ws.groups.count("Club regulars").customers
    assert f"{inside:,} in this group, {regulars:,} customers in the other group" in text_of(view.answer.value)
    view.other.value = "Lapsed buyers"
    assert "the same group" in text_of(view.answer.value)


def test_a_list_shows_that_everybody_is_chosen_where_no_group_is(ws):
    within = views.discover(ws).within
    assert (within.label, within.value) == ("Everybody", None)
    choose(within, [("Everybody", None), ("Lapsed buyers", "Lapsed buyers")], keep="Lapsed buyers")
    assert (within.label, within.value) == ("Lapsed buyers", "Lapsed buyers")
    choose(within, [("Everybody", None)], keep="Lapsed buyers")
    assert (within.label, within.value) == ("Everybody", None)


def test_overlap_is_drawn_for_the_chosen_groups(ws):
    view = views.overlap(ws)
    assert "<svg" in view.answer.value
    view.groups.value = ("Club regulars",)
    assert "two groups or more" in text_of(view.answer.value) and "<svg" not in view.answer.value


def test_groups_that_are_saved_meanwhile_are_offered_by_themselves(ws, monkeypatch):
    monkeypatch.setattr("optinb.views.debounce.LOOK_AGAIN_S", 0.001)

    async def look() -> None:
        comparing, overlapping, searching = views.compare(ws), views.overlap(ws), views.discover(ws)
        editor = views.rule_editor(ws, in_group("Club regulars"))
        comparing.group.value = "Lapsed buyers"
        ws.groups.save("Another", attr("country") == "DE")
        offered = (comparing.group, overlapping.groups, searching.within, editor.tree.lines[0].name)
        while not all("Another" in str(control.options) for control in offered):
            await asyncio.sleep(0)
        assert comparing.group.value == "Lapsed buyers"
        assert overlapping.groups.value == ("Club regulars", "Lapsed buyers")
        assert editor.rule == in_group("Club regulars")
        for view in (comparing, overlapping, searching, editor):
            view.close()

    asyncio.run(look())


def test_views_of_a_new_workspace_say_how_to_import_and_offer_what_is_imported(empty, monkeypatch):
    monkeypatch.setattr("optinb.views.debounce.LOOK_AGAIN_S", 0.01)
    for view in (views.stages, views.attributes, views.sdk_rollout):
        assert "Nothing is imported yet: views.delivery(ws) imports" in text_of(view(empty).data)

    async def look():
        searching = views.discover(empty)
        before = searching.target.options
        shutil.copytree(shared(f"data/sample/{RUN_DATE}"), empty.root / "inbox" / RUN_DATE.isoformat())
        empty.import_delivery(RUN_DATE)
        while "newsletter" not in searching.target.options:
            await asyncio.sleep(0.01)
        searching.close()
        return before

    assert asyncio.run(look()) == ()


def test_a_night_that_is_modelled_meanwhile_is_compared_by_itself(ws, monkeypatch):
    monkeypatch.setattr("optinb.views.debounce.LOOK_AGAIN_S", 0.01)

    async def look():
        moves = views.migration(ws)
        before = text_of(moves.answer.value)
        ws.model(RUN_DATE + timedelta(days=1))
        while "<table" not in moves.answer.value:
            await asyncio.sleep(0.01)
        moves.close()
        return before, text_of(moves.answer.value)

    before, after = asyncio.run(look())
    assert "Moves need two nights" in before
    assert "From Mon 23 Nov 2026 to Tue 24 Nov 2026" in after


def test_sizes_moves_and_stages_are_told_night_by_night(ws):
    night = RUN_DATE + timedelta(days=1)
    ws.model(night)
    sizes = views.sizes(ws)
    sizes.job.start.click()
    for name in ("Club regulars", "Lapsed buyers"):
        assert f"{ws.groups.count(name, run_date=night).customers:,}" in text_of(sizes.answer.value)
    assert "<svg" in sizes.answer.value
    moves = views.migration(ws)
    assert "From Mon 23 Nov 2026 to Tue 24 Nov 2026" in text_of(moves.answer.value)
    moves.until.value = RUN_DATE
    assert "lies before the second" in text_of(moves.answer.value)
    over_time = str(views.stages_over_time(ws).data)
    assert "<svg" in over_time and "Tue 24 Nov 2026" in over_time


def test_micro_segments_are_a_map_and_a_table(ws):
    shown = str(views.micro_segments(ws).data)
    segments = ws.micro_segments()
    told = [name for name in ("churn_risk", "reactivation_chance") if segments.drop_nulls(name).height]
    assert told and shown.count("<svg") == len(told)
    first = segments.row(0, named=True)
    assert f"{first['micro_segment']} {first['customers']:,}" in text_of(shown)
    assert "http" not in re.sub(r"http://www\.w3\.org/", "", shown)


def test_a_discovered_group_is_saved_by_a_click(ws):
    view = views.discover(ws)
    view.target.value = "future_value"
    view.depth.value = 1
    view.job.start.click()
    first = view.findings[0]
    assert first.name.value
    first.name.value = "Valuable"
    first.save.click()
    assert "“Valuable” is saved as version 1." in text_of(first.result.value)
    found = ws.discover("future_value", depth=1)
    assert ws.groups.rule("Valuable") == found[0].rule
    assert f"{ws.groups.count('Valuable').customers:,} customers" in text_of(first.about.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [("", "say what should be high"), ("future_valu", "did you mean 'future_value'"), ("country", "is a text")],
)
def test_discovery_says_what_is_wrong_with_the_target(ws, target, said):
    view = views.discover(ws)
    view.target.value = target
    view.job.start.click()
    assert said in text_of(view.job.progress.value)
    assert not view.findings


def test_card_of_a_customer_is_shown_by_id(ws):
    view = views.customer(ws)
    assert "Write the id" in text_of(view.answer.value)
    view.id.value = "000042"
    assert "Customer 000042" in text_of(view.answer.value)
    view.id.value = "<b>nobody</b>"
    assert "doesn't know this customer" in text_of(view.answer.value)
    assert "<b>nobody" not in view.answer.value


def test_without_data_each_view_says_what_to_do(empty):
    assert "No target group is saved yet" in text_of(views.compare(empty).answer.value)
    assert "No target group is saved yet" in text_of(views.overlap(empty).answer.value)
    assert "two nights" in text_of(views.migration(empty).answer.value)
    assert "run `optinb import`" in text_of(str(views.stages_over_time(empty).data))
    assert "run `optinb import`" in text_of(str(views.micro_segments(empty).data))


def job(work, shown):
    return Job("Work", prepare=lambda: work, done=shown.append, steps=lambda: 4)


def test_long_work_shows_how_far_it_is_and_then_its_result():
    shown: list[object] = []

    async def wait() -> str:
        ended, half = Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(on_progress):
            on_progress(2, "searching <b>")
            loop.call_soon_threadsafe(half.set)
            ended.wait(10)
            return "found"

        made = job(work, shown)
        made.start.click()
        assert made.is_running and made.cancel.layout.display == ""
        await half.wait()
        seen = made.progress.value
        ended.set()
        while made.is_running:
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(wait())
    assert "50% searching &lt;b&gt;" in seen
    assert shown == ["found"]


def test_cancelled_work_ends_at_its_next_step_and_shows_nothing():
    shown: list[object] = []
    stopped = Event()

    async def wait() -> None:
        begun, cancelled = asyncio.Event(), Event()
        loop = asyncio.get_running_loop()

        def work(on_progress):
            loop.call_soon_threadsafe(begun.set)
            cancelled.wait(10)
            try:
                on_progress(1, "more")
            finally:
                stopped.set()

        made = job(work, shown)
        made.start.click()
        await begun.wait()
        made.cancel.click()
        assert made.is_running and "Cancelling" in text_of(made.progress.value)
        cancelled.set()
        while made.is_running:
            await asyncio.sleep(0)
        assert "Cancelled" in text_of(made.progress.value)

    asyncio.run(wait())
    assert stopped.wait(10) and shown == []


def test_work_that_fails_on_purpose_says_why():
    def work(on_progress):
        raise UsageError("nothing to do")

    made = job(work, [])
    made.start.click()
    assert 'role="alert"' in made.progress.value and "nothing to do" in text_of(made.progress.value)
