"""What an approver is shown of a campaign's night: power, cost, differences, and who else wants its customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

import optinb
from optinb.campaigns import campaign_from, campaign_toml
from optinb.cli import main
from optinb.demo import APPROVER, CAMPAIGNS

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.planning import CampaignPreview
    from optinb.workspace import Workspace

SUMMER = {**CAMPAIGNS[0], "exclusion_days": 5}


def rival(ws: Workspace, name: str, **changed: object) -> None:
    ws.campaigns.submit({**SUMMER, "name": name, "control": 0.0, **changed})


def night_together(ws: Workspace) -> CampaignPreview:
    return ws.campaigns.preview(SUMMER, in_full=True)


def test_a_campaign_alone_keeps_all_its_recipients(ws: Workspace) -> None:
    quick, full = ws.campaigns.preview(SUMMER), night_together(ws)
    assert (full.rivals, full.after_rivals) == ((), full.waterfall.recipients)
    assert full.power == ws.campaigns.power(quick)
    assert full.power is not None
    assert (quick.power, quick.rivals, quick.after_rivals) == (None, (), None)
    assert sum(t.customers for t in full.send_times) == full.waterfall.recipients == full.messages_ahead > 100


def test_campaigns_that_go_first_are_told_with_the_customers_that_they_take(ws: Workspace) -> None:
    alone = ws.campaigns.preview(SUMMER).waterfall
    rival(ws, "More urgent", priority=90)
    rival(ws, "Less urgent", priority=10)
    rival(ws, "Another day", schedule={"date": "2026-11-25", "at": "18:30"}, priority=90)
    full = night_together(ws)
    told = {r.campaign: r for r in full.rivals}
    assert set(told) == {"More urgent", "Less urgent"}
    first, last = told["More urgent"], told["Less urgent"]
    assert (first.goes_first, first.takes, first.priority) == (True, alone.recipients, 90)
    assert (last.goes_first, last.takes, last.state) == (False, 0, "submitted")
    assert full.after_rivals == 0
    assert full.waterfall == alone


def test_who_competes_for_other_customers_takes_nobody(ws: Workspace) -> None:
    ws.campaigns.submit({**CAMPAIGNS[1], "priority": 90})
    full = night_together(ws)
    (other,) = full.rivals
    assert other.goes_first
    assert full.after_rivals == full.waterfall.recipients - other.takes
    ws.groups.save("Lapsed buyers", 'attr("country") == "XX"')
    rival(ws, "Nobody", priority=95)
    assert {r.campaign: r.takes for r in night_together(ws).rivals}["Nobody"] == 0


def test_a_rival_whose_audience_can_not_be_built_says_why(ws: Workspace) -> None:
    ws.groups.save("Passing", 'attr("country") == "DE"')
    rival(ws, "Broken", priority=90, group="Passing")
    ws.lists.save("Fair", ["000001"])
    ws.groups.save("Passing", 'in_list("Fair")')
    for path in (ws.root / "lists" / "content").glob("*.parquet"):
        path.unlink()
    (broken,) = night_together(ws).rivals
    assert broken.takes == 0
    assert "list" in broken.problem


def test_differences_to_the_last_approval_are_named(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(SUMMER)
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(SUMMER["name"], seen=boss.campaigns.preview(SUMMER["name"]))
    assert night_together(ws).changed == ()
    assert ws.campaigns.preview({**SUMMER, "priority": 90, "control": 0.2}).changed == ("control share", "priority")


def test_the_command_shows_all_of_it(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    ws.codes.add("Ten", ["A-1", "A-2"])
    offer = {"name": "Ten", "kind": "discount", "codes": "Ten"}
    coded = {**SUMMER, "offer": offer, "properties": {**SUMMER["properties"], "promo_code": {"offer": "code"}}}
    ws.campaigns.submit(coded)
    rival(ws, "More urgent", priority=90)

    def said(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["campaigns", "preview", "-w", str(folder), *arguments])
        return result.exit_code, result.output

    exit_code, text = said(SUMMER["name"])
    recipients = ws.campaigns.preview(coded).waterfall.recipients
    assert exit_code == 0, text
    for part in (
        f"{recipients:,}  recipients; about {recipients:,} messages",
        f"codes: {recipients:,} needed, 2 left in 'Ten': {recipients - 2:,} are missing",
        "this test is weak",
        f"that night too: More urgent (submitted, priority 90), chooses first, takes {recipients:,} of the recipients",
        "0  recipients are left by the others of that night",
        "YOUR-CODE",
    ):
        assert part in text, text
    (tmp_path / "c.toml").write_text(campaign_toml(campaign_from(SUMMER)))
    assert said("--file", str(tmp_path / "c.toml"))[0] == 0
    assert said()[0] == 2


def test_archived_campaigns_are_listed_only_where_they_are_asked_for(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(SUMMER)
    ws.campaigns.cancel(SUMMER["name"])
    ws.campaigns.archive(SUMMER["name"])
    assert ws.campaigns.list() == ()
    assert [r.campaign.name for r in ws.campaigns.list(archived=True)] == [SUMMER["name"]]

    def said(*arguments: str) -> str:
        return CliRunner().invoke(main, ["campaigns", "list", "-w", str(folder), *arguments]).output

    assert said().startswith("no campaign is planned; ")
    assert SUMMER["name"] in said("--archived")
    again = ws.campaigns.submit(SUMMER)
    assert (again.archived, again.version) == (False, 4)
