from __future__ import annotations

import asyncio
from datetime import date, time

import pytest

from optinb.campaigns import campaign_from
from optinb.errors import CampaignError
from optinb.views.draft import FIXED, TEMPLATES_OWN, Source, attribute, fields, first_kind, suggested_name
from optinb.views.later import Later, every


def drafted(**changes):
    given = {
        "name": " Summer ",
        "channel": "Appboy Push",
        "app_group": "Shop",
        "template": "T",
        "group": "G",
        "every_day": False,
        "on": date(2026, 11, 23),
        "at": time(9, 5),
        "control_percent": 2.5,
        "properties": {"code": Source(FIXED, "X"), "name": Source(TEMPLATES_OWN)},
        "notes": "",
    }
    return fields(**(given | changes))


def test_draft_reads_as_a_campaign():
    campaign = campaign_from(drafted())
    assert campaign.name == "Summer"
    assert campaign.control == 0.025
    assert campaign.schedule.date == date(2026, 11, 23)
    assert campaign.schedule.at == "09:05"
    assert list(campaign.properties) == ["code"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [({"at": None}, '"HH:MM"'), ({"on": None}, "give either every"), ({"name": " "}, "name")],
)
def test_draft_with_something_missing_is_refused_by_name(missing, said):
    with pytest.raises(CampaignError, match=said):
        campaign_from(drafted(**missing))


def test_attribute_without_a_default_has_none():
    assert Source(attribute("city")).field() == {"attribute": "city"}
    assert Source(attribute("city"), "home").field() == {"attribute": "city", "default": "home"}
    assert Source(FIXED).field() is None


def test_property_starts_with_the_attribute_of_its_name():
    assert first_kind("city", attributes=["city"], has_default=True) == attribute("city")
    assert first_kind("code", attributes=["city"], has_default=True) == TEMPLATES_OWN
    assert first_kind("code", attributes=["city"], has_default=False) == FIXED


def test_suggested_name_fits_a_campaign():
    assert suggested_name("G", None) == "G"
    assert len(suggested_name("G" * 100, "T" * 100)) <= 120


def test_call_waits_for_the_last_of_several_requests():
    calls = []

    async def type_fast() -> None:
        done = asyncio.Event()
        later = Later(lambda: (calls.append(1), done.set()), pause_s=0.001)
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
