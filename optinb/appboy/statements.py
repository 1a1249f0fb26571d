"""What people have stated of templates, in versions: rows are only added, and the newest of each template counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, func, insert, select

from optinb.appboy.template_rules import UNSTATED, StatedRules, TemplateRules
from optinb.errors import CampaignError, StateError
from optinb.store import Database, audit
from optinb.store.schema import template_rules

if TYPE_CHECKING:
    from datetime import datetime

    from optinb.appboy.templates import Template

STATED, WITHDRAWN = "template stated", "template withdrawn"


class Statements:
    """The rules of templates as people stated them, by app group id and template id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self, app_group_id: str, template_id: str) -> StatedRules | None:
        """What is stated of a template now; None where nobody said anything, or where it was withdrawn."""
        with self._database.reading() as con:
            _, found = _newest(con, app_group_id, template_id)
        return found if found is not None and found.rules else None

    def all(self) -> dict[tuple[str, str], StatedRules]:
        """What is stated now of every template of which something is, by app group id and template id."""
        it = template_rules.c
        last = (
            select(it.app_group_id, it.template_id, func.max(it.version).label("version"))
            .group_by(it.app_group_id, it.template_id)
            .subquery()
        )
        query = select(template_rules).join(
            last,
            (it.app_group_id == last.c.app_group_id)
            & (it.template_id == last.c.template_id)
            & (it.version == last.c.version),
        )
        with self._database.reading() as con:
            found = {
                (row.app_group_id, row.template_id): StatedRules(
                    rules=_decode(row.rules, row.template_id), by=row.stated_by, at=row.stated_at
                )
                for row in con.execute(query)
            }
        return {key: stated for key, stated in found.items() if stated.rules}

    def state(self, template: Template, changes: TemplateRules, *, user: str, now: datetime) -> StatedRules:
        """Adds to what is stated of a template; what `changes` doesn't name stays as it was stated."""
        with self._database.writing() as con:
            version, before = _newest(con, template.app_group_id, template.id)
            rules = (UNSTATED if before is None else before.rules).with_changes(changes)
            return _add(con, template, version + 1, rules, before=before, user=user, now=now)

    def withdraw(self, template: Template, *, user: str, now: datetime) -> None:
        """Takes back all that was stated of a template. Raises CampaignError where nothing is."""
        with self._database.writing() as con:
            version, before = _newest(con, template.app_group_id, template.id)
            if before is None or not before.rules:
                raise CampaignError(f"nothing is stated of the template {template.name!r} that could be taken back")
            _add(con, template, version + 1, UNSTATED, before=before, user=user, now=now)


def _add(
    con: Connection,
    template: Template,
    version: int,
    rules: TemplateRules,
    *,
    before: StatedRules | None,
    user: str,
    now: datetime,
) -> StatedRules:
    """One more version with its audit entry."""
    con.execute(
        insert(template_rules).values(
            app_group_id=template.app_group_id,
            template_id=template.id,
            version=version,
            rules=msgspec.json.encode(rules, order="sorted").decode(),
            stated_by=user,
            stated_at=now,
        )
    )
    audit.record(
        con,
        who=user,
        action=STATED if rules else WITHDRAWN,
        subject=template.name,
        now=now,
        app_group=template.app_group_id,
        template=template.id,
        version=version,
        before=None if before is None else before.rules,
        rules=rules,
    )
    return StatedRules(rules=rules, by=user, at=now)


def _newest(con: Connection, app_group_id: str, template_id: str) -> tuple[int, StatedRules | None]:
    """The newest version of a template's rules with its number; 0 and None where there is none."""
    those = (template_rules.c.app_group_id == app_group_id) & (template_rules.c.template_id == template_id)
    newest = select(template_rules).where(those).order_by(template_rules.c.version.desc()).limit(1)
    row = con.execute(newest).first()
    if row is None:
        return 0, None
    return row.version, StatedRules(rules=_decode(row.rules, template_id), by=row.stated_by, at=row.stated_at)


def _decode(text: str, template_id: str) -> TemplateRules:
    try:
        return msgspec.json.decode(text, type=TemplateRules)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"what is stored of the rules of the template {template_id} can't be read ({error}); somebody else than "
            "optinb wrote it: restore the database from a copy"
        ) from error
