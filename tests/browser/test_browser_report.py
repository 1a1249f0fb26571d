"""The report of a night in a real browser: alone, without a network, in both themes, and on paper."""

from __future__ import annotations

import re

import pytest
from accessibility import faults

from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE
from optinb.night import Night, night_folder
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(200)]

WORDS_A_MINUTE = 230


@pytest.fixture
def report(folder, ws, tmp_path):
    """The report of a night that sends one campaign and holds another, far from everything that it speaks of."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve("Summer, lapsed", seen=approver.campaigns.preview("Summer, lapsed"))
    night = Night(open_workspace(folder, user="scheduler"), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends, night.report):
        step()
    night.close()
    alone = tmp_path / "alone" / "report.html"
    alone.parent.mkdir()
    alone.write_bytes((night_folder(folder, RUN_DATE, dry_run=False) / "report.html").read_bytes())
    return alone


def test_report_stands_alone_reads_in_two_minutes_and_prints(site, report):
    from playwright.sync_api import expect

    page = site.visit(report.as_uri(), width=1100)
    page.context.set_offline(True)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    assert requests == [report.as_uri()]
    assert site.requests == []

    # what needs a person comes first, then what went out and to whom, what it brought, the data and the models
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[:4] == ["Needs a person", "What went out, and to whom", "What campaigns brought", "Data"]
    expect(page.get_by_text("is submitted, not approved").first).to_be_visible()
    expect(page.get_by_role("row", name="Get the message").last).to_be_visible()
    assert page.locator("svg").count() >= 2
    words = len(re.findall(r"[^\W\d_]+", page.locator("body").inner_text()))
    assert words <= 2 * WORDS_A_MINUTE, f"{words} words"

    for scheme, width in (("light", 1100), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == [], scheme
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"the report is wider than a window of {width} pixels, by {over}"
        site.whole_picture(page, f"report_{scheme}_{width}")

    # on paper it is dark on white, whatever the screen is, and few pages
    page.emulate_media(media="print", color_scheme="dark")
    ink = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
    )
    assert ink == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    sheets = page.pdf(format="A4", print_background=True).count(b"/Type /Page\n")
    assert 1 <= sheets <= 6
