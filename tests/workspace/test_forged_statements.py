"""What is stated of templates, after somebody changed it in the database, or put an older database back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import optinb
from optinb.appboy import TemplateRules
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER, state_templates
from optinb.errors import StateError
from optinb.nightly import Night
from optinb.views.plan.statement import StatedByTemplate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.workspace import Workspace

(SUMMER, CLUB), CLUB_TEMPLATE = (campaign["name"] for campaign in CAMPAIGNS), CAMPAIGNS[1]["template"]


@pytest.fixture
def ws(folder: Path) -> Iterator[Workspace]:
    """A workspace with two approved campaigns; that of the club recurs, as it is stated of its template."""
    with optinb.open_workspace(folder, user=AUTHOR) as workspace:
        workspace.templates.sync()
        state_templates(workspace)
        for campaign in CAMPAIGNS:
            workspace.campaigns.submit(campaign)
        with optinb.open_workspace(folder, user=APPROVER) as boss:
            for name in (SUMMER, CLUB):
                boss.campaigns.approve(name, seen=boss.campaigns.preview(name))
        yield workspace


def by_hand(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "state.sqlite")) as con:
        con.execute(statement)
        con.commit()


def night_of(folder: Path) -> NightSummary:
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
            step()
        return night.report()
    finally:
        night.close()


def test_a_statement_that_was_taken_out_of_the_database_does_not_bring_back_what_was_approved_before_it(
    ws: Workspace, folder: Path
) -> None:
    assert ws.checkpoints.verify().problem is None
    never = ws.templates.set_rules("Club", CLUB_TEMPLATE, TemplateRules(again_after_s=None))
    by_hand(folder, "delete from template_rules where version = 2")
    said = f"of the rules of the template '{CLUB_TEMPLATE}' isn't what the audit trail says was stated: version 2 isn't"
    summary = night_of(folder)
    held = {campaign.name: campaign.held for campaign in summary.campaigns}
    assert held[SUMMER] is None, "nobody touched what is stated of its template"
    assert said in (held[CLUB] or "") and f"`optinb templates set {CLUB_TEMPLATE}`" in (held[CLUB] or "")
    with pytest.raises(StateError, match=said):
        ws.checkpoints.verify()
    (verdict,) = (v.text for v in ws.doctor("Club").machine if v.about == "templates")
    assert said in verdict
    told = CliRunner().invoke(main, ["templates", "show", CLUB_TEMPLATE, "--workspace", str(folder)])
    assert told.exit_code == 1 and "somebody else than optinb wrote" in " ".join(told.output.split())
    box = StatedByTemplate(ws, changed=lambda: None)
    box.show([ws.templates.find(CLUB_TEMPLATE)])
    (row,) = box.rows
    assert "somebody else than optinb wrote" in row.about.value
    again = ws.templates.set_rules("Club", CLUB_TEMPLATE, TemplateRules(max_users=9))
    assert again.rules == never.rules.with_changes(TemplateRules(max_users=9)), "what was taken out counts"
    assert box.look() and "somebody else" not in row.about.value
    assert ws.checkpoints.verify().problem is None
    assert not [verdict for verdict in ws.doctor("Club").machine if verdict.about == "templates"]


def test_a_database_from_before_a_statement_is_noticed_by_the_note_of_the_statement(
    ws: Workspace, folder: Path
) -> None:
    ws.close()
    copy = folder.parent / "before"
    shutil.copy(folder / "state.sqlite", copy)
    note = folder / "runs" / "audit-head.json"
    ws.templates.withdraw_rules("Club", CLUB_TEMPLATE)
    assert f"take back the rules of the template '{CLUB_TEMPLATE}' by {AUTHOR}" in note.read_text()
    ws.templates.set_rules("Club", CLUB_TEMPLATE, TemplateRules(again_after_s=None))
    ws.close()
    Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE).close()
    for file in folder.glob("state.sqlite*"):
        file.unlink()
    shutil.copy(copy, folder / "state.sqlite")
    what = rf"the last decision \(state the rules of the template '{CLUB_TEMPLATE}' by {AUTHOR}\)"
    with pytest.raises(StateError, match=what):
        Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    with pytest.raises(StateError, match=what):
        ws.checkpoints.verify()
    ws.close()
    shutil.copy(copy, folder / "state.sqlite")
    note.unlink()  # without its note nobody would know
    Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE).close()
