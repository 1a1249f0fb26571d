"""Campaigns as they are written down: read from what people hand in, kept with every decision, and still in the making.

Nobody overwrites a draft unseen. What isn't saved yet in a form is kept as a text of its writer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.files import write_atomically
from optinb.base.people import same_person
from optinb.campaigns import (
    Campaign,
    CampaignChange,
    CampaignRecord,
    campaign_from,
    draft,
    id_of,
    may,
    read_campaign,
    step,
)
from optinb.delivery.traces import UNSAVED
from optinb.errors import CampaignError, ConflictError
from optinb.planning.notices import STEPS

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.delivery.journal.deliveries import Deliveries
    from optinb.planning.notices import Notices

Source = Campaign | Mapping[str, Any] | Path


def as_campaign(source: Source) -> Campaign:
    """A campaign from a value, from its fields, or from a `campaign.toml`. Raises CampaignError."""
    if isinstance(source, Campaign):
        return source
    if isinstance(source, Path):
        return read_campaign(source)
    if not isinstance(source, Mapping):
        raise CampaignError(f"{source!r} is no campaign; give its fields, or Path('campaign.toml')")
    return campaign_from(source)


class CampaignRecords:
    """Writes down what becomes of campaigns, in the user's name; what is decided is also noted outside the database."""

    def __init__(
        self,
        context: Context,
        campaigns: CampaignStore,
        *,
        deliveries: Deliveries,
        note_decision: Callable[[CampaignRecord, str], None],
        notices: Notices,
    ) -> None:
        """Args: `note_decision` is told the record and what was done with it, once that is in the database."""
        self._context, self._campaigns, self._deliveries = context, campaigns, deliveries
        self._note_decision, self._notices = note_decision, notices

    def put(self, record: CampaignRecord, action: str, *, before: CampaignRecord | None) -> CampaignRecord:
        """Keeps a new version of a campaign, in place of the one `before`; returns it.

        Raises ConflictError when somebody else changed the campaign meanwhile.
        """
        expected, user, now = before.version if before else None, self._context.user, self._context.now()
        self._campaigns.put(record, expected=expected, user=user, action=action, now=now)
        self._note_decision(record, action)
        if action in STEPS:
            self._notices.tell(record.campaign.name, STEPS[action])
        return record

    def stop(self, record: CampaignRecord, reason: str) -> None:
        """Cancels what is planned of a campaign and has not been sent."""
        for audience in self._deliveries.list(campaign_id=record.id, having=("planned", "sending")):
            self._deliveries.cancel(*audience.night, reason=reason, user=self._context.user, now=self._context.now())


def is_free(record: CampaignRecord) -> bool:
    """Whether a draft of a campaign takes nothing back that others have been asked or told."""
    return may(record.state, "rename")


class Drafts:
    """`ws.drafts`: keeps campaigns in the making, and tells who changed one last."""

    def __init__(self, context: Context, campaigns: CampaignStore, records: CampaignRecords) -> None:
        self._context, self._campaigns, self._records = context, campaigns, records

    def keep(self, source: Campaign | Mapping[str, Any], *, seen: CampaignRecord | None) -> CampaignRecord:
        """Keeps a campaign that is still being worked on, on top of the version that its writer has `seen`.

        A name is a campaign's identity: under a new name it's another one, and the draft of the old name is put away.
        Raises CampaignError when another campaign bears the name, or it is too late for a draft, ConflictError when
        somebody else changed the draft meanwhile.
        """
        campaign, now = as_campaign(source), self._context.now()
        renamed = seen is not None and seen.id != campaign.id
        earlier = self.check_free(campaign.name) if seen is None or renamed else seen
        kept = draft(campaign, user=self._context.user, now=now, earlier=earlier)
        self._records.put(kept, "draft", before=earlier)
        if renamed and seen is not None and is_free(seen):
            # who changed the old one meanwhile keeps it
            with suppress(ConflictError):
                away = replace(step(seen, "rename", now=now, comment="renamed"), archived=True)
                self._records.put(away, "rename", before=seen)
        return kept

    def check_free(self, name: str) -> CampaignRecord | None:
        """Refuses a name that another campaign bears; returns the one of this name that was put away, if any."""
        found = self._campaigns.find(id_of(name))
        if found is not None and not found.archived:
            raise CampaignError(
                f"there is a campaign {found.campaign.name!r} already ({found.state}); open that one, or choose "
                "another name",
                field="name",
            )
        return found

    def last_change(self, record: CampaignRecord) -> CampaignChange:
        """The newest version of a campaign: who did what, and when."""
        return self._campaigns.history(record.id)[-1]

    def open(self) -> tuple[CampaignRecord, ...]:
        """The campaigns that may still be worked on, by name."""
        return tuple(r for r in self._campaigns.list() if not r.archived and r.state not in ("done", "cancelled"))

    def mine(self) -> CampaignRecord | None:
        """The draft that the user wrote at last."""
        own = [r for r in self.open() if r.state == "draft" and same_person(r.author, self._context.user)]
        return max(own, key=lambda record: record.updated_at, default=None)


class UnsavedText(Struct, frozen=True):
    """What was being written (`body`), and when it was kept last (UTC)."""

    body: str
    kept_at: datetime


class Unsaved:
    """`ws.unsaved`: a text for each user and each thing that they write, which `what` names."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def keep(self, what: str, body: str) -> None:
        """Keeps a text; the one before is replaced."""
        path = self._path(what)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, msgspec.json.encode(UnsavedText(body, self._context.now().astimezone(UTC))))

    def get(self, what: str) -> UnsavedText | None:
        """What is kept; None where there is nothing, or nothing that can be read."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path(what).read_bytes(), type=UnsavedText)
        return None

    def forget(self, what: str) -> None:
        """Throws a text away; nothing happens where there is none."""
        self._path(what).unlink(missing_ok=True)

    def _path(self, what: str) -> Path:
        name = sha256(f"{self._context.user}\n{what}".encode()).hexdigest()[:32]
        return self._context.root / UNSAVED / f"{name}.json"
