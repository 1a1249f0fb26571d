"""Which filter is named for a loss, when a loss is final, and what a night shows against what is stated."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from msgspec.structs import replace

from optinb.appboy.template_rules import UNSTATED, TemplateRules, VendorCap, VendorQuietHours
from optinb.appboy.vendor_filters import VENDOR_FILTERS
from optinb.delivery.confirmation import EVIDENCE, LIKELY_FILTERS, LIKELY_WORDS, VERDICTS, TemplateNight
from optinb.delivery.filter_rules import FILTER_RULES, explain, losses

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MORNING, LATER = AT + 9 * HOUR, AT + 5 * DAY
ANY_TIME = TemplateRules(again_after_s=0)
GOT = {"evidence": "received", "last_received": AT, "has_token": True}
LOST = {"evidence": "not_received", "has_token": True}
HAD = LOST | {"last_received": AT - DAY}


def night(rules: TemplateRules = ANY_TIME, *, now: datetime = LATER, **given: Any) -> TemplateNight:
    return TemplateNight(template_id="t", send_at=AT, now=now, rules=rules, platforms=("ios",), **given)


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    types = {"last_received": EVIDENCE["last_received"], "had_at": EVIDENCE["last_received"]}
    types |= {"other_received": EVIDENCE["last_received"], "asked_at": EVIDENCE["asked_at"]}
    whole = [{"place": place, "last_received": None, **row} for place, row in enumerate(rows)]
    names = {name for row in whole for name in row}
    return pl.DataFrame([{name: row.get(name) for name in names} for row in whole], schema_overrides=types)


def said(rows: Sequence[dict[str, Any]], at: TemplateNight) -> list[tuple[str, str | None]]:
    found = explain(frame(*({"asked_at": at.now} | row for row in rows)), at)
    assert found.schema == VERDICTS
    return found.select("status", "filter").rows()


def test_every_filter_of_appboy_has_a_rule_and_words() -> None:
    assert set(FILTER_RULES) == set(VENDOR_FILTERS)
    assert set(LIKELY_WORDS) == {*LIKELY_FILTERS, None}


NIGHTLY = VendorQuietHours(time(22), time(8), "drop")


@pytest.mark.parametrize(
    ("name", "rules", "row", "other", "given"),
    [
        ("re_eligibility", UNSTATED, HAD, LOST, {}),
        ("re_eligibility", TemplateRules(again_after_s=90_000), HAD, LOST | {"last_received": AT - 2 * DAY}, {}),
        ("re_eligibility", UNSTATED, LOST | {"had_at": AT - DAY}, LOST, {}),
        ("global_control", ANY_TIME, LOST | {"in_vendor_control": True}, LOST | {"in_vendor_control": False}, {}),
        (
            "frequency_cap",
            TemplateRules(again_after_s=0, caps=(VendorCap(1, "day"),)),
            LOST | {"cap_full": True},
            LOST | {"cap_full": False},
            {},
        ),
        ("max_users", TemplateRules(again_after_s=0, max_users=1), LOST, None, {"recipients": 9}),
        (
            "quiet_hours",
            TemplateRules(again_after_s=0, quiet_hours=NIGHTLY),
            LOST | {"time_zone": "Asia/Tokyo"},
            LOST | {"time_zone": "Europe/Berlin"},
            {},
        ),
        ("speed_limit", TemplateRules(again_after_s=0, messages_a_minute=1), LOST, None, {"recipients": 9_999}),
        ("segment", TemplateRules(again_after_s=0, segment="opted in"), LOST, HAD, {}),
        ("control_variation", ANY_TIME, LOST, HAD, {"has_control_variation": True}),
        ("liquid_abort", ANY_TIME, LOST | {"aborts": True}, LOST | {"aborts": False}, {"may_abort": True}),
        ("no_push_token", ANY_TIME, LOST | {"has_token": False}, LOST | {"has_token": None}, {}),
        ("unknown_user", ANY_TIME, {"evidence": "nobody"}, LOST, {}),
    ],
)
def test_a_filter_is_named_for_whom_it_explains_and_for_nobody_else(
    name: str, rules: TemplateRules, row: dict[str, Any], other: dict[str, Any] | None, given: dict[str, Any]
) -> None:
    rows = [GOT, row, *([] if other is None else [other])]
    found = said(rows, night(rules, **given))
    assert found[:2] == [("confirmed", None), ("filtered", name)]
    assert found[2:] == ([] if other is None else [("filtered", None)])


@pytest.mark.parametrize(
    ("rules", "given"),
    [
        (TemplateRules(again_after_s=0, max_users=9), {"recipients": 4, "received_before": 5}),
        (TemplateRules(again_after_s=0, max_users=None, segment=None, caps=(), quiet_hours=None), {"recipients": 9}),
        (TemplateRules(again_after_s=0, messages_a_minute=1), {"recipients": 72 * 60}),
        (TemplateRules(again_after_s=0, quiet_hours=VendorQuietHours(time(1), time(23))), {"time_zone": "UTC"}),
    ],
)
def test_a_limit_that_was_not_reached_explains_nothing(rules: TemplateRules, given: dict[str, Any]) -> None:
    assert said([GOT, LOST], night(rules, **given))[1] == ("filtered", None)


def test_two_that_explain_a_loss_or_two_that_are_left_are_several() -> None:
    assert said([HAD | {"in_vendor_control": True}], night(UNSTATED)) == [("filtered", "several")]
    both = TemplateRules(again_after_s=0, segment="opted in", max_users=5)
    assert said([LOST], night(both, recipients=9)) == [("filtered", "several")]
    # one that may have hit everybody else, too, isn't left out beside one that certainly explains it
    mostly = [*[LOST] * 9, LOST | {"has_token": False}, GOT]
    rules = TemplateRules(again_after_s=0, max_users=5)
    assert said(mostly, night(rules, recipients=11))[9] == ("filtered", "several")
    rarely = [LOST, LOST | {"has_token": False}, *[GOT] * 9]
    assert said(rarely, night(rules, recipients=11))[1] == ("filtered", "no_push_token")


def test_a_message_that_may_be_late_is_unconfirmed_until_72_hours_after_everybodys_time() -> None:
    for clock, hours in (("workspace", 72), ("local", 98), ("optimal", 122)):
        over = AT + hours * HOUR + timedelta(minutes=5)
        one = night(clock=clock)
        assert one.final_at == over
        assert said([GOT, LOST], replace(one, now=over - timedelta(seconds=1)))[1] == ("unconfirmed", None)
        assert said([GOT, LOST], replace(one, now=over))[1] == ("filtered", None)
    assert night(late_minutes=30).final_at == AT + 72.5 * HOUR + timedelta(minutes=5)
    asked_before = LOST | {"asked_at": MORNING}
    assert said([asked_before], night()) == [("unconfirmed", None)]
    assert said([{"evidence": "untold"}], night()) == [("unconfirmed", None)]


def test_what_acts_at_once_is_final_at_once() -> None:
    rows = [GOT, LOST | {"has_token": False}, LOST | {"in_vendor_control": True}, {"evidence": "nobody"}]
    found = said(rows, night(now=MORNING))
    assert found[1:] == [("filtered", "no_push_token"), ("filtered", "global_control"), ("filtered", "unknown_user")]


@pytest.mark.parametrize(
    "waits", [TemplateRules(quiet_hours=replace(NIGHTLY, then="later")), TemplateRules(messages_a_minute=60)]
)
def test_where_messages_may_wait_neither_tokens_nor_windows_are_final_before_a_day_more(waits: TemplateRules) -> None:
    rules = ANY_TIME.with_changes(waits)
    rows = [*[GOT] * 30, *[HAD] * 5, LOST | {"has_token": False}, {"evidence": "nobody"}]
    found = said(rows, night(rules, now=MORNING))
    assert found[30:] == [("unconfirmed", None)] * 6 + [("filtered", "unknown_user")]
    one = night(rules)
    assert one.final_at == night(ANY_TIME).final_at + DAY
    assert said(rows, replace(one, now=one.final_at))[35] == ("filtered", "no_push_token")


def test_an_appboy_that_knows_nobody_of_a_night_is_not_believed() -> None:
    nobody = {"evidence": "nobody"}
    assert said([nobody] * 3, night()) == [("unconfirmed", None)] * 3
    assert said([GOT, nobody, nobody], night())[1:] == [("filtered", "unknown_user")] * 2


def test_where_the_export_tells_nobodys_tokens_their_absence_is_no_reason() -> None:
    untold = {"has_token": False}
    assert said([GOT | untold, LOST | untold], night())[1] == ("filtered", None)
    assert said([LOST | untold] * 3, night(now=MORNING)) == [("unconfirmed", None)] * 3


def test_a_template_stated_to_be_had_at_any_time_is_had_once_if_the_night_shows_it() -> None:
    shown = [*[GOT] * 30, *[HAD] * 5]
    assert said(shown, night(now=MORNING))[30:] == [("filtered", "re_eligibility")] * 5
    assert losses(frame(*shown), night(now=MORNING)).again == "longer"
    assert said([*[GOT] * 30, HAD], night(now=MORNING))[30] == ("unconfirmed", None)  # one may be chance
    lost_too = [*[GOT] * 5, *[LOST] * 20, *[HAD] * 8]
    assert set(said(lost_too, night())[25:]) == {("filtered", None)}  # everybody loses as much


def test_a_template_stated_to_be_had_once_is_not_if_somebody_got_it_again() -> None:
    again = GOT | {"had_at": AT - DAY}
    assert said([again, HAD | {"last_received": AT - DAY}], night(TemplateRules(again_after_s=None)))[1] == (
        "filtered",
        None,
    )
    assert losses(frame(again, HAD), night(UNSTATED)).again == "shorter"


def test_a_delay_of_a_time_zone_is_not_taken_for_a_template_that_is_had_once() -> None:
    tokyo, berlin = {"time_zone": "Asia/Tokyo"}, {"time_zone": "Europe/Berlin"}
    rows = [*[GOT | berlin] * 50, *[HAD | tokyo] * 50]
    assert set(said(rows, night(UNSTATED, now=MORNING))[50:]) == {("unconfirmed", None)}
    shown = [*[GOT | berlin] * 50, *[HAD | berlin] * 50, GOT | tokyo, *[HAD | tokyo] * 50]
    assert set(said(shown, night(UNSTATED, now=MORNING))[51:]) == {("filtered", "re_eligibility"), ("confirmed", None)}


def test_a_night_whose_messages_still_trickle_makes_nothing_final() -> None:
    trickling = GOT | {"last_received": MORNING - timedelta(minutes=1)}
    rows = [*[GOT] * 50, trickling, *[HAD] * 50]
    assert set(said(rows, night(UNSTATED, now=MORNING))[51:]) == {("unconfirmed", None)}


def test_of_whom_nobody_knows_whether_they_had_it_nothing_is_concluded() -> None:
    rows = [*[GOT | {"may_have_had": True}] * 50, *[HAD] * 50]
    assert set(said(rows, night())[50:]) == {("filtered", None)}


def test_a_cap_that_nobody_stated_shows_in_those_who_got_something_else() -> None:
    asked = {"asked_at": LATER}
    other = asked | {"other_received": AT - 5 * HOUR}
    rows = [*[GOT | asked] * 50, *[HAD] * 20, *[LOST | other] * 20]
    assert set(said(rows, night())[50:]) == {("filtered", "frequency_cap")}
    refuted = [*[GOT | asked] * 50, *[GOT | other] * 9, *[HAD] * 20]
    assert set(said(refuted, night())[59:]) == {("filtered", "re_eligibility")}


def test_what_was_missed_stays_known_when_a_later_night_of_the_template_hides_it() -> None:
    rules = TemplateRules(again_after_s=0, segment="opted in")
    morning = explain(frame(GOT, LOST), night(rules, now=MORNING))
    assert morning["status"].to_list() == ["confirmed", "unconfirmed"]
    assert morning["missed"].to_list() == [None, "segment"]
    hidden = frame(GOT, {"evidence": "untold"})
    still = explain(hidden, night(rules, now=MORNING + DAY), before=morning)
    assert still.select("status", "missed").row(1) == ("unconfirmed", "segment")
    over = explain(hidden, night(rules, recipients=2, sent=1), before=still)
    assert over.select("status", "filter", "missed").row(1) == ("filtered", "segment", None)
    for sent in (None, 0, 2):  # Appboy's count isn't there, or is gone again, or tells that it came late
        doubtful = explain(hidden, night(rules, recipients=2, sent=sent), before=still)
        assert doubtful.select("status", "missed").row(1) == ("unconfirmed", "segment")


def test_nobody_is_called_filtered_while_appboy_counts_more_than_it_names() -> None:
    rows = frame(*[GOT] * 50, *[LOST | {"has_token": False}] * 10, LOST, {"evidence": "untold"})
    early = explain(rows, night(recipients=62, sent=50))
    assert early.group_by("status").len().sort("status").rows() == [
        ("confirmed", 50),
        ("filtered", 11),
        ("unconfirmed", 1),
    ]
    assert explain(rows, night(recipients=62, sent=51))["status"].to_list() == early["status"].to_list()
    doubted = explain(rows, night(recipients=62, sent=52), before=early)
    assert doubted["status"].to_list() == ["confirmed"] * 50 + ["unconfirmed"] * 12
    assert doubted["missed"].to_list() == [None] * 50 + ["no_push_token"] * 10 + ["unexplained", None]
    assert (
        explain(rows, night(recipients=62, sent=52, may_be_beside=1))["status"].to_list() == early["status"].to_list()
    )
    again = explain(rows, night(recipients=62, sent=51), before=doubted)
    assert again.select("status", "filter").rows() == early.select("status", "filter").rows()


def test_of_a_sample_the_count_is_compared_by_its_share_as_far_as_chance_goes() -> None:
    rows = frame(*[GOT] * 80, *[LOST] * 20)
    for sent, status in ((8_000, "filtered"), (8_800, "filtered"), (9_500, "unconfirmed")):
        told = explain(rows, night(recipients=10_000, sent=sent))
        assert set(told["status"][80:]) == {status}, sent


def test_a_night_without_rows_has_no_verdicts() -> None:
    nothing = explain(pl.DataFrame(schema=EVIDENCE), night())
    assert nothing.schema == VERDICTS and nothing.is_empty()
    assert losses(pl.DataFrame(schema=EVIDENCE), night()).lost == 0
