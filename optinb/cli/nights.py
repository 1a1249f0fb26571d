"""The commands about nights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import (
    date_option,
    main,
    on_workspace,
    prints,
    rehearsable,
    tell_times_of,
    workspace_option,
)

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
