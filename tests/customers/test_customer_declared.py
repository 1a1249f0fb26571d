from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from optinb.base.settings import FeatureSection, parse_settings
from optinb.customers import build_features, declared_features
from optinb.errors import SettingsError

DECLARED = """
[[features]]
name = "tea_spend_90d"
how = "sum"
of = "amount"
where = { category = ["tea", "coffee"] }
days = 90

[[features]]
name = "last_tea_on"
how = "max"
of = "day"
where = { category = "tea" }

[[features]]
name = "teas"
how = "n_unique"
of = "category"

[[features]]
name = "app_opens_7d"
from = "events"
where = { name = "app_open" }
days = 7
sentence = "How often an app was opened in a week."
"""


@pytest.fixture
def table(frames, night: date) -> pl.DataFrame:
    bought = [("a", 3, 10.1, "tea"), ("a", 3, 2.25, "coffee"), ("a", 50, 4.0, "cake"), ("a", 91, 7.0, "tea")]
    tables = frames(ids="ab", bought=[*bought, ("a", -2, 99.0, "tea"), ("a", 1, -5.0, "tea")])
    days = [night - timedelta(days=ago) for ago in (0, 7, 8, -1)]
    events = pl.LazyFrame({"customer_id": ["a"] * 4, "day": days, "name": ["app_open"] * 4, "value": [None] * 4})
    declared = declared_features(parse_settings(DECLARED).features)
    return build_features(*tables, run_date=night, events=events, declared=declared).sort("customer_id").collect()


def test_declared_features_are_gathered_like_those_of_the_house(table, night):
    row = table.row(0, named=True)
    assert (row["tea_spend_90d"], row["teas"], row["app_opens_7d"]) == (12.35, 3, 2)
    assert row["last_tea_on"] == night - timedelta(days=3)


def test_a_customer_without_rows_has_zeros_and_no_day(table):
    row = table.row(1, named=True)
    assert (row["tea_spend_90d"], row["teas"], row["app_opens_7d"], row["last_tea_on"]) == (0.0, 0, 0, None)


def test_every_declared_feature_says_what_it_is():
    tea, day, _, opens = declared_features(parse_settings(DECLARED).features)
    assert tea.sentence == "Sum of amount of purchases with category tea or coffee in the last 90 days."
    assert (tea.kind, day.kind, opens.kind) == ("money", "date", "count")
    assert opens.sentence == "How often an app was opened in a week."


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"name": "recency_days"}, "'recency_days': there is a column of that name already"),
        ({"name": "country"}, "'country': there is a column"),
        ({"name": "x", "where": {"categry": "tea"}}, "no column 'categry'; did you mean 'category'"),
        ({"name": "x", "how": "sum"}, "of which column is the sum"),
        ({"name": "x", "how": "mean", "of": "category"}, "'category' has no mean; only a number has one"),
    ],
)
def test_a_feature_that_cant_be_made_is_refused_with_the_remedy(section, complaint):
    with pytest.raises(SettingsError, match=complaint):
        declared_features([FeatureSection(**section)], taken=["country"])


def test_two_features_of_one_name_are_refused():
    with pytest.raises(SettingsError, match="'x': there is a column of that name already"):
        declared_features([FeatureSection(name="x"), FeatureSection(name="x", days=7)])
