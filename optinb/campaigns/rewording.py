"""Taking what names a person out of the texts that the store keeps, and telling which name one and can't be changed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Row, and_, func, or_, select, update

from optinb.campaigns.approval import reworded, step
from optinb.campaigns.campaign_store import add_version, encoded
from optinb.campaigns.record import CampaignRecord
from optinb.store.schema import (
    audit_entries,
    batches,
    campaign_comments,
    campaign_versions,
    group_versions,
    runs,
    template_rules,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from optinb.base.erasing import ForgottenPerson
    from optinb.store.database import Database

# What was approved, and what is chained in the trail, stays as it was: it is told.
_REWORDED: tuple[Column[str], ...] = (
    batches.c.detail,
    batches.c.why,
    batches.c.settlement,
    runs.c.summary,
    campaign_comments.c.body,
)
_LEFT = (
    ("target group", group_versions.c.name, group_versions.c.rule_json),
    ("campaign", campaign_versions.c.name, campaign_versions.c.record),
    ("statement about the template", template_rules.c.template_id, template_rules.c.rules),
)


class Rewording:
    """The texts of the store beside a person who is to be forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def erase(self, person: ForgottenPerson, *, user: str, now: datetime) -> int:
        """Rewords what the API said of batches, nights' summaries and drafts of campaigns; returns how many rows.

        A draft is what the trail says of it, so its newest version is followed by one that the trail knows as reworded.
        """
        changed = 0
        with self._database.writing() as con:
            for column in _REWORDED:
                keys = list(column.table.primary_key)
                for row in _naming(con, column, person):
                    after = _reworded(row[-1], person)
                    if after != row[-1]:
                        here = and_(*(key == value for key, value in zip(keys, row, strict=False)))
                        con.execute(update(column.table).where(here).values({column: after}))
                        changed += 1
            return changed + _erase_drafts(con, person, user=user, now=now)

    def naming(self, person: ForgottenPerson) -> tuple[str, ...]:
        """What names the person still: campaigns and target groups, whatever the version, and entries of the trail."""
        found: dict[str, None] = {}
        with self._database.reading() as con:
            for what, name, column in _LEFT:
                query = select(name, column).where(_holds(column, person)).order_by(name)
                texts = con.execute(query).all()
                found |= dict.fromkeys(f"{what} {row[0]!r}" for row in texts if _reworded(row[1], person) != row[1])
            trail = con.execute(select(audit_entries.c.detail).where(_holds(audit_entries.c.detail, person))).all()
            subjects = con.execute(select(audit_entries.c.subject).where(_holds(audit_entries.c.subject, person))).all()
        entries = sum(_reworded(row[0], person) != row[0] for row in (*trail, *subjects))
        if entries:
            told = f"{entries:,} entries of the audit trail, such as test sends to them, which nothing can change"
            return (*found, told)
        return tuple(found)


def _erase_drafts(con: Connection, person: ForgottenPerson, *, user: str, now: datetime) -> int:
    """Rewords drafts, in every version."""
    it, changed = campaign_versions.c, 0
    versions = select(it.id, func.max(it.version)).group_by(it.id)
    newest = set(map(tuple, con.execute(versions)))
    drafts = select(it.id, it.version, it.record).where(it.state == "draft", _holds(it.record, person))
    for key, version, text in con.execute(drafts).all():
        before, after = msgspec.json.decode(text, type=CampaignRecord), None
        with suppress(ValueError):  # no room for the words that take a name's place: it is told as naming the person
            after = reworded(before, person.text)
        if after is None or after == before:
            continue
        here = (it.id == key) & (it.version == version)
        con.execute(update(campaign_versions).where(here).values(record=encoded(after)))
        changed += 1
        if (key, version) in newest:
            following = step(after, "reword", now=now)
            add_version(con, following, before=before.state, user=user, action="reword", now=now)
    return changed


def _naming(con: Connection, column: Column[str], person: ForgottenPerson) -> Iterator[Row[Any]]:
    query = select(*column.table.primary_key, column).where(_holds(column, person))
    yield from con.execute(query).all()


def _holds(column: Column[str], person: ForgottenPerson) -> ColumnElement[bool]:
    return or_(*(column.contains(name, autoescape=True) for name in person.spellings))


def _reworded(text: str, person: ForgottenPerson) -> str:
    try:
        content = json.loads(text)
    except ValueError:
        return person.text(text)
    cleared = person.value(content)
    return text if cleared == content else json.dumps(cleared, ensure_ascii=False, separators=(",", ":"))
