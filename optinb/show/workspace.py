"""Workspaces and their audit trail, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.show.pages import page
from optinb.show.registry import Shown

if TYPE_CHECKING:
    from optinb.base.workspace_folder import NewWorkspace
    from optinb.store import AuditVerdict
    from optinb.workspace import Workspace


def new_workspace_text(value: NewWorkspace) -> str:
    """Where everything of a new workspace is, and what to do next."""
    return "\n".join(
        [
            f"a new workspace: {value.folder}",
            f"  settings  {value.settings}",
            f"  inbox     {value.inbox}",
            "Next: say in the settings who approves, and which app groups there are; have the first delivery put into",
            f"inbox/DATE; `optinb doctor --workspace {value.folder}` then says what is still missing.",
        ]
    )


def audit_text(value: AuditVerdict) -> str:
    """Whether the audit trail is whole."""
    verdict = value.problem or "whole, and it holds every approval that campaigns have"
    lines = [f"the audit trail is {verdict}", f"  {value.entries:,} entries, the last with the hash {value.head}"]
    return "\n".join([*lines, *(f"  {broken}" for broken in value.breaks)])


def workspace(ws: Workspace) -> str:
    """Where one works, and as whom."""
    snapshot = ws.snapshot() if ws.warehouse.current is not None else None
    return page("workspace.html.j2", ws=ws, snapshot=snapshot)


SHOWN = (
    Shown("optinb.base.workspace_folder.NewWorkspace", text=new_workspace_text),
    Shown("optinb.store.audit.AuditVerdict", text=audit_text),
    Shown("optinb.workspace.Workspace", html=workspace),
)
