from __future__ import annotations

import polars as pl

from optinb.base.settings import AppSettings
from optinb.segments.group_preview import ReachCache

APPS = (
    AppSettings(id="ios", name="Shop for iPhone", platform="ios", sdk_from_version="2"),
    AppSettings(id="lite", name="Shop Lite", platform="android"),
    AppSettings(id="android", name="Shop for Android", platform="android"),
)


def test_a_customer_with_two_apps_counts_once_in_each_sum() -> None:
    rows = [
        ("a", "ios", True, "2.1"),
        ("a", "android", True, None),
        ("a", "lite", True, None),
        ("b", "ios", True, "1.9"),
        ("c", "android", False, None),
        ("outsider", "ios", True, "3"),
    ]
    schema = {"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String}
    ids = ["a", "b", "c", "d", "outsider"]
    people = pl.DataFrame({"customer_id": ids, "external_user_id": ids}).with_columns(
        is_blocked=False, is_test=False, push_opt_in=True
    )
    live = ReachCache(people, pl.LazyFrame(rows, schema=schema, orient="row"), APPS)
    found, _ = live.figures(people["customer_id"] != "outsider")
    assert [(app.app_id, app.users, app.reachable) for app in found.apps] == [
        ("ios", 2, 1),
        ("lite", 1, 1),
        ("android", 2, 1),
    ]
    assert found.platforms == {"ios": 1, "android": 1}
    assert (found.users, found.reachable) == (3, 1)
