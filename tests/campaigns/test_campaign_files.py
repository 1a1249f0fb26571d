from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.base.settings import PLATFORMS
from optinb.campaigns import (
    Campaign,
    Offer,
    Property,
    Schedule,
    Variant,
    campaign_from,
    campaign_toml,
    read_campaign,
)
from optinb.campaigns.campaign import OfferField, Phones
from optinb.campaigns.schedule import WEEKDAYS
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from pathlib import Path

DATES = st.dates(date(2026, 1, 1), date(2030, 1, 1))
TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
NAMES = TEXTS.map(lambda t: "x" + "".join(c for c in t if c.isprintable()).rstrip() + "x")
SCALARS = st.one_of(
    TEXTS, st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False)
)
COMMON = {"at": st.times().map(lambda t: f"{t:%H:%M}"), "clock": st.sampled_from(["workspace", "local", "optimal"])}
SCHEDULES = st.one_of(
    st.builds(Schedule, date=DATES, **COMMON),
    st.builds(Schedule, every=st.just("day"), step=st.integers(1, 9), start=DATES, **COMMON),
    st.builds(
        Schedule,
        every=st.just("week"),
        days=st.lists(st.sampled_from(WEEKDAYS), min_size=1).map(tuple),
        blackout=st.lists(DATES, max_size=3).map(tuple),
        **COMMON,
    ),
    st.builds(Schedule, every=st.just("month"), day=st.one_of(st.just("last"), st.integers(1, 31)), **COMMON),
)
PROPERTIES = st.one_of(
    st.builds(Property, value=SCALARS),
    st.builds(Property, attribute=TEXTS, default=st.none() | SCALARS),
    st.builds(Property, attribute=TEXTS, exclude_empty=st.just(True)),
    st.builds(Property, offer=st.sampled_from(get_args(OfferField))),
)
TEMPLATES = st.one_of(
    st.fixed_dictionaries({"template": NAMES}),
    st.fixed_dictionaries({"templates": st.dictionaries(st.sampled_from(PLATFORMS), NAMES, min_size=1)}),
)


def variants(made: list[tuple[float, dict[str, Any], Property]]) -> tuple[Variant, ...]:
    return tuple(
        Variant(name=f"Variant {n}", share=share, properties={"word": source}, **templates)
        for n, (share, templates, source) in enumerate(made)
    )


def written(templates: dict[str, Any], **fields: Any) -> Campaign:
    return Campaign(**templates, **fields)


VARIANTS = st.lists(st.tuples(st.floats(0.01, 99), TEMPLATES, PROPERTIES), max_size=4).map(variants)


CAMPAIGNS = st.builds(
    written,
    templates=TEMPLATES,
    variants=VARIANTS,
    phones=st.sampled_from(get_args(Phones)),
    name=NAMES,
    app_group=TEXTS,
    group=TEXTS,
    schedule=SCHEDULES,
    control=st.floats(0, 0.99),
    offer=st.builds(
        Offer,
        name=NAMES,
        kind=st.sampled_from(["discount", "gift"]),
        value=SCALARS,
        valid_until=DATES,
        terms=st.just("terms"),
        codes=st.just("Pool"),
    ),
    priority=st.integers(0, 100),
    exclusion_days=st.integers(0, 365),
    measurement_days=st.integers(0, 365),
    ignore_others=st.booleans(),
    properties=st.dictionaries(TEXTS, PROPERTIES, max_size=3),
    notes=TEXTS,
)


@given(CAMPAIGNS)
def test_a_campaign_written_to_a_file_reads_back_as_it_was(tmp_path_factory, campaign: Campaign) -> None:
    file = tmp_path_factory.mktemp("campaign") / "campaign.toml"
    file.write_bytes(campaign_toml(campaign).encode())
    assert read_campaign(file) == campaign


def test_what_is_left_to_its_default_is_not_in_the_file() -> None:
    campaign = campaign_from(
        {"name": "A", "app_group": "Shop", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
    )
    assert campaign_toml(campaign) == (
        'name = "A"\napp_group = "Shop"\ntemplate = "t"\ngroup = "g"\n\n[schedule]\nat = "18:30"\nevery = "day"\n'
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"properties": {"x": {"attribute": "a", "default": "b", "exclude_empty": True}}}, "not both"),
        ({"properties": {"x": {"value": "a", "exclude_empty": True}}}, "only an attribute can be empty"),
        ({"properties": {"x": {"offer": "value"}}}, "which the campaign doesn't give; add it under"),
        ({"offer": {"name": "o", "kind": "gift"}, "properties": {"x": {"offer": "valu"}}}, "'value', 'terms'"),
        ({"offer": {"name": "o", "kind": "cash"}}, "write one of 'discount'"),
        ({"schedule": {"at": "18:30", "every": "week", "days": ["Monday"]}}, "write one of 'monday'"),
        ({"exclusion_days": -1}, "exclusion_days"),
        ({"priority": 101}, "priority: it must be at most 100, not 101"),
        ({"priority": "high"}, "priority: Expected `int`, got `str`, not 'high'"),
        ({"control": 1.5}, "less than 1, such as 0.1 for ten percent, not 1.5"),
        ({"name": ""}, "name: it must have at least 1 character, not ''"),
        ({"name": "x" * 121}, "name: it must have at most 120 characters, not 'x{40}'…"),
        ({"schedule": {"at": "25:61", "every": "day"}}, "such as \"18:30\", not '25:61'"),
        ({"schedule": {"at": "18:30", "date": "2026-13-40"}}, "such as \"2026-11-23\", not '2026-13-40'"),
        ({"schedule": {"at": "18:30", "every": "month", "day": 32}}, "schedule.day: it must be at most 31, not 32"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(change: dict[str, object], complaint: str) -> None:
    fields = {"name": "A", "app_group": "S", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
    with pytest.raises(CampaignError, match=complaint):
        campaign_from({**fields, **change})


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_bytes(b'name = "\xff"')
    with pytest.raises(CampaignError, match=r"campaign\.toml isn't UTF-8 text \(byte 8\): save it as UTF-8"):
        read_campaign(file)


def fields_of(**others: Any) -> dict[str, Any]:
    return {"name": "A", "app_group": "S", "group": "g", "schedule": {"every": "day", "at": "18:30"}, **others}


def test_a_campaign_of_one_template_has_one_message_for_whatever_platforms_it_serves() -> None:
    (message,) = campaign_from(fields_of(template="T")).messages
    assert (message.number, message.template, message.platforms, message.variant) == (0, "T", (), None)


def test_a_template_that_serves_two_platforms_is_one_message() -> None:
    found = campaign_from(fields_of(templates={"kindle": "B", "ios": "A", "android": "B"})).messages
    assert [(m.template, m.platforms) for m in found] == [("A", ("ios",)), ("B", ("android", "kindle"))]


def test_each_variant_takes_the_campaigns_templates_and_properties_but_those_of_its_own() -> None:
    campaign = campaign_from(
        fields_of(
            templates={"ios": "A", "android": "B"},
            properties={"word": {"value": "hello"}, "end": {"value": "bye"}},
            variants=[
                {"name": "plain"},
                {"name": "loud", "share": 3, "template": "C", "properties": {"word": {"value": "HELLO"}}},
            ],
        )
    )
    told = [(m.number, m.variant, m.template, m.properties["word"].value) for m in campaign.messages]
    assert told == [(0, "plain", "A", "hello"), (1, "plain", "B", "hello"), (2, "loud", "C", "HELLO")]
    assert campaign.messages[2].properties["end"].value == "bye"
    assert campaign.shares == {"plain": 0.25, "loud": 0.75}
    assert campaign.template_names == ("A", "B", "C")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"template": "T", "templates": {"ios": "X"}}, "give either template = 'T' for all platforms or one for each"),
        ({"templates": {"iphone": "X"}}, "'iphone' isn't known here; write one of 'ios', 'android', 'kindle', 'web'"),
        ({"template": "T", "phones": "both"}, "'both' isn't known here; write one of 'all', 'last_used'"),
        ({"template": "T", "variants": [{"name": "a"}, {"name": "A"}]}, "two variants are called 'a'"),
        ({"template": "T", "variants": [{"name": "a", "share": 0}]}, "must be more than 0"),
        ({"template": "T", "variants": [{"name": "a", "shares": 1}]}, "did you mean 'share'"),
        ({"template": "T", "variants": [{"name": " a"}]}, "name of a variant ' a' must be printable"),
    ],
)
def test_messages_that_can_not_be_told_apart_are_refused_with_the_remedy(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(CampaignError, match=re.escape(said)):
        campaign_from(fields_of(**fields))


@pytest.mark.parametrize("name", ["control", "All variants"])
def test_a_variant_is_not_called_what_results_call_something_else(name: str) -> None:
    campaign = campaign_from(fields_of(template="T", variants=[{"name": name}, {"name": "a"}]))
    assert campaign.why_no_message == f"results call something else {name!r}: give that variant another name"
    other = campaign_from(fields_of(template="T", variants=[{"name": "controlled"}, {"name": "a"}]))
    assert other.why_no_message is None


def test_a_draft_may_lack_a_message_and_says_which() -> None:
    assert "no message yet" in (campaign_from(fields_of()).why_no_message or "")
    lacking = campaign_from(fields_of(variants=[{"name": "a", "template": "T"}, {"name": "b"}]))
    assert "variant 'b' has no message" in (lacking.why_no_message or "")
    assert campaign_from(fields_of(template="T")).why_no_message is None
