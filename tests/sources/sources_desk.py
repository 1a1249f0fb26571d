"""A workspace whose tables come from databases."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from optinb.base.settings import AppGroupSettings, AppSettings, ImportSection, Settings, SourceSection, WorkspaceSection

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def settings(*sources: SourceSection, **limits: Any) -> Settings:
    """Settings with these sources; customers alone are required."""
    apps = (AppSettings(id="shop-ios", name="iPhone", platform="ios"),)
    return Settings(
        workspace=WorkspaceSection(time_zone="Europe/Berlin"),
        app_groups=(AppGroupSettings(id="g", name="Shop", api="http://127.0.0.1:1", apps=apps),),
        imports=ImportSection(
            **{"required": ("customers",), "max_reject_share": 1.0, "max_emptied_share": 1.0, **limits}
        ),
        sources=sources,
    )
