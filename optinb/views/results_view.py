"""What campaigns brought: all that went out in a list, and the card of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.errors import UsageError
from optinb.show import html
from optinb.show.pages import page
from optinb.views.controls import choose, field
from optinb.views.debounce import follow
from optinb.views.explore.answers import AskingView

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.workspace import Workspace

ALL = "All campaigns"
NOTHING = "Nothing has gone out yet. What a campaign brought shows here from the first delivery after its send time on."


class ResultsView(AskingView):
    """The results of campaigns; a click on one in the list opens its card."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        self.campaign = field(w.Dropdown, "Campaign", options=self._offers(ws.campaign_results.sent()))
        # what is clicked in the list, which is no control of its own
        self.picked = w.Text(layout=w.Layout(display="none"))
        self.picked.add_class("ob-picked")
        self.arrange(self.campaign, watch=(self.campaign,))
        self.children = (*self.children, self.picked)
        self.picked.observe(lambda change: self._pick(change.new), "value")
        follow(self, ws.campaign_results.sent, self._offer)

    @property
    def chosen(self) -> str:
        """The campaign whose card is shown; "" for the list."""
        return self.campaign.value or ""

    def show_campaign(self, name: str) -> None:
        """Opens the card of a campaign.

        Args:
            name: of the campaign, without regard to case.

        Raises:
            CampaignError: for one that isn't known.
            UsageError: for one of which nothing went out.
        """
        known = self.ws.campaigns.get(name).campaign.name
        if known not in self.ws.campaign_results.sent():
            raise UsageError(f"nothing of {known!r} has gone out yet, so that there is no result of it")
        self._offer(self.ws.campaign_results.sent())
        self.campaign.value = known

    def question(self) -> Callable[[], str] | str:
        """Looks at the chosen campaign, or at all of them."""
        name = self.chosen
        if len(self.campaign.options) == 1:
            return NOTHING
        if name:
            return lambda: html(self.ws.results(name))
        return lambda: page("all_results.html.j2", shown=self.ws.results(), can_pick=True)

    def _offer(self, names: tuple[str, ...]) -> None:
        """Offers campaigns that went out meanwhile."""
        options = self._offers(names)
        if list(self.campaign.options) != options:
            was_empty = len(self.campaign.options) == 1
            choose(self.campaign, options, keep=self.campaign.value)
            if was_empty:
                self.ask()

    @staticmethod
    def _offers(names: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(ALL, ""), *((name, name) for name in names)]

    def _pick(self, name: str) -> None:
        if name:
            self.picked.value = ""  # so that the same can be clicked again
            self.campaign.value = name
