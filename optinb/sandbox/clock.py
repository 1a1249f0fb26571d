"""The sandbox's clock: it starts where it is told to, ticks, and can be moved ahead."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from optinb.errors import UsageError


class Clock:
    """Real time, or a time of one's own that goes on ticking."""

    def __init__(self, start: datetime | None = None) -> None:
        self._ahead = timedelta(0)
        if start is not None:
            self._ahead = _aware(start) - self._real()

    def now(self) -> datetime:
        """The time in UTC."""
        return self._real() + self._ahead

    def move(self, to: datetime) -> datetime:
        """Moves the clock ahead and returns its time. Raises UsageError for a time that has passed on it."""
        target = _aware(to)
        now = self.now()
        if target < now:
            raise UsageError(f"the sandbox's clock says {now.isoformat()}: it can't go back to {target.isoformat()}")
        self._ahead += target - now
        return target

    @staticmethod
    def _real() -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise UsageError(f"the time {moment.isoformat()} has no offset; write one such as {moment.isoformat()}+00:00")
    return moment.astimezone(UTC)
