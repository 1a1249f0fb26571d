"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from optinb.segments.compiler import check, members
from optinb.segments.reach import AppReach, Reach, reach, reachable_apps, version_key

__all__ = ["AppReach", "Reach", "check", "members", "reach", "reachable_apps", "version_key"]
