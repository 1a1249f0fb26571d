"""What is kept of a campaign: its life so far, and who approved exactly what."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from optinb.campaigns.campaign import Campaign
from optinb.campaigns.life import CampaignState


class SizeBand(Struct, frozen=True):
    """How many recipients an approval expects: both ends included."""

    low: int
    high: int

    @classmethod
    def around(cls, recipients: int) -> SizeBand:
        """Half to twice the approved number, and always room for 50 more or fewer, since small groups move a lot."""
        return cls(max(0, min(recipients // 2, recipients - 50)), max(recipients * 2, recipients + 50))

    def holds(self, recipients: int) -> bool:
        """Whether a number lies in the band."""
        return self.low <= recipients <= self.high


class Authority(Struct, frozen=True, kw_only=True):
    """Whose approval counts, and for how long: from the settings, which the database can't change.

    Attributes:
        approvers: their names, to the letter.
        approve_own: whether they may approve what they submitted themselves.
        days: how long an approval holds.
        keys: approvers with their public keys; once there is one, only signed approvals count.
    """

    approvers: tuple[str, ...]
    approve_own: bool = False
    days: int = 90
    keys: dict[str, str] = {}


class Approval(Struct, frozen=True, kw_only=True):
    """Who approved what, exactly.

    Attributes:
        approver: who approved.
        approved_at: when, in UTC.
        fingerprint: of what they saw.
        parts: each part of the content with its canonical text.
        band: how many recipients a night may have.
        submission: the version of the record that was approved; 0 in an approval of an earlier release, which doesn't
            say.
        author: whoever submitted that; empty in an approval of an earlier release.
        signature: by the approver's key; None without one.
    """

    approver: str
    approved_at: datetime
    fingerprint: str
    parts: dict[str, str]
    band: SizeBand
    submission: int = 0
    author: str = ""
    signature: str | None = None


class CampaignRecord(Struct, frozen=True, kw_only=True):
    """A campaign with its life so far.

    Attributes:
        campaign: what was planned.
        state: where it stands.
        author: who wrote it last.
        submitted_at: when it was submitted or drafted last, in UTC.
        updated_at: when anything of it changed last, in UTC.
        version: counts its changes.
        submission: the version that was submitted last.
        approval: the last one; None where there was none.
        comment: on the last change.
        archived: whether it is out of sight.
    """

    campaign: Campaign
    state: CampaignState
    author: str
    submitted_at: datetime
    updated_at: datetime
    version: int = 1
    submission: int = 0
    approval: Approval | None = None
    comment: str = ""
    archived: bool = False

    @property
    def id(self) -> str:
        """The campaign's id."""
        return self.campaign.id
