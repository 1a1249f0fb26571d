"""Who is working."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from optinb.errors import SettingsError

if TYPE_CHECKING:
    from optinb.settings.sections import Settings


def current_user(settings: Settings) -> str:
    """Who is working: the JupyterHub or machine login, or OPTINB_USER where the settings let it be asserted.

    The machine's login is the name of the process's user id, whatever LOGNAME or USER say. A hub's name counts only
    beside the hub's token; on a hub all people may share one user id, so who may set the environment of somebody
    else's kernel there (the hub's administrator) may work under that name. Raises SettingsError when there is no name.
    """
    if settings.workspace.identity == "asserted":
        name = os.environ.get("OPTINB_USER", "").strip()
        if not name:
            raise SettingsError(
                'identity is "asserted", but the environment variable OPTINB_USER is not set; set it to your name'
            )
        return name
    if os.environ.get("JUPYTERHUB_API_TOKEN") and (name := os.environ.get("JUPYTERHUB_USER", "").strip()):
        return name
    try:
        import pwd
    except ImportError:  # not on Windows
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise SettingsError(
            f"the user id {os.getuid()} has no login name on this machine, so nobody can be told to be working; add "
            "it to the machine's users"
        ) from error
