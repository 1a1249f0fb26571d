"""The commands about the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from optinb.cli.common import ListedRows, main, on_workspace

if TYPE_CHECKING:
    from optinb.workspace import Workspace


@main.group()
def audit() -> None:
    """Who did what, when; each entry is chained to the one before by its hash."""


@audit.command("list")
@click.option("--subject", metavar="NAME", help="Only of this campaign, group or night.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@on_workspace
def audit_list(ws: Workspace, subject: str | None, limit: int) -> Any:
    """Show the newest entries."""
    entries = ws.store.audit.list(subject=subject, limit=limit)
    return ListedRows(
        rows=tuple(
            {
                "seq": e.seq,
                "at": e.at,
                "who": e.who,
                "action": e.action,
                "subject": e.subject,
                "detail": msgspec.json.encode(e.detail).decode()[:200],
            }
            for e in entries
        ),
        empty=f"nothing was done to {subject!r} yet" if subject else "nothing was done yet",
    )


@audit.command("verify")
@on_workspace
def audit_verify(ws: Workspace) -> Any:
    """Follow the chain, and compare it with what each night has noted of it; exit code 1 when it's broken."""
    return ws.checkpoints.verify()
