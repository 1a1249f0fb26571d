"""The commands about data: workspaces, deliveries, models, reach and history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optinb.base.printable import printable
from optinb.cli.common import DAY, ListedRows, app_group_option, date_option, main, on_workspace, prints
from optinb.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from optinb.workspace import Workspace


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@prints
def init(folder: Path) -> Any:
    """Make a new workspace with commented settings."""
    from optinb.base.workspace_folder import init_workspace

    return init_workspace(folder)


@main.command("import")
@date_option("today")
@click.option("--accept-anyway", metavar="REASON", help="Publish although a check fails; who and why is recorded.")
@on_workspace
def import_(ws: Workspace, run_date: date | None, accept_anyway: str | None) -> Any:
    """Check and publish the delivery inbox/DATE."""
    return ws.import_delivery(run_date, accept_anyway=accept_anyway)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@date_option("the folder's name, or else today,")
@on_workspace
def check(ws: Workspace, folder: Path, run_date: date | None) -> Any:
    """Examine FOLDER as a delivery without importing it; ends with 3 where a check would block it."""
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
@app_group_option
@click.option("--customer", metavar="ID", help="Why this customer can or can't be reached.")
@click.option("--appboy", is_flag=True, help="Ask Appboy about some customers, and say how far app_users is from it.")
@on_workspace
def reach(
    ws: Workspace,
    run_date: date | None,
    since: date | None,
    app_group: str | None,
    customer: str | None,
    appboy: bool,
) -> Any:
    """Count who uses each app, has push enabled, and runs a version with the Appboy SDK, by night."""
    if appboy:
        return _beside_appboy(ws, app_group, others=(run_date, since, customer))
    if customer is not None:
        return ws.reach_of(customer, app_group=app_group)
    rows = ws.reach(app_group=app_group, since=since, until=run_date).to_dicts()
    if not rows:
        asked = " ".join(f"{word} {day}" for word, day in (("from", since), ("up to", run_date)) if day)
        raise UsageError(f"no reach is kept of a night {asked}".rstrip() + "; it is, from the first `optinb model` on")
    newest = rows[-1]["day"]
    return ListedRows(rows=tuple(row for row in rows if since is not None or row["day"] == newest))


def _beside_appboy(ws: Workspace, app_group: str | None, *, others: tuple[object, ...]) -> Any:
    if any(others):
        raise UsageError("--appboy asks about the published tables; leave --date, --since and --customer out")
    samples = ws.reach_samples.take(app_group=app_group)
    if not samples:
        raise UsageError("nobody can be asked about: import a delivery first, and keep [send] reach_sample above 0")
    if all(sample.problem for sample in samples):
        from optinb.errors import AppboyError

        raise AppboyError("; ".join(f"{sample.app_group}: {sample.problem}" for sample in samples))
    return samples


@main.command()
@click.argument("attribute")
@click.option("--since", type=DAY, help="The first day.")
@click.option("--until", type=DAY, help="The last day.")
@on_workspace
def history(ws: Workspace, attribute: str, since: date | None, until: date | None) -> Any:
    """Count the customers by the values of ATTRIBUTE (such as stage or country), day by day."""
    return ListedRows(
        rows=tuple(ws.history(attribute, since=since, until=until).to_dicts()),
        empty=f"no night of these days is kept with {attribute!r}; it is, from the first `optinb model` on",
    )


@main.command()
@click.argument("customer")
@date_option("today, with stages, purchases, groups and messages,")
@on_workspace
def customer(ws: Workspace, customer: str, run_date: date | None) -> Any:
    """Show everything about CUSTOMER, or what was known of them on a day."""
    return ws.customer_on(customer, run_date) if run_date else ws.customer(customer)


@main.command()
@click.argument("customer")
@click.option("--by", default="", help="Who asked for it, or a ticket, for the audit trail; don't name the customer.")
@click.option("--yes", is_flag=True, help="Don't ask whether this is meant.")
@on_workspace
def forget(ws: Workspace, customer: str, by: str, yes: bool) -> Any:
    """Remove CUSTOMER from tables, lists, audiences, journals, notebooks and logs, for good; figures stay."""
    if not yes:
        others = [one for one in ws.warehouse.known_as(customer).ids if one != customer]
        known = f", who is known as {', '.join(others)} too," if others else ""
        click.confirm(printable(f"Remove customer {customer}{known} from {ws.root} for good?"), abort=True, err=True)
    return ws.forget(customer, by=by)


@main.command()
@click.argument("since", type=DAY)
@click.argument("until", type=DAY)
@click.option("--by", default="stage", show_default=True, help="stage, micro_segment or value_segment.")
@on_workspace
def migration(ws: Workspace, since: date, until: date, by: str) -> Any:
    """Count who moved from which stage to which between two days."""
    found = ws.migration(since, until, by=by)
    return ListedRows(
        rows=tuple({"before": m.before, "after": m.after, "customers": m.customers} for m in found.moves),
        empty="nobody was a customer on both days",
    )


@main.command()
@date_option("the published delivery's")
@on_workspace
def model(ws: Workspace, run_date: date | None) -> Any:
    """Features, lifecycle stage and value for every customer."""
    from optinb.customers import ModelReport

    made = ws.model(run_date)
    return ModelReport(
        run_date=made.card.run_date,
        warehouse_version=ws.warehouse.current,
        customers=made.card.customers,
        stages=made.stages,
        card=tuple(made.card.lines()),
    )
