"""What an analyst looks at: distributions, groups beside each other and over time, micro-segments."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from page_text import text_of

from optinb.customers import ATTRIBUTES, labels_of
from optinb.demo import RUN_DATE
from optinb.errors import UsageError
from optinb.rules import attr, did, uses_app
from optinb.show import html, text

NEXT = RUN_DATE + timedelta(days=1)


@pytest.fixture
def two_nights(ws):
    ws.model(NEXT)
    return ws


def test_vocabulary_names_what_rules_can_ask_about(ws):
    words = ws.vocabulary()
    assert words.attributes["country"] == "text" and words.attributes["birth_date"] == "day"
    assert words.purchases["amount"] == "number" and "transaction_id" not in words.purchases
    assert "app_open" in words.event_names
    assert words.groups == ("Club regulars", "Lapsed buyers")
    assert set(words.apps) == {app.id for group in ws.settings.app_groups for app in group.apps}
    assert "day" in words.meanings["churn_after_days"].casefold()


def test_distribution_counts_every_customer_once(ws):
    customers = ws.customers().collect()
    for name in ("country", "future_value", "is_test", "birth_date"):
        found = ws.distribution(name)
        assert sum(band.outside for band in found.bands) == found.customers == customers.height
        assert found.known == customers.height - customers[name].null_count()
        assert len(found.bands) <= 11
    with pytest.raises(UsageError, match="did you mean 'country'"):
        ws.distribution("contry")


def test_two_groups_are_compared_with_each_other(ws):
    one, other = attr("country") == "DE", attr("country").one_of(["DE", "AT"])
    found = ws.compare(one, other)
    assert (found.inside, found.outside) == (len(ws.members(one)), len(ws.members(other)))
    assert found.against == "country is DE or “AT”"
    country = next(d for d in found.differences if d.attribute == "country")
    assert {b.label: (b.inside, b.outside) for b in country.bands} == {
        "AT": (0, len(ws.members(attr("country") == "AT"))),
        "DE": (found.inside, found.inside),
    }
    same = ws.compare(one, one)
    assert {difference.distance for difference in same.differences} == {0.0}


def test_a_comparison_leaves_out_what_the_rule_says_and_what_is_made_of_the_same(ws):
    found = ws.profile(attr("country") == "DE")
    assert [d.attribute for d in found.restated] == ["country"]
    bought = {d.attribute for d in ws.profile("Lapsed buyers").restated}
    assert {"recency_days", "spend", "stage"} <= bought and "country" not in bought
    registered = {d.attribute for d in ws.profile(attr("tenure_days") > 100).restated}
    assert registered == {"tenure_days", "registered_at"}
    apps = {d.attribute for d in ws.profile(uses_app(platform="ios")).restated}
    assert apps == {"apps", "last_app_use_on"}


def test_a_comparison_is_told_in_percent_and_times(ws):
    found = ws.profile("Lapsed buyers")
    shown = text_of(html(found))
    assert "about which the rule itself asks, or made of the same" in shown and "days since the last purchase" in shown
    assert " times as many" in shown and "% against " in shown and "differs by" not in shown
    risk = next(d for d in ws.profile(attr("country") == "DE").differences if d.attribute == "churn_risk")
    assert all("%" in band.label for band in risk.bands if band.low is not None)
    assert risk.label == "churn risk" and "0." not in text(found).replace("0.0%", "").split("\n")[3][:5]


def test_labels_of_the_settings_are_shown_and_no_two_attributes_have_one(ws):
    words = ws.vocabulary()
    assert words.labels["recency_days"] == "days since the last purchase"
    assert set(words.labels) == set(words.attributes)
    assert len({label.casefold() for label in words.labels.values()}) == len(words.labels)
    given = labels_of(["country", "plan", "city"], {"plan": "Country", "city": "town"})
    assert given == {"country": "country (country)", "plan": "Country (plan)", "city": "town"}
    assert {a.name for a in ATTRIBUTES} <= set(words.meanings) and all(a.label for a in ATTRIBUTES)


def test_groups_are_counted_on_each_night_as_it_was(two_nights):
    ws = two_nights
    ws.groups.save("Stage", attr("stage") == "active")
    ws.groups.save("iPhone", uses_app(platform="ios"))
    ws.groups.save("Fresh", did("purchase").within(days=0))
    found = ws.sizes(["Lapsed buyers", "Stage", "iPhone", "Fresh"])
    assert found.nights == (RUN_DATE, NEXT)
    for at, night in enumerate(found.nights):
        states = ws.history("stage", since=night, until=night)
        assert found.customers["Stage"][at] == states.filter(pl.col("stage") == "active")["customers"].item()
        for name in ("Lapsed buyers", "Fresh"):
            assert found.customers[name][at] == ws.groups.count(name, run_date=night).customers
    assert found.customers["iPhone"] == (None, ws.groups.count("iPhone").customers)
    assert "isn't kept of past nights" in found.reasons["iPhone"]
    assert found.table().height == 8


def test_counting_over_time_can_be_followed_and_ended(two_nights):
    class EndedError(Exception):
        pass

    told = []

    def on_progress(done: int, what: str) -> None:
        told.append((done, what))
        if len(told) == 3:
            raise EndedError

    with pytest.raises(EndedError):
        two_nights.sizes(["Lapsed buyers"], on_progress=on_progress)
    assert told == [(0, f"{RUN_DATE}"), (1, ""), (0, f"{NEXT}")]
    with pytest.raises(UsageError, match="ask for 1 to 60"):
        two_nights.sizes(["Lapsed buyers"], nights=61)


def test_micro_segments_hold_every_customer_with_the_means_of_their_values(ws):
    found = ws.micro_segments()
    customers = ws.customers().collect()
    assert found["customers"].sum() == customers.height
    largest = found.row(0, named=True)
    mine = customers.filter(micro_segment=largest["micro_segment"])
    assert largest["customers"] == mine.height
    assert largest["future_value"] == pytest.approx(mine["future_value"].mean(), nan_ok=True)
    assert largest["about"]


def test_a_count_says_which_micro_segment_it_names_that_nobody_is_in(ws):
    there = next(name for name in ws.micro_segments()["micro_segment"] if name.startswith("active, "))
    gone = attr("micro_segment").one_of([there, f"{there}, as it was"]) | (attr("micro_segment") == "active:spend3")
    notes = ws.groups.count(gone).notes
    assert [note.split(" tonight")[0] for note in notes] == [
        "nobody is in the micro-segment 'active:spend3'",
        f"nobody is in the micro-segment {there + ', as it was'!r}",
    ]
    assert f"did you mean {there!r}" in notes[1]
    assert ws.preview(gone).notes == notes
    assert ws.groups.count(attr("micro_segment") == there).notes == ()


def test_discovery_tells_how_far_it_is_and_stops_when_told_to(ws):
    class EndedError(Exception):
        pass

    told = []
    ws.discover("future_value", depth=1, on_progress=lambda done, what: told.append((done, what)))
    assert sum(done for done, _ in told) <= 100 and "searching" in [what for _, what in told]

    def stop(done: int, what: str) -> None:
        raise EndedError

    with pytest.raises(EndedError):
        ws.discover("future_value", on_progress=stop)
