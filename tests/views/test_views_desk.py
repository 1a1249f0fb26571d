from __future__ import annotations

import re
from datetime import UTC, datetime, time
from itertools import count

import pytest
from msgspec.structs import replace
from page_text import text_of
from planned import fill

from optinb import did, show
from optinb.campaigns.rebuilt import RebuiltAudience, rebuilt_parts
from optinb.demo import APPROVER, RUN_DATE
from optinb.show.campaigns import for_decision
from optinb.views.desk import ApprovalDesk
from optinb.views.plan.planner import Planner
from optinb.workspace import open_workspace


@pytest.fixture
def submitted(ws):
    planner = fill(Planner(ws))
    planner.name.value = "Summer, lapsed"
    planner.properties.rows["promo_code"].value.value = "SUMMER"
    planner.submit.click()
    return planner


@pytest.fixture
def approver(folder):
    """The workspace as a second person has it open."""
    with open_workspace(folder, user=APPROVER) as opened:
        yield opened


@pytest.fixture
def desk(submitted, approver) -> ApprovalDesk:
    return ApprovalDesk(approver, clock=count(step=10).__next__)  # of somebody who takes their time


@pytest.fixture
def another(submitted, ws) -> str:
    """A second campaign that waits for a decision."""
    submitted.campaign.value = ""
    fill(submitted, group="Club regulars").name.value = "Winter"
    submitted.properties.rows["promo_code"].value.value = "WINTER"
    submitted.submit.click()
    assert ws.campaigns.get("Winter").state == "submitted"
    return "Winter"


def test_desk_shows_what_would_go_out(desk, ws):
    figures = ws.campaigns.preview(ws.campaigns.get("Summer, lapsed").campaign).waterfall
    shown = text_of(desk.detail.value)
    assert ws.groups.get("Lapsed buyers").sentence in shown
    assert f"Get the message {figures.recipients:,}" in shown
    assert "“SUMMER” for everybody" in shown
    assert "Submitted by demo-author" in shown
    assert "at 18:30" in shown
    assert "Control group 10.0%" in shown


def test_desk_shows_the_test_and_what_was_never_approved(desk):
    shown = text_of(desk.detail.value)
    assert "It was never approved before." in shown
    assert "What this test can detect" in shown


def test_an_audience_that_a_recovery_rebuilt_is_shown_before_an_approval_lets_it_go_out(approver, submitted, ws):
    record = ws.campaigns.get("Summer, lapsed")
    at = datetime(2026, 11, 23, 17, 30, tzinfo=UTC)
    file = RebuiltAudience(run_date=RUN_DATE, sha256="abcdef012345" * 5, recipients=123, unsent=45, send_at=at)
    plain = approver.campaigns.preview(record.campaign)
    found = replace(plain, parts=plain.parts | rebuilt_parts([file]))
    zone = ws.settings.zone
    desk, notebook = for_decision(record, found, None, None, zone), show.html(found)
    assert "It was never approved before." in desk
    for shown in (desk, notebook):
        told = "approving it lets that audience go out: the night of 2026-11-23: 45 of 123 recipients are still"
        assert told in text_of(shown) and "abcdef012345" in shown
    for shown in (for_decision(record, plain, None, None, zone), show.html(plain)):
        assert "recovery" not in shown


def test_desk_tells_what_is_different_from_the_last_approval(desk, submitted, ws):
    desk.approve.click()
    ws.groups.save("Lapsed buyers", did("purchase"))
    submitted.keeper.look()
    submitted.control.value = 25
    submitted.schedule.at.value = time(9, 15)
    submitted.offer.name.value = "Winter"
    submitted.submit.click()
    assert desk._look_again()
    shown = text_of(desk.detail.value)
    assert "Different from what demo-approver approved on Mon 23 Nov 2026" in shown
    assert "control share 10.0% 25.0%" in shown
    assert "schedule on Tue 24 Nov 2026 at 18:30 on Tue 24 Nov 2026 at 09:15" in shown
    assert "offer none Winter" in shown
    assert re.search(r"rule of the target group bought at least 2 times .* last 60 days bought ", shown)


def test_held_campaign_waits_for_a_decision_with_its_reason(desk, approver, ws):
    desk.approve.click()
    ws.campaigns.note(ws.campaigns.get("Summer, lapsed"), "hold", comment="changed since then: schedule")
    assert desk._look_again()
    assert desk.waiting.options[0][0] == "Summer, lapsed (held)"
    assert "Held: changed since then: schedule" in text_of(desk.detail.value)
    desk.approve.click()
    assert ws.campaigns.get("Summer, lapsed").state == "approved"


def test_desk_says_who_may_approve(desk):
    assert "Who may approve: demo-approver." in text_of(desk.who.value)


def test_approve_makes_the_campaign_approved(desk, ws):
    desk.approve.click()
    record = ws.campaigns.get("Summer, lapsed")
    assert record.state == "approved"
    assert record.approval.approver == "demo-approver"
    assert "is approved" in text_of(desk.result.value)
    assert "Nothing waits" in text_of(desk.nothing.value)


def test_reject_keeps_the_comment_for_the_author(desk, ws):
    desk.comment.value = "too many"
    desk.reject.click()
    record = ws.campaigns.get("Summer, lapsed")
    assert (record.state, record.comment) == ("rejected", "too many")


def test_author_is_told_that_a_second_person_must_approve(submitted, ws):
    desk = ApprovalDesk(ws)
    desk.approve.click()
    assert ws.campaigns.get("Summer, lapsed").state == "submitted"
    assert 'role="alert"' in desk.result.value
    assert "'demo-author' may not approve campaigns" in text_of(desk.result.value)


def test_what_changed_since_it_was_shown_is_not_approved(desk, submitted, ws):
    submitted.control.value = 50
    submitted.submit.click()
    desk.approve.click()
    assert ws.campaigns.get("Summer, lapsed").state == "submitted"
    assert "changed while you looked at it (control share)" in text_of(desk.result.value)
    desk.approve.click()
    assert ws.campaigns.get("Summer, lapsed").state == "approved"


def test_rule_that_changed_since_it_was_shown_is_not_approved(desk, ws):
    ws.groups.save("Lapsed buyers", did("purchase"))
    desk.approve.click()
    assert "rule of the target group" in text_of(desk.result.value)
    assert ws.campaigns.get("Summer, lapsed").state == "submitted"


def test_a_double_click_does_not_decide_on_the_next_campaign_which_nobody_has_seen(desk, another, ws):
    assert desk._look_again()
    desk.approve.click()
    desk.approve.click()
    assert "“Summer, lapsed” is approved" in text_of(desk.result.value)
    assert ws.campaigns.get(another).state == "submitted"
    assert desk.waiting.value is None and "Choose a campaign." in text_of(desk.detail.value)
    desk.waiting.value = another
    desk.approve.click()
    assert ws.campaigns.get(another).state == "approved"


def test_a_double_click_does_not_approve_what_changed_while_it_was_shown(submitted, approver, ws):
    seconds = [0.0]
    desk = ApprovalDesk(approver, clock=lambda: seconds[0])
    ws.groups.save("Lapsed buyers", did("purchase"))
    desk.approve.click()
    desk.approve.click()
    assert "changed while you looked at it" in text_of(desk.result.value)
    assert ws.campaigns.get("Summer, lapsed").state == "submitted"
    seconds[0] = 5.0
    desk.approve.click()
    assert ws.campaigns.get("Summer, lapsed").state == "approved"


def test_what_somebody_else_decided_meanwhile_gives_its_place_to_no_other_campaign(desk, another, ws, folder):
    assert desk._look_again() and desk.waiting.value == "Summer, lapsed"
    with open_workspace(folder, user=APPROVER) as colleague:
        colleague.campaigns.reject("Summer, lapsed", comment="too many")
    assert desk._look_again()
    desk.approve.click()
    assert desk.waiting.value is None
    assert ws.campaigns.get(another).state == "submitted"


def test_desk_notices_what_is_submitted_elsewhere(approver, ws):
    desk = ApprovalDesk(approver)
    assert "Nothing waits" in text_of(desk.nothing.value)
    planner = fill(Planner(ws), group="Club regulars")
    planner.name.value = "News"
    planner.properties.rows["promo_code"].value.value = "X"
    planner.submit.click()
    assert desk._look_again()
    assert desk.waiting.value == "News"


def test_closed_desk_looks_no_more(desk):
    desk.close()
    assert not desk._look_again()
