"""A kernel that is ready before its visitor: which address they open, and from when on their browser listens.

Until somebody comes, its controls say nothing: a kernel's channel keeps 1,000 messages for whoever reads none, and a
browser that comes asks how all of them are, at once. What changes while it reads that is told when it is through.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, assert_never

import comm
from ipykernel.comm.comm import BaseComm

_told: list[str] = []
_waiting: list[Callable[[str], object]] = []
_listener: Literal["nobody", "reading", "there"] = "there"
_missed: list[Callable[[], object]] = []


class HeldComm(BaseComm):
    """The channel of a control, which is silent until a browser listens."""

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        """Sends a message, or keeps it for a browser that is reading, or drops it where nobody is."""
        send = partial(super().publish_msg, msg_type, data, metadata, buffers, **keys)
        match _listener:
            case "there":
                send()
            case "reading" if msg_type == "comm_msg":
                _missed.append(send)
            case "reading":
                send()
            case "nobody":
                pass
            case _:
                assert_never(_listener)


def hush() -> None:
    """Has all controls that are made from now on say nothing until a browser listens."""
    global _listener
    _listener = "nobody"
    comm.create_comm = HeldComm


def reading() -> None:
    """A browser is about to read how all controls are: what changes from now on must reach it."""
    global _listener
    _listener = "reading"


def listening() -> None:
    """The browser has read everything, and is told what has changed meanwhile."""
    global _listener
    _listener = "there"
    missed, _missed[:] = _missed[:], []
    for send in missed:
        send()


def expect(opens: Callable[[str], object]) -> str | None:
    """The address of a visitor who has come already; else None, and `opens` is called with it when one comes."""
    if _told:
        return _told.pop()
    _waiting.append(opens)
    return None


def arrived(query: str) -> None:
    """Tells that the visitor has come, and what their address has after its path. The server calls this, once."""
    if _waiting:
        _waiting.pop()(query)
    else:
        _told.append(query)
