"""The rule editor: any rule of the language without code, with its sentence, its exact count and its reach."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from shlex import quote
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import msgspec
from msgspec.structs import replace

from optinb.errors import CampaignError, OptinbError, RuleError
from optinb.measure.pages import moment
from optinb.rules import Node, parse, sentence, to_json, to_text
from optinb.show.customers import download, figures, tally
from optinb.views.controls import Pane, box, button, field, heading, on_enter, styles
from optinb.views.debounce import Debounce, LatestOnly, follow
from optinb.views.editor.blanks import put, soon, tool
from optinb.views.editor.clicked import with_value
from optinb.views.editor.desk import Desk
from optinb.views.editor.document import NEW, Problem, build, document_of, group_of
from optinb.views.editor.groups import GroupView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.rules import Rule
    from optinb.segments import GroupExport, Preview, Vocabulary
    from optinb.segments.profile import Band
    from optinb.views.editor.document import Built, Path
    from optinb.views.editor.holes import Json
    from optinb.workspace import Workspace

COUNTING = '<div class="ob-counting">counting …</div>'
KEEP_S = 0.5  # after the last edit, until it is kept
PAUSE_S = 0.05  # of somebody who types, before a count begins
EVERYWHERE = "All apps"
WRITING = '<div class="ob-counting">writing …</div>'
MOST_EXPORTED = 100_000  # members that a page takes along as a file; about 2 MB
TOO_MANY = (
    "A page gives at most {most:,} customers as a file. Save the group, and have it written by the command "
    "optinb groups export {name} --file members.csv"
)


class RuleEditor(w.VBox):
    """The editor. `rule` is what it says now, None while something is missing; its controls are attributes."""

    def __init__(
        self,
        ws: Workspace,
        *,
        rule: Rule | str | None = None,
        group: str | None = None,
        plan: Callable[[str], object] | None = None,
    ) -> None:
        """Args: `rule` or the `group` of a name to begin with; `plan` plans a campaign for a group that was saved."""
        super().__init__()
        self.add_class("ob-view")
        self.add_class("ob-editor")
        self._ws, self._plan, self._saved = ws, plan, ""
        self._latest_only, self._count_soon = LatestOnly(), Debounce(self._count, pause_s=PAUSE_S)
        self._vocabulary, self._exporting = LatestOnly(), LatestOnly()
        self._focus_soon: Path | None = None
        self._code_error = ""
        self.preview: Preview | None = None
        self.desk = Desk(
            _first(ws, rule, group), vocabulary=ws.vocabulary(), distribution=ws.distribution, changed=self._changed
        )
        self.built: Built = build(self.desk.document)
        self._what = f"rule editor\n{group or ''}\n{_written(self.desk.document)}"
        self._first, self._keep_soon = self.desk.document, Debounce(self._keep, pause_s=KEEP_S)
        self._make_controls(group or "")
        self._offer_kept()
        self._changed(None)
        follow(self, lambda: tuple(g.name for g in ws.groups.list()), self._learn_groups)
        follow(self, lambda: ws.warehouse.current, lambda _version: self._read_again())

    @property
    def rule(self) -> Rule | None:
        """The rule, or None while something is missing."""
        return None if self._code_error else self.built.rule

    def begin(self) -> None:
        """Opens the list of attributes of a first line that isn't filled in yet."""
        line = self.tree.lines[0]
        if self.desk.document == group_of("all", [NEW["attribute"]]) and line.picker is None:
            line.list_attributes()

    def take_value(self, attribute: str, bands: Sequence[Band], place: int) -> None:
        """Adds a condition to the rule: that an attribute has the values of one of its bands.

        Args:
            attribute: its name.
            bands: of its values, as a comparison or a distribution has them.
            place: of one of them.
        """
        kind = self.desk.vocabulary.attributes[attribute]
        self.desk.put(with_value(self.desk.document, attribute, bands, place, kind))

    def _learn_groups(self, names: tuple[str, ...]) -> None:
        """Lets lines name groups that were saved meanwhile."""
        self.desk.vocabulary = replace(self.desk.vocabulary, groups=names)
        self._show(self.built.problems)

    def _read_again(self) -> None:
        """Counts on the version that was published meanwhile, whose attributes and events may be others."""
        self._recount()
        self._vocabulary.ask(self._ws.vocabulary, self._learn)

    def _learn(self, found: Vocabulary | Exception) -> None:
        if not isinstance(found, Exception):
            self.desk.vocabulary = found
            self._show(self.built.problems)

    def _make_controls(self, name: str) -> None:
        self.sentence = Pane()
        self.undo, self.redo = tool("undo", "Undo"), tool("repeat", "Redo")
        self.as_code = w.ToggleButton(description="Code", tooltip="Show and write the rule as code")
        self.as_code.layout.width = "auto"
        self.as_code.add_class("ob-add")
        self.tree = GroupView(self.desk)
        self.code = field(w.Textarea, "Rule as code", rows=4)
        self.code.add_class("ob-code")
        self.about_code = Pane()
        self._code = box(self.code, self.about_code, of="ob-column")
        self._code.layout.display = "none"
        groups = [EVERYWHERE, *(g.name for g in self._ws.settings.app_groups)]
        self.app_group = field(w.Dropdown, "Reach in", options=groups)
        self.figures = Pane()
        self.name = field(w.Text, "Name of the group", value=name, placeholder="such as Lapsed buyers")
        self.about_name = Pane()
        self.save = button("Save group", style="primary")
        self.export = button("Members as CSV", tooltip="The ids of the customers, for a spreadsheet")
        self.exported = Pane()
        self.result = Pane()
        self.go_on = button("Plan a campaign with it", style="primary")
        bar = box(self.undo, self.redo, self.as_code, of="ob-buttons")
        saving = box(self.name, self.save, self.export, of="ob-saving")
        told = box(self.about_name, self.result, box(self.go_on, of="ob-buttons"), self.exported, of="ob-column")
        end = box(saving, told, of="ob-column")
        end.add_class("ob-finish")  # stays in sight
        left = box(bar, self.tree, self._code, end, of="ob-column")
        right = box(heading("How many"), self.app_group, self.figures, of="ob-column")
        right.add_class("ob-beside")
        self.tally = Pane()  # the count in a line, which stays in sight where the figures can't
        self.tally.add_class("ob-tally")
        columns = box(left, right, of="ob-columns")
        columns.add_class("ob-uneven")
        self.about_kept = Pane()
        self.continue_kept, self.discard_kept = button("Continue with it", style="primary"), button("Discard it")
        self.kept = box(self.about_kept, box(self.continue_kept, self.discard_kept, of="ob-buttons"), of="ob-column")
        self.children = (styles(), self.kept, self.sentence, self.tally, columns)
        self.undo.on_click(lambda _: self.desk.undo())
        self.redo.on_click(lambda _: self.desk.redo())
        self.as_code.observe(lambda change: self._show_code(shown=change.new), "value")
        self.code.observe(self._code_written, "value")
        self.app_group.observe(lambda _: self._recount(), "value")
        self.name.observe(lambda _: self._describe_name(), "value")
        self.save.on_click(lambda _: self._save())
        on_enter(self.name, self._save)
        self.go_on.on_click(lambda _: self._plan and self._plan(self._saved))
        self._offer_plan("")
        self.export.on_click(lambda _: self._export())
        self.continue_kept.on_click(lambda _: self._continue())
        self.discard_kept.on_click(lambda _: self._discard())
        self._describe_name()

    def _changed(self, focus: Path | None) -> None:
        """Shows the new document; the old figures go at once."""
        self.built = build(self.desk.document)
        self._code_error = ""
        self._show(self.built.problems)
        self.undo.disabled = not self.desk.history.before
        self.redo.disabled = not self.desk.history.after
        self.result.say("")
        self._offer_plan("")
        self._exporting.forget()
        self.exported.say("")
        rule = self.built.rule
        if rule is not None and not _same(self.code.value, rule):
            with self.desk.showing():
                put(self.code, to_text(rule))
        self.about_code.say("" if rule is not None else "Here is the last rule that was complete.")
        self._focus_soon = focus
        if focus is not None:
            soon(self._focus)
        if self.desk.history.before or self.desk.history.after:
            self._keep_soon()
        self._recount()

    def _keep(self) -> None:
        """Keeps the document as it is, so that a closed browser or a restarted kernel doesn't lose it."""
        with suppress(OSError, OptinbError):  # whoever may not write here can still look
            if self.desk.document == self._first:
                self._ws.unsaved.forget(self._what)
            else:
                self._ws.unsaved.keep(self._what, _written(self.desk.document))
        self._hide_kept()

    def _offer_kept(self) -> None:
        """Offers what was being written last, from the same beginning."""
        try:
            found = self._ws.unsaved.get(self._what)
            self._last = msgspec.json.decode(found.body) if found else None
        except (OptinbError, msgspec.MsgspecError):
            found = self._last = None
        self._hide_kept()
        if found is not None and self._last is not None and self._last != self._first:
            when = moment(found.kept_at, self._ws.settings.zone)
            self.about_kept.say(f"A rule that you haven't saved is kept from {when}.", kind="good")
            self.kept.layout.display = ""

    def _hide_kept(self) -> None:
        self.kept.layout.display = "none"

    def _continue(self) -> None:
        if self._last is not None:
            self.desk.put(self._last)
        self._hide_kept()

    def _discard(self) -> None:
        self._ws.unsaved.forget(self._what)
        self._hide_kept()

    def _show(self, problems: tuple[Problem, ...]) -> None:
        with self.desk.showing():
            self.tree.show(self.desk.document, (), problems)

    def _recount(self) -> None:
        self._latest_only.forget()
        self._count_soon.stop()
        self.preview = None
        rule = self.rule
        if rule is None:
            self._say_what_is_missing()
            return
        said = sentence(rule, self.desk.vocabulary.labels)
        self.sentence.show(f'<blockquote class="ob-says">{escape(said)}</blockquote>')
        self.figures.show(COUNTING)
        self.tally.show(COUNTING)
        self._count_soon()

    def _say_what_is_missing(self) -> None:
        self.tally.say("Not counted yet: something is still missing.")
        if self._code_error:
            self.sentence.say("The code can't be read yet.")
            self.figures.say("Mend the code, and the customers are counted.")
            return
        count = len(self.built.problems)
        what = "One thing is" if count == 1 else f"{count:,} things are"
        self.sentence.say(f"{what} still to be filled in; see the marked line{'s' if count > 1 else ''}.")
        self.figures.say("The customers are counted as soon as the rule is complete.")

    def _count(self) -> None:
        rule, app_group = self.rule, self.app_group.value
        if rule is not None:
            only = None if app_group == EVERYWHERE else app_group
            self._latest_only.ask(lambda: self._ws.preview(rule, app_group=only), self._tell)

    def _tell(self, found: Preview | Exception) -> None:
        if isinstance(found, RuleError):
            self._show((self.built.place(str(found)),))
            self.figures.say("This rule can't be counted; the marked line says why.", kind="bad")
            self.tally.say("Not counted: the marked line says why.")
            return
        unforeseen = "The customers couldn't be counted; see the log of the notebook."
        self.tally.say("Not counted." if isinstance(found, Exception) else "")
        self.figures.tell(found, self._show_figures, unforeseen=unforeseen)

    def _show_figures(self, found: Preview) -> None:
        self.preview = found
        self.figures.show(figures(found), role="status")
        self.tally.show(tally(found))

    def _show_code(self, *, shown: bool) -> None:
        self._code.layout.display = "" if shown else "none"

    def _code_written(self, change: Any) -> None:
        """Reads the code; while it can't be read, the lines stay and nothing is counted."""
        if self.desk.is_quiet:
            return
        try:
            document = document_of(parse(change.new)) if change.new.strip() else group_of("all", [NEW["attribute"]])
        except RuleError as error:
            self._code_error = str(error)
            self.about_code.say(self._code_error, kind="bad")
            self._recount()
            return
        before = self.desk.history
        self.desk.put(document, topic="code")
        if self.desk.history is before:
            self._code_error = ""
            self.about_code.say("")
            self._recount()

    def _focus(self) -> None:
        """Puts the focus on the line that was added or moved."""
        view: Any = self.tree
        for step in self._focus_soon or ():
            if step >= 0 and step < len(view.lines):
                view = view.lines[step]
            elif step < 0 and view.where is not None:
                view = view.where
            else:
                return
        view.first.focus()

    def _describe_name(self) -> None:
        """Says when a group of this name is there already."""
        try:
            record = self._ws.groups.get(self.name.value.strip()) if self.name.value.strip() else None
        except CampaignError:
            record = None
        self.about_name.say(
            f"“{record.name}” is saved already: version {record.version}, by {record.author}. Another rule becomes its "
            "next version, and campaigns with it must be approved again."
            if record
            else ""
        )

    def _save(self) -> None:
        if self.rule is None:
            self.result.say("The rule isn't complete yet, so that it can't be saved.", kind="bad")
            return
        with self.result.saying_errors():
            record = self._ws.groups.save(self.name.value, self.rule)
            self.about_name.say("")
            self._keep_soon.stop()
            self._ws.unsaved.forget(self._what)
            self.result.say(f"“{record.name}” is saved as version {record.version}.", kind="good")
            self._offer_plan(record.name)

    def _offer_plan(self, name: str) -> None:
        """Offers to plan a campaign for the group that was just saved; for none of it any more once it changes."""
        self._saved = name
        self.go_on.layout.display = "" if name and self._plan is not None else "none"

    def _export(self) -> None:
        """Has the members of the rule as it is now written as CSV."""
        rule, name = self.rule, self.name.value.strip()
        if rule is None:
            self.exported.say("The rule isn't complete yet, so that nobody is in it to be exported.", kind="bad")
            return
        subject = name if name and self._is_saved(name, rule) else rule
        if self.preview is not None and self.preview.customers > MOST_EXPORTED:
            self.exported.say(TOO_MANY.format(most=MOST_EXPORTED, name=quote(name or "NAME")), kind="bad")
            return
        self.exported.show(WRITING)
        self._exporting.ask(lambda: self._ws.groups.export(subject), self._tell_exported)

    def _tell_exported(self, found: GroupExport | Exception) -> None:
        unforeseen = "The members couldn't be written; see the log of the notebook."
        self.exported.tell(found, lambda made: self.exported.show(download(made), role="status"), unforeseen=unforeseen)

    def _is_saved(self, name: str, rule: Rule) -> bool:
        """Whether a group of this name says just this."""
        with suppress(OptinbError):
            return self._ws.groups.get(name).rule_json == to_json(rule)
        return False


def _first(ws: Workspace, rule: Rule | str | None, group: str | None) -> Json:
    """The document to begin with: of a rule, of a saved group, or a line to be filled in."""
    if rule is None and group is None:
        return group_of("all", [NEW["attribute"]])
    found = ws.groups.rule(rule if rule is not None else group or "")
    assert isinstance(found, Node)
    return document_of(found)


def _written(document: Json) -> str:
    return msgspec.json.encode(document).decode()


def _same(text: str, rule: Rule) -> bool:
    """Whether code says a rule already, however it's written: then it stays as somebody writes it."""
    try:
        return to_text(parse(text)) == to_text(rule)
    except RuleError:
        return False
