"""What people state of templates: versions that are only added, each with its audit entry."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from optinb.appboy import Template, TemplateRules
from optinb.appboy.template_rules import VendorCap, VendorQuietHours
from optinb.errors import CampaignError, StateError
from optinb.store.schema import template_rules

if TYPE_CHECKING:
    from optinb.delivery.journal import Store

SHOP = "11111111-2222-3333-4444-555555555555"
CLUB = "66666666-7777-8888-9999-000000000000"
DAILY = TemplateRules(again_after_s=86_400)


def template(name: str, app_group_id: str = SHOP) -> Template:
    return Template(
        app_group_id=app_group_id,
        id=f"id of {name}",
        name=name,
        platforms=("ios",),
        messages=(),
        usable=True,
        problems=(),
        updated_at=None,
        content_hash="x",
    )


def test_nobody_has_stated_anything_of_a_new_template(store: Store) -> None:
    assert store.statements.newest(SHOP, "id of A") is None
    assert store.statements.all() == {}


def test_a_statement_adds_to_the_one_before(store: Store, now: datetime) -> None:
    first = store.statements.state(template("A"), DAILY, user="mia", now=now)
    assert (first.rules, first.by, first.at) == (DAILY, "mia", now)
    later = now + timedelta(hours=1)
    speed = TemplateRules(messages_a_minute=500, caps=(VendorCap(1, "day"),), max_users=None)
    second = store.statements.state(template("A"), speed, user="ben", now=later)
    assert second.rules == DAILY.with_changes(speed)
    assert store.statements.newest(SHOP, "id of A") == second
    assert second.by == "ben"
    hours = TemplateRules(quiet_hours=VendorQuietHours(time(22), time(8), "drop"), again_after_s=None)
    third = store.statements.state(template("A"), hours, user="ben", now=later)
    assert third.rules.messages_a_minute == 500
    assert third.rules.again_after_s is None
    assert store.statements.newest(SHOP, "id of A") == third


def test_each_template_of_each_app_group_has_its_own(store: Store, now: datetime) -> None:
    store.statements.state(template("A"), DAILY, user="mia", now=now)
    store.statements.state(template("A", CLUB), TemplateRules(again_after_s=0), user="mia", now=now)
    store.statements.state(template("B"), TemplateRules(again_after_s=None), user="mia", now=now)
    found = {key: stated.rules.again_after_s for key, stated in store.statements.all().items()}
    assert found == {(SHOP, "id of A"): 86_400, (CLUB, "id of A"): 0, (SHOP, "id of B"): None}


def test_what_is_taken_back_counts_no_longer_and_stays_written(store: Store, now: datetime) -> None:
    with pytest.raises(CampaignError, match="nothing is stated of the template 'A'"):
        store.statements.withdraw(template("A"), user="mia", now=now)
    store.statements.state(template("A"), DAILY, user="mia", now=now)
    store.statements.withdraw(template("A"), user="ben", now=now)
    assert store.statements.newest(SHOP, "id of A") is None
    assert store.statements.all() == {}
    with pytest.raises(CampaignError, match="nothing is stated"):
        store.statements.withdraw(template("A"), user="ben", now=now)
    again = store.statements.state(template("A"), TemplateRules(max_users=9), user="mia", now=now)
    assert again.rules == TemplateRules(max_users=9)  # nothing of what was taken back
    with store._database.reading() as con:
        assert con.execute(select(func.max(template_rules.c.version))).scalar() == 3


def test_each_statement_is_in_the_audit_trail(store: Store, now: datetime) -> None:
    store.statements.state(template("A"), DAILY, user="mia", now=now)
    store.statements.withdraw(template("A"), user="ben", now=now)
    taken, stated = store.audit.list(subject="A")
    assert (stated.who, stated.action, stated.detail["rules"]) == ("mia", "template stated", {"again_after_s": 86_400})
    assert (taken.who, taken.action, taken.detail["before"]) == ("ben", "template withdrawn", {"again_after_s": 86_400})
    assert store.audit.verify().problem is None


def test_rules_that_somebody_else_wrote_are_told(store: Store, now: datetime) -> None:
    store.statements.state(template("A"), DAILY, user="mia", now=now)
    with store._database.writing() as con:
        con.execute(update(template_rules).values(rules='{"again": 1}'))
    with pytest.raises(StateError, match=r"rules of the template id of A can't be read .* restore the database"):
        store.statements.newest(SHOP, "id of A")
