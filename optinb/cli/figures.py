"""The commands about what came of campaigns: what Appboy counted, and what they brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import DAY, main, on_workspace, rehearsable
from optinb.cli.completing import names_of

if TYPE_CHECKING:
    from datetime import date

    from optinb.workspace import Workspace


@main.group()
def figures() -> None:
    """What Appboy counted: messages sent, opened and bounced."""


@figures.command("read")
@rehearsable("demo-scheduler")
@on_workspace
def figures_read(ws: Workspace) -> Any:
    """Ask Appboy for the figures of the last 14 days, as each night does.

    Exit code 1 where something couldn't be read.
    """
    return ws.reach_figures.read()


@figures.command("show")
@click.argument("name", shell_complete=names_of("campaign"))
@rehearsable("demo-author")
@on_workspace
def figures_show(ws: Workspace, name: str) -> Any:
    """Show what Appboy counted of the campaign NAME, by night, day and platform."""
    return ws.reach_figures.of(name)


@main.command()
@click.argument("name", shell_complete=names_of("campaign"))
@click.option("--night", type=DAY, help="The only night that is looked at; all when left out.")
@click.option("--event", help="The name of an event that is counted, too, such as app_open.")
@click.option("--parts", is_flag=True, help="Look at it by platform, stage and micro-segment, too (exploratory).")
@rehearsable("demo-author")
@on_workspace
def results(ws: Workspace, name: str, night: date | None, event: str | None, parts: bool) -> Any:
    """Show what the campaign NAME brought, against its control group."""
    return ws.results(name, night=night, event=event, parts=parts)
