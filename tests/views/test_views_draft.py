from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import msgspec
import pytest

from optinb.appboy import Needed
from optinb.campaigns import Campaign, campaign_from
from optinb.errors import CampaignError
from optinb.views.debounce import Debounce, every
from optinb.views.form import Form, Sheet
from optinb.views.plan.board import PropertyEditor
from optinb.views.plan.words import CAMPAIGN, sheets, suggested_name

NEEDED = (Needed("p", has_default=True), Needed("q", has_default=False))


def properties_of(*attributes: str, needed: tuple[Needed, ...] = NEEDED) -> PropertyEditor:
    made = PropertyEditor(attributes)
    made.ask_for(needed)
    made.show(None)
    return made


def form_of(**given: Any) -> Form:
    """The planner's form without the planner, with a campaign in it."""
    words = sheets(zone="Europe/Berlin", tomorrow="2026-11-24")
    made = Form(
        Campaign, {Campaign: Sheet(fields=CAMPAIGN), **words}, made={"properties": properties_of("city", "first_name")}
    )
    for name, value in {"app_group": "Shop", "template": "T", "group": "G"}.items():
        made.choices(name, [value])
    made.offer.choices("codes", [("None", None), ("Spring", "Spring")])
    made.show({"name": "Summer", "schedule": {"at": "09:05", "date": "2026-11-23"}, **given})
    return made


def test_what_the_form_says_reads_as_a_campaign():
    form = form_of(control=0.025)
    form.name.value = " Summer "
    form.properties.rows["q"].value.value = "X"
    campaign = campaign_from(form.read())
    assert campaign.name == "Summer"
    assert campaign.control == 0.025
    assert campaign.schedule.date == date(2026, 11, 23)
    assert campaign.schedule.at == "09:05"
    assert list(campaign.properties) == ["q"]
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
    {
        "name": "20 %",
        "kind": "gift",
        "value": "20 %",
        "cost_of_one": 0.5,
        "valid_until": DAY,
        "terms": "Once.",
        "codes": "Spring",
    },
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
        {"offer": "Saved"},
        {"offer": OFFERS[1], "properties": {"p": {"offer": "terms"}, "q": {"offer": "code"}}},
        *({"properties": {"p": given}} for given in PROPERTIES),
        {"control": 0.333, "priority": 0, "exclusion_days": 7, "measurement_days": 30, "ignore_others": True},
        {"notes": "for you"},
    ],
)
def test_campaign_comes_back_from_the_controls_as_it_was(fields):
    campaign = campaign_from({**form_of().read(), **fields})
    assert campaign_from(form_of(**msgspec.to_builtins(campaign)).read()) == campaign


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"schedule": {"date": "2026-11-23"}}, '"HH:MM"'),
        ({"schedule": {"at": "18:30"}}, "give either every"),
        ({"schedule": {"at": "18:30", "every": "week"}}, 'days and every = "week" go together'),
        ({"schedule": {"at": "18:30", "every": "day", "step": 2}}, "step counts days from start"),
        ({"schedule": {"at": "18:30", "every": "day", "blackout": ["Christmas"]}}, "blackout"),
        ({"name": " "}, "name"),
    ],
)
def test_draft_with_something_missing_is_refused_by_name(missing, said):
    with pytest.raises(CampaignError, match=said):
        campaign_from(form_of(**missing).read())


def test_attribute_without_a_default_has_none():
    row = properties_of("city").rows["q"]
    row.origin.value = "attribute city"
    assert row.read() == {"attribute": "city"}
    row.default.value = "home"
    assert row.read() == {"attribute": "city", "default": "home"}
    row.origin.value = "fixed"
    assert row.read() == {}


def test_property_starts_with_the_attribute_of_its_name():
    rows = properties_of("p").rows
    assert {name: row.origin.value for name, row in rows.items()} == {"p": "attribute p", "q": "fixed"}
    assert properties_of("city").rows["p"].origin.value == "template"


def test_property_keeps_an_attribute_that_is_no_longer_delivered():
    made = properties_of("city")
    made.show({"p": {"attribute": "gone", "default": "x"}})
    made.learn(["country"])
    assert made.read() == {"p": {"attribute": "gone", "default": "x"}}
    assert "attribute city" not in dict(made.rows["p"].origin.options).values()


def test_property_gets_another_source_where_the_template_has_no_default_any_more():
    made = properties_of("city")
    assert made.rows["p"].origin.value == "template"
    made.ask_for([Needed("p", has_default=False)])
    assert made.rows["p"].origin.value == "fixed"
    assert "template" not in dict(made.rows["p"].origin.options).values()


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
