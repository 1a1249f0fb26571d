"""The planner's form, its draft, and what stands beside it; what it does is in `optinb.views.plan.planner`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.campaigns import Campaign
from optinb.views.controls import Pane, box, button, field, heading, styles
from optinb.views.form import Form, Sheet
from optinb.views.plan.messages import TemplatesByPlatform, TwinsOffer, VariantsEditor
from optinb.views.plan.properties import PropertyEditor
from optinb.views.plan.words import CAMPAIGN, sheets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.views.plan.finish import Finish
    from optinb.views.plan.keeper import Keeper
    from optinb.views.plan.offers_view import OffersFold
    from optinb.views.plan.statement import StatedByTemplate
    from optinb.views.plan.talk import Talk


class Board(w.VBox):
    """The form on the left, and on the right what would come of it; the form's controls are also the board's."""

    def __init__(
        self,
        *,
        zone: str,
        tomorrow: str,
        app_groups: Sequence[str],
        attributes: Sequence[str],
        keeper: Keeper,
        statements: StatedByTemplate,
        offers: OffersFold,
        finish: Finish,
        talk: Talk,
    ) -> None:
        super().__init__()
        self.add_class("ob-view")
        self.campaign = field(w.Dropdown, "Campaign")
        self.about_app_group, self.about_template, self.about_templates, self.about_group = (Pane() for _ in range(4))
        self.sync = button("Import templates", tooltip="Read the templates of this app group from Appboy again")
        self.by_platform = w.Checkbox(description="A template of its own for each kind of phone", indent=False)
        self.twins = TwinsOffer()
        self.about_properties = heading("What the message says")
        self.sentence = Pane()
        self.message, self.audience, self.power = Pane(), Pane(), Pane()
        self.previous, self.next = button("Previous customer"), button("Next customer")
        self.walk = box(self.previous, self.next, of="ob-buttons")
        rows = (
            self.campaign,
            keeper,
            heading("Who gets what"),
            ("channel", "app_group"),
            self.about_app_group,
            self.by_platform,
            "template",
            "templates",
            self.twins,
            self.about_template,
            statements,
            self.about_templates,
            box(self.sync, of="ob-buttons"),
            "group",
            self.about_group,
            heading("What is offered"),
            "offer",
            offers,
            self.about_properties,
            "properties",
            heading("Variants"),
            "variants",
            "learning",
            heading("When"),
            "schedule",
            self.sentence,
            heading("Control group and contact rules"),
            ("control", "measurement_days"),
            ("exclusion_days", "priority"),
            "ignore_others",
            "phones",
            ...,
            heading("Submit"),
            "name",
            "notes",
            finish,
        )
        self.form = Form(
            Campaign,
            {Campaign: Sheet(fields=CAMPAIGN, rows=rows), **sheets(zone=zone, tomorrow=tomorrow)},
            made={
                "templates": TemplatesByPlatform(),
                "variants": VariantsEditor(attributes),
                "properties": PropertyEditor(attributes),
            },
        )
        self.form.choices("app_group", app_groups)
        shown = box(
            heading("As a customer reads it"),
            self.message,
            self.walk,
            heading("Audience"),
            self.audience,
            self.power,
            talk,
            of="ob-column",
        )
        shown.add_class("ob-beside")
        self.children = (styles(), box(self.form, shown, of="ob-columns"))

    def __getattr__(self, name: str) -> Any:
        """A control of the form, by the name of its field."""
        if "form" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.form, name)
