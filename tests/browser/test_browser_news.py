"""What a night told unasked, in a real browser: read above the target groups, planned for by a click, and dismissed."""

from __future__ import annotations

import pytest
from accessibility import faults
from pages_server import open_tab, serving

from optinb import attr
from optinb.demo import AUTHOR, RUN_DATE
from optinb.rules import to_json
from optinb.segments import News, NewsItem
from optinb.segments.news.kept import NewsFiles
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(290)]


@pytest.fixture
def told(folder):
    """A night that told of two groups."""

    def item(key, country, headline):
        return NewsItem(
            key=key,
            kind="grew",
            rule_json=to_json(attr("country") == country),
            who=f"country is {country}",
            headline=headline,
            evidence=("−2.1% to +3.0% would be usual this week", "+31.2% and +30.4% in two halves of the customers"),
            customers=900,
            change=0.31,
            low=-0.02,
            high=0.03,
        )

    items = (
        item("11111111", "DE", "31% more than a week ago: 900 customers of whom country is DE (690 then)"),
        item("22222222", "AT", "18% more than a week ago: 300 customers of whom country is AT (254 then)"),
    )
    NewsFiles(folder).keep(News(night=RUN_DATE, items=items, looked_at=411))


def test_a_click_plans_for_a_group_that_was_told_of_and_another_dismisses_one(site, folder, told, sandbox, tmp_path):
    from playwright.sync_api import expect

    with serving(folder, tmp_path, user=AUTHOR) as server:
        page = site.visit(server.address(tab="groups"))
        tab = open_tab(page)
        expect(tab.get_by_text("31% more than a week ago")).to_be_visible(timeout=90_000)
        expect(tab.get_by_text("2 of 411 groups that were looked at stand out")).to_be_visible()
        site.picture(page, "pages_news")
        assert faults(page) == []
        tab.get_by_role("button", name="Dismiss").last.click()
        expect(tab.get_by_text("18% more than a week ago")).to_be_hidden()
        tab.get_by_role("button", name="Plan a campaign", exact=True).click()
        expect(open_tab(page).get_by_label("Target group")).to_have_value("country is DE", timeout=60_000)
    with open_workspace(folder, user=AUTHOR) as ws:
        assert [item.key for item in ws.news.of().shown] == ["11111111"]
        assert ws.groups.get("country is DE").rule_json == to_json(attr("country") == "DE")
