"""A marketer plans a campaign in JupyterLab, and a second person approves it there."""

from __future__ import annotations

import re

import nbformat
import pytest

from optinb.base.share import shared
from optinb.demo import APPROVER, AUTHOR, RUN_DATE
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

NAME = "Winter, lapsed buyers"
CHOOSE = "Choose a template …"
SUMMER_SALE = ("Optimove_SummerSale_Android", "Optimove_SummerSale_iOS")
WIN_BACK = ("Optimove_WinBack_Android", "Optimove_WinBack_iOS")
CLUB_NIGHT = ("Optimove_ClubNight_Android", "Optimove_ClubNight_iOS")
POINTS = ("Optimove_Points_Android", "Optimove_Points_iOS")


@pytest.fixture
def notebooks(tmp_path, folder):
    """The notebook as two people have it: one for the marketer, one for the approver."""
    made = tmp_path / "notebooks"
    made.mkdir()
    for user in (AUTHOR, APPROVER):
        notebook = nbformat.read(shared("notebooks/plan_and_approve.ipynb"), as_version=4)
        cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
        cell.source = f"workspace = {str(folder)!r}\nuser = {user!r}"
        nbformat.write(notebook, made / f"{user}.ipynb")
    return made


def test_campaign_goes_from_the_planner_over_the_approval_desk_in_jupyterlab(start_lab, notebooks, folder):
    from playwright.sync_api import expect

    lab = start_lab(notebooks)
    marketer = lab.open(f"{AUTHOR}.ipynb")
    approver = lab.open(f"{APPROVER}.ipynb")
    expect(approver.get_by_text("Nothing waits for a decision.")).to_be_visible(timeout=90_000)

    # the template list follows the app group
    template = marketer.get_by_label("Template", exact=True)
    expect(template).to_be_visible(timeout=90_000)
    app_group = marketer.get_by_label("App group", exact=True)
    app_group.select_option("Shop")
    offered = template.get_by_role("option")
    expect(offered).to_have_text([CHOOSE, *SUMMER_SALE, *WIN_BACK])
    app_group.select_option("Club")
    expect(offered).to_have_text([CHOOSE, *CLUB_NIGHT, *POINTS])
    app_group.select_option("Shop")
    expect(offered).to_have_text([CHOOSE, *SUMMER_SALE, *WIN_BACK])

    # the message and the audience follow what is chosen
    template.select_option("Optimove_WinBack_iOS")
    marketer.get_by_label("Target group").select_option("Lapsed buyers")
    marketer.get_by_label("promo_code: text").fill("WINTER")
    marketer.get_by_label("first_name: if a customer has none").fill("there")
    marketer.get_by_label("Date", exact=True).fill(RUN_DATE.isoformat())
    marketer.get_by_label("Time", exact=True).fill("18:30")
    marketer.get_by_label("Control group, %").fill("20")
    name = marketer.get_by_label("Name of the campaign")
    expect(name).to_have_value("Lapsed buyers, Optimove_WinBack_iOS")
    name.fill(NAME)
    name.press("Enter")
    expect(marketer.get_by_text("Come back with WINTER and we pay the delivery.")).to_be_visible()
    with open_workspace(folder, user=AUTHOR) as ws:
        figures = ws.campaigns.preview(
            {
                "name": NAME,
                "app_group": "Shop",
                "template": "Optimove_WinBack_iOS",
                "group": "Lapsed buyers",
                "control": 0.2,
                "schedule": {"date": RUN_DATE, "at": "18:30"},
                "properties": {
                    "first_name": {"attribute": "first_name", "default": "there"},
                    "promo_code": {"value": "WINTER"},
                },
            }
        ).waterfall
    last_row = marketer.get_by_role("row", name="Get the message")
    expect(last_row.get_by_role("cell").last).to_have_text(f"{figures.recipients:,}")
    first = marketer.get_by_text("1 of 20 examples")
    expect(first).to_be_visible()
    marketer.get_by_role("button", name="Next customer").click()
    expect(marketer.get_by_text("2 of 20 examples")).to_be_visible()
    marketer.get_by_label("Template", exact=True).scroll_into_view_if_needed()
    lab.picture(marketer, "planner")
    # the draft is in the store before anybody submits it
    expect(marketer.get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
    with open_workspace(folder, user=AUTHOR) as ws:
        assert ws.campaigns.get(NAME).state == "draft"
    marketer.get_by_role("button", name="Submit for approval").click()
    expect(marketer.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()

    # it shows on the desk of the second person by itself
    waiting = approver.get_by_label("Waiting for a decision")
    expect(waiting.get_by_role("option")).to_have_text([f"{NAME} (by {AUTHOR})"])
    expect(approver.get_by_text(f"You are {APPROVER}")).to_be_visible()
    approver.get_by_role("button", name="Approve", exact=True).scroll_into_view_if_needed()
    lab.picture(approver, "approval_desk")
    approver.get_by_role("button", name="Approve", exact=True).click()
    expect(approver.get_by_role("status").filter(has_text=f"“{NAME}” is approved")).to_be_visible()
    with open_workspace(folder, user=AUTHOR) as ws:
        record = ws.campaigns.get(NAME)
    assert (record.state, record.author) == ("approved", AUTHOR)
    assert record.approval is not None
    assert record.approval.approver == APPROVER
    assert lab.requests == []
