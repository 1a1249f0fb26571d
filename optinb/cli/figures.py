"""The commands about what came of campaigns: what Appboy counted, and what they brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import DAY, main, on_workspace, rehearsable
from optinb.cli.completing import names_of
from optinb.errors import UsageError

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
@click.argument("name", required=False, shell_complete=names_of("campaign"))
@click.option("--night", type=DAY, help="The only night that is looked at; all when left out.")
@rehearsable("demo-author")
@on_workspace
def results(ws: Workspace, name: str | None, night: date | None) -> Any:
    """Show what the campaign NAME brought, against its control group, or all of them."""
    if name is None and night is None:
        return ws.results()
    if name is None:
        raise UsageError("--night is that of one campaign: give its NAME, too")
    return ws.results(name, night=night)
