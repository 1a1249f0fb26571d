"""What was done and what came of it."""

from optinb.measure.report import render_report
from optinb.measure.summary import (
    CampaignSummary,
    NightSummary,
    TableCounts,
    exit_code,
    frozen,
    held,
    left_over,
    rehearsed,
)

__all__ = [
    "CampaignSummary",
    "NightSummary",
    "TableCounts",
    "exit_code",
    "frozen",
    "held",
    "left_over",
    "rehearsed",
    "render_report",
]
