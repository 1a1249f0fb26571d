"""A night has Appboy count each campaign apart, and a later night reads what it counted; what fails there is a note."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from page_text import text_of

from optinb import open_workspace, show, views
from optinb.cli import main
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.measure import in_one_line
from optinb.nightly import Night
from optinb.sandbox import Fault, demo_world

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NOTHING_SENT = "nothing was sent in the last 14 days, so there is nothing to read"
NIGHT, DAY = f"night of {RUN_DATE}", "Night of Mon 23 Nov 2026"
SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


@pytest.fixture
def sent(folder: Path, ws: Workspace, sandbox: Sandbox) -> Workspace:
    """A workspace whose night sent both campaigns."""
    with open_workspace(folder, user=APPROVER) as boss:
        for campaign in CAMPAIGNS:
            ws.campaigns.submit(campaign)
            boss.campaigns.approve(campaign["name"], seen=boss.campaigns.preview(campaign["name"]))
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.templates, night.audiences, night.sends, night.figures, night.report):
        step()
    night.close()
    return ws


def read_again(ws: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *, days: int = 3) -> NightSummary:
    """The figures and the report of a later night, of which nothing else is done."""
    later = datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(days=days)
    sandbox.move_clock(to=later)
    monkeypatch.setenv("OPTINB_NOW", later.isoformat())
    night = Night(open_workspace(ws.root, user=SCHEDULER), RUN_DATE + timedelta(days=days))
    try:
        night.figures()
        return night.report()
    finally:
        night.close()


def test_a_later_night_reads_and_reports_what_appboy_counted_and_a_failing_appboy_is_a_note(
    sent: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = {audience.campaign_name: audience for audience in sent.store.deliveries.list()}
    borne = {dispatch.send_id for dispatch in sandbox.world.dispatches}
    assert borne == {audience.send_id for audience in nights.values()} and len(borne) == 2 and None not in borne
    (first,) = sent.store.runs.list()
    assert first.summary is not None and first.summary["reach"] == []  # nothing had gone out by then

    summary = read_again(sent, sandbox, monkeypatch)
    assert [line.campaign for line in summary.reach] == sorted([SUMMER, CLUB])
    for line in summary.reach:
        accepted = sent.store.deliveries.counts(*nights[line.campaign].night).accepted
        assert line.accepted == accepted >= (line.unique_recipients or 0) > 0 and line.total_opens
        assert not line.is_shared and not line.unread
    folder = sent.root / "runs" / str(summary.run_date)
    report = text_of((folder / "report.html").read_text())
    assert "What Appboy counted in the last 14 days" in report
    written = json.loads((folder / "summary.json").read_text())["reach"]
    assert [line["sent"] for line in written] == [line.sent for line in summary.reach]
    for shown in (show.text(summary), text_of(show.html(summary)), report):
        assert all(f"{line.sent:,}" in shown for line in summary.reach)

    with open_workspace(sent.root, user=SCHEDULER) as now:
        sent_to = text_of(views.sent(now).data)
        assert all(
            f"{line.accepted:,} {line.unique_recipients:,} {line.total_opens:,}" in sent_to for line in summary.reach
        )
        seen = text_of(views.reached(now).data)
        assert all(f"{name}, by night, day and platform" in seen for name in (SUMMER, CLUB))
        on_page = now.campaign_page(SUMMER.upper())
        (summer,) = [line for line in summary.reach if line.campaign == SUMMER]
        for shown in (show.text(on_page), text_of(show.html(on_page))):
            assert "approved by" in show.text(on_page) and f"{summer.sent:,}" in shown and "ios" in shown
            assert NIGHT in shown or text_of(DAY) in shown
    told = CliRunner().invoke(main, ["campaigns", "show", SUMMER, "--workspace", str(sent.root)])
    assert told.exit_code == 0 and f"night of {RUN_DATE}" in told.output and "ios" in told.output
    done = CliRunner().invoke(main, ["campaigns", "show", SUMMER, "--json", "--workspace", str(sent.root)])
    assert json.loads(done.output)["figures"]["nights"][0]["accepted"] == summer.accepted
    told = CliRunner().invoke(main, ["figures", "show", SUMMER, "--workspace", str(sent.root)])
    assert told.exit_code == 0 and f"night of {RUN_DATE}" in told.output and "ios" in told.output
    done = CliRunner().invoke(main, ["figures", "show", SUMMER, "--json", "--workspace", str(sent.root)])
    days = json.loads(done.output)["nights"][0]["days"]
    assert sum(day["sent"] or 0 for day in days) == next(x.sent for x in summary.reach if x.campaign == SUMMER)
    again = CliRunner().invoke(main, ["figures", "read", "--workspace", str(sent.root)])
    assert again.exit_code == 0, again.output

    # an Appboy that fails is a note of the night and no more, and what was read before stays
    endpoints = ("/sends/data_series", "/campaigns/data_series")
    sandbox.set_faults([Fault("status", endpoint=endpoint, status=403) for endpoint in endpoints])
    failing = read_again(sent, sandbox, monkeypatch, days=4)
    assert failing.exit_code == Exit.DONE and failing.reach == summary.reach
    assert len([warning for warning in failing.warnings if "couldn't be read" in warning]) == 4  # of two app groups
    done = CliRunner().invoke(main, ["figures", "read", "--workspace", str(sent.root)])
    assert done.exit_code == Exit.FAILED and "couldn't be read" in done.output


def test_figures_that_nobody_asked_for_are_dashes_with_the_remedy_and_never_noughts(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = datetime(2026, 11, 24, 12, tzinfo=UTC)
    for now, remedy in ((begun, "optinb figures read"), (begun + timedelta(days=20), "keeps its figures for 14 days")):
        monkeypatch.setenv("OPTINB_NOW", now.isoformat())
        with open_workspace(finished, user=SCHEDULER) as ws:
            page = ws.campaign_page(SUMMER)
            line = in_one_line(page.figures)
            assert line.accepted > 0 and line.sent is line.total_opens is line.bounces is None
            for shown in (show.text(page), text_of(show.html(page)), text_of(show.html(page.figures))):
                assert remedy in shown and f"{line.accepted:,}" in shown
                assert re.search(rf"{line.accepted:,}(\s+–){{5}}", shown), shown
                assert "0 people reached" not in shown and ("ever read:" in shown) == (now != begun)
    monkeypatch.setenv("OPTINB_NOW", datetime(2026, 11, 23, 2, tzinfo=UTC).isoformat())
    with open_workspace(finished, user=SCHEDULER) as ws:
        assert "nothing of it has gone out yet" in show.text(ws.campaign_page(SUMMER))


def test_reading_and_showing_can_be_tried_out(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path / "ws")
    monkeypatch.delenv("OPTINB_NOW")
    where = ["--rehearse", "--workspace", str(tmp_path / "ws")]
    done = CliRunner().invoke(main, ["figures", "read", *where])
    assert done.exit_code == 0 and done.output.strip().endswith(f"\n{NOTHING_SENT}")
    done = CliRunner().invoke(main, ["figures", "show", SUMMER, *where])
    assert done.exit_code == 0 and "nothing of it has gone out yet" in done.output


def test_a_dry_run_reads_nothing(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path / "ws")
    night = Night(open_workspace(tmp_path / "ws", user=SCHEDULER), RUN_DATE, dry_run=True)
    assert night.figures().series == 0
    night.close()


def test_the_demo_has_no_figures_before_a_night(ws: Workspace) -> None:
    assert "Nothing was sent" in text_of(views.reached(ws).data)
    assert ws.reach_figures.read().series == 0
    assert demo_world().send_ids == {}
