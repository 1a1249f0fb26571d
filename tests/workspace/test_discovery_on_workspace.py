"""Discovery on a workspace: from a name to groups that can be saved, in notebooks and in a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from page_text import text_of

from optinb import attr, did, show
from optinb.cli import main
from optinb.customers.features import build_features
from optinb.errors import RuleError
from optinb.rules import from_json

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from optinb.workspace import Workspace


def test_a_finding_is_saved_as_a_group_of_the_same_customers(ws: Workspace) -> None:
    found = ws.discover("apps")
    assert found.findings
    for at, finding in enumerate(found):
        record = ws.groups.save(f"found {at}", finding.rule)
        assert from_json(record.rule_json) == finding.rule
        assert ws.groups.count(f"found {at}").customers == finding.size == ws.members(finding.rule).height


def test_what_is_made_from_purchases_is_left_out_of_a_target_about_purchases(ws: Workspace) -> None:
    bought = did("purchase").within(days=60)
    plain, brought_back = ws.discover(bought), ws.discover(bought, include=["purchases_365d"])
    assert plain.left_out["recency_days"] == "made from purchases, as the target is"
    told = text_of(show.html(plain))
    assert "days since the last purchase" in told and "recency_days" not in told and "lifecycle stage" in told
    assert "stage" not in plain.attributes
    assert "country" in plain.attributes
    assert "purchases_365d" in brought_back.attributes
    assert any("purchases_365d" in finding.text for finding in brought_back)


def test_saved_groups_are_targets_and_bounds(ws: Workspace) -> None:
    ws.groups.save("germans", attr("country") == "DE")
    found = ws.discover("germans")
    assert found.target == "country is DE"
    assert found.rate == pytest.approx(ws.groups.count("germans").customers / ws.customers().collect().height)
    within = ws.discover("apps", within="germans")
    assert within.customers == ws.groups.count("germans").customers
    assert within.within == "country is DE"


def test_a_target_that_isnt_known_is_answered_with_the_nearest_name(ws: Workspace) -> None:
    with pytest.raises(RuleError, match="neither an attribute nor a saved group; did you mean 'future_value'"):
        ws.discover("futurevalue")
    with pytest.raises(RuleError, match="rule"):
        ws.discover('attr("country") = 1')


def test_the_command_prints_the_groups_or_json(ws: Workspace, folder: Path) -> None:
    found = ws.discover("future_value")
    told = CliRunner().invoke(main, ["discover", "future_value", "-w", str(folder)], catch_exceptions=False)
    assert told.exit_code == 0
    assert told.stdout.strip() == show.text(found).strip()
    printed = CliRunner().invoke(main, ["discover", "future_value", "-w", str(folder), "--json"])
    assert [f["size"] for f in json.loads(printed.stdout)["findings"]] == [f.size for f in found]
    refused = CliRunner().invoke(main, ["discover", "futurevalue", "-w", str(folder)])
    assert refused.exit_code == 2
    assert "did you mean" in refused.stderr


def test_a_notebook_shows_every_finding_with_its_figures(ws: Workspace) -> None:
    found = ws.discover("apps")
    html = show.html(found)
    for finding in found:
        assert f"{finding.size:,}" in html
    assert "not searched" in html
    assert f"{found.known:,} customers looked at" in html
    assert found.table().height == len(found)
    nothing = show.html(replace(found, findings=()))
    assert "more than chance" in nothing


def test_the_customers_looked_at_are_those_whose_target_is_known(ws: Workspace) -> None:
    found = ws.discover("future_value", depth=1)
    assert found.known < found.customers
    page = text_of(show.html(found))
    assert f"{found.known:,} customers looked at, of {found.customers:,}" in page
    assert f"looked at: {found.known:,} of {found.customers:,}" in show.text(found)


def test_an_earlier_day_is_told_with_the_features_of_then_or_why_there_is_none(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = did("purchase").within(days=30)
    found = ws.discover(bought, include=["purchases_365d"], depth=1)
    assert "no customers are kept of" in found.not_earlier
    assert found.not_earlier in text_of(show.html(found))
    # the night itself as the earlier day: what is made again from the purchases has to be what was searched
    monkeypatch.setattr("optinb.segments.discovery.earlier.earlier_day", lambda _days, run_date, _target, **_: run_date)
    again = ws.discover(bought, include=["purchases_365d"], depth=1)
    assert again.earlier_on == again.run_date
    for finding in again:
        assert finding.earlier is not None
        assert (finding.earlier.rate, finding.earlier.looked_at) == (finding.rate, finding.looked_at)
    assert "held: " in text_of(show.html(again)) and "held: " in show.text(again)


def test_the_purchases_of_an_earlier_day_are_read_once_for_the_target_and_all_groups(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(*given: Any, **how: Any) -> pl.LazyFrame:
        features = build_features(*given, **how)
        return features.map_batches(
            lambda frame: (read.append(frame.height), frame)[1], schema=features.collect_schema()
        )

    monkeypatch.setattr("optinb.segments.discovery.earlier.earlier_day", lambda _days, run_date, _target, **_: run_date)
    monkeypatch.setattr("optinb.customers.features.build_features", counted)
    found = ws.discover(did("purchase").within(days=30), include=["purchases_365d"], depth=1)
    assert found.findings
    assert all(finding.earlier for finding in found)
    assert read == [ws.customers().collect().height]
