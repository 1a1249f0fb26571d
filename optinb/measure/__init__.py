"""What was done and what came of it."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.measure.all_results import AllResults
    from optinb.measure.arms import ArmResult
    from optinb.measure.breakdown import ResultPart
    from optinb.measure.campaign_figures import (
        CampaignFigures,
        CampaignReach,
        FiguresRead,
        NightFigures,
        in_one_line,
    )
    from optinb.measure.campaign_page import CampaignPage, page_of
    from optinb.measure.campaign_results import CampaignResults
    from optinb.measure.campaign_tests import CampaignTest, CampaignTests
    from optinb.measure.campaign_uplift import CampaignUplift, CampaignUplifts
    from optinb.measure.effect import Effect, Look, Rise, compare, compare_figures, sample_ratio
    from optinb.measure.final_note import FinalCard, FinalNote, Measuring, NotedFigure, ResultsTonight
    from optinb.measure.final_results import FinalResults
    from optinb.measure.funnel import ArmFunnel, Funnel, FunnelStep
    from optinb.measure.over_days import DayEffect, OverDays
    from optinb.measure.programme import CampaignPart, Programme
    from optinb.measure.programme_results import ProgrammeResults
    from optinb.measure.published_uplifts import PublishedUplifts
    from optinb.measure.qini import Qini, qini_of
    from optinb.measure.reach_figures import ReachFigures
    from optinb.measure.redeemed import CampaignRedemptions, RedeemedNight
    from optinb.measure.redemptions import Redemptions
    from optinb.measure.report import render_report
    from optinb.measure.result import CampaignResult
    from optinb.measure.summary import (
        CampaignSummary,
        MessageSummary,
        NightSummary,
        TableCounts,
        exit_code,
        frozen,
        held,
        left_over,
        rehearsed,
    )
    from optinb.measure.uplift import Uplift, learn_uplift, score_of
else:
    __getattr__ = lazily(
        __name__,
        {
            ".all_results": "AllResults",
            ".arms": "ArmResult",
            ".breakdown": "ResultPart",
            ".campaign_figures": "CampaignFigures CampaignReach FiguresRead NightFigures in_one_line",
            ".campaign_page": "CampaignPage page_of",
            ".campaign_results": "CampaignResults",
            ".campaign_tests": "CampaignTest CampaignTests",
            ".campaign_uplift": "CampaignUplift CampaignUplifts",
            ".effect": "Effect Look Rise compare compare_figures sample_ratio",
            ".final_note": "FinalCard FinalNote Measuring NotedFigure ResultsTonight",
            ".final_results": "FinalResults",
            ".funnel": "ArmFunnel Funnel FunnelStep",
            ".over_days": "DayEffect OverDays",
            ".programme": "CampaignPart Programme",
            ".programme_results": "ProgrammeResults",
            ".published_uplifts": "PublishedUplifts",
            ".qini": "Qini qini_of",
            ".reach_figures": "ReachFigures",
            ".redeemed": "CampaignRedemptions RedeemedNight",
            ".redemptions": "Redemptions",
            ".report": "render_report",
            ".result": "CampaignResult",
            ".summary": "CampaignSummary MessageSummary NightSummary TableCounts exit_code frozen held left_over "
            "rehearsed",
            ".uplift": "Uplift learn_uplift score_of",
        },
    )
