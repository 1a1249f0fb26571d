"""People at one campaign: what they say about it, who has it before them now, and who waits for whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from optinb.base.people import is_among, same_person

if TYPE_CHECKING:
    from optinb.campaigns.record import CampaignRecord


class Comment(Struct, frozen=True, kw_only=True):
    """What somebody said about a campaign.

    Attributes:
        campaign_id: which campaign.
        number: counts the comments on it.
        version: of its record, which they had before them.
        who: who said it.
        at: when, in UTC.
        text: what they said.
    """

    campaign_id: str
    number: int
    version: int
    who: str
    at: datetime
    text: str


class Visit(Struct, frozen=True, kw_only=True):
    """Somebody who has a campaign before them now, and whether they are writing in it."""

    who: str
    is_writing: bool


class Waiting(Struct, frozen=True, kw_only=True):
    """Whom a campaign waits for, since when (UTC); `is_user` where that is whoever asks."""

    role: str
    people: tuple[str, ...]
    is_user: bool
    since: datetime

    def sentence(self) -> str:
        """It in words, without the moment and a full stop."""
        if self.is_user:
            return "Waits for you"
        named = f" ({', '.join(self.people)})" if self.people else ""
        nobody = "" if self.people else ", and nobody else may approve: add one to approvers in optinb.toml"
        return f"Waits for {self.role}{named}{nobody}"


def waits_for(
    record: CampaignRecord, *, user: str, approvers: Sequence[str], approve_own: bool = False
) -> Waiting | None:
    """Whom a campaign waits for; None where it waits for no person."""
    match record.state:
        case "submitted" | "held":
            may = tuple(who for who in approvers if approve_own or not same_person(who, record.author))
            return Waiting(role="an approver", people=may, is_user=user in may, since=record.updated_at)
        case "rejected" | "draft":
            is_own = same_person(user, record.author)
            return Waiting(role="its author", people=(record.author,), is_user=is_own, since=record.updated_at)
        case "approved" | "running" | "paused" | "done" | "cancelled":
            return None
        case _:
            assert_never(record.state)


def others(visits: Iterable[Visit], *, user: str) -> tuple[Visit, ...]:
    """The other people among visits, each once: who writes in one view is writing, whatever else they have open."""
    writing = {visit.who for visit in visits if visit.is_writing}
    names = sorted({visit.who for visit in visits if not is_among(visit.who, [user])}, key=str.casefold)
    return tuple(Visit(who=name, is_writing=name in writing) for name in names)
