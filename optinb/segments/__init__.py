"""Target groups on data: who belongs to a rule, and whom a push can reach."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.segments.compile import check, members
    from optinb.segments.exclusions import (
        CODES,
        NO_PUSH,
        OUTCOMES,
        REASONS,
        Exclusion,
        Outcome,
        Waterfall,
        first_against,
    )
    from optinb.segments.group_preview import Preview
    from optinb.segments.group_store import GroupRecord
    from optinb.segments.groups import Groups, GroupSize
    from optinb.segments.lists import ListRecord, Lists
    from optinb.segments.membership import Membership
    from optinb.segments.night_groups import SharedGroups
    from optinb.segments.overlap import Overlap
    from optinb.segments.past import PastWorkspace
    from optinb.segments.plan import plan_of
    from optinb.segments.profile import Profile
    from optinb.segments.push import against, app_uses
    from optinb.segments.reach import (
        AppReach,
        CustomerReach,
        Reach,
        reach_figures,
        reachable_apps,
        uses_of,
        version_key,
    )
    from optinb.segments.sizes_by_night import Sizes
    from optinb.segments.sources import attributes_read, tables_behind, tables_read
    from optinb.segments.tables_view import CustomerDay
    from optinb.segments.together import groups_of, members_of_all
    from optinb.segments.vocabulary import Distribution, Vocabulary
    from optinb.segments.why import PartVerdict, judge, person_of
else:
    __getattr__ = lazily(
        __name__,
        {
            ".compile": "check members",
            ".exclusions": "CODES NO_PUSH OUTCOMES REASONS Exclusion Outcome Waterfall first_against",
            ".group_preview": "Preview",
            ".group_store": "GroupRecord",
            ".groups": "Groups GroupSize",
            ".lists": "ListRecord Lists",
            ".membership": "Membership",
            ".night_groups": "SharedGroups",
            ".overlap": "Overlap",
            ".past": "PastWorkspace",
            ".plan": "plan_of",
            ".profile": "Profile",
            ".push": "against app_uses",
            ".reach": "AppReach CustomerReach Reach reach_figures reachable_apps uses_of version_key",
            ".sizes_by_night": "Sizes",
            ".sources": "attributes_read tables_behind tables_read",
            ".tables_view": "CustomerDay",
            ".together": "groups_of members_of_all",
            ".vocabulary": "Distribution Vocabulary",
            ".why": "PartVerdict judge person_of",
        },
    )
