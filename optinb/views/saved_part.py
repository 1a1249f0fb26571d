"""A part of a form that is either the name of something saved, or made on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.views.controls import choose, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SavedPart(w.VBox):
    """A choice among what is saved, and the form of one's own, which is only asked for where none is chosen.

    Its value is the name of the saved one, or what the form reads. The form's controls are also the part's.
    """

    def __init__(self, own: Any, *, label: str, none: str) -> None:
        """Builds the choice.

        Args:
            own: the form (`optinb.views.form.Form`).
            label: above the choice.
            none: what the choice is called that chooses nothing.
        """
        super().__init__()
        self.add_class("ob-column")
        self.changed: Callable[[], None] = lambda: None
        self._own, self._none = own, none
        self.saved = field(w.Dropdown, label, options=[(none, "")])
        self.children = (self.saved, own)
        own.changed = lambda: self.changed()
        self.saved.observe(lambda _: self._chosen(), "value")
        self.offer_saved({})

    def __getattr__(self, name: str) -> Any:
        if "_own" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._own, name)

    def offer_saved(self, called: Mapping[str, str]) -> None:
        """Offers what is saved: by its name, what it is called. What is chosen stays, also if it is saved no more."""
        chosen = self.saved.value
        known = {**({chosen: chosen} if chosen else {}), **called}
        options = [(self._none, ""), *((label, name) for name, label in known.items())]
        if list(self.saved.options) != options:
            choose(self.saved, options, keep=chosen)
        self.saved.layout.display = "" if known else "none"

    def read(self) -> Any:
        """The name of the saved one that is chosen, or the plain JSON of one's own."""
        return self.saved.value or self._own.read()

    def show(self, given: Any) -> None:
        """Sets the choice, or the form."""
        name = given if isinstance(given, str) else ""
        if name and name not in [value for _, value in self.saved.options]:
            self.saved.options = [*self.saved.options, (name, name)]
            self.saved.layout.display = ""
        self.saved.value = name
        self._own.show(None if isinstance(given, str) else given)
        self._arrange()

    def _chosen(self) -> None:
        self._arrange()
        self.changed()

    def _arrange(self) -> None:
        self._own.layout.display = "none" if self.saved.value else ""
