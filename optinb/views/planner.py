"""The planner: a marketer chooses app group, template, target group and time, and sees who would get which message.

Nothing that matters is kept here: what is submitted is in the state store, and the rest is lost with the kernel.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.appboy import needed_properties
from optinb.campaigns import CHANNEL
from optinb.errors import OptinbError
from optinb.views import values
from optinb.views.controls import Pane, box, button, choose, field, heading, styles
from optinb.views.draft import fields, named, suggested_name
from optinb.views.later import Later, every
from optinb.views.properties import PropertyEditor

if TYPE_CHECKING:
    from optinb.appboy import Template
    from optinb.workspace import CampaignPreview, Workspace

SAMPLES = 20
LOOK_AGAIN_S = 2.0
PAUSE_S = 0.15  # of somebody who types, before the audience is counted
COUNTING = '<div class="ob-counting">counting …</div>'
ONCE, DAILY = "Once, on a date", "Every day"


class Planner(w.VBox):
    """The form. Its controls are attributes, so that tests and other views can use them."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self._templates: dict[str, Template] = {}
        self._preview: CampaignPreview | None = None
        self._at = 0
        self._suggested = ""
        self._is_made = False
        self._make_controls()
        self._count_soon = Later(self._count, pause_s=PAUSE_S)
        self._load_groups()
        self._load_templates()
        self._ask_for_properties()
        self._observe()
        self._is_made = True
        self._changed()
        every(LOOK_AGAIN_S, self._look_again)

    def fields(self) -> dict[str, Any]:
        """The campaign that the controls describe, as in a `campaign.toml`."""
        return fields(
            name=self.name.value,
            channel=self.channel.value,
            app_group=self.app_group.value,
            template=self.template.value,
            group=self.group.value,
            every_day=self.when.value == DAILY,
            on=self.date.value,
            at=self.time.value,
            control_percent=self.control.value,
            properties=self.properties.sources(),
            notes=self.notes.value,
        )

    def _make_controls(self) -> None:
        ws = self._ws
        self.channel = field(w.Dropdown, "Channel", options=[CHANNEL])
        self.app_group = field(w.Dropdown, "App group", options=[g.name for g in ws.settings.app_groups])
        self.template = field(w.Dropdown, "Template")
        self.about_templates = Pane()
        self.sync = button("Import templates", tooltip="Read the templates of this app group from Appboy again")
        self.group = field(w.Dropdown, "Target group")
        self.about_group = Pane()
        self.properties = PropertyEditor(attributes=self._attributes(), changed=self._changed)
        self.about_properties = heading("What the message says")
        self.when = field(w.RadioButtons, "Goes out", options=[ONCE, DAILY])
        self.date = field(w.DatePicker, "Date", value=ws.today() + timedelta(days=1))
        self.time = field(w.TimePicker, f"Time ({ws.settings.workspace.time_zone})", value=time(18, 30), step=60)
        self.control = field(w.BoundedFloatText, "Control group, %", value=10, min=0, max=99, step=1)
        self.name = field(w.Text, "Name of the campaign")
        self.notes = field(w.Textarea, "Notes for the approver", rows=2)
        self.about_name = Pane()
        self.submit = button("Submit for approval", style="primary")
        self.result = Pane()
        self.message = Pane()
        self.previous, self.next = button("Previous customer"), button("Next customer")
        self.audience = Pane()
        form = box(
            heading("Who gets what"),
            box(self.channel, self.app_group, of="ob-pair"),
            self.template,
            self.about_templates,
            box(self.sync, of="ob-buttons"),
            self.group,
            self.about_group,
            self.about_properties,
            self.properties,
            heading("When, and to how many"),
            self.when,
            box(self.date, self.time, self.control, of="ob-pair"),
            heading("Submit"),
            self.name,
            self.about_name,
            self.notes,
            box(self.submit, of="ob-buttons"),
            self.result,
            of="ob-column",
        )
        shown = box(
            heading("As a customer reads it"),
            self.message,
            box(self.previous, self.next, of="ob-buttons"),
            heading("Audience"),
            self.audience,
            of="ob-column",
        )
        self.children = (styles(), box(form, shown, of="ob-columns"))

    def _observe(self) -> None:
        self.app_group.observe(lambda _: self._load_templates(), "value")
        self.template.observe(lambda _: self._ask_for_properties(), "value")
        self.group.observe(lambda _: self._describe_group(), "value")
        self.when.observe(lambda _: self._arrange_date(), "value")
        for control in (self.template, self.group, self.when, self.date, self.time, self.control, self.name):
            control.observe(lambda _: self._changed(), "value")
        self.sync.on_click(lambda _: self._sync())
        self.previous.on_click(lambda _: self._show_message(self._at - 1))
        self.next.on_click(lambda _: self._show_message(self._at + 1))
        self.submit.on_click(lambda _: self._submit())

    def _attributes(self) -> list[str]:
        if self._ws.warehouse.current is None:
            return []
        return [name for name in self._ws.customers().collect_schema() if name != "customer_id"]

    def _load_groups(self) -> None:
        choose(self.group, [g.name for g in self._ws.groups.list()], keep=self.group.value)
        self._describe_group()

    def _load_templates(self) -> None:
        """Offers the usable templates of the chosen app group, and says why the others are not usable."""
        found = self._ws.templates.list(self.app_group.value) if self.app_group.value else ()
        called = named(found)
        self._templates = {called[t.id]: t for t in found if t.id in called}
        others = [t for t in found if not t.usable]
        if not found:
            self.about_templates.say("No template of this app group is imported yet.", kind="bad")
        else:
            self.about_templates.show(values.fragment("template_list.html.j2", "unusable", others))
        choose(self.template, list(self._templates), keep=self.template.value)

    def _ask_for_properties(self) -> None:
        template = self._templates.get(self.template.value)
        needed = needed_properties(template) if template else ()
        self.about_properties.title("What the message says" if needed else "")
        self.about_properties.layout.display = "" if needed else "none"
        self.properties.ask_for(needed)

    def _look_again(self) -> bool:
        """Offers groups that were saved meanwhile; false once the planner is closed."""
        if self.comm is None:
            return False
        with suppress(OptinbError):
            if list(self.group.options) != [group.name for group in self._ws.groups.list()]:
                self._load_groups()
        return True

    def _describe_group(self) -> None:
        if self.group.value is None:
            self.about_group.say("No target group is saved yet; save one in explore_segments.ipynb.", kind="bad")
        else:
            self.about_group.say(self._ws.groups.get(self.group.value).sentence)

    def _arrange_date(self) -> None:
        self.date.layout.display = "" if self.when.value == ONCE else "none"

    def _suggest_name(self) -> bool:
        """Names the campaign until somebody writes a name; tells whether that changed it."""
        if self.name.value != self._suggested:
            return False
        self._suggested = suggested_name(self.group.value, self.template.value)
        changed = self.name.value != self._suggested
        self.name.value = self._suggested
        return changed

    def _describe_name(self) -> None:
        """Says when a campaign of this name is there already."""
        name = self.name.value.strip().casefold()
        same = next((r for r in self._ws.campaigns.list() if r.campaign.name.casefold() == name), None)
        self.about_name.say(
            f"A campaign of this name is {same.state}. Submitting changes that one, and it must be approved again."
            if same
            else ""
        )

    def _changed(self) -> None:
        """Takes the old figures away at once, and counts when the one who types has paused."""
        if not self._is_made:
            return
        self._preview = None
        self.audience.show(COUNTING)
        if self._suggest_name():
            return  # the change of the name has called this once more
        self._describe_name()
        self._count_soon()

    def _count(self) -> None:
        try:
            found = self._ws.campaigns.preview(self.fields(), samples=SAMPLES)
        except OptinbError as error:
            self.audience.say(str(error), kind="bad")
            self.message.say("The message shows here once the audience can be counted.")
            return
        except Exception:
            self.audience.say("The audience couldn't be counted; see the log of the notebook.", kind="bad")
            raise
        self._preview = found
        self.audience.show(values.audience(found, self._ws.settings.zone), role="status")
        self._show_message(self._at)

    def _show_message(self, at: int) -> None:
        sample = self._preview.sample if self._preview else ()
        for control in (self.previous, self.next):
            control.disabled = len(sample) < 2
        if self._preview is None or not sample:
            self.message.say("Nobody would get this message, so there is no customer to show it for.")
            return
        self._at = at % len(sample)
        self.message.show(values.message(self._preview, self._at))

    def _sync(self) -> None:
        self.about_templates.say("Reading the templates from Appboy …")
        problems = [sync.problem for sync in self._ws.templates.sync(self.app_group.value) if sync.problem]
        self._load_templates()
        self._load_groups()
        for problem in problems:
            self.about_templates.say(problem, kind="bad")

    def _submit(self) -> None:
        try:
            record = self._ws.campaigns.submit(self.fields())
        except OptinbError as error:
            self.result.say(str(error), kind="bad")
            return
        self._describe_name()
        name, schedule = record.campaign.name, record.campaign.schedule.sentence()
        self.result.say(
            f"“{name}” is submitted. It goes out {schedule} once a second person has approved it.", kind="good"
        )
