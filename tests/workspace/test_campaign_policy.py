"""Approval, pausing and the audit trail on a whole workspace."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from msgspec.structs import replace

import optinb
from optinb.campaigns import new_key
from optinb.campaigns.power import customers_needed
from optinb.cli import main
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import ApprovalError, CampaignError, StateError
from optinb.night import Night
from optinb.rules import did, in_group
from optinb.store.schema import audit_entries, campaign_versions

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

CLUB = CAMPAIGNS[1]


def test_a_campaign_lives_from_draft_to_archive(ws: Workspace, folder: Path) -> None:
    record = ws.campaigns.save_draft(CLUB)
    assert (record.state, ws.campaigns.waiting()) == ("draft", [])
    assert ws.campaigns.submit(CLUB).state == "submitted"
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        assert boss.campaigns.approve(CLUB["name"], seen=boss.campaigns.preview(CLUB["name"])).state == "approved"
    assert len(ws.campaigns.calendar(days=3)) == 3
    assert ws.campaigns.pause(CLUB["name"]).state == "paused"
    assert ws.campaigns.calendar(days=3) == ()
    assert ws.campaigns.resume(CLUB["name"]).approval is not None
    copy = ws.campaigns.copy(CLUB["name"], "Second")
    assert (copy.state, copy.campaign.schedule) == ("draft", ws.campaigns.get(CLUB["name"]).campaign.schedule)
    assert copy.id != ws.campaigns.get(CLUB["name"]).id
    with pytest.raises(CampaignError, match="cancel it before"):
        ws.campaigns.archive(CLUB["name"])
    ws.campaigns.cancel("Second")
    assert ws.campaigns.archive("Second").archived
    assert ws.checkpoints.verify().problem is None


def test_nobody_approves_what_they_have_not_seen(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(CLUB)
    assert ws.campaigns.submit(CLUB).version == 1  # clicked twice
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        preview = boss.campaigns.preview(CLUB["name"])
        with optinb.open_workspace(folder, user="somebody") as other:
            other.campaigns.submit(CLUB)  # the same, by another author
        for seen, what in ((preview, "submitted again"), (preview.fingerprint, "you saw"), ("", "you saw nothing")):
            with pytest.raises(ApprovalError, match=what):
                boss.campaigns.approve(CLUB["name"], seen=seen)
        ws.campaigns.submit({**CLUB, "control": 0.5})
        with pytest.raises(ApprovalError, match="control share"):
            boss.campaigns.approve(CLUB["name"], seen=preview)
        with pytest.raises(TypeError):
            boss.campaigns.approve(CLUB["name"])  # type: ignore[call-arg]
        assert boss.campaigns.get(CLUB["name"]).state == "submitted"
        seen = boss.campaigns.preview(CLUB["name"]).fingerprint
        assert boss.campaigns.approve(CLUB["name"], seen=seen).state == "approved"


def test_the_base_rate_of_a_test_is_that_of_the_group_before_the_window_and_not_after_it(ws: Workspace) -> None:
    ws.groups.save("Quiet", did("purchase").at_least(2) & ~did("purchase").within(days=30))
    preview = ws.campaigns.preview({**CLUB, "group": "Quiet"}, in_full=True)
    then = RUN_DATE - timedelta(days=14)
    bought = ws.snapshot().scan("transactions").filter(pl.col("amount") > 0).select("customer_id", "day").collect()
    before = bought.filter(pl.col("day") <= then)
    last = before.group_by("customer_id").agg(pl.len(), pl.col("day").max())
    quiet = last.filter(pl.col("len") >= 2, pl.col("day") < then - timedelta(days=30))["customer_id"]
    again = quiet.is_in(bought.filter(pl.col("day") > then)["customer_id"].implode())
    assert preview.power is not None
    assert preview.power.base_rate == again.mean() > 0


def test_a_longer_measurement_is_advised_by_what_the_group_bought_within_it(ws: Workspace) -> None:
    ws.groups.save("Buyers", did("purchase"))
    preview = ws.campaigns.preview({**CLUB, "group": "Buyers", "control": 0.5})
    halves = replace(preview.waterfall, recipients=2_000, control=2_000)
    power = ws.campaigns.power(replace(preview, waterfall=halves))
    assert power is not None and not power.sees_a_tenth
    bought = ws.snapshot().scan("transactions").filter(pl.col("amount") > 0).select("customer_id", "day").collect()
    then = RUN_DATE - timedelta(days=56)
    group = bought.filter(pl.col("day") <= then)["customer_id"].unique()
    needed = {}
    for days in range(21, 57, 7):
        within = bought.filter(pl.col("day") > then, pl.col("day") <= then + timedelta(days=days))["customer_id"]
        rate = group.is_in(within.implode()).mean()
        needed[days] = customers_needed(rate, control=0.5) or 10**9
    assert sorted(needed.values(), reverse=True) == list(needed.values()), "who waits longer sees more"
    assert power.days_needed == next(days for days, some in needed.items() if some <= 4_000) > 21


def test_a_preview_shows_what_is_approved(ws: Workspace) -> None:
    preview = ws.campaigns.preview(CLUB)
    assert sum(t.customers for t in preview.send_times) == preview.waterfall.recipients
    assert preview.messages_ahead == 90 * preview.waterfall.recipients
    assert preview.changed == ()
    power = ws.campaigns.power(preview)
    assert power is not None
    assert 0 < power.base_rate <= 1
    assert power.warning is not None
    assert "this test is weak" in power.warning
    ws.groups.save("The same", in_group(CLUB["group"]))
    assert ws.campaigns.power(ws.campaigns.preview({**CLUB, "group": "The same"})) == power


def test_approvals_are_signed_where_approvers_have_keys(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = new_key()
    settings = folder / "optinb.toml"
    settings.write_text(settings.read_text() + f'\n[policy.keys]\n"{APPROVER}" = "{pair.public}"\n')
    ws.campaigns.submit(CLUB)
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        with pytest.raises(ApprovalError, match="OPTINB_SIGNING_KEY"):
            boss.campaigns.approve(CLUB["name"], seen=boss.campaigns.preview(CLUB["name"]))
        monkeypatch.setenv("OPTINB_SIGNING_KEY", pair.private)
        approval = boss.campaigns.approve(CLUB["name"], seen=boss.campaigns.preview(CLUB["name"])).approval
    assert approval is not None
    assert approval.signature


def test_a_trail_whose_end_was_cut_off_or_that_was_written_anew_is_found(ws: Workspace, folder: Path) -> None:
    night = folder / "runs" / "2026-11-23"
    night.mkdir(parents=True)
    ws.campaigns.save_draft(CLUB)
    ws.checkpoints.note_head(night)
    last = ws.store.audit.list(limit=1)[0]
    with ws.store._database.writing() as con:
        con.execute(sa.delete(audit_entries).where(audit_entries.c.seq == last.seq))
    assert ws.store.audit.verify().problem is None
    with pytest.raises(StateError, match="the end was cut off, by the note of the night 2026-11-23"):
        ws.checkpoints.verify()
    ws.campaigns.copy(CLUB["name"], "Another")
    with pytest.raises(StateError, match="is another than it was"):
        ws.checkpoints.verify()


def test_the_audit_commands_list_and_verify(ws: Workspace, folder: Path) -> None:
    ws.campaigns.save_draft(CLUB)
    listed = CliRunner().invoke(main, ["audit", "list", "-w", str(folder), "--subject", CLUB["name"], "--json"])
    assert json.loads(listed.output)["rows"][0]["action"] == "campaign draft"
    verified = CliRunner().invoke(main, ["audit", "verify", "-w", str(folder)])
    assert verified.exit_code == 0, verified.output
    assert verified.output.startswith("the audit trail is whole")


def test_an_approval_that_was_written_into_the_database_is_found_and_sends_nothing(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(CLUB)
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        approval = boss.campaigns.approve(CLUB["name"], seen=boss.campaigns.preview(CLUB["name"])).approval
    assert ws.checkpoints.verify().problem is None
    forged = {**CLUB, "name": "Forged"}
    record = replace(ws.campaigns.submit(forged), approval=approval, state="approved")
    with ws.store._database.writing() as con:
        text = msgspec.json.encode(record, order="sorted").decode()
        con.execute(sa.update(campaign_versions).where(campaign_versions.c.name == "Forged").values(record=text))
    with pytest.raises(StateError, match=f"the approval of 'Forged' by '{APPROVER}' isn't in it, so cancel"):
        ws.checkpoints.verify()
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    night.templates()
    campaigns = {campaign.name: campaign for campaign in night.audiences()}
    night.close()
    assert "the audit trail was tampered with: the approval of 'Forged'" in (campaigns["Forged"].held or "")
    assert ws.store.deliveries.list(campaign_id=record.id) == ()
    assert campaigns[CLUB["name"]].held is None


def test_a_stored_campaign_that_was_garbled_by_hand_is_named(ws: Workspace) -> None:
    ws.campaigns.submit(CLUB)
    with ws.store._database.writing() as con:
        con.execute(sa.update(campaign_versions).values(record="{oops"))
    with pytest.raises(StateError, match=rf"of the campaign {CLUB['name']!r} can't be read .* restore the database"):
        ws.campaigns.list()


def test_an_attribute_that_is_empty_for_some_needs_a_choice(ws: Workspace) -> None:
    campaign = {**CLUB, "properties": {**CLUB["properties"], "first_name": {"attribute": "gender"}}}
    ws.groups.save("All", 'attr("country") == "DE"')
    missing = ws.customers().select("gender").collect()["gender"].null_count()
    assert missing
    with pytest.raises(CampaignError, match="give it a default, or exclude_empty = true"):
        ws.campaigns.submit({**campaign, "group": "All"})
    chosen = {"attribute": "gender", "exclude_empty": True}
    assert ws.campaigns.submit({**campaign, "group": "All", "properties": {**CLUB["properties"], "first_name": chosen}})
