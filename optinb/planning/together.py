"""Working on a campaign together: comments, who else has it open, and whom it waits for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from optinb.campaigns.conversation import Comment, Visit, Waiting, others, waits_for
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.campaigns import CampaignRecord
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.campaigns.conversation_store import ConversationStore
    from optinb.planning.notices import Notices

BEAT = timedelta(seconds=10)
MAX_COMMENT = 4_000


class Together:
    """`ws.together`: what people at one campaign tell each other."""

    def __init__(
        self, context: Context, campaigns: CampaignStore, conversation: ConversationStore, notices: Notices
    ) -> None:
        self._context, self._campaigns, self._conversation, self._notices = context, campaigns, conversation, notices

    def comment(self, name: str, text: str) -> Comment:
        """Says something about a campaign, to everybody who looks at it.

        Args:
            name: of the campaign.
            text: up to 4,000 characters.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, and for a comment that says nothing.
        """
        record, said = self._campaigns.get(name), text.strip()
        if not 0 < len(said) <= MAX_COMMENT:
            raise CampaignError(f"a comment has 1 to {MAX_COMMENT:,} characters, not {len(said):,}; write another one")
        kept = self._conversation.say(record, said, who=self._context.user, now=self._context.now())
        self._notices.tell(record.campaign.name, "commented")
        return kept

    def comments(self, name: str) -> tuple[Comment, ...]:
        """What was said about a campaign, the oldest first.

        Args:
            name: of the campaign.
        """
        return self._conversation.comments(self._campaigns.get(name).id)

    def waiting(self, record: CampaignRecord) -> Waiting | None:
        """Whom a campaign waits for, as whoever works here sees it.

        Args:
            record: the campaign.

        Returns:
            None where it waits for no person.
        """
        settings = self._context.settings.workspace
        return waits_for(
            record, user=self._context.user, approvers=settings.approvers, approve_own=settings.approve_own
        )

    def others(self, campaign_id: str) -> tuple[Visit, ...]:
        """The other people who have a campaign before them now.

        Args:
            campaign_id: 12 hexadecimal digits, as `CampaignRecord.id` has them.
        """
        visits = self._conversation.visits(campaign_id, now=self._context.now())
        return others(visits, user=self._context.user)

    def presence(self) -> Presence:
        """What tells others what one view shows."""
        return Presence(self._context, self._conversation)


class Presence:
    """One view's heartbeat: at most one small write in ten seconds while it shows the same."""

    def __init__(self, context: Context, conversation: ConversationStore) -> None:
        self._context, self._conversation, self._view = context, conversation, uuid4().hex
        self._last: tuple[str | None, bool] = (None, False)
        self._at: datetime | None = None

    def beat(self, campaign_id: str | None, *, is_writing: bool = False) -> bool:
        """Notes what the view shows now; tells whether that was written."""
        now, shown = self._context.now(), (campaign_id, is_writing)
        if shown == self._last and (campaign_id is None or (self._at is not None and now < self._at + BEAT)):
            return False
        self._conversation.visit(self._view, campaign_id, who=self._context.user, is_writing=is_writing, now=now)
        self._last, self._at = shown, now
        return True
