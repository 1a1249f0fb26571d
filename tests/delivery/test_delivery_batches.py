"""Cutting audiences, what outcomes make of batches, lateness and waits: pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from optinb.delivery import backoff_s, cut, is_late
from optinb.delivery.batch import MAX_PROPERTIES
from optinb.delivery.journal import Planned


@given(recipients=st.integers(0, 2_000), size=st.integers(1, 50))
def test_batches_cover_every_recipient_once_and_in_order(recipients: int, size: int) -> None:
    batches = cut(recipients, campaign_id="c", run_date=date(2026, 11, 23), size=size)
    assert [row for b in batches for row in range(b.first, b.first + b.size)] == list(range(recipients))
    assert [b.number for b in batches] == list(range(len(batches)))
    assert all(1 <= b.size <= size and b.first == b.number * size and b.state == Planned() for b in batches)


@given(weights=st.lists(st.integers(2, MAX_PROPERTIES), max_size=200), size=st.integers(1, 50))
def test_no_batch_has_larger_properties_than_a_request_may_have_and_none_is_needlessly_small(
    weights: list[int], size: int
) -> None:
    night = date(2026, 11, 23)
    batches = cut(len(weights), campaign_id="c", run_date=night, size=size, weights=weights)
    assert [row for b in batches for row in range(b.first, b.first + b.size)] == list(range(len(weights)))
    sums = [sum(weights[b.first : b.first + b.size]) for b in batches]
    assert all(1 <= b.size <= size for b in batches) and all(total <= MAX_PROPERTIES for total in sums)
    for batch, total in zip(batches[:-1], sums, strict=False):
        assert batch.size == size or total + weights[batch.first + batch.size] > MAX_PROPERTIES


def test_small_properties_change_nothing_about_the_batches() -> None:
    night = date(2026, 11, 23)
    same = cut(520, campaign_id="c", run_date=night, weights=[1_000] * 520)
    assert same == cut(520, campaign_id="c", run_date=night)


def test_a_send_is_late_after_its_grace_and_not_before() -> None:
    at = datetime(2026, 11, 23, 17, 30, tzinfo=UTC)
    assert not is_late(at, at + timedelta(minutes=15), 15)
    assert is_late(at, at + timedelta(minutes=15, microseconds=1), 15)
    assert is_late(at, at + timedelta(seconds=1), 0)


def test_waits_double_up_to_a_minute() -> None:
    assert [backoff_s(n, told_s=0, draw=1.0) for n in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]
    assert backoff_s(3, told_s=0, draw=0.0) == 2


def test_what_appboy_tells_to_wait_is_obeyed_within_reason() -> None:
    assert backoff_s(1, told_s=1_800, draw=0.5) == 1_800
    assert backoff_s(1, told_s=1e9, draw=0.5) == 3_700
