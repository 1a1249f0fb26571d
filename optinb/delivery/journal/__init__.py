"""The journal of deliveries: what is planned, under way and done, in the database and beside each frozen audience."""

from optinb.delivery.journal.answers import (
    TAIL,
    Account,
    AnswerFiles,
    JournalSide,
    behind,
    replay,
    send_lease,
    why_behind,
)
from optinb.delivery.journal.codes import Clash, CodePool, CodesTaken, Draw
from optinb.delivery.journal.manifest import PLANNED
from optinb.delivery.journal.recovering import RebuiltNight
from optinb.delivery.journal.store import Store
from optinb.delivery.journal.values import (
    Accepted,
    Batch,
    BatchState,
    Cancelled,
    DeliveryCounts,
    Expired,
    FrozenAudience,
    Planned,
    Refused,
    Sending,
    Settlement,
    Unknown,
    Verdict,
)

__all__ = [
    "PLANNED",
    "TAIL",
    "Accepted",
    "Account",
    "AnswerFiles",
    "Batch",
    "BatchState",
    "Cancelled",
    "Clash",
    "CodePool",
    "CodesTaken",
    "DeliveryCounts",
    "Draw",
    "Expired",
    "FrozenAudience",
    "JournalSide",
    "Planned",
    "RebuiltNight",
    "Refused",
    "Sending",
    "Settlement",
    "Store",
    "Unknown",
    "Verdict",
    "behind",
    "replay",
    "send_lease",
    "why_behind",
]
