"""Groups of one night that are found together are those that each rule finds alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optinb import attr, did, in_list, open_workspace, received
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import RuleError
from optinb.night import Night
from optinb.planning import audiences as audiences_module
from optinb.rules import from_json
from optinb.segments import SharedGroups, members

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

RULES = [
    attr("country") == "DE",
    ~did("purchase").within(days=30),
    did("purchase").within(days=90).total("amount") >= 100,
    (attr("country") == "DE") & did("purchase").at_least(2).within(days=365),
    ~received(),
]


def ids(frame: pl.LazyFrame | None) -> list[str]:
    assert frame is not None
    return frame.collect()["customer_id"].sort().to_list()


@pytest.mark.parametrize("days_back", [0, 40])
def test_members_found_together_are_those_found_alone(ws: Workspace, days_back: int) -> None:
    run_date = ws.snapshot().import_date - timedelta(days=days_back)
    shared = SharedGroups(ws, RULES, run_date=run_date)
    for rule in RULES:
        alone = members(rule, ws.tables_for(rule, run_date=run_date)).to_native()
        assert ids(shared.members(ws, rule, run_date=run_date)) == ids(alone)
        assert shared.members(ws, rule, run_date=run_date + timedelta(days=1)) is None


def test_a_rule_that_does_not_fit_is_left_to_be_refused_by_itself(ws: Workspace) -> None:
    run_date = ws.snapshot().import_date
    wrong = attr("contry") == "DE"
    shared = SharedGroups(ws, [*RULES[:2], wrong, in_list("gone")], run_date=run_date)
    assert shared.members(ws, wrong, run_date=run_date) is None
    assert ids(shared.members(ws, RULES[0], run_date=run_date))
    with pytest.raises(RuleError, match="contry"):
        members(wrong, ws.tables())


def test_what_was_found_on_another_version_is_not_used(ws: Workspace) -> None:
    run_date = ws.snapshot().import_date
    shared = SharedGroups(ws, RULES[:2], run_date=run_date)
    ws.model()
    assert shared.members(ws, RULES[0], run_date=run_date) is None


def test_a_night_freezes_audiences_of_groups_found_together(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        for campaign in CAMPAIGNS:
            approver.campaigns.approve(campaign["name"], seen=approver.campaigns.preview(campaign["name"]))
    alone: list[object] = []
    monkeypatch.setattr(audiences_module, "members", lambda rule, _tables: alone.append(rule))
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        night.import_delivery()
        night.model()
        night.templates()
        summaries = night.audiences()
        assert [s.held for s in summaries] == [None, None]
    finally:
        night.close()
    assert alone == []
    for summary in summaries:
        rule = from_json(ws.groups.get(ws.campaigns.get(summary.name).campaign.group).rule_json)
        frozen = pl.read_parquet(folder / str(summary.audience))["customer_id"].to_list()
        assert frozen == ids(members(rule, ws.tables(RUN_DATE)).to_native())
