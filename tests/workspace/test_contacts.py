"""What campaigns did with customers, as rules ask about it; and why one customer belongs to a rule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optinb import attr, did, in_group, in_list, open_workspace, received, responded, was_in_control
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import RuleError
from optinb.night import Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


def test_rules_know_who_got_a_message_and_who_was_held_out(ws: Workspace, folder: Path) -> None:
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        for campaign in CAMPAIGNS:
            approver.campaigns.approve(campaign["name"], seen=approver.campaigns.preview(campaign["name"]))
    assert ws.groups.count(received()).customers == 0
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE, dry_run=False)
    try:
        night.import_delivery(), night.model(), night.templates(), night.audiences(), night.sends()
        summary = night.report()
    finally:
        night.close()
    sent = {c.name: c for c in summary.campaigns}
    later = RUN_DATE + timedelta(days=2)
    for name in (SUMMER, CLUB):
        assert ws.groups.count(received(name).within(days=5), run_date=later).customers == sent[name].accepted > 0
        assert ws.groups.count(was_in_control(name), run_date=later).customers == sent[name].control > 0
    both = ws.groups.count(received(SUMMER) | received(CLUB), run_date=later).customers
    assert ws.groups.count(received(), run_date=later).customers == both
    assert ws.groups.count(responded(days=0), run_date=later).customers <= both
    with pytest.raises(RuleError, match=f"no campaign is called.*did you mean '{SUMMER}'"):
        ws.groups.count(received(SUMMER + "s"))
    audience = pl.read_parquet(folder / (sent[SUMMER].audience or ""))
    somebody = audience.filter(pl.col("outcome") == "recipient")["customer_id"][0]
    assert somebody in ws.contacts.table().filter(pl.col("campaign") == SUMMER)["customer_id"]


def test_why_a_customer_belongs_names_the_groups_and_the_lists(ws: Workspace) -> None:
    row = ws.customers().sort("customer_id").head(1).collect().row(0, named=True)
    ws.lists.save("Trade fair", [row["customer_id"]])
    ws.groups.save("Visitors", in_list("Trade fair"))
    rule = in_group("Visitors") & (attr("country") == row["country"]) & ~did("purchase").at_least(10_000)
    ws.groups.save("Some", rule)
    for asked in (rule, "Some"):
        found = ws.why_member(row["customer_id"], asked)
        assert found.is_member and found.is_customer and found.tree is not None
        assert [part.found for part in found.tree.parts] == [None, row["country"], None]
        assert found.tree.parts[0].parts[0].found == "on it"
        assert found.customer_id in ws.members(asked)["customer_id"]
    nobody = ws.why_member("nobody", "Some")
    assert not nobody.is_member and not nobody.is_customer
    with pytest.raises(RuleError, match="did you mean 'country'"):
        ws.why_member(row["customer_id"], attr("contry") == "DE")
