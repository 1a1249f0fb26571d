"""The crash-safe sender: frozen audiences, batches, and the journal around every request."""

from optinb.delivery.batch import BATCH_SIZE, backoff_s, cut, is_late, next_state
from optinb.delivery.frozen import FrozenFile, freeze, read_frozen, read_recipients
from optinb.delivery.planning import plan
from optinb.delivery.sender import Poster, close_past, request_for, send
from optinb.state import Batch, BatchState, DeliveryCounts, FrozenAudience

__all__ = [
    "BATCH_SIZE",
    "Batch",
    "BatchState",
    "DeliveryCounts",
    "FrozenAudience",
    "FrozenFile",
    "Poster",
    "backoff_s",
    "close_past",
    "cut",
    "freeze",
    "is_late",
    "next_state",
    "plan",
    "read_frozen",
    "read_recipients",
    "request_for",
    "send",
]
