"""Lines about apps, campaigns, saved groups and lists, and lines of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.views.editor.blanks import Pick, WindowBlanks, arrange, blank, offer, on_change, pick, put, word
from optinb.views.editor.line import LineView
from optinb.views.editor.words import WHAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optinb.rules import Kind
    from optinb.views.editor.building import Problem
    from optinb.views.editor.desk import Desk
    from optinb.views.editor.document import AppPart, CampaignPart, Code, Saved


class AppView(LineView):
    """Which app customers use."""

    leads = ("who use", "who don't use")
    what = "the app"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.app = Pick(desk, "App", lambda new: desk.set(self.path, app=new))
        self.platform = Pick(desk, "Platform", lambda new: desk.set(self.path, platform=new))
        self.low = blank(w.Text, "Version at least", of="ob-short", placeholder="any")
        self.high = blank(w.Text, "Version below", of="ob-short", placeholder="any")
        self.window = WindowBlanks(desk, lambda: self.path, label="Last used", ever="at any time")
        self.words = {text: word(text) for text in ("on", "from version", "to before", "last used")}
        on_change(desk, self.low, lambda new: desk.set(self.path, topic="low", version_from=new.strip()))
        on_change(desk, self.high, lambda new: desk.set(self.path, topic="high", version_to=new.strip()))

    def fill(self, line: AppPart, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        apps = self.desk.vocabulary.apps
        platforms = dict.fromkeys(platform for _, platform in apps.values())
        named = {name: f"{called} ({name})" for name, (called, _) in apps.items()}
        self.first = app = self.app.show({"": "any app", **named}, line.app)
        platform = self.platform.show({"": "any platform", **{p: p for p in platforms}}, line.platform)
        put(self.low, line.version_from)
        put(self.high, line.version_to)
        words, window = self.words, self.window.show(line.window)
        on = () if line.app and not line.platform else (words["on"], platform)
        versions = (words["from version"], self.low, words["to before"], self.high)
        arrange(self.sentence, self.lead, app, *on, *versions, words["last used"], *window)


class CampaignView(LineView):
    """What campaigns did."""

    leads = ("who", "who never")
    what = "the campaign"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.campaign_did = pick("What happened", WHAT)
        self.campaign = Pick(desk, "Campaign", lambda new: desk.set(self.path, campaign=new))
        self.times = blank(w.Text, "How many times at least", of="ob-short")
        self.days = blank(w.Text, "Days in which a purchase counts", of="ob-short")
        self.window = WindowBlanks(desk, lambda: self.path, label="Sent", ever="at any time")
        self.words = {text: word(text) for text in ("at least", "times, sent", "by buying within", "days,")}
        self.first = self.campaign_did
        on_change(desk, self.campaign_did, lambda new: desk.set(self.path, what=new))
        on_change(desk, self.times, lambda new: desk.set(self.path, topic="times", times=new))
        on_change(desk, self.days, lambda new: desk.set(self.path, topic="days", days=new))

    def fill(self, line: CampaignPart, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        names = {name: name for name in self.desk.vocabulary.campaigns}
        offer(self.campaign_did, WHAT, line.what)
        campaign = self.campaign.show({"": "any campaign", **names}, line.campaign)
        put(self.times, line.times)
        put(self.days, line.days)
        words, window = self.words, self.window.show(line.window)
        answered = (words["by buying within"], self.days, words["days,"]) if line.what == "responded" else ()
        often = (words["at least"], self.times, words["times, sent"])
        arrange(self.sentence, self.lead, self.campaign_did, campaign, *answered, *often, *window)


class SavedView(LineView):
    """Belongs to a saved group, or stands on a list."""

    leads = ("who are in", "who are not in")
    what = "the group or list"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.kind = pick("Group or list", {"group": "the group", "list": "the list"})
        self.name = Pick(desk, "Name", lambda new: desk.set(self.path, name=new, sha256=""))
        on_change(desk, self.kind, lambda new: desk.set(self.path, kind=new, name="", sha256=""))

    def fill(self, line: Saved, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        known = self.desk.vocabulary.groups if line.kind == "group" else self.desk.vocabulary.lists
        offer(self.kind, {"group": "the group", "list": "the list"}, line.kind)
        first = f"choose a {line.kind}" if known else f"no {line.kind} is saved yet"
        self.first = name = self.name.show({"": first, **{name: name for name in known}}, line.name)
        tied = (word(f"with the content {line.sha256[:12]}"),) if line.sha256 else ()
        arrange(self.sentence, self.lead, self.kind, name, *tied)


class CodeView(LineView):
    """A part of the rule as code."""

    leads = ("for whom holds", "for whom does not hold")
    what = "the code"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.code = blank(w.Textarea, "Part of the rule as code", rows=2, placeholder='attr("country") == "DE"')
        self.code.add_class("ob-code")
        self.first = self.code
        on_change(desk, self.code, lambda new: desk.set(self.path, topic="code", text=new))

    def fill(self, line: Code, problems: Sequence[Problem], columns: Mapping[str, Kind] | None) -> None:
        """Fills the sentence."""
        put(self.code, line.text)
        arrange(self.sentence, self.lead, self.code)
