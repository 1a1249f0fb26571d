"""A campaign with a template for each phone and with variants: previewed, refused, approved and tried out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import optinb
from optinb.campaigns import MESSAGES, campaign_from, gets, why_held
from optinb.demo import APPROVER, CAMPAIGNS
from optinb.errors import ApprovalError, CampaignError
from optinb.show.campaigns import for_decision, preview_text

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER = CAMPAIGNS[0]
BY_PHONE = {"ios": "Optimove_SummerSale_iOS", "android": "Optimove_SummerSale_Android"}
COME_BACK = {"ios": "Optimove_WinBack_iOS", "android": "Optimove_WinBack_Android"}
PLAN: dict[str, Any] = {
    **{name: value for name, value in SUMMER.items() if name != "template"},
    "name": "Both phones",
    "templates": BY_PHONE,
    "variants": [
        {"name": "Sale"},
        {"name": "Come back", "templates": COME_BACK, "properties": {"promo_code": {"value": "BACK"}}},
    ],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**PLAN, **fields}


def test_a_preview_tells_who_gets_which_message(ws: Workspace) -> None:
    found = ws.campaigns.preview(PLAN, samples=6)
    resolved = ws.campaigns.resolve(campaign_from(PLAN))
    rows = ws.campaigns.audience(resolved)
    told = [(one.variant, one.platforms, one.template.name, one.recipients) for one in found.messages]
    assert [one[:3] for one in told] == [
        ("Sale", ("ios",), BY_PHONE["ios"]),
        ("Sale", ("android",), BY_PHONE["android"]),
        ("Come back", ("ios",), COME_BACK["ios"]),
        ("Come back", ("android",), COME_BACK["android"]),
    ]
    assert [one[3] for one in told] == [gets(rows, number).height for number in range(4)]
    assert all(one[3] for one in told)
    assert sum(found.by_variant.values()) == found.waterfall.recipients
    # nobody is lost beside the same campaign to one phone, and nobody is there twice
    alone = [ws.campaigns.preview({**SUMMER, "name": f"Only {p}", "template": t}) for p, t in BY_PHONE.items()]
    assert max(one.waterfall.recipients for one in alone) < found.waterfall.recipients + found.waterfall.control
    assert {sample.variant for sample in found.sample} == {"Sale", "Come back"}
    text = preview_text(found)
    assert "get Optimove_WinBack_Android (variant Come back, Android)" in text
    assert found.messages_ahead == sum(one[3] for one in told)


def test_the_desk_shows_every_variant_with_its_share_its_templates_and_what_it_says(ws: Workspace) -> None:
    record = ws.campaigns.submit(changed(variants=[{**PLAN["variants"][0], "share": 3}, PLAN["variants"][1]]))
    found = ws.campaigns.preview(record.campaign)
    shown = for_decision(record, found, None, ws.campaigns.power(found), ws.settings.zone)
    for words in ("Sale, 75", "Come back, 25", *BY_PHONE.values(), *COME_BACK.values(), "“BACK” for everybody"):
        assert words in shown
    assert "&#39;Sale&#39; and the control group" in shown
    assert "&#39;Sale&#39; and &#39;Come back&#39;" in shown


def test_the_power_of_each_comparison_is_told_before_approval(ws: Workspace) -> None:
    found = ws.campaigns.preview(PLAN)
    power = ws.campaigns.power(found)
    assert power is not None
    told = {(one.one, one.other): one.customers for one in power.comparisons}
    sale, back, control = found.by_variant["Sale"], found.by_variant["Come back"], found.waterfall.control
    assert told == {
        ("Sale", None): (sale, control),
        ("Come back", None): (back, control),
        ("Sale", "Come back"): (sale, back),
    }
    uncontrolled = ws.campaigns.preview(changed(control=0))
    told = ws.campaigns.power(uncontrolled)
    assert told is not None
    assert [(one.one, one.other) for one in told.comparisons] == [("Sale", "Come back")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"templates": {"ios": BY_PHONE["android"]}, "variants": []}, "has no message for ios, only for android"),
        ({"templates": {"ios": "Optimove_Nothing"}, "variants": []}, "Optimove_Nothing"),
        ({"templates": {}}, "its variant 'Sale' has no message: give it a template"),
        ({"templates": {}, "variants": []}, "it has no message yet"),
        (
            {"variants": [{"name": "Sale"}, {"name": "B", "template": COME_BACK["ios"]}]},
            "variant 'Sale' goes to android",
        ),
        ({"properties": {"first_name": {"value": "you"}}}, "needs the property 'promo_code'"),
        (
            {"variants": [{"name": "A"}, {"name": "B", "properties": {"promo_code": {"attribute": "nothing"}}}]},
            "attribute 'nothing'",
        ),
    ],
)
def test_messages_that_no_night_could_send_are_refused_with_the_remedy(
    ws: Workspace, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(CampaignError, match=re.escape(said)):
        ws.campaigns.submit(changed(**fields))


def test_customers_with_several_phones_never_get_a_code_on_each(ws: Workspace) -> None:
    ws.codes.add("Summer", [f"CODE{n:06}" for n in range(3_000)])
    coded = changed(
        offer={"name": "Ten off", "kind": "discount", "codes": "Summer"},
        properties={**PLAN["properties"], "promo_code": {"offer": "code"}},
        variants=[],
    )
    with pytest.raises(CampaignError, match=re.escape('write phones = "last_used"')):
        ws.campaigns.submit(coded)
    assert ws.campaigns.submit({**coded, "phones": "last_used"}).state == "submitted"
    resolved = ws.campaigns.resolve(campaign_from({**coded, "phones": "last_used"}))
    bits = ws.campaigns.audience(resolved).filter(pl.col("outcome") == "recipient")[MESSAGES]
    assert set(bits) == {0b01, 0b10}


APPROVED = {
    "shares of the variants": {"variants": [{**PLAN["variants"][0], "share": 2}, PLAN["variants"][1]]},
    "messages": {"variants": [PLAN["variants"][0], {**PLAN["variants"][1], "templates": BY_PHONE}]},
    "customers with several phones": {"phones": "last_used"},
}


@pytest.mark.parametrize("part", APPROVED)
def test_an_approval_is_of_every_message_every_share_and_what_becomes_of_two_phones(
    ws: Workspace, folder: Path, part: str
) -> None:
    ws.campaigns.submit(PLAN)
    with optinb.open_workspace(folder, user=APPROVER) as approver:
        record = approver.campaigns.approve(PLAN["name"], seen=approver.campaigns.preview(PLAN))
    assert record.approval is not None
    assert why_held(record, ws.campaigns.resolve(record.campaign).parts()) is None
    other = ws.campaigns.resolve(campaign_from(changed(**APPROVED[part]))).parts()
    assert part in (why_held(record, other) or "")


def test_what_an_approver_saw_before_a_variant_ended_is_not_what_they_approve(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(PLAN)
    with optinb.open_workspace(folder, user=APPROVER) as approver:
        seen = approver.campaigns.preview(PLAN)
        ws.campaigns.submit(changed(variants=[PLAN["variants"][0]]))
        with pytest.raises(ApprovalError, match="shares of the variants"):
            approver.campaigns.approve(PLAN["name"], seen=seen)


def test_a_campaign_of_one_template_is_bound_by_the_same_parts_as_ever(ws: Workspace) -> None:
    parts = ws.campaigns.resolve(campaign_from(SUMMER)).parts()
    (template,) = ws.campaigns.resolve(campaign_from(SUMMER)).each_template
    assert (parts["template"], parts["content of the template"]) == (template.id, template.content_hash)
    assert not {"messages", "shares of the variants", "customers with several phones"} & set(parts)


def test_a_customer_reads_what_their_variant_says(ws: Workspace) -> None:
    rows = ws.campaigns.audience(ws.campaigns.resolve(campaign_from(PLAN)))
    for number, variant in ((0, "Sale"), (2, "Come back")):
        one = gets(rows, number)["customer_id"][0]
        told = ws.campaigns.message(PLAN, one)
        assert told.variant == variant
        assert all(("BACK" in message.alert) == (variant == "Come back") for message in told.messages)


def test_a_test_send_shows_every_message_to_each_test_customer_once(ws: Workspace, sandbox: Sandbox) -> None:
    sent = ws.campaigns.test_send(PLAN)
    templates = {one.template.id for one in ws.campaigns.preview(PLAN).messages}
    assert {dispatch.campaign_id for dispatch in sandbox.world.dispatches} == templates
    for dispatch in sandbox.world.dispatches:
        assert len(dispatch.ids) == len(set(dispatch.ids)) == len({sample.customer_id for sample in sent.sent}) > 1
    asked = [e for e in ws.store.audit.list() if e.action == "test send asked for"]
    assert {entry.detail["template"] for entry in asked} == templates
