"""What a person writes of a template's rules is read, written again as they do, and refused with what to write."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from optinb.appboy.template_rules import (
    LONGEST_WINDOW_S,
    ONCE,
    READ,
    UNSTATED,
    TemplateRules,
    VendorCap,
    VendorQuietHours,
    checked_rules,
    rules_from,
    rules_words,
    written,
)
from optinb.errors import CampaignError

LIMITS = st.none() | st.integers(1, 10**9)
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
HOURS = st.builds(VendorQuietHours, TIMES, TIMES, st.sampled_from(["later", "drop"])).filter(lambda h: h.start != h.end)
CAPS = st.lists(st.builds(VendorCap, st.integers(1, 9_999), st.sampled_from(["day", "week"])), unique=True, max_size=3)
WORDS = st.text("abc 1", min_size=1, max_size=50).map(lambda text: " ".join(text.split())).filter(bool)
RULES = st.builds(
    TemplateRules,
    again_after_s=st.just(UNSET) | st.none() | st.integers(0, LONGEST_WINDOW_S),
    caps=st.just(UNSET) | CAPS.map(tuple),
    messages_a_minute=st.just(UNSET) | LIMITS,
    max_users=st.just(UNSET) | LIMITS,
    quiet_hours=st.just(UNSET) | st.none() | HOURS,
    segment=st.just(UNSET) | st.none() | WORDS,
)


@given(RULES)
def test_what_is_stated_is_written_as_it_is_read(rules: TemplateRules) -> None:
    assert rules_from(written(rules)) == rules


def test_every_rule_can_be_written() -> None:
    assert tuple(READ) == TemplateRules.__struct_fields__


def test_what_is_left_empty_stays_unsaid() -> None:
    assert rules_from({"again_after_s": None, "caps": "", "segment": "  "}) == UNSTATED
    assert rules_from({"messages_a_minute": "5,000"}) == TemplateRules(messages_a_minute=5_000)
    assert rules_from({"caps": "1 a day, 3 a week"}).caps == (VendorCap(1, "day"), VendorCap(3, "week"))
    assert rules_from({"segment": "All users"}) == TemplateRules(segment=None)
    night = VendorQuietHours(time(22), time(8))
    for text in ("22:00 to 8:00", "22:00-08:00", "22:00 – 08:00, LATER"):
        assert rules_from({"quiet_hours": text}) == TemplateRules(quiet_hours=night)


def test_a_program_states_what_a_person_could_write() -> None:
    for text in ("all", " ALL users", "has  bought"):
        stated = checked_rules(TemplateRules(segment=text, max_users=None), template="T")
        assert stated == rules_from({"segment": text, "max_users": "none"})
    assert checked_rules(UNSTATED, template="T") == UNSTATED


@pytest.mark.parametrize(
    ("field", "text", "remedy"),
    [
        ("again_after_s", "sometimes", "write never, any time, or a time after"),
        ("again_after_s", "after 721 days", "longer than Appboy's longest window of 720 days; write never"),
        ("caps", "often", "write one such as '1 a day' or '3 a week', or none"),
        ("messages_a_minute", "0", "'0' is no number of messages a minute; write one such as 5000, or none"),
        ("max_users", "many", "'many' is no number of customers"),
        ("max_users", "²", "is no number of customers"),
        ("quiet_hours", "at night", "write some such as '22:00 to 08:00'"),
        ("segment", "x" * 201, "at most 200 letters"),
        ("segment", "a\x1bb", "at most 200 letters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(field: str, text: str, remedy: str) -> None:
    with pytest.raises(CampaignError, match=remedy):
        rules_from({field: text})


def test_the_default_is_told_as_long_as_nobody_has_said_when_again() -> None:
    assert rules_words(UNSTATED) == ONCE
    assert rules_words(TemplateRules(max_users=9)) == f"again {ONCE}; most customers 9"
    hours = VendorQuietHours(time(22), time(8))
    told = rules_words(TemplateRules(again_after_s=None, quiet_hours=hours, messages_a_minute=None))
    assert told == "again never; speed no limit; quiet hours 22:00 to 08:00, later"
