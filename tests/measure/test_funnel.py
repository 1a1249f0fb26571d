"""From the target group to the phone and to the purchase."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from optinb.measure.effect import CONTROL
from optinb.measure.funnel import CONTACTED, Funnel, FunnelStep, funnel_of
from optinb.measure.outcomes import ASSIGNED, outcomes
from optinb.measure.reached import opened
from optinb.show.result_tables import funnel_words

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
Row = tuple[str, str, str, bool | None]
Steps = dict[str, dict[str, FunnelStep]]


def people(arms: dict[str, str], buyers: str = "") -> pl.DataFrame:
    """What those of some arms did, of whom some bought."""
    until = SENT + timedelta(days=7)
    assigned = pl.DataFrame([(who, arm, SENT, until) for who, arm in arms.items()], schema=ASSIGNED, orient="row")
    rows = [(who, SENT, SENT.date(), 5.0) for who in buyers]
    schema = {"person": pl.String, "occurred_at": pl.Datetime("us"), "day": pl.Date, "amount": pl.Float64}
    return outcomes(assigned, pl.LazyFrame(rows, schema=schema, orient="row"))


def funnel(
    arms: dict[str, str], *rows: Row, buyers: str = "", is_told: bool = True
) -> dict[str, dict[str, FunnelStep]]:
    """The steps of each arm by their names."""
    contacts = pl.DataFrame(rows, schema=CONTACTED, orient="row")
    found = funnel_of(contacts, people(arms, buyers), is_told=is_told)
    return {of.arm: {one.step: one for one in of.steps} for of in found.arms}


ONE = {"a": "message", "b": "message", "c": "message", "d": "message", "x": CONTROL, "y": CONTROL}
ASKED: tuple[Row, ...] = (
    ("a", "recipient", "confirmed", True), ("b", "recipient", "confirmed", False),
    ("c", "recipient", "filtered", None), ("d", "recipient", "refused", None),
    ("x", "control", "confirmed", None), ("y", "control", "confirmed", None),
    ("e", "excluded", "confirmed", None), ("f", "excluded", "confirmed", None),
)  # fmt: skip


def test_a_funnel_goes_from_the_target_group_to_the_purchases_with_the_control_group_beside_it() -> None:
    found = funnel(ONE, *ASKED, buyers="acxz")
    counts = {arm: {name: one.customers for name, one in steps.items()} for arm, steps in found.items()}
    assert counts == {
        "message": {"target group": 8, "assigned": 4, "accepted": 3, "confirmed": 2, "opened": 1, "bought": 2},
        CONTROL: {"assigned": 2, "bought": 1},
    }
    shares = {name: one.share for name, one in found["message"].items()}
    assert shares == {
        "target group": None, "assigned": 0.5, "accepted": 0.75, "confirmed": 0.5, "opened": 0.25, "bought": 0.5,
    }  # fmt: skip
    assert (found[CONTROL]["assigned"].share, found[CONTROL]["bought"].share) == (0.25, 0.5)
    assert all(one.is_certain for steps in found.values() for one in steps.values())


def test_what_appboy_was_not_asked_is_unknown_and_not_nobody() -> None:
    rows = [(who, role, "accepted", None) for who, role, _, _ in ASKED]
    found = funnel(ONE, *rows)["message"]
    assert found["accepted"].customers == 4
    for step in ("confirmed", "opened"):
        one = found[step]
        assert (one.customers, one.low, one.high, one.share) == (None, None, None, None) and not one.is_certain
        assert funnel_words(one) == "not known"
    asked = funnel(ONE, *((who, role, "filtered", None) for who, role, _, _ in ASKED))["message"]
    assert asked["confirmed"].customers == 0 and funnel_words(asked["confirmed"]) == "0 (0.0%)"
    assert asked["opened"].customers is None  # Appboy told of nobody whether they did


def test_of_purchases_that_no_table_tells_of_nothing_is_known() -> None:
    found = funnel(ONE, *ASKED, is_told=False)
    assert found["message"]["bought"].customers is None and found[CONTROL]["bought"].customers is None
    assert funnel(ONE, *ASKED)["message"]["bought"].customers == 0


def test_a_sample_tells_of_everybody_within_bounds() -> None:
    arms = {f"p{n}": "message" for n in range(400)}
    told = [(who, "recipient", "confirmed", n % 4 == 0) for n, who in enumerate(arms) if n < 100]
    rest = [(who, "recipient", "accepted", None) for n, who in enumerate(arms) if n >= 100]
    found = funnel(arms, *told, *rest)["message"]
    assert found["opened"].customers == 100 and found["opened"].share == 0.25
    low, high = found["opened"].low, found["opened"].high
    assert low is not None and high is not None and 25 < low < 100 < high < 325 and not found["opened"].is_certain
    assert funnel_words(found["opened"]) == f"100 (25.0%; {low} to {high})"


def test_of_whom_nobody_knows_whether_appboy_took_it_some_may_have_been_accepted() -> None:
    rows = [("a", "recipient", "unknown", None), ("b", "recipient", "untold", None),
            ("c", "recipient", "accepted", None), ("d", "recipient", "expired", None)]  # fmt: skip
    one = funnel(ONE, *rows)["message"]["accepted"]
    assert (one.customers, one.low, one.high) == (1, 1, 3)


def test_variants_have_steps_of_their_own_below_those_of_all_of_them() -> None:
    arms = {"a": "A", "b": "A", "c": "B", "x": CONTROL}
    rows = [("a", "recipient", "confirmed", True), ("b", "recipient", "confirmed", False),
            ("c", "recipient", "filtered", None), ("x", "control", "confirmed", None)]  # fmt: skip
    found = funnel(arms, *rows, buyers="c")
    assert list(found) == ["all variants", "A", "B", CONTROL]
    counts = {arm: [one.customers for one in steps.values()] for arm, steps in found.items()}
    assert counts == {
        "all variants": [4, 3, 3, 2, 1, 1], "A": [2, 2, 2, 1, 0], "B": [1, 1, 0, 0, 1], CONTROL: [1, 0],
    }  # fmt: skip


def test_a_campaign_without_a_control_group_has_a_funnel_all_the_same() -> None:
    found = funnel(
        {"a": "message"}, ("a", "recipient", "accepted", None), ("e", "excluded", "accepted", None), buyers="a"
    )
    assert {name: one.customers for name, one in found["message"].items()} == {
        "target group": 2, "assigned": 1, "accepted": 1, "confirmed": None, "opened": None, "bought": 1,
    }  # fmt: skip
    assert list(found) == ["message"]


def test_whoever_was_left_out_in_one_night_and_drawn_in_another_is_in_the_target_group_once() -> None:
    rows = [("a", "excluded", "accepted", None), ("a", "recipient", "accepted", None),
            ("e", "excluded", "accepted", None), ("e", "excluded", "accepted", None),
            ("x", "control", "accepted", None)]  # fmt: skip
    assert funnel({"a": "message", "x": CONTROL}, *rows)["message"]["target group"].customers == 3


def test_of_whom_there_is_no_word_all_may_have_opened_it_and_nobody_may() -> None:
    rows = [("a", "recipient", "confirmed", True), ("b", "recipient", "unconfirmed", None),
            ("c", "recipient", "filtered", None), ("d", "recipient", "confirmed", False)]  # fmt: skip
    told = opened(pl.DataFrame(rows, schema=CONTACTED, orient="row"), people(ONE))["message"]
    assert (told.share, told.low, told.high, told.still_open) == (0.25, 0.25, 0.5, 1)


def test_the_frame_has_a_row_for_each_arm_and_step() -> None:
    contacts = pl.DataFrame(ASKED, schema=CONTACTED, orient="row")
    frame = funnel_of(contacts, people(ONE), is_told=True).frame()
    assert frame.columns == ["arm", "step", "customers", "low", "high", "share"] and frame.height == 8
    assert frame.row(3) == ("message", "confirmed", 2, 2, 2, 0.5)
    assert Funnel(arms=()).frame().schema == frame.schema
