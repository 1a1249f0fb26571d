"""What a campaign in the making lacks, by field."""

from __future__ import annotations

import pytest

from optinb.campaigns import campaign_from, checklist, what_is_missing
from optinb.campaigns.lacks import NAMES

WHOLE = {
    "name": "Winter",
    "app_group": "Shop",
    "template": "Winter push",
    "group": "Lapsed buyers",
    "schedule": {"date": "2026-11-24", "at": "18:30"},
}


def test_an_empty_form_misses_what_is_chosen_first_in_the_order_of_the_form():
    lacks = checklist({"name": "", "app_group": "", "template": "", "group": "", "schedule": {"at": ""}})
    assert all(one.is_missing for one in lacks)
    said = "Still missing: an app group, a template, a target group, a date, a time, a name."
    assert what_is_missing(lacks) == said


def test_a_whole_campaign_lacks_nothing_and_reads_as_one():
    assert checklist(WHOLE) == () and what_is_missing(()) == ""
    assert campaign_from(WHOLE).name == "Winter"


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"at": "18:30"}, "schedule.date"),
        ({"date": "2026-11-24", "at": ""}, "schedule.at"),
        ({"every": "week", "at": "18:30"}, "schedule.days"),
        ({"every": "month", "at": "18:30"}, "schedule.day"),
        ({"every": "day", "step": 3, "at": "18:30"}, "schedule.start"),
    ],
)
def test_each_kind_of_schedule_asks_for_its_own_fields(schedule, field):
    (lack,) = checklist({**WHOLE, "schedule": schedule})
    assert (lack.field, lack.is_missing) == (field, True)
    assert lack.words == NAMES[field]


def test_every_mistake_is_told_at_its_own_field_at_once():
    lacks = checklist({**WHOLE, "schedule": {"date": "2026-11-24", "at": "25:00"}, "control": 1.5, "priority": 900})
    assert {one.field: one.is_missing for one in lacks} == {"schedule.at": False, "control": False, "priority": False}
    assert any(one.words.startswith('The time must be written as "HH:MM"') for one in lacks)


def test_what_is_missing_is_no_mistake_and_mistakes_are_told_beside_it():
    lacks = checklist({**WHOLE, "group": "", "measurement_days": 999})
    assert [(one.field, one.is_missing) for one in lacks] == [("group", True), ("measurement_days", False)]
    assert what_is_missing(lacks) == "Still missing: a target group. It must be at most 365, not 999."


def test_an_end_before_the_start_is_told_at_the_end():
    schedule = {"every": "day", "at": "18:30", "start": "2026-12-02", "end": "2026-12-01"}
    (lack,) = checklist({**WHOLE, "schedule": schedule})
    assert lack.field == "schedule.end" and "before it starts" in lack.words


def test_properties_that_the_template_needs_are_missed_by_their_names():
    (lack,) = checklist(WHOLE, needed=["promo_code"])
    assert (lack.field, lack.words) == ("properties.promo_code", "what promo_code says")
    assert checklist({**WHOLE, "properties": {"promo_code": {"value": "X"}}}, needed=["promo_code"]) == ()


def test_a_property_that_cannot_be_meant_is_told_at_that_property():
    (lack,) = checklist({**WHOLE, "properties": {"promo_code": {"attribute": "city", "value": "X"}}})
    assert lack.field == "properties.promo_code" and "either value or attribute" in lack.words


def test_what_takes_an_offer_that_is_not_there_is_told_of_the_campaign():
    (lack,) = checklist({**WHOLE, "properties": {"promo_code": {"offer": "code"}}})
    assert lack.field == "" and "doesn't give" in lack.words
