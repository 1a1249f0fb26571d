"""What is sent to whom: a template for each kind of phone, and the variants of a campaign with their shares."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.appboy import needed_properties
from optinb.base.settings import PLATFORMS
from optinb.campaigns.campaign import MOST_VARIANTS
from optinb.views.controls import Pane, box, button, choose, field, say_at
from optinb.views.plan.properties import PropertyEditor
from optinb.views.plan.words import shortened, twins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy import Needed, Template
    from optinb.base.settings import Platform

PHONES: dict[Platform, str] = {
    "ios": "iPhones",
    "android": "Android phones",
    "kindle": "Kindles",
    "web": "browsers",
}


class TemplatesByPlatform(w.VBox):
    """A template for each kind of phone; without one, that kind gets nothing."""

    def __init__(self, *, of: str = "") -> None:
        """Args: `of`: whose templates these are, for whoever hears the labels."""
        super().__init__()
        self.add_class("ob-column")
        self.changed: Callable[[], None] = lambda: None
        self._is_quiet = False
        self._given: dict[str, str] = {}
        self.choices: dict[Platform, w.Dropdown] = {}
        for platform in PLATFORMS:
            label = f"Template for {PHONES[platform]}{of}"
            self.choices[platform] = field(w.Dropdown, label, options=[("Nothing", None)])
            self.choices[platform].observe(partial(self._chosen, platform), "value")
        self.children = tuple(self.choices.values())
        self.offer({})

    def offer(self, templates: Mapping[str, Template], platforms: Sequence[Platform] = ()) -> None:
        """Offers for each platform the templates (by their names) that have a message for it; what is chosen stays."""
        self._quietly(lambda: self._offer(templates, platforms))

    def read(self) -> dict[str, str]:
        """The template of each platform that has one."""
        return dict(self._given)

    def show(self, given: Mapping[Any, str] | None) -> None:
        """Sets the controls; nobody is told of a change."""
        self._given = dict(given or {})
        self._quietly(self._pick)

    def _quietly(self, call: Callable[[], object]) -> None:
        self._is_quiet = True
        try:
            call()
        finally:
            self._is_quiet = False

    def _offer(self, templates: Mapping[str, Template], platforms: Sequence[Platform]) -> None:
        for platform, control in self.choices.items():
            names = [name for name, template in templates.items() if platform in template.platforms]
            control.layout.display = "" if platform in platforms else "none"
            options = [(f"Nothing for {PHONES[platform]}", None), *((name, name) for name in names)]
            if list(control.options) != options:
                choose(control, options, keep=self._given.get(platform))
        self._pick()

    def _pick(self) -> None:
        for platform, control in self.choices.items():
            known = [value for _, value in control.options]
            wanted = self._given.get(platform)
            control.index = known.index(wanted) if wanted in known else 0

    def _chosen(self, platform: Platform, _: object) -> None:
        if self._is_quiet:
            return
        value = self.choices[platform].value
        self._given = {name: given for name, given in self._given.items() if name != platform}
        self._given |= {platform: value} if value else {}
        self.changed()


class TwinsOffer(w.VBox):
    """Says which kinds of phone a template has no message for, and offers to send its twins there in one click."""

    def __init__(self) -> None:
        super().__init__()
        self.add_class("ob-column")
        self.take: Callable[[dict[Platform, str]], object] = lambda _: None
        self._all: dict[Platform, str] = {}
        self.about = Pane()
        self.add = button("Add", tooltip="One campaign, with a template of its own for each kind of phone")
        self.children = (self.about, box(self.add, of="ob-buttons"))
        self.add.on_click(lambda _: self.take(self._all))
        self.offer(None, {}, ())

    def offer(self, name: str | None, templates: Mapping[str, Template], platforms: Sequence[Platform]) -> None:
        """Offers the twins of the template of a name; where there are none it isn't seen."""
        found = twins(name, templates, platforms)
        self.layout.display = "" if found else "none"
        if name is not None and found:
            self._all = {**dict.fromkeys(templates[name].platforms, name), **found}
            self.about.say(f"It has no message for {' and '.join(PHONES[one] for one in found)}.")
            added = (f"{shortened(other)} for {PHONES[platform]}" for platform, other in found.items())
            self.add.description = f"Add {' and '.join(added)}"


class VariantRow(w.VBox):
    """One variant: its name, its share, its templates where they aren't the campaign's, and what it says else."""

    def __init__(self, attributes: Sequence[str], *, changed: Callable[[], None], remove: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self.add_class("ob-variant")
        self._waiting: dict[str, Any] = {}  # properties that no template was asked about yet
        self.name = field(w.Text, "Name of the variant", continuous_update=False)
        self.share = field(w.BoundedFloatText, "Its part", min=0.01, max=1_000_000, step=1, value=1)
        self.template = field(w.Dropdown, "Its template", options=[(LIKE_CAMPAIGN, None)])
        self.templates, self.twins = TemplatesByPlatform(of=", this variant"), TwinsOffer()
        self.properties = PropertyEditor(attributes, inherits=True)
        self.remove = button("Remove this variant")
        self.children = (
            box(self.name, self.share, of="ob-pair"),
            self.template,
            self.twins,
            self.templates,
            self.properties,
            box(self.remove, of="ob-buttons"),
        )
        for control in (self.name, self.share, self.template):
            control.observe(lambda _: changed(), "value")
        self.templates.changed = self.properties.changed = changed
        self.twins.take = self._take_twins
        self.remove.on_click(lambda _: remove())

    def offer(self, templates: Mapping[str, Template], platforms: Sequence[Platform]) -> None:
        """Offers the templates of the app group."""
        options = [(LIKE_CAMPAIGN, None), (OTHER_BY_PLATFORM, ""), *((name, name) for name in templates)]
        if list(self.template.options) != options:
            choose(self.template, options, keep=self.template.value)
        self.templates.offer(templates, platforms)
        self.templates.layout.display = "" if self.template.value == "" else "none"
        self.twins.offer(self.template.value, templates, platforms)

    def _take_twins(self, templates: dict[Platform, str]) -> None:
        self.templates.show(templates)
        self.template.value = ""  # which tells of the change

    def read(self) -> dict[str, Any]:
        """The variant, with holes."""
        template, templates = self.template.value, self.templates.read()
        found: dict[str, Any] = {"name": self.name.value.strip(), "share": self.share.value}
        found |= {"template": template} if template else {}
        found |= {"templates": templates} if template == "" and templates else {}
        properties = {**self._waiting, **self.properties.read()}
        return found | ({"properties": properties} if properties else {})

    def show(self, given: Mapping[str, Any]) -> None:
        """Sets the controls."""
        self.name.value, self.share.value = given.get("name", ""), given.get("share", 1.0)
        template = given.get("template") or ("" if given.get("templates") else None)
        options = list(self.template.options)
        if template not in [value for _, value in options]:
            options.append((template, template))
        choose(self.template, options, keep=template)
        self.templates.show(given.get("templates"))
        self._waiting = dict(given.get("properties", {}))
        self.properties.ask_for(())

    def ask_for(self, needed: Sequence[Needed]) -> None:
        """Asks for the properties that its templates need; what is written of one stays."""
        self.properties.ask_for(needed)
        waiting = {one.name: self._waiting.pop(one.name) for one in needed if one.name in self._waiting}
        for name, given in waiting.items():
            self.properties.show_one(name, given)


LIKE_CAMPAIGN, OTHER_BY_PLATFORM = "As the campaign's", "Another one for each kind of phone …"


class VariantsEditor(w.VBox):
    """The variants of a campaign: added and removed one by one, two at first, since one alone has nothing beside it."""

    def __init__(self, attributes: Sequence[str]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self.changed: Callable[[], None] = lambda: None
        self._attributes, self._is_quiet = attributes, False
        self._templates: Mapping[str, Template] = {}
        self._platforms: Sequence[Platform] = ()
        self.rows: list[VariantRow] = []
        self.about = Pane()
        self.add = button("Add a variant", tooltip="Another way to write this campaign, for a part of its customers")
        self.add.on_click(lambda _: self._add())
        self._arrange()

    def offer(self, templates: Mapping[str, Template], platforms: Sequence[Platform]) -> None:
        """Offers the templates of the app group to every variant."""
        self._templates, self._platforms = templates, platforms
        self._quietly(lambda: [row.offer(templates, platforms) for row in self.rows])

    def ask_for(self, of_campaign: Sequence[str]) -> None:
        """Asks each variant for the properties that its templates, or else those `of_campaign`, need."""
        for row in self.rows:
            given = row.read()
            own = [given["template"]] if "template" in given else list(given.get("templates", {}).values())
            templates = [self._templates[name] for name in own or of_campaign if name in self._templates]
            needed = {one.name: one for template in templates for one in needed_properties(template)}
            self._quietly(partial(row.ask_for, tuple(needed.values())))

    def learn(self, attributes: Sequence[str]) -> None:
        """Offers the attributes of other tables."""
        self._attributes = attributes
        for row in self.rows:
            row.properties.learn(attributes)

    def read(self) -> list[dict[str, Any]]:
        """The variants, with holes."""
        return [row.read() for row in self.rows]

    def show(self, given: Sequence[Mapping[str, Any]] | None) -> None:
        """Sets the controls; nobody is told of a change."""
        given = given or ()
        if [dict(one) for one in given] == self.read():
            return
        self._quietly(lambda: self._show(given))

    def mark(self, wrong: Mapping[str, str]) -> set[str]:
        """Says at each variant what is wrong with its name or share; returns those that are told."""
        told: set[str] = set()
        for number, row in enumerate(self.rows):
            for name, control, label in (("name", row.name, "Name of the variant"), ("share", row.share, "Its part")):
                place = f"[{number}].{name}"
                say_at(control, label, wrong.get(place, ""))
                told |= {place} if place in wrong else set()
        return told

    def _show(self, given: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [self._made() for _ in given]
        for row, one in zip(self.rows, given, strict=True):
            row.offer(self._templates, self._platforms)
            row.show(one)
            row.offer(self._templates, self._platforms)
        self._arrange()

    def _quietly(self, call: Callable[[], object]) -> None:
        before, self._is_quiet = self._is_quiet, True
        try:
            call()
        finally:
            self._is_quiet = before

    def _made(self) -> VariantRow:
        row = VariantRow(self._attributes, changed=self._told, remove=lambda: self._remove(row))
        return row

    def _add(self) -> None:
        taken = {row.name.value for row in self.rows}
        names = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in taken]
        new = names[: 1 if self.rows else 2]
        self._quietly(lambda: self._show([*self.read(), *({"name": name, "share": 1.0} for name in new)]))
        self._told()

    def _remove(self, row: VariantRow) -> None:
        self.rows = [one for one in self.rows if one is not row]
        self._arrange()
        self._told()

    def _told(self) -> None:
        if self._is_quiet:
            return
        self.offer(self._templates, self._platforms)
        self._describe()
        self.changed()

    def _arrange(self) -> None:
        self.children = (self.about, *self.rows, box(self.add, of="ob-buttons"))
        self._describe()

    def _describe(self) -> None:
        self.add.disabled = len(self.rows) >= MOST_VARIANTS
        whole = sum(row.share.value for row in self.rows)
        parts = [f"{row.name.value or 'the one without a name'} {row.share.value / whole:.1%}" for row in self.rows]
        told = f"Of the customers who get it: {', '.join(parts)}." if parts else "Everybody gets the same message."
        self.about.say(told)
