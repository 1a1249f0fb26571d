"""What people state of templates on a workspace, and what it does to campaigns that are approved."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import optinb
from optinb import attr, in_group, received, show
from optinb.appboy import TemplateRules
from optinb.appboy.template_rules import ONCE, VendorCap
from optinb.campaigns import RULES_OF_TEMPLATE, why_held
from optinb.campaigns.part_words import part_words
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, KEYS, RUN_DATE, SCHEDULER, state_templates
from optinb.errors import CampaignError, SettingsError
from optinb.nightly import Night
from optinb.planning.resolved import Resolver
from optinb.segments.vendor_control import without_list
from optinb.views.desk import ApprovalDesk

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


def call(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*arguments, "-w", str(folder)], env={"OPTINB_USER": AUTHOR, **KEYS})
    return done.exit_code, done.stdout + done.stderr


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
    with pytest.raises(CampaignError, match=r"can't be stated of the template .*again_after_s"):
        ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=-1))
    with pytest.raises(CampaignError, match="nothing is stated of the template"):
        ws.templates.withdraw_rules("Shop", SUMMER)


def test_what_a_program_states_wrongly_is_told_in_words(ws: Workspace) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"again_after_s": "after 1 day"}, "'after 1 day' .* as again_after_s, which takes seconds from 0"),
        ({"caps": VendorCap(1, "day")}, r"as caps, which takes a tuple of caps such as \(VendorCap\(1"),
        ({"max_users": 0}, "as max_users, which takes a whole number from 1"),
        ({"quiet_hours": "22:00"}, "as quiet_hours, which takes VendorQuietHours"),
        ({"segment": "a\0b"}, "as segment, which takes at most 200 printable letters"),
    ]
    for given, takes in wrong:
        with pytest.raises(CampaignError, match=takes):
            ws.templates.set_rules("Shop", SUMMER, TemplateRules(**given))
    words: Any = {"again_after_s": 0}
    with pytest.raises(CampaignError, match=r"write TemplateRules\(again_after_s=86_400\)"):
        ws.templates.set_rules("Shop", SUMMER, words)
    assert ws.templates.rules("Shop", SUMMER) is None


def test_who_states_something_is_told_which_campaigns_it_holds(ws: Workspace, folder: Path) -> None:
    assert ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=0)).follows == ()  # none is submitted
    name = CAMPAIGNS[1]["name"]
    ws.campaigns.submit(CAMPAIGNS[1])
    stated = ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=22 * 3_600))
    assert stated.follows == (f"{name!r} waits for approval: whoever saw it before looks at it again",)
    ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=0))
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(name, seen=boss.campaigns.preview(name))
    assert ws.templates.standing(CLUB).follows == (f"{name!r} stays as it was approved",)
    stated = ws.templates.set_rules("Club", CLUB, TemplateRules(again_after_s=None))
    (follows,) = stated.follows
    assert follows.startswith(f"{name!r} is held from its next night on: changed since {APPROVER} approved it")
    assert f". Before it can be approved again: {name!r} goes out every day" in follows
    assert "optinb templates set" in follows and follows in show.text(stated)
    assert follows in html.unescape(show.html(stated))
    assert {one.follows for one in ws.templates.stated().values()} == {()}  # what is kept says nothing of campaigns
    ws.campaigns.pause(name)
    (follows,) = ws.templates.withdraw_rules("Club", CLUB)
    assert follows.startswith(f"{name!r} is paused, and is held once it is resumed: changed since")
    code, said = call(folder, "templates", "set", CLUB, "--again", "any time")
    assert code == 0 and f"campaign {name!r} stays as it was approved" in said
    assert f"campaign {name!r} stays as it was approved" in call(folder, "templates", "show", CLUB)[1]
    for option in ("--again", "--cap", "--segment"):
        code, said = call(folder, "templates", "set", CLUB, option, " ")
        assert code == 2 and f"{option} says nothing" in said


def test_a_template_is_found_by_its_name_where_one_app_group_has_it(ws: Workspace) -> None:
    assert ws.templates.find(SUMMER) == ws.templates.get("Shop", SUMMER)
    assert ws.templates.find(ws.templates.get("Shop", SUMMER).id).name == SUMMER
    draft = "Optimove_Autumn_Draft"
    with pytest.raises(
        CampaignError, match=rf"'{draft}' is in several app groups \(Shop, Club\); .* --app-group Shop, or"
    ):
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


DAILY = {**CAMPAIGNS[0], "name": "Summer, daily", "schedule": {"every": "day", "at": "18:30"}}
SAY_SO = f"say so with `optinb templates set {SUMMER} --again 'after 22 hours'`"


def test_a_campaign_that_recurs_needs_somebody_who_says_that_its_template_may_be_had_again(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CampaignError, match="nobody has stated when customers may get its template") as refused:
        ws.campaigns.submit(DAILY)
    assert SAY_SO in str(refused.value)
    assert "once it is kept as a draft, add `& ~received('Summer, daily')` to its target group" in str(refused.value)
    assert ws.campaigns.list() == ()
    seen = ws.campaigns.preview(DAILY)
    assert seen.refused == str(refused.value)
    assert show.text(seen).endswith(f"refused: {seen.refused}; then look at it again")
    assert "campaigns approve" not in show.text(seen)
    assert (seen.messages_ahead, seen.times, seen.times_each) == (seen.waterfall.recipients, 90, 1)
    told = f"about {seen.messages_ahead} messages in the coming 90 days: each customer gets it once; those who join"
    assert told in show.text(seen)
    assert f"It can't go out like this: {seen.refused}." in html.unescape(show.html(seen))
    with monkeypatch.context() as patch:
        patch.setattr(Resolver, "check_again", lambda *_: None)  # submitted by an earlier release
        ws.campaigns.submit(DAILY)
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        with pytest.raises(CampaignError, match="nobody has stated"):
            boss.campaigns.approve(DAILY["name"], seen=boss.campaigns.preview(DAILY["name"]))
        ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=86_400))
        with pytest.raises(CampaignError, match="again after 1 day, counted from a receipt up to 30 minutes after"):
            boss.campaigns.approve(DAILY["name"], seen=boss.campaigns.preview(DAILY["name"]))
        ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=22 * 3_600))
        seen = boss.campaigns.preview(DAILY["name"])
        assert seen.messages_ahead == 90 * seen.waterfall.recipients
        assert (seen.refused, list(seen.stated.values())) == ("", [ws.templates.rules("Shop", SUMMER)])
        assert f"again after 22 hours (stated by {AUTHOR} 2026-11-23" in show.text(seen)
        desk = ApprovalDesk(boss)
        assert "again after 22 hours" in desk.detail.value and f"stated by {AUTHOR}" in desk.detail.value
        assert boss.campaigns.approve(DAILY["name"], seen=seen).state == "approved"


def test_a_target_group_that_leaves_out_who_had_it_may_be_written_to_again_and_again(ws: Workspace) -> None:
    ws.groups.save("Not yet", attr("country") == "DE")
    ws.groups.save("New ones", in_group("Not yet"))
    plan = {**DAILY, "group": "New ones"}
    with pytest.raises(CampaignError, match="nobody has stated"):
        ws.campaigns.submit(plan)
    ws.campaigns.save_draft(plan)
    ws.groups.save("Not yet", (attr("country") == "DE") & ~received(DAILY["name"]))
    assert ws.campaigns.submit(plan).state == "submitted"
    with pytest.raises(CampaignError, match="nobody has stated"):
        ws.campaigns.submit({**plan, "name": "Another"})  # who had that one is not left out


def test_a_campaign_of_one_date_is_told_who_had_its_template_before(ws: Workspace, folder: Path) -> None:
    ws.campaigns.save_draft({**CAMPAIGNS[0], "name": "Put away"})
    ws.campaigns.cancel("Put away")
    ws.campaigns.submit(CAMPAIGNS[0])
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        assert boss.campaigns.preview(CAMPAIGNS[0]["name"]).notes == (without_list("Shop"),)
        boss.campaigns.approve(CAMPAIGNS[0]["name"], seen=boss.campaigns.preview(CAMPAIGNS[0]["name"]))
    seen = ws.campaigns.preview({**CAMPAIGNS[0], "name": "Once more"})
    note = f"customers who had {SUMMER} before won't get it, because it may be had once"
    assert seen.notes == (f"{note}: it goes out with 'Summer, lapsed' too", without_list("Shop"))
    assert note in show.text(seen)
    assert note[1:] in html.unescape(show.html(seen))
    ws.campaigns.cancel(CAMPAIGNS[0]["name"])  # what of it went out before, it keeps
    assert ws.campaigns.preview({**CAMPAIGNS[0], "name": "Once more"}).notes == seen.notes
    assert ws.campaigns.submit({**CAMPAIGNS[0], "name": "Once more"}).state == "submitted"


def test_what_was_approved_before_anybody_could_state_anything_goes_on_and_the_night_says_so(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Resolver, "check_again", lambda *_: None)
        ws.campaigns.submit(DAILY)
        with optinb.open_workspace(folder, user=APPROVER) as boss:
            boss.campaigns.approve(DAILY["name"], seen=boss.campaigns.preview(DAILY["name"]))
    health = {v.about: v for health in ws.doctor("Shop").app_groups for v in health.verdicts}
    verdict = health[f"template {SUMMER}"]
    assert verdict.standing == "bad"
    assert verdict.text.startswith("'Summer, daily' goes out every day at 18:30, but nobody has stated when")
    assert SAY_SO in verdict.text
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
        step()
    summary = night.report()
    night.close()
    (campaign,) = summary.campaigns
    assert campaign.held is None and campaign.accepted == campaign.recipients > 0
    (warning,) = (text for text in summary.warnings if "nobody has stated" in text)
    assert SAY_SO in warning
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=None))
    (verdict,) = (v for h in ws.doctor("Shop").app_groups for v in h.verdicts if v.about == f"template {SUMMER}")
    assert verdict.standing == "bad" and "is stated to be had once, ever" in verdict.text and SAY_SO in verdict.text
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=22 * 3_600))
    assert f"template {SUMMER}" not in {v.about for h in ws.doctor("Shop").app_groups for v in h.verdicts}


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


def test_a_first_statement_between_the_list_and_its_send_holds_what_is_left(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(CAMPAIGNS[0]["name"], seen=boss.campaigns.preview(CAMPAIGNS[0]["name"]))
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences):
        step()
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(again_after_s=0))
    (campaign,) = night.sends()
    night.report()
    night.close()
    assert campaign.accepted == 0
    assert campaign.held is not None and "rules of the template" in campaign.held


def test_a_statement_that_names_somebody_who_is_forgotten_is_told(ws: Workspace) -> None:
    ws.templates.set_rules("Shop", SUMMER, TemplateRules(segment="all but customer 000014"))
    told = ws.forget("000014").named_in
    assert f"statement about the template {ws.templates.get('Shop', SUMMER).id!r}" in told
