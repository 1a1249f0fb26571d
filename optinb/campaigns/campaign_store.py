"""Campaigns as they are stored: every version is kept, and nobody overwrites what they haven't seen."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, insert, or_, select

from optinb.campaigns.campaign import Campaign, id_of
from optinb.campaigns.record import Approval, CampaignRecord
from optinb.campaigns.trail import Decision
from optinb.errors import CampaignError, ConflictError, StateError, did_you_mean
from optinb.store import Database, audit
from optinb.store.schema import audit_entries, campaign_versions

PREFIX = "campaign "  # of the actions in the audit trail


class CampaignChange(Struct, frozen=True, kw_only=True):
    """One step in the life of a campaign: who did what, when, and what it was then."""

    record: CampaignRecord
    action: str
    changed_by: str
    changed_at: datetime


class CampaignStore:
    """The campaigns of a workspace, known by id or by name without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name_or_id: str) -> CampaignRecord:
        """The newest version of a campaign. Raises CampaignError with the nearest name."""
        record = self.find(name_or_id)
        if record is None:
            known = [other.campaign.name for other in self.list()]
            tail = did_you_mean(name_or_id, known) if known else "; submit it first"
            raise CampaignError(f"campaign {name_or_id!r} isn't known{tail}")
        return record

    def find(self, name_or_id: str) -> CampaignRecord | None:
        """The newest version of a campaign, or None."""
        made_from_name = id_of(name_or_id)
        query = (
            select(campaign_versions.c.record, campaign_versions.c.name)
            .where(or_(campaign_versions.c.id == made_from_name, campaign_versions.c.id == name_or_id))
            .order_by((campaign_versions.c.id == made_from_name).desc(), campaign_versions.c.version.desc())
            .limit(1)
        )
        with self._database.reading() as con:
            row = con.execute(query).first()
        return _decode(row.record, row.name) if row is not None else None

    def list(self) -> tuple[CampaignRecord, ...]:
        """The newest version of every campaign, by name."""
        newest = (
            select(campaign_versions.c.id, func.max(campaign_versions.c.version).label("version"))
            .group_by(campaign_versions.c.id)
            .subquery()
        )
        query = select(campaign_versions.c.record, campaign_versions.c.name).join(
            newest, (campaign_versions.c.id == newest.c.id) & (campaign_versions.c.version == newest.c.version)
        )
        with self._database.reading() as con:
            records = [_decode(row.record, row.name) for row in con.execute(query)]
        return tuple(sorted(records, key=lambda record: record.campaign.name.casefold()))

    def put(
        self, record: CampaignRecord, *, expected: int | None, user: str, action: str, now: datetime
    ) -> CampaignRecord:
        """Stores the next version of a campaign.

        Args:
            record: its version must be `expected` + 1, as the functions of `optinb.campaigns` make it.
            expected: the version that was read and changed; None for a campaign that is new.
            user: who does it.
            action: what they do, for the audit trail, such as "submit".
            now: in UTC.

        Raises:
            ConflictError when somebody else changed it since it was read.
        """
        name = record.campaign.name
        if record.version != (expected or 0) + 1:
            raise ValueError(f"version {record.version} of campaign {name!r} can't follow version {expected}")
        with self._database.writing() as con:
            last = con.execute(
                select(campaign_versions)
                .where(campaign_versions.c.id == record.id)
                .order_by(campaign_versions.c.version.desc())
                .limit(1)
            ).first()
            if (last.version if last else None) != expected:
                raise ConflictError(
                    f"campaign {name!r} was changed since you opened it, by {last.changed_by} at "
                    f"{last.changed_at:%Y-%m-%d %H:%M} UTC ({last.action}); open it again"
                    if last
                    else f"campaign {name!r} isn't in this store; submit it again"
                )
            add_version(con, record, before=last.state if last else None, user=user, action=action, now=now)
        return record

    def history(self, name_or_id: str) -> tuple[CampaignChange, ...]:
        """Every step in the life of a campaign, the oldest first. Raises CampaignError."""
        record = self.get(name_or_id)
        query = (
            select(campaign_versions).where(campaign_versions.c.id == record.id).order_by(campaign_versions.c.version)
        )
        with self._database.reading() as con:
            return tuple(
                CampaignChange(
                    record=_decode(row.record, row.name),
                    action=row.action,
                    changed_by=row.changed_by,
                    changed_at=row.changed_at,
                )
                for row in con.execute(query)
            )

    def approved(self, campaign_id: str) -> dict[str, Campaign]:
        """A campaign as it was each time that it was approved, by the fingerprint of the approval.

        Args:
            campaign_id: 12 hexadecimal digits.
        """
        query = (
            select(campaign_versions.c.record, campaign_versions.c.name)
            .where(campaign_versions.c.id == campaign_id, campaign_versions.c.action == "approve")
            .order_by(campaign_versions.c.version)
        )
        with self._database.reading() as con:
            records = [_decode(row.record, row.name) for row in con.execute(query)]
        return {record.approval.fingerprint: record.campaign for record in records if record.approval is not None}

    def newest_approval(self, campaign_id: str) -> Approval | None:
        """The last approval of a campaign, whether it still counts or not; None where there was none."""
        history = self.history(campaign_id) if self.find(campaign_id) else ()
        return next((change.record.approval for change in reversed(history) if change.record.approval), None)

    def decisions(self, campaign_id: str | None = None) -> dict[str, list[Decision]]:
        """What the audit trail says of every campaign or of one, the oldest first, by the id that its name makes."""
        ours = audit_entries.c.action.startswith(PREFIX, autoescape=True)
        with self._database.reading() as con:
            if campaign_id is not None:
                names = con.execute(select(audit_entries.c.subject).where(ours).distinct()).scalars()
                ours &= audit_entries.c.subject.in_([name for name in names if id_of(name) == campaign_id])
            entries = audit.entries_since(con, 0, ours)
        found: dict[str, list[Decision]] = {}
        for entry in entries:
            with suppress(msgspec.MsgspecError):  # not written by optinb: missing, it breaks the succession
                found.setdefault(id_of(entry.subject), []).append(_decision(entry))
        return found


def add_version(
    con: Connection, record: CampaignRecord, *, before: str | None, user: str, action: str, now: datetime
) -> None:
    """Stores a version of a campaign with its audit entry; `before` is the state that it had."""
    con.execute(
        insert(campaign_versions).values(
            id=record.id,
            version=record.version,
            name=record.campaign.name,
            state=record.state,
            record=encoded(record),
            changed_by=user,
            action=action,
            changed_at=now,
        )
    )
    audit.record(
        con,
        who=user,
        action=f"{PREFIX}{action}",
        subject=record.campaign.name,
        now=now,
        version=record.version,
        before=before,
        state=record.state,
        fingerprint=record.approval.fingerprint if record.approval else None,
        record=record,
    )


def encoded(record: CampaignRecord) -> str:
    """A campaign as it is stored."""
    return msgspec.json.encode(record, order="sorted").decode()


def _decision(entry: audit.AuditEntry) -> Decision:
    fields = {"content": (entry.detail.get("record") or {}).get("campaign"), **entry.detail}
    step = entry.action.removeprefix(PREFIX)
    return msgspec.convert({**fields, "step": step, "who": entry.who}, Decision)


def _decode(text: str, name: str) -> CampaignRecord:
    try:
        return msgspec.json.decode(text, type=CampaignRecord)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"what is stored of the campaign {name!r} can't be read ({error}); somebody else than optinb wrote it: "
            "restore the database from a copy"
        ) from error
