"""The page without code, in a real browser: from the plan over the approval and the night to a recall, tab by tab."""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import quote

import pytest
from accessibility import faults
from pages_server import open_tab, serving
from stated_templates import state_any_time

from optinb.base.figures import day
from optinb.delivery.send_watch import watch
from optinb.demo import APPROVER, AUTHOR, RUN_DATE
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(290)]

NAME = "Winter, lapsed buyers"
TABS = ("groups", "plan", "approve", "calendar", "sends")


@pytest.fixture
def templates(folder):
    """The templates, as the marketer's last import left them."""
    with open_workspace(folder, user=AUTHOR) as ws:
        ws.templates.sync()
        state_any_time(ws)


def test_campaign_goes_from_the_plan_to_a_recall_on_pages_without_code(site, folder, templates, sandbox, tmp_path):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR) as his, serving(folder, tmp_path, user=APPROVER) as hers:
        marketer = site.visit(his.address())
        expect(marketer.get_by_role("heading", name="Push campaigns")).to_be_visible(timeout=90_000)
        expect(open_tab(marketer).get_by_label("Template", exact=True)).to_be_visible(timeout=90_000)
        assert "views.page" not in marketer.content()

        # the plan, with an offer that a property tells of
        open_tab(marketer).get_by_label("App group", exact=True).select_option("Shop")
        open_tab(marketer).get_by_label("Template", exact=True).select_option("Optimove_WinBack_iOS")
        open_tab(marketer).get_by_label("Target group").select_option("Lapsed buyers")
        open_tab(marketer).get_by_label("Offer", exact=True).fill("Free delivery")
        open_tab(marketer).get_by_label("Its value").fill("WINTER")
        open_tab(marketer).get_by_label("promo_code", exact=True).select_option("The offer's value")
        open_tab(marketer).get_by_label("first_name: if a customer has none").fill("there")
        open_tab(marketer).get_by_label("Date", exact=True).fill(RUN_DATE.isoformat())
        open_tab(marketer).get_by_label("Time", exact=True).fill("18:30")
        name = open_tab(marketer).get_by_label("Name of the campaign")
        name.fill(NAME)
        name.press("Enter")
        expect(open_tab(marketer).get_by_text("Come back with WINTER and we pay the delivery.")).to_be_visible()
        expect(open_tab(marketer).get_by_text(f"Goes out on {day(RUN_DATE)} at 18:30.")).to_be_visible()
        expect(open_tab(marketer).get_by_text("What this test can detect")).to_be_visible()
        expect(open_tab(marketer).get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
        site.whole_picture(marketer, "pages_plan")

        # a closed browser and a new kernel lose nothing
        marketer.reload()
        expect(open_tab(marketer).get_by_label("Name of the campaign")).to_have_value(NAME, timeout=90_000)
        expect(open_tab(marketer).get_by_label("Offer", exact=True)).to_have_value("Free delivery")
        marketer.get_by_role("button", name="Submit for approval").click()
        expect(marketer.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()

        # another person, with a server and a kernel of her own
        approver = site.visit(hers.address(tab="approve", campaign=quote(NAME)))
        expect(approver.get_by_text(f"You are {APPROVER}")).to_be_visible(timeout=90_000)
        expect(open_tab(approver).get_by_text("It was never approved before.")).to_be_visible()
        site.whole_picture(approver, "pages_approve")
        open_tab(approver).get_by_label("Comment", exact=True).fill("Fine.")
        approver.get_by_role("button", name="Approve", exact=True).click()
        expect(approver.get_by_role("status").filter(has_text=f"“{NAME}” is approved")).to_be_visible()
        expect(open_tab(marketer).get_by_text(f"{APPROVER} approved this at")).to_be_visible()

        approver.get_by_role("tab", name="Calendar").click()
        expect(open_tab(approver).get_by_text(f"18:30 {NAME}")).to_be_visible()
        site.picture(approver, "pages_calendar")

        # the monitor is open while another process runs the night
        watcher = site.visit(hers.address("monitor"))  # as it was called before there were tabs
        expect(watcher.get_by_text("No night has run yet.")).to_be_visible(timeout=90_000)
        night = subprocess.run(
            [sys.executable, "-m", "optinb", "nightly", "--workspace", str(folder), "--date", str(RUN_DATE)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert night.returncode == 0, night.stderr
        with open_workspace(folder, user=AUTHOR) as ws:
            recipients = watch(ws.context, ws.store, RUN_DATE).sends[0].audience.recipients
        expect(watcher.get_by_text(f"{recipients} of {recipients} recipients")).to_be_visible()
        expect(watcher.get_by_role("progressbar", name=NAME)).to_have_attribute("aria-valuenow", str(recipients))
        site.picture(watcher, "pages_monitor")

        # a recall, in two steps
        watcher.get_by_role("button", name="Recall …").click()
        expect(watcher.get_by_role("alert").filter(has_text=f"This cancels “{NAME}”")).to_be_visible()
        watcher.get_by_role("button", name="No, let it go out").click()
        expect(watcher.get_by_role("button", name="Yes, recall it")).to_be_hidden()
        watcher.get_by_role("button", name="Recall …").click()
        open_tab(watcher).get_by_label("Why", exact=True).fill("wrong code")
        watcher.get_by_role("button", name="Yes, recall it").click()
        expect(watcher.get_by_text(f"{recipients} recalled")).to_be_visible()
        expect(watcher.get_by_text("Stopped by a person: wrong code")).to_be_visible()
        site.picture(watcher, "pages_recalled")
    with open_workspace(folder, user=AUTHOR) as ws:
        assert ws.campaigns.get(NAME).state == "cancelled"
    dispatches = sandbox.world.dispatches
    assert sum(len(dispatch.ids) for dispatch in dispatches) == recipients
    assert all(dispatch.plans[-1].until for dispatch in dispatches), "something is still to go out"
    assert site.requests == []


def test_pages_are_accessible_in_both_themes_and_a_narrow_window(site, folder, templates, tmp_path):
    from playwright.sync_api import expect

    with open_workspace(folder, user=AUTHOR) as ws:
        ws.campaigns.submit(
            {
                "name": NAME,
                "app_group": "Shop",
                "template": "Optimove_WinBack_iOS",
                "group": "Lapsed buyers",
                "schedule": {"every": "week", "days": ["friday"], "at": "18:30", "clock": "local"},
                "properties": {
                    "first_name": {"attribute": "first_name", "default": "there"},
                    "promo_code": {"value": "WINTER"},
                },
            }
        )
    ready = {
        "groups": "How many",
        "plan": "Still missing: an app group",
        "approve": "Since last time",
        "calendar": NAME,
        "sends": "No night has",
    }
    with serving(folder, tmp_path, user=APPROVER) as pages:
        for theme, width in (("light", 1440), ("light", 1024), ("dark", 390)):
            page = site.visit(pages.address(tab=TABS[0], theme=theme), width=width)
            for tab in TABS:
                if tab != TABS[0]:
                    page.get_by_role("tab", name=tab).click()
                expect(page.get_by_text(ready[tab]).locator("visible=true").first).to_be_visible(timeout=90_000)
                expect(page.get_by_text(f"You are {APPROVER}")).to_be_visible()
                assert faults(page) == [], f"{tab}, {theme}"
                over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert over <= 0, f"{tab} is wider than a window of {width} pixels, by {over}"
                site.whole_picture(page, f"pages_{tab}_{theme}_{width}")
            page.context.close()
    assert site.requests == []


def test_the_address_follows_the_tabs_and_the_tabs_follow_the_address(site, folder, templates, tmp_path):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR, options=("--base-url", "/crm/pages/")) as pages:
        page = site.visit(f"{pages.url}/crm/pages/?token={pages.token}&tab=groups&group=Lapsed+buyers")
        chosen = open_tab(page).get_by_label("Target group", exact=True).first
        expect(chosen).to_have_value("Lapsed buyers", timeout=90_000)
        expect(page).to_have_url(
            re.compile(r"/crm/pages/voila/render/workbench.ipynb\?tab=groups&group=Lapsed\+buyers$")
        )
        open_tab(page).get_by_label("Name of the group").fill("Half written")

        # by keyboard: the tabs are one stop, with arrows between them
        page.get_by_role("tab", name="Groups").focus()
        page.keyboard.press("ArrowRight")
        if page.get_by_role("tab", name="Plan").get_attribute("aria-selected") != "true":
            page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name="Plan")).to_have_attribute("aria-selected", "true")
        expect(open_tab(page).get_by_label("Template", exact=True)).to_be_visible()
        expect(page).to_have_url(re.compile(r"\?tab=plan$"))

        page.go_back()
        expect(page.get_by_role("tab", name="Groups")).to_have_attribute("aria-selected", "true")
        expect(open_tab(page).get_by_label("Name of the group")).to_have_value("Half written")

        # an address of something that nobody knows
        page.goto(f"{pages.url}/crm/pages/?tab=approve&campaign=Nothing")
        expect(page.get_by_role("alert").filter(has_text="campaign 'Nothing' isn't known")).to_be_visible(
            timeout=90_000
        )


def test_planner_is_reached_and_filled_by_keyboard_alone(site, folder, templates, tmp_path):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR) as pages:
        page = site.visit(pages.address())
        expect(page.get_by_text("Still missing: an app group").first).to_be_visible(timeout=90_000)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the page")).to_be_focused()
        page.keyboard.press("Enter")
        seen, wanted = [], "Submit for approval"
        label = """() => { const e = document.activeElement;
          return (e.labels?.[0]?.textContent || e.getAttribute("aria-label") || e.textContent).trim(); }"""
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(label))
            match seen[-1] if seen[-1] not in seen[:-1] else "":
                case "App group":
                    page.keyboard.type("Shop")
                    page.wait_for_timeout(1_500)  # until the templates of the app group are offered
                case "Template":
                    page.keyboard.type("Optimove_S")
                    page.wait_for_timeout(1_500)  # until what the template needs is asked for
                case "Date":
                    page.keyboard.type("11242026")
                case "Time":
                    page.keyboard.type("0630PM")
                case "Target group":
                    page.keyboard.type("Lapsed")
                case "promo_code: text":
                    page.keyboard.type("WINTER")
                case "Name of the campaign":
                    page.keyboard.press("Control+a")
                    page.keyboard.type(NAME)
            if seen[-1] == wanted:
                break
        assert [name for name in seen if not name] == [], "a control without a label takes the focus"
        order = ["Campaign", "App group", "Template", "Target group", "Offer", "promo_code: text", "Goes out", wanted]
        assert [name for name in seen if name in order] == order
        expect(open_tab(page).get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()
    with open_workspace(folder, user=AUTHOR) as ws:
        record = ws.campaigns.get(NAME)
    assert (record.state, record.campaign.group) == ("submitted", "Lapsed buyers")
