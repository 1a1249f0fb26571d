from __future__ import annotations

from datetime import date, time

import pytest
from page_text import text_of
from planned import fill

from optinb.base.workspace_folder import init_workspace
from optinb.demo import AUTHOR, demo_settings
from optinb.views.controls import offered
from optinb.views.plan.planner import COUNTING, Planner
from optinb.workspace import open_workspace


@pytest.fixture
def planner(ws) -> Planner:
    return fill(Planner(ws))


def test_templates_follow_the_app_group(planner):
    assert "Optimove_SummerSale_iOS" in offered(planner.template)
    planner.app_group.value = "Club"
    assert "Optimove_ClubNight_iOS" in offered(planner.template)
    assert "Optimove_SummerSale_iOS" not in offered(planner.template)


def test_only_usable_templates_are_offered_and_the_others_explained(planner):
    assert "Optimove_Paused_Android" not in offered(planner.template)
    assert "Optimove_Paused_Android : it is stopped; resume it in the dashboard" in text_of(
        planner.about_templates.value
    )


def test_message_reads_as_for_a_real_customer_and_the_next_one(planner, ws):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    sample = ws.campaigns.preview(planner.fields(), samples=2).sample
    assert sample[0].messages[0].alert in text_of(planner.message.value)
    assert "SUMMER" in sample[0].messages[0].alert
    planner.next.click()
    assert f"Customer {sample[1].customer_id}" in text_of(planner.message.value)
    planner.previous.click()
    assert f"Customer {sample[0].customer_id}" in text_of(planner.message.value)


def test_audience_is_what_the_workspace_counts(planner, ws):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.control.value = 25
    figures = ws.campaigns.preview(planner.fields()).waterfall
    shown = text_of(planner.audience.value)
    assert f"Target group {figures.target:,}" in shown
    assert f"held out in the control group {figures.control:,}" in shown
    assert f"Get the message {figures.recipients:,}" in shown


def test_old_figures_go_before_new_ones_are_counted(planner):
    waiting = []
    planner._count_soon = lambda: waiting.append(planner.audience.value)
    assert COUNTING not in planner.audience.value
    planner.control.value = 30
    assert waiting and all(COUNTING in shown for shown in waiting)
    assert COUNTING in planner.audience.value


def test_property_may_come_from_an_attribute_or_be_left_to_the_template(planner):
    planner.properties.rows["first_name"].origin.value = "template"
    planner.properties.rows["promo_code"].origin.value = "attribute city"
    planner.properties.rows["promo_code"].default.value = "home"
    assert planner.fields()["properties"] == {"promo_code": {"attribute": "city", "default": "home"}}
    planner.properties.rows["promo_code"].exclude_empty.value = True
    assert planner.fields()["properties"] == {"promo_code": {"attribute": "city", "exclude_empty": True}}


def test_saved_offer_is_chosen_by_its_name_in_place_of_a_new_one(planner, ws):
    assert planner.offer.saved.layout.display == "none"  # nothing is saved yet
    ws.offers.save({"name": "Spring", "kind": "discount", "value": "20 %", "cost_of_one": 5})
    planner._look_again()
    assert planner.offer.saved.layout.display == ""
    assert ("Spring, 20 %, 5.00 for each redemption", "Spring") in planner.offer.saved.options
    planner.properties.rows["promo_code"].origin.value = "offer value"
    planner.offer.saved.value = "Spring"
    assert planner.fields()["offer"] == "Spring"
    assert planner.offer._own.layout.display == "none"
    assert "20 %" in text_of(planner.message.value)
    n = ws.campaigns.preview(planner.fields()).waterfall.recipients
    assert f"at most {n:,} recipients x 5.00 EUR" in text_of(planner.audience.value)
    planner.offer.saved.value = ""
    assert "offer" not in planner.fields() and planner.offer._own.layout.display == ""


def test_saved_offer_that_is_gone_stays_chosen(planner, ws):
    ws.offers.save({"name": "Spring", "kind": "gift"})
    planner._look_again()
    planner.offer.saved.value = "Spring"
    ws.offers.archive("Spring")
    planner._look_again()
    assert planner.fields()["offer"] == "Spring"
    assert "was archived" in text_of(planner.audience.value) or planner.offer.saved.value == "Spring"


def test_property_may_tell_of_the_offer(planner, ws):
    planner.offer.name.value = "Winter"
    planner.offer.value.value = "30 %"
    planner.properties.rows["promo_code"].origin.value = "offer value"
    assert "30 %" in text_of(planner.message.value)
    assert planner.fields()["offer"] == {"name": "Winter", "kind": "discount", "value": "30 %"}


def test_pool_of_codes_is_offered_and_says_how_many_are_missing(ws):
    ws.codes.add("Winter codes", ["A1", "B2"])
    planner = fill(Planner(ws))
    planner.offer.name.value = "Winter"
    planner.offer.codes.value = "Winter codes"
    planner.properties.rows["promo_code"].origin.value = "offer code"
    needed = ws.campaigns.preview(planner.fields()).waterfall.recipients
    assert f"“Winter codes” has 2 codes left, and {needed} are needed" in text_of(planner.audience.value)


def test_timing_is_read_aloud_and_what_is_missing_is_named(planner):
    planner.schedule.often.value = "week"
    assert planner.sentence.value == ""
    assert "Still missing: days of the week" in text_of(planner.finish.about.value)
    planner.schedule.days.boxes["monday"].value = True
    planner.schedule.days.boxes["thursday"].value = True
    assert "Goes out every Monday and Thursday at 18:30." in text_of(planner.sentence.value)
    planner.schedule.clock.value = "local"
    assert "at 18:30 of each customer's own clock" in text_of(planner.sentence.value)
    assert "When it arrives, by time zone" in text_of(planner.audience.value)


def test_test_against_the_control_group_says_what_it_can_see(planner, ws):
    power = ws.campaigns.power(ws.campaigns.preview(planner.fields()))
    shown = text_of(planner.power.value)
    assert f"{power.base_rate:.1%} of the group buy within 14 days anyway" in shown
    planner.control.value = 0
    assert "Without a control group nobody can tell" in text_of(planner.power.value)


def test_what_was_written_for_a_property_stays_when_the_template_changes(planner):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.template.value = "Optimove_WinBack_Android"
    assert planner.properties.rows["promo_code"].value.value == "SUMMER"


def test_submit_puts_the_campaign_into_the_store(planner, ws):
    planner.name.value = "Summer, lapsed"
    planner.schedule.often.value = "day"
    planner.schedule.at.value = time(9, 5)
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    record = ws.campaigns.get("Summer, lapsed")
    assert (record.state, record.author, record.campaign.schedule.at) == ("submitted", AUTHOR, "09:05")
    assert record.campaign.control == 0.1
    assert "is submitted" in planner.result.value


def test_submit_says_in_a_sentence_what_is_missing(planner, ws):
    planner.submit.click()
    assert 'role="alert"' in planner.result.value
    assert text_of(planner.result.value) == "Still missing: what promo_code says."
    assert [record.state for record in ws.campaigns.list()] == ["draft"]


def test_submit_says_that_the_date_has_passed(planner):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.schedule.date.value = date(2026, 11, 1)
    planner.submit.click()
    assert "has passed" in text_of(planner.result.value)


def test_name_is_suggested_until_somebody_writes_one(planner):
    assert planner.name.value.startswith("Lapsed buyers, Optimove_")
    planner.group.value = "Club regulars"
    assert planner.name.value.startswith("Club regulars, Optimove_")
    planner.name.value = "Mine"
    planner.group.value = "Lapsed buyers"
    assert planner.name.value == "Mine"


def test_submitted_campaign_says_that_a_change_must_be_approved_again(planner):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    assert "submitted Once changed, it must be submitted and approved again." in text_of(planner.keeper.state.value)
    planner.control.value = 30
    assert "not saved until you submit it" in text_of(planner.keeper.state.value)


def test_name_of_another_campaign_is_refused(planner, ws):
    ws.drafts.keep({**planner.fields(), "name": "Theirs"}, seen=None)
    planner.name.value = "theirs"
    assert "there is a campaign 'Theirs' already (draft)" in text_of(planner.keeper.state.value)
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    assert "open that one" in text_of(planner.result.value)
    assert ws.campaigns.get("Theirs").state == "draft"


def test_suggested_name_is_one_that_no_other_campaign_bears(planner, ws):
    first = planner.name.value
    other = Planner(ws)
    other.campaign.value = ""
    fill(other)
    assert other.name.value == f"{first} 2"


def test_a_group_that_others_save_is_offered_and_leaves_what_is_open_as_it_is(planner, ws):
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    ws.groups.save("Another", "attr('country') == 'DE'")
    assert planner._look_again()
    assert "Another" in offered(planner.group) and planner.group.value == "Lapsed buyers"
    assert not planner.keeper.is_dirty


def test_attributes_that_are_delivered_meanwhile_are_offered_and_nothing_chosen_changes(planner, ws, monkeypatch):
    origin = planner.properties.rows["first_name"].origin
    assert origin.value == "attribute first_name"
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    monkeypatch.setattr(planner, "_attributes", lambda: ["shoe_size"])
    ws.model()
    assert planner._look_again()
    assert {"attribute shoe_size", "attribute first_name"} <= {value for _, value in origin.options}
    assert "attribute city" not in {value for _, value in origin.options}
    assert origin.value == "attribute first_name" and not planner.keeper.is_dirty


def test_planner_without_groups_or_templates_says_what_to_do(tmp_path):
    init_workspace(tmp_path / "new", settings=demo_settings("http://127.0.0.1:8021"))
    with open_workspace(tmp_path / "new", user=AUTHOR) as empty:
        shown = Planner(empty)
        assert "save one in explore_segments.ipynb" in text_of(shown.about_group.value)
        assert "Still missing: an app group, a template, a target group" in text_of(shown.finish.about.value)
        shown.app_group.value = "Shop"
        assert "No template of this app group is imported yet" in text_of(shown.about_templates.value)


def test_what_people_write_is_escaped(planner):
    planner.properties.rows["promo_code"].value.value = "<script>alert(1)</script>"
    assert "<script" not in planner.message.value
    planner.name.value = "<img src=x>"
    planner.submit.click()
    assert "<img" not in planner.result.value
