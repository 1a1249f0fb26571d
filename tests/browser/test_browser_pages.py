"""The page without code, in a real browser: from the plan over the approval and the night to a recall, tab by tab."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import timedelta
from urllib.parse import quote

import polars as pl
import pytest
from accessibility import faults
from pages_server import open_tab, serving
from stated_templates import state_any_time

from optinb.base.figures import day
from optinb.delivery.send_watch import watch
from optinb.demo import APPROVER, AUTHOR, RUN_DATE
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(290)]

LISTED = ["outcome", "external_user_id"]
GROUP = "Germans"
NAME = f"{GROUP}, Optimove_WinBack_iOS"  # as the planner suggests it
TABS = ("groups", "plan", "approve", "calendar", "sends", "results")


@pytest.fixture
def templates(folder):
    """The templates, as the marketer's last import left them."""
    with open_workspace(folder, user=AUTHOR) as ws:
        ws.templates.sync()
        state_any_time(ws)


@pytest.fixture
def nothing_saved(folder):
    """The workspace with its data and its templates, but no target group and no campaign."""
    for file in folder.glob("state.sqlite*"):
        file.unlink()
    with open_workspace(folder, user=AUTHOR) as ws:
        ws.templates.sync()


FOCUSED = """() => { const e = document.activeElement;
  return (e.labels?.[0]?.textContent || e.getAttribute("aria-label") || e.textContent).trim(); }"""


class Hand:
    """Somebody's hand in the open tab: `clicks` counts each press on a control, a choice from a list as one of them.

    What is typed, and going on with Tab or Enter in between, isn't counted; the time of both is.
    """

    def __init__(self, page):
        self.page, self.clicks, self.since = page, 0, time.monotonic()

    def _control(self, role, name):
        found = open_tab(self.page).get_by_role(role, name=name, exact=True).locator("visible=true")
        return found if role != "tab" else self.page.get_by_role(role, name=name)

    def click(self, name, *, role="button"):
        self.clicks += 1
        self._control(role, name).click()

    def choose(self, name, option, *, at=0):
        self.clicks += 1
        control = self._control("combobox", name).nth(at)
        control.select_option(option)
        control.focus()

    def write(self, name, text):
        self.clicks += 1
        open_tab(self.page).get_by_label(name, exact=True).locator("visible=true").first.click()
        self.type(text)

    def go_on(self, name, *, within=6):
        """Goes on to a control with Tab; all that are passed have a name."""
        passed = []
        for _ in range(within):
            self.page.keyboard.press("Tab")
            passed.append(self.page.evaluate(FOCUSED))
            if passed[-1] == name:
                assert all(passed), "a control without a label takes the focus"
                return
        raise AssertionError(f"{name} isn't near: {passed}")

    def type(self, text):
        self.page.keyboard.type(text)


def test_campaign_goes_from_nothing_over_the_approval_and_the_night_to_a_recall_on_pages_without_code(
    site, folder, nothing_saved, sandbox, tmp_path
):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR) as his, serving(folder, tmp_path, user=APPROVER) as hers:
        marketer = site.visit(his.address(), height=900)
        expect(marketer.get_by_role("heading", name="Push campaigns")).to_be_visible(timeout=90_000)
        hint = open_tab(marketer).get_by_text("No target group is saved yet; save one under Groups above.")
        expect(hint).to_be_visible(timeout=90_000)
        assert "views.page" not in marketer.content()
        hand = Hand(marketer)

        # a target group, from a list of attributes that is open already, and a value in its chart
        hand.click("Groups", role="tab")
        open_tab(marketer).get_by_label("Attributes", exact=True).select_option("country (text)")
        hand.clicks += 1
        hand.click("DE")
        expect(open_tab(marketer).get_by_text("country is DE")).to_be_visible()
        hand.write("Name of the group", GROUP)
        marketer.keyboard.press("Enter")
        saved = open_tab(marketer).get_by_text(f"“{GROUP}” is saved as version 1.")
        expect(saved).to_be_in_viewport()
        hand.click("Plan a campaign with it")

        # both kinds of phone, each with its template, and two variants, of which one says something else
        expect(open_tab(marketer).get_by_label("Target group")).to_have_value(GROUP)
        hand.choose("App group", "Shop")
        hand.choose("Template", "Optimove_WinBack_iOS")
        hand.click("Add Optimove_WinBack_Android for Android phones")
        expect(open_tab(marketer).get_by_label("Template for Android phones", exact=True)).to_have_value(
            "Optimove_WinBack_Android"
        )
        hand.write("promo_code: text", "WINTER")
        hand.click("Add a variant")
        hand.choose("promo_code", "The same text for everybody", at=2)
        texts = open_tab(marketer).get_by_label("promo_code: text", exact=True).locator("visible=true")
        expect(texts).to_have_count(2)
        hand.go_on("promo_code: text")
        hand.type("SNOW")
        hand.write("Date", f"{RUN_DATE:%m%d%Y}")
        hand.go_on("Time")
        hand.type("0630PM")
        seconds = time.monotonic() - hand.since
        expect(open_tab(marketer).get_by_text(f"Goes out on {day(RUN_DATE)} at 18:30.")).to_be_visible()
        expect(open_tab(marketer).get_by_text("What this test can detect")).to_be_visible()
        expect(open_tab(marketer).get_by_text("and we pay the delivery.").last).to_be_visible()
        expect(open_tab(marketer).get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
        site.whole_picture(marketer, "pages_plan")

        # a closed browser and a new kernel lose nothing
        marketer.reload()
        expect(open_tab(marketer).get_by_label("Name of the campaign")).to_have_value(NAME, timeout=90_000)
        expect(open_tab(marketer).get_by_label("Name of the variant")).to_have_count(2)
        hand.since = time.monotonic()
        hand.click("Send me a test")
        expect(open_tab(marketer).get_by_text("test customers")).to_be_visible()
        hand.click("Submit for approval")
        expect(marketer.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()
        seconds += time.monotonic() - hand.since
        print(f"from nothing to submitted: {hand.clicks} clicks, {seconds:.0f} s")
        assert hand.clicks <= 15, f"{hand.clicks} clicks"

        # another person, with a server and a kernel of her own
        approver = site.visit(hers.address(tab="approve", campaign=quote(NAME)))
        expect(approver.get_by_text(f"You are {APPROVER}")).to_be_visible(timeout=90_000)
        expect(open_tab(approver).get_by_text("It was never approved before.")).to_be_visible()
        site.whole_picture(approver, "pages_approve")
        her = Hand(approver)  # by keyboard alone
        approver.get_by_role("tab", name="Approve").focus()
        her.go_on("Comment")
        her.type("Fine.")
        her.go_on("Approve")
        approver.keyboard.press("Enter")
        expect(approver.get_by_role("status").filter(has_text=f"“{NAME}” is approved")).to_be_visible()
        expect(open_tab(marketer).get_by_text(f"{APPROVER} approved this at")).to_be_visible()

        approver.get_by_role("tab", name="Calendar").click()
        expect(open_tab(approver).get_by_text(f"18:30 {NAME}")).to_be_visible()
        site.picture(approver, "pages_calendar")

        # an entry that is dragged, or sent by the keyboard, to another day moves only after it is said what that does
        entry = open_tab(approver).locator("button.ob-going", has_text=NAME)
        thursday = open_tab(approver).locator(f'td[data-day="{RUN_DATE + timedelta(days=3)}"]')
        entry.drag_to(thursday)
        question = open_tab(approver).get_by_text(f"for {RUN_DATE + timedelta(days=3)}, which must be approved again")
        expect(question).to_be_visible()
        site.picture(approver, "pages_calendar_dragged")
        open_tab(approver).get_by_role("button", name="Leave it").click()
        expect(question).to_be_hidden()
        thursday.get_by_role("button", name="Move it to Thu 26 Nov").press("Enter")
        expect(question).to_be_visible()
        expect(open_tab(approver).get_by_label("Move to")).to_be_focused()
        open_tab(approver).get_by_role("button", name="Leave it").click()

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
            watched = watch(ws.context, ws.store, RUN_DATE).sends
        sends = {send.title: send.audience.recipients for send in watched}
        lists = [pl.read_parquet(folder / send.audience.path, columns=LISTED) for send in watched]
        assert len(sends) == 4  # two variants on two kinds of phone
        for title, recipients in sends.items():
            bar = watcher.get_by_role("progressbar", name=title)
            expect(bar).to_have_attribute("aria-valuetext", f"{recipients} of {recipients}")
        site.picture(watcher, "pages_monitor")

        # a recall, in two steps
        watcher.get_by_role("button", name="Recall …").click()
        expect(watcher.get_by_role("alert").filter(has_text=f"This cancels “{NAME}”")).to_be_visible()
        watcher.get_by_role("button", name="No, let it go out").click()
        expect(watcher.get_by_role("button", name="Yes, recall it")).to_be_hidden()
        watcher.get_by_role("button", name="Recall …").click()
        open_tab(watcher).get_by_label("Why", exact=True).fill("wrong code")
        watcher.get_by_role("button", name="Yes, recall it").click()
        expect(watcher.get_by_text(f"{sum(sends.values())} recalled")).to_be_visible()
        expect(watcher.get_by_text("Stopped by a person: wrong code")).to_have_count(4)
        site.picture(watcher, "pages_recalled")
    with open_workspace(folder, user=AUTHOR) as ws:
        assert ws.campaigns.get(NAME).state == "cancelled"
    dispatches = [one for one in sandbox.world.dispatches if one.schedule is not None]  # the others are the test
    asked_for = sorted(one for dispatch in dispatches for one in dispatch.ids)
    assert asked_for == sorted(pl.concat(lists).filter(pl.col("outcome") == "recipient")["external_user_id"])
    assert len(asked_for) == sum(sends.values())
    assert all(dispatch.plans[-1].until for dispatch in dispatches), "something is still to go out"
    assert site.requests == []


def test_every_tab_is_accessible_and_fits_in_both_themes_at_every_width(site, folder, templates, tmp_path):
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
        "groups": "Choose an attribute to see its values.",
        "plan": "Still missing: an app group",
        "approve": "Since last time",
        "calendar": NAME,
        "sends": "No night has",
        "results": "Nothing has gone out yet",
    }
    with serving(folder, tmp_path, user=APPROVER) as pages:
        for theme in ("light", "dark"):
            page = site.visit(pages.address(tab=TABS[0], theme=theme))
            for tab in TABS:
                if tab != TABS[0]:
                    page.get_by_role("tab", name=tab).click()
                expect(page.get_by_text(ready[tab]).locator("visible=true").first).to_be_visible(timeout=90_000)
                if tab == "plan":
                    open_tab(page).get_by_label("Campaign", exact=True).select_option(index=1)
                    expect(open_tab(page).get_by_role("row", name="Get the message")).to_be_visible()
                expect(page.get_by_text(f"You are {APPROVER}")).to_be_visible()
                for width in (1440, 1024, 390):
                    page.set_viewport_size({"width": width, "height": 1500})
                    assert faults(page) == [], f"{tab}, {theme}, {width}"
                    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    assert over <= 0, f"{tab} is wider than a window of {width} pixels, by {over}"
                    site.picture(page, f"pages_{tab}_{theme}_{width}")
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


def test_group_phones_and_variants_are_reached_and_filled_by_keyboard_alone(site, folder, nothing_saved, tmp_path):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR) as pages:
        page = site.visit(pages.address(tab="groups"))
        expect(open_tab(page).get_by_label("Search attributes")).to_be_visible(timeout=90_000)
        hand, keys = Hand(page), page.keyboard
        page.get_by_role("tab", name="Groups").focus()
        hand.go_on("Search attributes", within=20)
        hand.type("count")
        expect(open_tab(page).get_by_role("option", name="country (text)")).to_be_attached()
        keys.press("Enter")
        expect(open_tab(page).get_by_label("Comparison")).to_be_focused()
        expect(open_tab(page).get_by_label("Value", exact=True)).to_be_visible()
        hand.go_on("Value")
        hand.type("d")
        expect(open_tab(page).locator("datalist option[value='DE']").first).to_be_attached()
        keys.press("Enter")
        expect(open_tab(page).get_by_text("country is DE")).to_be_visible()
        hand.go_on("Name of the group", within=40)
        hand.type(GROUP)
        keys.press("Enter")
        expect(open_tab(page).get_by_text(f"“{GROUP}” is saved as version 1.")).to_be_visible()
        hand.go_on("Plan a campaign with it")
        keys.press("Enter")

        # the planner, from its tab on
        expect(open_tab(page).get_by_label("Target group")).to_have_value(GROUP)
        page.get_by_role("tab", name="Plan").focus()
        hand.go_on("App group")
        hand.type("Shop")
        expect(open_tab(page).get_by_role("option", name="Optimove_WinBack_iOS")).to_be_attached()
        hand.go_on("Template")
        hand.type("Optimove_WinBack_i")
        added = "Add Optimove_WinBack_Android for Android phones"
        expect(open_tab(page).get_by_role("button", name=added)).to_be_visible()
        hand.go_on(added)
        keys.press("Enter")
        expect(open_tab(page).get_by_label("Template for Android phones", exact=True)).to_have_value(
            "Optimove_WinBack_Android"
        )
        page.get_by_role("combobox", name="Target group").focus()
        hand.go_on("promo_code: text", within=8)
        hand.type("WINTER")
        hand.go_on("Add a variant")
        keys.press("Enter")
        second = open_tab(page).get_by_label("Name of the variant").nth(1)
        expect(second).to_have_value("B")
        origins = open_tab(page).get_by_label("promo_code", exact=True).locator("visible=true")
        expect(origins).to_have_count(3)  # the campaign's, and those of both variants
        hand.go_on("promo_code", within=12)  # of the variant A
        hand.go_on("promo_code", within=12)
        hand.type("The same")
        texts = open_tab(page).get_by_label("promo_code: text", exact=True).locator("visible=true")
        expect(texts).to_have_count(2)
        hand.go_on("promo_code: text")
        hand.type("SNOW")
        hand.go_on("Date", within=8)
        hand.type(f"{RUN_DATE:%m%d%Y}")
        hand.go_on("Time")
        hand.type("0630PM")
        expect(open_tab(page).get_by_text("Everything is there.")).to_be_visible()
        expect(open_tab(page).get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
        hand.go_on("Submit for approval", within=14)
        keys.press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()


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
                    offered = open_tab(page).get_by_label("Template", exact=True).locator("option")
                    expect(offered.filter(has_text="Optimove_SummerSale").first).to_be_attached()
                case "Template":
                    page.keyboard.type("Optimove_S")
                    expect(open_tab(page).get_by_label("promo_code: text")).to_be_visible()
                case "Date":
                    page.keyboard.type("11242026")
                case "Time":
                    page.keyboard.type("0630PM")
                case "Target group":
                    page.keyboard.type("Lapsed")
                case "promo_code: text":
                    page.keyboard.type("WINTER")
                case "Name of the campaign":
                    # a person sees the name that is suggested before they write another one
                    expect(open_tab(page).get_by_label(seen[-1])).to_have_value(re.compile("^Lapsed buyers, "))
                    page.keyboard.press("Control+a")
                    page.keyboard.type(NAME)
            if seen[-1] == wanted:
                break
        assert [name for name in seen if not name] == [], "a control without a label takes the focus"
        order = ["Campaign", "App group", "Template", "Target group", "Offer", "promo_code: text", "Goes out", wanted]
        assert [name for name in seen if name in order] == order
        expect(open_tab(page).get_by_text("Everything is there.")).to_be_visible()
        expect(open_tab(page).get_by_text(re.compile("^Saved Mon 23 Nov 2026"))).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"“{NAME}” is submitted")).to_be_visible()
    with open_workspace(folder, user=AUTHOR) as ws:
        record = ws.campaigns.get(NAME)
    assert (record.state, record.campaign.group) == ("submitted", "Lapsed buyers")
