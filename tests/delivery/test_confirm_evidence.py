"""What an export tells of each recipient, and what counts when Appboy is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from optinb.appboy import CampaignReceived, Exported, ExportedUser, Template
from optinb.appboy.aborts import aborts, may_abort
from optinb.appboy.templates import Message
from optinb.delivery.confirmation import EVIDENCE, VERDICTS, TemplateNight, lasting_verdicts
from optinb.delivery.evidence import evidence_again, evidence_of

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NIGHT = TemplateNight(template_id="t", send_at=AT, now=AT + timedelta(hours=9), platforms=("ios",))
LONG_AFTER = replace(NIGHT, now=AT + timedelta(days=5), recipients=7, sent=3)
IOS = {"platform": "iOS", "token": "x"}
ANDROID = {"platform": "Android", "token": "x"}


def received(at: datetime | str, template: str | None = "t") -> CampaignReceived:
    return CampaignReceived(api_campaign_id=template, last_received=at if isinstance(at, str) else at.isoformat())


def user(name: str, *campaigns: CampaignReceived, tokens: tuple[dict[str, Any], ...] = (IOS,)) -> ExportedUser:
    return ExportedUser(external_id=name, campaigns_received=campaigns, push_tokens=tokens, time_zone="Asia/Tokyo")


def test_absence_is_evidence_only_for_ids_that_the_answer_names() -> None:
    told = Exported(
        users=(user("got", received(AT)), user("before", received(AT - timedelta(days=1))), user("never")),
        invalid_user_ids=("stranger",),
    )
    places = {"got": 4, "before": 0, "never": 1, "stranger": 2, "silence": 3}
    rows = evidence_of(told, places, NIGHT)
    assert rows.schema == EVIDENCE
    assert dict(rows.select("place", "evidence").iter_rows()) == {
        4: "received",
        0: "not_received",
        1: "not_received",
        2: "nobody",
        3: "untold",
    }
    assert rows["last_received"].to_list() == [AT, AT - timedelta(days=1), None, None, None]
    assert rows["has_token"].to_list() == [True, True, True, None, None]
    assert rows["asked_at"].unique().to_list() == [NIGHT.now]


def test_a_receipt_of_a_later_night_tells_nothing_of_this_one_for_those_who_got_that_one_too() -> None:
    again = AT + timedelta(days=1)
    told = Exported(users=(user("both", received(again)), user("once", received(again))))
    places = {"both": 0, "once": 1}
    assert evidence_of(told, places, replace(NIGHT, until=again))["evidence"].to_list() == ["untold", "untold"]
    rows = evidence_of(told, places, NIGHT, again_at={"both": again})
    assert rows["evidence"].to_list() == ["untold", "received"]


@pytest.mark.parametrize(
    ("tokens", "has_token"),
    [
        ((), False),
        ((ANDROID,), False),
        ((ANDROID, IOS), True),
        (({"token": "x"},), None),
        (({"platform": 3}, IOS), True),
    ],
)
def test_a_token_counts_on_the_platforms_of_the_template(
    tokens: tuple[dict[str, Any], ...], has_token: bool | None
) -> None:
    rows = evidence_of(Exported(users=(user("ann", tokens=tokens),)), {"ann": 0}, NIGHT)
    assert rows["has_token"].to_list() == [has_token]


def test_a_message_of_another_template_is_told_if_it_came_before() -> None:
    earlier, later = AT - timedelta(hours=3), AT + timedelta(hours=1)
    told = Exported(users=(user("ann", received(earlier, "u"), received(later, "v"), received("rubbish", "w")),))
    rows = evidence_of(told, {"ann": 0}, NIGHT)
    assert rows["evidence"].to_list() == ["not_received"]
    assert rows["other_received"].to_list() == [earlier]


def verdicts(*rows: tuple[int, str, str | None, str | None]) -> pl.DataFrame:
    whole = [(place, status, name, None, None, missed) for place, status, name, missed in rows]
    return pl.DataFrame(whole, schema=VERDICTS, orient="row")


def test_the_later_word_counts_unless_appboy_cannot_tell_any_more() -> None:
    before = verdicts(
        (0, "confirmed", None, None),
        (1, "filtered", "no_push_token", None),
        (2, "filtered", None, None),
        (3, "unconfirmed", None, "segment"),
        (4, "unconfirmed", None, None),
        (5, "filtered", "re_eligibility", None),
    )
    now = verdicts(
        (0, "unconfirmed", None, None),
        (1, "unconfirmed", None, None),
        (2, "filtered", "unknown_user", None),
        (3, "unconfirmed", None, None),
        (4, "confirmed", None, None),
        (5, "confirmed", None, None),
        (6, "filtered", "several", None),
    )
    found = lasting_verdicts(before, now, NIGHT)
    assert found.schema == VERDICTS
    assert found.select("place", "status", "filter", "missed").rows() == [
        (0, "confirmed", None, None),
        (1, "filtered", "no_push_token", None),
        (2, "filtered", "unknown_user", None),
        (3, "unconfirmed", None, "segment"),
        (4, "confirmed", None, None),
        (5, "confirmed", None, None),
        (6, "filtered", "several", None),
    ]
    again = lasting_verdicts(found, verdicts((3, "filtered", "re_eligibility", None)), NIGHT)
    assert again.row(3)[:3] == (3, "filtered", "segment")  # the first question told more
    over = lasting_verdicts(found, verdicts((3, "unconfirmed", None, None)), LONG_AFTER)
    assert over.row(3)[:3] == (3, "filtered", "segment")
    assert lasting_verdicts(found, verdicts((3, "confirmed", None, None)), LONG_AFTER).row(3)[1] == "confirmed"
    unexplained = lasting_verdicts(verdicts((0, "unconfirmed", None, "unexplained")), verdicts(), LONG_AFTER)
    assert unexplained.rows() == [(0, "filtered", None, None, None, None)]


def test_who_need_not_be_asked_about_again_speaks_for_the_night_all_the_same() -> None:
    rows = evidence_again(
        verdicts(
            (0, "confirmed", None, None),
            (1, "filtered", "unknown_user", None),
            (2, "filtered", "no_push_token", None),
            (3, "unconfirmed", None, None),
        )
    )
    assert rows.schema == EVIDENCE
    assert rows.select("place", "evidence", "has_token").rows() == [
        (0, "received", True),
        (1, "nobody", None),
        (2, "not_received", False),
    ]


def template(*alerts: str) -> Template:
    return Template(
        app_group_id="g",
        id="t",
        name="T",
        platforms=("ios",),
        messages=tuple(Message("ios", alert=alert) for alert in alerts),
        usable=True,
        problems=(),
        updated_at=None,
        content_hash="",
    )


FEW = "{% if api_trigger_properties.${points} < 10 %}{% abort_message %}{% endif %}Hi"
PROFILE = "{% if ${city} == 'Rome' %}{% abort_message %}{% endif %}Hi"


@pytest.mark.parametrize(
    ("texts", "points", "aborted"),
    [
        ((FEW,), 5, True),
        ((FEW,), 50, False),
        ((FEW, "Hi"), 5, None),
        ((FEW, "Hi"), 50, False),
        ((PROFILE,), 5, None),
        (("Hi",), 5, False),
    ],
)
def test_a_text_aborts_with_a_customers_properties_unless_appboy_alone_knows(
    texts: tuple[str, ...], points: int, aborted: bool | None
) -> None:
    assert may_abort(template(*texts)) == ("abort_message" in "".join(texts))
    assert aborts(template(*texts), {"points": points}) is aborted
