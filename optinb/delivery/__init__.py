"""The crash-safe sender: frozen audiences, batches, and the journal around every request."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.delivery.anonymous import FORGOTTEN
    from optinb.delivery.appboy_reach import ReachSample
    from optinb.delivery.audit_checkpoint import AuditCheckpoints
    from optinb.delivery.batch import BATCH_SIZE, backoff_s, cut, is_late
    from optinb.delivery.budget import Budget
    from optinb.delivery.closing import close_past, lease_name
    from optinb.delivery.confirmed_nights import ConfirmedNight, ConfirmedNights
    from optinb.delivery.contact_history import HISTORY, ContactHistory, counting, sending_day
    from optinb.delivery.contact_status import COUNTING, MEANING, RECEIVED, Status, status_of
    from optinb.delivery.elsewhere import must_be_here
    from optinb.delivery.forgetting import ForgottenCustomer
    from optinb.delivery.frozen import Recipients, freeze, read_frozen
    from optinb.delivery.journal import DeliveryCounts, FrozenAudience
    from optinb.delivery.night_answers import Answer, Why, WorkspaceStatus
    from optinb.delivery.planning import plan, why_short, why_too_large
    from optinb.delivery.recall import Recall, RecallTools, SendMove, reschedule
    from optinb.delivery.reconcile import Reconciled, Settled, Settlements
    from optinb.delivery.recovery import Recovered
    from optinb.delivery.request import ask_after, last_moment, may_be_stopped, request_for, schedule_of
    from optinb.delivery.send_ids import SendIds
    from optinb.delivery.sender import send
    from optinb.delivery.sends import Cancellation, Sends
else:
    __getattr__ = lazily(
        __name__,
        {
            ".anonymous": "FORGOTTEN",
            ".appboy_reach": "ReachSample",
            ".audit_checkpoint": "AuditCheckpoints",
            ".batch": "BATCH_SIZE backoff_s cut is_late",
            ".budget": "Budget",
            ".closing": "close_past lease_name",
            ".confirmed_nights": "ConfirmedNight ConfirmedNights",
            ".contact_history": "HISTORY ContactHistory counting sending_day",
            ".contact_status": "COUNTING MEANING RECEIVED Status status_of",
            ".elsewhere": "must_be_here",
            ".forgetting": "ForgottenCustomer",
            ".frozen": "Recipients freeze read_frozen",
            ".journal": "DeliveryCounts FrozenAudience",
            ".night_answers": "Answer Why WorkspaceStatus",
            ".planning": "plan why_short why_too_large",
            ".recall": "Recall RecallTools SendMove reschedule",
            ".reconcile": "Reconciled Settled Settlements",
            ".recovery": "Recovered",
            ".request": "ask_after last_moment may_be_stopped request_for schedule_of",
            ".send_ids": "SendIds",
            ".sender": "send",
            ".sends": "Cancellation Sends",
        },
    )
