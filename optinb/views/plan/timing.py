"""The controls of a schedule: once, or again and again, on whose clock, and between which days."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.campaigns.schedule import WEEKDAYS
from optinb.views.controls import Pane, box, field
from optinb.views.plan.draft import SCHEDULED, Timing

if TYPE_CHECKING:
    from collections.abc import Callable

OFTEN = [
    ("Once, on a date", "once"),
    ("Every day", "day"),
    ("Every few days", "days"),
    ("On days of the week", "week"),
    ("Every month", "month"),
]
DAYS = [*((str(day), str(day)) for day in range(1, 32)), ("the last one", "last")]


class TimingEditor(w.VBox):
    """When a campaign goes out."""

    def __init__(self, *, zone: str, today: date, changed: Callable[[], None]) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._today, self._changed, self._is_loading = today, changed, False
        clocks = [
            (f"One moment for everybody ({zone})", "workspace"),
            ("When each customer's own clock shows it", "local"),
            ("When Appboy finds it best for each customer", "optimal"),
        ]
        self.often = field(w.Dropdown, "Goes out", options=OFTEN)
        self.on = field(w.DatePicker, "Date", value=today + timedelta(days=1))
        self.at = field(w.TimePicker, "Time", value=SCHEDULED, step=60)
        self.clock = field(w.Dropdown, "Whose clock", options=clocks)
        self.step = field(w.BoundedIntText, "Days between two sends", value=2, min=2, max=366)
        self.weekdays = {day: w.Checkbox(description=day.capitalize(), indent=False) for day in WEEKDAYS}
        self.day = field(w.Dropdown, "Day of the month", options=DAYS)
        self.start = field(w.DatePicker, "From")
        self.end = field(w.DatePicker, "Until, if it ends")
        self.blackout = field(w.Text, "Not on these days", placeholder="2026-12-24, 2026-12-25")
        self.sentence = Pane()
        self._week = box(*self.weekdays.values(), of="ob-checks")
        self._when = box(self.on, self.step, self.day, self.at, of="ob-pair")
        self._between = box(self.start, self.end, self.blackout, of="ob-pair")
        self.children = (
            box(self.often, self.clock, of="ob-pair"),
            self._week,
            self._when,
            self._between,
            self.sentence,
        )
        singles = (self.on, self.at, self.step, self.day, self.start, self.end, self.blackout, self.clock)
        for control in (*singles, *self.weekdays.values()):
            control.observe(lambda _: self._tell(), "value")
        self.often.observe(lambda _: self._arrange(), "value")
        self._arrange()

    def timing(self) -> Timing:
        """What the controls say."""
        return Timing(
            often=self.often.value,
            on=self.on.value,
            at=self.at.value,
            clock=self.clock.value,
            step=self.step.value,
            weekdays=tuple(day for day, control in self.weekdays.items() if control.value),
            day=self.day.value,
            start=self.start.value,
            end=self.end.value,
            blackout=self.blackout.value,
        )

    def fresh(self) -> Timing:
        """What a new campaign starts with: tomorrow."""
        return Timing(on=self._today + timedelta(days=1))

    def show(self, timing: Timing) -> None:
        """Sets the controls; nobody is told of a change."""
        self._is_loading = True
        try:
            self.often.value, self.clock.value, self.day.value = timing.often, timing.clock, timing.day
            self.on.value, self.start.value, self.end.value = timing.on, timing.start, timing.end
            self.at.value = timing.at or time(0)
            self.step.value, self.blackout.value = timing.step, timing.blackout
            for day, control in self.weekdays.items():
                control.value = day in timing.weekdays
            self._arrange()
        finally:
            self._is_loading = False

    def _arrange(self) -> None:
        """Shows the controls that belong to how often it goes out."""
        often = self.often.value
        shown = {self.on: often == "once", self.step: often == "days", self.day: often == "month",
                 self._week: often == "week", self._between: often != "once"}  # fmt: skip
        for control, is_shown in shown.items():
            control.layout.display = "" if is_shown else "none"
        if often == "days" and self.start.value is None and not self._is_loading:
            self.start.value = self._today + timedelta(days=1)  # days are counted from there
        self._tell()

    def _tell(self) -> None:
        self.at.layout.display = "none" if self.clock.value == "optimal" else ""
        if not self._is_loading:
            self._changed()
