"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from optinb.segments.compile import belongs, check, explain, members, plan, run
from optinb.segments.exclusions import CODES, NO_PUSH, OUTCOMES, REASONS, Exclusion, Outcome, Waterfall, first_against
from optinb.segments.explain import Explanation, Reason
from optinb.segments.group_preview import Preview
from optinb.segments.group_store import GroupRecord
from optinb.segments.groups import Groups, GroupSize
from optinb.segments.lists import ListRecord, Lists
from optinb.segments.membership import Membership
from optinb.segments.night_groups import SharedGroups
from optinb.segments.overlap import Combination, Overlap, overlap
from optinb.segments.past import PastWorkspace
from optinb.segments.plan import Plan, Scan, plan_of
from optinb.segments.profile import Band, Difference, Profile, profile
from optinb.segments.push import AppUses, against, app_uses, kept_away
from optinb.segments.reach import (
    AppReach,
    AppUse,
    Reach,
    reach_figures,
    reach_nights,
    reachable_apps,
    uses_of,
    version_key,
)
from optinb.segments.sizes_by_night import Sizes
from optinb.segments.sources import attributes_read, tables_behind, tables_read
from optinb.segments.tables_view import CustomerDay, CustomerReach
from optinb.segments.together import groups_of, members_of_all
from optinb.segments.vocabulary import Distribution, Vocabulary
from optinb.segments.why import PartVerdict, Person, judge, person_of

__all__ = [
    "CODES",
    "NO_PUSH",
    "OUTCOMES",
    "REASONS",
    "AppReach",
    "AppUse",
    "AppUses",
    "Band",
    "Combination",
    "CustomerDay",
    "CustomerReach",
    "Difference",
    "Distribution",
    "Exclusion",
    "Explanation",
    "GroupRecord",
    "GroupSize",
    "Groups",
    "ListRecord",
    "Lists",
    "Membership",
    "Outcome",
    "Overlap",
    "PartVerdict",
    "PastWorkspace",
    "Person",
    "Plan",
    "Preview",
    "Profile",
    "Reach",
    "Reason",
    "Scan",
    "SharedGroups",
    "Sizes",
    "Vocabulary",
    "Waterfall",
    "against",
    "app_uses",
    "attributes_read",
    "belongs",
    "check",
    "explain",
    "first_against",
    "groups_of",
    "judge",
    "kept_away",
    "members",
    "members_of_all",
    "overlap",
    "person_of",
    "plan",
    "plan_of",
    "profile",
    "reach_figures",
    "reach_nights",
    "reachable_apps",
    "run",
    "tables_behind",
    "tables_read",
    "uses_of",
    "version_key",
]
