"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from optinb.segments.compiler import check, members
from optinb.segments.reach import AppReach, AppUse, Reach, reach, reach_figures, reachable_apps, uses_of, version_key

__all__ = [
    "AppReach",
    "AppUse",
    "Reach",
    "check",
    "members",
    "reach",
    "reach_figures",
    "reachable_apps",
    "uses_of",
    "version_key",
]
