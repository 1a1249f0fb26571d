"""The commands: a thin face over the workspace."""

from __future__ import annotations

import sys
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from optinb import __version__, logs
from optinb.errors import OptinbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.workspace import Workspace


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A table with a row for each of `rows`, all of the same columns."""

    rows: tuple[dict[str, Any], ...]


class Day(click.ParamType):
    """A date on the command line."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Reads YYYY-MM-DD."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write it as 2026-11-23", param, ctx)


DAY = Day()


def date_option(left_out: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --date of a command that takes `left_out` where no date is given."""
    return click.option("--date", "run_date", type=DAY, help=f"The night's date; {left_out} when left out.")


workspace_option = click.option(
    "--workspace",
    "-w",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="OPTINB_WORKSPACE",
    help="The workspace folder (default: OPTINB_WORKSPACE, or data).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")


def prints(function: Callable[..., Any]) -> Callable[..., None]:
    """A command of a function that returns a value: prints it as text or JSON; errors become exit codes."""

    @json_option
    @wraps(function)
    def command(*args: Any, as_json: bool, **options: Any) -> None:
        try:
            value = function(*args, **options)
        except OptinbError as error:
            _fail(error)
        _print(value, as_json=as_json)
        if code := getattr(value, "exit_code", 0):
            sys.exit(code)

    return command


def on_workspace(function: Callable[..., Any]) -> Callable[..., None]:
    """A command whose first argument is the opened workspace."""

    @workspace_option
    @wraps(function)
    def command(*args: Any, workspace: Path | None, **options: Any) -> Any:
        from optinb.workspace import open_workspace

        with open_workspace(workspace) as ws:
            return function(ws, *args, **options)

    return prints(command)


def _fail(error: OptinbError) -> NoReturn:
    click.echo(f"optinb: {error}", err=True)
    sys.exit(error.exit_code)


def _print(value: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(value, enc_hook=_plain).decode())
    elif value is not None:
        from optinb.console import records, show

        click.echo(records(value.rows) if isinstance(value, Rows) else show(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From customer tables to approved push campaigns, scheduled with Appboy.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 the data gate blocked the sends, 4 a campaign was held, 5 some
    deliveries are unknown.
    """
    logs.to_stderr()


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@prints
def init(folder: Path) -> Any:
    """Make a new workspace with commented settings."""
    from optinb.workspace.setup import init_workspace

    return init_workspace(folder)


@main.command("import")
@date_option("today")
@click.option("--accept-anyway", metavar="REASON", help="Publish although a gate fails; who and why is recorded.")
@on_workspace
def import_(ws: Workspace, run_date: date | None, accept_anyway: str | None) -> Any:
    """Check and publish the delivery inbox/DATE."""
    return ws.import_delivery(run_date, accept_anyway=accept_anyway)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@date_option("the folder's name, or else today,")
@on_workspace
def check(ws: Workspace, folder: Path, run_date: date | None) -> Any:
    """Examine FOLDER as a delivery without importing it; ends with 3 where a gate would block it."""
    return ws.check(folder, run_date=run_date)


@main.command()
@date_option("the newest examined")
@on_workspace
def quarantine(ws: Workspace, run_date: date | None) -> Any:
    """Show which rows of a delivery were not loaded, by reason, with examples."""
    return ws.quarantine(run_date)


@main.command()
@date_option("the newest")
@click.option("--since", type=DAY, help="Every night from this date on, up to --date.")
@click.option("--app-group", metavar="NAME", help="Only this app group.")
@click.option("--customer", metavar="ID", help="Why this customer can or can't be reached.")
@on_workspace
def reach(ws: Workspace, run_date: date | None, since: date | None, app_group: str | None, customer: str | None) -> Any:
    """Count who uses each app, has push enabled, and runs a version with the Appboy SDK, by night."""
    if customer is not None:
        return ws.reach_of(customer, app_group=app_group)
    rows = ws.reach(app_group=app_group, since=since, until=run_date).to_dicts()
    if not rows:
        raise UsageError("no reach is kept of that time; it is, from the first `optinb model` on")
    newest = rows[-1]["day"]
    return Rows(rows=tuple(row for row in rows if since is not None or row["day"] == newest))


@main.command()
@click.argument("attribute")
@click.option("--since", type=DAY, help="The first day.")
@click.option("--until", type=DAY, help="The last day.")
@on_workspace
def history(ws: Workspace, attribute: str, since: date | None, until: date | None) -> Any:
    """Count the customers by the values of ATTRIBUTE (such as stage or country), day by day."""
    return Rows(rows=tuple(ws.history(attribute, since=since, until=until).to_dicts()))


@main.command()
@click.argument("customer")
@date_option("today")
@on_workspace
def customer(ws: Workspace, customer: str, run_date: date | None) -> Any:
    """Show what was known of CUSTOMER on a day."""
    return ws.customer_on(customer, run_date or ws.today())


@main.command()
@date_option("the published delivery's")
@on_workspace
def model(ws: Workspace, run_date: date | None) -> Any:
    """Features, lifecycle stage and value for every customer."""
    from optinb.console import ModelReport

    made = ws.model(run_date)
    return ModelReport(
        run_date=made.card.run_date,
        warehouse_version=ws.warehouse.current,
        customers=made.card.customers,
        stages=made.stages,
        card=tuple(made.card.lines()),
    )


@main.group()
def templates() -> None:
    """The API-triggered push campaigns of the app groups."""


@templates.command("sync")
@click.option("--app-group", metavar="NAME", help="Only this app group.")
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
@click.option("--app-group", metavar="NAME", help="Only this app group.")
@on_workspace
def templates_list(ws: Workspace, app_group: str | None) -> Any:
    """Show the templates; for those that can't be used, why."""
    return ws.templates.list(app_group)


@main.group()
def groups() -> None:
    """Target groups: saved rules."""


@groups.command("list")
@on_workspace
def groups_list(ws: Workspace) -> Any:
    """Show every group."""
    return ws.groups.list()


@groups.command("show")
@click.argument("name")
@on_workspace
def groups_show(ws: Workspace, name: str) -> Any:
    """Show one group."""
    return ws.groups.get(name)


@groups.command("save")
@click.argument("name")
@click.argument("rule")
@on_workspace
def groups_save(ws: Workspace, name: str, rule: str) -> Any:
    """Save a RULE such as 'attr("country") == "DE"' under NAME."""
    from optinb.rules import parse

    return ws.groups.save(name, parse(rule))


@groups.command("count")
@click.argument("name")
@date_option("the published delivery's")
@on_workspace
def groups_count(ws: Workspace, name: str, run_date: date | None) -> Any:
    """Count a group (or a rule) exactly."""
    return ws.groups.count(name, run_date=run_date)


@main.group()
def campaigns() -> None:
    """Campaigns: plan, approve, cancel."""


@campaigns.command("list")
@on_workspace
def campaigns_list(ws: Workspace) -> Any:
    """Show every campaign."""
    return ws.campaigns.list()


@campaigns.command("show")
@click.argument("name")
@on_workspace
def campaigns_show(ws: Workspace, name: str) -> Any:
    """Show one campaign with its approval."""
    return ws.campaigns.get(name)


@campaigns.command("submit")
@click.option("--file", "file", required=True, type=click.Path(path_type=Path), help="A campaign.toml.")
@on_workspace
def campaigns_submit(ws: Workspace, file: Path) -> Any:
    """Submit a campaign for approval."""
    return ws.campaigns.submit(file)


@campaigns.command("approve")
@click.argument("name")
@on_workspace
def campaigns_approve(ws: Workspace, name: str) -> Any:
    """Approve a submitted campaign exactly as it is now."""
    return ws.campaigns.approve(name)


@campaigns.command("reject")
@click.argument("name")
@click.option("--comment", default="", help="Why, for its author.")
@on_workspace
def campaigns_reject(ws: Workspace, name: str, comment: str) -> Any:
    """Reject a submitted campaign."""
    return ws.campaigns.reject(name, comment=comment)


@campaigns.command("cancel")
@click.argument("name")
@click.option("--comment", default="", help="Why.")
@on_workspace
def campaigns_cancel(ws: Workspace, name: str, comment: str) -> Any:
    """Cancel a campaign: no later night sends it."""
    return ws.campaigns.cancel(name, comment=comment)


@main.command()
@date_option("today")
@click.option("--dry-run", is_flag=True, help="Count and report, but freeze and send nothing.")
@workspace_option
@json_option
def nightly(run_date: date | None, dry_run: bool, workspace: Path | None, as_json: bool) -> None:
    """Run the night: import, model, templates, audiences, sends, report."""
    from optinb.notebook import run_night

    try:
        summary = run_night(workspace, run_date, dry_run=dry_run)
    except OptinbError as error:
        _fail(error)
    _print(summary, as_json=as_json)
    sys.exit(summary.exit_code)


@main.command()
@on_workspace
def status(ws: Workspace) -> Any:
    """Show what is published, what waits, and what ran."""
    from optinb.workspace import status as status_of

    return status_of(ws)


@main.command()
@click.argument("customer")
@date_option("the newest night that ran")
@on_workspace
def why(ws: Workspace, customer: str, run_date: date | None) -> Any:
    """Say why CUSTOMER did or did not get a message."""
    from optinb.workspace import why as why_of

    return why_of(ws, customer, run_date=run_date)


@main.command()
@click.option("--port", default=8021, show_default=True, help="Where it listens on loopback.")
@click.option(
    "--journal", type=click.Path(dir_okay=False, path_type=Path), help="A JSON line for each accepted request."
)
@click.option("--world", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="App groups and campaigns.")
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What goes wrong, as JSON."
)
@click.option("--now", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="Where its clock starts.")
@prints
def sandbox(port: int, journal: Path | None, world: Path | None, faults: Path | None, now: Any) -> None:
    """Run an Appboy on this machine, for rehearsals."""
    from optinb.sandbox import demo_world, load_faults, load_world, run_sandbox

    run_sandbox(
        load_world(world) if world else demo_world(),
        port=port,
        journal=journal,
        now=now,
        faults=load_faults(faults) if faults else (),
        ready=_tell_sandbox,
    )


def _tell_sandbox(running: Any) -> None:
    """Says where the sandbox is and which keys it accepts; they open nothing but this sandbox."""
    click.echo(f"Appboy sandbox at {running.url} (what arrives is shown there); stop it with Ctrl-C")
    for group in running.world.app_groups.values():
        click.echo(f"  {group.name}: key {', '.join(key.key for key in group.keys) or 'none'}")


@main.command()
@click.option("--customers", default=2_000, show_default=True, type=click.IntRange(1, 10_000_000))
@click.option("--days", default=400, show_default=True, type=click.IntRange(1, 4_000), help="Of history.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--date", "run_date", type=DAY, default="2026-11-23", show_default=True, help="Of the first delivery.")
@click.option("--seed", default=7, show_default=True)
@click.option("--nights", default=1, show_default=True, type=click.IntRange(1, 366))
@click.option("--format", "fmt", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@prints
def sample(customers: int, days: int, out: Path, run_date: date, seed: int, nights: int, fmt: Any) -> Any:
    """Generate a delivery of made-up customers."""
    from optinb.sandbox.sample import write_sample

    return write_sample(out, customers=customers, days=days, run_date=run_date, seed=seed, nights=nights, fmt=fmt)


@main.command()
@click.option("--rehearse", is_flag=True, help="With the sandbox, its keys, and a clock on the newest delivery.")
@click.option("--user", default=None, help="With --rehearse: who works (default: demo-author).")
@workspace_option
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(rehearse: bool, user: str | None, workspace: Path | None, jupyter_options: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks, with this workspace. Options for Jupyter come after --."""
    from optinb.lab import run_lab

    try:
        sys.exit(run_lab(workspace, rehearse=rehearse, user=user, options=jupyter_options))
    except OptinbError as error:
        _fail(error)


@main.command()
@click.option("--workspace", "-w", type=click.Path(file_okay=False, path_type=Path), help="A new or empty folder.")
@json_option
def demo(workspace: Path | None, as_json: bool) -> None:
    """Show the whole way on the sample: import, model, plan, approve, run a night against the sandbox."""
    from optinb.demo import run_demo

    try:
        summary, root = run_demo(workspace, say=lambda line: click.echo(line, err=True))
    except OptinbError as error:
        _fail(error)
    click.echo(err=True)
    _print(summary, as_json=as_json)
    click.echo(
        f"\nNext: `optinb lab --rehearse --workspace {root}` opens the notebooks there, with the sandbox.", err=True
    )
    sys.exit(summary.exit_code)
