"""The server of the pages: Voilà on a folder of thin notebooks, with a gate before everything that it answers.

Voilà itself asks for a login only where it renders a page or opens a kernel's channels; its files and scripts are open
to all. Here the first rule of the router turns strangers away, whatever they ask for.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from jupyter_server.auth import IdentityProvider, User
from tornado.ioloop import IOLoop
from tornado.routing import Matcher, Rule
from tornado.web import RedirectHandler, RequestHandler
from traitlets import Unicode
from traitlets.config import Config
from voila.app import Voila
from voila.static_file_handler import AllowListFileHandler
from voila.tornado.contentshandler import VoilaContentsHandler
from voila.tornado.treehandler import TornadoVoilaTreeHandler

from optinb.serving.gate import PARAMETER, Gate

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

TOKEN = "OPTINB_SERVE_TOKEN"
TEMPLATE = "optinb"
FIRST = "plan.ipynb"
# What widgets need of the page; what somebody has installed for JupyterLab besides stays out.
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
IDLE_S = 3_600  # after which the kernel of a page that nobody has open any more is stopped
CLOSED = "This page is closed to you. Open the address that `optinb serve` printed when it started; it holds a token."


class Arriving(Matcher):
    """Matches a request that brings the token."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {} if request.method == "GET" and self._gate.brings_token(request) else None


class Stranger(Matcher):
    """Matches every request of a browser that hasn't brought the token."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return None if self._gate.knows(request) else {}


class Admit(RequestHandler):
    """Exchanges the token for a cookie, and takes it out of the address, which browsers and proxies keep."""

    def initialize(self, gate: Gate) -> None:
        self._gate = gate

    def get(self) -> None:
        options = {"httponly": True, "samesite": "Lax", "secure": self.request.protocol == "https"}
        self.set_cookie(self._gate.cookie, self._gate.pass_for(), **options)
        kept = {name: self.get_query_arguments(name) for name in self.request.query_arguments if name != PARAMETER}
        query = urlencode(kept, doseq=True)
        # one slash: an address that begins with two would lead to another host
        self.redirect("/" + self.request.path.lstrip("/\\") + (f"?{query}" if query else ""))


class Closed(RequestHandler):
    """Turns every request away."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(CLOSED)


class Guests(IdentityProvider):
    """Tells Voilà's own handlers the same as the gate, should one ever be reached without it."""

    gate: ClassVar[Gate]

    def get_handlers(self) -> list[tuple[str, object]]:
        """No page to log in or out: there is nothing but the token."""
        return []

    def get_user(self, handler: Any) -> User | None:
        return User("guest") if self.gate.knows(handler.request) else None


class Pages(Voila):
    """Voilà, told to serve the pages of optinb and nothing else."""

    identity_provider_class = Guests
    address = Unicode("", help="Where a proxy before this server has it, for the line that tells people.").tag(
        config=True
    )

    def load_config_file(self, *_: object, **__: object) -> None:
        """Somebody's own `voila.json` must not open what is closed here."""

    def init_settings(self) -> Any:
        token = os.environ.pop(TOKEN)  # kernels inherit what is left
        self.gate = Gate(token=token, secret=secrets.token_bytes(32), cookie=f"optinb-{self.port}")
        Guests.gate = self.gate
        self.token = ""
        return super().init_settings()

    def init_handlers(self) -> Any:
        unused = (TornadoVoilaTreeHandler, VoilaContentsHandler, AllowListFileHandler)
        voilas: Any = super().init_handlers()
        rest = [handler for handler in voilas if handler[1] not in unused]
        first = f"{self.base_url.rstrip('/')}/voila/render/{FIRST}"
        return [
            Rule(Arriving(self.gate), Admit, {"gate": self.gate}),
            Rule(Stranger(self.gate), Closed),
            (self.base_url, RedirectHandler, {"url": first, "permanent": False}),
            *rest,
        ]

    def listen(self) -> None:
        try:
            self.app.listen(self.port, self.ip)
        except OSError as error:
            self.exit(f"optinb: port {self.port} of {self.ip} can't be used ({error.strerror}); choose one with --port")
        print(f"Ready at {self.address or self.connection_url}", flush=True)
        self.ioloop = IOLoop.current()
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()


def configuration() -> Config:
    """What pages are like: no code, no tracebacks, one template, no extensions but those of widgets."""
    found = Config()
    found.VoilaConfiguration.template = TEMPLATE
    found.VoilaConfiguration.allow_template_override = "NO"
    found.VoilaConfiguration.strip_sources = True
    found.VoilaConfiguration.show_tracebacks = False
    found.VoilaConfiguration.extension_allowlist = EXTENSIONS
    found.MappingKernelManager.cull_idle_timeout = IDLE_S
    found.MappingKernelManager.cull_interval = 60
    found.KernelManager.transport = "ipc"  # what kernels say passes no network port
    return found
