"""Which attributes of customers matter to somebody: what saved groups read, and what campaigns show."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from optinb.errors import OptinbError
from optinb.rules import attributes_of, from_json

if TYPE_CHECKING:
    from optinb.workspace.handle import Workspace


def attributes_used(ws: Workspace) -> frozenset[str]:
    """The attributes that saved groups and campaigns use, which the gates of a delivery watch.

    A workspace that has no state yet has neither, and none is made.
    """
    if ws.settings.workspace.state is None and not (ws.root / "state.sqlite").exists():
        return frozenset()
    found: set[str] = set()
    for group in ws.groups.list():
        # A rule that can't be read any more, which says so where it is used, stops no import.
        with suppress(OptinbError):
            found |= attributes_of(from_json(group.rule_json))
    for record in ws.campaigns.list():
        found |= {source.attribute for source in record.campaign.properties.values() if source.attribute}
    return frozenset(found)
