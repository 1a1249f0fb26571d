"""The same rules on DuckDB: the members that the row-by-row reading finds, and those of a published version."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from rule_strategies import rules
from rule_worlds import WORDS, worlds

from optinb.engine import Tables, open_tables
from optinb.engine.opening import duckdb_frame
from optinb.errors import UsageError
from optinb.rules import attr, did
from optinb.segments import members
from optinb.warehouse.sql import connect

if TYPE_CHECKING:
    from rule_oracle import World

    from optinb.rules import Rule
    from optinb.workspace import Workspace


@settings(max_examples=60, deadline=None)
@given(rules(WORDS), worlds)
def test_members_on_duckdb_are_those_for_whom_the_rule_holds(rule: Rule, world: World) -> None:
    with connect() as con:
        frames = {name: duckdb_frame(con, frame) for name, frame in world.frames().items() if name != "contacts"}
        tables = Tables(**frames, **world.known(), take=partial(duckdb_frame, con))
        found = members(rule, tables).collect("polars").to_native()
    assert sorted(found["customer_id"]) == world.members(rule)


RULES = [
    attr("country") == "DE",
    ~did("purchase").within(days=180),
    (attr("country") == "DE") & did("purchase").at_least(2).within(days=365) & ~did("purchase").within(days=60),
    attr("future_value") >= 100,
    did("purchase").total("amount") >= 200,
]


@pytest.mark.parametrize("rule", RULES, ids=[rule.to_text() for rule in RULES])
def test_a_published_version_has_the_same_members_on_polars_and_duckdb(rule: Rule, ws: Workspace) -> None:
    at = {"run_date": ws.snapshot().import_date, "zone": ws.settings.zone, "spark_master": None}
    found = [
        sorted(members(rule, open_tables(ws.snapshot(), engine, **at)).collect("polars").to_native()["customer_id"])
        for engine in ("polars", "duckdb")
    ]
    assert found[0] == found[1]
    assert found[0]


def test_an_engine_that_is_not_known_is_refused_with_the_nearest_name(ws: Workspace) -> None:
    with pytest.raises(UsageError, match="did you mean 'duckdb'"):
        open_tables(ws.snapshot(), "duckbd", spark_master=None, run_date=ws.today(), zone=ws.settings.zone)  # type: ignore[arg-type]


def test_a_workspace_finds_members_on_the_engine_that_is_asked_for_or_set(ws: Workspace) -> None:
    rule = RULES[2]
    expected = ws.members(rule)
    assert ws.members(rule, engine="duckdb").equals(expected)
    assert ws.preview(rule, engine="duckdb").customers == expected.height
    with pytest.raises(UsageError, match="no engine is called 'duck'"):
        ws.members(rule, engine="duck")  # type: ignore[arg-type]
    assert "Read purchases" in str(ws.explain(rule))
