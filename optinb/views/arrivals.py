"""A kernel that is ready before its visitor: which address they open is told when they come."""

from __future__ import annotations

from collections.abc import Callable

_told: list[str] = []
_waiting: list[Callable[[str], object]] = []


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
