"""Where, by which settings, when and by whom something is done: what every service needs, and no service itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from optinb.base.settings import Settings, current_user
from optinb.errors import UsageError


class Context:
    """The circumstances of work on a workspace.

    Attributes: `root` is its folder, `settings` those of its file, `now` the clock, in UTC.
    """

    def __init__(self, root: Path, settings: Settings, *, now: Callable[[], datetime], user: str | None = None) -> None:
        self.root: Path = root
        self.settings: Settings = settings
        self.now: Callable[[], datetime] = now
        self._given_user = user

    @cached_property
    def user(self) -> str:
        """Who is working, asked for by the first thing that writes. Raises SettingsError when nobody is named."""
        return self._given_user or current_user(self.settings)

    @property
    def holder(self) -> str:
        """Who works in this process, for people who wait for it."""
        return f"{self.user}@{socket.gethostname()}:{os.getpid()}"

    def today(self) -> date:
        """The date in the workspace's time zone."""
        return self.now().astimezone(self.settings.zone).date()

    def refuse_ahead(self, run_date: date) -> None:
        """Raises UsageError for a night later than tomorrow, which a dry run may look at.

        A mistyped later day would stay in the history, and make every delivery before it too old.
        """
        if run_date > self.today() + timedelta(days=1):
            raise UsageError(f"{run_date} lies ahead; today is {self.today()}: name today, or an earlier day")


def as_day(value: date | str) -> date:
    """A day from a date or a text such as "2026-11-20". Raises UsageError."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f'{value!r} is no date; write it as "2026-11-20"') from error
