"""Target groups as they are stored: a new version each time the rule changes, and the old ones kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, func, insert, select

from optinb.errors import CampaignError, ConflictError, did_you_mean
from optinb.store import Database, audit
from optinb.store.schema import group_versions


class GroupRecord(Struct, frozen=True, kw_only=True):
    """A version of a target group: its rule as canonical JSON, and as a sentence."""

    name: str
    rule_json: str
    sentence: str
    version: int
    author: str
    updated_at: datetime


class GroupStore:
    """The target groups of a workspace, known by name without regard to case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, name: str, *, rule_json: str, sentence: str, user: str, now: datetime, expected: int | None = None
    ) -> GroupRecord:
        """Stores a rule under a name; the same rule again changes nothing.

        Args:
            name: of the group; an existing one gets a new version.
            rule_json: the rule's canonical JSON.
            sentence: the rule in words.
            user: who saves it.
            now: in UTC.
            expected: the version that the user has seen; None doesn't check.

        Raises:
            CampaignError for an empty or unprintable name, ConflictError when the group isn't at `expected` any more.
        """
        if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > 120:
            raise CampaignError(f"{name!r} can't be the name of a group; write up to 120 printable characters")
        with self._database.writing() as con:
            current = _current(con, name)
            if expected is not None and (current.version if current else 0) != expected:
                changed = (
                    f"was changed by {current.author} at {current.updated_at:%Y-%m-%d %H:%M} UTC" if current else ""
                )
                raise ConflictError(f"group {name!r} {changed or 'is not there any more'}; open it again")
            if current and current.rule_json == rule_json:
                return current
            group = GroupRecord(
                name=name,
                rule_json=rule_json,
                sentence=sentence,
                version=current.version + 1 if current else 1,
                author=user,
                updated_at=now,
            )
            con.execute(
                insert(group_versions).values(
                    key=name.casefold(),
                    version=group.version,
                    name=name,
                    rule_json=rule_json,
                    sentence=sentence,
                    author=user,
                    updated_at=now,
                )
            )
            audit.record(
                con,
                who=user,
                action="group saved",
                subject=name,
                now=now,
                version=group.version,
                rule=rule_json,
            )
        return group

    def get(self, name: str) -> GroupRecord:
        """The newest version of a group. Raises CampaignError with the nearest name."""
        with self._database.reading() as con:
            group = _current(con, name)
        if group is None:
            known = [other.name for other in self.list()]
            tail = did_you_mean(name, known) if known else "; save it first in explore_segments.ipynb"
            raise CampaignError(f"target group {name!r} isn't known{tail}")
        return group

    def list(self) -> tuple[GroupRecord, ...]:
        """The newest version of every group, by name."""
        newest = (
            select(group_versions.c.key, func.max(group_versions.c.version).label("version"))
            .group_by(group_versions.c.key)
            .subquery()
        )
        query = (
            select(group_versions)
            .join(newest, (group_versions.c.key == newest.c.key) & (group_versions.c.version == newest.c.version))
            .order_by(group_versions.c.key)
        )
        with self._database.reading() as con:
            return tuple(_group(row) for row in con.execute(query))

    def versions(self, name: str) -> tuple[GroupRecord, ...]:
        """Every version of a group, the oldest first; none if it isn't known."""
        query = select(group_versions).where(group_versions.c.key == name.casefold()).order_by(group_versions.c.version)
        with self._database.reading() as con:
            return tuple(_group(row) for row in con.execute(query))


def _current(con: Connection, name: str) -> GroupRecord | None:
    if not name.isprintable():
        return None  # no group has such a name, and a database may not even take it
    query = (
        select(group_versions)
        .where(group_versions.c.key == name.casefold())
        .order_by(group_versions.c.version.desc())
        .limit(1)
    )
    row = con.execute(query).first()
    return _group(row) if row else None


def _group(row: Row[Any]) -> GroupRecord:
    fields = dict(row._mapping)
    del fields["key"]
    return GroupRecord(**fields)
