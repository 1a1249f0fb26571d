from __future__ import annotations

import pytest

from optinb.campaigns import campaign_from, content_parts
from optinb.campaigns.part_words import part_words
from optinb.demo import CAMPAIGNS
from optinb.rules import attr, to_json


@pytest.fixture
def parts(ws):
    campaign = campaign_from(
        {
            **CAMPAIGNS[1],
            "control": 0.125,
            "measurement_days": 1,
            "ignore_others": True,
            "offer": {"name": "Free drink", "kind": "gift", "value": 2, "codes": "Drinks"},
            "properties": {
                "code": {"offer": "code"},
                "first_name": {"attribute": "first_name", "default": "there"},
                "promo_code": {"value": "CLUB"},
            },
        }
    )
    return content_parts(
        campaign,
        rule_json=to_json(attr("country") == "DE"),
        templates=[ws.templates.get("Club", campaign.template)],
        app_group=ws.settings.app_group("Club"),
    )


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("rule of the target group", "country is DE"),
        ("schedule", "every day at 17:00"),
        ("control share", "12.5%"),
        ("offer", "Free drink, 2, Drinks"),
        ("properties", "code: the offer's code; first_name: attribute first_name, else “there”; promo_code: “CLUB”"),
        ("exclusion period", "0 days"),
        ("measurement window", "1 day"),
        ("ignoring others' exclusion periods", "yes"),
        ("priority", "50"),
    ],
)
def test_every_part_of_an_approval_reads_in_words(parts, part, words):
    assert part_words(part, parts[part]) == words


@pytest.mark.parametrize("part", ["schedule", "offer", "properties", "rule of the target group", "control share"])
def test_part_in_a_form_that_is_not_known_is_told_as_it_is(part):
    assert part_words(part, "{of old}") == "{of old}"


def test_nothing_offered_is_none(parts):
    assert part_words("offer", "null") == part_words("properties", "{}") == "none"
