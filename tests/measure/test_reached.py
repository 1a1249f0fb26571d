"""The share of each arm's people whom a campaign's messages reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from optinb.measure.assignment import TESTED, assign
from optinb.measure.reached import reached

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)


def shares(*rows: tuple[str, int, str, str | None, str]):
    """Of who got what in which night, with which variant, and what became of it."""
    made = [
        (who, (SENT + timedelta(days=n)).date(), SENT + timedelta(days=n), role, variant, status)
        for who, n, role, variant, status in rows
    ]
    tested = pl.DataFrame(made, schema={**TESTED, "status": pl.String}, orient="row")
    return reached(tested, assign(tested, days=7).people)


def test_a_person_was_reached_where_one_of_their_messages_arrived() -> None:
    found = shares(
        ("a", 0, "recipient", "A", "filtered"), ("a", 1, "recipient", "A", "confirmed"),
        ("b", 0, "recipient", "B", "filtered"), ("b", 1, "recipient", "B", "refused"),
        ("c", 0, "control", None, "confirmed"),
    )  # fmt: skip
    assert {arm: (one.share, one.recipients) for arm, one in found.items()} == {
        "all variants": (0.5, 2), "A": (1.0, 1), "B": (0.0, 1),
    }  # fmt: skip
    assert (found["all variants"].low, found["all variants"].high) == (0.5, 0.5)  # everybody was asked about


def test_of_whom_there_is_no_word_all_may_have_got_it_and_nobody_may() -> None:
    found = shares(
        ("a", 0, "recipient", None, "confirmed"), ("b", 0, "recipient", None, "unconfirmed"),
        ("c", 0, "recipient", None, "filtered"), ("d", 0, "recipient", None, "accepted"),
        ("e", 0, "control", None, "confirmed"),
    )["message"]  # fmt: skip
    assert (found.asked, found.recipients, found.still_open) == (3, 4, 1)
    assert found.share == pytest.approx(1 / 3) and (found.low, found.high) == (0.25, 0.75)


def test_nothing_is_said_where_appboy_was_not_asked() -> None:
    assert shares(("a", 0, "recipient", None, "accepted"), ("b", 0, "recipient", None, "refused")) == {}
