"""What was done and what came of it."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.measure.all_results import AllResults
    from optinb.measure.campaign_figures import (
        CampaignFigures,
        CampaignReach,
        FiguresRead,
        NightFigures,
        in_one_line,
    )
    from optinb.measure.campaign_page import CampaignPage, page_of
    from optinb.measure.campaign_results import CampaignResults
    from optinb.measure.effect import Effect, Look, compare, compare_figures, sample_ratio
    from optinb.measure.final_note import FinalCard, FinalNote, Measuring, NotedFigure, ResultsTonight
    from optinb.measure.reach_figures import ReachFigures
    from optinb.measure.redeemed import CampaignRedemptions, RedeemedNight
    from optinb.measure.redemptions import Redemptions
    from optinb.measure.report import render_report
    from optinb.measure.result import ArmResult, CampaignResult
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
else:
    __getattr__ = lazily(
        __name__,
        {
            ".all_results": "AllResults",
            ".campaign_figures": "CampaignFigures CampaignReach FiguresRead NightFigures in_one_line",
            ".campaign_page": "CampaignPage page_of",
            ".campaign_results": "CampaignResults",
            ".effect": "Effect Look compare compare_figures sample_ratio",
            ".final_note": "FinalCard FinalNote Measuring NotedFigure ResultsTonight",
            ".reach_figures": "ReachFigures",
            ".redeemed": "CampaignRedemptions RedeemedNight",
            ".redemptions": "Redemptions",
            ".report": "render_report",
            ".result": "ArmResult CampaignResult",
            ".summary": "CampaignSummary MessageSummary NightSummary TableCounts exit_code frozen held left_over "
            "rehearsed",
        },
    )
