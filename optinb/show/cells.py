"""Teaches the running IPython to show optinb's values at the end of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.base.printable import printable
from optinb.show.registry import ROOMS, entries, html_or_none, text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def install(shell: InteractiveShell | None = None) -> None:
    """Registers how optinb's values look in IPython; where none is running, it does nothing.

    Args:
        shell: the one to register with; the running one when left out.
    """
    if shell is None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
    formatter: Any = shell.display_formatter if shell else None
    if formatter is None:
        return
    html = formatter.formatters["text/html"]
    plain = formatter.formatters["text/plain"]
    for entry in {entry for room in ROOMS for entry in entries(room)}:
        module, _, name = entry.kind.rpartition(".")
        plain.for_type_by_name(module, name, _plain)
        if entry.html:
            html.for_type_by_name(module, name, html_or_none)
    for kind in (list, tuple):
        if html.for_type(kind) is None:
            html.for_type(kind, html_or_none)


def _plain(value: Any, printer: Any, cycle: bool) -> None:
    printer.text(repr(value) if cycle else printable(text(value)))
