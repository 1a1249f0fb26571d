"""How far the table of app users is from what Appboy knows, by a sample of customers."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from optinb.appboy import Exported
from optinb.appboy.wire import ExportedUser
from optinb.base.intervals import wilson
from optinb.base.settings import AppGroupSettings, AppSettings
from optinb.delivery.appboy_reach import TokenShare, compared, draw

APPS = (
    AppSettings(id="i", name="Shop iOS", platform="ios"),
    AppSettings(id="a", name="Shop Android", platform="android"),
)
GROUP = AppGroupSettings(id="g", name="Shop", api="http://127.0.0.1:1", apps=APPS)


def people(count: int) -> pl.LazyFrame:
    ids = [f"c{n}" for n in range(count)]
    return pl.LazyFrame({"customer_id": ids, "external_user_id": [f"x{n}" for n in range(count)]})


def users(pairs: list[tuple[str, str, bool]]) -> pl.LazyFrame:
    rows = [(customer, app, on, None) for customer, app, on in pairs]
    schema = {"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String}
    return pl.LazyFrame(rows, schema=schema, orient="row")


def token(platform: str, app: str = "", *, on: bool = True) -> dict[str, Any]:
    return {"app": app, "platform": platform, "token": "t", "notifications_enabled": on}


def test_half_of_those_asked_about_are_reachable_and_the_same_seed_draws_the_same():
    table = users([(f"c{n}", "i", True) for n in range(60)])
    drawn = draw(people(100), table, GROUP, most=20, seed=7)
    assert len(drawn.ids) == 20
    assert sum(int(user[1:]) < 60 for user in drawn.ids) == 10
    assert drawn.ids == draw(people(100), table, GROUP, most=20, seed=7).ids
    assert drawn.ids != draw(people(100), table, GROUP, most=20, seed=8).ids
    assert (drawn.reachable, drawn.others) == ({"i": 60, "a": 0}, 40)


def test_where_few_are_out_of_reach_more_of_the_others_are_asked_about():
    drawn = draw(people(100), users([(f"c{n}", "i", True) for n in range(98)]), GROUP, most=20, seed=1)
    assert len(drawn.ids) == 20
    assert {"x98", "x99"} <= set(drawn.ids)


def test_whom_appboy_cannot_know_and_whose_push_is_off_are_not_taken_for_reachable():
    customers = pl.LazyFrame({"customer_id": ["c0", "c1", "c2"], "external_user_id": ["x0", None, ""]})
    drawn = draw(customers, users([("c0", "i", False), ("c1", "i", True), ("c2", "i", True)]), GROUP, most=9, seed=1)
    assert (drawn.ids, drawn.reachable["i"], drawn.others) == (["x0"], 0, 1)


def test_somebody_of_two_ids_counts_once():
    customers = pl.LazyFrame({"customer_id": ["c0", "c1"], "external_user_id": ["x", "x"]})
    drawn = draw(customers, users([("c0", "i", True), ("c1", "a", True)]), GROUP, most=9, seed=1)
    assert (drawn.ids, drawn.reachable, drawn.others) == (["x"], {"i": 1, "a": 1}, 0)


def test_tokens_are_told_apart_by_platform_and_those_switched_off_are_none():
    table = users([("c0", "i", True), ("c1", "i", True), ("c2", "i", True), ("c3", "i", True), ("c4", "a", True)])
    drawn = draw(people(6), table, GROUP, most=6, seed=1)
    answer = Exported(
        users=(
            ExportedUser(external_id="x0", push_tokens=(token("iOS"),)),
            ExportedUser(external_id="x1", push_tokens=(token("Android"),)),
            ExportedUser(external_id="x2", push_tokens=(token("iOS", on=False),)),
            ExportedUser(external_id="x5", push_tokens=(token("Android"),)),
        ),
        invalid_user_ids=("x3",),
    )
    ios, android = compared(drawn, [answer], GROUP)
    assert ios.reachable == TokenShare(customers=4, asked=4, with_token=1)
    assert ios.others == TokenShare(customers=1, asked=1, with_token=0)
    # of x4 the answer says nothing at all, so that nobody knows
    assert android.reachable == TokenShare(customers=1, asked=0, with_token=0)
    assert android.others == TokenShare(customers=1, asked=1, with_token=1)
    assert android.reachable.words == "nobody asked about"


def test_two_apps_of_a_platform_are_told_apart_by_the_name_that_the_token_bears():
    twins = replace(GROUP, apps=(APPS[0], AppSettings(id="k", name="Kids iOS", platform="ios")))
    drawn = draw(people(2), users([("c0", "k", True), ("c1", "k", True)]), twins, most=2, seed=1)
    tokens = (ExportedUser(external_id="x0", push_tokens=(token("iOS", "kids ios"),)),)
    tokens += (ExportedUser(external_id="x1", push_tokens=(token("iOS", "Shop iOS"),)),)
    assert [app.reachable.with_token for app in compared(drawn, [Exported(users=tokens)], twins)] == [0, 1]


@pytest.mark.parametrize(("with_token", "warned"), [(300, False), (280, False), (200, True)])
def test_it_warns_where_appboy_certainly_lacks_many_of_the_reachable(with_token: int, warned: bool):
    table = users([(f"c{n}", "i", True) for n in range(2_000)])
    drawn = draw(people(2_000), table, GROUP, most=300, seed=1)
    held = [ExportedUser(external_id=user, push_tokens=(token("iOS"),)) for user in drawn.ids[:with_token]]
    answer = Exported(users=tuple(held), invalid_user_ids=tuple(drawn.ids[with_token:]))
    app = compared(drawn, [answer], GROUP)[0]
    assert (app.warning is not None) is warned
    if app.warning:
        assert app.warning.startswith("Shop iOS: of the customers whom app_users calls reachable there Appboy has")


def test_the_interval_of_a_share_holds_what_is_known_of_it():
    assert wilson(0.0, 0) == (0.0, 1.0)
    low, high = wilson(0.5, 100)
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)
    assert TokenShare(customers=8, asked=8, with_token=2).interval == (0.25, 0.25)
