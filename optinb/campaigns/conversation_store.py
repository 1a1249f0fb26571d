"""What people say about campaigns, and who has one before them, as it is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from optinb.campaigns.conversation import Comment, Visit
from optinb.store import Database, audit
from optinb.store.schema import campaign_comments, campaign_visits

if TYPE_CHECKING:
    from optinb.campaigns.record import CampaignRecord

SEEN_FOR = timedelta(seconds=30)  # three heartbeats


class ConversationStore:
    """Comments and visits as they are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def comments(self, campaign_id: str) -> tuple[Comment, ...]:
        """What was said about a campaign, the oldest first."""
        it = campaign_comments.c
        query = select(campaign_comments).where(it.campaign_id == campaign_id).order_by(it.number)
        with self._database.reading() as con:
            return tuple(
                Comment(
                    campaign_id=row.campaign_id,
                    number=row.number,
                    version=row.version,
                    who=row.said_by,
                    at=row.said_at,
                    text=row.body,
                )
                for row in con.execute(query)
            )

    def say(self, record: CampaignRecord, text: str, *, who: str, now: datetime) -> Comment:
        """Keeps a comment, with an entry of the audit trail that has its hash, not its words."""
        it = campaign_comments.c
        with self._database.writing() as con:
            last = con.execute(select(func.max(it.number)).where(it.campaign_id == record.id)).scalar()
            said = Comment(
                campaign_id=record.id, number=(last or 0) + 1, version=record.version, who=who, at=now, text=text
            )
            con.execute(
                insert(campaign_comments).values(
                    campaign_id=said.campaign_id,
                    number=said.number,
                    version=said.version,
                    said_by=who,
                    said_at=now,
                    body=text,
                )
            )
            audit.record(
                con,
                who=who,
                action="comment on campaign",
                subject=record.campaign.name,
                now=now,
                number=said.number,
                version=said.version,
                sha256=sha256(text.encode()).hexdigest(),
            )
        return said

    def visits(self, campaign_id: str, *, now: datetime) -> tuple[Visit, ...]:
        """Who has a campaign before them now."""
        it = campaign_visits.c
        query = select(it.visitor, it.is_writing).where(it.campaign_id == campaign_id, it.seen_at > now - SEEN_FOR)
        with self._database.reading() as con:
            return tuple(Visit(who=row.visitor, is_writing=row.is_writing) for row in con.execute(query))

    def visit(self, view: str, campaign_id: str | None, *, who: str, is_writing: bool, now: datetime) -> None:
        """Notes what a view shows now, None for nothing; what has expired goes."""
        it = campaign_visits.c
        with self._database.writing() as con:
            con.execute(delete(campaign_visits).where((it.view == view) | (it.seen_at <= now - SEEN_FOR)))
            if campaign_id is not None:
                con.execute(
                    insert(campaign_visits).values(
                        view=view, campaign_id=campaign_id, visitor=who, is_writing=is_writing, seen_at=now
                    )
                )
