"""The crash-safe sender: frozen audiences, batches, and the journal around every request."""

from optinb.delivery.anonymous import FORGOTTEN, Held, anonymise, holding, orphans
from optinb.delivery.audit_checkpoint import AuditCheckpoints
from optinb.delivery.batch import BATCH_SIZE, backoff_s, cut, is_late
from optinb.delivery.budget import Budget
from optinb.delivery.closing import close_dead, close_past, lease_name
from optinb.delivery.contact_history import CONTACTS, HISTORY, ContactHistory, counting, sending_day
from optinb.delivery.contact_status import COUNTING, MEANING, RECEIVED, Meaning, Role, Status, status_of
from optinb.delivery.elsewhere import must_be_here
from optinb.delivery.forgetting import ForgottenCustomer
from optinb.delivery.frozen import FrozenFile, Recipients, freeze, read_frozen
from optinb.delivery.journal import Batch, BatchState, DeliveryCounts, FrozenAudience
from optinb.delivery.machine import next_state
from optinb.delivery.night_answers import Answer, Why, WorkspaceStatus
from optinb.delivery.planning import plan, why_short, why_too_large
from optinb.delivery.recall import Recall, RecallTools, SendMove, recall, reschedule
from optinb.delivery.reconcile import Reconciled, reconcile
from optinb.delivery.recovery import Recovered
from optinb.delivery.request import ask_after, last_moment, may_be_stopped, request_for, schedule_of
from optinb.delivery.sender import Poster, send
from optinb.delivery.sends import Cancellation, Sends, Settled, Settlements

__all__ = [
    "BATCH_SIZE",
    "CONTACTS",
    "COUNTING",
    "FORGOTTEN",
    "HISTORY",
    "MEANING",
    "RECEIVED",
    "Answer",
    "AuditCheckpoints",
    "Batch",
    "BatchState",
    "Budget",
    "Cancellation",
    "ContactHistory",
    "DeliveryCounts",
    "ForgottenCustomer",
    "FrozenAudience",
    "FrozenFile",
    "Held",
    "Meaning",
    "Poster",
    "Recall",
    "RecallTools",
    "Recipients",
    "Reconciled",
    "Recovered",
    "Role",
    "SendMove",
    "Sends",
    "Settled",
    "Settlements",
    "Status",
    "Why",
    "WorkspaceStatus",
    "anonymise",
    "ask_after",
    "backoff_s",
    "close_dead",
    "close_past",
    "counting",
    "cut",
    "freeze",
    "holding",
    "is_late",
    "last_moment",
    "lease_name",
    "may_be_stopped",
    "must_be_here",
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
    "sending_day",
    "status_of",
    "why_short",
    "why_too_large",
]
