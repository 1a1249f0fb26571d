"""What the settings only point at: who is working, by the login or a team's JupyterHub, and secrets.

The hub's address is from the settings alone. Whoever asks could be led to a hub of their own making by
JUPYTERHUB_API_URL, a proxy or certificates that their environment names, so none of these is looked at. Secrets are
read from the environment or the keyring when they are needed.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from optinb.base.people import folded
from optinb.errors import SettingsError

if TYPE_CHECKING:
    import httpx

    from optinb.base.settings.sections import Settings

TOKEN = "JUPYTERHUB_API_TOKEN"
SERVICE = "service/"  # a slash is in no user's name on a hub, so that no user can bear a service's
TIMEOUT_S = 5.0


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


class _Owner(Struct):
    kind: Literal["user", "service"]
    name: str


def owner_of_token(hub: str, *, ca: str | None = None) -> str:
    """Who owns the token in JUPYTERHUB_API_TOKEN, as the hub at this address says; a service is `service/NAME`.

    `ca` is the file with the certificates of whoever vouches for the hub's own; without it the public authorities do.
    Raises SettingsError, which never shows the token, when the hub doesn't say.
    """
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise SettingsError(
            f"the hub {hub} says who is working, by a token in {TOKEN}, and none is there; work in a server of the "
            "hub, or request a token on its page “Token” and set that variable to it"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise SettingsError(f"{TOKEN} holds signs that no token has, such as a space; set it to the token alone")
    answer = _ask(hub, token, ca)
    if answer.status_code in (401, 403):
        raise SettingsError(
            f"the hub {hub} refuses the token in {TOKEN} ({answer.status_code}), which is wrong or has expired; "
            "request a new one on its page “Token”"
        )
    if answer.is_redirect:
        raise SettingsError(
            f"the hub {hub} sends on to another address ({answer.status_code}), where a token isn't taken; write the "
            "address that answers itself as hub in optinb.toml"
        )
    if answer.status_code != 200:
        raise SettingsError(
            f"the hub {hub} answered {answer.status_code}, and so doesn't say who is working; see whether it runs, and "
            "that hub in optinb.toml is the address of its API"
        )
    try:
        owner = msgspec.json.decode(answer.content, type=_Owner)
    except msgspec.MsgspecError as error:
        raise _no_hub(hub) from error
    if not owner.name.strip() or "/" in owner.name:
        raise _no_hub(hub)
    return owner.name if owner.kind == "user" else SERVICE + owner.name


def _ask(hub: str, token: str, ca: str | None) -> httpx.Response:
    import httpx

    headers = {"Authorization": f"token {token}", "Accept": "application/json"}
    try:
        trusted = ssl.create_default_context(cafile=ca) if ca else True
    except OSError as error:
        what = f"the certificates in {ca} can't be read ({error.strerror or error})"
        raise SettingsError(f"{what}; name a PEM file as hub_ca in optinb.toml") from error
    try:
        return httpx.get(f"{hub.rstrip('/')}/user", headers=headers, timeout=TIMEOUT_S, trust_env=False, verify=trusted)
    except httpx.TimeoutException as error:
        what = f"the hub {hub} didn't answer in {TIMEOUT_S:g} s"
        raise SettingsError(f"{what}, and so doesn't say who is working; see whether it runs") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if "[SSL" in str(error):
            raise SettingsError(
                f"the hub {hub} can't prove that it is the one ({error}); where your own authority vouches for it, "
                "name the file with that one's certificate: hub_ca under [workspace] in optinb.toml"
            ) from error
        raise SettingsError(
            f"the hub {hub} can't be reached ({error}), and so doesn't say who is working; see whether it runs, and "
            "that hub in optinb.toml is its address"
        ) from error


def _no_hub(hub: str) -> SettingsError:
    return SettingsError(
        f"what answers at {hub} is no JupyterHub; write the address of the hub's API as hub in optinb.toml, such as "
        '"https://hub.example/hub/api"'
    )


def is_reference(text: str) -> bool:
    """Whether a text names a secret instead of being one."""
    return re.fullmatch(r"env:\w+|keyring:[^/]+/.+", text) is not None


def read_secret(reference: str, what: str = "key") -> str:
    """The secret behind `env:NAME` or `keyring:SERVICE/NAME`. Raises SettingsError that names the reference only."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        remedy = f"set the environment variable {name}"
    elif kind == "keyring":
        import keyring
        import keyring.errors

        service, _, user = name.partition("/")
        remedy = f"store it with `keyring set {service} {user}`"
        try:
            value = keyring.get_password(service, user)
        except keyring.errors.KeyringError as error:
            raise SettingsError(f"the keyring can't be read for {reference!r}: {error}; {remedy}") from error
    else:
        raise SettingsError(f"{reference!r} is no reference to a secret; write env:NAME or keyring:SERVICE/NAME")
    if not value or not value.strip():
        raise SettingsError(f"the {what} {reference!r} isn't there; {remedy}")
    return value.strip()
