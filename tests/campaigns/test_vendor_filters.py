"""Whom Appboy would filter, told beforehand: by the template, by its own control group, and by its caps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from optinb.appboy.template_rules import TemplateRules, VendorCap, VendorQuietHours
from optinb.base.settings import AppSettings
from optinb.base.settings.sections import PolicySection
from optinb.campaigns import (
    AudienceMessage,
    Competitor,
    ContactPolicyState,
    PlacedCustomers,
    Sent,
    TemplateSending,
    VendorState,
    build_audience,
    waterfall,
)
from optinb.campaigns.vendor_filters import ReceiptSpan, is_too_soon, why_too_many
from optinb.engine.persons import PERSONS, Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

TEN = datetime.combine(date(2026, 11, 23), clock_time(10))
DAY, HALF_HOUR = timedelta(days=1), timedelta(minutes=30)
DAY_S = 86_400
APP = AppSettings(id="app", name="App", platform="ios")
ZONES = {"ann": "UTC", "bob": "Asia/Tokyo", "cyd": "America/New_York", "dee": None}


def sending(
    at: datetime = TEN, *, template: str = "T", group: str = "g", clock: Any = "workspace", **more: Any
) -> TemplateSending:
    recipients = more.pop("recipients", 0)
    rules = TemplateRules(**more)
    return TemplateSending(
        app_group_id=group, template_id=template, clock=clock, wall=at, rules=rules, recipients=recipients
    )


def sent(one: TemplateSending, *who: str, by: str = "Before", control: Sequence[str] = ()) -> Sent:
    def rows(of_control: bool) -> pl.DataFrame:
        return pl.DataFrame({"customer_id": list(control if of_control else who)}, schema={"customer_id": pl.String})

    return Sent(by, one, rows)


class Night:
    """Four customers in three zones, what they were sent before, and the audiences of tonight."""

    def __init__(self, *before: Sent, members: Sequence[str] = (), identity: Identity | None = None) -> None:
        self.people: pl.LazyFrame = pl.LazyFrame(
            {
                "customer_id": list(ZONES),
                "external_user_id": [f"e-{name}" for name in ZONES],
                "is_blocked": False,
                "is_test": False,
                "push_opt_in": True,
                "time_zone": list(ZONES.values()),
            }
        )
        self.uses: pl.LazyFrame = pl.LazyFrame(
            {"customer_id": list(ZONES), "app_id": "app", "push_enabled": True, "app_version": "3.0"}
        )
        placed = PlacedCustomers(self.people, self.uses, identity=identity)
        listed: dict[str, pl.DataFrame] = {"g": pl.DataFrame({"external_user_id": list(members)})} if members else {}
        self.state: ContactPolicyState = ContactPolicyState(
            placed,
            days=[TEN.date()],
            policy=PolicySection(),
            vendor=VendorState(placed, zone="UTC", sent=before, controls=listed.get),
        )

    def audience(self, one: TemplateSending, *, name: str = "Tonight", control: float = 0.0) -> pl.DataFrame:
        who = Competitor(campaign_id=name, app_group_id="g", day=TEN.date(), sendings=(one,))
        found = build_audience(
            self.people.select("customer_id"),
            self.people,
            self.uses,
            messages=[AudienceMessage(apps=(APP,))],
            control=control,
            salt=name,
            policy_state=self.state,
            who=who,
        )
        self.state.promise(found, who)
        return found

    def reasons(self, one: TemplateSending, *, name: str = "Tonight") -> dict[str, str]:
        """Why each of those who are left out is."""
        found = self.audience(one, name=name).filter(pl.col("outcome") == "excluded")
        return dict(found.select("customer_id", "reason").iter_rows())


@pytest.mark.parametrize(
    ("after", "passed", "is_left_out"),
    [
        ({}, 700 * DAY, True),  # unstated is as at Appboy: never again
        ({"again_after_s": None}, 700 * DAY, True),
        ({"again_after_s": 0}, timedelta(0), False),
        # a day after a delivery that may have been half an hour late, a window of a day has not passed
        ({"again_after_s": DAY_S}, DAY, True),
        ({"again_after_s": DAY_S}, DAY + HALF_HOUR, False),
        ({"again_after_s": DAY_S}, DAY + HALF_HOUR - timedelta(minutes=1), True),
        ({"again_after_s": 720 * DAY_S}, 720 * DAY, True),
        ({"again_after_s": 720 * DAY_S}, 721 * DAY, False),
    ],
)
def test_who_had_the_template_is_left_out_for_as_long_as_appboy_filters_them(
    after: dict[str, Any], passed: timedelta, is_left_out: bool
) -> None:
    night = Night(sent(sending(TEN - passed, **after), "ann"))
    assert night.reasons(sending(**after)) == ({"ann": "had_template"} if is_left_out else {})


def test_another_template_and_another_app_group_leave_nobody_out() -> None:
    night = Night(sent(sending(TEN - DAY, template="U"), "ann"), sent(sending(TEN - DAY, group="h"), "bob"))
    assert night.reasons(sending()) == {}


def test_times_of_each_customers_own_clock_count_where_they_live() -> None:
    # 10:00 in Tokyo is 1:00 in Greenwich, and in New York 15:00
    hours: dict[str, Any] = {"again_after_s": 20 * 3_600}
    before = sent(sending(TEN - DAY, clock="local", **hours), *ZONES)
    assert Night(before).reasons(sending(clock="local", **hours)) == {}
    # for one moment of all at 10:00 of the workspace 33, 24 and 19 hours have passed
    assert Night(before).reasons(sending(**hours)) == {"cyd": "had_template"}
    assert Night(before).reasons(sending(again_after_s=30 * 3_600)) == dict.fromkeys(
        ("ann", "cyd", "dee"), "had_template"
    )


def test_a_time_of_appboys_choice_may_be_any_of_the_day() -> None:
    before = sent(sending(TEN - DAY, clock="optimal"), "ann")
    # it may have come as late as half past midnight
    assert Night(before).reasons(sending(again_after_s=9 * 3_600)) == {}
    assert Night(before).reasons(sending(again_after_s=10 * 3_600)) == {"ann": "had_template"}


def test_quiet_hours_and_speed_limits_make_a_message_late() -> None:
    quiet: dict[str, Any] = {"quiet_hours": VendorQuietHours(clock_time(22), clock_time(8)), "again_after_s": 4 * 3_600}
    late = sending(TEN - timedelta(hours=9), **quiet)  # at one o'clock, so that it came at eight
    assert Night(sent(late, "ann", "bob")).reasons(sending(**quiet)) == {"ann": "had_template"}
    slow: dict[str, Any] = {"messages_a_minute": 10, "again_after_s": 4 * 3_600}
    assert Night(sent(sending(TEN - timedelta(hours=5), recipients=100, **slow), "ann")).reasons(sending(**slow)) == {}
    many = sending(TEN - timedelta(hours=5), recipients=600, **slow)
    assert Night(sent(many, "ann")).reasons(sending(**slow)) == {"ann": "had_template"}


def test_of_two_campaigns_of_a_night_the_later_leaves_out_whom_the_earlier_was_promised() -> None:
    night = Night()
    half = night.audience(sending(), name="First", control=0.5)
    got = half.filter(pl.col("outcome") == "recipient")["customer_id"].to_list()
    assert 0 < len(got) < 4
    assert night.reasons(sending(), name="Second") == dict.fromkeys(got, "had_template")
    # who was held out from the first may have it, and everybody another template
    assert night.reasons(sending(template="U"), name="Third") == {}


def test_who_is_promised_a_later_message_keeps_it() -> None:
    night = Night(sent(sending(TEN + timedelta(hours=8), again_after_s=DAY_S), "ann"))
    assert night.reasons(sending(again_after_s=DAY_S)) == {"ann": "had_template"}


def test_a_campaigns_own_control_group_goes_the_way_of_those_who_had_it() -> None:
    before = sent(sending(TEN - DAY), "ann", by="Tonight", control=["bob"])
    night = Night(before)
    assert night.reasons(sending()) == {"ann": "had_template", "bob": "had_template"}
    assert Night(before).reasons(sending(), name="Other") == {"ann": "had_template"}
    again: dict[str, Any] = {"again_after_s": 3_600}
    assert (
        Night(sent(sending(TEN - DAY, **again), "ann", by="Tonight", control=["bob"])).reasons(sending(**again)) == {}
    )


def test_what_a_person_had_under_another_id_counts() -> None:
    merged = pl.DataFrame([{"customer_id": "old", "person_id": "ann", "drawn": False}], schema=PERSONS)
    night = Night(sent(sending(TEN - DAY), "old"), identity=Identity(persons=merged))
    assert night.reasons(sending()) == {"ann": "had_template"}
    moved = Sent(
        "X", sending(TEN - DAY), lambda _: pl.DataFrame({"customer_id": ["gone"], "external_user_id": ["e-bob"]})
    )
    assert Night(moved).reasons(sending()) == {"bob": "had_template"}


def test_members_of_appboys_own_control_group_are_left_out_by_the_id_that_it_knows() -> None:
    night = Night(members=["e-bob", "bob", "nobody"])
    assert night.reasons(sending()) == {"bob": "vendor_control"}
    assert Night().reasons(sending()) == {}


def test_a_cap_counts_days_of_the_customers_own_calendar() -> None:
    daily: dict[str, Any] = {"again_after_s": 0, "caps": (VendorCap(1, "day"),)}
    # 23:00 yesterday in Greenwich is today in Tokyo, where tonight's 10:00 of Greenwich is today, too
    late = sent(sending(TEN - timedelta(hours=11), template="U"), *ZONES)
    assert Night(late).reasons(sending(**daily)) == {"bob": "vendor_cap"}
    assert Night(sent(sending(TEN - timedelta(hours=2), template="U"), *ZONES)).reasons(sending(**daily)) == (
        dict.fromkeys(ZONES, "vendor_cap")
    )
    # one that was due half an hour before midnight may have come after it
    assert Night(sent(sending(TEN - timedelta(hours=10, minutes=30), template="U"), "ann")).reasons(
        sending(**daily)
    ) == {"ann": "vendor_cap"}


def test_a_weekly_cap_counts_seven_days_and_what_was_promised_tonight() -> None:
    weekly: dict[str, Any] = {"again_after_s": 0, "caps": (VendorCap(2, "week"),)}
    before = [
        sent(sending(TEN - n * DAY, template="U"), who) for n, who in ((6, "ann"), (7, "bob"), (1, "ann"), (1, "bob"))
    ]
    assert Night(*before).reasons(sending(**weekly)) == {"ann": "vendor_cap"}
    night = Night(*before)
    assert night.reasons(sending(template="V"), name="First") == {}
    assert night.reasons(sending(**weekly)) == {"ann": "vendor_cap", "bob": "vendor_cap"}


def test_templates_without_caps_neither_count_nor_are_capped_and_other_app_groups_do_not_count() -> None:
    daily: dict[str, Any] = {"again_after_s": 0, "caps": (VendorCap(1, "day"),)}
    night = Night(
        sent(sending(template="U", caps=()), "ann"), sent(sending(group="h"), "bob"), sent(sending(template="V"), "cyd")
    )
    assert night.reasons(sending(**daily)) == {"cyd": "vendor_cap"}
    assert night.reasons(sending(template="W", again_after_s=0, caps=()), name="Exempt") == {}


def test_the_control_share_is_of_those_whom_appboy_would_send_it_to() -> None:
    night = Night(sent(sending(TEN - DAY), "ann", "bob"), members=["e-cyd"])
    figures = waterfall(night.audience(sending(), control=1.0))
    assert (figures.excluded, figures.control) == ({"had_template": 2, "vendor_control": 1}, 1)


def test_nothing_is_read_for_a_template_that_may_be_had_at_any_time() -> None:
    def unread(_: bool) -> pl.DataFrame:
        raise AssertionError

    assert Night(Sent("X", sending(TEN - DAY), unread)).reasons(sending(again_after_s=0)) == {}
    long_ago = Sent("X", sending(TEN - 9 * DAY), unread)
    assert Night(long_ago).reasons(sending(again_after_s=DAY_S)) == {}
    # once everybody is known to have had it, nobody looks at the nights before
    assert len(Night(sent(sending(TEN - DAY), *ZONES), long_ago).reasons(sending())) == 4


def test_a_gap_is_the_same_whichever_message_comes_first() -> None:
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    one, other = ReceiptSpan(at, at + HALF_HOUR), ReceiptSpan(at + DAY, at + DAY + HALF_HOUR)
    for window in (None, timedelta(0), timedelta(hours=23, minutes=30), timedelta(hours=24)):
        assert is_too_soon(one, other, window) == is_too_soon(other, one, window)
    assert not is_too_soon(one, other, timedelta(hours=23, minutes=30))
    assert is_too_soon(one, other, timedelta(hours=23, minutes=30, seconds=1))


def test_more_recipients_than_a_template_is_sent_to_are_told() -> None:
    rules = TemplateRules(max_users=1_000)
    assert why_too_many(rules, "T", 1_000) is None and why_too_many(TemplateRules(), "T", 10**6) is None
    assert (why_too_many(rules, "T", 1_001) or "").startswith("1,001 recipients are more than the 1,000 customers")
