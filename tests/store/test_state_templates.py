"""Templates in the store, kept in step with Appboy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import delete, update

from optinb.appboy import Message, Template
from optinb.errors import CampaignError
from optinb.store.schema import audit_entries, templates

if TYPE_CHECKING:
    from optinb.appboy import TemplateSync
    from optinb.delivery.journal import Store

SHOP = "11111111-2222-3333-4444-555555555555"


def template(name: str, *, id: str | None = None, alert: str = "Hi", problems: tuple[str, ...] = ()) -> Template:
    return Template(
        app_group_id=SHOP,
        id=id or f"id of {name}",
        name=name,
        platforms=("ios",),
        messages=(Message(platform="ios", title="Hello", alert=alert, extras={"deep": [1, {"x": None}]}),),
        usable=not problems,
        problems=problems,
        updated_at="2026-11-01T10:00:00+00:00",
        content_hash=alert,
        last_edited="2026-11-01T10:00:00+00:00",
    )


def happened(found: TemplateSync) -> list[tuple[str, str]]:
    return [(change.name, change.what) for change in found.changes]


def test_an_import_says_what_is_new_changed_and_gone(store: Store, now: datetime) -> None:
    draft = template("Draft", problems=("it is a draft",))
    first = store.templates.sync(SHOP, [template("A"), template("B"), draft], now=now)
    assert (first.usable, first.unusable) == (2, 1)
    assert happened(first) == [("A", "new"), ("B", "new"), ("Draft", "new")]
    renamed = replace(template("A", alert="Hi!"), name="A2")
    tomorrow = now + timedelta(days=1)
    second = store.templates.sync(SHOP, [renamed, draft], now=tomorrow)
    assert (second.usable, second.unusable) == (1, 1)
    assert happened(second) == [("A2", "renamed"), ("A2", "edited"), ("B", "vanished")]
    assert [news.change for news in store.templates.changes(since=tomorrow)] == list(second.changes)
    assert {news.app_group for news in store.templates.changes(since=now)} == {SHOP}
    assert len(store.templates.changes(since=now)) == 6
    assert store.templates.changes(since=tomorrow + timedelta(seconds=1)) == ()


def test_an_import_that_finds_nothing_new_is_no_change(store: Store, now: datetime) -> None:
    store.templates.sync(SHOP, [template("A")], now=now)
    opened = replace(template("A"), last_edited="2026-11-22T10:00:00+00:00")
    assert store.templates.sync(SHOP, [opened], now=now).changes == ()
    assert store.templates.get(SHOP, "A").last_edited == "2026-11-22T10:00:00+00:00"
    assert len(store.audit.list()) == 1


def test_a_vanished_template_stays_unusable_until_it_comes_back(store: Store, now: datetime) -> None:
    store.templates.sync(SHOP, [template("A")], now=now)
    for _night in range(2):
        store.templates.sync(SHOP, [], now=now)
        gone = store.templates.get(SHOP, "A")
        assert (gone.usable, gone.problems, gone.last_edited) == (False, ("no longer in Appboy",), None)
    assert happened(store.templates.sync(SHOP, [template("A")], now=now)) == [("A", "returned")]
    assert store.templates.get(SHOP, "A") == template("A")


def test_templates_are_listed_by_app_group(store: Store, now: datetime) -> None:
    store.templates.sync(SHOP, [template("B"), template("A")], now=now)
    store.templates.sync("club", [replace(template("C"), app_group_id="club")], now=now)
    assert [t.name for t in store.templates.list(SHOP)] == ["A", "B"]
    assert [t.name for t in store.templates.list()] == ["A", "B", "C"]
    with pytest.raises(CampaignError, match="template 'C' isn't known in this app group"):
        store.templates.get(SHOP, "C")


def test_a_template_is_found_by_id_or_name(store: Store, now: datetime) -> None:
    a = template("A", id="one")
    store.templates.sync(SHOP, [a, template("B", id="A")], now=now)
    assert store.templates.get(SHOP, "one") == a
    assert store.templates.get(SHOP, "A").name == "B"


def test_a_name_that_several_usable_templates_share_is_ambiguous(store: Store, now: datetime) -> None:
    store.templates.sync(SHOP, [template("A", id="one"), template("A", id="two")], now=now)
    with pytest.raises(CampaignError, match=r"2 templates are named 'A' \(one, two\); name it by its id"):
        store.templates.get(SHOP, "A")
    store.templates.sync(SHOP, [template("A", id="one"), template("A", id="two", problems=("archived",))], now=now)
    assert store.templates.get(SHOP, "A").id == "one"


def test_an_unknown_template_names_the_nearest_usable_one(store: Store, now: datetime) -> None:
    with pytest.raises(CampaignError, match="import them with `optinb templates sync`"):
        store.templates.get(SHOP, "Summer_Sale")
    store.templates.sync(SHOP, [template("SummerSale"), template("Summer_Sal", problems=("draft",))], now=now)
    with pytest.raises(CampaignError, match="did you mean 'SummerSale'"):
        store.templates.get(SHOP, "Summer_Sale")


def test_what_was_written_by_hand_is_not_what_was_imported(store: Store, now: datetime) -> None:
    def forged(**columns: object) -> None:
        with store._database.writing() as con:
            con.execute(update(templates).where(templates.c.name == "A").values(**columns))

    def told(name: str) -> str | None:
        return store.templates.why_unlike_imported(store.templates.get(SHOP, name))

    a, b = template("A"), template("B")
    store.templates.sync(SHOP, [a, b], now=now)
    assert store.templates.imported(SHOP) == {t.id: t for t in (a, b)}
    edited = replace(a, last_edited="2026-11-22T10:00:00+00:00")
    store.templates.sync(SHOP, [edited, b], now=now)
    assert (told("A"), told("B")) == (None, None)
    other = replace(a, messages=(replace(a.messages[0], alert="Harmless"),))
    for body in (other, replace(a, content_hash="another"), replace(a, problems=("x",), usable=False)):
        forged(body=msgspec.json.encode(body, order="sorted").decode())
        assert "isn't what its last import from Appboy brought" in (told("A") or "")
        assert "templates sync" in (told("A") or "")
        assert (told("B"), list(store.templates.imported(SHOP))) == (None, [b.id])
        store.templates.sync(SHOP, [a, b], now=now)
        assert told("A") is None
    forged(id="id of C", body=msgspec.json.encode(replace(a, id="id of C"), order="sorted").decode())
    assert store.templates.why_unlike_imported(replace(a, id="id of C")) is not None
    unknown = replace(template("D"), app_group_id="imported by an earlier release")
    assert store.templates.why_unlike_imported(unknown) is None


def test_what_had_vanished_before_the_first_import_that_seals_counts_as_imported(store: Store, now: datetime) -> None:
    store.templates.sync(SHOP, [template("A"), template("B")], now=now)
    store.templates.sync(SHOP, [template("A")], now=now)
    with store._database.writing() as con:
        con.execute(delete(audit_entries))
    store.templates.sync(SHOP, [template("A")], now=now)
    assert store.templates.why_unlike_imported(store.templates.get(SHOP, "B")) is None
