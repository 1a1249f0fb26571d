"""The commands about nights, and about the trail of what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from optinb.cli.common import (
    MINUTES,
    ListedRows,
    date_option,
    main,
    on_workspace,
    prints,
    rehearsable,
    tell_times_of,
    workspace_option,
)
from optinb.errors import UsageError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from optinb.workspace import Workspace


@main.command()
@date_option("today")
@click.option("--dry-run", is_flag=True, help="Count and report, but freeze and send nothing.")
@rehearsable("demo-scheduler")
@workspace_option
@prints
def nightly(run_date: date | None, dry_run: bool, workspace: Path | None) -> Any:
    """Run the night: import, model, templates, audiences, sends, report."""
    from optinb.notebook import run_night

    summary = run_night(workspace, run_date, dry_run=dry_run)
    tell_times_of(workspace)
    return summary


@main.command()
@date_option("every night that has some")
@on_workspace
def reconcile(ws: Workspace, run_date: date | None) -> Any:
    """Ask Appboy who received the deliveries that are unknown; nothing is sent.

    What it has said something about is asked again only with the date of its night.
    """
    return ws.sends.reconcile(run_date)


@main.command()
@date_option("every night of the last two weeks")
@click.option("--minutes", type=MINUTES, help="How long it may ask; [confirm] minutes when left out.")
@click.option("--seen", metavar="NAME", help="Ask nothing: say that you have seen the alarm about this template.")
@click.option("--comment", default="", help="With --seen: what you say to it, for the audit trail.")
@rehearsable("demo-scheduler")
@workspace_option
@prints
def confirm(
    run_date: date | None, minutes: float | None, seen: str | None, comment: str, workspace: Path | None
) -> Any:
    """Ask Appboy what became of the messages that it accepted; nothing is sent.

    Who got a message, and who was filtered and why, counts from then on. Exit code 6: a template is set so that most of
    its messages reach nobody. --seen ends that for the template's nights up to now; a later one alarms again.
    """
    from optinb.workspace import open_workspace

    if seen is not None and (run_date is not None or minutes is not None):
        raise UsageError("--seen asks Appboy nothing, so leave --date and --minutes out")
    if seen is None and comment:
        raise UsageError("--comment goes with --seen only; there is nothing else to comment on")
    with open_workspace(workspace) as ws:
        done = (
            ws.confirming.confirm(run_date, minutes=minutes)
            if seen is None
            else ws.confirming.seen(seen, comment=comment)
        )
    tell_times_of(workspace)
    return done


@main.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be rebuilt.")
@on_workspace
def recover(ws: Workspace, dry_run: bool) -> Any:
    """Rebuild what a database that was put back has forgotten of sends; approvers only, but for --dry-run."""
    return ws.recover(dry_run=dry_run)


@main.command()
@on_workspace
def status(ws: Workspace) -> Any:
    """Show what is published, what waits, and what ran."""
    return ws.status()


@main.command()
@click.argument("customer")
@date_option("the newest night that ran")
@on_workspace
def why(ws: Workspace, customer: str, run_date: date | None) -> Any:
    """Say why CUSTOMER did or did not get a message."""
    return ws.why(customer, run_date=run_date)


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
