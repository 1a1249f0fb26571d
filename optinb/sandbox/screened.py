"""What the sandbox answers at all: requests for this machine, and changes of its own only with its header.

The pages of other servers, open in somebody's browser, can send requests here too. They can't read answers, but a
form can move the clock; a header of its own, however, no page may send elsewhere without being allowed to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from optinb.base.addresses import is_named_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

HEADER = "Optinb-Sandbox"


def why_refused(method: str, path: str, headers: Mapping[str, str]) -> str | None:
    """Why a request isn't answered, None if it is. `headers` are looked up whatever their case."""
    host = headers.get("host", "")
    if not is_named_here(host):
        return f"the sandbox is not {host[:100]!r}: call it by 127.0.0.1 or localhost"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f"a page of {origin[:100]!r} asked for this, and only the sandbox's own page may"
    if path.startswith("/sandbox/") and method not in ("GET", "HEAD") and HEADER not in headers:
        return f"who changes the sandbox's clock or faults sends the header {HEADER}: 1"
    return None


class Screened:
    """An application before which `why_refused` stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = why_refused(scope["method"], scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
        await (self._app if refused is None else JSONResponse({"message": refused}, 403))(scope, receive, send)
