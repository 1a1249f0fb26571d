"""What a request must look like before anybody asks who sent it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote_to_bytes

from optinb.base.addresses import is_named_here, origin_of

READING = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_PATH = 1_000
NO_SUCH_PAGE = "There is no page at this address."


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
