"""Whether an audience goes out when its schedule says, or when somebody moved it who may. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.campaigns.approval import may_move
from optinb.campaigns.signing import bears, signature_of
from optinb.errors import ApprovalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.campaigns.record import Authority, CampaignRecord


class TimeMove(Struct, frozen=True, kw_only=True):
    """Who moved an audience from which time to which; signed, where approvers have keys."""

    who: str
    before: datetime
    send_at: datetime
    signature: str | None = None

    def content(self, *, campaign_id: str, run_date: date, sha256: str) -> bytes:
        """What a signature is of: the move of this very audience, whose file has this seal."""
        moments = [moment.astimezone(UTC).isoformat() for moment in (self.before, self.send_at)]
        return msgspec.json.encode(["move", campaign_id, run_date, sha256, self.who, *moments])


def sign_move(move: TimeMove, *, campaign_id: str, run_date: date, sha256: str, private: str) -> str:
    """The signature of a move in base64. Raises ApprovalError when the key can't be read."""
    return signature_of(move.content(campaign_id=campaign_id, run_date=run_date, sha256=sha256), private=private)


def why_untimely(
    record: CampaignRecord,
    send_at: datetime,
    *,
    run_date: date,
    sha256: str,
    planned: datetime,
    moves: Sequence[TimeMove],
    authority: Authority,
) -> str | None:
    """Why an audience may not go out at its time, or None.

    `planned` is what was approved, by the schedule; from there on each of its `moves` must lead to the next one, and be
    of somebody who may.
    """
    name, at = record.campaign.name, planned
    for move in moves:
        told = f"{move.who!r} moved {name!r} to {move.send_at:%Y-%m-%d %H:%M} UTC"
        try:
            may_move(record, user=move.who, approvers=authority.approvers, approve_own=authority.approve_own)
        except ApprovalError as error:
            return f"by the audit trail {told}, but {error}"
        content = move.content(campaign_id=record.id, run_date=run_date, sha256=sha256)
        if authority.keys and not bears(move.signature, content, public=authority.keys.get(move.who, "")):
            return f"by the audit trail {told}, without their signature"
        if move.before != at:
            break
        at = move.send_at
    if at == send_at:
        return None
    return (
        f"the send time of {name!r} of {run_date} is {send_at:%Y-%m-%d %H:%M} UTC, but what was approved, or moved by "
        f"somebody who may, is {at:%Y-%m-%d %H:%M} UTC"
    )
