"""Discovery finds planted groups, nothing where there is nothing, and says what it can't look for."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta

import numpy as np
import planted
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_seven import plant
from scipy.stats import fisher_exact, hypergeom

from optinb.errors import RuleError
from optinb.rules import AllOf, Rule, attr, days_ago, did, parse
from optinb.segments import members
from optinb.segments.discovery import Discovery, discover
from optinb.segments.discovery.columns import (
    AttributeColumn,
    as_rule,
    conditions,
    cuts,
    holds,
    read_column,
    round_figure,
)
from optinb.segments.discovery.earlier import earlier_day, held_before
from optinb.segments.discovery.evidence import Sums, chance, gain, interval, pack, products, q_values
from optinb.segments.discovery.same import saying_the_same

SIZE = 20_000


def ids(rule: Rule, customers: pl.DataFrame) -> set[str]:
    return set(members(rule, planted.tables(customers)).collect().to_native()["customer_id"])


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


@pytest.fixture(scope="module")
def customers() -> pl.DataFrame:
    """Customers with the planted groups in `response`, and in the number `spent`, which some have not."""
    return planted.with_targets(planted.attributes(SIZE, seed=3), seed=4)


@pytest.fixture(scope="module")
def found(customers: pl.DataFrame) -> Discovery:
    return discover(planted.tables(customers), "response", exclude=["spent"])


def test_every_planted_group_is_found_and_none_beside(found: Discovery, customers: pl.DataFrame) -> None:
    told = [ids(finding.rule, customers) for finding in found]
    for rule in planted.PLANTED:
        assert max(jaccard(ids(rule, customers), group) for group in told) > 0.7
    assert len(found) == len(planted.PLANTED)


def test_a_number_as_target_finds_them_too_though_some_customers_have_none(customers: pl.DataFrame) -> None:
    found = discover(planted.tables(customers), "spent", exclude=["response"])
    assert found.kind == "number"
    assert found.known < found.customers == SIZE
    told = [ids(finding.rule, customers) for finding in found]
    assert [len(group) for group in told] == [finding.size for finding in found]
    for rule in planted.PLANTED[:1] + planted.PLANTED[2:]:
        assert max(jaccard(ids(rule, customers), group) for group in told) > 0.7


def test_nothing_is_found_on_permuted_labels(customers: pl.DataFrame) -> None:
    groups = 0
    for seed in range(3):
        shuffled = customers.with_columns(pl.col("response", "spent").shuffle(seed=seed))
        groups += len(discover(planted.tables(shuffled), "response", exclude=["spent"]))
        groups += len(discover(planted.tables(shuffled), "spent", exclude=["response"], depth=2))
    assert groups == 0


def test_a_finding_counts_exactly_the_members_of_its_rule(found: Discovery, customers: pl.DataFrame) -> None:
    for finding in found:
        group = ids(finding.rule, customers)
        assert len(group) == finding.size
        assert finding.share == pytest.approx(finding.size / SIZE)
        yes = customers.filter("response")["customer_id"]
        assert finding.captured == pytest.approx(yes.is_in(list(group)).sum() / len(yes))
        assert finding.low < finding.rate - finding.rate_outside < finding.high
        assert finding.low > 0
        assert finding.q_value <= 0.05
        assert parse(finding.text) == finding.rule


def test_the_order_of_rows_changes_nothing(found: Discovery, customers: pl.DataFrame) -> None:
    shuffled = customers.sample(fraction=1, shuffle=True, seed=9)
    assert discover(planted.tables(shuffled), "response", exclude=["spent"]) == found


def test_within_bounds_the_customers_and_stands_in_the_rule(customers: pl.DataFrame) -> None:
    within = attr("device") == "ios"
    found = discover(planted.tables(customers), "response", within=within, exclude=["spent"])
    assert found.within == "device is ios"
    assert found.customers == customers.filter(device="ios").height
    assert found.findings
    for finding in found:
        assert isinstance(finding.rule, AllOf)
        assert finding.rule.rules[0] == within
        assert finding.size == len(ids(finding.rule, customers))


def test_a_rule_as_target_finds_the_same_as_the_attribute_it_asks_about(
    found: Discovery, customers: pl.DataFrame
) -> None:
    asked = discover(planted.tables(customers), parse('attr("response") == True'), exclude=["spent"])
    assert [f.rule for f in asked] == [f.rule for f in found]
    assert asked.left_out["response"] == "part of the target"


def test_an_attribute_that_restates_the_target_is_left_out_and_said(customers: pl.DataFrame) -> None:
    told = customers.with_columns(answer=pl.when("response").then(pl.lit("yes")).otherwise(pl.lit("no")))
    found = discover(planted.tables(told), "response", exclude=["spent"])
    assert found.left_out["answer"] == "one condition on it tells the target nearly always"
    assert "answer" not in {name for finding in found for name in finding.text.split('"')}
    doubled = discover(planted.tables(customers.with_columns(twice=pl.col("spent") * 2)), "spent")
    assert "follows the target" in doubled.left_out["twice"]


def test_a_condition_that_is_too_good_is_warned_of(customers: pl.DataFrame) -> None:
    early = pl.col("response") & (pl.int_range(pl.len()) % 3 == 0)
    found = discover(planted.tables(customers.with_columns(thanked=early)), "response", exclude=["spent"])
    assert any("thanked" in warning and "exclude" in warning for warning in found.warnings)


def test_a_number_that_is_the_same_for_all_is_told_without_an_exponent(customers: pl.DataFrame) -> None:
    with pytest.raises(RuleError, match=r"is under 0\.0001 for all"):
        discover(planted.tables(customers.with_columns(spent=9.785e-12)), "spent")


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("respnse", {}, "did you mean 'response'"),
        ("country", {}, "is a text"),
        ("last_seen", {}, "is a day"),
        ("response", {"exclude": ["agee"]}, "did you mean 'age'"),
        ("response", {"within": attr("age") > 200}, "nobody is within"),
        ("response", {"within": attr("city") == "town 7"}, "200 or more"),
        ("response", {"within": parse('attr("response") == False')}, "holds for nobody"),
        ("response", {"within": parse('attr("response") == True')}, "holds for everybody"),
        ("response", {"depth": 4}, "1, 2 or 3"),
        ("response", {"min_size": 3}, "10 or more"),
        ("response", {"limit": 0}, "1 group or more"),
        (attr("nme") == "x", {}, "isn't known"),
    ],
)
def test_what_cannot_be_looked_for_is_said_in_a_sentence(
    customers: pl.DataFrame, target: Rule | str, options: dict, says: str
) -> None:
    with pytest.raises(RuleError, match=says):
        discover(planted.tables(customers), target, **options)


def test_customers_without_attributes_are_refused(customers: pl.DataFrame) -> None:
    bare = customers.select("customer_id", "response", constant=pl.lit("x"), empty=pl.lit(None, pl.Float64))
    with pytest.raises(RuleError, match="no attribute"):
        discover(planted.tables(bare), "response")


def test_progress_is_told_in_hundredths(customers: pl.DataFrame) -> None:
    steps: list[tuple[int, str]] = []
    discover(planted.tables(customers), "response", depth=2, on_progress=lambda done, what: steps.append((done, what)))
    assert 80 <= sum(done for done, _ in steps) <= 100
    assert {"reading", "searching", "choosing"} <= {what for _, what in steps}


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_every_condition_holds_for_the_members_of_its_rule(data: st.DataObject) -> None:
    end = datetime.combine(planted.RUN, time(23, 59))
    midnight = st.integers(-3, 900).map(lambda d: planted.RUN - timedelta(days=d))
    values = {
        "number": (pl.Float64, st.sampled_from([-1.5, 0.0, 0.1, 0.3, 7.25, 1e9, math.nan, math.inf])),
        "single": (pl.Float32, st.sampled_from([0.1, 0.2, 0.3, 5.5, -2.25])),
        "whole": (pl.Int64, st.integers(-5, 12)),
        "text": (pl.String, st.sampled_from(["a", "b", "", "ß", "d"])),
        "flag": (pl.Boolean, st.booleans()),
        "day": (pl.Date, midnight),
        "moment": (pl.Datetime("us"), st.datetimes(end - timedelta(days=500), end)),
    }
    size = data.draw(st.integers(1, 30))
    frame = pl.DataFrame({"customer_id": [f"{i:02d}" for i in range(size)]}).with_columns(
        pl.Series(name, data.draw(st.lists(st.none() | of, min_size=size, max_size=size)), dtype=dtype)
        for name, (dtype, of) in values.items()
    )
    tables = planted.tables(frame)
    for place, name in enumerate(values):
        column = read_column(frame[name], tables)
        assert column is not None
        for condition in conditions(place, column):
            rule = as_rule(condition, column)
            assert set(frame.filter(holds(condition, column))["customer_id"]) == ids(rule, frame), rule


def measure(values: np.ndarray, kind: str = "number") -> AttributeColumn:
    return AttributeColumn(name="x", kind=kind, values=values, known=np.ones(len(values), bool))  # type: ignore[arg-type]


def test_cuts_are_round_and_stand_on_both_sides_of_a_heavy_value() -> None:
    rng = np.random.default_rng(1)
    spread = cuts(measure(rng.lognormal(4, 1, 20_000)), 11)
    assert all(len(f"{cut:g}") <= 4 for cut in spread)
    assert len(spread) == 11
    heavy = np.concatenate([np.zeros(9_000), np.full(8_000, 10.0), rng.uniform(10, 20, 3_000)])
    assert 10.0 in cuts(measure(heavy), 11)
    assert cuts(measure(np.array([3, 1, 2, 2])), 11) == [2, 3]
    assert all(isinstance(cut, int) for cut in cuts(measure(rng.integers(0, 10_000, 5_000)), 11))


@given(low=st.floats(-1e9, 1e9), width=st.floats(1e-6, 1e6), whole=st.booleans(), days=st.booleans())
def test_a_round_figure_lies_between_its_bounds(low: float, width: float, whole: bool, days: bool) -> None:
    low, high = (math.floor(low), math.floor(low) + math.ceil(width)) if whole else (low, low + width)
    found = round_figure(low, high, days=days)
    assert low < found <= high or low == high
    assert isinstance(found, int) is whole


def test_rounds_to_what_people_say() -> None:
    assert round_figure(3.21, 3.62) == 3.5
    assert round_figure(97, 131) == 100
    assert round_figure(350, 380, days=True) == 365
    assert round_figure(0.27, 0.31) == 0.3


def test_the_gain_of_a_yes_is_near_fishers_exact_chance_where_few_say_yes() -> None:
    for n, k, size, total in [(200, 9, 50_000, 500), (1_000, 90, 50_000, 3_000), (60, 6, 10_000, 150)]:
        z = gain(Sums(n, k, k), Sums(size, total, total), yes_no=True)
        exact = hypergeom.sf(k - 1, size, total, n)
        assert 0.2 < float(chance(z)) / exact < 1.6
        table = [[k, n - k], [total - k, size - n - (total - k)]]
        assert fisher_exact(table, alternative="greater").pvalue == pytest.approx(exact)


def test_the_gain_of_a_number_is_standard_normal_under_permutation() -> None:
    rng = np.random.default_rng(2)
    values = rng.exponential(1, 3_000)
    whole = Sums(3_000, values.sum(), (values**2).sum())
    drawn = [rng.choice(values, 400, replace=False) for _ in range(2_000)]
    z = [float(gain(Sums(400, d.sum(), (d**2).sum()), whole, yes_no=False)) for d in drawn]
    assert abs(np.mean(z)) < 0.08
    assert abs(np.std(z) - 1) < 0.06


def test_the_interval_of_a_difference_is_newcombes_published_one() -> None:
    # Newcombe 1998, table II: 56/70 less 48/80, method 10
    low, high = interval(Sums(70, 56, 56), Sums(80, 48, 48), yes_no=True)
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    # the 15 chances of their paper: four are rejected at 5 %
    chances = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
                        0.6528, 0.7590, 1.0])  # fmt: skip
    assert (q_values(chances) <= 0.05).sum() == 4


def test_products_count_and_sum_what_rows_and_columns_share() -> None:
    rng = np.random.default_rng(3)
    size = 40_001
    rows, columns = rng.random((3, size)) < 0.3, rng.random((5, size)) < 0.5
    weight = rng.normal(size=size).astype(np.float32)
    few = (rng.random(size) < 0.1).astype(np.float32)
    counted, yes, summed = products(pack(list(rows)), pack(list(columns)), [None, few, weight], size)
    both = rows[:, None, :] & columns[None, :, :]
    assert (counted == both.sum(-1)).all()
    assert (yes == (both * few).sum(-1)).all()
    assert np.allclose(summed, (both * weight.astype(float)).sum(-1), atol=1e-2)


def test_a_day_is_cut_relative_to_the_run_date(customers: pl.DataFrame) -> None:
    column = read_column(customers["registered_at"], planted.tables(customers))
    assert column is not None
    rules = [as_rule(condition, column) for condition in conditions(0, column)]
    assert any(rule == (attr("registered_at") > days_ago(n)) for rule in rules for n in (60, 90, 30, 360, 365, 450))


def test_one_value_of_three_hundred_is_found_though_four_customers_in_a_thousand_have_it() -> None:
    of = plant(60_000, seed=11)
    found = discover(planted.tables(of.customers.select("customer_id", "town", "age", "y")), "y", depth=1)
    town = of.customers.filter(pl.Series(of.groups["a town of 300"]))["town"][0]
    assert [finding.condition for finding in found if "town" in finding.text] == [attr("town") == town]


def test_a_set_grows_only_by_values_that_help_by_themselves() -> None:
    rng = np.random.default_rng(5)
    shop = rng.choice([f"shop {i}" for i in range(40)], 40_000)
    chances = np.where(np.isin(shop, ["shop 3", "shop 4"]), 0.3, 0.1)
    frame = pl.DataFrame({"customer_id": [f"{i:05d}" for i in range(40_000)], "shop": shop})
    (finding,) = discover(planted.tables(frame.with_columns(y=pl.Series(rng.random(40_000) < chances))), "y")
    assert ids(finding.condition, frame) == set(frame.filter(pl.col("shop").is_in(["shop 3", "shop 4"]))["customer_id"])


def test_who_filled_in_a_form_is_told_last_and_compared_with_those_who_did_too() -> None:
    rng = np.random.default_rng(6)
    size = 40_000
    filled, age, phone = (
        rng.random(size) < 0.5,
        rng.integers(18, 80, size),
        rng.choice(["ios", "android"], size, p=[0.4, 0.6]),
    )
    frame = pl.DataFrame({"customer_id": [f"{i:05d}" for i in range(size)], "age": age, "phone": phone})
    frame = frame.with_columns(pl.when(pl.Series(filled)).then("age").alias("age"))
    chances = np.where(filled, 0.3, 0.1) + np.where(phone == "ios", 0.08, 0.0)
    found = discover(planted.tables(frame.with_columns(y=pl.Series(rng.random(size) < chances))), "y", depth=1)
    assert [finding.sentence for finding in found] == ["phone is ios", "age is known"]


def test_what_says_the_same_is_told_once_and_named(customers: pl.DataFrame) -> None:
    twice = customers.with_columns(
        tenure=(pl.lit(planted.RUN) - pl.col("registered_at").dt.date()).dt.total_days(),
        land=pl.col("country").replace({"DE": "Germany", "FR": "France"}),
    )
    found = discover(planted.tables(twice), "response", exclude=["spent"], depth=1)
    assert found.left_out["tenure"] == "says the same as registered_at"
    assert found.left_out["land"] == "says the same as country"
    assert {"registered_at", "country", "age"} <= set(found.attributes)


def test_columns_that_only_follow_each_other_are_both_looked_at() -> None:
    of = plant(5_000, seed=1).customers
    columns = [read_column(of[name], planted.tables(of)) for name in ("spend", "basket", "orders", "region", "phone")]
    assert saying_the_same([column for column in columns if column is not None]) == {}


def test_groups_overlap_where_that_is_asked_for_and_not_otherwise() -> None:
    rng = np.random.default_rng(8)
    size = 20_000
    both = rng.random(size) < 0.2
    one, other = both | (rng.random(size) < 0.25), both | (rng.random(size) < 0.25)
    frame = pl.DataFrame({"customer_id": [f"{i:05d}" for i in range(size)], "one": one, "other": other})
    frame = frame.with_columns(y=pl.Series(rng.random(size) < 0.1 + 0.1 * one + 0.1 * other))
    apart = discover(planted.tables(frame), "y")
    overlapping = discover(planted.tables(frame), "y", overlapping=True)
    rules = {finding.condition for finding in overlapping}
    single = {attr("one") == True, attr("other") == True}  # noqa: E712
    assert single <= rules
    assert not single <= {finding.condition for finding in apart}


def test_shares_are_of_the_customers_whose_target_is_known(customers: pl.DataFrame) -> None:
    found = discover(planted.tables(customers), "spent", exclude=["response"], depth=1)
    for finding in found:
        group = customers.filter(pl.col("customer_id").is_in(list(ids(finding.rule, customers))))
        known = len(group) - group["spent"].null_count()
        assert finding.looked_at == known < finding.size == len(group)
        assert finding.share == pytest.approx(known / found.known)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("value", date(2026, 6, 1)),
        (did("purchase").within(days=60), date(2026, 6, 1)),
        (attr("spend_90d") >= 100, date(2026, 6, 1)),
        ("spend_365d", "no customers are kept of"),
        (attr("spend") >= 100, "'spend' looks at all of history"),
        (did("purchase").within(days=300), "no customers are kept of 2026-01-26 or before"),
        (did("purchase"), "all of history"),
        (did("purchase").between(date(2026, 1, 1), date(2026, 2, 1)), "fixed days"),
    ],
)
def test_the_earlier_day_is_half_a_year_before_and_shares_nothing_with_the_search(
    target: Rule | str, says: date | str
) -> None:
    days = [date(2026, 4, 1), date(2026, 6, 1), date(2026, 11, 1), planted.RUN]
    behind = {"spend_90d": 90, "spend_365d": 365, "spend": None}
    found = earlier_day(days, planted.RUN, target, behind=behind)
    assert found == says if isinstance(says, date) else says in str(found)


def test_a_finding_says_whether_it_held_before(found: Discovery, customers: pl.DataFrame) -> None:
    other = planted.with_targets(planted.attributes(SIZE, seed=33), seed=44)
    again = held_before(found, planted.tables(other), "response", None)
    for finding in again:
        group = other.filter(pl.col("customer_id").is_in(list(ids(finding.rule, other))))
        assert finding.earlier is not None
        assert finding.earlier.verdict == "held"
        assert finding.earlier.looked_at == len(group)
        assert finding.earlier.rate == pytest.approx(group["response"].mean())
        assert finding.p_confirmed is not None and finding.p_confirmed < 1e-6
    shuffled = customers.with_columns(pl.col("response").shuffle(seed=1))
    gone = held_before(found, planted.tables(shuffled), "response", None)
    assert {finding.earlier.verdict for finding in gone if finding.earlier} <= {"unclear", "did not hold"}
    untold = held_before(found, planted.tables(customers.drop("plan")), "response", None)
    assert [finding.earlier is None for finding in untold] == ["plan" in finding.text for finding in found]
    without = held_before(found, planted.tables(customers.drop("response")), "response", None)
    assert "'response' isn't kept" in without.not_earlier


def test_what_was_planted_in_one_half_of_history_alone_is_told_as_not_having_held() -> None:
    rng = np.random.default_rng(12)
    size = 8_000

    def half(*, web: float) -> pl.DataFrame:
        north, phone = rng.random(size) < 0.2, rng.choice(["ios", "android", "web"], size, p=[0.4, 0.4, 0.2])
        yes = rng.random(size) < 0.1 + 0.2 * north + web * (phone == "web")
        names = [f"{i:04d}" for i in range(size)]
        return pl.DataFrame({"customer_id": names, "north": north, "phone": phone, "y": yes})

    now, then = half(web=0.2), half(web=0.0)
    found = discover(planted.tables(now), "y", depth=1, overlapping=True)
    told = held_before(found, planted.tables(then), "y", None)
    verdict = {finding.condition: finding.earlier.verdict for finding in told if finding.earlier}
    assert verdict[attr("north") == True] == "held"  # noqa: E712
    assert verdict[attr("phone") == "web"] in {"unclear", "did not hold"}
