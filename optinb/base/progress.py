"""How far a long step is, for somebody who watches: a terminal, a notebook that a person has open, or a widget."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from optinb.base.logs import KERNEL_OF_A_COMMAND, kernel, watched_stream
from optinb.base.printable import printable

WHOLE = 100

_HUNDREDTHS = "{l_bar}{bar}| [{elapsed}<{remaining}{postfix}]"


OnProgress = Callable[[int, str], object]
"""Hears that so much more is done, and what is next (empty: the same). What it raises ends the work."""


class Advance(Protocol):
    """Tells whoever listens that so much more is done, and what is next."""

    def __call__(self, done: int, what: str = "", /) -> None: ...


def quiet(_done: int, _what: str = "", /) -> None:
    """Tells nobody."""


class Hundredths:
    """Tells a watcher of whole hundredths, whatever the parts of the work are counted in."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self._exact, self._told = on_progress, 0.0, 0

    def part(self, what: str, *, hundredths: float, of: int = 1) -> Callable[[int], None]:
        """A part of the way: the returned function is told that so many more `of` its whole are done."""
        self._on_progress(0, what)

        def done(more: int) -> None:
            self._exact = min(self._exact + hundredths * more / max(of, 1), WHOLE)
            whole = int(self._exact + 1e-9)
            if whole > self._told:
                self._on_progress(whole - self._told, "")
                self._told = whole

        return done


@contextmanager
def progress(
    title: str, *, total: int | None = WHOLE, unit: str = "%", on_progress: OnProgress | None = None
) -> Iterator[Advance]:
    """A bar on standard error, or in the notebook; nothing where nobody watches.

    It stays, whole and green, when the step is done; red and where it stood when the step failed or was interrupted. A
    step that ends in order before all its units are done leaves it as it stood. With `on_progress`, that is told
    instead.
    """
    if on_progress is not None:

        def hand_on(done: int, what: str = "", /) -> None:
            on_progress(done, what)

        yield hand_on
        return
    if not watched():
        yield quiet
        return
    if os.environ.get(KERNEL_OF_A_COMMAND):
        from tqdm.std import tqdm
    else:
        from tqdm.auto import tqdm

    # a number of hundredths, or how many a second, would repeat the bar's own percentage
    form = _HUNDREDTHS if unit == "%" else None
    units = f" {unit}s"
    with tqdm(
        desc=printable(title),
        total=total,
        unit=units,
        unit_scale=True,
        bar_format=form,
        leave=True,
        file=watched_stream(),
    ) as bar:

        def show(done: int, what: str = "", /) -> None:
            if what:
                bar.set_postfix_str(printable(what))
            bar.update(done)

        try:
            yield show
        except BaseException:
            _end(bar, "red")
            raise
        if unit == "%" and total is not None:
            bar.update(total - bar.n)  # of hundredths that rounding has kept back
        if total is None or bar.n >= total:
            _end(bar, "green")


def _end(bar: Any, colour: str) -> None:
    bar.set_postfix_str("", refresh=False)
    if not os.environ.get("NO_COLOR"):
        bar.colour = colour
    bar.refresh()


def watched() -> bool:
    """Whether somebody watches.

    A cell that can't ask its user anything runs without one (papermill, nbconvert), unless a command in a terminal runs
    it.
    """
    notebook = kernel()
    if notebook is None or os.environ.get(KERNEL_OF_A_COMMAND):
        return watched_stream().isatty()
    return bool(getattr(notebook, "_allow_stdin", False))
