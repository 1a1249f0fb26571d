"""The transactional database: engine, tables and migrations, leases, the audit chain, and runs."""

from optinb.store.audit import AuditEntry, AuditVerdict
from optinb.store.database import Database, in_folder
from optinb.store.leases import TTL_S, HeldLease, Lease, LeaseTaken
from optinb.store.runs import RunRecord

__all__ = [
    "TTL_S",
    "AuditEntry",
    "AuditVerdict",
    "Database",
    "HeldLease",
    "Lease",
    "LeaseTaken",
    "RunRecord",
    "in_folder",
]
