"""The controls of the campaign board and where they stand; what they do is in `optinb.views.plan.planner`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.campaigns import CHANNEL
from optinb.views.controls import Pane, box, button, field, heading, styles
from optinb.views.plan.draft import PlannerPlan, Timing
from optinb.views.plan.offer import OfferEditor
from optinb.views.plan.properties import PropertyEditor
from optinb.views.plan.timing import TimingEditor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from optinb.views.plan.keeping import Keeper


class Board(w.VBox):
    """The form on the left, and on the right what would come of it."""

    def __init__(
        self,
        *,
        zone: str,
        today: date,
        app_groups: Sequence[str],
        attributes: Sequence[str],
        keeper: Keeper,
        changed: Callable[[], None],
    ) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.campaign = field(w.Dropdown, "Campaign")
        self.name = field(w.Text, "Name of the campaign", continuous_update=False)
        self.channel = field(w.Dropdown, "Channel", options=[CHANNEL])
        self.app_group = field(w.Dropdown, "App group", options=app_groups)
        self.template = field(w.Dropdown, "Template")
        self.about_template, self.about_templates = Pane(), Pane()
        self.sync = button("Import templates", tooltip="Read the templates of this app group from Appboy again")
        self.group = field(w.Dropdown, "Target group")
        self.about_group = Pane()
        self.about_properties = heading("What the message says")
        self.properties = PropertyEditor(attributes=attributes, changed=changed)
        self.offer = OfferEditor(changed=changed)
        self.timing = TimingEditor(zone=zone, today=today, changed=changed)
        self.control = field(w.BoundedFloatText, "Control group, %", value=10, min=0, max=99, step=1)
        self.measurement = field(w.BoundedIntText, "Days measured", value=0, min=0, max=365)
        self.exclusion = field(w.BoundedIntText, "Days without other campaigns", value=0, min=0, max=365)
        self.priority = field(w.BoundedIntText, "Priority, 0 to 100", value=50, min=0, max=100)
        self.ignore_others = w.Checkbox(description="May go to customers who rest after another campaign", indent=False)
        self.notes = field(w.Textarea, "Notes for the approver", rows=2, continuous_update=False)
        self.submit = button("Submit for approval", style="primary")
        self.result = Pane()
        self.message = Pane()
        self.previous, self.next = button("Previous customer"), button("Next customer")
        self.audience, self.power = Pane(), Pane()
        self.plain = (self.template, self.group, self.control, self.measurement, self.exclusion, self.priority,
                      self.ignore_others, self.name, self.notes)  # fmt: skip
        form = box(
            self.campaign,
            keeper,
            heading("Who gets what"),
            box(self.channel, self.app_group, of="ob-pair"),
            self.template,
            self.about_template,
            self.about_templates,
            box(self.sync, of="ob-buttons"),
            self.group,
            self.about_group,
            heading("What is offered"),
            self.offer,
            self.about_properties,
            self.properties,
            heading("When"),
            self.timing,
            heading("Test and rest"),
            box(self.control, self.measurement, of="ob-pair"),
            box(self.exclusion, self.priority, of="ob-pair"),
            self.ignore_others,
            heading("Submit"),
            self.name,
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
            self.power,
            of="ob-column",
        )
        shown.add_class("ob-beside")
        self.children = (styles(), box(form, shown, of="ob-columns"))

    def plan(self) -> PlannerPlan:
        """What the controls say."""
        return PlannerPlan(
            name=self.name.value,
            channel=self.channel.value,
            app_group=self.app_group.value,
            template=self.template.value,
            group=self.group.value,
            timing=self.timing.timing(),
            offer=self.offer.offer(),
            control_percent=self.control.value,
            priority=self.priority.value,
            exclusion_days=self.exclusion.value,
            measurement_days=self.measurement.value,
            ignore_others=self.ignore_others.value,
            properties=self.properties.sources(),
            notes=self.notes.value,
        )

    def show(self, plan: PlannerPlan, *, timing: Timing) -> None:
        """Sets the controls, but for app group and properties; what isn't offered any more is left unchosen."""
        for control, value in ((self.template, plan.template), (self.group, plan.group)):
            control.value = value if value in control.options else None
        self.offer.show(plan.offer)
        self.timing.show(timing)
        self.control.value, self.priority.value = plan.control_percent, plan.priority
        self.exclusion.value, self.measurement.value = plan.exclusion_days, plan.measurement_days
        self.ignore_others.value = plan.ignore_others
        self.name.value, self.notes.value = plan.name, plan.notes
