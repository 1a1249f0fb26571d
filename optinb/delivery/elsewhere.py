"""Where a night's frozen audience lies, when several machines share a state store and the file isn't on this one."""

from __future__ import annotations

from pathlib import Path
from socket import gethostname

from optinb.delivery.journal import PLANNED, FrozenAudience, Store
from optinb.errors import StateError


def place_of(path: Path) -> dict[str, str]:
    """The machine and the folder of a file that was written here, for the audit trail."""
    return {"machine": gethostname(), "folder": str(path.parent.absolute())}


def must_be_here(store: Store, audience: FrozenAudience, root: Path) -> None:
    """Refuses a frozen audience that another machine has written and this one can't see. Raises StateError."""
    path = root / audience.path
    if path.is_file():
        return
    night = audience.run_date.isoformat()
    written = (
        entry.detail.get("place") or {}
        for entry in store.audit.list(subject=audience.campaign_name)
        if entry.action == PLANNED and entry.detail.get("run_date") == night
    )
    place = next(written, {})
    if place and place != place_of(path):
        raise StateError(
            f"the frozen audience of {audience.campaign_name!r} for {night} was written on {place['machine']}, in "
            f"{place['folder']}, and isn't at {path} on {gethostname()}: work on this night there, let both machines "
            f"share the folder {root / 'audiences'} (mounted or linked), or copy the file; its SHA-256 is checked"
        )
