"""The life of a campaign: submitted, approved, rejected, cancelled, done. Pure: user and time are passed in.

An approval is of a fingerprint: every part of what goes out, in canonical form, and the expected size. What differs at
night holds the campaign and is named.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns.campaign import Campaign
from optinb.errors import ApprovalError, CampaignError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.appboy import Template
    from optinb.settings import AppGroupSettings

CampaignState = Literal["submitted", "approved", "rejected", "cancelled", "done"]


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


class Approval(Struct, frozen=True, kw_only=True):
    """Who approved what, exactly: `parts` maps each part of the content to its canonical text."""

    approver: str
    approved_at: datetime
    fingerprint: str
    parts: dict[str, str]
    band: SizeBand


class CampaignRecord(Struct, frozen=True, kw_only=True):
    """A campaign with its life so far; `version` counts its changes."""

    campaign: Campaign
    state: CampaignState
    author: str
    submitted_at: datetime
    updated_at: datetime
    version: int = 1
    approval: Approval | None = None
    comment: str = ""

    @property
    def id(self) -> str:
        """The campaign's id."""
        return self.campaign.id


def content_parts(
    campaign: Campaign, *, rule_json: str, template: Template, app_group: AppGroupSettings
) -> dict[str, str]:
    """Every part of what goes out, in canonical text, by a name that a marketer knows."""

    def canonical(value: object) -> str:
        return msgspec.json.encode(value, order="sorted").decode()

    apps = app_group.apps_on(frozenset(template.platforms))
    return {
        "target group": campaign.group,
        "rule of the target group": rule_json,
        "app group": app_group.id,
        "apps": canonical([(app.id, app.platform, app.sdk_from_version) for app in apps]),
        "template": template.id,
        "content of the template": template.content_hash,
        "properties": canonical(campaign.properties),
        "schedule": canonical(campaign.schedule),
        "control share": repr(campaign.control),
        "offer": canonical(campaign.offer),
        "priority": str(campaign.priority),
        "exclusion period": str(campaign.exclusion_days),
        "measurement window": str(campaign.measurement_days),
        "ignoring others' exclusion periods": canonical(campaign.ignore_others),
    }


def fingerprint(parts: Mapping[str, str]) -> str:
    """SHA-256 over the canonical parts, in hexadecimal."""
    return sha256(msgspec.json.encode(dict(parts), order="sorted")).hexdigest()


def differences(approved: Mapping[str, str], current: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the parts that changed since the approval."""
    return tuple(name for name in {**approved, **current} if approved.get(name) != current.get(name))


def submit(campaign: Campaign, *, user: str, now: datetime, earlier: CampaignRecord | None) -> CampaignRecord:
    """A submitted campaign. One that exists already is replaced and loses its approval.

    Raises CampaignError when the campaign with this name has been sent and can't change any more.
    """
    if earlier is None:
        return CampaignRecord(campaign=campaign, state="submitted", author=user, submitted_at=now, updated_at=now)
    if earlier.state == "done":
        raise CampaignError(f"campaign {campaign.name!r} has been sent; submit the new one under another name")
    return replace(
        earlier,
        campaign=campaign,
        state="submitted",
        author=user,
        submitted_at=now,
        updated_at=now,
        version=earlier.version + 1,
        approval=None,
        comment="",
    )


def approve(
    record: CampaignRecord,
    *,
    user: str,
    approvers: Sequence[str],
    approve_own: bool,
    now: datetime,
    parts: Mapping[str, str],
    recipients: int,
    comment: str = "",
) -> CampaignRecord:
    """An approved campaign, bound to the content in `parts` and to a band around `recipients`.

    Raises ApprovalError when the user isn't an approver, is the author, or when the campaign doesn't wait for approval.
    """
    _may_decide(record, user=user, approvers=approvers, approve_own=approve_own, verb="approve")
    approval = Approval(
        approver=user,
        approved_at=now,
        fingerprint=fingerprint(parts),
        parts=dict(parts),
        band=SizeBand.around(recipients),
    )
    return replace(
        record, state="approved", approval=approval, comment=comment, updated_at=now, version=record.version + 1
    )


def reject(
    record: CampaignRecord, *, user: str, approvers: Sequence[str], comment: str, now: datetime
) -> CampaignRecord:
    """A rejected campaign, with the reason. Its author may reject too. Raises ApprovalError."""
    _may_decide(record, user=user, approvers=[*approvers, record.author], approve_own=True, verb="reject")
    return replace(record, state="rejected", comment=comment, approval=None, updated_at=now, version=record.version + 1)


def cancel(record: CampaignRecord, *, comment: str, now: datetime, is_still_to_go_out: bool = False) -> CampaignRecord:
    """A cancelled campaign, which no later night sends.

    One that is done may be cancelled while it `is_still_to_go_out`: scheduled, and its time to come. Raises
    CampaignError when it's over already.
    """
    if record.state == "cancelled" or (record.state == "done" and not is_still_to_go_out):
        raise CampaignError(f"campaign {record.campaign.name!r} is {record.state}; there is nothing to cancel")
    return replace(
        record, state="cancelled", comment=comment, approval=None, updated_at=now, version=record.version + 1
    )


def may_move(record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool) -> None:
    """Refuses whoever may not give a scheduled send another time: it's a part of what was approved.

    Raises ApprovalError when the user isn't an approver, or is the author.
    """
    _must_be_second(record, user=user, approvers=approvers, approve_own=approve_own, verb="move")


def finish(record: CampaignRecord, *, now: datetime) -> CampaignRecord:
    """A campaign of one date, after its night."""
    return replace(record, state="done", updated_at=now, version=record.version + 1)


def why_held(record: CampaignRecord, current: Mapping[str, str]) -> str | None:
    """Why a campaign that is due may not go out, or None. The size is checked when the audience is known."""
    name = record.campaign.name
    if record.approval is None or record.state != "approved":
        return f"{name!r} is {record.state}, not approved"
    if fingerprint(record.approval.parts) != record.approval.fingerprint:
        return f"the stored approval of {name!r} doesn't match its own fingerprint; approve it again"
    changed = differences(record.approval.parts, current)
    if changed:
        return f"changed since {record.approval.approver} approved it: {', '.join(changed)}; approve it again"
    return None


def why_held_by_size(record: CampaignRecord, recipients: int) -> str | None:
    """Why an audience of this size may not go out, or None."""
    if record.approval is None:
        return f"{record.campaign.name!r} is not approved"
    band = record.approval.band
    if band.holds(recipients):
        return None
    return (
        f"{recipients:,} recipients are outside the approved size of {band.low:,} to {band.high:,}; look at the "
        "group and approve it again"
    )


def _may_decide(record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool, verb: str) -> None:
    name = record.campaign.name
    if record.state != "submitted":
        raise ApprovalError(f"campaign {name!r} is {record.state}; only a submitted one can be decided on")
    _must_be_second(record, user=user, approvers=approvers, approve_own=approve_own, verb=verb)


def _must_be_second(
    record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool, verb: str
) -> None:
    name = record.campaign.name
    if user not in approvers:
        listed = ", ".join(repr(a) for a in approvers) or "nobody"
        raise ApprovalError(
            f"{user!r} may not {verb} campaigns; approvers in optinb.toml are {listed} (approvers under [workspace])"
        )
    if user == record.author and not approve_own:
        raise ApprovalError(f"{user!r} submitted {name!r} and can't {verb} it; a second person must")
