"""What people state of templates on a workspace, and what it does to campaigns that are approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import optinb
from optinb.appboy import TemplateRules
from optinb.appboy.template_rules import ONCE, VendorCap
from optinb.campaigns import RULES_OF_TEMPLATE, why_held
from optinb.campaigns.part_words import part_words
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, state_templates
from optinb.errors import CampaignError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace


@pytest.fixture
def ws(folder: Path) -> Iterator[Workspace]:
    """A workspace of which nobody but the demo's author has stated anything."""
    with optinb.open_workspace(folder, user=AUTHOR) as workspace:
        workspace.templates.sync()
        state_templates(workspace)
        yield workspace


SUMMER, CLUB = (campaign["template"] for campaign in CAMPAIGNS)


def test_who_states_what_of_a_template_is_kept(ws: Workspace) -> None:
    assert ws.templates.rules("Shop", SUMMER) is None
    stated = ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=86_400))
    assert stated.by == AUTHOR
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(messages_a_minute=500))
    found = ws.templates.rules("Shop", SUMMER)
    assert found is not None
    assert found.rules == TemplateRules(again_after_s=86_400, messages_a_minute=500)
    ws.templates.withdraw_rules("Shop", SUMMER)
    assert ws.templates.rules("Shop", SUMMER) is None


def test_a_template_that_cannot_be_used_may_be_stated_too(ws: Workspace) -> None:
    draft = "Optimove_Autumn_Draft"
    assert not ws.templates.get("Shop", draft).usable
    ws.templates.set_rules("Shop", draft, TemplateRules(again_after_s=0))
    assert ws.templates.rules("Shop", draft) is not None
    assert ws.templates.rules("Club", draft) is None


def test_nothing_is_no_statement(ws: Workspace) -> None:
    with pytest.raises(CampaignError, match=f"nothing was stated of the template '{SUMMER}'; say when"):
        ws.templates.set_rules("Shop", SUMMER, TemplateRules())
    with pytest.raises(CampaignError, match="nothing is stated of the template"):
        ws.templates.withdraw_rules("Shop", SUMMER)


def test_a_template_is_found_by_its_name_where_one_app_group_has_it(ws: Workspace) -> None:
    assert ws.templates.find(SUMMER) == ws.templates.get("Shop", SUMMER)
    assert ws.templates.find(ws.templates.get("Shop", SUMMER).id).name == SUMMER
    draft = "Optimove_Autumn_Draft"
    with pytest.raises(CampaignError, match=rf"'{draft}' is in several app groups \(Shop, Club\); name the one"):
        ws.templates.find(draft)
    assert ws.templates.find(draft, "Club") == ws.templates.get("Club", draft)
    with pytest.raises(CampaignError, match=r"'Optimove_SummerSal_iOS' isn't known; did you mean '.*SummerSale_iOS'"):
        ws.templates.find("Optimove_SummerSal_iOS")
    with pytest.raises(SettingsError, match="Shopp"):
        ws.templates.find(SUMMER, "Shopp")


def test_the_demo_states_what_its_sandbox_has_set(ws: Workspace) -> None:
    state_templates(ws)  # once more changes nothing
    stated = ws.templates.stated()
    assert {ws.templates.get(*key).name for key in stated} == {"Optimove_ClubNight_iOS", "Optimove_ClubNight_Android"}
    assert {one.rules for one in stated.values()} == {TemplateRules(again_after_s=0)}
    assert len(ws.store.audit.list(subject="Optimove_ClubNight_iOS")) == 1


def test_a_template_of_which_nothing_is_stated_is_no_part_of_an_approval(ws: Workspace) -> None:
    summer, club = (ws.campaigns.resolve(ws.campaigns.read(campaign)).parts() for campaign in CAMPAIGNS)
    assert RULES_OF_TEMPLATE not in summer
    assert part_words(RULES_OF_TEMPLATE, club[RULES_OF_TEMPLATE]) == "again any time"


def test_a_statement_after_an_approval_holds_the_campaign(ws: Workspace, folder: Path) -> None:
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
        with optinb.open_workspace(folder, user=APPROVER) as boss:
            boss.campaigns.approve(campaign["name"], seen=boss.campaigns.preview(campaign["name"]))

    def held(number: int) -> str | None:
        record = ws.campaigns.get(CAMPAIGNS[number]["name"])
        return why_held(record, ws.campaigns.resolve(record.campaign).parts())

    assert held(0) is None
    assert held(1) is None
    ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=0))  # said once more, it is what was approved
    assert held(1) is None
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(caps=(VendorCap(1, "day"),)))
    part = RULES_OF_TEMPLATE
    assert held(0) == (
        f"changed since {APPROVER} approved it: {part}; approve it again "
        f"({part} was none and is again {ONCE}; frequency caps 1 a day)"
    )
    ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=None))
    assert f"({part} was again any time and is again never)" in (held(1) or "")
    ws.templates.withdraw_rules("Club", CLUB)
    assert f"({part} was again any time and is none)" in (held(1) or "")
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        last = boss.campaigns.last_approval(boss.campaigns.preview(CAMPAIGNS[0]["name"]))
        assert last is not None
        assert [(c.part, c.before, c.now) for c in last.changes] == [
            (part, "none", f"again {ONCE}; frequency caps 1 a day")
        ]
