"""When an alarm is over: for the nights that somebody has seen it of, and once a corrected template arrives again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from optinb.appboy import StatedRules, TemplateRules
from optinb.campaigns import Waterfall
from optinb.delivery.alarms_seen import AlarmSeen, why_over
from optinb.delivery.journal import Confirmation, ConfirmedCounts, FrozenAudience

NIGHT = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 17, 30, tzinfo=UTC)
SEEN = AlarmSeen(app_group="g", template="t", until=NIGHT, by="Ann", at=AT + timedelta(days=1), comment="we know")
CORRECTED = StatedRules(rules=TemplateRules(again_after_s=None), by="Ben", at=AT + timedelta(days=1))


def audience(days: int = 0) -> FrozenAudience:
    return FrozenAudience(
        campaign_id="c",
        campaign_name="Club night",
        run_date=NIGHT + timedelta(days=days),
        app_group_id="g",
        template_id="t",
        send_at=AT + timedelta(days=days),
        clock="workspace",
        path="a",
        sha256="0" * 64,
        waterfall=Waterfall(target=120, excluded={}, control=0, recipients=120),
        recipients=120,
        batches=3,
        fingerprint="0" * 64,
        planned_at=AT,
    )


def asked(days: int, *, confirmed: int, alarm: str | None = None) -> Confirmation:
    counts = ConfirmedCounts(recipients=120, asked=120, confirmed=confirmed, planned=120, alarm=alarm)
    run_date, at = NIGHT + timedelta(days=days), AT + timedelta(days=days + 1)
    return Confirmation(
        campaign_id="c",
        run_date=run_date,
        version=1,
        path="v",
        sha256="0" * 64,
        counts=counts,
        asked_by="Ann",
        asked_at=at,
    )


@pytest.mark.parametrize("days", [-1, 0])
def test_what_somebody_has_seen_is_over_for_that_night_and_those_before(days: int) -> None:
    assert why_over(audience(days), seen=[SEEN], stated=None, others=[]) == "seen by Ann on 2026-11-25: we know"


@pytest.mark.parametrize(
    "seen", [replace(SEEN, until=NIGHT - timedelta(days=1)), replace(SEEN, template="u"), replace(SEEN, app_group="h")]
)
def test_a_later_night_and_another_template_alarm_all_the_same(seen: AlarmSeen) -> None:
    assert why_over(audience(), seen=[seen], stated=None, others=[]) is None


def test_a_template_that_was_corrected_and_arrives_again_ends_the_alarm_by_itself() -> None:
    later = (audience(2), asked(2, confirmed=110))
    over = why_over(audience(), seen=[], stated=CORRECTED, others=[later])
    assert over == "Ben corrected on 2026-11-25 what is stated of it, and the night of 2026-11-26 arrived"


@pytest.mark.parametrize(
    ("stated", "days", "confirmed", "alarm"),
    [
        (None, 2, 110, None),
        (replace(CORRECTED, at=AT - timedelta(days=1)), 2, 110, None),
        (replace(CORRECTED, at=AT + timedelta(days=3)), 2, 110, None),
        (CORRECTED, 2, 20, None),
        (CORRECTED, 2, 70, "only 70"),
        (CORRECTED, 0, 110, None),
    ],
    ids=["not corrected", "stated before", "corrected after both", "few arrived", "alarms itself", "the same night"],
)
def test_nothing_less_ends_it(stated: StatedRules | None, days: int, confirmed: int, alarm: str | None) -> None:
    later = (audience(days), asked(days, confirmed=confirmed, alarm=alarm))
    assert why_over(audience(), seen=[], stated=stated, others=[later]) is None
    assert why_over(audience(), seen=[], stated=CORRECTED, others=[]) is None
