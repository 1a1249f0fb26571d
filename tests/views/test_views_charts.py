from __future__ import annotations

from datetime import date

import polars as pl

from optinb import views
from optinb.show.charts import sdk_rollout


def test_the_roll_out_of_the_sdk_is_a_line_for_each_app_with_users() -> None:
    rows = [
        (date(2026, 11, 22), "Shop", None, None, 30, 20),
        (date(2026, 11, 22), "Shop", "ios", "Shop for iPhone", 20, 5),
        (date(2026, 11, 23), "Shop", "ios", "Shop for iPhone", 20, 15),
        (date(2026, 11, 23), "Shop", "old", None, 10, 0),
        (date(2026, 11, 23), "Shop", "new", "Nobody yet", 0, 0),
    ]
    columns = ["day", "app_group", "app_id", "app", "users", "with_sdk"]
    drawn = sdk_rollout(pl.DataFrame(rows, schema=columns, orient="row"))
    assert drawn.startswith("<svg")
    assert "Shop for iPhone" in drawn and ">old<" in drawn and "Nobody yet" not in drawn
    assert "http" not in drawn.replace("http://www.w3.org/", "")


def test_the_roll_out_is_drawn_from_the_workspace(ws) -> None:
    assert "Shop for Android" in views.sdk_rollout(ws, app_group="Shop").data
