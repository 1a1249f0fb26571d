"""The commands about promotion codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optinb.cli.common import Listing, column_options, main, on_workspace
from optinb.cli.completing import names_of

if TYPE_CHECKING:
    from optinb.workspace import Workspace


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


@codes.command("list")
@on_workspace
def codes_list(ws: Workspace) -> Any:
    """Show how many codes are left in each pool."""
    return Listing(
        items=tuple(ws.codes.list()),
        kind="pool",
        empty="no promotion codes are imported yet; `optinb codes import POOL FILE` imports a file with a code a line",
    )
