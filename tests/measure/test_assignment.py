"""Who belongs to the test of a campaign, and on which side."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from optinb.measure.assignment import TESTED, assign
from optinb.measure.effect import Effect, compare
from optinb.measure.outcomes import ASSIGNED

FIRST = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
WEEK = timedelta(days=7)


def on_nights(*rows: tuple[str, int, str, str | None]) -> pl.DataFrame:
    """Who, in which week, in which role, with which variant."""
    made = [(who, (FIRST + n * WEEK).date(), FIRST + n * WEEK, role, variant) for who, n, role, variant in rows]
    return pl.DataFrame(made, schema=TESTED, orient="row")


def arms(of: pl.DataFrame) -> dict[str, str]:
    return dict(of.select("person", "arm").iter_rows())


def test_a_person_counts_once_from_their_first_night_on() -> None:
    rows = on_nights(
        ("a", 1, "recipient", None), ("a", 0, "recipient", None), ("c", 0, "control", None), ("b", 1, "recipient", None)
    )
    found = assign(rows, days=14)
    assert found.people.schema == ASSIGNED
    assert arms(found.people) == {"a": "message", "c": "control", "b": "message"}
    assert dict(found.people.select("person", "since").iter_rows()) == {"a": FIRST, "c": FIRST, "b": FIRST + WEEK}
    assert found.people.filter(pl.col("until") - pl.col("since") != timedelta(days=14)).is_empty()
    assert found.nights == (FIRST.date(), (FIRST + WEEK).date())
    assert found.until == FIRST + WEEK + timedelta(days=14) and found.contaminated == 0


def test_whoever_got_it_on_two_phones_is_one_person_of_one_variant() -> None:
    rows = on_nights(
        ("a", 0, "recipient", "A"), ("a", 0, "recipient", "A"), ("b", 0, "recipient", "B"), ("c", 0, "control", None)
    )
    assert arms(assign(rows, days=7).people) == {"a": "A", "b": "B", "c": "control"}


def test_a_night_alone_has_those_who_belonged_to_none_before() -> None:
    # "a" bought by the first message and left the group, "c" stays in it
    rows = on_nights(
        ("a", 0, "recipient", None), ("c", 0, "control", None), ("c", 1, "control", None),
        ("b", 1, "recipient", None), ("d", 1, "control", None), ("b", 2, "recipient", None),
    )  # fmt: skip
    second = assign(rows, days=7, night=(FIRST + WEEK).date())
    assert arms(second.people) == {"b": "message", "d": "control"}
    assert set(second.people["since"]) == {FIRST + WEEK} and second.nights == ((FIRST + WEEK).date(),)
    assert arms(assign(rows, days=7, night=FIRST.date()).people) == {"a": "message", "c": "control"}
    assert assign(rows, days=7, night=date(2026, 1, 1)).until is None


def drawn_again(random: np.random.Generator, *, customers: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A campaign whose first message sold to keen customers, who left its group, and whose second sells nothing.

    Returns its nights (TESTED), a third of whose customers come with the second, and what everybody did after that one.
    """
    keen, held_out, comes_later = (random.random(customers) < share for share in (0.5, 0.5, 1 / 3))
    left = keen & ~held_out & ~comes_later & (random.random(customers) < 0.6)
    names = [f"p{n}" for n in range(customers)]
    nights = [
        (names[n], week, "control" if held_out[n] else "recipient", None)
        for week in (0, 1)
        for n in np.flatnonzero(~comes_later if week == 0 else ~left)
    ]
    bought = random.random(customers) < np.where(keen, 0.5, 0.1)
    return on_nights(*nights), pl.DataFrame({"person": names, "bought": bought.astype(float)})


def test_of_a_period_a_message_that_does_nothing_is_told_to_do_nothing_whatever_the_one_before_it_did() -> None:
    tested, bought = drawn_again(np.random.default_rng(5), customers=20_000)
    begin = FIRST + WEEK

    def told(people: pl.DataFrame) -> Effect:
        rows = people.join(bought, on="person")
        return compare((rows["arm"] != "control").to_numpy(), rows["bought"].to_numpy(), seed=1, control_share=0.5)

    found = assign(tested, days=7, since=begin)
    assert set(found.people["since"]) == {begin} and found.nights == (begin.date(),)
    assert told(found.people).low < 0 < told(found.people).high
    of_all_its_messages = assign(tested.filter(pl.col("send_at") >= begin), days=7).people
    assert told(of_all_its_messages).high < -0.03, "customers who were drawn before aren't alike any more"


def test_whoever_was_on_both_sides_stays_on_the_first_and_is_counted() -> None:
    rows = on_nights(
        ("a", 0, "control", None), ("a", 1, "recipient", None), ("b", 0, "recipient", None), ("b", 1, "recipient", None)
    )
    found = assign(rows, days=7)
    assert arms(found.people) == {"a": "control", "b": "message"}
    assert (found.contaminated, found.crossed) == (1, 1)
    first_got_it = on_nights(("a", 0, "recipient", None), ("a", 1, "control", None))
    assert (assign(first_got_it, days=7).contaminated, assign(first_got_it, days=7).crossed) == (1, 0)


def test_of_two_ids_in_one_night_the_one_that_was_held_out_counts_whatever_the_variant_is_called() -> None:
    for variant in (None, "A", "Zebra"):
        found = assign(on_nights(("a", 0, "recipient", variant), ("a", 0, "control", None)), days=14)
        assert arms(found.people) == {"a": "control"} and found.crossed == 1


def test_on_customers_own_clocks_the_window_is_open_for_whoever_gets_it_last() -> None:
    later = on_nights(("a", 0, "recipient", None)).with_columns(last=pl.col("send_at") + timedelta(hours=50))
    (row,) = assign(later, days=1).people.iter_rows(named=True)
    assert (row["since"], row["until"]) == (FIRST, FIRST + timedelta(hours=50 + 24))
