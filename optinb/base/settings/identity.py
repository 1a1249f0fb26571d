"""Who is working."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from optinb.base.people import folded
from optinb.base.settings.hub import owner_of_token
from optinb.errors import SettingsError

if TYPE_CHECKING:
    from optinb.base.settings.sections import Settings


def current_user(settings: Settings) -> str:
    """Who is working: the machine's login, or who the hub of the settings says; OPTINB_USER where names are asserted.

    Nothing of the environment proves a name. The machine's login is the name of the process's user id, whatever LOGNAME
    or USER say. With `hub` in the settings, that hub is asked whose the token is, and the login never stands in for it.
    Raises SettingsError when there is no name.
    """
    if settings.workspace.identity == "asserted":
        name = os.environ.get("OPTINB_USER", "").strip()
        if not folded(name):
            raise SettingsError(
                'identity is "asserted", but the environment variable OPTINB_USER is not set; set it to your name'
            )
        return name
    if settings.workspace.hub is not None:
        return owner_of_token(settings.workspace.hub, ca=settings.workspace.hub_ca)
    try:
        import pwd
    except ImportError:  # Windows, where this is what the system says, and no variable
        return os.getlogin()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise SettingsError(
            f"the user id {os.getuid()} has no login name on this machine, so nobody can be told to be working; add "
            "it to the machine's users"
        ) from error
