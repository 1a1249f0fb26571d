"""Discovery on a workspace: names become rules, and whoever waits sees how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.engine import kinds
from optinb.errors import RuleError, did_you_mean
from optinb.progress import progress

if TYPE_CHECKING:
    from optinb.progress import Listener
    from optinb.rules import Rule
    from optinb.segments.discovery import Discovery
    from optinb.workspace.data import Reading


def run_discovery(
    ws: Reading,
    target: Rule | str,
    within: Rule | str | None,
    *,
    tell: Listener | None = None,
    **options: Any,
) -> Discovery:
    """Discovers groups on the version of the tables that is read; `options` are those of `segments.discovery`.

    Without `tell`, a bar shows how far it is.
    """
    # scipy takes a while to import, and most who open a workspace discover nothing
    from optinb.segments.discovery import discover

    wanted = _target(ws, target)
    among = None if within is None else ws.groups.bound(within)
    with progress("discover", tell=tell) as step:
        return discover(ws.tables(), wanted, within=among, tell=step, **options)


def _target(ws: Reading, target: Rule | str) -> Rule | str:
    """An attribute by its name; else the rule, or that of a group's name or a text. Raises RuleError."""
    if not isinstance(target, str):
        return ws.groups.bound(target)
    attributes = kinds(ws.tables().customer_schema)
    if target in attributes:
        return target
    try:
        return ws.groups.bound(target)
    except RuleError as error:
        if not target.isidentifier():
            raise
        if target in ws.tables().untold:
            raise RuleError(f"no model tells {target!r}: {ws.tables().untold[target]}") from error
        groups = [group.name for group in ws.groups.list()]
        known = did_you_mean(target, [*attributes, *groups])
        raise RuleError(f"the target {target!r} is neither an attribute nor a saved group{known}") from error
