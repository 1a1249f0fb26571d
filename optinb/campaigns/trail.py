"""What the audit trail says of a campaign, against what is stored of it. Pure.

A record says who submitted and approved it, and its row can be written by whoever can write to the database. The trail
is a chain: what was decided last, and by whom, is read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from msgspec import Struct

from optinb.campaigns.campaign import Campaign
from optinb.campaigns.life import CampaignState, Step, may, next_state
from optinb.campaigns.record import CampaignRecord


class Decision(Struct, frozen=True, kw_only=True):
    """An entry of the trail about a campaign: who took which step, and what it was then.

    `record` is all of it, which entries of an earlier release don't have: those know only its `content`, its version
    and state, and the fingerprint of its approval.
    """

    step: str
    who: str
    version: int
    state: CampaignState
    content: Campaign
    fingerprint: str | None = None
    record: CampaignRecord | None = None


def why_unlike(record: CampaignRecord, decisions: Sequence[Decision]) -> str | None:
    """Why a campaign isn't what the decisions about it made of it, the oldest first; None if it is."""
    name = record.campaign.name
    if not decisions:
        return f"it says nothing of {name!r}"
    state: CampaignState | None = None
    author, submission, approved = "", 0, None
    for version, decision in enumerate(decisions, start=1):
        step = cast("Step", decision.step)
        follows = step in get_args(Step) and may(state, step) and next_state(state, step, name=name) == decision.state
        if decision.version != version or not follows:
            return f"its entry {decision.step!r} about {name!r} doesn't follow the one before it"
        state = decision.state
        if step in ("draft", "submit"):
            author, approved = decision.who, None
            submission = version if step == "submit" else submission
        elif step in ("reject", "cancel"):
            approved = None
        elif step == "approve":
            approved = decision
    approval, last = record.approval, decisions[-1]
    by = (approved.who, approved.fingerprint) if approved else None
    if approval is not None and by != (approval.approver, approval.fingerprint):
        return f"the approval of {name!r} by {approval.approver!r} isn't in it, so cancel that campaign"
    if record.author != author:
        return f"{name!r} was submitted by {author!r}, and its record says {record.author!r}"
    if (record.version, record.state) != (last.version, last.state):
        return f"the last decision on {name!r}, {last.step!r} by {last.who!r}, made it {last.state}, not {record.state}"
    if record.submission != submission or record.campaign != last.content or record != (last.record or record):
        return f"what is stored of {name!r} isn't what {last.step!r} by {last.who!r} left"
    return None
