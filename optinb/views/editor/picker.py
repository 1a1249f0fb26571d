"""The attribute picker: a search, a list, and how the chosen attribute is distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.show.segments import distribution as distribution_of
from optinb.views.controls import Pane, field
from optinb.views.editor.blanks import on_change, put
from optinb.views.latest_only import LatestOnly

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.segments import Distribution, Vocabulary
    from optinb.views.editor.desk import Desk

KEPT_LISTS = 3  # of those that a search has replaced


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
        self._desk, self._latest_only, self._chosen = desk, LatestOnly(), chosen
        self._old: list[w.Select] = []
        self._current = ""
        self.search = field(w.Text, "Search attributes", placeholder="a name or a meaning", continuous_update=True)
        self.list = self._made(())
        self.about = Pane()
        self._left, right = w.VBox((self.search, self.list)), w.VBox((self.about,))
        self._left.add_class("ob-column")
        right.add_class("ob-column")
        super().__init__((self._left, right))
        self.add_class("ob-picker")
        on_change(desk, self.search, lambda _: self._offer())

    def show(self, attribute: str) -> None:
        """Shows the attribute that is chosen."""
        self._current = attribute
        self._offer()
        vocabulary = self._desk.vocabulary
        if attribute not in vocabulary.attributes:
            self.about.say("Choose an attribute to see its values.")
            return
        self.about.say("Looking at its values …")
        self._desk.distribution(attribute, self._latest_only, self._tell)

    def _offer(self) -> None:
        vocabulary = self._desk.vocabulary
        names = found(vocabulary, self.search.value)
        if self._current in vocabulary.attributes and self._current not in names:
            names = [self._current, *names]  # the chosen one stays in sight
        options = tuple((f"{name} ({vocabulary.attributes[name]})", name) for name in names)
        if self.list.options != options:
            # a new list, not new options: a choice from the one that was just read must mean what was read
            self._old.append(self.list)
            self.list = self._made(options)
            self._left.children = (self.search, self.list)
            for old in self._old[:-KEPT_LISTS]:
                old.close()
            self._old = self._old[-KEPT_LISTS:]
        with self._desk.showing():
            put(self.list, self._current if self._current in names else None)

    def _made(self, options: tuple[tuple[str, str], ...]) -> Any:
        made = field(w.Select, "Attributes", rows=8, options=options, value=None)
        on_change(self._desk, made, lambda new: self._chosen(new) if new else None)
        return made

    def _tell(self, distribution: Distribution | Exception) -> None:
        if isinstance(distribution, Exception):
            self.about.say(str(distribution), kind="bad")
            return
        meaning = self._desk.vocabulary.meanings.get(distribution.attribute, "")
        self.about.show(distribution_of(distribution, meaning))
