"""The names of a workspace that a shell completes: read from its files as they lie there, without opening it.

A shell asks at each press of the tab key, so this is quick, and where it doesn't find out it offers nothing: a database
elsewhere, a workspace that isn't there or can't be read.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import tomllib
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

_TABLES = {"campaign": "campaign_versions", "group": "group_versions", "pool": "code_pools", "template": "templates"}
_OFFERS = (
    "SELECT DISTINCT subject FROM audit_entries WHERE action IN ('offer saved', 'offer archived') ORDER BY subject"
)
_WAIT_S = 0.2


def names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What completes a `campaign`, `group`, `offer`, `pool`, `template` or `app group` that begins as it was typed."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        found: list[str] = []
        with suppress(Exception):  # a shell would show it in the midst of what somebody types
            root = Path(context.params.get("workspace") or os.environ.get("OPTINB_WORKSPACE") or "data").expanduser()
            found = _app_groups(root) if kind == "app group" else _named(root, kind)
        # bash puts what it gets into the line as it is; zsh and fish quote it themselves
        written = shlex.quote if os.environ.get("_OPTINB_COMPLETE", "").startswith("bash") else str
        return [written(name) for name in found if name.startswith(begun) and name.isprintable()]

    return complete


def _app_groups(root: Path) -> list[str]:
    settings = tomllib.loads((root / "optinb.toml").read_text(encoding="utf-8"))
    return sorted(group["name"] for group in settings["app_groups"])


def _named(root: Path, kind: str) -> list[str]:
    address = f"{(root / 'state.sqlite').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_WAIT_S)) as database:
        names = _OFFERS if kind == "offer" else f"SELECT DISTINCT name FROM {_TABLES[kind]} ORDER BY name"
        return [name for (name,) in database.execute(names)]
