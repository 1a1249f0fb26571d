from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optinb import show
from optinb.campaigns import Campaign
from optinb.demo import RUN_DATE
from optinb.errors import CampaignError, RuleError, UsageError
from optinb.rules import attr
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from optinb.workspace import Workspace

NEXT = RUN_DATE + timedelta(days=1)


@pytest.fixture
def two_nights(ws: Workspace) -> Workspace:
    ws.model(NEXT)
    return ws


def test_moves_between_two_nights_are_counted_and_listed(two_nights: Workspace) -> None:
    moves = two_nights.migration(RUN_DATE, NEXT)
    assert (moves.since, moves.until) == (RUN_DATE, NEXT)
    assert sum(move.customers for move in moves.moves) == 2001
    before = two_nights.history("stage", since=RUN_DATE, until=RUN_DATE)
    for stage, count in before.select("stage", "customers").iter_rows():
        assert sum(move.customers for move in moves.moves if move.before == stage) == count
    moved = two_nights.changers(RUN_DATE, NEXT, by="stage")
    assert moved.height == sum(move.customers for move in moves.moves if move.before != move.after)
    assert "active" in show.html(moves)
    with pytest.raises(UsageError, match=r"no moves are known of 'stag' .*; did you mean 'stage'"):
        two_nights.migration(RUN_DATE, NEXT, by="stag")
    with pytest.raises(UsageError, match="no night up to 2020-01-01 was modelled; the first is 2026-11-23"):
        two_nights.migration("2020-01-01", NEXT)


def test_labels_and_their_model_are_kept_from_night_to_night(two_nights: Workspace) -> None:
    cards = [two_nights.model_card(night) for night in (RUN_DATE, NEXT)]
    assert [card.run_date for card in cards] == [RUN_DATE, NEXT]
    assert [card.segments.version for card in cards] == [1, 1]
    assert cards[1].segments.drift is not None
    with pytest.raises(UsageError, match="no model card is kept of 2020-01-01"):
        two_nights.model_card("2020-01-01")


def test_everything_about_a_customer_is_on_one_card(ws: Workspace) -> None:
    ws.groups.save("Everybody", (attr("country") == "DE") | ~(attr("country") == "DE"))
    best = ws.customers().sort("spend", descending=True, nulls_last=True).first().collect().row(0, named=True)
    card = ws.customer(best["customer_id"])
    assert card.is_known and card.stage == best["stage"]
    assert sum(month.spend for month in card.months) >= best["spend"] - 0.01
    assert [span.stage for span in card.stages] == [best["stage"]]
    assert "Everybody" in card.groups
    assert card.future["future_value"] == best["future_value"]
    assert card.about
    assert best["customer_id"] in show.html(card)
    assert "future_value" in show.text(card)
    assert not ws.customer("nobody").is_known


def test_a_group_that_needs_what_no_model_tells_is_refused_with_the_reason(ws: Workspace) -> None:
    reason = "in the backtest BG/NBD lost to a naive guess"
    features = ws.snapshot().table("features").collect()
    ws.groups.save("Valuable", attr("future_value") > 100)
    Warehouse(ws.root, ws.settings).publish(
        {
            "features": features.drop("future_value"),
            "untold": pl.DataFrame({"attribute": ["future_value"], "reason": [reason]}),
        },
        model_date=RUN_DATE,
    )
    with pytest.raises(RuleError, match=f"no model tells 'future_value': {reason}"):
        ws.groups.count("Valuable")
    with pytest.raises(RuleError, match=f"no model tells 'future_value': {reason}"):
        ws.discover("future_value")
    record = ws.groups.get("Valuable")
    template = next(t.name for t in ws.templates.list("Shop") if t.usable)
    campaign = ws.campaigns.read({
        "name": "For the valuable", "app_group": "Shop", "template": template, "group": record.name, "control": 0.1,
        "schedule": {"date": RUN_DATE, "at": "18:30"}, "properties": {},
    })  # fmt: skip
    assert isinstance(campaign, Campaign)
    with pytest.raises((RuleError, CampaignError), match="no model tells 'future_value'"):
        ws.campaigns.audience(ws.campaigns.resolve(campaign))


def test_a_card_is_shown_with_its_backtest_and_its_plots(ws: Workspace) -> None:
    html = show.html(ws.model_card())
    assert "the last window again" in html and "published" in html
    assert "churn risk came true" in html and "<svg" in html


class GivenUpError(Exception):
    """Somebody doesn't want to wait any more."""


def test_models_tell_how_far_they_are_and_given_up_at_any_step_publish_nothing(ws: Workspace) -> None:
    version = ws.warehouse.current
    told: list[tuple[int, str]] = []
    ws.model(NEXT, on_progress=lambda done, what="", /: told.append((done, what)))
    assert [what for _, what in told if what][:2] == ["days of purchases", "features and stages"]
    assert told[-1] == (0, "publishing") and 50 < sum(done for done, _ in told) <= 100
    assert ws.warehouse.current == version + 1
    for step in (0, len(told) // 2, len(told) - 1):
        heard: list[str] = []

        def give_up(_done: int, what: str = "", /, *, step: int = step, heard: list[str] = heard) -> None:
            if len(heard) == step:
                raise GivenUpError
            heard.append(what)

        with pytest.raises(GivenUpError):
            ws.model(NEXT, on_progress=give_up)
        assert ws.warehouse.current == version + 1 and len(heard) == step


def test_a_count_that_is_under_way_keeps_its_version_while_the_next_one_is_published(ws: Workspace) -> None:
    before = ws.snapshot()
    ws.model(NEXT)
    assert ws.snapshot().version == before.version + 1
    assert before.scan("transactions").select(pl.len()).collect().item() > 0
