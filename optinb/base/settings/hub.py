"""The JupyterHub of a team, which says who owns a token.

Its address is from the settings alone. Whoever asks could be led to a hub of their own making by JUPYTERHUB_API_URL, a
proxy or certificates that their environment names, so none of these is looked at.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from optinb.errors import SettingsError

if TYPE_CHECKING:
    import httpx

TOKEN = "JUPYTERHUB_API_TOKEN"
SERVICE = "service/"  # a slash is in no user's name on a hub, so that no user can bear a service's
TIMEOUT_S = 5.0


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
