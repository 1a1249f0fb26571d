"""A workspace as it was on a past night, to read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from optinb.errors import UsageError
from optinb.segments.exploration import Exploration
from optinb.segments.groups import Groups
from optinb.segments.lists import Lists

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.base.settings import Settings
    from optinb.rules import Rule
    from optinb.segments.groups import GroupStore
    from optinb.segments.tables_view import Contacts
    from optinb.store.audit import AuditTrail
    from optinb.warehouse import Snapshot


class PastGroups(Groups):
    """The groups that are saved today, to be counted on a past night."""

    def save(self, name: str, rule: Rule | str) -> NoReturn:
        """Refused: what is saved is today's."""
        raise _unchangeable(f"save the group {name!r} with ws.groups.save(...)")

    def export(self, rule_or_name: Rule | str, **_: Any) -> NoReturn:
        """Refused: who was given out is noted in today's audit trail, with the members of today."""
        raise _unchangeable("export who is in the group today with ws.groups.export(...), or read members(...) of then")


class PastLists(Lists):
    """Today's lists, to be read beside a past night."""

    def save(self, name: str, *_: Any, **__: Any) -> NoReturn:
        """Refused: what is saved is today's."""
        raise _unchangeable(f"save the list {name!r} with ws.lists.save(...)")

    def forget(self, customer_id: str) -> NoReturn:
        """Refused: whom nobody may know any more is forgotten everywhere, not on a night's lists."""
        raise _unchangeable(f"forget customer {customer_id!r} with ws.forget(...)")


class PastWorkspace(Exploration):
    """A workspace as it was: `ws.as_of("2026-11-20")`. It reads that night's version; close it, or use it with `with`.

    Target groups and lists are today's saved ones, looked at on the tables of then. Nothing can be changed through it.
    """

    def __init__(
        self, context: Context, snapshot: Snapshot, *, groups: GroupStore, audit: AuditTrail, contacts: Contacts
    ) -> None:
        self._root, self._snapshot = context.root, snapshot
        self.settings: Settings = context.settings
        self.lists = PastLists(context, audit, published=self.snapshot)
        self.groups = PastGroups(context, groups, self.lists, published=self.snapshot, tables_for=self.tables_for)
        self.contacts = contacts

    def __repr__(self) -> str:
        return f"Workspace({str(self._root)!r}) as of {self._snapshot.import_date} (version {self._snapshot.version})"

    def snapshot(self) -> Snapshot:
        """The version of that night."""
        return self._snapshot

    def close(self) -> None:
        """Gives the version back."""
        self._snapshot.close()

    def __enter__(self) -> PastWorkspace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _unchangeable(instead: str) -> UsageError:
    return UsageError(f"the past can't be changed; {instead}")
