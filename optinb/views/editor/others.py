"""Lines about apps, campaigns, saved groups and lists, and lines of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.rules.build import RESPONSE_DAYS
from optinb.views.editor.blanks import Pick, WindowBlanks, arrange, blank, offer, on_change, pick, put, word
from optinb.views.editor.document import NEW, core
from optinb.views.editor.holes import shown, write
from optinb.views.editor.line import LineView
from optinb.views.editor.words import WHAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.holes import Json

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
        self.words = {text: word(text) for text in ("at least", "times, sent", "by buying within", "days,")}
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
        often = (words["at least"], self.times, words["times, sent"])
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
