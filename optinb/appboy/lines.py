"""Connections on which no answer is taken for another request's, over httpx's own.

Before a request is written its connection must be silent: what comes then answers nothing of ours, and nothing was
sent. After an answer nothing may be left. A connection is used again only after an answer that is tied to its request
(see `tied`): the copy of any other could be read as the next one's.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from optinb.base.addresses import EXAMPLE_PROXY, problem_of_proxy
from optinb.base.settings import FILE_NAME, AppGroupSettings, is_reference, read_secret
from optinb.errors import SettingsError

GONE_S = 10.0
"""How long the system repeats what a broken network doesn't take; else it does for minutes, also for a process that is
stopped or gone."""
_GIVE_UP = (
    [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(GONE_S * 1000))] if hasattr(socket, "TCP_USER_TIMEOUT") else None
)


class QuietLine(httpcore.NetworkStream):
    """A connection that refuses to begin with a request while something is there to be read."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._is_writing = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Writes; raises ConnectError, with nothing written, where a request would begin out of step."""
        if not self._is_writing and self.unread() is not None:
            self.close()
            raise httpcore.ConnectError("the connection was closed, or spoke, before the request was written")
        self._is_writing = True
        self._stream.write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Reads."""
        self._is_writing = False
        return self._stream.read(max_bytes, timeout)

    def close(self) -> None:
        """Closes."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted from here on."""
        return QuietLine(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the connection below says of itself."""
        return self._stream.get_extra_info(info)

    def unread(self) -> bytes | None:
        """A byte that has come and wasn't read, empty if the other side has closed; None while it is silent.

        The byte is taken: whoever finds one closes the connection.
        """
        sock, inner = self.get_extra_info("socket"), self.get_extra_info("ssl_object")
        if isinstance(inner, ssl.SSLObject):
            # TLS within the TLS of a proxy: what the socket brings may be a session's ticket
            return b"?" if inner.pending() else None
        if sock is None or not (self.get_extra_info("is_readable") or (inner is not None and inner.pending())):
            return None
        sock.settimeout(0)
        try:
            return sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None  # the socket brought a session's ticket
        except OSError:
            return b""


class _Lines(httpcore.NetworkBackend):
    """Makes connections of that kind."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return QuietLine(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class HeldBody(httpx.SyncByteStream):
    """An answer's body, whose connection is held back from other requests until `release`."""

    def __init__(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.SyncByteStream)
        self._stream = response.stream
        self._line = response.extensions.get("network_stream")
        response.stream = self

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        """Waits for `release`: httpx closes as soon as a body was read, which lets the next request go."""

    def is_followed(self) -> bool:
        """Whether bytes came after the answer."""
        state = _protocol_state(self._stream)
        return bool(state is not None and state.trailing_data[0]) or (
            isinstance(self._line, QuietLine) and bool(self._line.unread())
        )

    def release(self, *, keep: bool) -> None:
        """Lets go of the connection, for another request only with `keep`."""
        # without its state nobody can tell what is left on it
        if self._line is not None and not (keep and _protocol_state(self._stream) is not None):
            self._line.close()
        self._stream.close()


def _protocol_state(stream: Any) -> Any:
    """The h11 connection behind a body: httpcore has no public way to what came after it. None if it isn't there."""
    for name in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        stream = getattr(stream, name, None)
    return stream


class ProxyError(SettingsError):
    """Nothing is sent, since nobody has settled which proxy is on the way."""


class _Nowhere(httpx.BaseTransport):
    """Connections that nobody has settled the way of: nothing is sent, and whoever tries is told why."""

    def __init__(self, error: SettingsError) -> None:
        self._told = str(error)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise ProxyError(self._told)


class _OfEachThread(httpx.BaseTransport):
    """Connections of its own for each thread.

    A pool looks at all of its connections for each request, which costs a sender with eight threads a sixth of its
    rate.
    """

    def __init__(self, make: Callable[[], httpx.BaseTransport]) -> None:
        self._make = make
        self._mine = threading.local()
        self._all: list[httpx.BaseTransport] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        mine = getattr(self._mine, "transport", None)
        if mine is None:
            mine = self._mine.transport = self._make()
            self._all.append(mine)
        return mine.handle_request(request)

    def close(self) -> None:
        for transport in self._all:
            transport.close()


def transport_to(group: AppGroupSettings) -> httpx.BaseTransport:
    """Connections to a group's address, by the proxy that its settings name and by no other.

    Who may set variables could else lead requests, with the key of an address without TLS, over a machine of theirs:
    where the environment names a proxy and the settings none, each request raises SettingsError and isn't sent.
    """
    try:
        proxy = None if group.is_loopback else _proxy_of(group)
    except SettingsError as error:
        return _Nowhere(error)
    trusted = _trusted(group)

    def make() -> httpx.HTTPTransport:
        transport = httpx.HTTPTransport(
            verify=trusted,
            limits=httpx.Limits(keepalive_expiry=5.0),
            proxy=proxy,
            trust_env=not group.is_loopback,
            socket_options=_GIVE_UP,
        )
        # httpx hands no backend on to httpcore's pools, which take one
        transport._pool._network_backend = _Lines(transport._pool._network_backend)
        return transport

    return _OfEachThread(make)


def _trusted(group: AppGroupSettings) -> ssl.SSLContext:
    """Who vouches for a group's address: nobody for a sandbox without TLS, since reading all of them takes long."""
    if group.is_loopback and urlsplit(group.api).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.create_ssl_context(trust_env=not group.is_loopback)


def _proxy_of(group: AppGroupSettings) -> str | None:
    """The proxy on the way to a group's address. Raises SettingsError, which shows no password."""
    if group.proxy is not None:
        address = read_secret(group.proxy, "proxy") if is_reference(group.proxy) else group.proxy
        if problem := problem_of_proxy(address):
            raise SettingsError(f"the proxy of app group {group.name!r}: {problem}")
        return address
    url, proxies = urlsplit(group.api), getproxies()
    kind = next((kind for kind in (url.scheme, "all") if proxies.get(kind)), None)
    if kind is None or proxy_bypass(url.hostname or ""):
        return None
    variable = next((name for name in os.environ if name.lower() == f"{kind}_proxy"), None)
    where, named = (variable, f'"env:{variable}"') if variable else ("the system", f'"{EXAMPLE_PROXY}"')
    raise SettingsError(
        f"{where} would lead the requests of app group {group.name!r} over a proxy that {FILE_NAME} doesn't name: "
        f"write proxy = {named} in its [[app_groups]] table, or put {url.hostname} into NO_PROXY"
    )
