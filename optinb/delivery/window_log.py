"""What a sender tells the log of its windows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.delivery.journal import Batch, FrozenAudience

_logger = logging.getLogger("optinb.delivery")


class WindowLog:
    """One line of the log for each window: what became of its batches, and how fast."""

    def __init__(self, audience: FrozenAudience, window: int) -> None:
        self._audience, self._window = audience, window
        self._begun = time.monotonic()
        self._states: Counter[str] = Counter()
        self._recipients = 0

    def note(self, settled: Sequence[Batch]) -> None:
        """Adds half a window."""
        self._states.update(str(type(batch.state).__struct_config__.tag) for batch in settled)
        self._recipients += sum(batch.size for batch in settled)
        if self._states.total() >= self._window:
            self.write()

    def write(self) -> None:
        """Writes the line, if anything has come since the last one."""
        if not self._states:
            return
        now = time.monotonic()
        seconds = max(now - self._begun, 1e-6)
        _logger.info(
            "window",
            extra={
                "campaign": self._audience.campaign_name,
                "night": self._audience.run_date.isoformat(),
                **self._states,
                "seconds": round(seconds, 3),
                "recipients_a_second": round(self._recipients / seconds),
            },
        )
        self._begun, self._recipients = now, 0
        self._states.clear()
