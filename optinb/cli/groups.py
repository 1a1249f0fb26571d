"""The commands about target groups and lists of customers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import Listing, column_options, date_option, main, on_workspace, rehearsable
from optinb.cli.completing import names_of
from optinb.errors import UsageError
from optinb.segments.vendor_control import without_list

if TYPE_CHECKING:
    from datetime import date

    from optinb.cli.common import Decorator
    from optinb.workspace import Workspace

group_argument: Decorator = click.argument("name", shell_complete=names_of("group"))


@main.command()
@date_option("the newest that told anything")
@click.option("--look", is_flag=True, help="Look at everybody now, as each night does.")
@click.option("--save", nargs=2, metavar="KEY NAME", help="Save the group with this key as the target group NAME.")
@click.option("--dismiss", metavar="KEY", help="Never tell this again, nor the same of nearly the same customers.")
@click.option("--restore", metavar="KEY", help="Take it back that this was dismissed.")
@rehearsable("demo-author")
@on_workspace
def news(
    ws: Workspace,
    run_date: date | None,
    look: bool,
    save: tuple[str, str] | None,
    dismiss: str | None,
    restore: str | None,
) -> Any:
    """Show what changed and whom to look at: at most seven groups a night, each with its evidence and a KEY."""
    if sum((look, save is not None, dismiss is not None, restore is not None)) > 1:
        raise UsageError("--look, --save, --dismiss and --restore each do something else: give one of them")
    if run_date is not None and (save or dismiss or restore):
        raise UsageError("--date is of what is shown: leave it out with --save, --dismiss and --restore")
    if save is not None:
        return ws.news.save(*save)
    if dismiss is not None:
        return ws.news.dismiss(dismiss)
    if restore is not None:
        return ws.news.restore(restore)
    return ws.news.look(run_date) if look else ws.news.of(run_date)


@main.group()
def groups() -> None:
    """Target groups: saved rules."""


@groups.command("list")
@on_workspace
def groups_list(ws: Workspace) -> Any:
    """Show every group."""
    return Listing(
        items=tuple(ws.groups.list()),
        kind="target group",
        empty="no target group is saved yet; `optinb groups save NAME RULE` saves one, `optinb discover` finds some",
    )


@groups.command("show")
@group_argument
@on_workspace
def groups_show(ws: Workspace, name: str) -> Any:
    """Show one group."""
    return ws.groups.get(name)


@groups.command("save")
@group_argument
@click.argument("rule")
@on_workspace
def groups_save(ws: Workspace, name: str, rule: str) -> Any:
    """Save a RULE such as 'attr("country") == "DE"' under NAME."""
    from optinb.rules import parse

    return ws.groups.save(name, parse(rule))


@groups.command("count")
@group_argument
@date_option("the published delivery's")
@on_workspace
def groups_count(ws: Workspace, name: str, run_date: date | None) -> Any:
    """Count a group (or a rule) exactly."""
    return ws.groups.count(name, run_date=run_date)


@groups.command("history")
@group_argument
@on_workspace
def groups_history(ws: Workspace, name: str) -> Any:
    """Show a group night by night: size, who came and went, value, spend, and when its size was unusual."""
    return ws.groups.history(name)


@groups.command("why")
@group_argument
@click.argument("customer_id")
@on_workspace
def groups_why(ws: Workspace, name: str, customer_id: str) -> Any:
    """Say why a customer belongs to a group (or a rule) or doesn't, part by part."""
    return ws.why_member(customer_id, name)


@groups.command("export")
@group_argument
@click.option("--file", required=True, type=click.Path(path_type=Path), help="Where the CSV is written.")
@on_workspace
def groups_export(ws: Workspace, name: str, file: Path) -> Any:
    """Write the ids of a group's (or a rule's) customers to a CSV file; the audit trail keeps who did."""
    return ws.groups.export(name, file=file)


@main.group()
def lists() -> None:
    """Uploaded lists of customers, for in_list(...)."""


@lists.command("list")
@on_workspace
def lists_list(ws: Workspace) -> Any:
    """Show the newest version of every list, and what is uploaded of Appboy's Global Control Group."""
    return Listing(
        items=(*ws.lists.list(), *ws.vendor_control.list()),
        kind="list",
        empty="no list is saved yet; `optinb lists save NAME FILE` saves the customer ids in a file",
    )


@lists.command("show")
@click.argument("name")
@on_workspace
def lists_show(ws: Workspace, name: str) -> Any:
    """Show one list."""
    return ws.lists.get(name)


@lists.command("save")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@column_options
@on_workspace
def lists_save(ws: Workspace, name: str, file: Path, column: str | None, header: bool | None) -> Any:
    """Save the customer ids in FILE under NAME: an id a line, or CSV, NDJSON or Parquet with a column customer_id."""
    return ws.lists.save(name, file, column=column, header=header)


@lists.command("vendor-control")
@click.option("--app-group", metavar="NAME", required=True, shell_complete=names_of("app group"), help="Whose it is.")
@click.option("--file", type=click.Path(path_type=Path), help="The members' external user ids, which replace the list.")
@click.option("--remove", is_flag=True, help="Remove the list, as when Appboy's group was switched off.")
@column_options
@on_workspace
def lists_vendor_control(
    ws: Workspace, app_group: str, file: Path | None, remove: bool, column: str | None, header: bool | None
) -> Any:
    """Upload the members of Appboy's Global Control Group, to whom it sends nothing; without a file, show them."""
    if file is not None and remove:
        raise UsageError("--file replaces the list and --remove takes it away; choose one of them")
    if file is not None:
        return ws.vendor_control.save(app_group, file, column=column, header=header)
    if remove:
        ws.vendor_control.remove(app_group)
    there = ws.vendor_control.of(app_group)
    name = ws.settings.app_group(app_group).name
    return Listing(items=() if there is None else (there,), kind="list", empty=without_list(name))


@main.command()
@click.argument("target")
@click.option(
    "--within", metavar="GROUP", shell_complete=names_of("group"), help="Only customers of this saved group (or rule)."
)
@click.option("--exclude", metavar="ATTRIBUTE", multiple=True, help="Leave this attribute out; may be repeated.")
@click.option("--overlapping", is_flag=True, help="Let groups overlap, each measured on everybody.")
@on_workspace
def discover(ws: Workspace, target: str, within: str | None, exclude: tuple[str, ...], overlapping: bool) -> Any:
    """Find groups in which TARGET (an attribute, a saved group or a rule) is high, as rules."""
    return ws.discover(target, within=within, exclude=exclude, overlapping=overlapping)
