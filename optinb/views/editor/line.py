"""What every line of the editor has, and lines about apps, campaigns, saved groups and lists, and of code."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.rules.build import RESPONSE_DAYS
from optinb.views.controls import Pane
from optinb.views.editor.blanks import Pick, WindowBlanks, arrange, blank, offer, on_change, pick, put, tool, word
from optinb.views.editor.document import NEW, core, is_negated
from optinb.views.editor.holes import WHAT, shown, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import Path, Problem
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


FIELDS = {"group": "group", "list": "name"}


class AppView(LineView):
    """Which app customers use."""

    leads = ("who use", "who don't use")
    what = "the app"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.app = Pick(desk, "App", lambda new: desk.set(self.path, app=new or None))
        self.platform = Pick(desk, "Platform", lambda new: desk.set(self.path, platform=new or None))
        self.low = blank(w.Text, "Version at least", of="ob-short", placeholder="any")
        self.high = blank(w.Text, "Version below", of="ob-short", placeholder="any")
        self.window = WindowBlanks(desk, lambda: self.path, "last_used", label="Last used", ever="at any time")
        self.words = {text: word(text) for text in ("on", "from version", "to before", "last used")}
        on_change(desk, self.low, lambda new: desk.set(self.path, topic="low", version_from=new.strip() or None))
        on_change(desk, self.high, lambda new: desk.set(self.path, topic="high", version_to=new.strip() or None))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        apps = self.desk.vocabulary.apps
        platforms = dict.fromkeys(platform for _, platform in apps.values())
        named = {name: f"{called} ({name})" for name, (called, _) in apps.items()}
        self.first = app = self.app.show({"": "any app", **named}, shown(line["app"]))
        platform = self.platform.show({"": "any platform", **{p: p for p in platforms}}, shown(line["platform"]))
        put(self.low, shown(line["version_from"]))
        put(self.high, shown(line["version_to"]))
        words, window = self.words, self.window.show(line["last_used"])
        on = () if line["app"] and not line["platform"] else (words["on"], platform)
        versions = (words["from version"], self.low, words["to before"], self.high)
        arrange(self.sentence, self.lead, app, *on, *versions, words["last used"], *window)


class CampaignView(LineView):
    """What campaigns did."""

    leads = ("who", "who never")
    what = "the campaign"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.campaign_did = pick("What happened", WHAT)
        self.campaign = Pick(desk, "Campaign", lambda new: desk.set(self.path, campaign=new or None))
        self.times = blank(w.Text, "How many times at least", of="ob-short")
        self.days = blank(w.Text, "Days in which a purchase counts", of="ob-short")
        self.window = WindowBlanks(desk, lambda: self.path, "window", label="Sent", ever="at any time")
        self.words = {
            text: word(text) for text in ("at least", "times, sent", "time, sent", "by buying within", "days,")
        }
        self.first = self.campaign_did
        on_change(desk, self.campaign_did, self._happened)
        on_change(desk, self.times, lambda new: desk.write(self.path, "times", "times", new))
        on_change(desk, self.days, lambda new: desk.write(self.path, "response_days", "response", new))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        names = {name: name for name in self.desk.vocabulary.campaigns}
        offer(self.campaign_did, WHAT, line["what"])
        campaign = self.campaign.show({"": "any campaign", **names}, shown(line["campaign"]))
        put(self.times, shown(line["times"]))
        put(self.days, shown(line["response_days"]))
        words, window = self.words, self.window.show(line["window"])
        answered = (words["by buying within"], self.days, words["days,"]) if line["what"] == "responded" else ()
        often = (words["at least"], self.times, words["time, sent" if line["times"] == 1 else "times, sent"])
        arrange(self.sentence, self.lead, self.campaign_did, campaign, *answered, *often, *window)

    def _happened(self, what: str) -> None:
        """Only a response has days in which it counts."""
        self.desk.set(self.path, what=what, response_days=RESPONSE_DAYS if what == "responded" else None)


class SavedView(LineView):
    """Belongs to a saved group, or stands on a list."""

    leads = ("who are in", "who are not in")
    what = "the group or list"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.kind = pick("Group or list", {"group": "the group", "list": "the list"})
        self.name = Pick(desk, "Name", self._name)
        on_change(desk, self.kind, lambda new: desk.swap(self.path, NEW[new]))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        kind, vocabulary = _kind(line), self.desk.vocabulary
        known = vocabulary.groups if kind == "group" else vocabulary.lists
        offer(self.kind, {"group": "the group", "list": "the list"}, kind)
        first = f"choose a {kind}" if known else f"no {kind} is saved yet"
        self.first = name = self.name.show({"": first, **{name: name for name in known}}, shown(line[FIELDS[kind]]))
        tied = (word(f"with the content {line['sha256'][:12]}"),) if line.get("sha256") else ()
        arrange(self.sentence, self.lead, self.kind, name, *tied)

    def _name(self, name: str) -> None:
        """Names another; a list isn't tied to the content of the one before."""
        kind = _kind(core(self.line))
        self.desk.swap(self.path, NEW[kind] | {FIELDS[kind]: write(kind, name)})


class CodeView(LineView):
    """A part of the rule as code."""

    leads = ("for whom holds", "for whom does not hold")
    what = "the code"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.code = blank(w.Textarea, "Part of the rule as code", rows=2, placeholder='attr("country") == "DE"')
        self.code.add_class("ob-code")
        self.first = self.code
        on_change(desk, self.code, lambda new: desk.write(self.path, "text", "code", new))

    def fill(self, line: Json, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        put(self.code, shown(line["text"]))
        arrange(self.sentence, self.lead, self.code)


def _kind(line: Json) -> str:
    """Whether a line is about a saved group or a list."""
    return line["is"].removeprefix("in_")
