"""What a preview counts of customers looked up beforehand is what the audience of a night counts."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from optinb import attr, did, show
from optinb.base.settings import AppSettings
from optinb.campaigns import AudienceMessage, build_audience, waterfall
from optinb.segments import AppReach, Reach, reachable_apps
from optinb.segments.group_preview import ReachCache, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.workspace import Workspace

APPS = (
    AppSettings(id="ios", name="iPhone", platform="ios", sdk_from_version="3.2"),
    AppSettings(id="ipad", name="iPad", platform="ios"),
    AppSettings(id="android", name="Android", platform="android", sdk_from_version="2"),
)


def reach(members: pl.LazyFrame, app_users: pl.LazyFrame, apps: Sequence[AppSettings]) -> Reach:
    """The reach of some customers, counted from the rows of their apps."""
    uses = (
        reachable_apps(app_users, apps)
        .join(members.select("customer_id"), on="customer_id", how="semi")
        .select("customer_id", "app_id", "platform", reachable=pl.col("has_sdk") & pl.col("push_enabled"))
        .collect()
    )

    def people(rows: pl.DataFrame) -> int:
        return rows["customer_id"].n_unique()

    can = uses.filter("reachable")
    by_app = tuple(
        AppReach(
            app_id=app.id,
            app=app.name,
            platform=app.platform,
            users=people(uses.filter(pl.col("app_id") == app.id)),
            reachable=people(can.filter(pl.col("app_id") == app.id)),
        )
        for app in apps
    )
    platforms = {p: people(can.filter(pl.col("platform") == p)) for p in dict.fromkeys(app.platform for app in apps)}
    return Reach(apps=by_app, platforms=platforms, users=people(uses), reachable=people(can))


@pytest.mark.parametrize("apps", [APPS, APPS[:1], ()], ids=len)
@pytest.mark.parametrize("seed", range(4))
def test_figures_agree_with_building_the_audience(seed: int, apps: tuple[AppSettings, ...]) -> None:
    chance = random.Random(seed)
    ids = [f"c{n:03}" for n in range(300)]
    chance.shuffle(ids)
    flags = {name: [chance.choice((True, None, *[False] * 6)) for _ in ids] for name in ("is_blocked", "is_test")}
    people = pl.DataFrame(
        {
            "customer_id": ids,
            "external_user_id": [chance.choice([None, "", *map(str, range(75))]) for _ in ids],
            "push_opt_in": [chance.choice((*[True] * 6, False, None)) for _ in ids],
            **flags,
        }
    )
    users = pl.LazyFrame(
        [
            (i, app, chance.choice((True, True, False, None)), chance.choice(("3.1", "3.2", "1", None)))
            for i in [*ids, "of nobody"]
            for app in ("ios", "ipad", "android", "another")
            if chance.random() < 0.5
        ],
        schema={"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String},
        orient="row",
    )
    live = ReachCache(people, users, apps)
    for share in (0, 0.1, 0.6, 1):
        inside = pl.Series([chance.random() < share for _ in ids], dtype=pl.Boolean)
        members = people.lazy().filter(inside).select("customer_id")
        expected = waterfall(
            build_audience(members, people.lazy(), users, messages=[AudienceMessage(apps=tuple(apps))])
        )
        assert live.figures(inside) == (reach(members, users, apps), expected)
        assert share < 1 or len(apps) < 3 or {"no_external_id", "same_external_id"} <= expected.excluded.keys()


@pytest.mark.parametrize(
    "rule",
    [
        attr("country") == "DE",
        ~(attr("country") == "DE"),
        did("purchase").within(days=60),
        attr("acquisition_channel") == "none at all",
    ],
)
def test_a_preview_of_the_workspace_agrees_with_its_members_and_audience(ws: Workspace, rule) -> None:
    tables = ws.tables()
    customers, users = tables.customers.to_native(), tables.app_users.to_native()
    for name in (None, "Shop"):
        found = ws.preview(rule, app_group=name)
        groups = [ws.settings.app_group(name)] if name else ws.settings.app_groups
        apps = [app for group in groups for app in group.apps]
        members = ws.members(rule).lazy().select("customer_id")
        assert found.customers == members.collect().height == found.waterfall.target
        assert found.total == customers.collect().height
        assert found.reach == reach(members, users, apps)
        assert found.waterfall == waterfall(
            build_audience(members, customers, users, messages=[AudienceMessage(apps=tuple(apps))])
        )
    assert found == ws.preview(rule, app_group="Shop", engine="duckdb")
    everybody = {row["customer_id"]: row for row in ws.members(rule).to_dicts()}
    shown = [row["customer_id"] for row in found.sample]
    assert len(set(shown)) == len(shown) == min(5, found.customers)
    assert all(everybody[row["customer_id"]] == row for row in found.sample)
    assert all(one in show.html(found) for one in shown)


@pytest.mark.parametrize("columns", [0, 1, 12, 45])
def test_customers_alike_have_one_number_however_many_apps_there_are(columns: int) -> None:
    draw = np.random.default_rng(columns)
    codes = draw.integers(0, 7, 500).astype(np.uint8)
    flags = [draw.random(500) < 0.02 for _ in range(columns)]
    numbers = numbered(codes, flags)
    kinds = list(zip(codes.tolist(), *(flag.tolist() for flag in flags), strict=True))
    assert len(set(zip(kinds, numbers.tolist(), strict=True))) == len(set(kinds)) == len(set(numbers.tolist()))
    assert set(numbers.tolist()) == set(range(len(set(kinds))))
