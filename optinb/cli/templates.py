"""The commands about app groups and their templates: whether all is well with them, and what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import app_group_option, main, on_workspace, rehearsable
from optinb.cli.completing import names_of
from optinb.errors import UsageError

if TYPE_CHECKING:
    from optinb.cli.common import Decorator
    from optinb.workspace import Workspace

template_argument: Decorator = click.argument("name", shell_complete=names_of("template"))
template_group_option: Decorator = click.option(
    "--app-group",
    metavar="NAME",
    shell_complete=names_of("app group"),
    help="Its app group, where several have a template of this name.",
)


@main.command()
@app_group_option
@rehearsable("demo-author")
@on_workspace
def doctor(ws: Workspace, app_group: str | None) -> Any:
    """Check this machine, and address, credential, permissions and clock of the app groups; change nothing.

    Exit code 1 where something is bad.
    """
    return ws.doctor(app_group)


@main.group()
def templates() -> None:
    """The API-triggered push campaigns of the app groups."""


@templates.command("sync")
@app_group_option
@rehearsable("demo-author")
@on_workspace
def templates_sync(ws: Workspace, app_group: str | None) -> Any:
    """Import the templates from Appboy."""
    synced = ws.templates.sync(app_group)
    failed = [s for s in synced if s.problem]
    if failed and len(failed) == len(synced):
        from optinb.errors import AppboyError

        raise AppboyError("; ".join(f"{s.app_group}: {s.problem}" for s in failed))
    return synced


@templates.command("list")
@app_group_option
@on_workspace
def templates_list(ws: Workspace, app_group: str | None) -> Any:
    """Show the templates, why some can't be used, and what became of them since last night."""
    return ws.templates.listing(app_group)


@templates.command("show")
@template_argument
@template_group_option
@on_workspace
def templates_show(ws: Workspace, name: str, app_group: str | None) -> Any:
    """Show a template, and what is stated of it that Appboy's API doesn't tell."""
    return ws.templates.standing(name, app_group)


@templates.command("set")
@template_argument
@template_group_option
@click.option("--again", metavar="WHEN", help="When customers may get it again: 'after 1 day', never, or 'any time'.")
@click.option("--cap", "caps", multiple=True, metavar="CAP", help="A frequency cap such as '1 a day', or none.")
@click.option("--speed", metavar="NUMBER", help="The delivery speed limit in messages a minute, or none.")
@click.option("--max-users", metavar="NUMBER", help="The most customers whom it is sent to, or none.")
@click.option("--quiet-hours", metavar="HOURS", help="Such as '22:00 to 08:00', with ', drop' if it drops; or none.")
@click.option("--segment", metavar="WORDS", help="Whom it targets, in a few words; or all.")
@click.option("--withdraw", is_flag=True, help="Take back all that is stated of it.")
@on_workspace
def templates_set(
    ws: Workspace,
    name: str,
    app_group: str | None,
    again: str | None,
    caps: tuple[str, ...],
    speed: str | None,
    max_users: str | None,
    quiet_hours: str | None,
    segment: str | None,
    withdraw: bool,
) -> Any:
    """State what Appboy's dashboard has set for the template NAME; what isn't given stays as it was stated.

    Approved campaigns that use it are held until they are approved again; it says which.
    """
    from optinb.appboy.template_rules import rules_from

    texts = {
        "again_after_s": again,
        "caps": ", ".join(caps),
        "messages_a_minute": speed,
        "max_users": max_users,
        "quiet_hours": quiet_hours,
        "segment": segment,
    }
    options = {"--again": (again,), "--cap": caps, "--speed": (speed,), "--max-users": (max_users,),
               "--quiet-hours": (quiet_hours,), "--segment": (segment,)}  # fmt: skip
    for option, given in options.items():
        if any(text is not None and not text.strip() for text in given):
            raise UsageError(f"{option} says nothing; write what the dashboard has set, or leave {option} out")
    changes = rules_from(texts)
    if bool(changes) == withdraw:
        raise UsageError(
            "say what the dashboard has set for the template, such as --again 'after 1 day', or take all of it back "
            "with --withdraw alone"
        )
    template = ws.templates.find(name, app_group)
    if withdraw:
        ws.templates.withdraw_rules(template.app_group_id, template.id)
    else:
        ws.templates.set_rules(template.app_group_id, template.id, changes)
    return ws.templates.standing(template.id, template.app_group_id)
