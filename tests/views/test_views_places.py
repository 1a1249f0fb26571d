"""Addresses of the pages: what they open, what is said of one that leads nowhere, and the link for an approver."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from optinb.base.settings import Settings
from optinb.base.settings.sections import ServeSection
from optinb.planning.notices import page_link
from optinb.views.places import TABS, TabPlace, place_of

NAMES = ("Summer, lapsed", "50 % & more?", "Ünï #1 = „x“", "<b onload=x>", "a+b", "?tab=sends&campaign=no")


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("name", ["", *NAMES])
def test_an_address_opens_what_it_was_made_of(tab, name):
    place = TabPlace(tab, name if tab in ("groups", "plan", "approve", "results") else "")
    found = place_of(place.query)
    assert (found.place, found.problem) == (place, "")


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", TabPlace("plan")),
        ("?", TabPlace("plan")),
        ("?theme=dark", TabPlace("plan")),
        ("?campaign=Summer", TabPlace("plan", "Summer")),
        ("?group=Lapsed", TabPlace("groups", "Lapsed")),
        ("tab=APPROVE&campaign=+Summer+", TabPlace("approve", "Summer")),
        ("?tab=calendar&campaign=Summer", TabPlace("calendar")),
        ("?tab=plan&tab=sends", TabPlace("sends")),
        ("?%ff=%ff", TabPlace("plan")),
    ],
)
def test_an_address_that_says_less_or_more_opens_what_it_can(query, place):
    found = place_of(query)
    assert (found.place, found.problem) == (place, "")


def test_an_unknown_tab_opens_the_plan_and_is_named():
    found = place_of("?tab=aprove&campaign=Summer")
    assert found.place == TabPlace("plan")
    assert found.problem == "There is no tab 'aprove'; did you mean 'approve'?"
    assert len(place_of("?tab=" + "x" * 10_000).problem) < 400


def test_an_endless_name_is_cut():
    assert len(place_of("?campaign=" + "x" * 10_000).place.name) == 200


@pytest.mark.parametrize("name", NAMES)
def test_the_link_that_an_approver_is_sent_opens_the_campaign_that_waits(name):
    settings = Settings(serve=ServeSection(address="https://crm.example.com/pages/"))
    link = page_link(settings, "approve", name)
    assert link is not None
    assert link.startswith("https://crm.example.com/pages/?")
    assert place_of(urlsplit(link).query).place == TabPlace("approve", name)
