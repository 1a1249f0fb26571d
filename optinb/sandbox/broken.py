"""Replies that go wrong on purpose, as ASGI responses, and the connections they break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Wait = Callable[[float], Awaitable[None]]
_DRIPS = 10


class Connections:
    """The open connections of a server, by the client's address, and what was answered last on each."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}
        self._last: dict[tuple[str, int], Response] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """A protocol for uvicorn that keeps this record."""
        connections, last = self._open, self._last

        class Tracked(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    connections[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    connections.pop(self.client, None)
                    last.pop(self.client, None)
                super().connection_lost(exc)

        return Tracked

    def last(self, client: tuple[str, int]) -> Response | None:
        """What was answered last on a client's connection, None if nothing was."""
        return self._last.get(client)

    def note(self, client: tuple[str, int], reply: Response) -> None:
        """Keeps what is answered on a client's connection."""
        if client in self._open:
            self._last[client] = reply

    def write(self, client: tuple[str, int], content: bytes) -> None:
        """Writes to a client what isn't an answer to any request of theirs."""
        transport = self._open.get(client)
        if transport is not None and not transport.is_closing():
            transport.write(content)

    async def reset(self, client: tuple[str, int]) -> None:
        """Breaks a client's connection so that it sees a reset."""
        transport = self._open.get(client)
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                # a linger of zero seconds turns the close into a reset
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        # the loop must see the loss before the server looks for a reply that was never started
        await asyncio.sleep(0.001)


class ResetReply(Response):
    """No reply: the connection is reset."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._connections.reset(tuple(scope["client"]))


class TruncatedReply(Response):
    """A reply that promises its whole length, brings half of it and breaks."""

    def __init__(self, reply: Response, connections: Connections) -> None:
        super().__init__(reply.body, reply.status_code, dict(reply.headers))
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await self._connections.reset(tuple(scope["client"]))


class DoubledReply(Response):
    """A reply that is written twice, the second time after some seconds."""

    def __init__(self, reply: Response, connections: Connections, *, seconds: float, wait: Wait) -> None:
        super().__init__(reply.body, reply.status_code, dict(reply.headers))
        self._connections, self._seconds, self._wait = connections, seconds, wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        if self._seconds:
            await self._wait(self._seconds)
        head = f"HTTP/1.1 {self.status_code} {HTTPStatus(self.status_code).phrase}".encode()
        lines = [head, *(name + b": " + value for name, value in self.raw_headers), b"", bytes(self.body)]
        self._connections.write(tuple(scope["client"]), b"\r\n".join(lines))


class SlowReply(Response):
    """A reply whose body drips over some seconds."""

    def __init__(self, reply: Response, *, seconds: float, wait: Wait) -> None:
        super().__init__(reply.body, reply.status_code, dict(reply.headers))
        self._seconds = seconds
        self._wait = wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        size = max(1, -(-len(self.body) // _DRIPS))
        for start in range(0, len(self.body), size):
            await self._wait(self._seconds / _DRIPS)
            await send(
                {"type": "http.response.body", "body": bytes(self.body[start : start + size]), "more_body": True}
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})
