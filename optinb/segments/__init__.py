"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from optinb.segments.compile import belongs, check, explain, members, plan, run
from optinb.segments.explain import Explanation, Reason
from optinb.segments.group_store import GroupRecord
from optinb.segments.overlap import Combination, Overlap, overlap
from optinb.segments.plan import Plan, Scan, plan_of
from optinb.segments.profile import Band, Difference, Profile, profile
from optinb.segments.reach import AppReach, AppUse, Reach, reach, reach_figures, reachable_apps, uses_of, version_key
from optinb.segments.sources import attributes_read, tables_behind, tables_read
from optinb.segments.together import groups_of, members_of_all
from optinb.segments.why import Person, Verdict, judge, person_of

__all__ = [
    "AppReach",
    "AppUse",
    "Band",
    "Combination",
    "Difference",
    "Explanation",
    "GroupRecord",
    "Overlap",
    "Person",
    "Plan",
    "Profile",
    "Reach",
    "Reason",
    "Scan",
    "Verdict",
    "attributes_read",
    "belongs",
    "check",
    "explain",
    "groups_of",
    "judge",
    "members",
    "members_of_all",
    "overlap",
    "person_of",
    "plan",
    "plan_of",
    "profile",
    "reach",
    "reach_figures",
    "reachable_apps",
    "run",
    "tables_behind",
    "tables_read",
    "uses_of",
    "version_key",
]
