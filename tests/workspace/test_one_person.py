"""One person under two ids has one history: nights against the sandbox in which customers get new ids."""

from __future__ import annotations

import json
import urllib.request
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner
from stated_templates import state_any_time

from optinb import attr, in_list, open_workspace, received, responded, was_in_control
from optinb.base.settings import parse_settings
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import StateError, UsageError
from optinb.night import Night
from optinb.sandbox.screened import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from optinb.measure import CampaignSummary, NightSummary
    from optinb.rules import Rule
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

FIRST = RUN_DATE
GERMANS = attr("country") == "DE"
CAP = "\n[[policy.caps]]\nmessages = 1\ndays = 7\n"
ONCE: dict[str, Any] = {
    "name": "Once",
    "channel": "Appboy Push",
    "app_group": "Shop",
    "template": "Optimove_SummerSale_iOS",
    "group": "Germans",
    "schedule": {"every": "day", "at": "18:30"},
    "properties": {"first_name": {"value": "you"}, "promo_code": {"value": "X"}},
}
SHOP = {f"{n}": f"e{n}" for n in range(1, 7)}  # external user ids by customer id
# 1 and 2 have new ids, 3 has a new id and another external one, 4 and 5 have swapped theirs, 7 is new, 6 is as before.
MOVED = {"m1": "e1", "m2": "e2", "n3": "f3", "4": "e5", "5": "e4", "6": "e6", "7": "e7"}


class Shop:
    """A workspace whose customers the test delivers, night by night, and what Appboy was asked to send."""

    def __init__(self, root: Path, sandbox: Sandbox, patch: pytest.MonkeyPatch, *, more: str) -> None:
        self.root, self._sandbox, self._patch, self._seen = root, sandbox, patch, 0
        (root / "inbox").mkdir(parents=True)
        (root / "optinb.toml").write_text(demo_settings(sandbox.url) + more, encoding="utf-8")

    def open(self, user: str = AUTHOR) -> Workspace:
        return open_workspace(self.root, user=user)

    def deliver(
        self,
        day: date,
        customers: Mapping[str, str],
        *,
        ids: Iterable[tuple[str, str]] = (),
        out: Iterable[str] = (),
    ) -> None:
        folder, out = self.root / "inbox" / day.isoformat(), set(out)
        folder.mkdir()
        rows = [f"{i},2026-01-05,DE,{e},{i not in out}\n" for i, e in customers.items()]
        (folder / "customers.csv").write_text(
            "customer_id,registered_at,country,external_user_id,push_opt_in\n" + "".join(rows)
        )
        uses = [f"{i},shop-ios,true,3.9.0\n" for i in customers]
        (folder / "app_users.csv").write_text("customer_id,app_id,push_enabled,app_version\n" + "".join(uses))
        pairs = "".join(f"{old},{new}\n" for old, new in ids)
        if pairs:
            (folder / "customer_ids.csv").write_text("old,new\n" + pairs)

    def plan(self, rule: Rule = GERMANS, **fields: Any) -> None:
        """Submits and approves a campaign on the data of the first night."""
        with self.open() as ws:
            if ws.warehouse.current is None:
                ws.import_delivery(FIRST)
                ws.model(FIRST)
                ws.templates.sync()
                state_any_time(ws)
            ws.groups.save("Germans", GERMANS)
            ws.campaigns.submit({**ONCE, **fields})
            ws.groups.save("Germans", rule)
            ws.campaigns.submit({**ONCE, **fields})
        with self.open(APPROVER) as boss:
            boss.campaigns.approve(fields.get("name", "Once"), seen=boss.campaigns.preview(fields.get("name", "Once")))

    def night(self, day: date) -> NightSummary:
        """A whole night, at two o'clock of its day."""
        now = datetime.combine(day, time(2), tzinfo=parse_settings(demo_settings("http://127.0.0.1:1")).zone)
        self._patch.setenv("OPTINB_NOW", now.isoformat())
        if day > FIRST:
            request = urllib.request.Request(
                self._sandbox.url + "/sandbox/clock",
                data=json.dumps({"to": now.isoformat()}).encode(),
                headers={"Content-Type": "application/json", HEADER: "1"},
            )
            urllib.request.urlopen(request).close()
        night = Night(self.open(SCHEDULER), day)
        try:
            for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends):
                step()
            return night.report()
        finally:
            night.close()

    def sent(self) -> list[str]:
        """The external user ids that were written to since it was asked last."""
        journal = self.root.parent / "sandbox.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        users = [r["external_user_id"] for line in lines for r in json.loads(line).get("recipients") or []]
        new, self._seen = sorted(users[self._seen :]), len(users)
        return new


@pytest.fixture
def shop(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path / "ws", sandbox, monkeypatch, more=CAP)


@pytest.fixture
def uncapped(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path / "ws", sandbox, monkeypatch, more="")


def of(summary: NightSummary, name: str = "Once") -> CampaignSummary:
    return next(campaign for campaign in summary.campaigns if campaign.name == name)


def after(nights: int) -> date:
    return FIRST + timedelta(days=nights)


def test_whoever_has_another_id_tonight_is_held_back_by_the_cap_and_nobody_else_is(shop: Shop) -> None:
    shop.deliver(FIRST, SHOP)
    shop.plan()
    assert of(shop.night(FIRST)).recipients == 6
    assert shop.sent() == sorted(SHOP.values())
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    second = of(shop.night(after(1)))
    assert (second.held, second.excluded) == (None, {"frequency_cap": 6})
    assert shop.sent() == ["e7"]


def test_a_chain_of_ids_over_two_nights_leads_back_to_the_first_message(shop: Shop) -> None:
    shop.deliver(FIRST, SHOP)
    shop.plan()
    shop.night(FIRST)
    shop.sent()
    shop.deliver(after(1), {"a": "f1", **{i: e for i, e in SHOP.items() if i != "1"}}, ids=[("1", "a")])
    shop.deliver(after(2), {"b": "f1", "new": "e9", **{i: e for i, e in SHOP.items() if i != "1"}})
    shop.night(after(1))
    assert shop.sent() == []
    shop.night(after(2))
    assert shop.sent() == ["e9"]


def test_rules_know_what_the_person_got_under_another_id(uncapped: Shop) -> None:
    shop = uncapped
    shop.deliver(FIRST, SHOP)
    shop.plan(GERMANS & ~received("Once").within(days=30))
    shop.night(FIRST)
    assert shop.sent() == sorted(SHOP.values())
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    assert of(shop.night(after(1))).recipients == 1
    assert shop.sent() == ["e7"]
    with shop.open() as ws:
        got = ws.members(received("Once"), engine="polars")["customer_id"].to_list()
        assert got == ["4", "5", "6", "7", "m1", "m2", "n3"]
        assert ws.members(received("Once"), engine="duckdb")["customer_id"].to_list() == got
        twice = received("Once").at_least(2)
        assert ws.why_member("n3", received("Once")).is_member and not ws.why_member("n3", twice).is_member


def test_a_purchase_under_either_id_is_a_response_of_the_person(uncapped: Shop) -> None:
    shop = uncapped
    shop.deliver(FIRST, SHOP)
    shop.plan()
    shop.night(FIRST)
    shop.deliver(after(1), SHOP)
    head = "transaction_id,customer_id,occurred_at,amount\n"
    at = f"{FIRST}T20:00:00"
    (shop.root / "inbox" / after(1).isoformat() / "transactions.csv").write_text(f"{head}t1,3,{at},5\nt2,6,{at},5\n")
    shop.night(after(1))
    shop.deliver(after(2), MOVED, ids=[("3", "n3")])
    shop.night(after(2))
    with shop.open() as ws:
        for engine in ("polars", "duckdb"):
            assert ws.members(responded("Once", days=1), engine=engine)["customer_id"].to_list() == ["6", "n3"]
        assert ws.why_member("n3", responded("Once", days=1)).is_member
        assert not ws.why_member("m1", responded("Once", days=1)).is_member


def test_whoever_stands_on_a_list_stands_on_it_under_a_new_id_too(uncapped: Shop) -> None:
    shop = uncapped
    shop.deliver(FIRST, SHOP)
    with shop.open() as ws:
        ws.import_delivery(FIRST)
        ws.lists.save("Never write to", ["3", "1", "6"])
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    with shop.open() as ws:
        ws.import_delivery(after(1))
        rule = in_list("Never write to")
        assert ws.members(rule)["customer_id"].to_list() == ["6", "m1", "n3"]
        assert ws.members(~rule)["customer_id"].to_list() == ["4", "5", "7", "m2"]
        assert ws.why_member("n3", rule).is_member and not ws.why_member("m2", rule).is_member


def test_an_exclusion_period_is_the_persons_and_not_the_ids(uncapped: Shop) -> None:
    shop = uncapped
    shop.deliver(FIRST, SHOP)
    shop.plan(exclusion_days=7, schedule={"date": FIRST.isoformat(), "at": "18:30"})
    shop.night(FIRST)
    shop.sent()
    shop.plan(name="Other", schedule={"date": after(1).isoformat(), "at": "18:30"})
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    assert of(shop.night(after(1)), "Other").excluded == {"exclusion_period": 6}
    assert shop.sent() == ["e7"]


def test_control_and_recipients_keep_their_part_under_new_ids(uncapped: Shop) -> None:
    shop, many = uncapped, {f"{n:03}": f"e{n}" for n in range(60)}
    shop.deliver(FIRST, many)
    shop.plan(control=0.5, measurement_days=1)
    shop.night(FIRST)
    first = shop.sent()
    assert 10 < len(first) < 50
    # half of them inherit by the external user id, the other half by the delivered ids
    later = {f"x{i}": e if n % 2 else f"f{e}" for n, (i, e) in enumerate(many.items())}
    shop.deliver(after(3), later, ids=[(i, f"x{i}") for n, i in enumerate(many) if not n % 2])
    shop.night(after(3))
    assert sorted(e.removeprefix("f") for e in shop.sent()) == first
    with shop.open() as ws:
        told = ws.members(was_in_control("Once"))["external_user_id"].to_list()
        assert sorted(e.removeprefix("f") for e in told) == sorted(set(many.values()) - set(first))


def test_when_a_control_and_a_recipient_turn_out_to_be_one_person_control_wins(uncapped: Shop) -> None:
    shop, many = uncapped, {f"{n:03}": f"e{n}" for n in range(40)}
    shop.deliver(FIRST, many)
    shop.plan(control=0.5, measurement_days=1)
    shop.night(FIRST)
    first = set(shop.sent())
    got, held = ([i for i, e in many.items() if (e in first) == wanted] for wanted in (True, False))
    pairs = [(held[0], got[0]), (got[1], held[1]), (got[2], got[3]), (held[2], held[3])]
    gone = {old for old, _ in pairs}
    shop.deliver(after(3), {i: e for i, e in many.items() if i not in gone}, ids=pairs)
    summary = shop.night(after(3))
    stay = set(got) - gone - {got[0]}
    assert shop.sent() == sorted(many[i] for i in stay)
    assert any("2 customers who were merged stay in its control" in warning for warning in summary.warnings)


def test_only_the_newer_id_of_a_person_who_is_there_twice_gets_the_message(shop: Shop) -> None:
    shop.deliver(FIRST, {"a": "ea", "b": "eb", "c": "ec", "d": "ed", "e": "ee"}, ids=[("b", "a"), ("c", "d")], out="c")
    shop.plan()
    assert of(shop.night(FIRST)).excluded == {"opted_out": 2, "same_external_id": 1}
    assert shop.sent() == ["ea", "ee"]


def test_why_and_the_card_tell_under_the_new_id_what_the_old_one_got(shop: Shop, tmp_path: Path) -> None:
    codes = tmp_path / "codes.txt"
    codes.write_text("".join(f"CODE{n}\n" for n in range(20)))
    shop.deliver(FIRST, SHOP)
    with shop.open() as ws:
        ws.codes.add("Pool", codes)
    shop.plan(
        offer={"name": "Ten", "kind": "discount", "codes": "Pool"},
        properties={"first_name": {"value": "you"}, "promo_code": {"offer": "code"}},
    )
    shop.night(FIRST)
    with shop.open() as ws:
        before = ws.why("3").answers[0]
        left = ws.store.codes.get("Pool").left
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    shop.night(after(1))
    with shop.open() as ws:
        answer = ws.why("n3", run_date=FIRST).answers[0]
        assert (answer.outcome, answer.code) == ("recipient", before.code) and answer.code
        assert "as customer '3'" in answer.why
        assert ws.why("n3").answers[0].outcome == "excluded"
        assert [m.answer.outcome for m in ws.customer("m1").messages] == ["excluded", "recipient"]
        assert ws.why("7", run_date=FIRST).answers[0].outcome == "not in the group"
        assert left - ws.store.codes.get("Pool").left == 1, "only the customer who is new got a code"


def test_an_audience_that_was_changed_holds_whatever_the_policy_would_have_to_judge(shop: Shop) -> None:
    shop.deliver(FIRST, SHOP)
    shop.plan()
    shop.night(FIRST)
    shop.sent()
    (path,) = (shop.root / "audiences" / FIRST.isoformat()).glob("*.parquet")
    pl.read_parquet(path).filter(pl.col("customer_id") != "1").write_parquet(path)
    shop.deliver(after(1), SHOP)
    told = of(shop.night(after(1))).held or ""
    assert "was changed since it was sealed, so that nobody knows whom 'Once' reached" in told
    assert "restore it from a copy" in told
    assert shop.sent() == []
    with shop.open() as ws, pytest.raises(StateError, match="was changed since it was sealed"):
        ws.why("1", run_date=FIRST)


def test_a_person_who_was_forgotten_gets_nothing_under_a_new_id_and_leaves_no_trace(uncapped: Shop) -> None:
    shop = uncapped
    shop.deliver(FIRST, SHOP)
    shop.plan()
    shop.night(FIRST)
    shop.deliver(after(1), MOVED, ids=[("3", "n3")])
    shop.night(after(1))
    shop.sent()
    with shop.open() as ws:
        asked = CliRunner().invoke(main, ["forget", "n3", "-w", str(ws.root)], input="n\n")
        assert asked.exit_code == 1 and "Remove customer n3, who is known as 3 too, from" in asked.output
        done = ws.forget("n3", by="ticket 7")
        assert done.audiences == 2, "the night under the old id and the one under the new"
        with pytest.raises(UsageError, match="was forgotten"):
            ws.why("3", run_date=FIRST)
        assert ws.why("1", run_date=FIRST).answers[0].outcome == "recipient"
    for path in (shop.root / "audiences").rglob("*.parquet"):
        rows = pl.read_parquet(path)
        assert not {"3", "n3"} & set(rows["customer_id"]) and not {"e3", "f3"} & set(rows["external_user_id"])
    others = {i: e for i, e in MOVED.items() if i != "n3"}
    shop.deliver(after(2), {"q": "f3", **others})
    shop.night(after(2))
    assert shop.sent() == sorted(others.values())
