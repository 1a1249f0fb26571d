"""What is stated of the template that is chosen, and the form in which a person states more of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w
from msgspec import UNSET

from optinb.appboy import UNSTATED, TemplateRules
from optinb.appboy.template_rules import ALL_USERS, rules_from, written
from optinb.errors import CampaignError, StateError
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button
from optinb.views.form import Form, Sheet, Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.appboy import StatedRules, Template
    from optinb.workspace import Workspace


def _text(label: str, such_as: str) -> Words:
    """A rule is written as the dashboard's words have it: an empty line says nothing of it."""
    return Words(label=label, control="text", traits={"placeholder": f"Such as: {such_as}"})


RULES = Sheet(
    fields={
        "again_after_s": _text("Customers may get it again", "after 1 day, never, any time"),
        "caps": _text("Frequency caps", "1 a day, 3 a week, or none"),
        "messages_a_minute": _text("Most messages a minute", "5,000, or none"),
        "max_users": _text("Most customers", "10,000, or none"),
        "quiet_hours": _text("Quiet hours", "22:00 to 08:00, drop, or none"),
        "segment": _text("Whom it targets", "all"),
    },
    rows=(("again_after_s", "caps"), ("messages_a_minute", "max_users"), ("quiet_hours", "segment"), ...),
)


class Statement(w.VBox):
    """The rules of a template: what is stated, by whom and when, and a form for what the dashboard has set.

    `refusal` says why the planned campaign can't go out by these rules.
    """

    def __init__(self, ws: Workspace, *, changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._changed = ws, changed
        self._template: Template | None = None
        self._stated: StatedRules | None = None
        self._shown: dict[str, str] = {}  # what the form began with
        self.about, self.refusal, self.result = Pane(), Pane(), Pane()
        self.begin = button("State its rules …", tooltip="What Appboy's dashboard has set, which its API doesn't tell")
        self.save, self.withdraw = button("State them", style="primary"), button("Take all back")
        self.form = Form(TemplateRules, {TemplateRules: RULES})
        self.writing = box(self.form, box(self.save, self.withdraw, of="ob-buttons"), of="ob-column")
        self.children = (self.about, self.refusal, box(self.begin, of="ob-buttons"), self.writing, self.result)
        self.begin.on_click(lambda _: self._toggle())
        self.save.on_click(lambda _: self._state())
        self.withdraw.on_click(lambda _: self._withdraw())
        self.writing.layout.display = self.layout.display = "none"

    def show(self, template: Template | None) -> None:
        """Shows what is stated of a template; what somebody has begun to write of it stays."""
        is_other = template is None or self._template is None or template.id != self._template.id
        self._template = template
        self.layout.display = "none" if template is None else ""
        if is_other:
            self.refusal.say("")
            self.result.say("")
            self.writing.layout.display = "none"
        self.look(is_other=is_other)

    def look(self, *, is_other: bool = False) -> bool:
        """Reads what is stated now; tells whether that is something else than before."""
        template, before = self._template, self._stated
        if template is None:
            return False
        try:
            self._stated = self._ws.templates.rules(template.app_group_id, template.id)
        except StateError as error:  # who states them anew mends it, so that the form stays usable
            self._stated, told = None, str(error)
            self.about.say(f"{told[:1].upper()}{told[1:]}.", kind="bad")
            self._shown = written(UNSTATED)
            if is_other:
                self.form.show(self._shown)
            return before is not None
        if not is_other and self._stated == before:
            return False
        rules = UNSTATED if self._stated is None else self._stated.rules
        reminder = ALL_USERS if rules.segment is UNSET else ""
        self.about.show(fragment("stated_parts.html.j2", "beside", self._stated, reminder, self._ws.settings.zone))
        if self.writing.layout.display == "none":  # else what somebody writes stays, and only that is stated
            self._shown = written(rules)
            self.form.show(self._shown)
        self.withdraw.layout.display = "" if rules else "none"
        return True

    def refuse(self, why: str) -> None:
        """Says why the planned campaign can't go out by these rules, or nothing."""
        self.refusal.say(f"{why[:1].upper()}{why[1:]}." if why else "", kind="bad")

    def _toggle(self) -> None:
        self.writing.layout.display = "" if self.writing.layout.display == "none" else "none"

    def _state(self) -> None:
        template = self._template
        if template is None:
            return
        with self.result.saying_errors():
            read = self.form.read()  # without the lines that are empty
            if cleared := [RULES.fields[name].label for name in self._shown if not read.get(name, "").strip()]:
                raise CampaignError(
                    f"an empty line takes nothing back ({', '.join(cleared)}): write what the dashboard has set, such "
                    "as none, never or all, or take all back"
                )
            new = {name: text for name, text in read.items() if text != self._shown.get(name)}
            stated = self._ws.templates.set_rules(template.app_group_id, template.id, rules_from(new))
            self._done("It is stated.", stated.follows)

    def _withdraw(self) -> None:
        template = self._template
        if template is None:
            return
        with self.result.saying_errors():
            follows = self._ws.templates.withdraw_rules(template.app_group_id, template.id)
            self._done("It is taken back: by Appboy's default customers get this template once, ever.", follows)

    def _done(self, told: str, follows: tuple[str, ...]) -> None:
        self.writing.layout.display = "none"
        self.look(is_other=True)
        self.result.say(" ".join([told, *(f"Campaign {one}." for one in follows)]), kind="good")
        self._changed()
