"""The transactional store: groups, templates, campaigns, deliveries, runs, leases and the audit trail."""

from optinb.state.answers import TAIL, Account, AnswerFiles, JournalSide, behind, replay, send_lease, why_behind
from optinb.state.audit import AuditEntry, AuditVerdict
from optinb.state.campaigns import CampaignChange
from optinb.state.codes import Clash, CodePool, CodesTaken, Draw
from optinb.state.database import in_folder
from optinb.state.groups import GroupRecord
from optinb.state.journal import (
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
from optinb.state.leases import TTL_S, HeldLease, Lease, LeaseTaken
from optinb.state.manifest import PLANNED
from optinb.state.recovering import RebuiltNight
from optinb.state.runs import RunRecord
from optinb.state.store import Store
from optinb.state.templates import TemplateSync

__all__ = [
    "PLANNED",
    "TAIL",
    "TTL_S",
    "Accepted",
    "Account",
    "AnswerFiles",
    "AuditEntry",
    "AuditVerdict",
    "Batch",
    "BatchState",
    "CampaignChange",
    "Cancelled",
    "Clash",
    "CodePool",
    "CodesTaken",
    "DeliveryCounts",
    "Draw",
    "Expired",
    "FrozenAudience",
    "GroupRecord",
    "HeldLease",
    "JournalSide",
    "Lease",
    "LeaseTaken",
    "Planned",
    "RebuiltNight",
    "Refused",
    "RunRecord",
    "Sending",
    "Settlement",
    "Store",
    "TemplateSync",
    "Unknown",
    "Verdict",
    "behind",
    "in_folder",
    "replay",
    "send_lease",
    "why_behind",
]
