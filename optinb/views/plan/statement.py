"""What is stated of the templates that are chosen, and the form in which a person states more of one."""

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
    from collections.abc import Callable, Sequence

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


class StatedByTemplate(w.VBox):
    """The rules of each template of a campaign, in `rows`.

    `reminder` tells of what nobody has stated; `refusal` says why the planned campaign can't go out by these rules.
    """

    def __init__(self, ws: Workspace, *, changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._changed = ws, changed
        self.rows: tuple[Statement, ...] = ()
        self._spare: list[Statement] = []  # controls of templates that are chosen no more, for the next ones
        self.reminder, self.refusal = Pane(), Pane()
        self.children = (self.reminder, self.refusal)

    def show(self, templates: Sequence[Template]) -> None:
        """Shows what is stated of each of some templates; what somebody has begun to write of one of them stays."""
        chosen = {template.id: template for template in templates}
        known = {row.template.id: row for row in self.rows}
        if chosen.keys() != known.keys():
            self.refusal.say("")
        self._spare += [row for key, row in known.items() if key not in chosen]
        rows = []
        for key, template in chosen.items():
            spare = self._spare.pop() if key not in known and self._spare else None
            row = known.get(key) or spare or Statement(self._ws, template, changed=self._told)
            row.show(template, name=template.name if len(chosen) > 1 else "")
            rows.append(row)
        self.rows = tuple(rows)
        self.children = (*self.rows, self.reminder, self.refusal)
        self.look()

    def look(self) -> bool:
        """Reads what is stated now; tells whether that is something else than before."""
        others = [row.look() for row in self.rows]
        lacking = any(row.rules.segment is UNSET for row in self.rows)
        self.reminder.say(f"{ALL_USERS[:1].upper()}{ALL_USERS[1:]}." if lacking else "")
        return any(others)

    def refuse(self, why: str) -> None:
        """Says why the planned campaign can't go out by these rules, or nothing."""
        self.refusal.say(f"{why[:1].upper()}{why[1:]}." if why else "", kind="bad")

    def _told(self) -> None:
        self.look()
        self._changed()


class Statement(w.VBox):
    """The rules of a template: what is stated, by whom and when, and a form for what the dashboard has set."""

    def __init__(self, ws: Workspace, template: Template, *, changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._changed, self.template = ws, changed, template
        self._called = ""
        self._stated: StatedRules | None = None
        self._shown: dict[str, str] = {}  # what the form began with
        self.about, self.result = Pane(), Pane()
        self.begin = button("State its rules …", tooltip="What Appboy's dashboard has set, which its API doesn't tell")
        self.save, self.withdraw = button("State them", style="primary"), button("Take all back")
        self.form = Form(TemplateRules, {TemplateRules: RULES})
        self.writing = box(self.form, box(self.save, self.withdraw, of="ob-buttons"), of="ob-column")
        self.children = (self.about, box(self.begin, of="ob-buttons"), self.writing, self.result)
        self.begin.on_click(lambda _: self._toggle())
        self.save.on_click(lambda _: self._state())
        self.withdraw.on_click(lambda _: self._withdraw())
        self.writing.layout.display = "none"

    @property
    def rules(self) -> TemplateRules:
        """What is stated."""
        return UNSTATED if self._stated is None else self._stated.rules

    def show(self, template: Template, *, name: str) -> None:
        """Shows what is stated of a template, which is named where there are others beside it.

        What somebody has begun to write of it stays.
        """
        if template.id != self.template.id:
            self.result.say("")
            self.writing.layout.display = "none"
        self.template, self._called = template, name
        self.begin.description = f"State the rules of {name} …" if name else "State its rules …"
        self.look(is_other=True)

    def look(self, *, is_other: bool = False) -> bool:
        """Reads what is stated now; tells whether that is something else than before."""
        template, before = self.template, self._stated
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
        rules = self.rules
        self.about.show(fragment("stated_parts.html.j2", "beside", self._stated, self._called, self._ws.settings.zone))
        if self.writing.layout.display == "none":  # else what somebody writes stays, and only that is stated
            self._shown = written(rules)
            self.form.show(self._shown)
        self.withdraw.layout.display = "" if rules else "none"
        return True

    def _toggle(self) -> None:
        self.writing.layout.display = "" if self.writing.layout.display == "none" else "none"

    def _state(self) -> None:
        template = self.template
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
        template = self.template
        with self.result.saying_errors():
            follows = self._ws.templates.withdraw_rules(template.app_group_id, template.id)
            self._done("It is taken back: by Appboy's default customers get this template once, ever.", follows)

    def _done(self, told: str, follows: tuple[str, ...]) -> None:
        self.writing.layout.display = "none"
        self.look(is_other=True)
        self.result.say(" ".join([told, *(f"Campaign {one}." for one in follows)]), kind="good")
        self._changed()
