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
    from optinb.segments.export import GroupExport
    from optinb.segments.group_history import Expectation, GroupHistory, GroupNight
    from optinb.segments.group_nights import GroupNights
    from optinb.segments.group_preview import Preview
    from optinb.segments.group_recording import GroupsRecorded, record_groups
    from optinb.segments.groups import GroupRecord, Groups, GroupSize
    from optinb.segments.lists import ListRecord, Lists
    from optinb.segments.membership import Membership, Overlap, Sizes
    from optinb.segments.news.item import News, NewsItem
    from optinb.segments.past import PastWorkspace
    from optinb.segments.plan import plan_of
    from optinb.segments.profile import Distribution, Profile, Vocabulary
    from optinb.segments.reach import (
        AppReach,
        CustomerReach,
        Reach,
        against,
        app_uses,
        reach_figures,
        reachable_apps,
        uses_of,
        version_key,
    )
    from optinb.segments.tables_view import CustomerDay
    from optinb.segments.together import SharedGroups, groups_of, members_of_all
    from optinb.segments.vendor_control import VendorControl, VendorControlRecord
    from optinb.segments.why import PartVerdict, judge, person_of
else:
    __getattr__ = lazily(
        __name__,
        {
            ".compile": "check members",
            ".exclusions": "CODES NO_PUSH OUTCOMES REASONS Exclusion Outcome Waterfall first_against",
            ".export": "GroupExport",
            ".group_history": "Expectation GroupHistory GroupNight",
            ".group_nights": "GroupNights",
            ".group_preview": "Preview",
            ".group_recording": "GroupsRecorded record_groups",
            ".groups": "GroupRecord GroupSize Groups",
            ".lists": "ListRecord Lists",
            ".membership": "Membership Overlap Sizes",
            ".news.item": "News NewsItem",
            ".past": "PastWorkspace",
            ".plan": "plan_of",
            ".profile": "Distribution Profile Vocabulary",
            ".reach": "AppReach CustomerReach Reach against app_uses reach_figures reachable_apps uses_of version_key",
            ".tables_view": "CustomerDay",
            ".together": "SharedGroups groups_of members_of_all",
            ".vendor_control": "VendorControl VendorControlRecord",
            ".why": "PartVerdict judge person_of",
        },
    )
