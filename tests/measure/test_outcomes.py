"""What customers did after a message and before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.measure.afterwards import active_at_end, did_event
from optinb.measure.outcomes import ASSIGNED, HISTORY_DAYS, OUTCOMES, outcomes, outcomes_of_all

if TYPE_CHECKING:
    import pytest

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
WINDOW = timedelta(days=14)


def assigned(*people: str, since: datetime = SENT) -> pl.DataFrame:
    rows = [(person, "control" if person.startswith("c") else "A", since, since + WINDOW) for person in people]
    return pl.DataFrame(rows, schema=ASSIGNED, orient="row")


def bought(*rows: tuple[str, datetime, float]) -> pl.LazyFrame:
    schema = {"person": pl.String, "occurred_at": pl.Datetime("us"), "amount": pl.Float64}
    return pl.LazyFrame(rows, schema=schema, orient="row").with_columns(day=pl.col("occurred_at").dt.date())


def test_what_counts_begins_with_the_send_and_ends_before_the_end_of_the_window() -> None:
    second = timedelta(seconds=1)
    rows = [("a", SENT - second, 1.0), ("a", SENT, 2.0), ("a", SENT + WINDOW - second, 4.0), ("a", SENT + WINDOW, 8.0)]
    (found,) = outcomes(assigned("a"), bought(*rows)).to_dicts()
    assert (found["orders"], found["spend"], found["spend_before"]) == (2, 6.0, 1.0)


def test_everybody_stays_whether_they_bought_or_not_and_others_do_not_come() -> None:
    found = outcomes(assigned("a", "c", "b"), bought(("b", SENT, 5.0), ("x", SENT, 7.0)))
    assert found.schema == OUTCOMES
    assert found["person"].to_list() == ["a", "c", "b"]
    assert found["spend"].to_list() == [0.0, 0.0, 5.0]
    assert found["arm"].to_list() == ["A", "control", "A"]
    assert found["days_since"].to_list() == [HISTORY_DAYS] * 3


def test_purchases_of_one_day_are_one_order_and_refunds_are_a_figure_of_their_own() -> None:
    hour = timedelta(hours=1)
    rows = [
        ("a", SENT, 10.0),
        ("a", SENT + hour, 5.0),
        ("a", SENT + 30 * hour, 1.0),
        ("a", SENT + hour, -4.0),
        ("a", SENT, 0.0),
    ]
    (found,) = outcomes(assigned("a"), bought(*rows)).to_dicts()
    assert (found["orders"], found["spend"], found["refunds"]) == (2, 16.0, 4.0)


def test_what_was_known_before_is_of_the_year_before_the_send_alone() -> None:
    day = timedelta(days=1)
    rows = [
        ("a", SENT - 400 * day, 100.0),
        ("a", SENT - 30 * day, 20.0),
        ("a", SENT - 10 * day, -5.0),
        ("a", SENT + day, 3.0),
    ]
    (found,) = outcomes(assigned("a"), bought(*rows)).to_dicts()
    assert (found["orders_before"], found["spend_before"], found["days_since"]) == (1, 20.0, 30.0)


def test_what_messages_brought_before_the_window_is_no_history_of_it() -> None:
    day, first = timedelta(days=1), SENT - timedelta(days=20)
    rows = [("a", first - 300 * day, 7.0), ("a", first - day, 20.0), ("a", first + day, 50.0), ("a", SENT + day, 3.0)]
    (found,) = outcomes(assigned("a"), bought(*rows), known=first).to_dicts()
    assert (found["orders_before"], found["spend_before"], found["days_since"], found["spend"]) == (2, 27.0, 1.0, 3.0)
    (found,) = outcomes(assigned("a", since=first), bought(*rows), known=SENT).to_dicts()
    assert (found["spend_before"], found["days_since"]) == (27.0, 1.0)


def test_who_is_active_once_their_window_is_over_is_told_by_the_night_of_that_day() -> None:
    people, end = assigned("a", "b", "c", "x"), SENT + WINDOW
    day = end.date()
    rows = [("a", day, "active"), ("b", day, "churned"), ("c", day, "reactivated"), ("c", day, "churned")]
    rows.append(("b", day + timedelta(days=1), "active"))
    states = pl.DataFrame(rows, schema={"person": pl.String, "day": pl.Date, "stage": pl.String}, orient="row")
    assert active_at_end(people, states, {end: day}).to_list() == [True, False, True, False]


def test_an_event_counts_once_and_in_the_window_alone() -> None:
    second = timedelta(seconds=1)
    rows = [("a", SENT), ("a", SENT + second), ("b", SENT - second), ("c", SENT + WINDOW), ("x", SENT)]
    events = pl.LazyFrame(rows, schema={"person": pl.String, "occurred_at": pl.Datetime("us")}, orient="row")
    assert did_event(assigned("a", "b", "c"), events).to_list() == [True, False, False]


def test_each_person_has_a_window_of_their_own() -> None:
    later = SENT + timedelta(days=30)
    of_all = pl.concat([assigned("a"), assigned("b", since=later)])
    rows = [(person, SENT + timedelta(days=day), 1.0) for person in "ab" for day in (1, 31)]
    found = outcomes(of_all, bought(*rows))
    assert found["orders"].to_list() == [1, 1]
    assert found["orders_before"].to_list() == [0, 1]


def test_several_tests_are_told_apart_though_purchases_are_read_once() -> None:
    first, second = assigned("a", "b"), assigned("b", "c", since=SENT + WINDOW)
    rows = [(person, SENT + timedelta(days=day), 1.0 + day) for person in "abc" for day in (1, 20)]
    told = outcomes_of_all([first, second, first.clear()], bought(*rows))
    assert [frame.height for frame in told] == [2, 2, 0]
    for frame, alone in zip(told, (first, second), strict=False):
        assert frame.equals(outcomes(alone, bought(*rows)))
    assert told[1]["spend"].to_list() == [21.0, 21.0] and told[1]["spend_before"].to_list() == [2.0, 2.0]
    assert outcomes_of_all([], bought()) == []


def test_of_many_people_purchases_are_read_for_some_at_a_time_and_tell_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = assigned(*(f"p{n}" for n in range(7)))
    rows = [(f"p{n}", SENT + timedelta(days=n - 3), 1.0 + n) for n in range(7)]
    whole = outcomes(people, bought(*rows))
    monkeypatch.setattr("optinb.measure.outcomes.PEOPLE_AT_ONCE", 3)
    assert outcomes(people, bought(*rows)).equals(whole) and whole["orders"].sum() == 4
    assert outcomes(people.clear(), bought(*rows)).schema == OUTCOMES
