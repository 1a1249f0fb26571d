"""Migration between lifecycle stages, and one customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.errors import OptinbError
from optinb.measure.pages import day
from optinb.show import html
from optinb.views.controls import choose, field
from optinb.views.explore.asking import AskingView

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.workspace import Workspace

KEPT = {"lifecycle stage": "stage", "value segment": "value_segment", "micro-segment": "micro_segment"}


class MigrationView(AskingView):
    """Who moved from where to where between two nights."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__(ws)
        self.by = field(w.Dropdown, "Moves between", options=list(KEPT.items()))
        self.since, self.until = field(w.Dropdown, "From the night of"), field(w.Dropdown, "to the night of")
        self._offer()
        self.arrange(self.by, self.since, self.until, watch=(self.by, self.since, self.until))

    def read_again(self) -> None:
        """Offers a night that was modelled meanwhile, and shows the moves to it where the newest one was shown."""
        self._offer()
        self.ask()

    def _offer(self) -> None:
        try:
            nights = self.ws.nights()
        except OptinbError:
            nights = ()
        options = [(day(night), night) for night in nights]
        is_newest = self.until.index in (None, len(self.until.options) - 1)
        choose(self.since, options, keep=self.since.value)
        choose(self.until, options, keep=nights[-1] if nights and is_newest else self.until.value)

    def question(self) -> Callable[[], str] | str:
        """Counts the moves."""
        by, since, until = self.by.value, self.since.value, self.until.value
        if len(self.since.options) < 2:
            return "Moves need two nights; come back when another delivery was modelled."
        if since >= until:
            return "Choose a first night that lies before the second."
        return lambda: html(self.ws.migration(since, until, by=by))


class CustomerView(AskingView):
    """Everything about one customer."""

    def __init__(self, ws: Workspace, customer_id: str = "") -> None:
        super().__init__(ws)
        self.id = field(
            w.Text, "Customer", value=customer_id, placeholder="customer_id, then Enter", continuous_update=False
        )
        self.arrange(self.id, watch=(self.id,))

    def question(self) -> Callable[[], str] | str:
        """Reads the card."""
        wanted = self.id.value.strip()
        if not wanted:
            return "Write the id of a customer, as IT delivers it."
        return lambda: html(self.ws.customer(wanted))
