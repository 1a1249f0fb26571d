"""When a night that Appboy accepted is called wrong, what is said of it, and when nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from optinb.appboy.template_rules import TemplateRules, VendorQuietHours
from optinb.delivery.arrival_alarm import ArrivalAlarm, arrival_alarm, figures_from, series_speaks
from optinb.delivery.confirmation import LIKELY_FILTERS, NightLosses, TemplateNight

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NIGHT = TemplateNight(template_id="t", send_at=AT, now=AT + timedelta(hours=9))


def alarm(losses: NightLosses | None = None, *, night: TemplateNight = NIGHT, **given: Any) -> ArrivalAlarm | None:
    accepted = given.pop("accepted", 120)
    return arrival_alarm("Club night", "Optimove_ClubNight", night, accepted=accepted, losses=losses, **given)


def test_a_template_that_is_had_once_is_named_with_the_remedy() -> None:
    found = alarm(NightLosses(got=1, lost=119, had_before=119, likely={"re_eligibility": 119}, again="longer"))
    assert found is not None and (found.likely, found.reached, found.accepted) == ("re_eligibility", 1, 120)
    assert found.sentence == (
        "Optimove_ClubNight went to 1 of 120: in Appboy it is set to once per customer; let customers of "
        "Optimove_ClubNight become re-eligible in its delivery controls, or leave out who had it "
        "(campaign 'Club night')"
    )
    sooner = alarm(NightLosses(got=1, lost=119, likely={"re_eligibility": 119}, again_after_s=200_000.0))
    assert sooner is not None and "can't be had again as soon as that" in sooner.sentence


def test_where_all_had_had_it_and_nobody_got_it_the_usual_setting_is_named_though_no_receipt_bears_it_out() -> None:
    found = alarm(NightLosses(lost=120, had_before=118, likely={"no_push_token": 2}, waiting=0))
    assert found is not None and found.likely == "re_eligibility"
    other = alarm(NightLosses(lost=120, had_before=60, likely={"no_push_token": 2}))
    assert other is not None and other.likely is None
    assert "look at Optimove_ClubNight's delivery controls" in other.sentence
    assert "optinb templates set" in other.sentence


@pytest.mark.parametrize(
    "losses",
    [
        NightLosses(got=70, lost=50, likely={"no_push_token": 45, "unknown_user": 2}),
        NightLosses(got=80, lost=40, likely={"control_variation": 36}),
        NightLosses(got=60, lost=60, likely={"global_control": 58}),
        NightLosses(got=90, lost=30, likely={"segment": 28}),
        NightLosses(got=112, lost=8, likely={"re_eligibility": 8}),
        NightLosses(got=2, lost=3),
        NightLosses(got=60, lost=60, waiting=60),
        NightLosses(),
    ],
)
def test_what_is_usual_meant_or_still_waiting_is_no_alarm(losses: NightLosses) -> None:
    assert alarm(losses) is None


@pytest.mark.parametrize("name", LIKELY_FILTERS)
def test_whatever_takes_far_too_many_is_an_alarm_with_a_remedy_unless_it_is_meant_to(name: Any) -> None:
    found = alarm(NightLosses(got=10, lost=110, likely={name: 110}))
    is_meant = name in ("no_push_token", "unknown_user", "global_control", "control_variation")
    assert (found is None) == is_meant
    if found is not None:
        assert found.likely == name and found.sentence.startswith("Optimove_ClubNight went to 10 of 120: ")
        assert "; " in found.sentence


def test_a_sample_says_of_whom_it_speaks() -> None:
    found = alarm(NightLosses(got=10, lost=990, likely={"re_eligibility": 990}), accepted=50_000)
    assert found is not None and "went to 10 of 1,000 who were asked about" in found.sentence


def test_a_series_alone_speaks_once_quiet_hours_are_over_and_only_of_far_too_few() -> None:
    later = replace(NIGHT, now=AT + timedelta(hours=15))
    assert alarm(night=NIGHT, sent=1) is None
    found = alarm(night=later, sent=1)
    assert found is not None and found.likely is None and "doesn't say why" in found.sentence
    assert alarm(night=later, sent=75) is None
    assert alarm(night=later, accepted=4, sent=0) is None
    assert alarm(night=later, sent=None) is None


def test_nothing_is_said_before_the_figures_can_be_there() -> None:
    nobody = NightLosses(lost=120, had_before=120, likely={"re_eligibility": 120})
    assert alarm(nobody, night=replace(NIGHT, now=AT + timedelta(hours=1))) is None
    assert alarm(nobody, night=replace(NIGHT, now=AT + timedelta(hours=3))) is not None
    local = replace(NIGHT, clock="local")
    assert alarm(nobody, night=local) is None
    assert figures_from(local) == AT + timedelta(hours=28)
    quiet = TemplateRules(quiet_hours=VendorQuietHours(time(22), time(8)))
    assert figures_from(replace(NIGHT, rules=quiet)) == AT + timedelta(hours=72)
    dropped = TemplateRules(quiet_hours=VendorQuietHours(time(22), time(8), "drop"))
    assert figures_from(replace(NIGHT, rules=dropped)) == AT + timedelta(hours=2)
    assert figures_from(replace(NIGHT, rules=TemplateRules(messages_a_minute=None))) == AT + timedelta(hours=2)


def test_what_may_still_wait_at_first_counts_when_quiet_hours_are_over() -> None:
    losses = NightLosses(got=0, lost=120, waiting=120)
    assert alarm(losses) is None
    assert alarm(losses, night=replace(NIGHT, now=AT + timedelta(hours=15))) is not None


def test_a_template_s_series_speaks_for_a_campaign_only_where_no_other_one_sent_it() -> None:
    assert series_speaks({"Club night": 120}, "Club night")
    assert series_speaks({"Club night": 120, "Points": 0}, "Club night")
    assert not series_speaks({"Club night": 120, "Points": 3}, "Club night")
