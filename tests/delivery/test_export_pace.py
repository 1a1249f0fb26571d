"""How fast Appboy is asked: 250 a minute, a fiftieth of an hour's requests, and a million recipients in a night."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.delivery.export_pace import A_MINUTE, USERS_A_REQUEST, allowance, next_export, started
from optinb.delivery.pace import HOUR_S
from optinb.delivery.sampling import MOST_ASKED, shares_to_ask

HOUR = 1_764_331_200.0  # the begin of a clock hour


def requests_by_hour(recipients: int, *, limit_an_hour: int, begin: float, took_s: float = 0.0) -> dict[int, int]:
    """How many requests each clock hour has, until so many recipients have been asked about.

    Args:
        recipients: whom to ask about.
        limit_an_hour: the app group's.
        begin: when the first one goes out, in seconds since 1970.
        took_s: how long Appboy takes for each answer.
    """
    pace, now = started(limit_an_hour=limit_an_hour, used=0, now=begin), begin
    found: dict[int, int] = {}
    for _ in range(math.ceil(recipients / USERS_A_REQUEST)):
        while True:
            pace, wait_s = next_export(pace, now)
            if wait_s <= 0:
                break
            now += wait_s
        hour = int(now // HOUR_S)
        found[hour] = found.get(hour, 0) + 1
        now += took_s
    return found


def test_a_million_recipients_use_at_most_a_fiftieth_of_each_hours_limit() -> None:
    found = requests_by_hour(1_000_000, limit_an_hour=250_000, begin=HOUR + 3_000)
    assert sum(found.values()) == 20_000 and max(found.values()) <= 250_000 * 0.02
    assert max(found.values()) == 5_000, "and what they may use they use"
    asked = sum(shares_to_ask({"a": 600_000, "b": 400_000}).values())
    assert MOST_ASKED - 2 <= asked <= MOST_ASKED
    sample = requests_by_hour(asked, limit_an_hour=250_000, begin=HOUR, took_s=0.1)
    assert sample == {int(HOUR // 3_600): 4_000}, "a night's sample is told within the hour"


@pytest.mark.parametrize("limit", [1, 49, 50, 1_000, 250_000])
def test_a_small_limit_still_leaves_one_request(limit: int) -> None:
    assert 1 <= allowance(limit) <= max(1, limit * 0.02)


@settings(max_examples=30)
@given(
    rests=st.lists(st.floats(0, 400), min_size=1, max_size=12),
    burst=st.integers(1, 300),
    limit=st.integers(1_000, 500_000),
    used=st.integers(0, 200),
)
def test_no_minute_and_no_hour_has_more_than_it_may(rests: list[float], burst: int, limit: int, used: int) -> None:
    now, pace = HOUR, started(limit_an_hour=limit, used=used, now=HOUR)
    times: list[float] = []
    for rest in rests:
        now += rest
        for _ in range(burst):
            while (waited := next_export(pace, now))[1] > 0:
                now += max(waited[1], 1e-6)
            pace = waited[0]
            times.append(now)
    for at, time in enumerate(times):
        assert bisect_left(times, time + 60.0) - at <= A_MINUTE
    by_hour: dict[int, int] = {int(HOUR // 3_600): used}
    for time in times:
        by_hour[int(time // 3_600)] = by_hour.get(int(time // 3_600), 0) + 1
    first = by_hour.pop(int(HOUR // 3_600))
    assert first <= max(used, allowance(limit))
    assert all(count <= allowance(limit) for count in by_hour.values())
