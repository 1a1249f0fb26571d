"""A last look before a request is written: who has lost the right to post while it waited, or was stopped, doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from optinb.appboy.outcome import RequestLater, RequestUnknown

WITHHELD = "not posted: the sender was stopped for a while and may have lost its hold"
_MAY_POST: ContextVar[Callable[[bool], bool] | None] = ContextVar("may_post", default=None)


class Withheld(Exception):  # noqa: N818 - nothing went wrong
    """The request was held back; `begun`: after its head was written, which no server can take for a request."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__(WITHHELD)
        self.begun = begun

    def outcome(self) -> RequestLater | RequestUnknown:
        """What it means for the batch. A proxy may make anything of half a request."""
        return RequestUnknown(f"half {WITHHELD}") if self.begun else RequestLater(0.0, WITHHELD, "not_sent")


@contextmanager
def posting_while(may_post: Callable[[], bool], *, may_begin: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Requests that this thread makes meanwhile ask at the last moment, with their connection open.

    Args:
        may_post: asked before a request's head and before its body.
        may_begin: asked before its head only, about what is no reason to leave half a request.
    """
    token = _MAY_POST.set(lambda begun: (begun or may_begin()) and may_post())
    try:
        yield
    finally:
        _MAY_POST.reset(token)


def last_look() -> dict[str, Any]:
    """The extension of an httpx request that asks before its head and before its body; empty where nobody wants it."""
    may_post = _MAY_POST.get()
    if may_post is None:
        return {}

    # as httpcore names its steps; connecting, which takes longest, comes before both
    def look(step: str, _info: object) -> None:
        begun = step.endswith("send_request_body.started")
        if (begun or step.endswith("send_request_headers.started")) and not may_post(begun):
            raise Withheld(begun=begun)

    return {"trace": look}
