"""The approval desk: what waits for a decision, shown as it would go out, with approve and reject."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.errors import CampaignError, OptinbError
from optinb.show.campaigns import for_decision
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, field, styles
from optinb.views.debounce import every
from optinb.views.plan.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.campaigns import CampaignRecord
    from optinb.planning import CampaignPreview
    from optinb.workspace import Workspace

LOOK_AGAIN_S = 2.0
SAMPLES = 2
DOUBLE_CLICK_S = 1.0  # after a decision, within which a click can't be meant for what is shown now


class ApprovalDesk(w.VBox):
    """The desk. It follows the store, so that what others submit or decide elsewhere shows by itself.

    What isn't there any more gives its place to nothing, never to another campaign, which a click that is on its way
    would decide on unseen. `clock` tells seconds.
    """

    def __init__(self, ws: Workspace, *, clock: Callable[[], float] = time.monotonic, is_alone: bool = True) -> None:
        """Args: `clock` tells seconds; `is_alone`: whether nothing beside the desk says who is working."""
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._clock = ws, clock
        self._decided_at = -DOUBLE_CLICK_S
        self._waiting: dict[str, CampaignRecord] = {}
        self._seen: CampaignPreview | None = None  # an approval must be of what the approver has seen
        self.who = Pane()
        self.who.show(fragment("desk.html.j2", "who", ws.user if is_alone else "", ws.settings.workspace.approvers))
        self.waiting = field(w.Select, "Waiting for a decision")
        self.nothing = Pane()
        self.detail = Pane()
        self.comment = field(w.Textarea, "Comment", rows=2, placeholder="For its author")
        self.approve, self.reject = button("Approve", style="success"), button("Reject")
        self._decision = box(self.comment, box(self.approve, self.reject, of="ob-buttons"), of="ob-column")
        self.result = Pane()
        self.talk = Talk(ws)
        list_of_waiting = box(self.who, self.waiting, self.nothing, self._decision, self.result, of="ob-column")
        list_of_waiting.add_class("ob-beside")
        both = box(list_of_waiting, box(self.detail, self.talk, of="ob-column"), of="ob-columns")
        both.add_class("ob-list-first")
        self.children = (styles(), both)
        self.waiting.observe(lambda _: self._show(), "value")
        self.approve.on_click(lambda _: self._decide("approve"))
        self.reject.on_click(lambda _: self._decide("reject"))
        self.refresh()
        every(LOOK_AGAIN_S, self._look_again)

    def refresh(self) -> None:
        """Reads what waits now."""
        was_empty, chosen = not self._waiting, self.waiting.value
        self._waiting = {record.campaign.name: record for record in self._undecided()}
        names = list(self._waiting)
        self.waiting.rows = min(max(len(names), 3), 8)
        options = [
            (f"{name} (held)" if record.state == "held" else f"{name} (by {record.author})", name)
            for name, record in self._waiting.items()
        ]
        self.waiting.options = options
        self.waiting.value = names[0] if was_empty and names else chosen if chosen in names else None
        for control in (self.waiting, self._decision):
            control.layout.display = "" if names else "none"
        self.nothing.say("" if names else "Nothing waits for a decision. What is submitted shows here by itself.")
        self._show()

    def _undecided(self) -> list[CampaignRecord]:
        """What was submitted, and what a night held, which goes out again once it is approved again."""
        held = [record for record in self._ws.campaigns.list() if record.state == "held"]
        return [*self._ws.campaigns.waiting(), *held]

    def _look_again(self) -> bool:
        """Refreshes when the store has changed; false once the desk is closed."""
        if self.comm is None:
            self.talk.leave()
            return False
        with suppress(OptinbError):
            self.talk.show(self._waiting.get(self.waiting.value))
            now = {record.campaign.name: record.version for record in self._undecided()}
            if now != {name: record.version for name, record in self._waiting.items()}:
                self.refresh()
        return True

    def _show(self) -> None:
        record = self._waiting.get(self.waiting.value)
        self._seen = None
        self.talk.show(record)
        if record is None:
            self.detail.say("Choose a campaign." if self._waiting else "")
            return
        with self.detail.saying_errors():
            preview = self._ws.campaigns.preview(record.campaign, samples=SAMPLES)
            last, power = self._ws.campaigns.last_approval(preview), self._ws.campaigns.power(preview)
            self._seen = preview
            self.detail.show(for_decision(record, preview, last, power, self._ws.settings.zone))

    def _decide(self, verb: str) -> None:
        name = self.waiting.value
        if name is None or self._clock() < self._decided_at + DOUBLE_CLICK_S:
            return
        with self.result.saying_errors():
            comment = self.comment.value.strip()
            if verb == "approve" and self._seen is None:
                self.result.say(f"“{name}” can't be shown, so it can't be approved.", kind="bad")
                return
            if verb == "approve" and self._seen is not None:
                approved = self._ws.campaigns.approve(name, seen=self._seen, comment=comment)
                schedule = approved.campaign.schedule.sentence()
                self.result.say(f"“{name}” is approved. It goes out {schedule}.{self._told()}", kind="good")
            else:
                self._ws.campaigns.reject(name, comment=comment)
                self.result.say(f"“{name}” is rejected; its author sees your comment.{self._told()}", kind="good")
            self.comment.value = ""
        self.refresh()
        self._decided_at = self._clock()

    def show_campaign(self, name: str) -> None:
        """Shows a campaign that waits for a decision.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: for one that isn't known, or that doesn't wait; then nothing is chosen, so that nobody
                decides on another one that happens to be first.
        """
        self.refresh()
        self.waiting.value = None
        record = self._ws.campaigns.get(name)
        if record.campaign.name not in self._waiting:
            raise CampaignError(f"“{record.campaign.name}” doesn't wait for a decision: it is {record.state}.")
        self.waiting.value = record.campaign.name

    def _told(self) -> str:
        """Why nobody else was told of the decision; nothing where they were, or nobody asked for it."""
        problem = self._ws.notices.problem
        return f" {problem[:1].upper()}{problem[1:]}." if problem else ""
