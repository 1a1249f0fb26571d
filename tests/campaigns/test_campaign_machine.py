"""The life of a campaign with several users and nights, against a model: nothing goes out that nobody approved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from optinb.campaigns import (
    Authority,
    CampaignRecord,
    approve,
    campaign_from,
    cancel,
    draft,
    new_key,
    reject,
    step,
    submit,
    why_held,
)
from optinb.errors import CampaignError

FIELDS = {"name": "A", "app_group": "S", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
APPROVERS = ("bea", "carl")
KEYS = {user: new_key() for user in APPROVERS}
AUTHORITY = Authority(approvers=APPROVERS, days=5, keys={user: key.public for user, key in KEYS.items()})
USERS = st.sampled_from(["ann", *APPROVERS])


class Life(RuleBasedStateMachine):
    """`allowed` is the model: the content that a second person approved last and nobody took back, and until when."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 23, 1, tzinfo=UTC)
        self.record: CampaignRecord | None = None
        self.content = 0
        self.allowed: tuple[int, datetime] | None = None
        self.is_resting = False

    def parts(self) -> dict[str, str]:
        return {"rule": str(self.content)}

    def change(self, make, *, user: str | None = None) -> bool:
        """Applies a step; false when it's refused, which must change nothing."""
        try:
            made = make()
        except CampaignError:
            return False
        # the same submitted twice by the same person is one version
        assert self.record is None or made is self.record or made.version == self.record.version + 1
        self.record = made
        return True

    @rule(user=USERS, is_draft=st.booleans())
    def write(self, user: str, is_draft: bool) -> None:
        make, earlier = (draft if is_draft else submit), self.record
        if self.change(lambda: make(campaign_from(FIELDS), user=user, now=self.now, earlier=earlier)):
            self.allowed, self.is_resting = None, False

    @rule(user=USERS, with_key=st.booleans())
    def approve(self, user: str, with_key: bool) -> None:
        record = self.record
        if record is None:
            return
        key = KEYS[user].private if with_key and user in KEYS else None
        done = self.change(
            lambda: approve(
                record, user=user, approvers=APPROVERS, approve_own=False, now=self.now, parts=self.parts(),
                recipients=10, private_key=key,
            )
        )  # fmt: skip
        if done:
            assert user in APPROVERS
            assert user != record.author
            self.allowed = (self.content, self.now + timedelta(days=5)) if key else None

    @rule(user=USERS)
    def reject(self, user: str) -> None:
        record = self.record
        if record and self.change(lambda: reject(record, user=user, approvers=APPROVERS, comment="", now=self.now)):
            self.allowed = None

    @rule()
    def cancel(self) -> None:
        record = self.record
        if record and self.change(lambda: cancel(record, comment="", now=self.now)):
            self.allowed = None

    @rule(what=st.sampled_from(["pause", "resume"]))
    def rest(self, what: str) -> None:
        record = self.record
        if record and self.change(lambda: step(record, what, now=self.now)):  # type: ignore[arg-type]
            self.is_resting = what == "pause"

    @rule(content=st.integers(0, 2))
    def edit_what_goes_out(self, content: int) -> None:
        self.content = content

    @rule(days=st.integers(1, 3))
    def night(self, days: int) -> None:
        self.now += timedelta(days=days)
        record = self.record
        if record is None:
            return
        held = why_held(record, self.parts(), authority=AUTHORITY, now=self.now)
        self.change(lambda: step(record, "hold" if held else "run", now=self.now))

    @rule(user=st.sampled_from(APPROVERS))
    def forge(self, user: str) -> None:
        """Somebody writes to the database: the approver's name under other content, without the key."""
        record = self.record
        if record is None or record.approval is None or not record.approval.signature:
            return
        forged = replace(record, approval=replace(record.approval, approver=user, approved_at=self.now))
        if forged != record:
            assert why_held(forged, self.parts(), authority=AUTHORITY, now=self.now)

    @invariant()
    def only_what_was_approved_goes_out(self) -> None:
        if self.record is None:
            return
        held = why_held(self.record, self.parts(), authority=AUTHORITY, now=self.now)
        may = self.allowed is not None and self.allowed[0] == self.content and self.now <= self.allowed[1]
        assert (held is None) == (may and not self.is_resting), (held, self.record.state)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
