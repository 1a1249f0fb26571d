"""What is said of variants whose shares moved from night to night, while nights differed, too."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from optinb.measure.arms import figures_of
from optinb.measure.mix_files import GIVEN, with_given
from optinb.measure.mixing import learned
from optinb.measure.outcomes import ASSIGNED, OUTCOMES

if TYPE_CHECKING:
    from optinb.measure.effect import Effect

NIGHTS, EACH, CONTROL, RUNS = 20, 300, 0.2, 60
START = {"control": CONTROL, "A": 0.5, "B": 0.5}
FIRST = date(2026, 11, 1)
OVER = datetime(2027, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def campaign(seed: int, *, better: float = 0.0) -> pl.DataFrame:
    """Ever more customers buy from night to night, and ever more get B, of whom `better` more buy."""
    random = np.random.default_rng(seed)
    night = np.repeat(np.arange(NIGHTS), EACH)
    share = 0.5 + 0.4 * night / (NIGHTS - 1)
    arm = np.where(
        random.random(len(night)) < CONTROL, "control", np.where(random.random(len(night)) < share, "B", "A")
    )
    buys = random.random(len(night)) < 0.05 + 0.3 * night / NIGHTS + better * (arm == "B")
    sent = [datetime.combine(FIRST + timedelta(days=int(n)), datetime.min.time()) for n in night]
    rows = pl.DataFrame(
        {"person": [f"p{n}" for n in range(len(night))], "arm": arm, "since": sent, "until": sent}, schema=ASSIGNED
    ).with_columns(orders=pl.Series(buys.astype(int)), spend=pl.Series(10.0 * buys))
    rest = {name: pl.lit(0) for name in OUTCOMES if name not in rows.columns}
    given = {
        FIRST + timedelta(days=n): {
            "control": CONTROL, "A": 0.5 - 0.4 * n / (NIGHTS - 1), "B": 0.5 + 0.4 * n / (NIGHTS - 1)
        }
        for n in range(NIGHTS)
    }  # fmt: skip
    nights = rows.select("person", night=pl.col("since").dt.date())
    return with_given(rows.with_columns(**rest).cast(dict(OUTCOMES)), nights, given, START)  # type: ignore[arg-type]


def misses(rows: pl.DataFrame, arm: str, against: str, seed: int, truth: float = 0.0) -> bool:
    planned = {"control": CONTROL, "A": (1 - CONTROL) / 2, "B": (1 - CONTROL) / 2}
    told = figures_of(rows, [arm], against, planned=planned, seed=seed, only=["response"], draws=200)["response"]
    return not told.low <= truth <= told.high


@pytest.mark.parametrize(("arm", "against"), [("A", "control"), ("B", "control"), ("B", "A")])
def test_customers_are_compared_with_those_of_like_nights(arm: str, against: str) -> None:
    rows = [campaign(seed) for seed in range(RUNS)]
    most = binom.ppf(0.999, RUNS, 0.05)
    assert sum(misses(one, arm, against, seed) for seed, one in enumerate(rows)) <= most
    blind = [one.drop(GIVEN.format("A"), GIVEN.format("B")) for one in rows]
    assert sum(misses(one, arm, against, seed) for seed, one in enumerate(blind)) > most  # what this is for


def test_a_variant_of_good_nights_is_not_taken_for_a_good_variant() -> None:
    rows = pl.concat([campaign(seed) for seed in range(20)])
    told = learned(rows, "response", measured_until=OVER)
    assert told["A"].mean == pytest.approx(told["B"].mean, abs=4 * (told["A"].error + told["B"].error))
    blind = learned(rows.drop(GIVEN.format("A"), GIVEN.format("B")), "response", measured_until=OVER)
    assert blind["B"].mean - blind["A"].mean > 0.04
    better = learned(pl.concat([campaign(seed, better=0.05) for seed in range(20)]), "response", measured_until=OVER)
    assert better["B"].mean - better["A"].mean == pytest.approx(0.05, abs=0.015)


def test_only_windows_that_are_over_tell_anything() -> None:
    rows = campaign(1)
    middle = datetime.combine(FIRST + timedelta(days=9), datetime.min.time())
    told = learned(rows, "spend", measured_until=middle)
    assert (
        sum(one.customers for one in told.values())
        == rows.filter(pl.col("until") <= middle, pl.col("arm") != "control").height
    )
    assert learned(rows, "spend", measured_until=None) == {}


def two_nights(seed: int, few: float, many: float, *, told: bool = True) -> Effect:
    """Of a night in which few buy and one in which many do, with other shares held out: what nothing brought."""
    given = {FIRST: {"control": few, "message": 1.0}, FIRST + timedelta(days=1): {"control": many, "message": 1.0}}
    random, half = np.random.default_rng(seed), 1_000
    arm = np.where(random.random(2 * half) < np.repeat([few, many], half), "control", "message")
    buys = random.random(2 * half) < np.repeat([0.1, 0.4], half)
    names = [f"p{n}" for n in range(2 * half)]
    rows = pl.DataFrame({"person": names, "arm": arm, "orders": buys.astype(int)})
    rows = rows.with_columns(pl.lit(0).alias(name) for name in OUTCOMES if name not in rows.columns)
    nights = pl.DataFrame({"person": names, "night": [night for night in given for _ in range(half)]})
    shares = with_given(rows, nights, given, given[FIRST]) if told else rows
    planned = {"control": (few + many) / 2, "message": 1 - (few + many) / 2}
    return figures_of(shares, ["message"], planned=planned, seed=seed, only=["response"], draws=200)["response"]


@pytest.mark.parametrize(("few", "many", "compared"), [(0.5, 0.1, 2_000), (0.5, 0.0, 1_000)])
def test_a_control_share_that_changed_between_nights_is_allowed_for(few: float, many: float, compared: int) -> None:
    found = [two_nights(seed, few, many) for seed in range(RUNS)]
    assert {one.customers + one.control_customers for one in found} == {compared}
    assert sum(not one.low <= 0 <= one.high for one in found) <= binom.ppf(0.999, RUNS, 0.05)
    assert min(one.sample_ratio_p for one in found) > 1e-4
    blind = two_nights(1, few, many, told=False)
    assert not blind.low <= 0 <= blind.high  # what this is for
