"""The commands about campaigns, saved offers, and the promotion codes of offers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import (
    DAY,
    ListedRows,
    Listing,
    column_options,
    date_option,
    main,
    on_workspace,
)
from optinb.cli.completing import names_of
from optinb.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from optinb.cli.common import Decorator
    from optinb.planning import CampaignPreview
    from optinb.workspace import Workspace

campaign_argument: Decorator = click.argument("name", shell_complete=names_of("campaign"))
offer_argument: Decorator = click.argument("name", shell_complete=names_of("offer"))
file_option: Decorator = click.option("--file", required=True, type=click.Path(path_type=Path), help="A campaign.toml.")
comment_option: Decorator = click.option("--comment", default="", help="Why.")


@main.group()
def campaigns() -> None:
    """Campaigns: plan, approve, cancel."""


@campaigns.command("list")
@click.option("--archived", is_flag=True, help="Those that were archived too.")
@on_workspace
def campaigns_list(ws: Workspace, archived: bool) -> Any:
    """Show every campaign."""
    return Listing(
        items=tuple(ws.campaigns.list(archived=archived)),
        kind="campaign",
        empty="no campaign is planned; `optinb campaigns submit --file campaign.toml` plans one, and "
        "`optinb campaigns list --archived` shows those of before",
    )


@campaigns.command("show")
@campaign_argument
@on_workspace
def campaigns_show(ws: Workspace, name: str) -> Any:
    """Show one campaign with its approval, and what Appboy counted of it."""
    return ws.campaign_page(name)


@campaigns.command("preview")
@click.argument("name", required=False, shell_complete=names_of("campaign"))
@click.option("--file", "file", type=click.Path(path_type=Path), help="A campaign.toml that isn't submitted yet.")
@on_workspace
def campaigns_preview(ws: Workspace, name: str | None, file: Path | None) -> Any:
    """Show what an approval of the campaign NAME is of: who, when, what, at which cost, and against which others."""
    if (name is None) == (file is None):
        raise UsageError("give either the name of a campaign or --file")
    return ws.campaigns.preview(file or name or "", in_full=True)


@campaigns.command("submit")
@file_option
@on_workspace
def campaigns_submit(ws: Workspace, file: Path) -> Any:
    """Submit a campaign for approval."""
    return ws.campaigns.submit(file)


@campaigns.command("approve")
@campaign_argument
@click.option("--seen", metavar="FINGERPRINT", help="What you approve, as `optinb campaigns preview NAME` prints it.")
@on_workspace
def campaigns_approve(ws: Workspace, name: str, seen: str | None) -> Any:
    """Approve a submitted campaign exactly as you saw it.

    A terminal shows it and asks; elsewhere --seen says what you looked at.
    """
    return ws.campaigns.approve(name, seen=seen if seen is not None else _looked_at(ws, name))


def _looked_at(ws: Workspace, name: str) -> CampaignPreview:
    """Shows a campaign on a terminal and asks. Raises UsageError where there is none."""
    from optinb.base.printable import printable
    from optinb.show import text

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"say what you approve: `optinb campaigns preview {name!r}` shows it and prints its fingerprint, for --seen"
        )
    preview = ws.campaigns.preview(name, in_full=True)
    click.echo(printable(text(ws.campaigns.get(name))), err=True)
    click.echo(printable(text(preview)), err=True)
    click.confirm(f"Approve {name!r} exactly as shown?", abort=True, err=True)
    return preview


@campaigns.command("reject")
@campaign_argument
@click.option("--comment", default="", help="Why, for its author.")
@on_workspace
def campaigns_reject(ws: Workspace, name: str, comment: str) -> Any:
    """Reject a submitted campaign."""
    return ws.campaigns.reject(name, comment=comment)


@campaigns.command("comment")
@campaign_argument
@click.argument("text")
@on_workspace
def campaigns_comment(ws: Workspace, name: str, text: str) -> Any:
    """Say TEXT about the campaign NAME, to everybody who looks at it."""
    return ws.together.comment(name, text)


@campaigns.command("test")
@campaign_argument
@click.option("--customer", "customers", multiple=True, metavar="ID", help="Only this test customer; may be repeated.")
@on_workspace
def campaigns_test(ws: Workspace, name: str, customers: tuple[str, ...]) -> Any:
    """Send a campaign's message to the test customers (is_test) who opted in, now."""
    return ws.campaigns.test_send(name, customers=customers or None)


@campaigns.command("cancel")
@campaign_argument
@comment_option
@on_workspace
def campaigns_cancel(ws: Workspace, name: str, comment: str) -> Any:
    """Cancel a campaign: no later night sends it, and what is scheduled already is recalled.

    Exit code 1 where something is still scheduled (run it again to go on), 5 where nobody knows who of some gets it.
    """
    return ws.campaigns.cancel(name, comment=comment)


@campaigns.command("reschedule")
@campaign_argument
@click.option("--at", required=True, metavar="HH:MM", help="The later time of the same day.")
@date_option("the next")
@on_workspace
def campaigns_reschedule(ws: Workspace, name: str, at: str, run_date: date | None) -> Any:
    """Move what is scheduled of a campaign to a later time of the same day; for approvers.

    Exit code 5 where some may get it at the old time.
    """
    return ws.sends.reschedule(name, at, run_date=run_date)


@campaigns.command("draft")
@file_option
@on_workspace
def campaigns_draft(ws: Workspace, file: Path) -> Any:
    """Keep a campaign that is still being worked on."""
    return ws.campaigns.save_draft(file)


@campaigns.command("copy")
@campaign_argument
@click.argument("new_name")
@on_workspace
def campaigns_copy(ws: Workspace, name: str, new_name: str) -> Any:
    """Make a draft like the campaign NAME, under NEW_NAME."""
    return ws.campaigns.copy(name, new_name)


@campaigns.command("pause")
@campaign_argument
@comment_option
@on_workspace
def campaigns_pause(ws: Workspace, name: str, comment: str) -> Any:
    """Let a campaign rest until it's resumed; what waits to be sent is stopped."""
    return ws.campaigns.pause(name, comment=comment)


@campaigns.command("resume")
@campaign_argument
@on_workspace
def campaigns_resume(ws: Workspace, name: str) -> Any:
    """Let a paused campaign go on under its approval."""
    return ws.campaigns.resume(name)


@campaigns.command("archive")
@campaign_argument
@on_workspace
def campaigns_archive(ws: Workspace, name: str) -> Any:
    """Put a campaign that is over out of sight."""
    return ws.campaigns.archive(name)


@campaigns.command("calendar")
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How far to look.")
@on_workspace
def campaigns_calendar(ws: Workspace, days: int) -> Any:
    """Show what goes out in the coming days."""
    from optinb.show.campaigns import folded

    going = ws.campaigns.calendar(days=days)
    schedules = {record.id: record.campaign.schedule for record in ws.campaigns.list()}
    return ListedRows(
        rows=tuple({"day": g.day, "campaign": g.campaign, "at": g.at} for g in going),
        shown=folded(going, ws.settings.zone, schedules),
        empty=f"nothing goes out in the coming {days} days; a campaign does once it is approved",
    )


@campaigns.command("export")
@campaign_argument
@on_workspace
def campaigns_export(ws: Workspace, name: str) -> Any:
    """Print a campaign as a campaign.toml."""
    from optinb.campaigns import campaign_toml

    return campaign_toml(ws.campaigns.get(name).campaign)


@campaigns.command("key")
@on_workspace
def campaigns_key(ws: Workspace) -> Any:
    """Make a key pair to sign approvals with: public for [policy.keys], private for OPTINB_SIGNING_KEY."""
    from optinb.campaigns import new_key

    pair = new_key()
    return ListedRows(rows=({"user": ws.user, "public": pair.public, "private": pair.private},))


@main.group()
def offers() -> None:
    """Saved offers, which campaigns take by name."""


@offers.command("list")
@click.option("--archived", is_flag=True, help="Those that were archived too.")
@on_workspace
def offers_list(ws: Workspace, archived: bool) -> Any:
    """Show every saved offer."""
    return Listing(
        items=ws.offers.list(archived=archived),
        kind="offer",
        empty="no offer is saved yet; `optinb offers save offer.toml` saves one, and campaigns take it with "
        'offer = "ITS NAME"',
    )


@offers.command("show")
@offer_argument
@on_workspace
def offers_show(ws: Workspace, name: str) -> Any:
    """Show every version of a saved offer, the oldest first."""
    return ws.offers.versions(name)


@offers.command("save")
@click.argument("file", type=click.Path(path_type=Path))
@on_workspace
def offers_save(ws: Workspace, file: Path) -> Any:
    """Save the offer in FILE (TOML) under its name; campaigns that take it ask for a new approval when it changes."""
    return ws.offers.save(file)


@offers.command("archive")
@offer_argument
@on_workspace
def offers_archive(ws: Workspace, name: str) -> Any:
    """Put an offer out of sight, unless a campaign may still go out with it."""
    return ws.offers.archive(name)


@main.group()
def codes() -> None:
    """Pools of single-use promotion codes, for offers."""


@codes.command("import")
@click.argument("pool", shell_complete=names_of("pool"))
@click.argument("file", type=click.Path(path_type=Path))
@column_options
@on_workspace
def codes_import(ws: Workspace, pool: str, file: Path, column: str | None, header: bool | None) -> Any:
    """Add the codes in FILE, a code a line, to POOL; a code that was imported before is refused."""
    return ws.codes.add(pool, file, column=column, header=header)


@codes.command("give-back")
@click.argument("campaign", shell_complete=names_of("campaign"))
@click.option("--date", "run_date", type=DAY, required=True, help="The night's date.")
@on_workspace
def codes_give_back(ws: Workspace, campaign: str, run_date: date) -> Any:
    """Return to their pool the codes of those whose message of CAMPAIGN Appboy filtered; nobody else loses one."""
    return ws.confirming.give_back_codes(campaign, run_date)


@codes.command("list")
@on_workspace
def codes_list(ws: Workspace) -> Any:
    """Show how many codes are left in each pool."""
    return Listing(
        items=tuple(ws.codes.list()),
        kind="pool",
        empty="no promotion codes are imported yet; `optinb codes import POOL FILE` imports a file with a code a line",
    )
