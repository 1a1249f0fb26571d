"""What people state of templates: versions that are only added, each with its audit entry."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, insert, select

from optinb.appboy import Template, TemplateRules
from optinb.appboy.statements import Statements
from optinb.appboy.template_rules import VendorCap, VendorQuietHours
from optinb.errors import CampaignError, StateError
from optinb.store.schema import audit_entries, template_rules

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


MINE = "where template_id = 'id of A' and version"
FORGED = {
    f"update template_rules set rules = '{{\"again_after_s\": 0}}' {MINE} = 1": "version 1 by 'mia' was changed",
    f"update template_rules set rules = '{{\"again_after_s\": 0}}' {MINE} = 2": "version 2 by 'ben' was changed",
    f"update template_rules set rules = '[' {MINE} = 2": "version 2 by 'ben' was changed",
    f"update template_rules set stated_by = 'ann' {MINE} = 2": "version 2 by 'ben' was changed",
    f"update template_rules set stated_at = '2020-01-01 00:00:00.000000' {MINE} = 1": "version 1 by 'mia' was changed",
    f"delete from template_rules {MINE} >= 2": "version 2 isn't there any more",
    f"delete from template_rules {MINE} >= 1": "version 1 isn't there any more",
    "insert into template_rules select app_group_id, template_id, 99, rules, 'eve', stated_at from template_rules "
    f"{MINE} = 1": "version 99 by 'eve' isn't in it",
}


def test_a_row_that_the_trail_does_not_bear_out_is_named_never_gone_by_and_mended_by_stating_anew(
    store: Store, now: datetime
) -> None:
    store.statements.state(template("A"), TemplateRules(again_after_s=86_400), user="mia", now=now)
    store.statements.state(template("A"), TemplateRules(again_after_s=None, max_users=9), user="ben", now=now)
    there = store.statements.state(template("B"), TemplateRules(again_after_s=0), user="mia", now=now)
    assert store.statements.all_unlike() == ()
    for speed, (forgery, what) in enumerate(FORGED.items(), start=1):
        with store._database.writing() as con:
            con.exec_driver_sql(forgery)
        remedy = "state it again with `optinb templates set A`"
        with pytest.raises(StateError, match=rf"rules of the template 'A' isn't what .*{what}.*{remedy}") as refused:
            store.statements.newest(SHOP, "id of A")
        assert store.statements.all_unlike() == (str(refused.value),)
        assert store.statements.newest(SHOP, "id of B") == there
        assert store.statements.all() == {(SHOP, "id of B"): there}, "nobody has stated the forged one"
        again = store.statements.state(template("A"), TemplateRules(messages_a_minute=speed), user="mia", now=now)
        assert again.rules == TemplateRules(again_after_s=None, max_users=9, messages_a_minute=speed), "by the trail"
        assert store.statements.newest(SHOP, "id of A") == again
        assert store.statements.all_unlike() == ()
        assert "instead_of" in store.audit.list(subject="A")[0].detail, "what had been written is kept"
    assert "instead_of" not in store.audit.list(subject="B")[0].detail


def test_a_statement_of_which_only_a_row_is_known_is_nobodys(store: Store, now: datetime) -> None:
    row = {"app_group_id": SHOP, "template_id": "id of A", "version": 1, "rules": "{}", "stated_by": "eve"}
    with store._database.writing() as con:
        con.execute(insert(template_rules).values(**row, stated_at=now))
    assert store.statements.all() == {}
    with pytest.raises(StateError, match=r"template 'id of A'.*version 1 by 'eve' isn't in it"):
        store.statements.newest(SHOP, "id of A")
    with pytest.raises(CampaignError, match="nothing is stated of the template 'A'"):
        store.statements.withdraw(template("A"), user="mia", now=now)
    stated = store.statements.state(template("A"), DAILY, user="mia", now=now)
    assert store.statements.newest(SHOP, "id of A") == stated
    assert store.statements.all_unlike() == ()


def test_a_statement_by_somebody_else_is_read_at_once_and_one_of_another_trail_is_not(
    store: Store, now: datetime
) -> None:
    store.statements.state(template("A"), DAILY, user="mia", now=now)
    other = Statements(store._database)
    assert other.newest(SHOP, "id of A") is not None
    store.statements.withdraw(template("A"), user="mia", now=now)
    assert other.newest(SHOP, "id of A") is None
    with store._database.writing() as con:  # as an older copy of the database
        con.execute(delete(template_rules))
        con.execute(delete(audit_entries))
    assert other.newest(SHOP, "id of A") is None
    store.audit.note(who="mia", action="a", subject="b", now=now)
    stated = store.statements.state(template("A"), TemplateRules(max_users=9), user="mia", now=now)
    assert other.newest(SHOP, "id of A") == stated
