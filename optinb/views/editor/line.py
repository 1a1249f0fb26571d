"""What every line of the editor has: its sentence, its tools, and what is missing in it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.views.controls import Pane
from optinb.views.editor.blanks import offer, on_change, pick, tool
from optinb.views.editor.document import core, is_negated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Path
    from optinb.views.editor.holes import Json


class LineTools(w.Box):
    """Up, down, copy, group, remove; and of a group its opposite, which a line says by how it begins."""

    def __init__(self, desk: Desk, line: LineView, *, what: str, is_group: bool = False) -> None:
        self.up, self.down = tool("arrow-up", f"Move {what} up"), tool("arrow-down", f"Move {what} down")
        self.copy = tool("copy", f"Copy {what}")
        self.group = tool(
            "outdent" if is_group else "indent", "Dissolve the group" if is_group else f"Put {what} into a group"
        )
        self.remove = tool("trash", f"Remove {what}")
        self.opposite = tool("exchange", f"Turn {what} into its opposite")
        turning = (self.opposite,) if is_group else ()
        super().__init__((self.up, self.down, self.copy, *turning, self.group, self.remove))
        self.add_class("ob-tools")
        self.up.on_click(lambda _: desk.move(line.path, -1))
        self.down.on_click(lambda _: desk.move(line.path, 1))
        self.copy.on_click(lambda _: desk.copy(line.path))
        self.opposite.on_click(lambda _: desk.negate(line.path))
        self.group.on_click(lambda _: desk.wrap(line.path))
        self.remove.on_click(lambda _: desk.remove(line.path))


class LineView(w.VBox):
    """A line. `show` tells it what it is; it tells the desk what a person does.

    `first` is the control that gets the focus when the line is new.
    """

    leads: tuple[str, str] = ("", "")
    what = "the condition"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.path: Path = ()
        self.line: Json = {}
        self.lead = pick("Whether it must hold")
        on_change(desk, self.lead, lambda _: desk.negate(self.path))
        self.sentence = w.Box()
        self.sentence.add_class("ob-sentence")
        self.tools = LineTools(desk, self, what=self.what)
        self.row = w.Box((self.sentence, self.tools))
        self.row.add_class("ob-row")
        self.problem = Pane()
        self.problem.layout.display = "none"
        super().__init__((self.row, self.problem))
        self.add_class("ob-line")
        self.first: Any = self.lead

    def show(self, line: Json, path: Path, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Shows a line at a path; `columns` are those of a behaviour, inside whose conditions it stands."""
        self.path = path
        offer(self.lead, dict(zip(("", "not"), self.leads, strict=True)), "not" if is_negated(line) else "")
        self.say([problem.text for problem in problems if problem.path == path])
        self.line = line
        self.fill(core(line), problems, columns)

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence from the line without its `not`; each kind of line has its own.

        Widgets can't be abstract classes by their metaclass.
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't say how its sentence is filled")

    def say(self, texts: Sequence[str]) -> None:
        """Says what is missing or wrong."""
        say(self.problem, texts)


def say(pane: Pane, texts: Sequence[str]) -> None:
    """Shows problems as a note, or nothing."""
    pane.layout.display = "" if texts else "none"
    pane.show("".join(f'<p class="ob-problem"><span aria-hidden="true">▲</span> {escape(t)}</p>' for t in texts))
