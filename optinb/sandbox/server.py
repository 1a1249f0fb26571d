"""The sandbox's server: Starlette and uvicorn around `handle`, on loopback only."""

from __future__ import annotations

import asyncio
import csv
import re
import signal
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import format_datetime
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from optinb.errors import UsageError
from optinb.sandbox.broken import Connections, DoubledReply, ResetReply, SlowReply, TruncatedReply
from optinb.sandbox.clock import Clock
from optinb.sandbox.editing import campaign_of, edit_text
from optinb.sandbox.faults import Fault, fault_for, parse_faults
from optinb.sandbox.handle import SandboxRequest, handle
from optinb.sandbox.journal import Journal
from optinb.sandbox.page import page, page_headers
from optinb.sandbox.proof import PARAMETER, proof_of, secret_of
from optinb.sandbox.screened import Screened
from optinb.sandbox.world import World, apply

HOST = "127.0.0.1"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Sandbox:
    """An Appboy on this machine, served from a thread while the context lasts.

    `port` 0 takes a free one, `journal` names a file that gets a line for each accepted request, `now` (aware) is
    where the sandbox's clock starts (None: real time), and `faults` are rules for what goes wrong. With a `workspace`
    it proves to those who rehearse on that one that it is theirs. `requests` counts what came to each path since the
    faults were set. Entering raises UsageError if the port is taken.
    """

    def __init__(
        self,
        world: World,
        *,
        port: int = 0,
        journal: Path | None = None,
        now: datetime | None = None,
        faults: Iterable[Fault] = (),
        workspace: Path | None = None,
    ) -> None:
        self.world: World = world
        self._workspace = workspace
        self._secret = None if workspace is None else secret_of(workspace, make=True)
        self.clock: Clock = Clock(now)
        world.clock = self.clock.now
        self._port = port
        self._journal_path = journal
        self._journal = Journal(None)
        self._connections = Connections()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.set_faults(faults)

    @property
    def url(self) -> str:
        """The address of the API, such as `http://127.0.0.1:8021`."""
        return f"http://{HOST}:{self._port}"

    def move_clock(self, *, to: datetime) -> None:
        """Moves the sandbox's clock ahead; what was scheduled until then is delivered. Raises UsageError for a past."""
        self.clock.move(to)

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Replaces the rules for what goes wrong; the requests of each endpoint are numbered from 1 again."""
        self._faults = tuple(faults)
        self.requests: Counter[str] = Counter()

    def __enter__(self) -> Self:
        _check_free(self._port)
        self._journal = Journal(self._journal_path)
        config = uvicorn.Config(
            self._app(),
            host=HOST,
            port=self._port,
            http=self._connections.protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            # it would tell real time, and the sandbox has a clock of its own
            date_header=False,
            server_header=False,
            proxy_headers=False,
            # longer than any client keeps a connection, so that none is closed under a request
            timeout_keep_alive=120,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=_run, args=(self._server,), name="optinb-sandbox", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                self._journal.close()
                raise UsageError(f"the sandbox can't listen on port {self._port}; choose another one, 0 for any")
            time.sleep(0.005)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None and self._thread is not None
        self._server.should_exit = True
        self._thread.join()
        self._journal.close()

    def _app(self) -> Starlette:
        return Starlette(
            middleware=[Middleware(Screened)],
            routes=[
                Route("/", self._page, methods=["GET"]),
                Route("/sandbox/clock", self._set_clock, methods=["GET", "POST"]),
                Route("/sandbox/faults", self._set_faults, methods=["GET", "POST"]),
                Route("/sandbox/fates", self._fates, methods=["GET"]),
                Route("/sandbox/global_control.csv", self._global_control, methods=["GET"]),
                Route("/{path:path}", self._api, methods=METHODS),
            ],
        )

    async def _page(self, request: HttpRequest) -> Response:
        every = request.query_params.get("every", "")
        shown = page(
            self.world,
            self.clock.now(),
            campaign=request.query_params.get("campaign"),
            faults=self._faults,
            asked=self.requests,
            every=int(every) if re.fullmatch("[1-9][0-9]?", every) else None,
        )
        return HTMLResponse(shown, headers=page_headers())

    async def _set_clock(self, request: HttpRequest) -> Response:
        try:
            if request.method == "POST":
                self.clock.move(msgspec.json.decode(await request.body(), type=_Move).to)
        except (UsageError, msgspec.DecodeError) as error:
            return _json(400, {"message": str(error)})
        return _json(200, {"now": self.clock.now().isoformat(), "proof": self._proof(request)})

    def _proof(self, request: HttpRequest) -> str | None:
        challenge = request.query_params.get(PARAMETER)
        if challenge is None or self._workspace is None or self._secret is None:
            return None
        return proof_of(self._secret, challenge, port=self._port, workspace=self._workspace)

    async def _set_faults(self, request: HttpRequest) -> Response:
        try:
            if request.method == "POST":
                self.set_faults(parse_faults(await request.body()))
        except UsageError as error:
            return _json(400, {"message": str(error)})
        return _json(200, {"faults": self._faults, "requests": self.requests})

    async def _fates(self, request: HttpRequest) -> Response:
        campaign, send_id = (request.query_params.get(name) for name in ("campaign_id", "send_id"))
        if not any(group.campaign(campaign or "") for group in self.world.app_groups.values()):
            return _json(400, {"message": f"no campaign has the campaign_id {campaign!r}; name one of the dashboard"})
        return _json(200, {"fates": self.world.fates(campaign or "", self.clock.now(), send_id=send_id)})

    async def _global_control(self, request: HttpRequest) -> Response:
        name = request.query_params.get("app_group", "")
        try:
            members = self.world.control_group(name)
        except KeyError:
            return _json(400, {"message": f"no app_group is {name!r}; name one of the dashboard, by its name or id"})
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows([["external_user_id"], *([user] for user in members)])
        headers = {"Content-Disposition": 'attachment; filename="global_control.csv"'}
        return Response(text.getvalue(), media_type="text/csv", headers=headers)

    async def _api(self, http: HttpRequest) -> Response:
        try:
            body = await http.body()
        except ClientDisconnect:
            # killed in the middle of its request, which hence never came; nobody reads this answer
            return Response(status_code=400)
        request = SandboxRequest(
            method=http.method,
            path=http.scope["path"],
            query=http.query_params,
            headers=http.headers,
            body=body,
            client=http.client.host if http.client else "",
        )
        self.requests[request.path] += 1
        fault = fault_for(self._faults, request.path, self.requests[request.path], seed=self.world.seed)
        address = (http.client.host, http.client.port) if http.client else ("", 0)
        last = self._connections.last(address)
        reply = self._take(request) if fault is None else await self._wrong(fault, request, last)
        self._connections.note(address, reply)
        return reply

    def _take(self, request: SandboxRequest) -> Response:
        """Handles a request and makes its changes, without giving way to another one."""
        now = self.clock.now()
        handled = handle(self.world, request, now)
        # must precede the reply: what a client was told is taken can be read in the journal
        self._journal.write(handled.changes)
        for change in handled.changes:
            apply(self.world, change)
        reply = handled.reply
        told = {"Date": format_datetime(now, usegmt=True), "X-Request-Id": str(uuid.uuid4())}
        return Response(reply.body, reply.status, {**reply.headers, **told})

    async def _wrong(self, fault: Fault, request: SandboxRequest, last: Response | None) -> Response:
        """What a fault makes of a request; `last` is what was answered before on its connection."""
        if fault.do == "replay" and last is None:
            return self._take(request)
        if fault.do == "delay" and not fault.after_taking:
            # taken late, even if the client has left meanwhile
            await self._wait(fault.delay_s)
            return self._take(request)
        reply = self._take(request) if fault.takes else None
        if fault.do == "slow" and reply is not None:
            return SlowReply(reply, seconds=fault.delay_s, wait=self._wait)
        if fault.do == "double" and reply is not None:
            return DoubledReply(reply, self._connections, seconds=fault.delay_s, wait=self._wait)
        await self._wait(fault.delay_s)
        match fault.do:
            case "reset":
                return ResetReply(self._connections)
            case "truncate" if reply is not None:
                return TruncatedReply(reply, self._connections)
            case "replay" if last is not None:
                return Response(last.body, last.status_code, dict(last.headers))
            case "delay" if reply is not None:
                return reply
            case "edit" if reply is not None:
                edit_text(self.world, campaign_of(request), fault.body or "Edited.", now=self.clock.now())
                return reply
            case "errors" if reply is not None:
                told = {**msgspec.json.decode(bytes(reply.body)), "errors": fault.errors}
                del reply.headers["content-length"]
                return Response(msgspec.json.encode(told), reply.status_code, dict(reply.headers))
            case _:
                return self._status(fault)

    def _status(self, fault: Fault) -> Response:
        now = self.clock.now()
        headers = {"Content-Type": "application/json", "Date": format_datetime(now, usegmt=True)}
        if fault.reset_in_s is not None:
            reset = int(now.timestamp() + fault.reset_in_s)
            headers |= {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        body = fault.body if fault.body is not None else '{"message":"a fault of the sandbox"}'
        return Response(body.encode(), fault.status, headers | fault.headers)

    async def _wait(self, seconds: float) -> None:
        """Waits, but not longer than the server runs."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not (self._server and self._server.should_exit):
            await asyncio.sleep(min(left, 0.02))


class _Move(msgspec.Struct):
    to: datetime


def _json(status: int, payload: object) -> Response:
    return Response(msgspec.json.encode(payload), status, {"Content-Type": "application/json"})


def _run(server: uvicorn.Server) -> None:
    try:
        server.run()
    except SystemExit:
        # uvicorn leaves so when it can't bind; the starting thread sees that nothing was started
        return


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
    faults: Iterable[Fault] = (),
    workspace: Path | None = None,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Serves a world until SIGINT or SIGTERM; `ready` is called once it listens. Raises UsageError if it can't."""
    stop = threading.Event()
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Sandbox(world, port=port, journal=journal, now=now, faults=faults, workspace=workspace) as sandbox:
            if ready is not None:
                ready(sandbox)
            stop.wait()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
