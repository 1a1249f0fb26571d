"""Target groups of a workspace: saved rules, by name; a new version each time one changes, and the old ones kept."""

# Whoever names a group in a notebook is told what is wrong with it, though a checker would have known.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection, RowMapping, func, insert, select

from optinb.base.files import open_privately
from optinb.errors import CampaignError, ConflictError, OptinbError, RuleError, UsageError, did_you_mean
from optinb.rules import Node, Rule, attributes_of, expand, from_json, parse, sentence, to_json, with_lists
from optinb.segments.groups_over_time import GroupsOverTime
from optinb.store import Database, audit
from optinb.store.schema import group_versions

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.engine import Tables
    from optinb.segments.export import GroupExport
    from optinb.segments.lists import Lists
    from optinb.warehouse import Snapshot


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

    def exported(self, subject: str, *, rule_json: str, customers: int, version: int, user: str, now: datetime) -> None:
        """Notes in the audit trail who took the members of a group along, of which version of the tables."""
        with self._database.writing() as con:
            detail = {"rule": rule_json, "customers": customers, "warehouse_version": version}
            audit.record(con, who=user, action="members exported", subject=subject, now=now, **detail)

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
            return tuple(_group(row) for row in con.execute(query).mappings())

    def versions(self, name: str) -> tuple[GroupRecord, ...]:
        """Every version of a group, the oldest first; none if it isn't known."""
        query = select(group_versions).where(group_versions.c.key == name.casefold()).order_by(group_versions.c.version)
        with self._database.reading() as con:
            return tuple(_group(row) for row in con.execute(query).mappings())


def _current(con: Connection, name: str) -> GroupRecord | None:
    if not name.isprintable():
        return None  # no group has such a name, and a database may not even take it
    query = (
        select(group_versions)
        .where(group_versions.c.key == name.casefold())
        .order_by(group_versions.c.version.desc())
        .limit(1)
    )
    row = con.execute(query).mappings().first()
    return _group(row) if row else None


def _group(row: RowMapping) -> GroupRecord:
    return GroupRecord(**{name: value for name, value in row.items() if name != "key"})


class GroupSize(Struct, frozen=True, kw_only=True):
    """The exact size of a target group on a day.

    Attributes:
        name: of the saved group, or the text that it was given as; empty for a rule.
        sentence: what the rule says, in plain English.
        customers: how many belong.
        total: how many customers there are.
        run_date: the night as of which it was counted.
        warehouse_version: the number of the version that was read.
        notes: what the count can't tell, in sentences.
    """

    name: str
    sentence: str
    customers: int
    total: int
    run_date: date
    warehouse_version: int
    notes: tuple[str, ...] = ()


class Groups(GroupsOverTime):
    """`ws.groups`: save, list and count target groups, and see what became of them."""

    def __init__(
        self,
        context: Context,
        store: GroupStore,
        lists: Lists,
        *,
        published: Callable[[], Snapshot | None],
        tables_for: Callable[..., Tables],
    ) -> None:
        """Args: `published`: the version that is read, None before the first import; `tables_for` as of `Reading`."""
        super().__init__(context, get=store.get)
        self._context, self._store, self._lists = context, store, lists
        self._published, self._tables_for = published, tables_for

    def save(self, name: str, rule: Rule | str) -> GroupRecord:
        """Saves a rule under a name; a changed rule becomes a new version.

        Args:
            name: 1 to 120 printable characters; known without regard to case.
            rule: a rule, the name of another group whose rule it gets, or a rule as text.

        Raises:
            RuleError: for a name that can't be shown, and when the rule doesn't fit the data or refers to itself by way
                of other groups.
        """
        name = name.strip()
        if not name or len(name) > 120 or not name.isprintable():
            raise RuleError(f"the group's name {name[:130]!r} must have 1 to 120 printable characters")
        rule = self.rule(rule)
        bound = self._expanded(rule, name=self._known_as(name))
        if self._published() is not None:
            from optinb.segments.compile import check

            check(bound, self._tables_for(bound))
        return self._store.save(
            name, rule_json=to_json(rule), sentence=sentence(rule), user=self._context.user, now=self._context.now()
        )

    def list(self) -> tuple[GroupRecord, ...]:
        """Every saved group, by name."""
        return self._store.list()

    def get(self, name: str) -> GroupRecord:
        """One saved group.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for a group that isn't known.
        """
        return self._store.get(name)

    def rule(self, rule_or_name: Rule | str) -> Rule:
        """A rule as it is, the rule of a saved group, or the rule in a text such as `attr("country") == "DE"`.

        Args:
            rule_or_name: a rule, or a text; a saved name comes first.

        Raises:
            RuleError: for a text that is neither a name nor a rule.
        """
        if isinstance(rule_or_name, Node):
            return rule_or_name  # type: ignore[return-value]
        if not isinstance(rule_or_name, str):
            raise RuleError(f"{rule_or_name!r} is neither a rule nor the name of a group")
        try:
            saved = self.get(rule_or_name.strip())
        except CampaignError as unknown:
            try:
                return parse(rule_or_name)
            except RuleError as unreadable:
                raise RuleError(f"{unknown}; read as a rule: {unreadable}") from unreadable
        return from_json(saved.rule_json)

    def bound(self, rule_or_name: Rule | str) -> Rule:
        """A rule with the rules of the groups that it names, and the content of its lists, in their places.

        Args:
            rule_or_name: as of `rule`.

        Raises:
            RuleError: for groups that refer to each other in a circle, and for unknown lists.
            CampaignError: for unknown groups.
        """
        saved = self._known_as(rule_or_name) if isinstance(rule_or_name, str) else None
        return self._expanded(self.rule(rule_or_name), name=saved)

    def attributes(self) -> frozenset[str]:
        """The attributes of customers that saved groups read."""
        found: set[str] = set()
        for group in self.list():
            # A rule that can't be read any more says so where it is used, and stands in nobody's way here.
            with suppress(OptinbError):
                found |= attributes_of(from_json(group.rule_json))
        return frozenset(found)

    def with_lists(self, rule: Rule) -> Rule:
        """A rule with the content of its lists in place, in which groups stay named.

        Args:
            rule: one that may name lists.

        Raises:
            RuleError: for unknown lists.
        """
        return with_lists(rule, lambda name: self._lists.get(name).sha256)

    def _expanded(self, rule: Rule, *, name: str | None) -> Rule:
        return expand(
            rule,
            group=lambda other: from_json(self.get(other).rule_json),
            list_sha256=lambda other: self._lists.get(other).sha256,
            name=name,
        )

    def _known_as(self, name: str) -> str:
        """The name under which a group is saved, which is known without regard to case."""
        with suppress(CampaignError):
            return self.get(name.strip()).name
        return name

    def count(self, rule_or_name: Rule | str, *, run_date: date | None = None) -> GroupSize:
        """The exact number of customers in a group or rule.

        Args:
            rule_or_name: as of `rule`.
            run_date: the night as of which it is counted; the date of the newest delivery when left out.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
        """
        import narwhals as nw

        from optinb.segments.compile import members
        from optinb.segments.notes import notes_on

        rule, bound = self.rule(rule_or_name), self.bound(rule_or_name)
        tables = self._tables_for(bound, run_date=run_date)
        count = members(bound, tables).select(nw.len()).collect().item()
        return GroupSize(
            name=rule_or_name if isinstance(rule_or_name, str) else "",
            sentence=sentence(rule),
            customers=count,
            total=tables.customers.select(nw.len()).collect().item(),
            run_date=tables.run_date,
            warehouse_version=tables.version,
            notes=notes_on(bound, tables),
        )

    def export(self, rule_or_name: Rule | str, *, file: str | Path | None = None) -> GroupExport:
        """The ids of the customers in a group or rule as CSV; the audit trail keeps who exported whom, and when.

        Args:
            rule_or_name: as of `rule`.
            file: where they are written, for the owner alone; as the text of the result when left out.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
            UsageError: for a file that can't be written.
        """
        import polars as pl

        from optinb.segments.compile import members
        from optinb.segments.export import COLUMNS, GroupExport, csv_of

        rule, bound = self.rule(rule_or_name), self.bound(rule_or_name)
        tables = self._tables_for(bound)
        ids = members(bound, tables).collect(backend="polars").to_native()["customer_id"]
        customers = tables.customers.select(*COLUMNS).collect("polars").to_native()
        found = customers.filter(pl.col("customer_id").is_in(ids.implode())).sort("customer_id")
        named = self._known_as(rule_or_name) if isinstance(rule_or_name, str) else ""
        is_saved = named and self._is_saved(named)
        text = csv_of(found)
        self._store.exported(
            named if is_saved else "a rule",
            rule_json=to_json(bound),
            customers=found.height,
            version=tables.version,
            user=self._context.user,
            now=self._context.now(),
        )
        if file is not None:  # nothing leaves before it is in the audit trail
            _write_privately(Path(file), text)
        return GroupExport(
            name=named if is_saved else sentence(rule),
            customers=found.height,
            run_date=tables.run_date,
            warehouse_version=tables.version,
            file=None if file is None else str(file),
            csv=text if file is None else None,
        )

    def _is_saved(self, name: str) -> bool:
        with suppress(CampaignError):
            return bool(self.get(name))
        return False


def _write_privately(file: Path, text: str) -> None:
    """Writes a file for its owner alone. Raises UsageError where that can't be done."""
    try:
        with open_privately(file, "wb") as opened:
            opened.write(text.encode())
    except OSError as error:
        raise UsageError(f"{file} can't be written ({error.strerror}); choose another file") from error
