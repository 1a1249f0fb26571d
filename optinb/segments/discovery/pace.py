"""How far a discovery is, in hundredths."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 100


class Pace:
    """Tells a watcher of whole hundredths, whatever the parts are counted in."""

    def __init__(self, tell: Callable[[int, str], None]) -> None:
        self._tell, self._exact, self._told = tell, 0.0, 0

    def part(self, what: str, *, hundredths: int, of: int) -> Callable[[int], None]:
        """A part of the way: the returned function is told that so many more `of` its whole are done."""
        self._tell(0, what)

        def done(more: int) -> None:
            self._exact = min(self._exact + hundredths * more / max(of, 1), STEPS)
            whole = int(self._exact + 1e-9)
            if whole > self._told:
                self._tell(whole - self._told, "")
                self._told = whole

        return done
