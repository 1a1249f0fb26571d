from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from optinb.base.settings import LifecycleSection
from optinb.customers import STAGES, forecast_stages, purchase_days
from optinb.customers.model import model_customers
from optinb.customers.moves import past_stages

NIGHT = date(2026, 6, 30)
SETTINGS = LifecycleSection()


def modelled(tables, night: date):
    return model_customers(*tables, run_date=night, settings=SETTINGS)


@pytest.fixture(scope="module")
def tonight(shop):
    return modelled(shop, NIGHT)


def test_the_stages_of_a_past_day_are_those_that_were_told_then(shop, tonight):
    days = [NIGHT - timedelta(days=56), NIGHT]
    bought = purchase_days(shop.transactions, run_date=NIGHT)
    stages = past_stages(bought, tonight.table, run_date=NIGHT, days=days, settings=SETTINGS)
    assert stages[f"{NIGHT}"].to_list() == tonight.table["stage"].to_list()
    then = modelled(shop, days[0]).table.with_columns(now=stages[f"{days[0]}"]).filter(pl.col("now").is_not_null())
    assert then.filter(pl.col("stage") != pl.col("now")).is_empty()


def test_the_forecast_beats_the_guess_that_nothing_changes(tonight):
    found = tonight.card.stages
    assert found.reason is None
    assert found.error < found.naive_error
    assert not found.loses


def test_moves_are_shares_and_sizes_add_up(tonight):
    found = tonight.card.stages
    assert all(sum(row) == pytest.approx(1) for row in found.moves)
    assert sum(found.long_run) == pytest.approx(1)
    assert [sum(sizes) for sizes in found.sizes] == pytest.approx(
        [3300 + step * sum(found.arrivals) for step in range(len(found.sizes))]
    )
    stay = dict(zip(STAGES, found.stay_days, strict=True))
    assert stay["active"] is not None and stay["active"] > 28


def test_a_short_history_has_no_forecast_and_says_why(frames, night):
    tables = frames(ids="ab", bought=[("a", 50, 5.0), ("b", 3, 5.0)])
    result = modelled(tables, night)
    assert result.card.stages.reason == "the history is 50 days long; 112 are needed"
    assert "No forecast of the stages: the history is 50 days long; 112 are needed." in result.card.lines()
    bought = purchase_days(frames(ids="", bought=[]).transactions, run_date=night)
    assert forecast_stages(bought, result.table, run_date=night, settings=SETTINGS).reason is not None
