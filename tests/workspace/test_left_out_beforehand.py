"""Nights against a sandbox that filters behind a success: whom it would filter is left out, and all others get it."""

from __future__ import annotations

import json
import urllib.request
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from optinb import attr, open_workspace, show
from optinb.appboy import TemplateRules
from optinb.appboy.template_rules import VendorCap
from optinb.base.settings import parse_settings
from optinb.demo import APPROVER, AUTHOR, KEYS, RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import StateError, UsageError
from optinb.night import Night
from optinb.sandbox import FrequencyCap, GlobalControl, Members, Sandbox, User, demo_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.measure import CampaignSummary, NightSummary
    from optinb.workspace import Workspace

ONE, TWO, THREE = (RUN_DATE + timedelta(days=n) for n in range(3))
ZONE = parse_settings(demo_settings("http://127.0.0.1:1")).zone
SALE, BACK = "Optimove_SummerSale_iOS", "Optimove_WinBack_iOS"
FIRST = {f"{n:02}": f"e{n:02}" for n in range(40)}
LATER = {f"{n:02}": f"e{n:02}" for n in range(40, 50)}
MEMBERS = {f"e{n:02}" for n in (*range(0, 40, 8), 44)}
CAPS = (VendorCap(1, "day"),)
PLAN: dict[str, Any] = {
    "channel": "Appboy Push",
    "app_group": "Shop",
    "template": SALE,
    "group": "Germans",
    "properties": {"first_name": {"value": "you"}, "promo_code": {"value": "X"}},
}
WORDS = {"offer": {"name": "Sale", "kind": "discount", "value": "20", "codes": "Words"}}


class Shop:
    """A workspace on a sandbox whose dashboard keeps a control group, a cap, and one template for once."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        world = demo_world()
        group = world.group("Shop")
        world.put(
            replace(
                group,
                users={user: User() for user in (FIRST | LATER).values()},
                global_control=GlobalControl(Members(frozenset(MEMBERS))),
                caps=(FrequencyCap(1, "day"),),
                campaigns=tuple(replace(c, re_eligible_after_s=0) if c.name == BACK else c for c in group.campaigns),
            )
        )
        self.root, self._patch = root, patch
        self.ids: dict[str, str] = {campaign.name: campaign.id for campaign in group.campaigns}
        self.at(ONE)
        self.sandbox: Sandbox = Sandbox(world, now=datetime.combine(ONE, time(2), tzinfo=ZONE))

    def at(self, day: date, hour: int = 2) -> datetime:
        now = datetime.combine(day, time(hour), tzinfo=ZONE)
        self._patch.setenv("OPTINB_NOW", now.isoformat())
        return now

    def move(self, now: datetime) -> None:
        """Has the sandbox's clock go on to a moment, unless it is further already."""
        if self.sandbox.clock.now() < now:
            self.sandbox.move_clock(to=now)

    def open(self, user: str = AUTHOR) -> Workspace:
        return open_workspace(self.root, user=user)

    def deliver(self, day: date, customers: dict[str, str]) -> None:
        folder = self.root / "inbox" / day.isoformat()
        folder.mkdir(parents=True)
        head = "customer_id,registered_at,country,external_user_id,push_opt_in\n"
        (folder / "customers.csv").write_text(
            head + "".join(f"{i},2026-01-05,DE,{e},true\n" for i, e in customers.items())
        )
        uses = "".join(f"{i},shop-ios,true,3.9.0\n" for i in customers)
        (folder / "app_users.csv").write_text("customer_id,app_id,push_enabled,app_version\n" + uses)

    def plan(self, name: str, **fields: Any) -> None:
        with self.open() as ws:
            ws.campaigns.submit({"name": name, **PLAN, **fields})
        with self.open(APPROVER) as boss:
            boss.campaigns.approve(name, seen=boss.campaigns.preview(name))

    def night(self, day: date, *, dry_run: bool = False) -> NightSummary:
        """A night at two o'clock of its day; a real one has another list uploaded between freezing and sending."""
        self.move(self.at(day))
        night = Night(self.open(SCHEDULER), day, dry_run=dry_run)
        try:
            for step in (night.import_delivery, night.templates, night.audiences):
                step()
            if not dry_run:
                with self.open() as ws:
                    ws.vendor_control.save("Shop", [*MEMBERS, "e11"])
            night.sends()
            if not dry_run:
                self.upload()
            return night.report()
        finally:
            night.close()

    def upload(self) -> None:
        """Uploads what the sandbox exports of its control group."""
        file = self.root / "members.csv"
        with urllib.request.urlopen(self.sandbox.url + "/sandbox/global_control.csv?app_group=Shop") as answer:
            file.write_bytes(answer.read())
        with self.open() as ws:
            ws.vendor_control.save("Shop", file)

    def fates(self, template: str) -> list[tuple[str, str, tuple[str, ...]]]:
        """User, state and rules of all who were named for a template."""
        with urllib.request.urlopen(f"{self.sandbox.url}/sandbox/fates?campaign_id={self.ids[template]}") as answer:
            found = json.load(answer)["fates"]
        return [(one["external_user_id"], one["state"], tuple(one["rules"])) for one in found]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Three nights: a sale on the once-only template each night, and a daily message on another one after it."""
    root = tmp_path_factory.mktemp("left-out") / "ws"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        shop = Shop(root, patch)
        with shop.sandbox:
            (root / "inbox").mkdir(parents=True)
            (root / "optinb.toml").write_text(demo_settings(shop.sandbox.url), encoding="utf-8")
            shop.deliver(ONE, FIRST)
            with shop.open() as ws:
                ws.import_delivery(ONE)
                ws.model(ONE)
                ws.templates.sync()
                ws.templates.set_rules("Shop", SALE, TemplateRules(again_after_s=None, caps=CAPS))
                ws.templates.set_rules("Shop", BACK, TemplateRules(again_after_s=0, caps=CAPS))
                ws.groups.save("Germans", attr("country") == "DE")
            yield shop


def of(summary: NightSummary, name: str) -> CampaignSummary:
    return next(campaign for campaign in summary.campaigns if campaign.name == name)


def test_whom_appboy_would_filter_is_left_out_for_three_nights_and_whoever_may_gets_it(
    shop: Shop, tmp_path: Path
) -> None:
    with shop.open() as ws:
        preview = ws.campaigns.preview({"name": "One", **PLAN, "schedule": {"at": "18:30", "date": str(ONE)}})
        assert any("no list of Appboy's Global Control Group is uploaded for Shop" in n for n in preview.notes)
        assert "note: no list of Appboy's" in show.text(preview) and "No list of Appboy&#39;s" in show.html(preview)
        assert preview.waterfall.recipients == 40
    shop.upload()
    for n, day in enumerate((ONE, TWO, THREE)):
        shop.plan(f"Sale {n}", schedule={"at": "18:30", "date": str(day)}, control=0.25 if n == 0 else 0.0)
    shop.plan("Daily", template=BACK, schedule={"at": "19:00", "every": "day"}, priority=10, control=0.0)

    first = shop.night(ONE)
    sale, daily = of(first, "Sale 0"), of(first, "Daily")
    assert (sale.held, sale.excluded) == (None, {"vendor_control": 5})
    assert sale.recipients + sale.control == 35 and 0 < sale.control < 35
    # the daily one comes after, and the cap is full with those who get the sale
    assert daily.excluded == {"vendor_control": 5, "vendor_cap": sale.recipients}
    assert daily.recipients == sale.control

    # on the second night a campaign that recurs would leave out exactly those of the first
    shop.deliver(TWO, FIRST | LATER)
    shop.at(TWO)
    rehearsed = of(shop.night(TWO, dry_run=True), "Sale 1")
    with shop.open() as ws:
        again = ws.campaigns.preview({"name": "Again", **PLAN, "schedule": {"at": "18:30", "every": "day"}})
        assert again.waterfall.excluded == {"had_template": sale.recipients, "vendor_control": 6}
        (tmp_path / "codes.txt").write_text("\n".join(f"W{n}" for n in range(sale.control + 9)))
        ws.codes.add("Words", tmp_path / "codes.txt", header=False)
    with_codes = {**PLAN["properties"], "promo_code": {"offer": "code"}}
    shop.plan("Sale 1", schedule={"at": "18:30", "date": str(TWO)}, properties=with_codes, **WORDS)
    second = shop.night(TWO)
    sale_1, daily_1 = of(second, "Sale 1"), of(second, "Daily")
    assert (sale_1.held, sale_1.excluded) == (None, {"had_template": sale.recipients, "vendor_control": 6})
    assert sale_1.recipients == sale.control + 9 == rehearsed.recipients
    # the pool has a code for everybody who gets one and for nobody else
    with shop.open() as ws:
        assert ws.codes.get("Words").left == 0
        got = next(user for user, state, _ in shop.fates(SALE) if state != "scheduled")
        answers = {a.campaign: a.why for a in ws.answers.why(got.removeprefix("e")).answers}
        assert "had the template before" in answers["Sale 1"]
    assert daily_1.excluded == {"vendor_control": 6, "vendor_cap": sale.control + 9}
    assert daily_1.recipients == sale.recipients

    third = shop.night(THREE)
    assert of(third, "Sale 2").recipients == 0
    assert of(third, "Sale 2").excluded == {"had_template": 44, "vendor_control": 6}
    assert of(third, "Daily").recipients == 44

    shop.move(shop.at(THREE, 23))
    fates = [*shop.fates(SALE), *shop.fates(BACK)]
    assert {(state, rules) for _, state, rules in fates} == {("delivered", ())}
    assert sorted(user for user, *_ in shop.fates(SALE)) == sorted({*FIRST.values(), *LATER.values()} - MEMBERS)


def test_a_list_that_was_changed_holds_the_campaigns_of_its_app_group_until_it_is_uploaded_again(shop: Shop) -> None:
    shop.move(shop.at(THREE, 23))
    with shop.open() as ws:
        ws.vendor_control.save("Shop", MEMBERS)
        with pytest.raises(UsageError, match="2 would be customer ids; Appboy's group has external user ids"):
            ws.vendor_control.save("Shop", ["00", "01"])
        daily = {"name": "Other", **PLAN, "template": BACK, "schedule": {"at": "10:00", "every": "day"}}
        assert ws.campaigns.preview(daily).waterfall.excluded["vendor_control"] == 6
        (file,) = (shop.root / "lists" / "vendor_control").glob("*.parquet")
        file.write_bytes(b"nobody")
        with pytest.raises(StateError, match="upload the list again"):
            ws.campaigns.preview(daily)
        verdict = next(v for v in ws._doctor._control(ws.settings.app_group("Shop")))
        assert verdict.standing == "bad" and "upload the list again" in verdict.text
    day = THREE + timedelta(days=1)
    shop.move(shop.at(day))
    shop.deliver(day, FIRST | LATER)
    night = Night(shop.open(SCHEDULER), day)
    try:
        for step in (night.import_delivery, night.templates, night.audiences, night.sends):
            step()
        held = of(night.report(), "Daily")
    finally:
        night.close()
    assert held.held is not None and "upload the list again" in held.held and held.recipients == 0
    shop.upload()
    assert of(shop.night(day), "Daily").recipients == 44
