"""The crash-safe sender: frozen audiences, batches, and the journal around every request."""

from optinb.delivery.batch import BATCH_SIZE, backoff_s, cut, is_late
from optinb.delivery.budget import Budget
from optinb.delivery.closing import close_past
from optinb.delivery.frozen import FrozenFile, Recipients, freeze, read_frozen
from optinb.delivery.machine import next_state
from optinb.delivery.planning import plan
from optinb.delivery.request import last_moment, request_for, schedule_of
from optinb.delivery.sender import Poster, send
from optinb.state import Batch, BatchState, DeliveryCounts, FrozenAudience

__all__ = [
    "BATCH_SIZE",
    "Batch",
    "BatchState",
    "Budget",
    "DeliveryCounts",
    "FrozenAudience",
    "FrozenFile",
    "Poster",
    "Recipients",
    "backoff_s",
    "close_past",
    "cut",
    "freeze",
    "is_late",
    "last_moment",
    "next_state",
    "plan",
    "read_frozen",
    "request_for",
    "schedule_of",
    "send",
]
