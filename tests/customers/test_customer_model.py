from __future__ import annotations

from datetime import date

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from optinb.base.settings import LifecycleSection
from optinb.customers import ATTRIBUTES, HISTORY_COLUMNS, STAGES, CustomerModel, ModelCard, model_customers

ATTRIBUTES_NAMES = [attribute.name for attribute in ATTRIBUTES]
DTYPES = {"date": pl.Date, "text": pl.String, "count": pl.Int64, "days": pl.Int64}


def modelled(tables, night: date, **settings) -> CustomerModel:
    return model_customers(*tables, run_date=night, settings=LifecycleSection(**settings))


@pytest.fixture(scope="module")
def shop_model(shop) -> CustomerModel:
    return modelled(shop, date(2026, 6, 30))


def test_the_table_has_a_sorted_row_for_everybody_and_the_described_columns(shop_model):
    table = shop_model.table
    assert len(table) == 3300
    assert table["customer_id"].is_sorted()
    assert dict(table.schema) == {a.name: DTYPES.get(a.kind, pl.Float64) for a in ATTRIBUTES}
    assert shop_model.history.columns == list(HISTORY_COLUMNS)
    assert len(shop_model.history) == 3300


def test_every_customer_is_counted_in_one_stage(shop_model):
    assert tuple(shop_model.stages) == STAGES
    assert sum(shop_model.stages.values()) == 3300
    assert shop_model.stages["dormant"] == 300
    assert all(shop_model.stages.values())


def test_the_rank_runs_from_1_to_100_with_the_value(shop_model):
    valued = shop_model.table.filter(pl.col("future_value").is_not_null()).sort("future_value")
    assert valued["value_rank"].is_sorted()
    assert (valued["value_rank"][0], valued["value_rank"][-1]) == (1, 100)
    shares = dict(valued.group_by("value_segment").len().iter_rows())
    assert shares["high"] / len(valued) == pytest.approx(0.2, abs=0.01)
    assert shares["medium"] / len(valued) == pytest.approx(0.3, abs=0.01)


def test_the_value_after_refunds_is_less_for_those_who_send_back_and_the_same_where_nobody_does(shop, shop_model):
    """Every third customer sends back half of each purchase."""
    valued = shop_model.table.filter(pl.col("future_value").is_not_null())
    assert valued["future_value_net"].to_list() == pytest.approx(valued["future_value"].to_list())
    third = pl.col("customer_id").str.slice(1).cast(pl.Int64) % 3 == 0
    back = shop.transactions.filter(third).with_columns(pl.col("amount") * -0.5)
    both = pl.concat([shop.transactions, back], how="vertical_relaxed")
    table = modelled((shop.customers, both, shop.app_users), date(2026, 6, 30)).table
    kept = pl.col("future_value_net").sum() / pl.col("future_value").sum()
    shares = dict(table.group_by(third.alias("third")).agg(kept).iter_rows())
    assert shares[True] == pytest.approx(0.6, abs=0.1) and shares[False] > 0.9


def test_who_never_bought_has_no_value_and_no_risk(shop_model):
    dormant = shop_model.table.filter(pl.col("stage") == "dormant")
    assert dormant["value_segment"].unique().to_list() == ["none"]
    for name in ("future_value", "value_rank", "churn_risk", "expected_purchases"):
        assert dormant[name].null_count() == len(dormant)


def test_the_risk_is_told_of_the_active_and_the_chance_of_the_churned(shop_model):
    table = shop_model.table
    for name, stages in (("churn_risk", ["new", "active", "reactivated"]), ("reactivation_chance", ["churned"])):
        told = table.filter(pl.col(name).is_not_null())
        assert told[name].is_between(0, 1).all()
        assert told["customer_id"].to_list() == table.filter(pl.col("stage").is_in(stages))["customer_id"].to_list()
    silent = table.filter(pl.col("churn_risk").is_not_null()).select("churn_risk", "recency_days")
    assert silent.select(pl.corr("churn_risk", "recency_days", method="spearman")).item() > 0.2


def test_what_is_said_of_a_chance_comes_true_about_as_often(shop_model):
    for risk in shop_model.card.risks:
        assert risk.reason is None
        assert risk.brier < risk.brier_base
        assert sum(b.customers for b in risk.bins) == risk.customers
        off = sum(b.customers * abs(b.forecast - b.happened) for b in risk.bins) / risk.customers
        assert off < 0.05


def test_customers_who_follow_the_model_give_its_parameters_back(shop_model):
    model = shop_model.card.value.parameters
    assert model is not None
    assert model.purchases.r == pytest.approx(0.8, rel=0.25)
    assert model.purchases.alpha == pytest.approx(20, rel=0.25)
    mean = model.spend.p * model.spend.gamma / (model.spend.q - 1)
    assert mean == pytest.approx(6 * 90 / 3, rel=0.1)


def test_the_card_tells_the_data_the_models_and_the_backtest(shop_model):
    card = shop_model.card
    assert card.value.backtest is not None
    assert card.not_modelled() == {}
    assert card.value.backtest.models[0].total_error == pytest.approx(0, abs=0.15)
    text = "\n".join(card.lines())
    for part in (
        "3,300 customers, 3,000 with a purchase",
        "BG/NBD: r=",
        "Backtest: fitted until",
        "the last window again",
        "Churn risk in ",
        "Brier score",
    ):
        assert part in text


def test_the_card_can_be_kept_as_json(shop_model):
    kept = msgspec.json.encode(shop_model.card)
    assert msgspec.json.decode(kept, type=ModelCard) == shop_model.card


def test_any_order_of_rows_gives_the_same_models_and_figures(shop, shop_model):
    tables = [frame.collect().sample(fraction=1, shuffle=True, seed=5).lazy() for frame in shop]
    again = modelled(tables, date(2026, 6, 30))
    assert_frame_equal(again.table, shop_model.table, check_exact=True)
    assert again.card == shop_model.card


def test_an_old_night_run_again_gives_what_it_gave(shop):
    night = date(2026, 3, 31)
    known = (shop.customers, shop.transactions.filter(pl.col("day") <= night), shop.app_users)
    assert_frame_equal(modelled(shop, night).table, modelled(known, night).table, check_exact=True)


def test_settings_change_the_stages_and_the_horizon(shop, shop_model):
    short = modelled(shop, date(2026, 6, 30), churn_days=20, value_days=30)
    assert short.stages["churned"] > shop_model.stages["churned"]
    assert short.table["future_value"].sum() < shop_model.table["future_value"].sum() / 3
    assert short.thresholds.churn_source == "settings"


def regular(customers: int, ago: list[int], amount: float = 20.0) -> dict:
    ids = [f"c{i:04d}" for i in range(customers)]
    return {"ids": ids, "bought": [(who, days, amount) for who in ids for days in ago]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"ids": "", "bought": []}, "there is no purchase to learn from"),
        ({"ids": "ab", "bought": []}, "there is no purchase to learn from"),
        ({"ids": "a", "bought": [("a", 50, 9.0), ("a", 10, 9.0)]}, "customers with a purchase is 1;"),
        (regular(300, [200]), "who bought twice is 0;"),
        (regular(300, [200, 100], -5.0), "there is no purchase to learn from"),
        (regular(300, [200, 100], 0.0), "there is no purchase to learn from"),
        (regular(300, [13, 9, 1]), "the history is 13 days long"),
        (regular(300, [200, 100]), "all customers have the same purchase history"),
    ],
    ids=["nobody", "no purchases", "one customer", "single purchases", "refunds", "zeros", "two weeks", "all equal"],
)
def test_data_that_carries_no_model_gives_stages_and_the_reason(frames, night, data, reason):
    result = modelled(frames(**data), night)
    assert reason in (result.card.value.reason or "")
    assert any(reason in line for line in result.card.lines())
    assert len(result.table) == len(data["ids"]) == sum(result.stages.values())
    assert result.table["future_value"].null_count() == len(result.table)
    assert result.table["value_segment"].unique().to_list() in (["none"], [])
    assert dict(result.table.schema) == {a.name: DTYPES.get(a.kind, pl.Float64) for a in ATTRIBUTES}


def test_what_no_model_tells_is_left_out_of_what_is_published_with_the_reason(frames, night):
    result = modelled(frames(**regular(300, [13, 9, 1])), night)
    table, reasons = result.published()
    told = dict(reasons.iter_rows())
    assert "13 days long" in told["future_value"] and "13 days long" in told["churn_risk"]
    assert not any("The forecast looks" in line for line in result.card.lines())
    assert set(told) == set(ATTRIBUTES_NAMES) - set(table.columns)
    assert {"stage", "recency_days", "churn_after_days"} <= set(table.columns)


def test_a_model_that_cant_be_tested_yet_is_not_published_and_says_so(frames, night):
    data = regular(200, [])
    data["bought"] = [
        (who, days, 5.0 + n % 13) for n, who in enumerate(data["ids"]) for days in {60 - n % 20, 30 - n % 7, n % 5}
    ]
    result = modelled(frames(**data), night)
    assert result.card.value.parameters is not None
    assert result.card.value.backtest is None
    assert any("it couldn't be tested: of 60 days of history" in line for line in result.card.lines())
    assert result.table["future_value"].null_count() == 200
    assert "The forecast looks 365 days ahead from only 60 days of history." in result.card.lines()


def test_several_currencies_and_refunds_are_told_in_the_card(frames, night):
    tables = frames(ids="ab", bought=[("a", 5, 9.0), ("b", 4, 8.0), ("b", 3, -8.0), ("b", -3, -8.0)])
    tables.transactions = tables.transactions.with_columns(currency=pl.Series(["EUR", "USD", None, "GBP"]))
    notes = " ".join(modelled(tables, night).card.notes)
    assert "2 currencies (EUR, USD)" in notes
    assert "33.3% of the transactions are refunds" in notes


def test_purchases_of_customers_who_are_gone_count_for_nobody(frames, night):
    known = {"ids": "a", "bought": [("a", 5, 9.0)]}
    more = {"ids": "a", "bought": [("a", 5, 9.0), *(("gone", days, 1.0) for days in range(0, 400, 2))]}
    one, two = modelled(frames(**known), night), modelled(frames(**more), night)
    assert_frame_equal(one.table, two.table)
    assert one.thresholds == two.thresholds


def test_groceries_of_real_households_are_modelled_and_judged(complete_journey):
    result = modelled(complete_journey, date(2018, 1, 1))
    print("\n".join(result.card.lines()))
    assert result.card.buyers == len(result.table) == 2469
    test = result.card.value.backtest
    assert test is not None
    for model in test.models[:2]:
        assert model.auc is not None
        assert model.auc > 0.85
        assert abs(model.total_error) < 0.05
        assert abs(model.spend_total_error) < 0.05
    assert result.card.value.name is not None
    churn = result.card.risks[0]
    assert churn.reason is None
    assert churn.brier is not None and churn.brier_base is not None
    assert churn.brier < churn.brier_base
    assert churn.auc is not None and churn.auc_silence is not None and churn.auc_frequency is not None
    assert churn.auc > max(churn.auc_silence, churn.auc_frequency)
    assert result.stages["reactivated"] < 0.1 * 2469
