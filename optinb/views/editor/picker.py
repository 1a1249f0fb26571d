"""The attribute picker: a search, a list, and how the chosen attribute is distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views import values
from optinb.views.controls import Pane, field
from optinb.views.editor.blanks import on_change, put
from optinb.views.newest import Newest

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.views.editor.desk import Desk
    from optinb.workspace import Distribution, Vocabulary


def found(vocabulary: Vocabulary, search: str) -> list[str]:
    """The attributes whose name or meaning has every word of a search; those whose name begins with it come first."""
    words = search.casefold().replace("_", " ").split()

    def text(name: str) -> str:
        return f"{name.replace('_', ' ')} {vocabulary.attributes[name]} {vocabulary.meanings.get(name, '')}".casefold()

    fitting = [name for name in vocabulary.attributes if all(word in text(name) for word in words)]
    start = " ".join(words)

    def rank(name: str) -> tuple[bool, bool]:
        plain = name.replace("_", " ").casefold()
        return (not plain.startswith(start), start not in plain)

    return sorted(fitting, key=rank) if words else fitting


class AttributePicker(w.Box):
    """Chooses an attribute of the customer. `chosen` is called with its name."""

    def __init__(self, desk: Desk, chosen: Callable[[str], None]) -> None:
        self._desk, self._newest = desk, Newest()
        self._current = ""
        self.search = field(w.Text, "Search attributes", placeholder="a name or a meaning", continuous_update=True)
        self.list = field(w.Select, "Attributes", rows=8)
        self.about = Pane()
        left, right = w.VBox((self.search, self.list)), w.VBox((self.about,))
        left.add_class("ob-column")
        right.add_class("ob-column")
        super().__init__((left, right))
        self.add_class("ob-picker")
        on_change(desk, self.search, lambda _: self._offer())
        on_change(desk, self.list, lambda new: chosen(new) if new else None)

    def show(self, attribute: str) -> None:
        """Shows the attribute that is chosen."""
        self._current = attribute
        self._offer()
        vocabulary = self._desk.vocabulary
        if attribute not in vocabulary.attributes:
            self.about.say("Choose an attribute to see its values.")
            return
        self.about.say("Looking at its values …")
        self._desk.distribution(attribute, self._newest, self._tell)

    def _offer(self) -> None:
        vocabulary = self._desk.vocabulary
        names = found(vocabulary, self.search.value)
        if self._current in vocabulary.attributes and self._current not in names:
            names = [self._current, *names]  # the chosen one stays in sight
        options = tuple((f"{name} ({vocabulary.attributes[name]})", name) for name in names)
        with self._desk.showing():
            if self.list.options != options:
                self.list.options = options
            put(self.list, self._current if self._current in names else None)

    def _tell(self, distribution: Distribution | Exception) -> None:
        if isinstance(distribution, Exception):
            self.about.say(str(distribution), kind="bad")
            return
        meaning = self._desk.vocabulary.meanings.get(distribution.attribute, "")
        self.about.show(values.distribution(distribution, meaning))
