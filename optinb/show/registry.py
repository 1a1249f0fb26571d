"""Finds how a value is shown: by the room that its type comes from, so that only that room's module is imported.

Each module has `SHOWN`, an entry for each type. Types are named by text, so that nothing heavy is imported; the HTML of
a type is a template, which gets the value as `shown`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from optinb.base.printable import printable
from optinb.show.pages import page
from optinb.show.tables import cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

# The packages of optinb, and the module beside this one that shows their values.
ROOMS = {
    "base": "workspace",
    "store": "workspace",
    "workspace": "workspace",
    "warehouse": "workspace",
    "appboy": "campaigns",
    "campaigns": "campaigns",
    "planning": "campaigns",
    "customers": "customers",
    "segments": "customers",
    "delivery": "delivery",
    "measure": "delivery",
    "night": "delivery",
}


def fields(value: Any) -> str:
    """The text of what has none of its own: its fields, or what Python says of it."""
    if isinstance(value, msgspec.Struct):
        return "\n".join(f"{name}: {cell(item)}" for name, item in msgspec.structs.asdict(value).items())
    return str(value)


class Shown(NamedTuple):
    """How values of a type are shown.

    Attributes:
        kind: the type by its full name, such as `optinb.segments.reach.Reach`.
        text: makes its text.
        page: the template of its HTML, by its name without the ending; none for what notebooks show as text, too.
        many: whether the template is of several values, which have one table.
    """

    kind: str
    text: Callable[[Any], str] = fields
    page: str = ""
    many: bool = False

    def html(self, shown: Any) -> str:
        """A value, or several where the template is of many, as HTML."""
        return page(f"{self.page}.html.j2", shown=shown)


def entries(room: str) -> tuple[Shown, ...]:
    """How the values of a room of optinb are shown."""
    return import_module(f"optinb.show.{ROOMS[room]}").SHOWN if room in ROOMS else ()


def find(kind: type) -> Shown | None:
    """How values of a type, or of the nearest that it is made from, are shown."""
    for one in kind.__mro__:
        package, _, rest = one.__module__.partition(".")
        if package != "optinb":
            continue
        name = f"{one.__module__}.{one.__qualname__}"
        for entry in entries(rest.partition(".")[0]):
            if entry.kind == name:
                return entry
    return None


def text(value: Any) -> str:
    """A value as text; what has no form of its own is shown as its fields."""
    if entry := find(type(value)):
        return entry.text(value)
    if isinstance(value, list | tuple):
        return "\n\n".join(map(text, value)) if value else "nothing"
    return fields(value)


def html(value: Any) -> str:
    """A value, or values of one type, as HTML.

    Raises:
        TypeError: No HTML is known for it.
    """
    if (shown := html_or_none(value)) is None:
        raise TypeError(f"{type(value).__name__} has no form as HTML")
    return shown


def html_or_none(value: Any) -> str | None:
    """A value as HTML, or values in a list whose type has one table for many; None where no HTML is known."""
    if entry := find(type(value)):
        return entry.html((value,) if entry.many else value) if entry.page else None
    kinds = {type(one) for one in value} if isinstance(value, list | tuple) else set()
    entry = find(kinds.pop()) if len(kinds) == 1 else None
    return entry.html(value) if entry and entry.many else None


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
        if entry.page:
            html.for_type_by_name(module, name, html_or_none)
    for kind in (list, tuple):
        if html.for_type(kind) is None:
            html.for_type(kind, html_or_none)


def _plain(value: Any, printer: Any, cycle: bool) -> None:
    printer.text(repr(value) if cycle else printable(text(value)))
