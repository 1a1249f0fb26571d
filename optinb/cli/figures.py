"""The commands about what Appboy counted of campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import main, on_workspace, rehearsable
from optinb.cli.completing import names_of

if TYPE_CHECKING:
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
