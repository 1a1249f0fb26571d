"""The commands to rehearse: sandbox, sample, lab and demo."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import (
    DAY,
    MOMENT,
    json_option,
    log_option,
    main,
    print_value,
    prints,
    rehearse_options,
    tell_times_of,
    telling_errors,
    workspace_option,
)

if TYPE_CHECKING:
    from datetime import date


@main.command()
@click.option("--port", type=int, help="Where it listens on loopback (default: the workspace's own port, or 8021).")
@click.option(
    "--journal", type=click.Path(dir_okay=False, path_type=Path), help="A JSON line for each accepted request."
)
@click.option("--world", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="App groups and campaigns.")
@click.option(
    "--faults", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="What goes wrong, as JSON."
)
@click.option("--now", type=MOMENT, help="Where its clock starts, such as 2026-11-23T02:00:00+01:00.")
@click.option(
    "--workspace",
    "-w",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The workspace whose rehearsals take it for theirs: on its port, at its newest delivery.",
)
@prints
def sandbox(
    port: int | None, journal: Path | None, world: Path | None, faults: Path | None, now: Any, workspace: Path | None
) -> None:
    """Run an Appboy on this machine, for rehearsals."""
    from optinb.rehearsal import JOURNAL, announced, place_of_sandbox
    from optinb.sandbox import demo_world, load_faults, load_world, run_sandbox

    own, begins = 8021, None
    with ExitStack() as stack:
        if workspace is not None:
            own, begins = place_of_sandbox(workspace)
            journal = journal or workspace / JOURNAL

        def ready(running: Any) -> None:
            if workspace is not None:
                stack.enter_context(announced(workspace, running.url))
            _tell_sandbox(running)

        run_sandbox(
            load_world(world) if world else demo_world(),
            port=own if port is None else port,
            journal=journal,
            now=now or begins,
            faults=load_faults(faults) if faults else (),
            workspace=workspace,
            ready=ready,
        )


def _say(line: str) -> None:
    click.echo(line, err=True)


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
@rehearse_options("demo-author")
@workspace_option
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(rehearse: bool, user: str | None, workspace: Path | None, jupyter_options: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks, with this workspace. Options for Jupyter come after --."""
    from optinb.serve.lab import run_lab

    with telling_errors():
        sys.exit(run_lab(workspace, rehearse=rehearse, user=user, options=jupyter_options, say=_say))


@main.command()
@rehearse_options("demo-author")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8866, show_default=True)
@click.option("--base-url", help="The path that a proxy has for the pages (default: one that only the token tells).")
@click.option("--public-url", default="", help="What people open, where a proxy does TLS: https://crm.example.com/.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--ready", type=click.IntRange(0, 20), default=1, show_default=True, help="Kernels that await visitors.")
@workspace_option
def serve(workspace: Path | None, **options: Any) -> None:
    """Serve groups, planner, approval desk, calendar and sends as a page without code, behind a token.

    The token is made anew at each start, or is that of OPTINB_SERVE_TOKEN. Who opens the pages works as you: each
    person starts a server of their own, as JupyterHub does with `c.Spawner.cmd = ["optinb", "serve"]`.
    """
    from optinb.serve import run_serve

    with telling_errors():
        sys.exit(run_serve(workspace, say=_say, **options))


@main.command()
@click.option("--workspace", "-w", type=click.Path(file_okay=False, path_type=Path), help="A new or empty folder.")
@json_option
@log_option
def demo(workspace: Path | None, as_json: bool) -> None:
    """Show the whole way on the sample: import, model, plan, approve, run a night against the sandbox."""
    from optinb.demo import run_demo

    with telling_errors():
        summary, root = run_demo(workspace, say=_say)
        tell_times_of(root)
    click.echo(err=True)
    print_value(summary, as_json=as_json)
    click.echo(
        f"\nNext: `optinb lab --rehearse --workspace {root}` opens the notebooks there, with the sandbox.", err=True
    )
    sys.exit(summary.exit_code)
