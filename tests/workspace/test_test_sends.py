"""Test sends: at once, to test customers only, and outside every figure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optinb.demo import CAMPAIGNS
from optinb.errors import AppboyError, CampaignError
from optinb.sandbox import Fault

if TYPE_CHECKING:
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER = CAMPAIGNS[0]


def the_testers(ws: Workspace) -> list[str]:
    return sorted(ws.tables().customers.to_native().filter("is_test").collect()["customer_id"])


def test_it_goes_at_once_to_test_customers_who_opted_in_and_into_no_journal(ws: Workspace, sandbox: Sandbox) -> None:
    ws.campaigns.submit(SUMMER)
    sent = ws.campaigns.test_send(SUMMER["name"])
    (dispatch,) = sandbox.world.dispatches
    assert dispatch.schedule_id is None
    assert sorted([sample.customer_id for sample in sent.sent] + [*sent.skipped]) == the_testers(ws)
    assert len(dispatch.ids) == len(sent.sent) > 1
    assert all(message.alert for sample in sent.sent for message in sample.messages)
    assert ws.store.deliveries.list() == ()
    trail = [entry for entry in ws.store.audit.list() if entry.action.startswith("test send")]
    assert [entry.action for entry in trail] == ["test send answered", "test send asked for"]
    assert trail[0].detail["customers"] == [sample.customer_id for sample in sent.sent]
    assert ws.campaigns.get(SUMMER["name"]).state == "submitted"


def test_named_test_customers_alone_get_it_and_nobody_else_can_be_named(ws: Workspace, sandbox: Sandbox) -> None:
    first = the_testers(ws)[0]
    sent = ws.campaigns.test_send(SUMMER, customers=[first])
    assert [sample.customer_id for sample in sent.sent] == [first]
    people = ws.tables().customers.to_native().filter(~pl.col("is_test")).collect()["customer_id"]
    with pytest.raises(CampaignError, match="is no test customer and gets no test send"):
        ws.campaigns.test_send(SUMMER, customers=[first, people[0]])
    with pytest.raises(CampaignError, match="'nobody' is no customer"):
        ws.campaigns.test_send(SUMMER, customers=["nobody"])
    assert len(sandbox.world.dispatches) == 1


def test_test_customers_without_an_external_user_id_are_told_and_not_sent_to(
    ws: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = the_testers(ws)
    nameless = pl.col("customer_id").is_in(ids[:2])
    known = ws.tables().customers.to_native()
    emptied = known.with_columns(
        external_user_id=pl.when(nameless).then(pl.lit("")).otherwise("external_user_id"),
        first_name=pl.lit("Ada"),
        push_opt_in=True,
    )
    tables = SimpleNamespace(customers=SimpleNamespace(to_native=lambda: emptied))
    monkeypatch.setattr(type(ws), "tables", lambda _: tables)
    sent = ws.campaigns.test_send(SUMMER)
    assert sent.skipped == dict.fromkeys(ids[:2], "has no external user id, by which Appboy would know them")
    assert "" not in sandbox.world.dispatches[0].ids
    with pytest.raises(CampaignError, match=r"no test customer can get .* has no external user id"):
        ws.campaigns.test_send(SUMMER, customers=ids[:1])


def test_a_test_customer_who_opted_out_or_is_blocked_gets_no_test_send_and_those_who_opted_in_do(
    ws: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, untold, blocked, shares, *others = the_testers(ws)
    known, is_one = ws.tables().customers.to_native().collect(), pl.col("customer_id").is_in
    people = {row["customer_id"]: row["external_user_id"] for row in known.to_dicts()}
    stranger = next(row["customer_id"] for row in known.to_dicts() if not row["is_test"])
    changed = known.with_columns(
        push_opt_in=pl.when(is_one([out, stranger]))
        .then(False)
        .when(~is_one([untold]))
        .then(pl.col("is_test") | pl.col("push_opt_in")),
        is_blocked=is_one([blocked]),
        external_user_id=pl.when(is_one([stranger])).then(pl.lit(people[shares])).otherwise("external_user_id"),
        first_name=pl.lit("Ada"),
    ).lazy()
    tables = SimpleNamespace(customers=SimpleNamespace(to_native=lambda: changed))
    monkeypatch.setattr(type(ws), "tables", lambda _: tables)
    sent = ws.campaigns.test_send(SUMMER)
    opted_out = "has opted out of push messages"
    assert sent.skipped == {**dict.fromkeys((out, untold, shares), opted_out), blocked: "is blocked"}
    assert [sample.customer_id for sample in sent.sent] == others
    assert sorted(sandbox.world.dispatches[0].ids) == sorted(people[one] for one in others)
    with pytest.raises(CampaignError, match=f"no test customer can get .*{opted_out}"):
        ws.campaigns.test_send(SUMMER, customers=[out])


@pytest.mark.parametrize(
    ("fault", "told", "taken"),
    [
        (Fault("status", status=401), "was not sent: 401.*check the app group's key", 0),
        (Fault("status", status=429, reset_in_s=120), "was not sent: 429.*try again in 1[12].* seconds", 0),
        (
            Fault("status", status=400, body='{"message":"No Recipients"}'),
            "was refused by Appboy: 400.*No Recipients",
            0,
        ),
        (Fault("status", status=504, after_taking=True), "may have been sent: .*look at the phone", 1),
        (Fault("reset", after_taking=True), "may have been sent: .*look at the phone", 1),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_is_sent_twice(
    ws: Workspace, sandbox: Sandbox, fault: Fault, told: str, taken: int
) -> None:
    sandbox.set_faults([fault])
    with pytest.raises(AppboyError, match=told):
        ws.campaigns.test_send(SUMMER)
    assert len(sandbox.world.dispatches) == taken
    assert sandbox.requests["/campaigns/trigger/send"] == 1
    assert ws.store.audit.list()[0].action == "test send answered"


def test_a_message_can_be_read_as_any_customer_would_read_it(ws: Workspace) -> None:
    sample = ws.campaigns.message(SUMMER, the_testers(ws)[0])
    assert sample.customer_id == the_testers(ws)[0]
    assert all("{{" not in message.alert for message in sample.messages)
    with pytest.raises(CampaignError, match="no customer"):
        ws.campaigns.message(SUMMER, "nobody")


def test_a_campaign_that_leaves_out_a_needed_property_can_neither_be_submitted_nor_tested(
    ws: Workspace, sandbox: Sandbox
) -> None:
    without = {**SUMMER, "properties": {}}
    with pytest.raises(CampaignError, match=r"needs the property 'promo_code'.*add it under"):
        ws.campaigns.submit(without)
    with pytest.raises(CampaignError, match="needs the property 'promo_code'"):
        ws.campaigns.test_send(without)
    assert sandbox.world.dispatches == []
