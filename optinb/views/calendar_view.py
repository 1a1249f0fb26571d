"""The calendar of the coming weeks: what goes out on which day, to how many, and another day for it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import ipywidgets as w
from msgspec import Struct

from optinb.campaigns import Going
from optinb.errors import OptinbError
from optinb.planning.calendar_moves import EntrySize, is_movable, last_known, move, moved, what_a_move_does
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, field, styles
from optinb.views.debounce import LatestOnly, every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from optinb.campaigns import CampaignRecord
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
    """The calendar. It follows the store, so that what is approved or stopped elsewhere shows by itself.

    An entry can be chosen, by a click or by the keyboard; then it can be opened in the planner, or moved to a day that
    is clicked. One can also be dragged there. Either way it is said first what that does.
    """

    def __init__(self, ws: Workspace, *, open_campaign: Callable[[str], object] | None = None) -> None:
        """Args: `open_campaign` opens a campaign of a name in the planner; without it the calendar says how."""
        super().__init__()
        self.add_class("ob-view")
        self._ws, self._open_campaign = ws, open_campaign
        self._shown = ""
        self._counted: dict[tuple[str, int, int | None], EntrySize] = {}
        self._uncounted: set[tuple[str, int, int | None]] = set()  # what can't be counted
        self._counting, self._is_counting = LatestOnly(), False
        self._record: CampaignRecord | None = None
        self.weeks = field(w.Dropdown, "Show", options=WEEKS, value=5)
        self.weeks.add_class("ob-short")
        self.pane = Pane()
        self.pane.add_class("ob-full")
        # what is chosen in the table, which is no control of its own: a button there writes the campaign's id here
        self.chosen = w.Text(layout=w.Layout(display="none"))
        self.chosen.add_class("ob-picked")
        # and here the day that was clicked for it, or on which it was dropped
        self.day = w.Text(layout=w.Layout(display="none"))
        self.day.add_class("ob-day")
        self.about, self.result = Pane(), Pane()
        self.open_it = button("Open in the planner")
        self.to = field(w.DatePicker, "Move to")
        self.move, self.sure, self.leave = button("Move …"), button("Yes, move it", style="primary"), button("Leave it")
        self.to.add_class("ob-to")
        row = box(self.to, self.move, self.sure, self.leave, self.open_it, of="ob-saving")
        self._panel = box(self.about, self.result, row, of="ob-finish")
        self.children = (styles(), self.weeks, self.pane, self.chosen, self.day, self._panel)
        self.weeks.observe(lambda _: self.refresh(), "value")
        self.chosen.observe(lambda _: self._choose(), "value")
        self.day.observe(lambda _: self._to_a_day(), "value")
        self.to.observe(lambda _: self._ask(False), "value")
        self.open_it.on_click(lambda _: self._open())
        self.move.on_click(lambda _: self._ask(True))
        self.leave.on_click(lambda _: self._ask(False))
        self.sure.on_click(lambda _: self._move())
        self._choose()
        self.refresh()
        every(LOOK_AGAIN_S, self._look_again)

    def refresh(self) -> None:
        """Reads what is planned now, and has counted what isn't yet."""
        ws, weeks = self._ws, self.weeks.value
        with self.pane.saying_errors():
            going = ws.campaigns.calendar(days=7 * weeks, waiting=True)
            records = {record.id: record for record in ws.campaigns.list()}
            cells = weeks_of(going, today=ws.today(), weeks=weeks)
            shown_ones = [records[key] for key in dict.fromkeys(one.campaign_id for one in going)]
            sizes = {record.id: self._size(record) for record in shown_ones}
            movable = [record.id for record in shown_ones if is_movable(record)]
            told = ("calendar", cells, records, ws.today(), ws.settings.zone, sizes, movable)
            shown = fragment("calendar.html.j2", *told)
            if shown != self._shown:  # what is selected or focused on the page stays while nothing changes
                self._shown = shown
                self.pane.show(shown)
            self._count(shown_ones)

    def _key(self, record: CampaignRecord) -> tuple[str, int, int | None]:
        return (record.id, record.version, self._ws.warehouse.current)

    def _size(self, record: CampaignRecord) -> EntrySize | None:
        return self._counted.get(self._key(record)) or last_known(record, self._ws.store.deliveries)

    def _count(self, records: Iterable[CampaignRecord]) -> None:
        """Counts the next campaign that wasn't counted yet, in a thread, and goes on until all are."""
        left = [r for r in records if self._key(r) not in self._counted and self._key(r) not in self._uncounted]
        if self._is_counting or not left or self.comm is None:
            return
        record, self._is_counting = left[0], True

        def told(found: Any) -> None:
            self._is_counting = False
            if isinstance(found, Exception):
                self._uncounted.add(self._key(record))  # the last known one goes on to show
            else:
                self._counted[self._key(record)] = EntrySize(customers=found.waterfall.recipients, whence="counted")
            self.refresh()

        self._counting.ask(lambda: self._ws.campaigns.preview(record.campaign, samples=0), told)

    def _look_again(self) -> bool:
        if self.comm is None:
            return False
        self.refresh()
        return True

    def _choose(self) -> None:
        """Shows what can be done with the entry that is chosen."""
        self.result.say("")
        record = self._ws.store.campaigns.find(self.chosen.value) if self.chosen.value else None
        self._record = record
        self._panel.layout.display = "none" if record is None else ""
        may_move = record is not None and is_movable(record)
        (self.add_class if may_move else self.remove_class)("ob-moving")  # which shows a button on each day to come
        if record is None:
            return
        self.about.show(fragment("calendar.html.j2", "chosen", record, self._size(record)), role="status")
        self.to.layout.display = "" if may_move else "none"
        self.to.value = record.campaign.schedule.date
        self._ask(False)

    def _to_a_day(self) -> None:
        """Asks whether the chosen entry is to be moved to the day that the page tells."""
        day, self.day.value = self.day.value, ""
        if day and self._record is not None and is_movable(self._record):
            self.to.value = date.fromisoformat(day)
            self._ask(True)

    def _ask(self, is_asked: bool) -> None:
        """Says what a move would do before it is done, or takes the question back."""
        if is_asked and self._record is not None and self.to.value is not None:
            with self.result.saying_errors():
                moved(self._record.campaign, self.to.value, today=self._ws.today())
                self.result.say(f"{what_a_move_does(self._record, self.to.value)}. Move it?")
                self._show_question(True)
            return
        self._show_question(False)

    def _show_question(self, is_asked: bool) -> None:
        for control in (self.sure, self.leave):
            control.layout.display = "" if is_asked else "none"
        self.move.layout.display = "none" if is_asked else self.to.layout.display
        if not is_asked:
            self.result.say("")

    def _move(self) -> None:
        record, to = self._record, self.to.value
        if record is None or to is None:
            return
        said, kind = "", "bad"
        try:
            new = move(self._ws.campaigns, record, to, today=self._ws.today())
            said, kind = (
                f"“{new.campaign.name}” goes out {new.campaign.schedule.sentence()} once it is approved.",
                "good",
            )
        except OptinbError as error:
            said = str(error)
        self._choose()
        self.refresh()
        self.result.say(said, kind=kind)

    def _open(self) -> None:
        if self._record is None:
            return
        name = self._record.campaign.name
        if self._open_campaign is not None:
            self._open_campaign(name)
        else:
            self.result.say(f"Choose “{name}” under Campaign in the planner.")
