"""The crash-safe sender: frozen audiences, batches, and the journal around every request."""

from optinb.delivery.anonymous import FORGOTTEN, Held, anonymise, holding, orphans
from optinb.delivery.batch import BATCH_SIZE, backoff_s, cut, is_late
from optinb.delivery.budget import Budget
from optinb.delivery.closing import close_past, lease_name
from optinb.delivery.frozen import FrozenFile, Recipients, freeze, read_frozen
from optinb.delivery.machine import next_state
from optinb.delivery.planning import plan, why_short
from optinb.delivery.recall import Move, Recall, Tools, recall, reschedule
from optinb.delivery.reconcile import Reconciled, reconcile
from optinb.delivery.request import last_moment, request_for, schedule_of
from optinb.delivery.sender import Poster, send
from optinb.state import Batch, BatchState, DeliveryCounts, FrozenAudience

__all__ = [
    "BATCH_SIZE",
    "FORGOTTEN",
    "Batch",
    "BatchState",
    "Budget",
    "DeliveryCounts",
    "FrozenAudience",
    "FrozenFile",
    "Held",
    "Move",
    "Poster",
    "Recall",
    "Recipients",
    "Reconciled",
    "Tools",
    "anonymise",
    "backoff_s",
    "close_past",
    "cut",
    "freeze",
    "holding",
    "is_late",
    "last_moment",
    "lease_name",
    "next_state",
    "orphans",
    "plan",
    "read_frozen",
    "recall",
    "reconcile",
    "request_for",
    "reschedule",
    "schedule_of",
    "send",
    "why_short",
]
