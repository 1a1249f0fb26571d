"""Rebuilt audiences as a part of an approval: only the very file and night that was approved counts."""

from __future__ import annotations

from datetime import UTC, date, datetime

from msgspec.structs import replace

from optinb.campaigns.rebuilt import REBUILT, RebuiltAudience, approved_rebuilt, read_rebuilt, rebuilt_parts

NIGHT = date(2026, 11, 23)
ONE = RebuiltAudience(
    run_date=NIGHT,
    sha256="ab" * 32,
    recipients=1_200,
    unsent=1_100,
    send_at=datetime(2026, 11, 23, 17, 30, tzinfo=UTC),
)
OTHER = replace(ONE, run_date=date(2026, 11, 24))


def test_the_part_says_all_of_it_and_none_is_there_without() -> None:
    assert rebuilt_parts([]) == {}
    parts = rebuilt_parts([ONE, OTHER])
    assert list(parts) == [REBUILT]
    assert read_rebuilt(parts[REBUILT]) == (ONE, OTHER)


def test_only_this_night_with_this_seal_was_approved() -> None:
    parts = rebuilt_parts([ONE, OTHER])
    assert approved_rebuilt(parts, run_date=NIGHT, sha256=ONE.sha256) == ONE
    assert approved_rebuilt(parts, run_date=NIGHT, sha256="cd" * 32) is None
    assert approved_rebuilt(parts, run_date=date(2026, 11, 25), sha256=ONE.sha256) is None
    assert approved_rebuilt({}, run_date=NIGHT, sha256=ONE.sha256) is None
    assert approved_rebuilt({REBUILT: "[{"}, run_date=NIGHT, sha256=ONE.sha256) is None


def test_of_one_file_that_was_rebuilt_twice_the_last_counts() -> None:
    later = replace(ONE, unsent=7)
    assert approved_rebuilt(rebuilt_parts([ONE, later]), run_date=NIGHT, sha256=ONE.sha256) == later


def test_it_is_told_in_words() -> None:
    assert ONE.sentence() == (
        "the night of 2026-11-23: 1,100 of 1,200 recipients are still to be sent to, at 2026-11-23 17:30 UTC, by the "
        "file with the SHA-256 abababababab…"
    )
