"""When an audience goes out: as its schedule says, or as whoever may has moved it, one move after the other."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from optinb.campaigns import Authority, Campaign, CampaignRecord, TimeMove, new_key, sign_move, why_untimely
from optinb.campaigns.schedule import Schedule

NIGHT = date(2026, 11, 23)
SIX = datetime(2026, 11, 23, 18, tzinfo=UTC)
SEVEN, EIGHT = SIX + timedelta(hours=1), SIX + timedelta(hours=2)
KEY, OTHER_KEY = new_key(), new_key()
SEAL = "a" * 64
RECORD = CampaignRecord(
    campaign=Campaign(
        name="Sale", group="All", app_group="Shop", template="Sale", schedule=Schedule(date=NIGHT, at="18:00")
    ),
    state="approved",
    author="ann",
    submitted_at=SIX,
    updated_at=SIX,
)
OPEN = Authority(approvers=("bob", "ann"))
SIGNED = Authority(approvers=("bob", "ann"), keys={"bob": KEY.public})


def move(before: datetime, send_at: datetime, *, who: str = "bob", seal: str | None = None) -> TimeMove:
    """A move; `seal`: of the audience that it is signed for."""
    made = TimeMove(who=who, before=before, send_at=send_at)
    if seal is None:
        return made
    signature = sign_move(made, campaign_id=RECORD.id, run_date=NIGHT, sha256=seal, private=KEY.private)
    return replace(made, signature=signature)


def untimely(send_at: datetime, *moves: TimeMove, authority: Authority = OPEN) -> str | None:
    return why_untimely(RECORD, send_at, run_date=NIGHT, sha256=SEAL, planned=SIX, moves=moves, authority=authority)


@pytest.mark.parametrize("authority", [OPEN, SIGNED])
def test_it_goes_out_by_its_schedule_or_by_moves_of_an_approver_that_lead_there(authority: Authority) -> None:
    first, then = move(SIX, SEVEN, seal=SEAL), move(SEVEN, EIGHT, seal=SEAL)
    assert untimely(SIX, authority=authority) is None
    assert untimely(EIGHT, first, then, authority=authority) is None
    assert untimely(EIGHT, first, then, move(EIGHT, EIGHT, seal=SEAL), authority=authority) is None


@pytest.mark.parametrize(
    ("send_at", "moves", "authority", "why"),
    [
        (SEVEN, (), OPEN, "is 2026-11-23 19:00 UTC, but what was approved, or moved by somebody who may, is .* 18:00"),
        (SIX, (move(SIX, SEVEN),), OPEN, "is 2026-11-23 18:00 UTC, but .* is 2026-11-23 19:00 UTC"),
        (EIGHT, (move(SEVEN, EIGHT),), OPEN, "is 2026-11-23 18:00 UTC"),
        (
            SEVEN,
            (move(SIX, SEVEN, who="eve"),),
            OPEN,
            "^by the audit trail 'eve' moved 'Sale' to 2026-11-23 19:00 UTC, but 'eve' may not move campaigns",
        ),
        (SEVEN, (move(SIX, SEVEN, who="cid", seal=SEAL),), SIGNED, "'cid' may not move campaigns"),
        (SEVEN, (move(SIX, SEVEN, who="ann"),), OPEN, "a second person must"),
        (SEVEN, (move(SIX, SEVEN),), SIGNED, "without their signature"),
        (SEVEN, (move(SIX, SEVEN, seal="b" * 64),), SIGNED, "without their signature"),
        (EIGHT, (replace(move(SIX, SEVEN, seal=SEAL), send_at=EIGHT),), SIGNED, "without their signature"),
        (
            SEVEN,
            (move(SIX, SEVEN, seal=SEAL),),
            Authority(approvers=("bob",), keys={"bob": OTHER_KEY.public}),
            "without their signature",
        ),
    ],
    ids=[
        "unmoved",
        "moved",
        "from elsewhere",
        "nobody",
        "unlisted",
        "author",
        "unsigned",
        "other list",
        "changed",
        "other key",
    ],
)
def test_it_is_held_at_a_time_that_nobody_who_may_has_given_it(
    send_at: datetime, moves: tuple[TimeMove, ...], authority: Authority, why: str
) -> None:
    assert re.search(why, untimely(send_at, *moves, authority=authority) or "")


def test_a_move_that_was_signed_once_moves_nothing_a_second_time() -> None:
    first, back = move(SIX, SEVEN, seal=SEAL), move(SEVEN, EIGHT, seal=SEAL)
    assert untimely(SEVEN, first, back, first, authority=SIGNED) is not None
    assert untimely(EIGHT, first, back, authority=SIGNED) is None


def test_an_author_who_may_approve_alone_may_move_alone() -> None:
    own = move(SIX, SEVEN, who="ann")
    assert untimely(SEVEN, own, authority=replace(OPEN, approve_own=True)) is None
    assert "a second person must" in (untimely(SEVEN, own) or "")


def test_an_approver_without_a_key_moves_nothing_where_approvers_have_keys() -> None:
    told = untimely(SEVEN, move(SIX, SEVEN, who="dan"), authority=replace(SIGNED, approvers=("bob", "dan")))
    assert told == "by the audit trail 'dan' moved 'Sale' to 2026-11-23 19:00 UTC, without their signature"


def test_what_is_signed_is_this_move_of_this_file_in_this_form_for_good() -> None:
    summer = datetime(2026, 11, 23, 20, tzinfo=timezone(timedelta(hours=2)))
    content = TimeMove(who="bob", before=summer, send_at=SEVEN).content(campaign_id="c1", run_date=NIGHT, sha256="ab")
    assert content == (b'["move","c1","2026-11-23","ab","bob","2026-11-23T18:00:00+00:00","2026-11-23T19:00:00+00:00"]')
