"""Whom Appboy is asked about when a night is too large, and that the interval shown covers the truth as it says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from optinb.delivery import ConfirmedNight
from optinb.delivery.journal import ConfirmedCounts
from optinb.delivery.sampling import FEWEST_ASKED, MOST_ASKED, places_to_ask, share_told, shares_to_ask
from optinb.measure.arrivals import arrived

NIGHT = date(2026, 11, 23)


def test_up_to_the_limit_everybody_is_asked_about() -> None:
    night = {"a": 150_000, "b": 50_000}
    assert shares_to_ask(night) == night
    assert places_to_ask("a", NIGHT, recipients=4, asked=4).to_list() == [0, 1, 2, 3]


@given(recipients=st.lists(st.integers(0, 900_000), min_size=1, max_size=9))
def test_beyond_it_a_share_in_proportion_with_a_floor_for_each_campaign(recipients: list[int]) -> None:
    night = dict(enumerate(recipients))
    asked = shares_to_ask(night)
    assert sum(asked.values()) <= MOST_ASKED
    for campaign, count in night.items():
        assert min(count, FEWEST_ASKED) <= asked[campaign] <= count
    if sum(recipients) > MOST_ASKED:
        assert sum(asked.values()) > MOST_ASKED - len(recipients)
        order = sorted(night, key=night.__getitem__)
        assert sorted(asked[campaign] for campaign in order) == [asked[campaign] for campaign in order]


def test_of_more_campaigns_than_floors_fit_each_is_asked_about_less() -> None:
    asked = shares_to_ask(dict.fromkeys(range(10), 5_000), most=5_000)
    assert set(asked.values()) == {500}


def test_the_same_customers_are_drawn_again_and_others_on_another_night_or_for_another_campaign() -> None:
    first = places_to_ask("a", NIGHT, recipients=10_000, asked=500)
    assert first.dtype == pl.UInt32 and first.is_sorted() and first.n_unique() == 500
    assert first.equals(places_to_ask("a", NIGHT, recipients=10_000, asked=500))
    larger = places_to_ask("a", NIGHT, recipients=10_000, asked=900)
    assert set(first) <= set(larger)
    assert set(first) != set(places_to_ask("b", NIGHT, recipients=10_000, asked=500))
    assert set(first) != set(places_to_ask("a", NIGHT + timedelta(days=1), recipients=10_000, asked=500))


@pytest.mark.parametrize(("asked", "recipients"), [(50, 60), (100, 1_000), (400, 5_000)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_the_interval_covers_the_truth_in_95_of_100_samples_or_more(asked: int, recipients: int, share: float) -> None:
    arrived = round(share * recipients)
    drawn = range(max(0, asked - recipients + arrived), min(asked, arrived) + 1)
    chances = hypergeom.pmf(np.array(drawn), recipients, arrived, asked)
    told = [share_told(asked, confirmed, recipients) for confirmed in drawn]
    covers = [one.low <= arrived / recipients <= one.high for one in told]
    assert float(chances @ np.array(covers)) >= 0.95
    assert all(one.low <= one.share <= one.high for one in told)


def test_the_interval_covers_the_truth_with_the_customers_who_are_really_drawn() -> None:
    arrived = set(range(0, 2_000, 3))  # every third one
    covered = 0
    for night in range(300):
        places = places_to_ask("a", NIGHT + timedelta(days=night), recipients=2_000, asked=150)
        told = share_told(150, len(arrived & set(places)), 2_000)
        covered += told.low <= len(arrived) / 2_000 <= told.high
    assert covered >= 280  # 285 are meant; fewer than 280 would be one run in a hundred


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("open_of_ten", [1, 9])
@pytest.mark.parametrize("is_open", ["arrived", "lost", "either"])
def test_the_interval_covers_the_truth_whatever_comes_of_those_without_a_word(
    share: float, open_of_ten: int, is_open: str
) -> None:
    """Whoever arrives late isn't like the others: the open ones may all have got it, or none, or as all do."""
    recipients, asked, rng = 2_000, 150, np.random.default_rng(7)
    truth = np.arange(recipients) < share * recipients
    covered = 0
    for _ in range(30):
        got = truth[rng.permutation(recipients)[:asked]]
        places = np.arange(asked) if is_open == "either" else np.flatnonzero(got == (is_open == "arrived"))
        silent = np.isin(np.arange(asked), places[: asked * open_of_ten // 10])
        found = share_told(asked, int((got & ~silent).sum()), recipients, still_open=int(silent.sum()))
        covered += found.low <= truth.mean() <= found.high
    assert covered >= 25


def arrived_words(*, recipients: int, lost: int = 0, planned: int | None = None, **counts: int) -> str:
    planned = recipients if planned is None else planned
    told = ConfirmedCounts(recipients=recipients, planned=planned, filtered={"segment": lost}, **counts)  # type: ignore[arg-type]
    send_at = datetime(2026, 11, 23, tzinfo=UTC)
    return arrived(ConfirmedNight(campaign="A", template="T", run_date=NIGHT, send_at=send_at, counts=told))


def test_a_night_of_which_little_is_told_is_told_in_counts_and_one_of_which_all_is_told_as_a_share() -> None:
    early = arrived_words(recipients=120, asked=120, confirmed=1, unconfirmed=119)
    assert early == "so far 1 of 120 confirmed, 119 still open (0.8% to 100.0%)"
    under_way = arrived_words(recipients=120, asked=20, confirmed=20)
    assert under_way == "so far 20 of 120 confirmed, 100 still open (16.7% to 100.0%)"
    assert arrived_words(recipients=120, asked=120, confirmed=0, unconfirmed=120).startswith("so far 0 of 120")
    assert arrived_words(recipients=120, asked=120, confirmed=90, lost=30) == "75.0%"
    sample = arrived_words(recipients=1_000, planned=100, asked=100, confirmed=75, lost=25)
    assert sample.startswith("75.0% (6") and sample.endswith("of 100 asked about")
    open_sample = arrived_words(recipients=1_000, planned=100, asked=100, confirmed=75, lost=5, unconfirmed=20)
    assert open_sample.startswith("so far 75 of 100 in the sample confirmed, 20 still open (6")
    assert arrived_words(recipients=120, planned=0) == "not told yet"


def test_who_was_all_asked_about_leaves_no_doubt_and_nobody_leaves_all_of_it() -> None:
    whole = share_told(1_000, 950, 1_000)
    assert (whole.low, whole.share, whole.high) == (0.95, 0.95, 0.95)
    none = share_told(0, 0, 1_000)
    assert (none.low, none.high) == (0.0, 1.0)
    million = share_told(200_000, 150_000, 1_000_000)
    assert million.high - million.low < 0.004
