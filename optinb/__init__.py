"""optinb: from customer tables to approved push campaigns, in notebooks.

    import optinb
    from optinb import attr, did
    ws = optinb.open_workspace("data")
    ws.preview((attr("country") == "DE") & ~did("purchase").within(days=60), app_group="Shop")

Heavy libraries are imported when something needs them, so that `import optinb` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.errors import OptinbError
from optinb.rules import (
    all_of,
    any_of,
    attr,
    days_ago,
    did,
    did_not_open,
    in_group,
    in_list,
    none_of,
    opened,
    received,
    responded,
    uplift,
    uses_app,
    was_in_control,
)

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

__version__ = "0.1.0"
__all__ = [
    "OptinbError",
    "__version__",
    "all_of",
    "any_of",
    "attr",
    "days_ago",
    "did",
    "did_not_open",
    "in_group",
    "in_list",
    "none_of",
    "open_workspace",
    "opened",
    "received",
    "responded",
    "uplift",
    "uses_app",
    "was_in_control",
]


def open_workspace(folder: str | Path | None = None, *, user: str | None = None) -> Workspace:
    """Opens a workspace; in a notebook its values show themselves as tables and charts.

    Args:
        folder: where its `optinb.toml` lies; OPTINB_WORKSPACE or `data` when left out.
        user: who is working; only where the settings say `identity = "asserted"`.

    Raises:
        SettingsError: naming line, value and remedy, for settings that can't be read, and for a user where the login
            says who is working.
    """
    import sys

    from optinb.workspace import open_workspace as open_it

    if "IPython" in sys.modules:
        from optinb import views

        views.install()
    return open_it(folder, user=user)
