"""A kernel that is ready before its visitor: which address they open is told when they come."""

from __future__ import annotations

from collections.abc import Callable

_told: list[str] = []
_waiting: list[Callable[[str], object]] = []


def expect(opens: Callable[[str], object]) -> bool:
    """Has `opens` called with the visitor's address; at once, and True is returned, where they have come already."""
    if _told:
        opens(_told.pop())
        return True
    _waiting.append(opens)
    return False


def arrived(query: str) -> None:
    """Tells that the visitor has come, and what their address has after its path. The server calls this, once."""
    if _waiting:
        _waiting.pop()(query)
    else:
        _told.append(query)
