"""A workspace as it was on a past night, to read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from optinb.errors import UsageError
from optinb.workspace.data import Reading
from optinb.workspace.groups import Groups

if TYPE_CHECKING:
    from optinb.delivery import ContactHistory
    from optinb.rules import Rule
    from optinb.state import GroupRecord, Store
    from optinb.warehouse import Snapshot
    from optinb.workspace.handle import Workspace


class PastGroups(Groups):
    """The saved groups, to be counted on a past night."""

    def __init__(self, past: PastWorkspace) -> None:
        super().__init__(cast("Workspace", past))

    def save(self, name: str, rule: Rule | str) -> GroupRecord:
        """Refused: what is saved is today's."""
        raise UsageError(f"the past can't be changed; save the group {name!r} with ws.groups.save(...)")


class PastWorkspace(Reading):
    """A workspace as it was: `ws.as_of("2026-11-20")`. It reads that night's version; close it, or use it with `with`.

    Target groups are today's saved ones, counted on the tables of then.
    """

    def __init__(self, workspace: Workspace, snapshot: Snapshot) -> None:
        self._workspace = workspace
        self._snapshot = snapshot
        self.settings = workspace.settings
        self.groups = PastGroups(self)
        self.lists = workspace.lists

    def __repr__(self) -> str:
        return f"{self._workspace!r} as of {self._snapshot.import_date} (version {self._snapshot.version})"

    @property
    def store(self) -> Store:
        """Where the groups are saved."""
        return self._workspace.store

    @property
    def contacts(self) -> ContactHistory:
        """What campaigns did with customers; a rule looks at what was before its run date."""
        return self._workspace.contacts

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
