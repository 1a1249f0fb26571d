"""What became of templates since last night: in the list, and in the night's report."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb import open_workspace, show
from optinb.demo import RUN_DATE, SCHEDULER
from optinb.nightly import Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace


def edit(sandbox: Sandbox) -> None:
    """Renames, archives and drops campaigns of the Shop, as somebody might do in the dashboard."""
    first, second, third, *_ = sandbox.world.group("Shop").campaigns
    later = first.updated_at + timedelta(days=90)
    sandbox.world.put_campaign("Shop", replace(first, name="Renamed_iOS", updated_at=later))
    sandbox.world.put_campaign("Shop", replace(second, archived=True, updated_at=later))
    sandbox.world.drop_campaign("Shop", third.id)


def test_a_nights_report_tells_what_became_of_templates_since_the_night_before(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    before = ws.store.runs.start(RUN_DATE - timedelta(days=1), user=SCHEDULER, now=ws.now())
    ws.store.runs.finish(before, exit_code=0, summary={}, now=ws.now())
    edit(sandbox)
    ws.templates.sync()  # by day, by a person: the night tells it all the same
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        night.templates()
        summary = night.report()
    finally:
        night.close()
    told = {(news.app_group, news.change.name, news.change.what) for news in summary.templates}
    assert told == {
        ("Shop", "Renamed_iOS", "renamed"),
        ("Shop", "Optimove_SummerSale_Android", "archived"),
        ("Shop", "Optimove_WinBack_iOS", "vanished"),
    }
    page = (night.folder / "report.html").read_text(encoding="utf-8")
    assert "Shop: Renamed_iOS: renamed, it was &#39;Optimove_SummerSale_iOS&#39;" in page
    assert "template of Shop: Optimove_WinBack_iOS: vanished from Appboy" in show.text(summary)


def test_the_list_tells_it_below_the_templates_and_puts_usable_ones_first(ws: Workspace, sandbox: Sandbox) -> None:
    assert ws.templates.changes() == ()
    ws.store.runs.start(RUN_DATE - timedelta(days=1), user=SCHEDULER, now=ws.now())
    edit(sandbox)
    ws.templates.sync()
    listing = ws.templates.listing("Shop")
    usable = [template.usable for template in listing.templates]
    assert usable == sorted(usable, reverse=True)
    assert {news.change.what for news in listing.news} == {"renamed", "archived", "vanished"}
    assert "since last night:" in show.text(listing)
    assert ws.templates.listing("Club").news == ()
