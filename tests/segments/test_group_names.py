from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import optinb
from optinb.errors import RuleError, SettingsError
from optinb.rules import attr

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace


@pytest.mark.parametrize("name", ["candidates (DE)", "attrition (x)", "did(it)", 'attr("country") == "AT"'])
def test_a_saved_name_is_that_group_whatever_it_looks_like(ws: Workspace, name: str) -> None:
    rule = attr("country") == "DE"
    ws.groups.save(name, rule)
    assert ws.groups.rule(name) == ws.groups.rule(f" {name} ") == rule


def test_a_text_that_is_neither_name_nor_rule_is_helped_both_ways(ws: Workspace) -> None:
    ws.groups.save("candidates (DE)", attr("country") == "DE")
    with pytest.raises(RuleError, match=r"did you mean 'candidates \(DE\)'\?.*read as a rule: "):
        ws.groups.rule("candidate (DE)")
    with pytest.raises(RuleError, match=r"isn't known.*read as a rule: .*attr"):
        ws.groups.rule('attri("country") == "DE"')


def test_only_what_writes_asks_who_is_working(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTINB_USER")
    with optinb.open_workspace(folder) as ws:
        assert ws.groups.count("Lapsed buyers").customers > 0
        assert repr(ws) == f"Workspace({str(folder)!r})"
        with pytest.raises(SettingsError, match="OPTINB_USER"):
            ws.groups.save("Germans", attr("country") == "DE")
        monkeypatch.setenv("OPTINB_USER", "ann")
        assert ws.groups.save("Germans", attr("country") == "DE").author == "ann"
