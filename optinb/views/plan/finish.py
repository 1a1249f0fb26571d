"""What stays in sight below the planner's form: what is still missing, the test send, and the way to the approver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from optinb.campaigns import Lack, what_is_missing
from optinb.errors import OptinbError
from optinb.planning.notices import approving_command, page_link
from optinb.show.pages import fragment
from optinb.show.registry import html
from optinb.views.controls import Pane, box, button
from optinb.views.debounce import LatestOnly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.campaigns import CampaignRecord
    from optinb.planning import SentTest
    from optinb.workspace import Workspace

READY = "Everything is there."


class Finish(w.VBox):
    """The end of the form. `result` says what came of the last click."""

    def __init__(self, ws: Workspace, *, fields: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self.add_class("ob-finish")
        self._ws, self._fields, self._testing = ws, fields, LatestOnly()
        self.about, self.result = Pane(), Pane()
        self.result.add_class("ob-result")
        self.submit = button("Submit for approval", style="primary")
        self.test = button("Send me a test", tooltip="The message as it is now, to the test customers, at once")
        self.children = (self.result, self.about, box(self.submit, self.test, of="ob-buttons"))
        self.test.on_click(lambda _: self._test())

    def show(self, lacks: Sequence[Lack]) -> None:
        """Says what keeps the campaign from being submitted."""
        told = what_is_missing(lacks)
        self.about.say(told or READY)
        # never disabled: who tabs on from the last field before it is read would pass a disabled button by
        self.submit.button_style = "" if lacks else "primary"
        self.submit.tooltip = told or "A second person approves it before it goes out"

    def submitted(self, record: CampaignRecord) -> None:
        """Says what comes next, with the way there for the approver."""
        name, schedule = record.campaign.name, record.campaign.schedule.sentence()
        link, command = page_link(self._ws.settings, "approve", name), approving_command(name)
        told = (name, schedule, link, command, self._ws.notices.problem)
        self.result.show(fragment("together.html.j2", "submitted", *told), role="status")

    def _test(self) -> None:
        if self.test.disabled:  # a double click comes as two, before the page knows that the button is off
            return
        fields = self._fields()
        self.test.disabled = True  # a second click would send it twice
        self.result.say("Sending the test …")
        self._testing.ask(lambda: self._ws.campaigns.test_send(fields), self._tested)

    def _tested(self, found: SentTest | Exception) -> None:
        self.test.disabled = False
        if isinstance(found, OptinbError):
            self.result.say(f"The test wasn't sent: {found}.", kind="bad")
        else:
            self.result.tell(
                found,
                lambda sent: self.result.show(html(sent), role="status"),
                unforeseen="Whether the test was sent isn't known: look at the phone, and at the log of the notebook.",
            )
