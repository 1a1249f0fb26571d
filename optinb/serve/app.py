"""The server of the pages: Voilà on a folder of thin notebooks, with a gate before everything that it answers.

Voilà itself asks for a login only where it renders a page or opens a kernel's channels; its files and scripts are open
to all. Here the first rule of the router turns strangers away, whatever they ask for.
"""

from __future__ import annotations

import os
import re
import secrets
from socket import gethostname
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

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

from optinb.serve import headstart, visits
from optinb.serve.gate import Admission, RefusedPage, forget_token, problem_of_path
from optinb.serve.pages import is_loopback
from optinb.serve.scripts import Scripts
from optinb.views.places import TabPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.httputil import HTTPServerRequest

    from optinb.views.places import Tab

TOKEN = "OPTINB_SERVE_TOKEN"
TEMPLATE = "optinb"
PAGE = "workbench.ipynb"
# Pages that stood alone before there were tabs, and the tabs of what they showed.
BEFORE: dict[str, Tab] = {"plan": "plan", "approve": "approve", "calendar": "calendar", "monitor": "sends"}
REFILL_S = 3.0  # after a visitor has come, until the next kernel is begun
# What widgets need of the page; what somebody has installed for JupyterLab besides stays out.
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
IDLE_S = 3_600  # after which the kernel of a page that nobody has open any more is stopped
# A page's own address never reaches another server, and no other page shows this one in a frame.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Doorkeeper(Matcher):
    """Matches every request that Voilà must not see: what is turned away, and what brings the token."""

    def __init__(self, gate: Admission, base_url: str) -> None:
        self._gate, self._base_url = gate, base_url

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        brought = self._gate.brings_token(request)
        forget_token(request, self._gate.token)
        refusal = self._gate.refuses(request, brought=brought)
        if refusal is None and not brought:
            return None
        return {"target_kwargs": {"gate": self._gate, "base_url": self._base_url, "refusal": refusal}}


class Door(RequestHandler):
    """Turns a request away, or exchanges the token, which then leaves the address that browsers keep, for a cookie."""

    def initialize(self, gate: Admission, base_url: str, refusal: RefusedPage | None) -> None:
        self._gate, self._base_url, self._refusal = gate, base_url, refusal

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        if self._refusal is not None:
            self.set_status(self._refusal.status)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(self._refusal.text)
            return
        options = {"httponly": True, "samesite": "Lax", "secure": self._gate.is_behind_tls}
        self.set_cookie(self._gate.cookie, self._gate.pass_for(), path=self._base_url, **options)
        path = self.request.path if problem_of_path(self.request.path) is None else ""
        # one slash: an address that begins with two would lead to another host
        path = "/" + path.lstrip("/\\")
        if not path.startswith(self._base_url):
            path = self._base_url + path.lstrip("/\\")
        self.redirect(path + (f"?{self.request.query}" if self.request.query else ""))


class Guests(IdentityProvider):
    """Tells Voilà's own handlers the same as the gate, should one ever be reached without it."""

    gate: ClassVar[Admission]

    def get_handlers(self) -> list[tuple[str, object]]:
        """No page to log in or out: there is nothing but the token."""
        return []

    def get_user(self, handler: Any) -> User | None:
        return User("guest") if self.gate.knows(handler.request) else None


class Pages(Voila):
    """Voilà, told to serve the pages of optinb and nothing else."""

    identity_provider_class = Guests
    address = Unicode("", help="What people open, where a proxy stands before this server.").tag(config=True)

    def load_config_file(self, *_: object, **__: object) -> None:
        """Somebody's own `voila.json` must not open what is closed here."""

    def init_settings(self) -> Any:
        token = os.environ.pop(TOKEN)  # kernels inherit what is left
        public = urlsplit(self.address)
        own = () if is_loopback(self.ip) else (self.ip, gethostname().lower())
        self.gate = Admission(
            token=token,
            secret=secrets.token_bytes(32),
            cookie=f"optinb-{self.port}",
            names=frozenset({public.hostname or "", *own} - {""}),
            public_url=self.address,
        )
        Guests.gate = self.gate
        self.token = ""
        self.scripts = Scripts()
        self.voila_configuration.page_config_hook = self.scripts.announced
        voilas: Any = super().init_settings()
        visits.tell_kernels(self.kernel_manager)
        return {**voilas, "headers": HEADERS, "xsrf_cookie_kwargs": {"secure": self.gate.is_behind_tls}}

    def init_handlers(self) -> Any:
        unused = (TornadoVoilaTreeHandler, VoilaContentsHandler, AllowListFileHandler)
        voilas: Any = super().init_handlers()
        # Voilà fails on addresses that name a template and no file of it
        rest = [
            (p.replace("templates/(.*)", "templates/([^/]+/static/.+)"), *r) for p, *r in voilas if r[0] not in unused
        ]
        pages = f"{self.base_url.rstrip('/')}/voila/render/"
        moved = {self.base_url: PAGE} | {
            re.escape(f"{pages}{name}.ipynb"): PAGE + TabPlace(tab).query for name, tab in BEFORE.items()
        }
        return [
            Rule(Doorkeeper(self.gate, self.base_url), Door),
            # what else an address says, such as a campaign, is kept
            *((old, RedirectHandler, {"url": pages + new, "permanent": False}) for old, new in moved.items()),
            *rest,
        ]

    def _note_scripts(self) -> None:
        """Has noted which scripts browsers ask for, where each request is logged."""
        log: Callable[[RequestHandler], None] = self.app.log_request

        def noted(handler: RequestHandler) -> None:
            self.scripts.note(self.base_url, handler.request.uri or "", handler.get_status())
            log(handler)

        self.app.log_request = noted

    def listen(self) -> None:
        self._note_scripts()
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
            headstart.end()
            self.scripts.keep()
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
    # A page is made before anybody asks for it. Each is given away once, so that no two visitors share a kernel.
    found.VoilaConfiguration.preheat_kernel = True
    found.VoilaKernelManager.fill_delay = REFILL_S
    return found
