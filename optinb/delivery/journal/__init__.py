"""The journal of deliveries: what is planned, under way and done, in the database and beside each frozen audience."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.delivery.journal.answers import TAIL, Account, JournalSide, behind, replay, send_lease, why_behind
    from optinb.delivery.journal.codes import Clash, CodePool, CodesTaken, Draw
    from optinb.delivery.journal.confirmations import UNTOLD, VERDICT_TAIL, Confirmation, ConfirmedCounts
    from optinb.delivery.journal.manifest import PLANNED
    from optinb.delivery.journal.plans import MessagePlan
    from optinb.delivery.journal.reach_days import EVERYBODY, FIGURES, ReachDay, end_of
    from optinb.delivery.journal.rebuilding import RebuiltNight
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
        StateName,
        Unknown,
        Verdict,
        state_name,
    )
else:
    __getattr__ = lazily(
        __name__,
        {
            ".answers": "TAIL Account JournalSide behind replay send_lease why_behind",
            ".codes": "Clash CodePool CodesTaken Draw",
            ".confirmations": "UNTOLD VERDICT_TAIL Confirmation ConfirmedCounts",
            ".manifest": "PLANNED",
            ".plans": "MessagePlan",
            ".reach_days": "EVERYBODY FIGURES ReachDay end_of",
            ".rebuilding": "RebuiltNight",
            ".store": "Store",
            ".values": "Accepted Batch BatchState Cancelled DeliveryCounts Expired FrozenAudience Planned Refused "
            "Sending Settlement StateName Unknown Verdict state_name",
        },
    )
