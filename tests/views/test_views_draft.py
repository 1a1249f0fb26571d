from __future__ import annotations

import asyncio
from datetime import date, time

import pytest

from optinb.campaigns import campaign_from
from optinb.errors import CampaignError
from optinb.views.debounce import Debounce, every
from optinb.views.plan.draft import (
    FIXED,
    TEMPLATES_OWN,
    PlannerPlan,
    PropertySource,
    Timing,
    attribute,
    first_kind,
    suggested_name,
)


def plan(**changes) -> PlannerPlan:
    given = {
        "name": " Summer ",
        "app_group": "Shop",
        "template": "T",
        "group": "G",
        "timing": Timing(on=date(2026, 11, 23), at=time(9, 5)),
        "control_percent": 2.5,
        "properties": {"code": PropertySource(FIXED, "X"), "name": PropertySource(TEMPLATES_OWN)},
    }
    return PlannerPlan(**(given | changes))


def test_plan_reads_as_a_campaign():
    campaign = campaign_from(plan().fields())
    assert campaign.name == "Summer"
    assert campaign.control == 0.025
    assert campaign.schedule.date == date(2026, 11, 23)
    assert campaign.schedule.at == "09:05"
    assert list(campaign.properties) == ["code"]
    assert campaign.offer is None


DAY = date(2026, 11, 23)
SCHEDULES = [
    {"at": "18:30", "date": DAY},
    {"at": "08:00", "date": DAY, "clock": "local"},
    {"at": "18:30", "every": "day"},
    {"at": "18:30", "every": "day", "clock": "optimal", "end": DAY},
    {"at": "18:30", "every": "day", "step": 9, "start": DAY},
    {"at": "00:00", "every": "week", "days": ["monday", "sunday"], "blackout": [DAY, date(2026, 12, 24)]},
    {"at": "18:30", "every": "month", "day": 31, "start": DAY, "end": date(2027, 1, 1)},
    {"at": "18:30", "every": "month", "day": "last"},
]
OFFERS = [
    {"name": "20 % off", "kind": "discount"},
    {"name": "20 % off", "kind": "gift", "value": "20 %", "valid_until": DAY, "terms": "Once.", "codes": "Spring"},
]
PROPERTIES = [
    {"value": "X"},
    {"attribute": "city"},
    {"attribute": "city", "default": "home"},
    {"attribute": "city", "exclude_empty": True},
]


@pytest.mark.parametrize(
    "fields",
    [
        *({"schedule": schedule} for schedule in SCHEDULES),
        *({"offer": offer} for offer in OFFERS),
        {"offer": OFFERS[1], "properties": {"p": {"offer": "terms"}, "q": {"offer": "code"}}},
        *({"properties": {"p": given}} for given in PROPERTIES),
        {"control": 0.333, "priority": 0, "exclusion_days": 7, "measurement_days": 30, "ignore_others": True},
        {"notes": "for you"},
    ],
)
def test_campaign_comes_back_from_the_controls_as_it_was(fields):
    campaign = campaign_from({**plan(properties={}).fields(), **fields})
    assert campaign_from(PlannerPlan.of(campaign).fields()) == campaign


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"timing": Timing(on=date(2026, 11, 23), at=None)}, '"HH:MM"'),
        ({"timing": Timing()}, "give either every"),
        ({"timing": Timing(often="week")}, 'days and every = "week" go together'),
        ({"timing": Timing(often="days")}, "step counts days from start"),
        ({"timing": Timing(often="day", blackout="Christmas")}, "blackout"),
        ({"name": " "}, "name"),
    ],
)
def test_draft_with_something_missing_is_refused_by_name(missing, said):
    with pytest.raises(CampaignError, match=said):
        campaign_from(plan(**missing).fields())


def test_attribute_without_a_default_has_none():
    assert PropertySource(attribute("city")).field() == {"attribute": "city"}
    assert PropertySource(attribute("city"), "home").field() == {"attribute": "city", "default": "home"}
    assert PropertySource(FIXED).field() is None


def test_property_starts_with_the_attribute_of_its_name():
    assert first_kind("city", attributes=["city"], has_default=True) == attribute("city")
    assert first_kind("code", attributes=["city"], has_default=True) == TEMPLATES_OWN
    assert first_kind("code", attributes=["city"], has_default=False) == FIXED


def test_suggested_name_fits_a_campaign():
    assert suggested_name("G", None) == "G"
    assert len(suggested_name("G" * 100, "T" * 100)) <= 120
    assert suggested_name("G", "T", taken=["g, t", "G, T 2"]) == "G, T 3"


def test_call_waits_for_the_last_of_several_requests():
    calls = []

    async def type_fast() -> None:
        done = asyncio.Event()
        later = Debounce(lambda: (calls.append(1), done.set()), pause_s=0.001)
        later()
        later()
        assert not calls
        await done.wait()

    asyncio.run(type_fast())
    assert calls == [1]


def test_call_that_comes_again_stops_when_it_says_so():
    calls = []

    async def watch() -> None:
        done = asyncio.Event()

        def look() -> bool:
            calls.append(1)
            if len(calls) == 3:
                done.set()
            return len(calls) < 3

        every(0.001, look)
        await done.wait()

    asyncio.run(watch())
    assert len(calls) == 3
