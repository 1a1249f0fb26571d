"""Who may see the served pages: whoever brings the token once, and then the cookie that it was exchanged for."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus, unquote_to_bytes

from msgspec import Struct
from tornado.web import create_signed_value, decode_signed_value

from optinb.base.addresses import is_named_here, origin_of

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

MIN_TOKEN = 16
DAYS = 7  # after which a browser must bring the token again
PARAMETER = "token"
CLOSED = "This page is closed to you. Open the address that `optinb serve` printed when it started; it holds a token."
_VALUE = "admitted"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_PATH = 1_000
NO_SUCH_PAGE = "There is no page at this address."


class RefusedPage(Struct, frozen=True):
    """What a request is turned away with."""

    status: int
    text: str


class Admission(Struct, frozen=True, kw_only=True):
    """What a visitor must bring.

    `secret` signs the cookies of one server; with a new secret at each start, those of an earlier one don't count.
    Cookies are shared by all ports of a host, so that each server has a name of its own for its cookie. `names` are
    those of this server, beside addresses in numbers; `public_url` is where a proxy has it.
    """

    token: str
    secret: bytes
    cookie: str
    names: frozenset[str] = frozenset()
    public_url: str = ""

    @property
    def is_behind_tls(self) -> bool:
        """Whether people open the pages by TLS, so that no cookie has to go in the clear."""
        return self.public_url.startswith("https:")

    def brings_token(self, request: HTTPServerRequest) -> bool:
        """Whether a request's address carries the token."""
        given = request.query_arguments.get(PARAMETER, [b""])[-1]
        return hmac.compare_digest(given, self.token.encode())

    def knows(self, request: HTTPServerRequest) -> bool:
        """Whether a request comes from a browser that has brought the token."""
        found = request.cookies.get(self.cookie)
        if found is None:
            return False
        return decode_signed_value(self.secret, self.cookie, found.value, max_age_days=DAYS) == _VALUE.encode()

    def refuses(self, request: HTTPServerRequest, *, brought: bool) -> RefusedPage | None:
        """Why a request gets nothing, None if it may be answered; `brought`: whether it came with the token."""
        problem = problem_of_request(
            request.method or "", request.headers, names=self.names, public_url=self.public_url
        )
        if problem is not None:
            return RefusedPage(403, problem)
        if brought and request.method == "GET":
            return None
        if not self.knows(request):
            return RefusedPage(403, CLOSED)
        unusable = problem_of_path(request.path)
        return None if unusable is None else RefusedPage(404, unusable)

    def pass_for(self) -> str:
        """The value of the cookie for a browser that has brought the token."""
        return create_signed_value(self.secret, self.cookie, _VALUE).decode()


def forget_token(request: HTTPServerRequest, token: str) -> None:
    """Takes the token out of a request, whatever its method, before anything of it is logged or passed on.

    Any `token` goes, since a wrong one may be that of another server.
    """
    path, _, query = (request.uri or "").partition("?")
    kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]).lstrip("?") != PARAMETER]
    uri = path + ("?" + "&".join(kept) if any(kept) else "")
    is_elsewhere = token in unquote_plus(uri)
    if is_elsewhere:
        uri, request.path = "/", "/"
    request.uri = uri
    request.query = uri.partition("?")[2]
    for arguments in (request.arguments, request.query_arguments):
        for name in [*arguments] if is_elsewhere else [PARAMETER]:
            arguments.pop(name, None)
    if f"{PARAMETER}=" in (referer := unquote(request.headers.get("Referer", ""))) or token in referer:
        del request.headers["Referer"]


def path_of_its_own(token: str) -> str:
    """The path of a server's pages, which nobody knows who hasn't seen the token.

    A browser gives a cookie to every port of a host, but only for its path: the program of somebody else on this
    machine, which has another port, can't name the path, and so is never given the cookie.
    """
    digest = hmac.digest(token.encode(), b"path of the pages", "sha256")
    return f"/{urlsafe_b64encode(digest[:12]).decode()}/"


def problem_of_request(
    method: str, headers: Mapping[str, str], *, names: Collection[str], public_url: str = ""
) -> str | None:
    """Why a request isn't for this server, or was made by the page of another; None if neither.

    Whoever changes something or opens a channel to a kernel must say from which page: browsers always do.

    Args:
        method: of the request, such as GET.
        headers: of the request, by their names in lower case.
        names: the names of this server, beside addresses in numbers and `localhost`.
        public_url: the address that people open, where a proxy stands before this server.
    """
    host = headers.get("Host", "").lower()
    if not is_named_here(host, names):
        return (
            f"This server isn't known as {host[:100]!r}. Where a proxy has it under this name, start it with "
            "--public-url and the address that people open."
        )
    public = origin_of(public_url)
    here = public if public and public.partition("://")[2] == host else f"http://{host}"
    origin = headers.get("Origin", headers.get("Sec-WebSocket-Origin"))
    if origin is None and (method not in READING or headers.get("Upgrade")):
        return "A request that changes something must say from which page it comes (Origin)."
    if origin is not None and origin.lower() not in {here, public}:
        return (
            f"A page of {origin[:100]!r} asked for this, which is none of this server. Where a proxy does TLS, start "
            "it with --public-url and the address that people open."
        )
    is_elsewhere = headers.get("Sec-Fetch-Site") in ("same-site", "cross-site")
    opens = method == "GET" and headers.get("Sec-Fetch-Dest") == "document"
    return "A page of another server asked for this." if is_elsewhere and not opens else None


def problem_of_path(path: str) -> str | None:
    """Why nothing can be at an address's path, as it was sent; None if something can."""
    try:
        plain = unquote_to_bytes(path).decode()
    except UnicodeError:
        return NO_SUCH_PAGE
    is_odd = len(path) > LONGEST_PATH or any(ord(c) < 32 or ord(c) == 127 for c in plain)
    return NO_SUCH_PAGE if is_odd or ".." in re.split(r"[/\\]", plain) else None
