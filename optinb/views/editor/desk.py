"""The desk of the rule editor: the document with its steps, what can be named, and who is told of a change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from optinb.rules import PURCHASE
from optinb.views.editor import edits
from optinb.views.editor.document import (
    WHERE,
    AppPart,
    BehaviourPart,
    CampaignPart,
    Code,
    Condition,
    GroupPart,
    Saved,
    Window,
)
from optinb.views.editor.edits import History
from optinb.views.editor.words import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from optinb.rules import Kind
    from optinb.segments import Distribution, Vocabulary
    from optinb.views.editor.document import Line, Path
    from optinb.views.newest import Newest

# what a new line begins with
NEW: dict[str, Line] = {
    "attribute": Condition(),
    "behaviour": BehaviourPart(window=Window("last", days="30")),
    "nested": GroupPart("any", (Condition(),)),
    "app": AppPart(),
    "campaign": CampaignPart(),
    "saved": Saved(),
    "list": Saved("list"),
    "code": Code(),
}


class Desk:
    """What the widgets of the editor work on. They tell it what a person does, and are shown the new document then.

    Args:
        document: to begin with.
        vocabulary: what can be named.
        distribution: how an attribute is distributed; called in a thread, once for each.
        changed: called after each change, with the path that should get the focus, if any.
    """

    def __init__(
        self,
        document: GroupPart,
        *,
        vocabulary: Vocabulary,
        distribution: Callable[[str], Distribution],
        changed: Callable[[Path | None], None],
    ) -> None:
        self.history = History(document)
        self.vocabulary = vocabulary
        self._changed = changed
        self._distribution = distribution
        self._known: dict[str, Distribution] = {}
        self._quiet = 0

    @property
    def document(self) -> GroupPart:
        """The document as it is now."""
        return self.history.now

    @property
    def is_quiet(self) -> bool:
        """Whether widgets are just being shown something, so that their changes are nobody's."""
        return self._quiet > 0

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While widgets are shown something."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def put(self, document: GroupPart, *, topic: str = "", focus: Path | None = None) -> None:
        """Makes a document the next step."""
        history = self.history.do(document, topic=topic)
        if history is not self.history:
            self.history = history
            self._changed(focus)

    def set(self, path: Path, *, topic: str = "", **fields: Any) -> None:
        """Changes fields of a part; `topic` joins the letters that are typed into one blank."""
        changed = edits.change(self.document, path, **fields)
        self.put(changed, topic=f"{path} {topic}" if topic else "")

    def add(self, path: Path, what: str) -> None:
        """Adds a new line, a key of NEW, to the group at a path."""
        place = len(edits.group_at(self.document, path).parts)
        self.put(edits.add(self.document, path, NEW[what]), focus=(*path, place))

    def remove(self, path: Path) -> None:
        """Takes a part away."""
        self.put(edits.remove(self.document, path))

    def move(self, path: Path, by: int) -> None:
        """Moves a part a line up (-1) or down (1)."""
        document, moved = edits.move(self.document, path, by)
        self.put(document, focus=moved)

    def copy(self, path: Path) -> None:
        """Adds the same part once more below."""
        self.put(edits.copy(self.document, path), focus=(*path[:-1], path[-1] + 1))

    def negate(self, path: Path) -> None:
        """Turns a part into its opposite."""
        self.put(edits.negate(self.document, path))

    def wrap(self, path: Path) -> None:
        """Puts a part into a group of its own, or a group's parts into the group around it."""
        part = edits.part_at(self.document, path)
        unwrapped = isinstance(part, GroupPart)
        self.put(edits.unwrap(self.document, path) if unwrapped else edits.wrap(self.document, path))

    def undo(self) -> None:
        """Takes the last step back."""
        self._step(self.history.undo())

    def redo(self) -> None:
        """Makes the step again that was taken back."""
        self._step(self.history.redo())

    def _step(self, history: History) -> None:
        if history is not self.history:
            self.history = history
            self._changed(None)

    def choose_attribute(self, path: Path, name: str, kinds: Mapping[str, Kind]) -> None:
        """Lets a condition ask about an attribute; what was compared with stays, where it can."""
        part, kind = edits.part_at(self.document, path), kinds.get(name, "text")
        if not isinstance(part, Condition):
            return
        fits = kind in OPERATORS[part.op].kinds
        op = part.op if fits else "eq" if kind != "day" else "ge"
        values = part.values if fits and kind == part.kind else blanks_of(op)
        unit = part.unit if kind == part.kind else "days_ago" if kind == "day" else "date"
        self.set(path, topic="attribute", attribute=name, kind=kind, op=op, values=values, unit=unit)

    def choose_operator(self, path: Path, op: str) -> None:
        """Compares in another way; the first value stays, where the operator takes one."""
        part = edits.part_at(self.document, path)
        if isinstance(part, Condition):
            takes = OPERATORS[op].takes
            values = part.values if takes is None else (*part.values, *blanks_of(op))[:takes]
            if op == "anniversary":
                values = blanks_of(op)
            self.set(path, op=op, values=values or (("",) if takes is None else ()))

    def choose_event(self, path: Path, event: str) -> None:
        """Lets a behaviour be about something else; conditions on columns that it hasn't stay, to be mended."""
        self.set(path, event=event)

    def choose_measure(self, path: Path, measure: str) -> None:
        """Lets a behaviour be measured otherwise."""
        part = edits.part_at(self.document, path)
        if not isinstance(part, BehaviourPart):
            return
        is_day, was_day = (m in ("first", "last") for m in (measure, part.measure))
        value = part.value if is_day == was_day else "" if is_day else "1"
        columns = self.columns(part.event)
        numbers = [name for name, kind in columns.items() if kind == "number"]
        column = (part.column or (numbers[0] if numbers else "")) if measure in ("total", "average") else ""
        unit = part.unit if is_day == was_day else "days_ago"
        self.set(path, measure=measure, value=value, column=column, unit=unit)

    def add_where(self, path: Path) -> None:
        """Begins a condition on the columns of a behaviour."""
        part = edits.part_at(self.document, path)
        if isinstance(part, BehaviourPart):
            where = replace(part.where, parts=(*part.where.parts, Condition()))
            self.put(edits.change(self.document, path, where=where), focus=(*path, WHERE, len(where.parts) - 1))

    def columns(self, event: str) -> dict[str, Kind]:
        """The columns of what customers did, with their kinds."""
        return self.vocabulary.purchases if event == PURCHASE else self.vocabulary.events

    def distribution(self, attribute: str, newest: Newest, told: Callable[[Distribution | Exception], None]) -> None:
        """Tells how an attribute is distributed; at once, where that is known already."""
        if attribute in self._known:
            newest.forget()
            told(self._known[attribute])
            return

        def keep(found: Distribution | Exception) -> None:
            if not isinstance(found, Exception):
                self._known[attribute] = found
            told(found)

        newest.ask(lambda: self._distribution(attribute), keep)


def blanks_of(op: str) -> tuple[str, ...]:
    """The blanks of an operator that nothing is written into yet."""
    if op == "anniversary":
        return ("0", "7")
    takes = OPERATORS[op].takes
    return ("",) * (1 if takes is None else takes)
