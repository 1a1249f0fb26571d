"""The table of a campaign's life decides every step: all states and steps, by the functions that take them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

import pytest
from msgspec.structs import replace

from optinb.campaigns import (
    CampaignRecord,
    CampaignState,
    Decision,
    Step,
    approve,
    archive,
    campaign_from,
    cancel,
    draft,
    finish,
    new_key,
    reject,
    step,
    submit,
    why_unlike,
)
from optinb.campaigns.life import FIRST, TRANSITIONS, next_state
from optinb.campaigns.signing import is_signed
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
CAMPAIGN = campaign_from(
    {"name": "A", "app_group": "S", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
)
CHANGED = replace(CAMPAIGN, control=0.5)
KEY = new_key()


def approved(record: CampaignRecord, *, user: str = "boss") -> CampaignRecord:
    return approve(
        record,
        user=user,
        approvers=["boss"],
        approve_own=False,
        now=NOW,
        parts={"rule": "a"},
        recipients=9,
        private_key=KEY.private,
    )


FUNCTIONS: dict[Step, Callable[[CampaignRecord], CampaignRecord]] = {
    "draft": lambda r: draft(CHANGED, user="author", now=NOW, earlier=r),
    "submit": lambda r: submit(CHANGED, user="author", now=NOW, earlier=r),
    "approve": approved,
    "reject": lambda r: reject(r, user="boss", approvers=["boss"], comment="", now=NOW),
    "finish": lambda r: finish(r, now=NOW),
    "cancel": lambda r: cancel(r, comment="", now=NOW, is_still_to_go_out=True),
    "archive": lambda r: archive(r, now=NOW),
    "hold": lambda r: step(r, "hold", now=NOW),
    "run": lambda r: step(r, "run", now=NOW),
    "pause": lambda r: step(r, "pause", now=NOW),
    "resume": lambda r: step(r, "resume", now=NOW),
    "rename": lambda r: step(r, "rename", now=NOW),
    "reword": lambda r: step(r, "reword", now=NOW),
}


@pytest.mark.parametrize("state", get_args(CampaignState))
@pytest.mark.parametrize("what", get_args(Step))
def test_what_the_table_has_is_done_and_what_it_has_not_is_refused(state: CampaignState, what: Step) -> None:
    before = replace(submit(CAMPAIGN, user="author", now=NOW, earlier=None), state=state)
    to = TRANSITIONS[state].get(what)
    if to is None:
        with pytest.raises(CampaignError, match=f"'A' is {state}"):
            FUNCTIONS[what](before)
    else:
        after = FUNCTIONS[what](before)
        assert (after.state, after.version) == (to, before.version + 1)


def test_a_new_campaign_begins_as_the_table_says_and_what_is_over_is_recalled_only_while_it_is_to_go_out() -> None:
    assert {what: FUNCTIONS[what](None).state for what in FIRST} == FIRST  # type: ignore[arg-type]
    done = finish(approved(submit(CAMPAIGN, user="author", now=NOW, earlier=None)), now=NOW)
    with pytest.raises(CampaignError, match="nothing to cancel"):
        cancel(done, comment="", now=NOW, is_still_to_go_out=False)


def test_the_same_content_submitted_twice_by_the_same_person_is_one_version() -> None:
    first = submit(CAMPAIGN, user="author", now=NOW, earlier=None)
    assert submit(CAMPAIGN, user="author", now=NOW, earlier=first) is first
    assert submit(CHANGED, user="author", now=NOW, earlier=first).version == 2
    assert submit(CAMPAIGN, user="other", now=NOW, earlier=first).author == "other"
    assert submit(CAMPAIGN, user="author", now=NOW, earlier=approved(first)).approval is None


def trail(*steps: str) -> tuple[CampaignRecord, list[Decision]]:
    """A campaign after some steps, and what the audit trail says of them."""
    record, said = None, []
    for what in steps:
        record = (
            submit(CAMPAIGN, user="author", now=NOW, earlier=record) if what == "submit" else FUNCTIONS[what](record)
        )
        who = "author" if what in ("submit", "draft") else "boss"
        approval = record.approval
        said.append(
            Decision(
                step=what, who=who, version=record.version, state=record.state, content=record.campaign, record=record,
                fingerprint=approval.fingerprint if approval else None,
            )
        )  # fmt: skip
    assert record is not None
    return record, said


@pytest.mark.parametrize(
    "steps",
    [("submit",), ("submit", "approve"), ("submit", "reject", "submit", "approve", "hold", "approve", "run", "pause")],
)
def test_what_was_decided_is_what_is_stored(steps: tuple[str, ...]) -> None:
    record, said = trail(*steps)
    assert why_unlike(record, said) is None
    assert "says nothing" in (why_unlike(record, ()) or "")
    # an earlier release wrote less of it
    assert why_unlike(record, [replace(one, record=None) for one in said]) is None


@pytest.mark.parametrize("last", ["cancel", "reject"])
@pytest.mark.parametrize("old", [False, True], ids=["whole entries", "entries of 0.1"])
def test_a_campaign_that_was_taken_back_is_not_revived_by_its_old_signed_record(last: str, old: bool) -> None:
    steps = ("submit", "approve", "hold", last) if last == "reject" else ("submit", "approve", last)
    _, said = trail(*steps)
    said = [replace(one, record=None) for one in said] if old else said
    signed, _ = trail("submit", "approve")
    assert signed.approval is not None
    assert is_signed(signed.approval, campaign_id=signed.id, public=KEY.public)
    assert "the approval of 'A' by 'boss' isn't in it" in (why_unlike(signed, said) or "")
    # nor by an entry written behind the last one: no approval follows what was taken back
    revived = replace(signed, version=len(said) + 1)
    fingerprint = signed.approval.fingerprint
    forged = Decision(step="approve", who="boss", version=revived.version, state="approved", content=CAMPAIGN,
                      fingerprint=fingerprint, record=revived)  # fmt: skip
    assert "doesn't follow" in (why_unlike(revived, [*said, forged]) or "")


@pytest.mark.parametrize("old", [False, True], ids=["whole entries", "entries of 0.1"])
def test_each_field_that_decides_is_compared(old: bool) -> None:
    record, said = trail("submit", "approve")
    said = [replace(one, record=None) for one in said] if old else said
    approval = record.approval
    assert approval is not None
    for changed in (
        replace(record, author="boss"),
        replace(record, state="running"),
        replace(record, version=3),
        replace(record, submission=2),
        replace(record, campaign=CHANGED),
        replace(record, approval=replace(approval, approver="eve")),
        replace(record, approval=replace(approval, fingerprint="0" * 64)),
        *([] if old else [replace(record, approval=replace(approval, author="eve")), replace(record, comment="x")]),
    ):
        assert why_unlike(changed, said), changed


@pytest.mark.parametrize(
    ("state", "step", "instead"),
    [
        ("done", "submit", "is done and can't be submitted; copy it under another name"),
        ("done", "approve", "is done and can't be approved; it can be cancelled or archived"),
        ("running", "approve", "is running and can't be approved; it can be submitted or paused or cancelled"),
        (
            "cancelled",
            "approve",
            "is cancelled and can't be approved; it can be made a draft or submitted or archived or put away",
        ),
    ],
)
def test_a_refused_step_is_told_with_what_people_may_do_instead(state: CampaignState, step: Step, instead: str) -> None:
    with pytest.raises(CampaignError) as refused:
        next_state(state, step, name="Summer")
    assert str(refused.value) == f"campaign 'Summer' {instead}"
