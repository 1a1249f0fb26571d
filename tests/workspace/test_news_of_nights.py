"""What nights tell unprompted, in a workspace of ten weeks: what changed, and which groups are worth a campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from page_text import text_of

import optinb
from optinb.base.workspace_folder import init_workspace
from optinb.cli import main
from optinb.demo import demo_settings
from optinb.errors import RuleError, StateError, UsageError
from optinb.rules import attributes_of
from optinb.segments.news.kept import NewsFiles
from optinb.show import html, text
from optinb.views.news_view import NewsView

if TYPE_CHECKING:
    from optinb.segments import News, NewsItem
    from optinb.workspace import Workspace

FIRST = date(2026, 8, 3)
QUIET = 41  # the first night that can tell of changes, in which nothing happened
EVENT = range(42, 47)  # in which many French customers leave
PEOPLE = 6_000
COUNTRIES = {"DE": 0.5, "FR": 0.3, "AT": 0.2}


def day(at: int) -> date:
    return FIRST + timedelta(days=at)


class Shop:
    """Customers who move between stages by chance, with the figures that a night's models give."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(5)
        self.country = self.chance.choice([*COUNTRIES], PEOPLE, p=[*COUNTRIES.values()])
        self.is_active = self.chance.random(PEOPLE) < 0.6
        self.value = self.chance.gamma(0.7, 100, PEOPLE)
        self.risk = np.full(PEOPLE, 0.2)

    @property
    def ids(self) -> list[str]:
        return [f"{at:05d}" for at in range(PEOPLE)]

    def live(self, at: int) -> None:
        drawn = self.chance.random(PEOPLE)
        leaving = np.where((self.country == "FR") & (at in EVENT), 0.08, 0.01)
        self.is_active = np.where(self.is_active, drawn >= leaving, drawn < 0.015)
        # at last the risk of many Austrians rises who are worth much
        rises = (self.country == "AT") & (self.chance.random(PEOPLE) < 0.6)
        self.risk = np.where(rises & (at == EVENT[-1]), 0.5, 0.2)

    def states(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "customer_id": self.ids,
                "stage": np.where(self.is_active, "active", "churned"),
                "future_value": self.value,
                "value_segment": np.where(self.value > np.quantile(self.value, 0.6), "high", "low"),
                "churn_risk": self.risk,
            }
        )


def deliver(ws: Workspace, shop: Shop) -> None:
    folder = ws.root / "inbox" / f"{FIRST}"
    folder.mkdir(parents=True)
    pl.DataFrame(
        {
            "customer_id": shop.ids,
            "registered_at": "2026-01-05",
            "external_user_id": [f"x{one}" for one in shop.ids],
            "country": shop.country,
            "push_opt_in": "true",
        }
    ).write_csv(folder / "customers.csv")
    apps = {"customer_id": shop.ids, "app_id": "shop-ios", "push_enabled": "true", "app_version": "9.0"}
    pl.DataFrame(apps).write_csv(folder / "app_users.csv")
    bought = {"transaction_id": ["t1"], "customer_id": ["00000"], "occurred_at": ["2026-08-01"], "amount": [10]}
    pl.DataFrame(bought).write_csv(folder / "transactions.csv")
    ws.import_delivery(FIRST, accept_anyway="the first one")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, dict[int, News]]]:
    """A workspace after six weeks, and what the nights of the last week told."""
    root = tmp_path_factory.mktemp("news") / "ws"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
    shop, told = Shop(), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_NOW", f"{day(EVENT[-1])}T03:00:00+01:00")
        with optinb.open_workspace(root, user="demo-author") as ws:
            deliver(ws, shop)
            ws.model(FIRST)
            features = ws.snapshot().table("features").collect()
            for at in range(EVENT[-1] + 1):
                shop.live(at)
                states = shop.states()
                wide = features.drop(set(states.columns) - {"customer_id"}, strict=False)
                modelled = {"features": wide.join(states, on="customer_id").sort("customer_id")}
                ws.warehouse.publish(modelled, model_date=day(at), history=states)
                if at in (20, QUIET, *EVENT):
                    told[at] = ws.news.look()
            yield ws, told


@pytest.fixture
def ws(lived: tuple[Workspace, dict[int, News]]) -> Workspace:
    return lived[0]


@pytest.fixture(scope="module")
def told(lived: tuple[Workspace, dict[int, News]]) -> dict[int, News]:
    return lived[1]


def everything(told: dict[int, News]) -> list[NewsItem]:
    return [item for news in told.values() for item in news.items]


def test_nothing_is_told_before_four_weeks_are_known_and_why_is_said(told: dict[int, News]) -> None:
    assert told[20].items == () and told[20].looked_at == 0
    assert any("from four weeks of nights on" in reason for reason in told[20].silent)


def test_nothing_is_told_where_nothing_happened(told: dict[int, News]) -> None:
    assert told[QUIET].items == () and told[QUIET].looked_at > 5
    assert told[QUIET].summary() == f"nothing stands out among the {told[QUIET].looked_at:,} groups that were looked at"


def test_a_change_is_told_once_with_where_the_customers_went(ws: Workspace, told: dict[int, News]) -> None:
    # it goes on for days, and Frenchmen are missing among the active: all of that is this one change
    (item,) = [item for item in everything(told) if item.kind != "worth a campaign"]
    assert item.kind == "grew" and attributes_of(item.rule) == {"country", "stage"}
    assert item.text == "(attr('country') == 'FR') & (attr('stage') == 'churned')"
    assert "most came from active" in item.headline and item.change > item.high > item.low
    assert "two halves of the customers" in item.evidence[1]
    # of the night on which it was told
    night = next(at for at, news in told.items() if item in news.items)
    states = ws.snapshot().history(since=day(night), until=day(night)).filter(pl.col("stage") == "churned")
    french = ws.customers().filter(pl.col("country") == "FR")
    assert item.customers == states.join(french, on="customer_id", how="semi").collect().height


def test_a_group_worth_a_campaign_holds_those_whose_risk_rose(ws: Workspace, told: dict[int, News]) -> None:
    (item,) = [item for item in everything(told) if item.kind == "worth a campaign"]
    assert item in told[EVENT[-1]].items
    members = ws.members(item.rule)
    assert set(members["country"]) == {"AT"} and set(members["value_segment"]) == {"high"}
    assert item.customers == members.height and f"a push reaches {members.height:,} customers" in item.evidence[1]
    assert 0.4 < item.low < item.change < item.high < 0.8


def test_what_was_told_is_saved_dismissed_and_brought_back(ws: Workspace, told: dict[int, News]) -> None:
    (item,) = told[EVENT[-1]].items
    record = ws.news.save(item.key, "Worth a message")
    assert ws.members("Worth a message").height == item.customers and record.author == "demo-author"
    assert ws.news.dismiss(item.key).shown == ()
    # not when it is looked at again either, whatever the files of the night say
    again = ws.news.look()
    assert item.key not in {one.key for one in again.items}
    noted = ws.store.audit.newest("news dismissed", subject=item.who)
    assert noted is not None and noted.who == "demo-author"
    ws.news.restore(item.key)
    assert [one.key for one in ws.news.look().shown] == [item.key]
    with pytest.raises(UsageError, match="nothing with the key"):
        ws.news.restore(item.key)
    with pytest.raises(UsageError, match=r"nothing with the key 'nothing' was told"):
        ws.news.save("nothing", "Some group")
    with pytest.raises(RuleError, match="1 to 120 printable"):
        ws.news.save(item.key, " ")


def test_a_night_that_nobody_looked_at_and_files_that_broke_are_told(ws: Workspace) -> None:
    with pytest.raises(UsageError, match=r"nothing is kept of what changed on 2026-08-04: 2026-08-23 to 2026-09-18"):
        ws.news.of("2026-08-04")
    with pytest.raises(UsageError, match=r"can't be looked for: the published models are of 2026-09-18"):
        ws.news.look("2026-08-04")
    path = ws.root / "news" / f"{day(EVENT[-1])}.json"
    content = path.read_bytes()
    path.write_bytes(content[:50])
    with pytest.raises(StateError, match="put the file back from a backup, or remove it"):
        ws.news.of()
    path.write_bytes(content)
    sizes = ws.root / "news" / "sizes" / f"{day(40)}.parquet"
    sizes.write_bytes(b"rubbish")
    assert ws.news.look().looked_at > 0 and NewsFiles(ws.root).sizes(day(40)) is not None


def test_no_file_of_the_news_names_a_customer(ws: Workspace) -> None:
    for path in (ws.root / "news").rglob("*"):
        if path.is_file():
            found = str(pl.read_parquet(path).to_dicts()) if path.suffix == ".parquet" else path.read_text()
            assert "00017" not in found


def test_people_read_it_in_notebooks_terminals_and_the_command(ws: Workspace) -> None:
    news = ws.news.of()
    (item,) = news.shown
    odd = replace(item, headline="a\nvalue\x1b[2J")
    assert "a\\nvalue\\x1b[2J" in text(replace(news, items=(odd,)))
    assert item.headline in text_of(html(news)) and item.key in text(news) and item.evidence[0] in text(news)

    def call(*arguments: str) -> Any:
        where = ["--workspace", str(ws.root)]
        return CliRunner().invoke(main, ["news", *arguments, *where], env={"OPTINB_USER": "demo-author"})

    shown = call("--json")
    assert json.loads(shown.stdout)["items"][0]["key"] == item.key
    assert call("--save", item.key, "By a command").exit_code == 0 and ws.groups.get("By a command")
    assert "give one of them" in call("--look", "--dismiss", item.key).output
    assert "leave it out with" in call("--dismiss", item.key, "--date", "2026-09-18").output
    wrong = call("--dismiss", "12345678")
    assert wrong.exit_code == 2 and "`optinb news` shows the keys" in wrong.output


def test_a_click_saves_plans_or_dismisses(ws: Workspace) -> None:
    planned: list[str] = []
    view = NewsView(ws, plan=planned.append)
    (one,) = view.items
    one.name.value = "From the page"
    one.save.click()
    assert ws.groups.get("From the page").rule_json == one.item.rule_json
    one.plan.click()
    assert planned == ["From the page"]
    one.name.value = ""
    one.plan.click()
    assert planned == ["From the page"] and "1 to 120 printable" in one.result.value
    alone = NewsView(ws)  # in a notebook
    alone.items[0].name.value = "From a notebook"
    alone.items[0].plan.click()
    (planner,) = alone.below.children
    assert planner.group.value == "From a notebook"
    one.dismiss.click()
    assert view.items == () and "Nothing stands out" in view.about.value
    assert NewsView(ws, says_nothing=False).layout.display == "none"
    ws.news.restore(one.item.key)


def test_the_nights_report_tells_it(ws: Workspace, tmp_path: Path) -> None:
    from optinb.nightly import Night

    night = Night(ws, day(EVENT[-1]))
    try:
        night.news()
        summary = night.report()
        assert summary.news == tuple(item.headline for item in ws.news.of().shown) and summary.news
        page = (night.folder / "report.html").read_text()
        assert "What changed, and whom to look at" in text_of(page) and summary.news[0] in text_of(page)
    finally:
        night.close()
