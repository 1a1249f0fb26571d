"""Reach by app and app group against plain counting, and the reasons for one customer."""

from __future__ import annotations

import random

import polars as pl
import pytest

from optinb.base.settings import AppGroupSettings, AppSettings
from optinb.segments import reach_figures, uses_of
from optinb.segments.reach import FIGURES


def group(name: str, *apps: AppSettings) -> AppGroupSettings:
    return AppGroupSettings(id=f"id-{name}", name=name, api="http://127.0.0.1:1", apps=apps)


IOS = AppSettings(id="shop-ios", name="Shop for iPhone", platform="ios", sdk_from_version="3.10.0")
ANDROID = AppSettings(id="shop-android", name="Shop for Android", platform="android", sdk_from_version="2")
CLUB = AppSettings(id="club-ios", name="Club", platform="ios")
GROUPS = (group("Shop", IOS, ANDROID), group("Club", CLUB), group("Empty"))
NEW_ENOUGH = {
    "shop-ios": {"3.10", "3.10.1", "10.0", None},
    "shop-android": {"2.0.0", "3.9", "3.10", "3.10.1", "10.0", None},
}
VERSIONS = ["3.9", "3.10", "3.10.1", "10.0", "2.0.0", "1.99", None]


def users(rows: list[tuple[str, str, bool | None, str | None]]) -> pl.LazyFrame:
    schema = {"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String}
    return pl.LazyFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_counting_by_hand(seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        (f"c{n}", app, chance.choice((True, True, False, None)), chance.choice(VERSIONS))
        for n in range(200)
        for app in ("shop-ios", "shop-android", "club-ios", "of nobody")
        if chance.random() < 0.4
    ]
    facts: dict[tuple[str, str | None], dict[str, set[str]]] = {}
    for customer, app, push, version in rows:
        of = next((g.id for g in GROUPS if app in {a.id for a in g.apps}), None)
        sdk = version in NEW_ENOUGH.get(app, {version})
        for key in ((of, app), (of, None)) if of else ():
            sets = facts.setdefault(key, {name: set() for name in FIGURES.names()[2:]})
            sets["users"].add(customer)
            for name, holds in (("push_enabled", push is True), ("with_sdk", sdk)):
                if holds:
                    sets[name].add(customer)
            if push is True and sdk:
                sets["reachable"].add(customer)
    found = reach_figures(users(rows), GROUPS)
    assert found.schema == FIGURES
    assert {(g, a): tuple(rest) for g, a, *rest in found.iter_rows()} == {
        (g.id, a): tuple(len(s) for s in facts[g.id, a].values()) if (g.id, a) in facts else (0, 0, 0, 0)
        for g in GROUPS
        for a in (None, *(app.id for app in g.apps))
    }


def test_a_group_counts_those_as_reachable_who_have_both_in_one_app() -> None:
    rows = [("a", "shop-ios", True, "1.0"), ("a", "shop-android", False, "3.0"), ("b", "shop-ios", True, "3.10.0")]
    shop = reach_figures(users(rows), GROUPS).filter(pl.col("app_id").is_null()).row(0, named=True)
    assert (shop["users"], shop["push_enabled"], shop["with_sdk"], shop["reachable"]) == (2, 2, 2, 1)


def test_figures_without_any_user_or_group_are_zero_or_none() -> None:
    assert reach_figures(users([]), GROUPS)["users"].to_list() == [0] * 6
    assert reach_figures(users([]), ()).is_empty()


def test_each_app_of_a_customer_says_why_a_push_cannot_arrive() -> None:
    mine = users([("a", "shop-ios", False, "3.9"), ("a", "shop-android", True, None)])
    assert [(use.app_id, use.is_used, use.is_reachable, use.why_not) for use in uses_of(mine, GROUPS)] == [
        (
            "shop-ios",
            True,
            False,
            "has version 3.9, and the Appboy SDK is in 3.10.0 and later and has push switched off",
        ),
        ("shop-android", True, True, ""),
        ("club-ios", False, False, "doesn't use it"),
    ]
