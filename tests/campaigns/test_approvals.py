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
    Offer,
    Property,
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
from optinb.campaigns.approval import archive, cancel, draft, fingerprint, finish, reworded, why_held_by_size
from optinb.campaigns.life import TRANSITIONS, next_state
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


def test_every_step_says_who_and_when_and_makes_a_version() -> None:
    later = NOW + timedelta(hours=1)
    record = replace(approved(), comment="fine")
    assert step(record, "pause", now=later) == replace(
        record, state="paused", comment="fine", updated_at=later, version=record.version + 1
    )
    assert step(record, "pause", now=later, comment="a stock-take").comment == "a stock-take"
    assert cancel(record, comment="too dear", now=later) == replace(
        record, state="cancelled", comment="too dear", approval=None, updated_at=later, version=record.version + 1
    )
    rejected = reject(submitted(), user="boss", approvers=["boss"], comment="too dear", now=later)
    assert archive(rejected, now=later) == replace(
        rejected, state="rejected", archived=True, updated_at=later, version=rejected.version + 1
    )
    assert archive(replace(rejected, archived=False), now=later + timedelta(hours=1)).updated_at > later
    assert finish(record, now=later) == replace(record, state="done", updated_at=later, version=record.version + 1)
    first = draft(campaign_from({"name": "A", **FIELDS}), user="author", now=NOW, earlier=None)
    assert (first.author, first.submitted_at, first.updated_at, first.state) == ("author", NOW, NOW, "draft")
    again = draft(first.campaign, user="other", now=later, earlier=replace(rejected, archived=True))
    assert again == CampaignRecord(
        campaign=first.campaign,
        state="draft",
        author="other",
        submitted_at=later,
        updated_at=later,
        version=rejected.version + 1,
        submission=rejected.submission,
    )


def test_an_approval_says_of_whose_submission_it_is_and_when_it_was_given() -> None:
    record, later = replace(submitted(), comment="of last time"), NOW + timedelta(hours=1)
    assert (record.submitted_at, record.updated_at) == (NOW, NOW)
    decided = approve(
        record,
        user="boss",
        approvers=["boss"],
        approve_own=False,
        now=later,
        parts=PARTS,
        recipients=100,
        comment="well done",
    )
    approval = decided.approval
    assert approval is not None
    assert (approval.approver, approval.approved_at, approval.author, approval.submission) == (
        "boss",
        later,
        "author",
        record.submission,
    )
    assert replace(decided, approval=None) == replace(
        record, state="approved", comment="well done", updated_at=later, version=record.version + 1
    )


def test_an_approval_of_what_somebody_else_submitted_holds() -> None:
    assert held(replace(approved(), author="mallory")) == (
        "the approval of 'A' is of what 'author' submitted, not 'mallory'"
    )


def test_the_order_in_which_parts_are_told_changes_no_fingerprint() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})


def test_a_changed_part_is_told_before_whether_the_approver_may_still_approve() -> None:
    record, changed = approved(), {**PARTS, "rule": "evil"}
    told = why_held(record, changed)
    assert told is not None
    assert "boss" in told
    for authority in (SIGNED, replace(SIGNED, approvers=("other",))):
        assert why_held(record, changed, authority=authority, now=NOW) == told


def test_an_approval_is_held_against_settings_only_where_both_they_and_the_time_are_known() -> None:
    record, nobody = approved(), replace(SIGNED, approvers=())
    assert why_held(record, PARTS) is why_held(record, PARTS, authority=nobody) is why_held(record, PARTS, now=NOW)
    assert why_held(record, PARTS) is None
    assert "isn't among the approvers" in held(record, authority=nobody)


def test_a_rejection_takes_the_approval_from_a_campaign_that_was_held_and_says_when() -> None:
    record, later = step(approved(), "hold", now=NOW), NOW + timedelta(hours=1)
    assert record.approval is not None
    assert reject(record, user="boss", approvers=["boss"], comment="too dear", now=later) == replace(
        record, state="rejected", comment="too dear", approval=None, updated_at=later, version=record.version + 1
    )


def test_an_author_who_is_no_approver_may_take_back_what_they_submitted_and_others_may_not() -> None:
    assert reject(submitted(), user="author", approvers=["boss"], comment="a typo", now=NOW).state == "rejected"
    with pytest.raises(ApprovalError, match="'other' may not reject"):
        reject(submitted(), user="other", approvers=["boss"], comment="", now=NOW)


def test_who_may_not_approve_is_told_who_may() -> None:
    def refused(user: str, approvers: list[str]) -> str:
        with pytest.raises(ApprovalError) as caught:
            may_move(submitted(), user=user, approvers=approvers, approve_own=False)
        return str(caught.value)

    assert refused("other", []) == (
        "'other' may not move campaigns; approvers in optinb.toml are nobody (approvers under [workspace])"
    )
    assert refused("other", ["boss", "chief"]) == (
        "'other' may not move campaigns; approvers in optinb.toml are 'boss', 'chief' (approvers under [workspace])"
    )
    assert refused("author", ["author"]) == "'author' submitted 'A' and can't move it; a second person must"
    assert held(approved(), authority=replace(SIGNED, approvers=("other",))) == (
        "'boss', who approved 'A', isn't among the approvers in optinb.toml; approve it again"
    )


def test_a_campaign_that_is_submitted_again_is_what_was_written_then() -> None:
    first, later = approved(), NOW + timedelta(hours=1)
    changed = replace(first.campaign, notes="shorter")
    again = submit(changed, user="other", now=later, earlier=first)
    assert (again.campaign, again.author, again.submitted_at, again.updated_at) == (changed, "other", later, later)
    assert (again.state, again.approval, again.id) == ("submitted", None, first.id)
    assert again.submission == again.version == first.version + 1


@pytest.mark.parametrize("name", ["0123456789ab", "DEADBEEF0123"])
def test_a_new_campaign_can_not_be_named_like_the_id_of_another(name: str) -> None:
    with pytest.raises(CampaignError, match=f"'{name}' looks like the id of another campaign"):
        submitted(name)
    assert submitted(name[1:]).campaign.name == name[1:]  # of other letters or another length it's a name


def test_an_audience_outside_the_approved_size_is_held_with_the_remedy() -> None:
    record = approved()
    assert why_held_by_size(record, 50) is why_held_by_size(record, 200) is None
    assert why_held_by_size(record, 201) == (
        "201 recipients are outside the approved size of 50 to 200; look at the group and approve it again"
    )
    assert why_held_by_size(submitted(), 100) == "'A' is not approved"


def test_forgotten_words_leave_every_text_of_a_campaign_and_nothing_else() -> None:
    fields = {
        **FIELDS,
        "offer": {"name": "for eve", "kind": "gift", "value": "eve's mug", "terms": "only eve"},
        "properties": {
            "fixed": {"value": "dear eve"},
            "named": {"attribute": "first_name", "default": "eve"},
            "number": {"value": 7},
            "asked": {"attribute": "city", "exclude_empty": True},
            "what": {"offer": "value"},
        },
        "notes": "eve asked for it",
    }
    record = replace(
        submit(campaign_from({"name": "eve's A", **fields}), user="author", now=NOW, earlier=None), comment="by eve"
    )
    told = reworded(record, lambda text: text.replace("eve", "somebody"))
    campaign = told.campaign
    assert campaign.offer == Offer(name="for somebody", kind="gift", value="somebody's mug", terms="only somebody")
    assert campaign.properties == {
        "fixed": Property(value="dear somebody"),
        "named": Property(attribute="first_name", default="somebody"),
        "number": Property(value=7),
        "asked": Property(attribute="city", exclude_empty=True),
        "what": Property(offer="value"),
    }
    assert (campaign.notes, told.comment, campaign.name) == ("somebody asked for it", "by somebody", "eve's A")
    kept = {"offer": None, "properties": {}, "notes": ""}
    assert replace(campaign, **kept) == replace(record.campaign, **kept)
    assert replace(told, campaign=record.campaign, comment="by eve") == record
    plain = submitted()
    assert reworded(plain, str.upper) == plain
    with pytest.raises(ValueError, match="120"):
        reworded(record, lambda text: text + "x" * 120)
