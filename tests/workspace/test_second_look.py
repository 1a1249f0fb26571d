"""Templates that somebody edits in the dashboard between the import of a night and its last request."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from optinb import in_list, open_workspace
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import Exit
from optinb.nightly import Night
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

ONCE, DAILY = (campaign["name"] for campaign in CAMPAIGNS)
DETAILS, CREATE = "/campaigns/details", "/campaigns/trigger/schedule/create"
DELETE = "/campaigns/trigger/schedule/delete"
# Requests for the details of a template: before the night begins, by its import, and by both looks.
IMPORT, BEFORE, AFTER = 2, 3, 4
EDITED = "the template was edited in Appboy since it was approved ("


def approve(folder: Path, name: str = ONCE) -> None:
    with open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(name, seen=boss.campaigns.preview(name))


@pytest.fixture
def planned(ws: Workspace, folder: Path) -> Workspace:
    ws.campaigns.submit(CAMPAIGNS[0])
    approve(folder)
    return ws


@pytest.fixture
def only_told(ws: Workspace, folder: Path) -> None:
    """A workspace that tells of edits and recalls nothing, with an approved campaign."""
    file = folder / "optinb.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[policy]\n", '[policy]\ntemplate_edited = "tell"\n'), encoding="utf-8")
    with open_workspace(folder, user=ws.user) as author:
        author.campaigns.submit(CAMPAIGNS[0])
    approve(folder)


def run(folder: Path) -> NightSummary:
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
            step()
        return night.report()
    finally:
        night.close()


def goes_out(sandbox: Sandbox) -> Counter[str]:
    """How many messages everybody would get of what is scheduled now."""
    alive = [d for d in sandbox.world.dispatches if d.plans[-1].until is None]
    return Counter(user for dispatch in alive for user in dispatch.ids)


def test_an_edit_before_the_first_request_holds_and_is_sent_once_it_is_approved(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    edit = {"do": "edit", "endpoint": DETAILS, "nth": [IMPORT], "body": "Everything for 1 EUR"}
    assert httpx.post(f"{sandbox.url}/sandbox/faults", json=[edit], headers={"Optinb-Sandbox": "1"}).status_code == 200
    summary = run(folder)
    (held,) = summary.campaigns
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert EDITED in (held.held or "")
    assert "edited, the text for ios" in (held.held or "")
    assert f"of its recipients {held.recipients:,} weren't sent; approve it again" in (held.held or "")
    assert held.closes()
    assert held.cancelled == held.recipients > 100
    assert not sandbox.requests[CREATE]
    assert "edited in Appboy since it was approved" in (folder / "runs" / str(RUN_DATE) / "report.html").read_text()
    assert planned.campaigns.get(ONCE).state == "held"
    assert run(folder).campaigns[0].held  # until somebody has approved it as it is now
    with open_workspace(folder, user=APPROVER) as boss:
        preview = boss.campaigns.preview(boss.campaigns.get(ONCE).campaign)
        assert preview.changed == ("content of the template",)
        assert "Everything for 1 EUR" in preview.sample[0].messages[0].alert
    approve(folder)
    (sent,) = run(folder).campaigns
    assert (sent.held, sent.accepted) == (None, held.recipients)
    assert set(goes_out(sandbox).values()) == {1}
    assert planned.campaigns.get(ONCE).state == "done"
    assert planned.checkpoints.verify().problem is None


def test_an_edit_while_it_is_sent_recalls_and_everybody_gets_it_once_after_another_approval(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    sandbox.set_faults([Fault("edit", endpoint=CREATE, nth=(1,), body="Everything for 1 EUR")])
    summary = run(folder)
    (held,) = summary.campaigns
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert f"of its recipients {held.recipients:,} were recalled; approve it again" in (held.held or "")
    assert held.closes()
    assert held.cancelled == held.recalled == held.recipients > 100
    assert not goes_out(sandbox)
    sandbox.set_faults([])
    assert run(folder).campaigns[0].held
    assert not goes_out(sandbox)
    approve(folder)
    (sent,) = run(folder).campaigns
    assert sent.accepted == held.recipients == len(goes_out(sandbox))
    assert set(goes_out(sandbox).values()) == {1}


def test_what_an_earlier_attempt_has_sent_is_recalled_with_the_rest(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    sandbox.set_faults([Fault("status", endpoint=CREATE, nth=tuple(range(2, 99)), status=401)])
    (stopped,) = run(folder).campaigns
    assert stopped.accepted > 0 < stopped.pending
    assert goes_out(sandbox)
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(IMPORT,))])
    (held,) = run(folder).campaigns
    people = f"{stopped.pending:,} weren't sent, {stopped.accepted:,} were recalled; approve it again"
    assert people in (held.held or "")
    assert held.closes()
    assert not goes_out(sandbox)
    assert planned.campaigns.get(ONCE).state == "held"


def test_a_recall_that_fails_in_part_is_a_failure_and_whom_it_reached_are_sent_to_from_their_list(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    forbidden = Fault("status", endpoint=DELETE, nth=tuple(range(2, 99)), status=401)
    sandbox.set_faults([Fault("edit", endpoint=CREATE, nth=(1,), body="Everything for 1 EUR"), forbidden])
    summary = run(folder)
    (held,) = summary.campaigns
    assert 0 < held.cancelled < held.recipients
    assert summary.exit_code == Exit.FAILED
    (problem,) = [p for p in summary.problems if "scheduled still" in p]
    assert f"{held.recipients - held.cancelled:,} couldn't surely be recalled" in problem
    assert "401" in problem and "run the night again" in problem
    name = f"{ONCE} {RUN_DATE}, recalled"
    assert f"{held.cancelled:,} were recalled" in (held.held or "")
    assert f"on the list {name!r}" in (held.held or "")
    reached = goes_out(sandbox)
    assert len(reached) == held.recipients - held.cancelled
    # what is left is recalled by the same night, and they get onto the list too
    sandbox.set_faults([Fault("status", endpoint=DELETE, nth=tuple(range(2, 99)), status=401)])
    again = run(folder)
    assert again.campaigns[0].cancelled > held.cancelled
    reached = goes_out(sandbox)
    with open_workspace(folder, user=planned.user) as ws:
        assert len(ws.lists.members(name)) == again.campaigns[0].cancelled
        # approved anew and run again, nothing of this night reaches them
        approve(folder)
        sandbox.set_faults([])
        assert run(folder).exit_code == Exit.DONE
        assert goes_out(sandbox) == reached
        ws.groups.save("Recalled", in_list(name))
        ws.campaigns.submit({**CAMPAIGNS[0], "name": "Once more", "group": "Recalled", "control": 0})
    approve(folder, "Once more")
    (_, more) = sorted(run(folder).campaigns, key=lambda c: c.name != ONCE)
    assert (more.held, more.accepted) == (None, again.campaigns[0].cancelled)
    everybody = goes_out(sandbox)
    assert len(everybody) == held.recipients
    assert set(everybody.values()) == {1}


@pytest.mark.usefixtures("only_told")
def test_the_rest_of_a_night_goes_out_once_the_edit_is_undone(folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([Fault("status", endpoint=CREATE, nth=tuple(range(2, 99)), status=401)])
    (stopped,) = run(folder).campaigns
    assert stopped.accepted > 0 < stopped.pending
    group, template = next(
        (group, campaign)
        for group in sandbox.world.app_groups.values()
        for campaign in group.campaigns
        if campaign.name == CAMPAIGNS[0]["template"]
    )
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(IMPORT,), body="Everything for 1 EUR")])
    (held,) = run(folder).campaigns
    assert "undo the edit and run the night again to send the rest of it" in (held.held or "")
    assert len(goes_out(sandbox)) == stopped.accepted
    sandbox.set_faults([])
    sandbox.world.put_campaign(group.id, template)
    (sent,) = run(folder).campaigns
    assert (sent.held, sent.accepted) == (None, sent.recipients)
    assert set(goes_out(sandbox).values()) == {1}


@pytest.mark.usefixtures("only_told")
def test_an_edit_while_it_is_sent_is_only_told_where_the_settings_say_so(folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([Fault("edit", endpoint=CREATE, nth=(1,))])
    summary = run(folder)
    (campaign,) = summary.campaigns
    assert (summary.exit_code, campaign.held, campaign.accepted) == (Exit.DONE, None, campaign.recipients)
    (told,) = [warning for warning in summary.warnings if EDITED in warning]
    assert "and goes out as edited; `optinb campaigns cancel` recalls" in told
    assert len(goes_out(sandbox)) == campaign.recipients


@pytest.mark.usefixtures("only_told")
def test_an_edit_before_the_first_request_holds_whatever_the_settings_say(folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(IMPORT,))])
    assert EDITED in (run(folder).campaigns[0].held or "")
    assert not goes_out(sandbox)


def test_a_later_edit_is_found_by_running_the_night_again(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    ws.campaigns.submit(CAMPAIGNS[1])
    approve(folder, DAILY)
    assert run(folder).exit_code == Exit.DONE
    assert goes_out(sandbox)
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(IMPORT,))])
    summary = run(folder)
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert EDITED in (summary.campaigns[0].held or "")
    assert not goes_out(sandbox)
    assert ws.campaigns.get(DAILY).state == "held"


def test_a_campaign_that_is_done_is_recalled_too(planned: Workspace, folder: Path, sandbox: Sandbox) -> None:
    assert run(folder).exit_code == Exit.DONE
    assert planned.campaigns.get(ONCE).state == "done"
    sandbox.set_faults([Fault("edit", endpoint=DETAILS, nth=(IMPORT,))])
    (campaign,) = run(folder).campaigns
    assert "were recalled; copy it under another name to send it again" in (campaign.held or "")
    assert not goes_out(sandbox)


def test_a_template_that_cannot_be_looked_at_afterwards_is_told_and_the_send_stands(
    planned: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    sandbox.set_faults([Fault("status", endpoint=DETAILS, nth=(AFTER,), status=403)])
    summary = run(folder)
    (campaign,) = summary.campaigns
    assert (summary.exit_code, campaign.accepted) == (Exit.DONE, campaign.recipients)
    assert any("edited while it was sent couldn't be asked" in warning for warning in summary.warnings)
    assert sandbox.requests[DETAILS] == AFTER
    assert planned.campaigns.get(ONCE).state == "done"


@pytest.mark.usefixtures("planned")
def test_a_template_that_cannot_be_looked_at_before_sends_nothing_until_it_can(folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([Fault("status", endpoint=DETAILS, nth=(BEFORE,), status=403)])
    summary = run(folder)
    assert summary.exit_code == Exit.FAILED
    assert summary.campaigns[0].pending == summary.campaigns[0].recipients
    assert not goes_out(sandbox)
    again = run(folder)
    assert (again.exit_code, again.campaigns[0].accepted) == (Exit.DONE, again.campaigns[0].recipients)


@pytest.mark.usefixtures("planned")
def test_a_night_without_an_edit_asks_once_before_and_once_after(folder: Path, sandbox: Sandbox) -> None:
    sandbox.set_faults([])
    summary = run(folder)
    assert summary.exit_code == Exit.DONE
    assert not [warning for warning in summary.warnings if "template" in warning]
    assert sandbox.requests[DETAILS] == AFTER
    journal = (folder.parent / "sandbox.jsonl").read_text().splitlines()
    assert sum(len(json.loads(line)["recipients"]) for line in journal) == summary.campaigns[0].recipients
