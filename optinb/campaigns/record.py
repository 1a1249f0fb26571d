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

    `keys` maps approvers to their public keys; once there is one, only signed approvals count.
    """

    approvers: tuple[str, ...]
    approve_own: bool = False
    days: int = 90
    keys: dict[str, str] = {}


class Approval(Struct, frozen=True, kw_only=True):
    """Who approved what, exactly: `parts` maps each part of the content to its canonical text.

    `submission` is the version of the record that was approved, and `author` whoever submitted that; an approval of an
    earlier release doesn't say.
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
    """A campaign with its life so far; `version` counts its changes, and `submission` is the one last submitted."""

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
