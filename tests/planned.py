"""The planner filled in as somebody does who wants a campaign that lacks nothing but a promotion code."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optinb.views.plan.planner import Planner

TEMPLATE = "Optimove_SummerSale_Android"


def fill(
    planner: Planner,
    *,
    group: str = "Lapsed buyers",
    app_group: str = "Shop",
    template: str = TEMPLATE,
    day: date = date(2026, 11, 24),
    at: time = time(18, 30),
) -> Planner:
    """Chooses what nothing is chosen for by itself."""
    planner.app_group.value = app_group
    planner.template.value = template
    planner.group.value = group
    planner.schedule.date.value, planner.schedule.at.value = day, at
    return planner
