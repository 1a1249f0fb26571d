"""Promotion codes on a whole workspace: imported, previewed, given out by a night, and told of afterwards."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import optinb
from optinb.campaigns import EXAMPLE_CODE
from optinb.cli import main
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import CampaignError
from optinb.nightly import Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import CampaignSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER = {
    **CAMPAIGNS[0],
    "offer": {"name": "Ten percent", "kind": "discount", "codes": "Summer codes"},
    "properties": {**CAMPAIGNS[0]["properties"], "promo_code": {"offer": "code"}},
}


START = datetime.fromisoformat(f"{RUN_DATE}T02:00:00+01:00")


def codes(count: int, *, since: int = 0) -> list[str]:
    return [f"SUMMER-{n:06}" for n in range(since, since + count)]


def night(folder: Path, *, dry_run: bool = False, dies_before_sending: bool = False) -> CampaignSummary:
    with pytest.MonkeyPatch.context() as patch:
        # every workspace that is opened begins its clock anew, and the approval must not lie ahead of the night
        patch.setenv("OPTINB_NOW", (START + timedelta(minutes=5)).isoformat())
        run = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE, dry_run=dry_run)
    try:
        run.templates()
        run.audiences()
        if not dies_before_sending:
            run.sends()
        return run.report().campaigns[0]
    finally:
        run.close()


def approve(folder: Path) -> None:
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(SUMMER["name"], seen=boss.campaigns.preview(SUMMER["name"]))


def sent(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder.parent / "sandbox.jsonl").read_text().splitlines()]
    return {
        r["external_user_id"]: r["trigger_properties"]["promo_code"]
        for line in lines
        if line["endpoint"].endswith("schedule/create")
        for r in line["recipients"]
    }


def test_every_recipient_of_a_night_gets_a_code_of_their_own(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    ws.codes.add("Summer codes", codes(1_500))
    ws.campaigns.submit(SUMMER)
    approve(folder)
    summary = night(folder)
    assert summary.accepted == summary.recipients > 100
    given = sent(folder)
    assert len(set(given.values())) == len(given) == summary.recipients
    assert set(given.values()) == set(codes(summary.recipients))
    assert ws.codes.get("summer CODES").left == 1_500 - summary.recipients
    night(folder)
    assert sent(folder) == given
    people = dict(ws.customers().select("external_user_id", "customer_id").collect().iter_rows())
    user, code = next(iter(given.items()))
    (answer,) = ws.why(people[user]).answers
    assert (answer.outcome, answer.code) == ("recipient", code)
    shown = CliRunner().invoke(main, ["why", people[user], "-w", str(folder)])
    assert f"promotion code {code}" in shown.output


def test_a_night_that_goes_on_with_what_another_run_froze_sends_the_codes_of_then(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    ws.codes.add("Summer codes", codes(1_500))
    ws.campaigns.submit(SUMMER)
    approve(folder)
    frozen = night(folder, dies_before_sending=True)
    assert (frozen.accepted, frozen.pending) == (0, frozen.recipients)
    summary = night(folder)
    assert (summary.held, summary.accepted) == (None, frozen.recipients)
    assert set(sent(folder).values()) == set(codes(summary.recipients))


def test_a_pool_that_will_not_suffice_holds_the_campaign_before_the_first_request(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    ws.codes.add("Summer codes", codes(50))
    ws.campaigns.submit(SUMMER)
    needed = ws.campaigns.preview(SUMMER).codes
    assert needed is not None
    assert (needed.left, needed.missing) == (50, needed.needed - 50)
    approve(folder)
    for dry_run in (True, False):
        summary = night(folder, dry_run=dry_run)
        assert f"{needed.missing:,} promotion codes are missing" in (summary.held or "")
        assert summary.closes()
    assert ws.codes.get("Summer codes").left == 50
    assert ws.campaigns.get(SUMMER["name"]).state == "held"
    ws.codes.add("Summer codes", codes(needed.missing, since=50))
    assert "promotion codes" in (night(folder).held or "")  # nobody has approved those that came after
    approve(folder)
    assert night(folder).accepted == needed.needed
    assert ws.codes.get("Summer codes").left == 0


def test_codes_of_a_recalled_send_go_back_and_are_told_of_no_more(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    ws.codes.add("Summer codes", codes(1_500))
    ws.campaigns.submit(SUMMER)
    approve(folder)
    night(folder)
    people = dict(ws.customers().select("external_user_id", "customer_id").collect().iter_rows())
    (recall,) = ws.campaigns.cancel(SUMMER["name"]).nights
    assert recall.recalled > 100
    assert ws.codes.get("Summer codes").left == 1_500
    assert ws.why(people[next(iter(sent(folder)))]).answers[0].code is None


def test_previews_and_test_sends_draw_no_code(ws: Workspace) -> None:
    ws.codes.add("Summer codes", codes(1_500))
    preview = ws.campaigns.preview(SUMMER)
    assert preview.sample
    texts = [m.alert for sample in preview.sample for m in sample.messages]
    message = ws.campaigns.message(SUMMER, preview.sample[0].customer_id)
    assert message == preview.sample[0]
    assert any(EXAMPLE_CODE in text for text in texts)
    assert ws.codes.get("Summer codes").left == 1_500


def test_an_offer_whose_codes_nobody_imported_or_shows_is_refused(ws: Workspace) -> None:
    with pytest.raises(CampaignError, match=r"no pool of promotion codes 'Summer codes'; import some"):
        ws.campaigns.submit(SUMMER)
    ws.codes.add("Summer codes", codes(10))
    with pytest.raises(CampaignError, match="no property shows them; write NAME = "):
        ws.campaigns.submit({**SUMMER, "properties": CAMPAIGNS[0]["properties"]})


def test_commands_import_and_list_codes_and_never_show_one(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("code\n" + "\n".join(codes(20)) + "\n")

    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["codes", *arguments, "-w", str(folder)])
        return result.exit_code, result.output

    assert call("import", "Summer codes", str(file)) == (0, "Summer codes: 20 of 20 promotion codes are left\n")
    assert call("list") == (0, "1 pool:\n\nSummer codes: 20 of 20 promotion codes are left\n")
    exit_code, said = call("import", "Winter", str(file))
    assert exit_code == 2
    assert "line 2, 3, 4, 5, 6 (and 5 more) has a code that is in the pool 'Summer codes' already" in said
    assert "SUMMER-" not in said
    assert call("import", " ", str(file))[0] == 2
