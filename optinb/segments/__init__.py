"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from optinb.segments.compile import check, explain, members, plan, run
from optinb.segments.explain import Explanation, Reason
from optinb.segments.plan import Plan, Scan, plan_of
from optinb.segments.reach import AppReach, AppUse, Reach, reach, reach_figures, reachable_apps, uses_of, version_key
from optinb.segments.together import members_of_all

__all__ = [
    "AppReach",
    "AppUse",
    "Explanation",
    "Plan",
    "Reach",
    "Reason",
    "Scan",
    "check",
    "explain",
    "members",
    "members_of_all",
    "plan",
    "plan_of",
    "reach",
    "reach_figures",
    "reachable_apps",
    "run",
    "uses_of",
    "version_key",
]
