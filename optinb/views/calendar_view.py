"""The calendar: what goes out on each day of the coming weeks, and what would if it were approved."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import ipywidgets as w
from msgspec import Struct

from optinb.campaigns import Going
from optinb.errors import OptinbError
from optinb.show.pages import fragment
from optinb.views.controls import Pane, field, styles
from optinb.views.debounce import every

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.workspace import Workspace

LOOK_AGAIN_S = 5.0
WEEKS = [("the coming 2 weeks", 2), ("the coming 5 weeks", 5), ("the coming 13 weeks", 13)]


class CalendarDay(Struct, frozen=True):
    """A day of the calendar, and what goes out on it."""

    day: date
    is_past: bool
    going: tuple[Going, ...]


def weeks_of(going: Iterable[Going], *, today: date, weeks: int) -> list[list[CalendarDay]]:
    """The days of so many weeks by week, from the Monday of this one on."""
    monday = today - timedelta(days=today.weekday())
    by_day: dict[date, list[Going]] = {}
    for one in going:
        by_day.setdefault(one.day, []).append(one)
    days = [monday + timedelta(days=n) for n in range(7 * weeks)]
    cells = [CalendarDay(day, day < today, tuple(by_day.get(day, ()))) for day in days]
    return [cells[n : n + 7] for n in range(0, len(cells), 7)]


class Calendar(w.VBox):
    """The calendar. It follows the store, so that what is approved or stopped elsewhere shows by itself."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-view")
        self._ws = ws
        self._shown = ""
        self.weeks = field(w.Dropdown, "Show", options=WEEKS, value=5)
        self.weeks.add_class("ob-short")
        self.pane = Pane()
        self.pane.add_class("ob-full")
        self.children = (styles(), self.weeks, self.pane)
        self.weeks.observe(lambda _: self.refresh(), "value")
        self.refresh()
        every(LOOK_AGAIN_S, self._look_again)

    def refresh(self) -> None:
        """Reads what is planned now."""
        ws, weeks = self._ws, self.weeks.value
        try:
            going = ws.campaigns.calendar(days=7 * weeks, waiting=True)
            records = {record.id: record for record in ws.campaigns.list()}
        except OptinbError as error:
            self.pane.say(str(error), kind="bad")
            return
        cells = weeks_of(going, today=ws.today(), weeks=weeks)
        shown = fragment("calendar.html.j2", "calendar", cells, records, ws.today(), ws.settings.zone)
        if shown != self._shown:  # what is selected or focused on the page stays while nothing changes
            self._shown = shown
            self.pane.show(shown)

    def _look_again(self) -> bool:
        if self.comm is None:
            return False
        self.refresh()
        return True
