"""The desk of the rule editor: the document with its steps, what can be named, and who is told of a change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from optinb.rules import PURCHASE
from optinb.views.editor import edits
from optinb.views.editor.document import (
    CONDITION,
    NEW,
    WHERE,
    condition,
    core,
    group_of,
    joined,
    kind_in,
    kind_measured,
    operator_of,
    parts,
    texts_of,
    unit_in,
    with_core,
    with_texts,
)
from optinb.views.editor.holes import OPERATORS, shown, write
from optinb.views.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optinb.rules import Kind
    from optinb.segments import Distribution, Vocabulary
    from optinb.views.debounce import LatestOnly
    from optinb.views.editor.document import Path
    from optinb.views.editor.holes import Json


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
        document: Json,
        *,
        vocabulary: Vocabulary,
        distribution: Callable[[str], Distribution],
        changed: Callable[[Path | None], None],
    ) -> None:
        self.history: History = History(document)
        self.vocabulary = vocabulary
        self._changed = changed
        self._distribution = distribution
        self._known: dict[str, Distribution] = {}
        self._quiet = 0

    @property
    def document(self) -> Json:
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

    def put(self, document: Json, *, topic: str = "", focus: Path | None = None) -> None:
        """Makes a document the next step."""
        history = self.history.do(document, topic=topic)
        if history is not self.history:
            self.history = history
            self._changed(focus)

    def set(self, path: Path, *, topic: str = "", **fields: Any) -> None:
        """Changes fields of a part; `topic` joins the letters that are typed into one blank."""
        changed = edits.change(self.document, path, **fields)
        self.put(changed, topic=f"{path} {topic}" if topic else "")

    def join(self, path: Path, how: str) -> None:
        """Joins the parts of a group otherwise, a key of `words.JOINED`."""
        self.put(edits.join(self.document, path, how))

    def add(self, path: Path, what: str) -> None:
        """Adds a new line, a key of NEW, to the group at a path; in place of one alone that nobody has filled in."""
        lines = parts(edits.group_at(self.document, path))
        if list(lines) == [CONDITION] and what != "attribute":
            self.put(edits.with_part(self.document, (*path, 0), NEW[what]), focus=(*path, 0))
        else:
            self.put(edits.add(self.document, path, NEW[what]), focus=(*path, len(lines)))

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
        unwrapped = joined(part)
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

    def swap(self, path: Path, inner: Json) -> None:
        """Puts another line in the place of one, negated as that was."""
        self._set_line(path, with_core(edits.part_at(self.document, path), inner))

    def write(self, path: Path, field: str, kind: str, text: str) -> None:
        """Writes a text into a blank of a line."""
        self.set(path, topic=field, **{field: write(kind, text)})

    def write_texts(self, path: Path, texts: Sequence[str], *, topic: str = "", unit: str = "") -> None:
        """Writes texts into the blanks of a condition; `unit` is that of a day, as before unless given."""
        self._set_line(path, with_texts(edits.part_at(self.document, path), texts, unit), topic)

    def choose_attribute(self, path: Path, name: str, kinds: Mapping[str, Kind]) -> None:
        """Lets a condition ask about an attribute; what was compared with stays, where it can."""
        line, kind = edits.part_at(self.document, path), kinds.get(name, "text")
        op = operator_of(line)
        named = with_core(line, core(line) | {"attribute": write("attribute", name)})
        if kind not in OPERATORS[op].kinds:
            op = "eq" if kind != "day" else "ge"
            named = with_core(line, condition(write("attribute", name), op, kind))
        elif kind != kind_in(line, kinds):
            named = with_core(line, core(condition(write("attribute", name), op, kind)))
        self._set_line(path, named, "attribute")

    def choose_operator(self, path: Path, op: str, kinds: Mapping[str, Kind]) -> None:
        """Compares in another way; the first value stays, where the operator takes one."""
        line = edits.part_at(self.document, path)
        texts = () if op == "birthday" else texts_of(line)
        made = condition(core(line)["attribute"], op, kind_in(line, kinds), texts, unit_in(line))
        # what is known is what isn't missing: both say so in their words, and not by how the line begins
        says_itself = op in ("missing", "known") or operator_of(line) == "known"
        self._set_line(path, made if says_itself else with_core(line, made))

    def choose_measure(self, path: Path, measure: str) -> None:
        """Lets a behaviour be measured otherwise."""
        did = core(edits.part_at(self.document, path))
        is_day, was_day = (m in ("first", "last") for m in (measure, did["measure"]))
        text = shown(did["value"]) if is_day == was_day else "" if is_day else "1"
        numbers = [name for name, kind in self.columns(shown(did["event"])).items() if kind == "number"]
        column = None
        if measure in ("total", "average"):
            column = write(measure, shown(did["column"]) or (numbers[0] if numbers else ""))
        value = did["value"] if is_day and was_day else write(kind_measured(measure), text)
        self.set(path, measure=measure, value=value, column=column)

    def add_where(self, path: Path) -> None:
        """Begins a condition on the columns of a behaviour."""
        where = core(edits.part_at(self.document, path))["filter"] or group_of("all", [])
        more = group_of(joined(where), [*parts(where), CONDITION])
        self.put(edits.change(self.document, path, filter=more), focus=(*path, WHERE, len(parts(where))))

    def _set_line(self, path: Path, line: Json, topic: str = "") -> None:
        self.put(edits.with_part(self.document, path, line), topic=f"{path} {topic}" if topic else "")

    def columns(self, event: str) -> dict[str, Kind]:
        """The columns of what customers did, with their kinds."""
        return self.vocabulary.purchases if event == PURCHASE else self.vocabulary.events

    def distribution(
        self, attribute: str, latest_only: LatestOnly, told: Callable[[Distribution | Exception], None]
    ) -> None:
        """Tells how an attribute is distributed; at once, where that is known already."""
        if attribute in self._known:
            latest_only.forget()
            told(self._known[attribute])
            return

        def keep(found: Distribution | Exception) -> None:
            if not isinstance(found, Exception):
                self._known[attribute] = found
            told(found)

        latest_only.ask(lambda: self._distribution(attribute), keep)
