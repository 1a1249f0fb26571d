"""The commands about what came of campaigns: what Appboy counted, what they brought, and whom they moved."""

from __future__ import annotations

from pathlib import Path
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
@click.option("--event", help="The name of an event that is counted, too, such as app_open.")
@click.option("--parts", is_flag=True, help="Look at it by platform, stage and micro-segment, too (exploratory).")
@rehearsable("demo-author")
@on_workspace
def results(ws: Workspace, name: str | None, night: date | None, event: str | None, parts: bool) -> Any:
    """Show what the campaign NAME brought, against its control group, or all of them."""
    if name is None:
        if night or event or parts:
            raise UsageError("--night, --event and --parts are of one campaign: give its NAME, too")
        return ws.results()
    return ws.results(name, night=night, event=event, parts=parts)


@main.command()
@click.option("--since", type=DAY, help="The first day; 90 days before the last one when left out.")
@click.option("--until", type=DAY, help="The last day; the last one that the tables tell of when left out.")
@click.option(
    "--page", type=click.Path(dir_okay=False, path_type=Path), help="Writes it as a page to print (HTML, one A4 sheet)."
)
@rehearsable("demo-author")
@on_workspace
def programme(ws: Workspace, since: date | None, until: date | None, page: Path | None) -> Any:
    """Show what all campaigns together brought, against the lasting control group."""
    found = ws.programme(since=since, until=until)
    if page is not None:
        from optinb.show.programme_page import render_programme

        page.write_text(render_programme(found, zone=ws.settings.zone), encoding="utf-8")
    return found


@main.command()
@click.argument("name", shell_complete=names_of("campaign"))
@click.option("--save", metavar="LIST", help="Save those whom it moves most as a list, for rules: in_list(...).")
@click.option("--share", type=float, default=0.5, show_default=True, help="With --save: of all customers, 0 to 1.")
@click.option(
    "--publish", is_flag=True, help="Make it an attribute for rules, uplift(NAME), which each night scores anew."
)
@click.option("--withdraw", is_flag=True, help="Take that attribute away again.")
@rehearsable("demo-author")
@on_workspace
def uplift(ws: Workspace, name: str, save: str | None, share: float, publish: bool, withdraw: bool) -> Any:
    """Show whether customers can be told whom the campaign NAME moves, once it is final.

    Who is where in the ranking is told in notebooks: ws.uplift(NAME).ranking.
    """
    from msgspec.structs import replace

    if sum((save is not None, publish, withdraw)) > 1:
        raise UsageError("--save, --publish and --withdraw each say what becomes of the ranking: give one of them")
    if withdraw:
        withdrawn = ws.uplifts.withdraw(name)
        click.echo(f"withdrawn: rules that ask for {withdrawn.attribute!r} are refused from now on", err=True)
        return withdrawn
    if publish:
        return ws.uplifts.publish(name)
    found = ws.uplift(name)
    return ws.lists.save(save, found.best(share)) if save else replace(found, ranking=None, model=None)
