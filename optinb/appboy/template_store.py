"""Templates as they were last seen in Appboy. One that vanished stays, unusable, so that its campaigns can say why."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from optinb.appboy.template_changes import TemplateChange, TemplateNews, template_changes
from optinb.appboy.templates import Template
from optinb.errors import CampaignError, did_you_mean
from optinb.store import Database, audit
from optinb.store.schema import audit_entries, templates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

VANISHED = "no longer in Appboy"
SYNCED = "templates synced"


class TemplateSync(Struct, frozen=True, kw_only=True):
    """What an import of templates found: what happened to them since the one before, and how many are there now."""

    changes: tuple[TemplateChange, ...]
    usable: int
    unusable: int


class TemplateStore:
    """The templates of every app group, by app group id and template id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sync(
        self, app_group_id: str, found: Sequence[Template], *, now: datetime, user: str = "optinb"
    ) -> TemplateSync:
        """Stores what Appboy has now for an app group; `found` must be all of it.

        The audit trail keeps a seal of each template that changed, by which `why_unlike_imported` tells a forged one.
        """
        with self._database.writing() as con:
            rows = con.execute(select(templates).where(templates.c.app_group_id == app_group_id)).all()
            known = {row.id: row for row in rows}
            there = {template.id: template for template in found}
            gone = [_vanished(_decode(row.body)) for row in rows if row.in_appboy and row.id not in there]
            changes: list[TemplateChange] = []
            before, seals = _seals(con, app_group_id), {}
            if not before:  # only an earlier release has imported: what had vanished by then gets its seal now
                seals = {row.id: _seal(row.body) for row in rows if not row.in_appboy and row.id not in there}
            for template in [*there.values(), *gone]:
                row = known.get(template.id)
                happened = template_changes(None if row is None else _decode(row.body), template)
                changes.extend(happened)
                values = {
                    "name": template.name,
                    "in_appboy": template.id in there,
                    "body": (body := msgspec.json.encode(template, order="sorted").decode()),
                    "synced_at": now,
                } | ({"changed_at": now} if happened else {})
                if before.get(template.id) != (seal := _seal(body)):
                    seals[template.id] = seal
                if row is None:
                    con.execute(insert(templates).values(app_group_id=app_group_id, id=template.id, **values))
                    continue
                con.execute(
                    update(templates)
                    .where(templates.c.app_group_id == app_group_id, templates.c.id == template.id)
                    .values(values)
                )
            result = TemplateSync(
                changes=tuple(changes),
                usable=sum(template.usable for template in there.values()),
                unusable=sum(not template.usable for template in there.values()),
            )
            if changes or seals:
                audit.record(con, who=user, action=SYNCED, subject=app_group_id, now=now, found=result, seals=seals)
        return result

    def changes(self, *, since: datetime) -> tuple[TemplateNews, ...]:
        """What imports saw happen to templates since a moment, the newest first; app groups by id."""
        with self._database.reading() as con:
            imports = audit.entries_of(con, action=SYNCED, since=since)
        return tuple(
            TemplateNews(at=entry.at, app_group=entry.subject, change=msgspec.convert(raw, TemplateChange))
            for entry in imports
            # an import of an earlier release has no list of changes
            for raw in entry.detail.get("found", {}).get("changes", ())
        )

    def list(self, app_group_id: str | None = None) -> tuple[Template, ...]:
        """The templates of one app group or of all, by name; those that can't be used say why in `problems`."""
        query = select(templates.c.body).order_by(templates.c.name, templates.c.id)
        if app_group_id is not None:
            query = query.where(templates.c.app_group_id == app_group_id)
        with self._database.reading() as con:
            return tuple(_decode(body) for body in con.execute(query).scalars())

    def names(self, app_group_id: str | None = None) -> dict[str, str]:
        """The names of the templates of one app group or of all, by their ids."""
        query = select(templates.c.id, templates.c.name)
        if app_group_id is not None:
            query = query.where(templates.c.app_group_id == app_group_id)
        with self._database.reading() as con:
            return {row.id: row.name for row in con.execute(query)}

    def imported(self, app_group_id: str) -> dict[str, Template]:
        """The templates of an app group, by id, that are stored as the audit trail says that they were imported."""
        with self._database.reading() as con:
            seals = _seals(con, app_group_id)
            rows = con.execute(select(templates.c.id, templates.c.body).where(templates.c.app_group_id == app_group_id))
            return {row.id: _decode(row.body) for row in rows if seals.get(row.id) == _seal(row.body)}

    def why_unlike_imported(self, template: Template) -> str | None:
        """Why what is stored of a template isn't what its last import brought, or None.

        Of an app group of which only an earlier release has imported templates, the trail doesn't say.
        """
        with self._database.reading() as con:
            seals = _seals(con, template.app_group_id)
            those = (templates.c.app_group_id == template.app_group_id) & (templates.c.id == template.id)
            body = con.execute(select(templates.c.body).where(those)).scalar()
        if not seals or (body is not None and seals.get(template.id) == _seal(body)):
            return None
        return (
            f"what is stored of the template {template.name!r} isn't what its last import from Appboy brought, so that "
            "somebody else than optinb wrote it; import it again with `optinb templates sync`, and see who can write "
            "to the database"
        )

    def get(self, app_group_id: str, name_or_id: str) -> Template:
        """A template of an app group, by id or by name; it may be one that can't be used.

        Where several share a name, the usable one is meant, if there is just one. Raises CampaignError otherwise, and
        with the nearest usable name when it isn't known.
        """
        known = self.list(app_group_id)
        for template in known:
            if template.id == name_or_id:
                return template
        same = [template for template in known if template.name == name_or_id]
        meant = [template for template in same if template.usable] or same
        if len(meant) == 1:
            return meant[0]
        if meant:
            ids = ", ".join(template.id for template in meant)
            raise CampaignError(
                f"{len(meant)} templates are named {name_or_id!r} ({ids}); name it by its id, or rename one in Appboy"
            )
        usable = [template.name for template in known if template.usable]
        tail = did_you_mean(name_or_id, usable) if usable else "; import them with `optinb templates sync`"
        raise CampaignError(f"template {name_or_id!r} isn't known in this app group{tail}")


def _vanished(template: Template) -> Template:
    # Without `last_edited` its details are read anew, should it come back.
    problems = (*template.problems, VANISHED)
    return msgspec.structs.replace(template, usable=False, problems=problems, last_edited=None, vanished=True)


def _seals(con: Connection, app_group_id: str) -> dict[str, str]:
    """What the audit trail says of the templates of an app group, as each was imported last, by id."""
    mine = (audit_entries.c.action == SYNCED) & (audit_entries.c.subject == app_group_id)
    found: dict[str, str] = {}
    for entry in audit.entries_since(con, 0, mine):
        found |= entry.detail.get("seals") or {}
    return found


def _seal(body: str) -> str:
    """SHA-256 over what is stored of a template but when it was edited, which decides only when it is read again."""
    content = {k: v for k, v in msgspec.json.decode(body).items() if k not in ("last_edited", "updated_at")}
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _decode(body: str) -> Template:
    return msgspec.json.decode(body, type=Template)
