"""What people have stated of templates, in versions: rows are only added, and the newest of each template counts.

What is stated lets messages go out that Appboy's default would have held back. Rows can be changed by whoever can write
to the database, so that each is held to the entry of the audit trail that tells of it: one that isn't borne out there
is never gone by.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select

from optinb.appboy.template_rules import UNSTATED, StatedRules, TemplateRules
from optinb.errors import CampaignError, StateError
from optinb.store import Database, audit
from optinb.store.schema import template_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from optinb.appboy.templates import Template
    from optinb.store import AuditEntry

    Key = tuple[str, str]
    Versions = Mapping[int, Row[Any]]

STATED, WITHDRAWN = "template stated", "template withdrawn"


class Statements:
    """The rules of templates as people stated them, by app group id and template id."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said: audit.EntriesAbout[Key] = audit.EntriesAbout(STATED, WITHDRAWN, key=_key)

    def newest(self, app_group_id: str, template_id: str) -> StatedRules | None:
        """What is stated of a template now; None where nobody said anything, or where it was withdrawn.

        Raises:
            StateError: when what is stored isn't what the audit trail says was stated.
        """
        key = (app_group_id, template_id)
        with self._database.reading() as con:
            _, unlike = self._unlike(con, key)
            if unlike:
                raise StateError(unlike)
            return _told(self._said.of(con, key))

    def all(self) -> dict[tuple[str, str], StatedRules]:
        """What is stated now of every template of which something is, by app group id and template id.

        What the audit trail doesn't bear out counts as not stated: then Appboy's default does, once ever.
        """
        with self._database.reading() as con:
            said, bad = self._said.all(con), dict(self._all_unlike(con))
            found = {key: _told(entries) for key, entries in said.items() if key not in bad}
        return {key: stated for key, stated in found.items() if stated is not None}

    def all_unlike(self) -> tuple[str, ...]:
        """Why what is stored of templates isn't what the audit trail says was stated, a sentence for each."""
        with self._database.reading() as con:
            return tuple(why for _, why in self._all_unlike(con))

    def state(self, template: Template, changes: TemplateRules, *, user: str, now: datetime) -> StatedRules:
        """Adds to what is stated of a template; what `changes` doesn't name stays as it was stated.

        It goes by the audit trail, and rows that differ from that are made again.
        """
        with self._database.writing() as con:
            said = self._said.of(con, (template.app_group_id, template.id))
            before = _told(said)
            rules = (UNSTATED if before is None else before.rules).with_changes(changes)
            return self._add(con, template, rules, said, user=user, now=now)

    def withdraw(self, template: Template, *, user: str, now: datetime) -> None:
        """Takes back all that was stated of a template. Raises CampaignError where nothing is."""
        with self._database.writing() as con:
            said = self._said.of(con, (template.app_group_id, template.id))
            if _told(said) is None:
                raise CampaignError(f"nothing is stated of the template {template.name!r} that could be taken back")
            self._add(con, template, UNSTATED, said, user=user, now=now)

    def _add(
        self,
        con: Connection,
        template: Template,
        rules: TemplateRules,
        said: Sequence[AuditEntry],
        *,
        user: str,
        now: datetime,
    ) -> StatedRules:
        """One more version with its audit entry."""
        key = (template.app_group_id, template.id)
        versions, unlike = self._unlike(con, key)
        mended = {}
        if unlike:  # what somebody else had written there is kept in the trail, and nowhere else
            mended = {"instead_of": [[row.version, row.rules, row.stated_by] for row in versions.values()]}
            con.execute(delete(template_rules).where(_of(key)))
            for entry in said:
                con.execute(insert(template_rules).values(_row(key, entry.detail, by=entry.who, at=entry.at)))
        detail = {"version": said[-1].detail["version"] + 1 if said else 1, "rules": rules}
        con.execute(insert(template_rules).values(_row(key, detail, by=user, at=now)))
        audit.record(
            con,
            who=user,
            action=STATED if rules else WITHDRAWN,
            subject=template.name,
            now=now,
            app_group=template.app_group_id,
            template=template.id,
            before=said[-1].detail["rules"] if said else None,
            **detail,
            **mended,
        )
        return StatedRules(rules=rules, by=user, at=now)

    def _unlike(self, con: Connection, key: Key) -> tuple[Versions, str | None]:
        """The stored versions of a template, and why they aren't what the trail says, or None."""
        chosen = select(template_rules).where(_of(key)).order_by(template_rules.c.version)
        versions: Versions = {}
        why: str | None = None
        for _ in range(2):  # a second look, since a version may come between the rows and the entries
            versions = {row.version: row for row in con.execute(chosen)}
            why = _why_unlike(key, versions, self._said.of(con, key))
            if why is None:
                break
        return versions, why

    def _all_unlike(self, con: Connection) -> Iterator[tuple[Key, str]]:
        found: dict[Key, dict[int, Row[Any]]] = {}
        for row in con.execute(select(template_rules).order_by(template_rules.c.version)):
            found.setdefault((row.app_group_id, row.template_id), {})[row.version] = row
        said = self._said.all(con)
        for key in sorted(found.keys() | said.keys()):
            if _why_unlike(key, found.get(key, {}), said.get(key, ())):
                _, why = self._unlike(con, key)
                if why:
                    yield key, why


def _why_unlike(key: Key, versions: Versions, said: Sequence[AuditEntry]) -> str | None:
    """Why the versions of a template aren't what the entries about it say, or None."""
    entries = {entry.detail.get("version", 0): entry for entry in said}
    for version in sorted(versions.keys() | entries.keys()):
        row, entry = versions.get(version), entries.get(version)
        if row is None:
            what = f"version {version} isn't there any more"
        elif entry is None:
            what = f"version {version} by {row.stated_by!r} isn't in it"
        elif not _is_borne_out(row, entry):
            what = f"version {version} by {entry.who!r} was changed after it was stated"
        else:
            continue
        name = said[-1].subject if said else key[1]
        return (
            f"what is stored of the rules of the template {name!r} isn't what the audit trail says was stated: {what}; "
            "somebody else than optinb wrote to the database, and nothing goes out by it: look into the dashboard, "
            f"state it again with `optinb templates set {quote(name)}`, and see who can write to the database"
        )
    return None


def _is_borne_out(row: Row[Any], entry: AuditEntry) -> bool:
    try:
        rules = msgspec.json.decode(row.rules)
    except msgspec.DecodeError:
        return False
    return (row.stated_by, row.stated_at, rules) == (entry.who, entry.at, entry.detail.get("rules"))


def _told(said: Sequence[AuditEntry]) -> StatedRules | None:
    """What the newest of some entries states; None where that is nothing."""
    if not said or not said[-1].detail.get("rules"):
        return None
    newest = said[-1]
    try:
        rules = msgspec.convert(newest.detail["rules"], TemplateRules)
    except msgspec.ValidationError as error:
        raise StateError(
            f"what was stated of the template {newest.subject!r} can't be read ({error}): a newer release of optinb "
            "wrote it; use that one"
        ) from error
    return StatedRules(rules=rules, by=newest.who, at=newest.at)


def _row(key: Key, detail: Mapping[str, Any], *, by: str, at: datetime) -> dict[str, Any]:
    rules = msgspec.json.encode(detail["rules"], order="sorted").decode()
    told = {"version": detail["version"], "rules": rules, "stated_by": by, "stated_at": at}
    return {"app_group_id": key[0], "template_id": key[1], **told}


def _of(key: Key) -> Any:
    return (template_rules.c.app_group_id == key[0]) & (template_rules.c.template_id == key[1])


def _key(entry: AuditEntry) -> Key:
    return entry.detail.get("app_group", ""), entry.detail.get("template", "")
