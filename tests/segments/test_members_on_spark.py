"""The same rules on Spark, of which fewer are tried: each takes a second."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import narwhals as nw
import pytest
from hypothesis import HealthCheck, given, settings
from rule_strategies import rules
from rule_worlds import WORDS, worlds

from optinb.engine import Tables, open_tables
from optinb.engine.opening import moment, schema_of, spark_frame
from optinb.rules import attr, days_ago, did
from optinb.segments import members

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rule_oracle import World

    from optinb.rules import Rule
    from optinb.workspace import Workspace

pytestmark = pytest.mark.spark


@settings(max_examples=8, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(rules(WORDS), worlds)
def test_members_on_spark_are_those_for_whom_the_rule_holds(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, rule: Rule, world: World
) -> None:
    frames = {}
    for name, frame in world.frames().items():
        path = f"{tmp_path_factory.mktemp('world') / name}.parquet"
        frame.write_parquet(path)
        frames[name] = nw.from_native(spark.read.schema(schema_of(frame.schema)).parquet(path))
    del frames["contacts"]
    tables = Tables(**frames, **world.known(), take=partial(spark_frame, spark), moment=moment, probe=False)
    found = members(rule, tables).collect("polars").to_native()
    assert sorted(found["customer_id"]) == world.members(rule)


def test_a_published_version_has_the_same_members_on_spark(spark: SparkSession, ws: Workspace) -> None:
    rule = (attr("registered_at") < days_ago(30)) & did("purchase").at_least(2).within(days=365)
    at = {"run_date": ws.snapshot().import_date, "zone": ws.settings.zone, "spark_master": None}
    found = [
        sorted(members(rule, open_tables(ws.snapshot(), engine, **at)).collect("polars").to_native()["customer_id"])
        for engine in ("polars", "spark")
    ]
    assert found[0] == found[1]
    assert found[0]
