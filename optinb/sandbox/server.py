"""The sandbox's server: Starlette and uvicorn around `handle`, on loopback only."""

from __future__ import annotations

import signal
import socket
import threading
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from optinb.errors import UsageError
from optinb.sandbox.clock import Clock
from optinb.sandbox.handle import Request, handle
from optinb.sandbox.journal import Journal
from optinb.sandbox.page import page
from optinb.sandbox.world import World, apply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from starlette.requests import Request as HttpRequest

HOST = "127.0.0.1"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Sandbox:
    """An Appboy on this machine, served from a thread while the context lasts.

    `port` 0 takes a free one, `journal` names a file that gets a line for each accepted request, and `now` (aware) is
    where the sandbox's clock starts; None is real time. Entering raises UsageError if the port is taken.
    """

    def __init__(
        self, world: World, *, port: int = 0, journal: Path | None = None, now: datetime | None = None
    ) -> None:
        self.world = world
        self.clock = Clock(now)
        self._port = port
        self._journal_path = journal
        self._journal = Journal(None)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address of the API, such as `http://127.0.0.1:8021`."""
        return f"http://{HOST}:{self._port}"

    def move_clock(self, *, to: datetime) -> None:
        """Moves the sandbox's clock ahead; what was scheduled until then is delivered."""
        self.clock.move(to)

    def __enter__(self) -> Self:
        _check_free(self._port)
        self._journal = Journal(self._journal_path)
        # no date header by uvicorn: it would tell real time, and the sandbox has a clock of its own
        config = uvicorn.Config(
            self._app(),
            host=HOST,
            port=self._port,
            http="h11",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), name="optinb-sandbox", daemon=True)
        started = threading.Event()
        self._on_start(self._server, started.set)
        self._thread.start()
        while not started.wait(0.02):
            if not self._thread.is_alive():
                self._journal.close()
                raise UsageError(f"the sandbox can't listen on port {self._port}; choose another one, 0 for any")
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None and self._thread is not None
        self._server.should_exit = True
        self._thread.join()
        self._journal.close()

    @staticmethod
    def _on_start(server: uvicorn.Server, started: Callable[[], None]) -> None:
        startup = server.startup

        async def announce(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            started()

        server.startup = announce  # type: ignore[method-assign]

    @staticmethod
    def _run(server: uvicorn.Server) -> None:
        try:
            server.run()
        except SystemExit:
            # uvicorn leaves so when it can't bind; the starting thread sees that nothing was started
            return

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._page, methods=["GET"]),
                Route("/sandbox/clock", self._move_clock, methods=["GET", "POST"]),
                Route("/{path:path}", self._api, methods=METHODS),
            ]
        )

    async def _page(self, _request: HttpRequest) -> Response:
        return HTMLResponse(page(self.world, self.clock.now()))

    async def _move_clock(self, request: HttpRequest) -> Response:
        try:
            if request.method == "POST":
                self.clock.move(msgspec.json.decode(await request.body(), type=_Move).to)
        except (UsageError, msgspec.DecodeError) as error:
            return _json(400, {"message": str(error)})
        return _json(200, {"now": self.clock.now().isoformat()})

    async def _api(self, request: HttpRequest) -> Response:
        asked = Request(
            method=request.method,
            path=request.url.path,
            query=request.query_params,
            headers=request.headers,
            body=await request.body(),
            client=request.client.host if request.client else "",
        )
        now = self.clock.now()
        handled = handle(self.world, asked, now)
        # must precede the reply: what a client was told is taken can be read in the journal
        self._journal.write(handled.changes)
        for change in handled.changes:
            apply(self.world, change)
        reply = handled.reply
        return Response(reply.body, reply.status, {**reply.headers, "Date": format_datetime(now, usegmt=True)})


class _Move(msgspec.Struct):
    to: datetime


def _json(status: int, payload: object) -> Response:
    return Response(msgspec.json.encode(payload), status, {"Content-Type": "application/json"})


def _check_free(port: int) -> None:
    """Raises UsageError if a port can't be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"the sandbox can't listen on port {port} ({reason}): stop what uses it, or choose another port"
            ) from error


def run_sandbox(
    world: World,
    *,
    port: int,
    journal: Path | None = None,
    now: datetime | None = None,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serves a world until SIGINT or SIGTERM; `ready` is called once it listens. Raises UsageError if it can't."""
    stop = threading.Event()
    with Sandbox(world, port=port, journal=journal, now=now) as sandbox:
        before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            if ready is not None:
                ready(sandbox)
            stop.wait()
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)
