"""The life of a campaign: submitted, approved, rejected, cancelled, done. Pure: user and time are passed in.

An approval is of a fingerprint: every part of what goes out, in canonical form, and the expected size. What differs at
night holds the campaign and is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec.structs import replace

from optinb.base.people import is_among, same_person
from optinb.campaigns.campaign import Campaign, Property, Scalar
from optinb.campaigns.life import ALIVE, TRANSITIONS, CampaignState, Step, may, next_state
from optinb.campaigns.part_words import why_different
from optinb.campaigns.record import Approval, Authority, CampaignRecord, SizeBand
from optinb.campaigns.signing import is_signed, sign
from optinb.errors import ApprovalError, CampaignError


def fingerprint(parts: Mapping[str, str]) -> str:
    """SHA-256 over the canonical parts, in hexadecimal."""
    return sha256(msgspec.json.encode(dict(parts), order="sorted")).hexdigest()


def draft(campaign: Campaign, *, user: str, now: datetime, earlier: CampaignRecord | None) -> CampaignRecord:
    """A campaign that is still being worked on; no night looks at it. Raises CampaignError when it's too late."""
    return _written(campaign, "draft", user=user, now=now, earlier=earlier)


def submit(campaign: Campaign, *, user: str, now: datetime, earlier: CampaignRecord | None) -> CampaignRecord:
    """A submitted campaign. One that exists already is replaced and loses its approval.

    The same one again, by the same person, while it waits for a decision, is that one still. Raises CampaignError when
    the campaign with this name has been sent and can't change any more.
    """
    if earlier and (earlier.state, earlier.author, earlier.campaign) == ("submitted", user, campaign):
        return earlier
    record = _written(campaign, "submit", user=user, now=now, earlier=earlier)
    return replace(record, submission=record.version)


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
    private_key: str | None = None,
) -> CampaignRecord:
    """An approved campaign, bound to the content in `parts` and to a band around `recipients`, signed with a key.

    Raises ApprovalError when the user isn't an approver, is the author, or when the campaign doesn't wait for approval.
    """
    state = _may_decide(record, user=user, approvers=approvers, approve_own=approve_own, verb="approve")
    approval = Approval(
        approver=user,
        approved_at=now,
        fingerprint=fingerprint(parts),
        parts=dict(parts),
        band=SizeBand.around(recipients),
        submission=record.submission,
        author=record.author,
    )
    if private_key is not None:
        approval = replace(approval, signature=sign(approval, campaign_id=record.id, private=private_key))
    return replace(record, state=state, approval=approval, comment=comment, updated_at=now, version=record.version + 1)


def reject(
    record: CampaignRecord, *, user: str, approvers: Sequence[str], comment: str, now: datetime
) -> CampaignRecord:
    """A rejected campaign, with the reason. Its author may reject too. Raises ApprovalError."""
    state = _may_decide(record, user=user, approvers=[*approvers, record.author], approve_own=True, verb="reject")
    return replace(record, state=state, comment=comment, approval=None, updated_at=now, version=record.version + 1)


def cancel(record: CampaignRecord, *, comment: str, now: datetime, is_still_to_go_out: bool = False) -> CampaignRecord:
    """A cancelled campaign, which no later night sends.

    One that is done may be cancelled while it `is_still_to_go_out`: scheduled, and its time to come. Raises
    CampaignError when it's over already.
    """
    name = record.campaign.name
    if not may(record.state, "cancel") or (record.state == "done" and not is_still_to_go_out):
        raise CampaignError(f"campaign {name!r} is {record.state}; there is nothing to cancel")
    state = next_state(record.state, "cancel", name=name)
    return replace(record, state=state, comment=comment, approval=None, updated_at=now, version=record.version + 1)


def archive(record: CampaignRecord, *, now: datetime) -> CampaignRecord:
    """A campaign that is out of sight. Raises CampaignError for one that may still go out."""
    name = record.campaign.name
    if not may(record.state, "archive"):
        raise CampaignError(f"campaign {name!r} is {record.state}; cancel it before it is archived")
    state = next_state(record.state, "archive", name=name)
    return replace(record, state=state, archived=True, updated_at=now, version=record.version + 1)


def may_move(record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool) -> None:
    """Refuses whoever may not give a scheduled send another time: it's a part of what was approved.

    Raises ApprovalError when the user isn't an approver, or is the author.
    """
    _must_be_second(record, user=user, approvers=approvers, approve_own=approve_own, verb="move")


def step(record: CampaignRecord, step: Step, *, now: datetime, comment: str = "") -> CampaignRecord:
    """A campaign after one of the steps that change nothing but its state. Raises CampaignError."""
    state = next_state(record.state, step, name=record.campaign.name)
    return replace(record, state=state, comment=comment or record.comment, updated_at=now, version=record.version + 1)


def reworded(record: CampaignRecord, words: Callable[[str], str]) -> CampaignRecord:
    """A campaign whose texts are what `words` makes of them; what it is called, and what it refers to, stays.

    Raises ValueError where a text gets longer than it may be.
    """

    def value(scalar: Scalar | None) -> Scalar | None:
        return words(scalar) if isinstance(scalar, str) else scalar

    campaign, offer = record.campaign, record.campaign.offer
    if offer is not None:
        offer = replace(offer, name=words(offer.name), value=value(offer.value), terms=words(offer.terms))

    def reworded_properties(given: dict[str, Property]) -> dict[str, Property]:
        return {
            name: replace(source, value=value(source.value), default=value(source.default))
            for name, source in given.items()
        }

    content = replace(
        campaign,
        offer=offer,
        properties=reworded_properties(campaign.properties),
        variants=tuple(replace(one, properties=reworded_properties(one.properties)) for one in campaign.variants),
        notes=words(campaign.notes),
    )
    try:
        read_again = msgspec.convert(msgspec.to_builtins(content), Campaign)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    return replace(record, campaign=read_again, comment=words(record.comment))


def finish(record: CampaignRecord, *, now: datetime) -> CampaignRecord:
    """A campaign of one date, after its night."""
    return step(record, "finish", now=now)


def why_held(
    record: CampaignRecord,
    current: Mapping[str, str],
    *,
    authority: Authority | None = None,
    now: datetime | None = None,
    latest: datetime | None = None,
) -> str | None:
    """Why a campaign that is due may not go out, or None. The size is checked when the audience is known.

    With `authority` and `now`, whoever approved must still be allowed to, the approval must not have expired, and it
    must be signed where approvers have keys. `latest`: the last moment that anything is known of since it was given,
    so that a clock that is set back revives nothing.
    """
    name, approval = record.campaign.name, record.approval
    if approval is None or record.state not in ALIVE:
        return f"{name!r} is {record.state}, not approved"
    if fingerprint(approval.parts) != approval.fingerprint:
        return f"the stored approval of {name!r} doesn't match its own fingerprint; approve it again"
    if approval.submission != record.submission:
        return f"the approval of {name!r} is of another submission; approve it again"
    if approval.author not in ("", record.author):
        return f"the approval of {name!r} is of what {approval.author!r} submitted, not {record.author!r}"
    different = why_different(approval.approver, approval.parts, current)
    if different or authority is None or now is None:
        return different
    return why_void(record, approval, authority, now, latest)


def why_void(
    record: CampaignRecord, approval: Approval, authority: Authority, now: datetime, latest: datetime | None = None
) -> str | None:
    """Why an approval doesn't count by the settings as they are now, or None."""
    name, who = record.campaign.name, approval.approver
    if who not in authority.approvers:
        listed = next((other for other in authority.approvers if same_person(who, other)), None)
        remedy = f"they name {listed!r}, and names count to the letter: correct that" if listed else "approve it again"
        return f"{who!r}, who approved {name!r}, isn't among the approvers in optinb.toml; {remedy}"
    if same_person(who, record.author) and not authority.approve_own:
        return f"{who!r} submitted {name!r} and approved it too; a second person must approve it"
    if approval.approved_at > now:
        return f"the approval of {name!r} is dated ahead, {approval.approved_at:%Y-%m-%d %H:%M} UTC; approve it again"
    until = approval.approved_at + timedelta(days=authority.days)
    if max(now, latest or now) > until:
        return f"the approval of {name!r} expired on {until:%Y-%m-%d}, after {authority.days} days; approve it again"
    if not authority.keys:
        return None
    public = authority.keys.get(who)
    if public is None:
        return f"{who!r}, who approved {name!r}, has no key under [policy.keys]; sign it with one that is listed there"
    if not is_signed(approval, campaign_id=record.id, public=public):
        return f"the approval of {name!r} doesn't bear the signature of {who!r}; approve it again, with the key"
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


def _written(
    campaign: Campaign,
    step: Literal["draft", "submit"],
    *,
    user: str,
    now: datetime,
    earlier: CampaignRecord | None,
) -> CampaignRecord:
    state = next_state(earlier.state if earlier else None, step, name=campaign.name)
    if earlier is None and re.fullmatch("[0-9a-f]{12}", campaign.name.casefold()):
        raise CampaignError(f"{campaign.name!r} looks like the id of another campaign; choose a name in words")
    if earlier is None:
        return CampaignRecord(campaign=campaign, state=state, author=user, submitted_at=now, updated_at=now)
    return replace(
        earlier,
        campaign=campaign,
        state=state,
        author=user,
        submitted_at=now,
        updated_at=now,
        version=earlier.version + 1,
        approval=None,
        comment="",
        archived=False,
    )


def _may_decide(
    record: CampaignRecord,
    *,
    user: str,
    approvers: Sequence[str],
    approve_own: bool,
    verb: Literal["approve", "reject"],
) -> CampaignState:
    name = record.campaign.name
    state = TRANSITIONS[record.state].get(verb)
    if state is None:
        raise ApprovalError(f"campaign {name!r} is {record.state}; only a submitted one can be decided on")
    _must_be_second(record, user=user, approvers=approvers, approve_own=approve_own, verb=verb)
    return state


def _must_be_second(
    record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool, verb: str
) -> None:
    name = record.campaign.name
    # to the letter: whoever signs up under a name that only looks like an approver's is none
    if user not in approvers:
        listed = ", ".join(repr(a) for a in approvers) or "nobody"
        alike = ", and names count to the letter there" if is_among(user, approvers) else ""
        raise ApprovalError(
            f"{user!r} may not {verb} campaigns; approvers in optinb.toml are {listed}{alike} (approvers under "
            "[workspace])"
        )
    if same_person(user, record.author) and not approve_own:
        raise ApprovalError(f"{user!r} submitted {name!r} and can't {verb} it; a second person must")
