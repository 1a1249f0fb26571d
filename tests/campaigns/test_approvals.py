"""Approvals that must not count: forged, replayed, expired, edited; and every step from every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from msgspec.structs import replace

from optinb.campaigns import (
    ALIVE,
    Authority,
    CampaignRecord,
    CampaignState,
    Step,
    approve,
    campaign_from,
    may_move,
    new_key,
    reject,
    step,
    submit,
    why_held,
)
from optinb.campaigns.approval import fingerprint
from optinb.campaigns.life import TRANSITIONS, next_state
from optinb.campaigns.power import power_of, smallest_effect
from optinb.errors import ApprovalError, CampaignError

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
PARTS = {"rule": "a", "template": "b"}
FIELDS = {"app_group": "S", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
BOSS, OTHER = new_key(), new_key()
SIGNED = Authority(approvers=("boss", "author"), days=30, keys={"boss": BOSS.public})


def submitted(name: str = "A") -> CampaignRecord:
    return submit(campaign_from({"name": name, **FIELDS}), user="author", now=NOW, earlier=None)


def approved(
    record: CampaignRecord | None = None, *, key: str | None = BOSS.private, user: str = "boss"
) -> CampaignRecord:
    return approve(
        record or submitted(),
        user=user,
        approvers=["boss", "author"],
        approve_own=user == "author",
        now=NOW,
        parts=PARTS,
        recipients=100,
        private_key=key,
    )


def held(record: CampaignRecord, *, authority: Authority = SIGNED, now: datetime = NOW) -> str:
    return why_held(record, PARTS, authority=authority, now=now) or ""


def test_every_step_from_every_state_is_decided() -> None:
    assert set(TRANSITIONS) == set(get_args(CampaignState))
    allowed = {(state, what): to for state, steps in TRANSITIONS.items() for what, to in steps.items()}
    for state in get_args(CampaignState):
        for what in get_args(Step):
            if (state, what) in allowed:
                assert next_state(state, what, name="A") == allowed[state, what]
            else:
                with pytest.raises(CampaignError, match=f"is {state} and can't be"):
                    next_state(state, what, name="A")
    assert TRANSITIONS["done"] == {"cancel": "cancelled", "archive": "done"}
    assert {state for state, steps in TRANSITIONS.items() if "run" in steps} == set(ALIVE)
    assert {state for state, steps in TRANSITIONS.items() if steps.get("approve")} == {"submitted", "held"}
    assert all(to == "submitted" for (_, what), to in allowed.items() if what == "submit")


def test_a_signed_approval_counts_while_it_holds() -> None:
    record = approved()
    assert held(record) == ""
    assert held(step(record, "run", now=NOW)) == ""
    assert held(record, now=NOW + timedelta(days=30)) == ""
    assert "expired on 2026-12-23" in held(record, now=NOW + timedelta(days=30, seconds=1))


def test_a_clock_that_is_set_back_revives_no_approval() -> None:
    record, over = approved(), NOW + timedelta(days=30, seconds=1)

    def known(latest: datetime | None) -> str:
        return why_held(record, PARTS, authority=SIGNED, now=NOW, latest=latest) or ""

    assert known(None) == known(NOW + timedelta(days=30)) == known(NOW - timedelta(days=9)) == ""
    assert "expired on 2026-12-23" in known(over)


def test_a_forged_approval_is_caught() -> None:
    record = approved(key=None)
    assert "doesn't bear the signature" in held(record)
    assert "doesn't bear the signature" in held(approved(key=OTHER.private))
    assert "isn't among the approvers" in held(approved(), authority=replace(SIGNED, approvers=("other",)))
    assert "has no key" in held(approved(user="author"), authority=replace(SIGNED, approve_own=True))
    assert "a second person" in held(approved(user="author"))


def test_an_author_under_another_spelling_of_their_name_is_no_second_person() -> None:
    for name in ("Author", "AUTHOR ", "au\u200bthor", "\uff41uthor"):
        with pytest.raises(ApprovalError, match="a second person must"):
            approve(
                submitted(),
                user=name,
                approvers=["boss", name],
                approve_own=False,
                now=NOW,
                parts=PARTS,
                recipients=100,
            )
        with pytest.raises(ApprovalError, match="a second person must"):
            may_move(submitted(), user=name, approvers=["boss", name], approve_own=False)
        stored = approved(user="author")
        assert stored.approval is not None
        forged = replace(stored, approval=replace(stored.approval, approver=name))
        assert "a second person must" in held(forged, authority=replace(SIGNED, approvers=("boss", name)))


@pytest.mark.parametrize("name", ["Boss", "boss ", "bo\u200bss", "\uff42oss"], ids=ascii)
def test_an_approver_is_who_is_listed_to_the_letter_and_nobody_whose_name_looks_like_it(name: str) -> None:
    def by(approvers: list[str]) -> CampaignRecord:
        return approve(
            submitted(),
            user=name,
            approvers=approvers,
            approve_own=False,
            now=NOW,
            parts=PARTS,
            recipients=100,
            private_key=BOSS.private,
        )

    with pytest.raises(ApprovalError, match=r"may not approve .* are 'boss', and names count to the letter"):
        by(["boss"])
    with pytest.raises(ApprovalError, match="may not reject"):
        reject(submitted(), user=name, approvers=["boss"], comment="", now=NOW)
    with pytest.raises(ApprovalError, match="may not move"):
        may_move(submitted(), user=name, approvers=["boss"], approve_own=False)
    stored, listed = by([name]), replace(SIGNED, approvers=("boss", name))
    assert "isn't among the approvers in optinb.toml; they name 'boss', and names count to the letter" in held(stored)
    assert "has no key" in held(stored, authority=listed)
    assert held(stored, authority=replace(listed, keys={name: BOSS.public})) == ""
    assert held(approved()) == ""


def test_an_edited_approval_is_caught_whatever_is_edited() -> None:
    record = approved()
    assert record.approval is not None
    parts = {**PARTS, "rule": "evil"}
    for edit in (
        {"approved_at": NOW - timedelta(days=1)},
        {"band": replace(record.approval.band, high=10**9)},
        {"parts": parts, "fingerprint": fingerprint(parts)},
        {"signature": "no base64!"},
    ):
        edited = replace(record, approval=replace(record.approval, **edit))
        current = parts if "parts" in edit else PARTS
        assert "doesn't bear the signature" in (why_held(edited, current, authority=SIGNED, now=NOW) or "")
    later = replace(record.approval, approved_at=NOW + timedelta(days=300))
    assert "dated ahead" in held(replace(record, approval=later))


def test_a_replayed_approval_is_caught_in_another_campaign_and_in_another_submission() -> None:
    first = approved()
    elsewhere = replace(submitted("B"), state="approved", approval=first.approval, submission=first.submission)
    assert "doesn't bear the signature" in held(elsewhere)
    again = submit(first.campaign, user="author", now=NOW, earlier=first)
    assert "is of another submission" in held(replace(again, state="approved", approval=first.approval))
    assert first.approval is not None
    renumbered = replace(first.approval, submission=again.submission)
    assert "doesn't bear the signature" in held(replace(again, state="approved", approval=renumbered))


def test_a_key_that_can_not_be_read_is_never_shown() -> None:
    with pytest.raises(ApprovalError, match="can't be read") as caught:
        approved(key="my-secret-key")
    assert "my-secret" not in str(caught.value)


def test_the_smallest_effect_is_the_textbooks() -> None:
    # Fleiss, Levin, Paik (2003), table A.4: shares of 0.10 and 0.20 at 5 % and 80 % need 199 in each group.
    effect = smallest_effect(recipients=199, control=199, base_rate=0.10)
    assert effect == pytest.approx(0.10, abs=0.001)


def test_a_group_in_which_nobody_buys_anyway_does_not_see_every_effect() -> None:
    effect = smallest_effect(recipients=1_000, control=100, base_rate=0.0)
    # By hand: 1.96 * sqrt(0.0431 * 0.9569 * (1/1000 + 1/100)) + 0.8416 * sqrt(0.0474 * 0.9526 / 1000) = 0.0474.
    assert effect == pytest.approx(0.0474, abs=0.0002)
    assert "low power" in (power_of(recipients=1_000, control=100, base_rate=0.0, measurement_days=14).warning or "")


def test_low_power_is_said_before_approval() -> None:
    good = power_of(recipients=90_000, control=10_000, base_rate=0.05, measurement_days=14)
    assert good.warning is None
    assert good.smallest_effect == pytest.approx(0.0066, abs=0.0003)
    assert "low power" in (power_of(recipients=900, control=100, base_rate=0.05, measurement_days=14).warning or "")
    assert "no effect" in (power_of(recipients=9, control=0, base_rate=0.05, measurement_days=14).warning or "")
