"""Starting the pages, on this machine or behind a hub."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from optinb.base.addresses import origin_of
from optinb.base.share import shared
from optinb.errors import UsageError
from optinb.serve.gate import MIN_TOKEN, PARAMETER, path_of_its_own
from optinb.serve.lab import environment_of, opened, run
from optinb.serve.notebook_copies import FOLDER, changed_copies, folder_of_copies

TOKEN = "OPTINB_SERVE_TOKEN"
LOOPBACK, PORT = "127.0.0.1", 8866
READY = 1  # kernels that wait for a visitor
_SHARE = Path(__file__).parent / "share"


def run_serve(
    workspace: str | Path | None,
    *,
    rehearse: bool = False,
    user: str | None = None,
    host: str = LOOPBACK,
    port: int = PORT,
    base_url: str | None = None,
    public_url: str = "",
    theme: str = "light",
    ready: int = READY,
    say: Callable[[str], None],
) -> int:
    """Serves the page with tabs, as they come with optinb, and waits for the end; returns the exit code.

    Everybody who is let in works as the one who started it, as the login says: one server for each person. On a
    JupyterHub it is the person's own server there, and the hub asks for the login. Elsewhere whoever brings the token
    is let in: that of OPTINB_SERVE_TOKEN, or one that is made and told once.

    Args:
        workspace: its folder; OPTINB_WORKSPACE or `data` for None.
        rehearse: as for `run_lab`.
        user: who rehearses.
        host: the address to listen on.
        port: the one to listen on.
        base_url: the path under which a proxy passes requests on, such as "/optinb/"; that of `public_url`, or one that
            only the token tells, when left out.
        public_url: what people open, where a proxy stands before this server; with https, browsers give the cookie to
            nobody in the clear.
        theme: light or dark.
        ready: how many kernels wait for visitors, each with about 200 MB; none on a hub.
        say: told where the pages are, which copies aren't served, and who else can change the settings.

    Raises:
        UsageError: for a host, an address or a path that can't be served.
        SettingsError: for settings that can't be read.
    """
    root, settings = opened(workspace, say=say)
    pages = shared("notebooks/pages")
    for folder in dict.fromkeys((root / FOLDER, folder_of_copies(root, settings))):
        if changed := [name for name in changed_copies(folder) if name.startswith(f"{pages.name}/")]:
            say(f"Pages come with optinb; of {folder} these differ, and aren't served: {', '.join(changed)}.")
    with ExitStack() as stack:
        environment = environment_of(root, settings, rehearse=rehearse, user=user, stack=stack)
        environment["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(_SHARE), environment.get("JUPYTER_PATH")]))
        if is_on_hub(environment):
            environment.pop("JUPYTERHUB_ROOT_DIR", None)  # it would stand in for the folder of the pages
            return run(hub_command(pages, theme=theme), environment, pages)
        given = environment.get(TOKEN, "")
        token = given or secrets.token_urlsafe(24)
        if len(token) < MIN_TOKEN:
            raise UsageError(f"{TOKEN} has {len(token)} characters; give it {MIN_TOKEN} or more, or leave it out")
        if public_url and not origin_of(public_url):
            raise UsageError(f"--public-url {public_url!r} is no address; write one such as https://crm.example.com/")
        path = base_url or urlsplit(public_url).path or path_of_its_own(token)
        path = f"/{path.strip('/')}/" if path.strip("/") else "/"
        if not is_loopback(host) and not public_url:
            say(f"Everybody who can reach {host} may try the token, and nothing is encrypted: put a proxy before it.")
        shown = "…" if given else token
        start = origin_of(public_url) or f"http://{host}:{port}"
        say(f"The pages, for you alone: {start}{path}?{PARAMETER}={shown}")
        told = f"{start}{path}" if public_url else ""
        command = pages_command(pages, host=host, port=port, base_url=path, public_url=told, theme=theme, ready=ready)
        return run(command, {**environment, TOKEN: token}, pages)


def pages_command(
    pages: Path, *, host: str, port: int, base_url: str, public_url: str = "", theme: str, ready: int = READY
) -> list[str]:
    """The command that serves a folder of notebooks behind the token."""
    options = {
        "Voila.ip": host,
        "Voila.port": port,
        "Voila.base_url": base_url,
        "Voila.open_browser": False,
        "Voila.log_level": "WARN",
        "Pages.address": public_url,
        "VoilaConfiguration.theme": theme,
        "VoilaConfiguration.default_pool_size": ready,
    }
    named = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "optinb.serve", *named, str(pages)]


def hub_command(pages: Path, *, theme: str) -> list[str]:
    """The command of a person's own server on a JupyterHub, which lets in only whom the hub has logged in.

    Raises UsageError where the hub's package is missing.
    """
    if find_spec("jupyterhub") is None:
        raise UsageError("the hub's package isn't in this environment; install jupyterhub in the version of the hub")
    options = {
        "ServerApp.root_dir": pages,
        "ServerApp.default_url": "/voila/render/workbench.ipynb",
        "ServerApp.terminals_enabled": False,
        "VoilaConfiguration.template": "optinb",
        "VoilaConfiguration.theme": theme,
    }
    return [sys.executable, "-m", "jupyterhub.singleuser", *(f"--{name}={value}" for name, value in options.items())]


def is_on_hub(environment: Mapping[str, str]) -> bool:
    """Whether a JupyterHub starts this process as somebody's server."""
    return bool(environment.get("JUPYTERHUB_API_TOKEN") and environment.get("JUPYTERHUB_SERVICE_PREFIX"))


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
