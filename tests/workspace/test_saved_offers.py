"""Offers as things of their own: saved in versions, taken by name, approved as they are, and over on their last day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from page_text import text_of

import optinb
from optinb.campaigns import Offer, approve
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import CampaignError, ConflictError, OptinbError
from optinb.nightly import Night
from optinb.show import html, text

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SPRING = {"name": "Spring 20 %", "kind": "discount", "value": "20 %", "cost_of_one": 5.0}
NAME = CAMPAIGNS[0]["name"]
PLAN = {
    **CAMPAIGNS[0],
    "offer": "spring 20 %",
    "properties": {**CAMPAIGNS[0]["properties"], "promo_code": {"offer": "value"}},
}
START = datetime.fromisoformat(f"{RUN_DATE}T02:05:00+01:00")


def run(*words: str, folder: Path) -> str:
    done = CliRunner().invoke(main, [*words, "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    assert done.exit_code == 0, done.output
    return done.output


def night(folder: Path) -> tuple[str | None, int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTINB_NOW", START.isoformat())
        running = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    try:
        running.templates()
        running.audiences()
        running.sends()
        found = running.report().campaigns[0]
        return found.held, found.accepted
    finally:
        running.close()


def decide(folder: Path) -> None:
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))


def test_each_version_of_an_offer_is_kept_with_who_saved_it(ws: Workspace, folder: Path) -> None:
    first = ws.offers.save(SPRING)
    assert ws.offers.save(Offer(**SPRING)) == first  # the same once more is no new version
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        second = boss.offers.save({**SPRING, "value": "30 %"}, seen=first)
    assert [(one.version, one.author, one.offer.value) for one in ws.offers.versions("SPRING 20 %")] == [
        (1, AUTHOR, "20 %"),
        (2, APPROVER, "30 %"),
    ]
    with pytest.raises(ConflictError, match=f"was changed by {APPROVER}"):
        ws.offers.save({**SPRING, "value": "10 %"}, seen=first)
    assert ws.offers.get("spring 20 %") == second
    assert [e.action for e in ws.store.audit.list(subject="Spring 20 %")] == ["offer saved"] * 2
    with pytest.raises(CampaignError, match="did you mean 'Spring 20 %'"):
        ws.offers.get("Sprin 20 %")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "rebate"}, "offer.kind: 'rebate' isn't known here"),
        ({"cost_of_one": -1}, "offer.cost_of_one: it must be at least 0, not -1"),
        ({"cost": 5}, "'cost' is no field here"),
        ({"name": "a\nb"}, "must be printable"),
        ({"valid_until": "31.12.2026"}, 'written as "YYYY-MM-DD"'),
    ],
)
def test_what_is_no_offer_is_refused_by_its_field(ws: Workspace, wrong: dict[str, object], told: str) -> None:
    with pytest.raises(CampaignError, match=told):
        ws.offers.save({**SPRING, **wrong})
    assert ws.offers.list() == ()


def test_a_campaign_with_a_saved_offer_is_approved_as_one_with_the_same_offer_of_its_own(ws: Workspace) -> None:
    ws.offers.save(SPRING)
    by_name, own = ws.campaigns.preview(PLAN), ws.campaigns.preview({**PLAN, "offer": SPRING})
    assert (by_name.parts, by_name.offer) == (own.parts, own.offer)
    assert "20 %" in by_name.sample[0].messages[0].alert
    # one that says nothing of a cost is approved by the same text as ever
    assert ws.campaigns.preview({**PLAN, "offer": {"name": "A", "kind": "gift", "value": 1}}).parts["offer"] == (
        '{"kind":"gift","name":"A","value":1}'
    )
    assert ws.campaigns.preview(CAMPAIGNS[0]).parts["offer"] == "null"


def test_a_changed_offer_holds_the_night_until_it_is_approved_again(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    ws.offers.save(SPRING)
    ws.campaigns.submit(PLAN)
    decide(folder)
    ws.offers.save({**SPRING, "value": "30 %"})
    held, accepted = night(folder)
    assert accepted == 0
    assert held is not None and f"changed since {APPROVER} approved it: offer; approve it again" in held
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        (change,) = boss.campaigns.last_approval(boss.campaigns.preview(NAME)).changes
    assert (change.part, change.now) == ("offer", "Spring 20 %, 30 %, 5.00 for each redemption")
    decide(folder)
    held, accepted = night(folder)
    assert held is None and accepted > 100


def test_what_a_campaign_names_must_be_there_and_give_what_its_message_shows(ws: Workspace) -> None:
    with pytest.raises(CampaignError, match=r"no saved offer 'spring 20 %'; save it first"):
        ws.campaigns.submit(PLAN)
    ws.offers.save({"name": "Spring 20 %", "kind": "gift"})
    with pytest.raises(CampaignError, match=r"takes 'value' of the saved offer 'Spring 20 %', which doesn't give it"):
        ws.campaigns.submit(PLAN)
    ws.offers.save(SPRING)
    assert ws.campaigns.submit(PLAN).campaign.saved_offer == "spring 20 %"


def test_an_offer_is_archived_once_no_campaign_may_go_out_with_it(ws: Workspace) -> None:
    ws.offers.save(SPRING)
    ws.campaigns.submit(PLAN)
    with pytest.raises(CampaignError, match=f"campaign '{NAME}' \\(submitted\\) takes it"):
        ws.offers.archive("Spring 20 %")
    ws.campaigns.cancel(NAME)
    assert ws.offers.archive("Spring 20 %").archived
    assert ws.offers.list() == () and len(ws.offers.list(archived=True)) == 1
    with pytest.raises(CampaignError, match="was archived by"):
        ws.campaigns.submit(PLAN)
    assert not ws.offers.save(SPRING).archived
    ws.campaigns.submit(PLAN)


@pytest.mark.parametrize("is_saved", [True, False])
def test_an_offer_that_is_over_is_refused_and_holds_the_night(
    ws: Workspace, folder: Path, sandbox: Sandbox, *, is_saved: bool
) -> None:
    over = {**SPRING, "valid_until": (RUN_DATE - timedelta(days=1)).isoformat()}
    ws.offers.save(over)
    plan = PLAN if is_saved else {**PLAN, "offer": over}
    told = f"the offer 'Spring 20 %' ends on {over['valid_until']}, before the message goes out on {RUN_DATE}"
    with pytest.raises(CampaignError, match=told):
        ws.campaigns.submit(plan)
    assert told in ws.campaigns.preview(plan).refused
    # as an earlier release, which didn't look, had it approved
    campaign = ws.campaigns.read(plan)
    drafted = ws.campaigns.save_draft(plan)
    found = ws.campaigns.preview(plan)
    waiting = optinb.campaigns.submit(campaign, user=AUTHOR, now=ws.now(), earlier=drafted)
    ws._records.put(waiting, "submit", before=drafted)
    who = {"user": APPROVER, "approvers": [APPROVER], "approve_own": False}
    given = approve(waiting, **who, parts=found.parts, recipients=found.waterfall.recipients, now=ws.now())
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss._records.put(given, "approve", before=waiting)
    held, accepted = night(folder)
    assert (accepted, told in (held or "")) == (0, True)


def test_the_last_day_of_an_offer_is_one_of_its_days(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    ws.offers.save({**SPRING, "valid_until": RUN_DATE})
    ws.campaigns.submit(PLAN)
    decide(folder)
    held, accepted = night(folder)
    assert held is None and accepted > 100


def test_the_cost_before_approval_is_what_it_may_be_at_most(ws: Workspace) -> None:
    ws.offers.save(SPRING)
    preview = ws.campaigns.preview(PLAN)
    n = preview.waterfall.recipients
    told = f"at most {n:,} recipients x 5.00 EUR = {5 * n:,.2f} EUR, if everybody redeems"
    assert preview.offer_cost is not None
    assert preview.offer_cost.sentence() == told
    assert told in text(preview) and told in text_of(html(preview))
    ws.offers.save({"name": "Spring 20 %", "kind": "discount", "value": "20 %"})
    assert ws.campaigns.preview(PLAN).offer_cost is None  # nobody has said what one costs, and none is made up


def test_offers_are_kept_by_commands_and_campaign_files(ws: Workspace, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "offer.toml"
    file.write_text('name = "Spring 20 %"\nkind = "discount"\nvalue = "20 %"\ncost_of_one = 5.00\n')
    assert "version 1, saved by" in run("offers", "save", str(file), folder=folder)
    assert "1 offer:" in run("offers", "list", folder=folder)
    run("campaigns", "submit", "--file", str(campaign_file(tmp_path)), folder=folder)
    assert 'offer = "spring 20 %"' in run("campaigns", "export", NAME, folder=folder)
    assert "offer spring 20 %" in run("campaigns", "show", NAME, folder=folder)
    assert "x 5.00 EUR" in run("campaigns", "preview", NAME, folder=folder)
    assert "Spring 20 %" in run("offers", "show", "Spring 20 %", folder=folder)
    ws.campaigns.cancel(NAME)
    assert "archived by" in run("offers", "archive", "Spring 20 %", folder=folder)
    assert "optinb offers save" in run("offers", "list", folder=folder)


def campaign_file(folder: Path) -> Path:
    file = folder / "campaign.toml"
    file.write_text(optinb.campaigns.campaign_toml(optinb.campaigns.campaign_from(PLAN)))
    return file


def test_an_offer_that_was_changed_in_the_database_is_not_sent(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    from sqlalchemy import update

    from optinb.store.schema import audit_entries

    ws.offers.save(SPRING)
    ws.campaigns.submit(PLAN)
    decide(folder)
    with ws.store._database.writing() as con:
        con.execute(update(audit_entries).where(audit_entries.c.action == "offer saved").values(detail="{}"))
    with optinb.open_workspace(folder, user=AUTHOR) as fresh, pytest.raises(OptinbError, match="changed by hand"):
        fresh.campaigns.preview(NAME)
    held, accepted = night(folder)
    assert accepted == 0 and held
