"""The monitor of a night, as another process makes its sends."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.base.figures import day
from optinb.delivery.send_watch import nights, watch
from optinb.errors import OptinbError
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, choose, field, heading, styles
from optinb.views.debounce import LatestOnly, every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from optinb.delivery import Cancellation
    from optinb.delivery.send_watch import NightSends
    from optinb.workspace import Workspace

LOOK_AGAIN_S = 1.0
RATE_OVER_S = 10.0
NEWEST = "the newest night"
CHOOSE = "Choose a campaign …"


def rate_of(seen: Iterable[tuple[float, int]]) -> float:
    """Recipients a second between the first and the last of (seconds, recipients settled)."""
    seen = tuple(seen)
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return 0.0
    return max(0, seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


class Monitor(w.VBox):
    """The sends of a night, followed live; `clock` tells seconds."""

    def __init__(self, ws: Workspace, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._clock, self._recalling = ws, clock, LatestOnly()
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._shown = ""
        self.night = field(w.Dropdown, "Night", options=[(NEWEST, "")])
        self.night.add_class("ob-short")
        self.pane = Pane()
        self.campaign = field(w.Dropdown, "Campaign to recall", options=[(CHOOSE, None)])
        self.recall = button("Recall …")
        self.question = Pane()
        self.reason = field(w.Text, "Why", placeholder="For the record")
        self.yes, self.no = button("Yes, recall it", style="danger"), button("No, let it go out")
        self._sure = box(self.question, self.reason, box(self.yes, self.no, of="ob-buttons"), of="ob-column")
        self._recall = box(
            heading("Recall"), self.campaign, box(self.recall, of="ob-buttons"), self._sure, of="ob-column"
        )
        self._recall.add_class("ob-narrow")
        self.result = Pane()
        self.children = (styles(), self.night, self.pane, self._recall, self.result)
        self.night.observe(lambda _: self.refresh(), "value")
        self.campaign.observe(lambda _: self._chosen(), "value")
        self.recall.on_click(lambda _: self._ask(True))
        self.no.on_click(lambda _: self._ask(False))
        self.yes.on_click(lambda _: self._begin())
        self._ask(False)
        self.refresh()
        every(LOOK_AGAIN_S, self._look_again)

    def refresh(self) -> None:
        """Reads how far the sends are now."""
        found = nights(self._ws.store)
        options = [(NEWEST, ""), *((day(night), str(night)) for night in found)]
        if list(self.night.options) != options:
            choose(self.night, options, keep=self.night.value)
        chosen = next((night for night in found if self.night.value in ("", str(night))), None)
        night = watch(self._ws.context, self._ws.store, chosen) if chosen else None
        shown = fragment("monitor.html.j2", "monitor", night, self._rates(night), self._ws.settings.zone)
        if shown != self._shown:
            self._shown = shown
            self.pane.show(shown)
        sends = [send.audience.campaign_name for send in night.sends if send.is_recallable] if night else []
        names = list(dict.fromkeys(sends))
        self._recall.layout.display = "" if names else "none"
        offers = [(CHOOSE, None), *((name, name) for name in names)]
        if list(self.campaign.options) != offers:
            only = names[0] if len(names) == 1 else None  # the question that follows names it
            choose(self.campaign, offers, keep=self.campaign.value or only)
        self.recall.disabled = self.campaign.value is None

    def _rates(self, night: NightSends | None) -> dict[str, float]:
        """Recipients a second of each campaign that is being sent."""
        now, rates = self._clock(), {}
        for send in night.sends if night else ():
            key = f"{send.audience.campaign_id} {send.audience.run_date}"
            seen = self._seen.setdefault(key, deque())
            seen.append((now, send.settled))
            while seen[0][0] < now - RATE_OVER_S:
                seen.popleft()
            rates[send.audience.campaign_id] = rate_of(seen) if send.stage == "sending" else 0.0
        return rates

    def _look_again(self) -> bool:
        if self.comm is None:
            return False
        with suppress(OptinbError):
            self.refresh()
        return True

    def _chosen(self) -> None:
        self.recall.disabled = self.campaign.value is None
        self._ask(False)

    def _ask(self, is_asked: bool) -> None:
        """Asks whether a campaign is really meant to be recalled, or takes the question back."""
        self._sure.layout.display = "" if is_asked else "none"
        self.recall.layout.display = "none" if is_asked else ""
        if is_asked:
            self.question.show(fragment("monitor.html.j2", "question", self.campaign.value), role="alert")

    def _begin(self) -> None:
        if self.yes.disabled:  # by the first of a double click
            return
        name, reason = self.campaign.value, self.reason.value.strip()
        self.yes.disabled = True
        self.result.say(f"Recalling “{name}” …")
        self._recalling.ask(lambda: self._ws.campaigns.cancel(name, comment=reason), self._tell)

    def _tell(self, found: Cancellation | Exception | Any) -> None:
        self.yes.disabled = False
        if isinstance(found, OptinbError):
            self.result.say(str(found), kind="bad")
        elif isinstance(found, Exception):
            self.result.say("The recall failed; see the log of the notebook, and try it again.", kind="bad")
        else:
            self.result.show(fragment("monitor.html.j2", "recalled", found), role="status")
            self.reason.value = ""
        self._ask(False)
        self.refresh()
