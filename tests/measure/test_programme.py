"""What all campaigns together brought, against the lasting control group."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from optinb.engine.persons import in_share
from optinb.measure.arms import ArmResult
from optinb.measure.effect import Effect
from optinb.measure.lasting_control import JUDGED, LastingControl, last_of_another_share, reached
from optinb.measure.outcomes import outcomes
from optinb.measure.programme import CampaignPart, Programme, another_share, assigned, in_order, programme_of, share_for

SINCE, UNTIL = date(2026, 6, 1), date(2026, 8, 31)
BEGIN = datetime(2026, 6, 1, tzinfo=UTC).replace(tzinfo=None)
END = datetime(2026, 9, 1, tzinfo=UTC).replace(tzinfo=None)
GROUP = "global control"


def programme(
    *,
    customers: int = 6_000,
    share: float = 0.1,
    effect: float = 0.0,
    planned: float | None = None,
    told: datetime = END,
    received: int = 0,
    parts: tuple[CampaignPart, ...] = (),
) -> Programme:
    """Of customers of whom three in ten buy in the period anyway, and `effect` more of those who get campaigns."""
    random = np.random.default_rng(3)
    people = LastingControl(None, share=share).sides(pl.Series([f"p{n}" for n in range(customers)], dtype=pl.String))
    held_out = people.people["held_out"].to_numpy()
    buys = random.random(customers) < 0.3 + effect * ~held_out
    days = random.integers(0, 92, customers)
    bought = people.people.select("person").with_columns(
        occurred_at=pl.lit(BEGIN) + pl.duration(days=pl.lit(pl.Series(days)), hours=1),
        amount=pl.Series(random.lognormal(3, 1, customers)),
    )
    bought = bought.filter(pl.Series(buys)).with_columns(day=pl.col("occurred_at").dt.date())
    known = Programme(
        since=SINCE, until=UNTIL, currency="EUR", version=7, computed_at=datetime(2026, 9, 2, tzinfo=UTC),
        measured_until=told, is_final=told >= END, share=share if planned is None else planned, received=received,
    )  # fmt: skip
    found = outcomes(assigned(people, BEGIN, END), bought.filter(pl.col("occurred_at") < told).lazy())
    return programme_of(known, people, found, parts, seed=1)


def part(name: str, p: float, revenue: float, *, is_final: bool = True) -> CampaignPart:
    """A campaign of 1,000 customers that added some revenue."""
    fields = {"sample_ratio_p": 1.0, "mean": 0.2, "control_mean": 0.2, "customers": 1_000, "control_customers": 100}
    effect = Effect(estimate=revenue / 1_000, low=-9.0, high=9.0, p=p, **fields)
    figures = dict.fromkeys(("response", "spend", "orders", "net_spend"), effect)
    return CampaignPart(
        campaign=name, customers=1_000, whole=ArmResult(arm="message", figures=figures), is_final=is_final
    )


def test_what_everybody_bought_more_than_the_lasting_control_group_is_told_with_its_interval() -> None:
    found = programme(effect=0.1)
    assert found.whole is not None
    buyers, low, high = found.whole.added("response")
    assert low < 0.1 * found.customers["programme"] < high and low < buyers < high and found.is_told
    assert found.sentence().startswith("From 1 June to 31 August 2026 the programme brought ")
    assert found.sentence().endswith(" more than nothing would have") and "EUR (" in found.sentence()
    assert found.customers == {"programme": 6_000 - found.customers["control"], "control": found.customers["control"]}


def test_where_nothing_can_be_told_it_says_what_would_have_been_seen_and_what_it_takes() -> None:
    found = programme(customers=20_000, share=0.02)
    assert "whether it brought any buyer can't be told yet: only a rise of the buyers by" in found.sentence()
    assert "a tenth takes [policy] global_control = 0." in found.sentence() and "times as long" in found.sentence()
    assert not found.is_told and found.share_of(part("A", 0.5, 100.0)) is None


def test_a_share_that_is_said_to_tell_a_tenth_does() -> None:
    assert share_for(0.1, 0.05) == 0.05
    assert share_for(0.2, 0.02) == pytest.approx(0.09)  # 4 x 0.02 x 0.98 is 0.085 x 0.915
    assert share_for(0.5, 0.05) is None


def test_a_period_that_is_not_delivered_to_its_end_is_so_far_and_tells_less() -> None:
    so_far = programme(effect=0.1, told=BEGIN + timedelta(days=40))
    assert not so_far.is_final and "so far" in so_far.sentence()
    assert not so_far.figures["response"].is_final
    assert "as far as purchases are delivered" in so_far.how()[0]


def test_without_a_lasting_control_group_it_says_how_to_have_one_and_what_it_would_show() -> None:
    found = programme(share=0.0)
    assert found.figures == {} and "set [policy] global_control = 0.05 in optinb.toml" in found.sentence()
    assert "of 6,000 customers, of whom" in found.sentence() and "a rise of the buyers by" in found.sentence()
    assert "too few to compare: set a larger [policy] global_control" in programme(customers=20, share=0.01).sentence()


def test_a_group_of_another_share_than_the_settings_say_is_not_to_be_decided_by() -> None:
    found = programme(effect=0.1, planned=0.15)
    assert found.is_doubtful and found.sentence().startswith("Don't decide by 1 June to 31 August 2026")


def test_people_are_drawn_as_the_contact_policy_draws_them_and_merged_ones_are_left_out() -> None:
    ids = pl.Series([f"p{n}" for n in range(500)])
    # p1 was p0 all along; p2 and p3 turned out to be one person after both had been drawn
    persons = pl.DataFrame(
        [("p1", "p0", False), ("p3", "p2", True)], schema=["customer_id", "person_id", "drawn"], orient="row"
    )
    found = LastingControl(persons, share=0.2).sides(ids)
    assert found.merged == 1 and found.people.height == 497
    assert not {"p1", "p2", "p3"} & set(found.people["person"])
    told = dict(found.people.iter_rows())
    assert told == dict(
        zip(found.people["person"], in_share(found.people["person"], salt=GROUP, share=0.2), strict=True)
    )


def judged(share: float, *, people: int = 400) -> pl.DataFrame:
    """What a night did whose lasting control group was drawn with a share."""
    ids = pl.Series("person", [f"p{n}" for n in range(people)])
    left_out = in_share(ids, salt=GROUP, share=share)
    return pl.DataFrame({"person": ids, "left_out": left_out, "received": ~left_out}, schema=JUDGED)


def test_nights_tell_whether_the_group_was_the_same_and_who_of_it_got_a_message() -> None:
    control = LastingControl(None, share=0.1)
    first, *others = (SINCE + timedelta(days=n) for n in range(4))
    same = control.of_night(first, judged(0.1))
    assert (same.taken, same.others, len(same.received)) == (0, 0, 0) and same.left_out > 20
    for share, night in zip((0.0, 0.05, 0.2), others, strict=True):
        draw = control.of_night(night, judged(share))
        assert draw.is_of_another_share, share
        assert (draw.taken > 0, draw.others > 0) == (share < 0.1, share > 0.1)
        assert last_of_another_share([draw, same]) == night
    assert last_of_another_share([same]) is None and reached([same]) == 0
    assert reached([control.of_night(first, judged(0.0)), same]) == same.left_out
    told = another_share(others[0], programme())
    assert told.endswith(f"ask since {others[1]}")
    assert "after the day on which it was set" in another_share(UNTIL, programme())


def test_who_got_a_message_all_the_same_is_told() -> None:
    assert "31 people of the lasting control group got a message all the same" in programme(received=31).how()[2]


def test_campaigns_are_found_together_and_how_many_of_them_are_luck_is_said() -> None:
    found = in_order(
        [part("B", 0.0001, 10.0), part("A", 0.02, 20.0), part("C", 0.2, 5.0), part("D", 0.0, 30.0, is_final=False),
         CampaignPart(campaign="E", problem="nobody was held out")]
    )  # fmt: skip
    assert [one.campaign for one in found] == ["D", "A", "B", "C", "E"]
    assert {one.campaign: one.luck for one in found} == {
        "A": pytest.approx(0.03), "B": pytest.approx(0.0003), "C": pytest.approx(0.2), "D": None, "E": None
    }  # fmt: skip
    assert [one.told() for one in found] == ["so far", "more buyers", "more buyers", "not told", "no result"]
    whole = programme(effect=0.1, parts=found)
    assert [one.campaign for one in whole.found] == ["A", "B"]
    assert whole.luck() == (
        "2 of 5 campaigns alone can be told from luck; of these, fewer than 0.1 are likely luck all the same"
    )
    added = whole.whole.added("spend")[0] if whole.whole else 0.0
    assert whole.share_of(found[1]) == pytest.approx(20 / added)
    assert whole.other() == pytest.approx(added - 65)
