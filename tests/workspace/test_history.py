"""Time travel, history and reach by night, on a workspace that lives through a week."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import optinb
from optinb import attr, did
from optinb.base.workspace_folder import init_workspace
from optinb.errors import DeliveryError, GateError, UsageError, WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optinb.workspace import Workspace

FIRST = date(2026, 11, 20)
SETTINGS = """
[workspace]
time_zone = "Europe/Berlin"
identity = "asserted"
keep_versions = {keep}
[import]
max_shrink = 0.5
[[app_groups]]
id = "11111111-2222-3333-4444-555555555555"
name = "Shop"
api = "http://127.0.0.1:1"
key = "env:OPTINB_SHOP_KEY"
  [[app_groups.apps]]
  id = "shop-ios"
  name = "Shop for iPhone"
  platform = "ios"
  sdk_from_version = "3.10.0"
  [[app_groups.apps]]
  id = "shop-android"
  name = "Shop for Android"
  platform = "android"
"""


def night(root: Path, day: date, customers: list[str], app_users: list[str], orders: list[str] | None = None) -> None:
    """A delivery: customers as `id,country,tier`, app users as `id,app,push,version`, orders as `id,customer,day`."""
    folder = root / "inbox" / f"{day}"
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "customers": (
            "customer_id,registered_at,country,tier",
            [",2026-01-05,".join(r.split(",", 1)) for r in customers],
        ),
        "app_users": ("customer_id,app_id,push_enabled,app_version", app_users),
        "transactions": ("transaction_id,customer_id,occurred_at,amount", [f"{order},10" for order in orders or []]),
    }
    for name, (head, rows) in tables.items():
        (folder / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workspace]:
    """Opens the workspace as it is at three in the morning of a day."""
    root = tmp_path / "ws"

    def at(day: date, *, keep: int = 20, user: str = "ann", change: tuple[str, str] = ("", "")) -> Workspace:
        if not root.exists():
            init_workspace(root, settings=SETTINGS.format(keep=keep))
        file = root / "optinb.toml"
        file.write_text(file.read_text().replace(*change) if change[0] else file.read_text())
        monkeypatch.setenv("OPTINB_NOW", f"{day}T03:00:00+01:00")
        return optinb.open_workspace(root, user=user)

    return at


def live(opened: Callable[..., Workspace], **options: Any) -> Workspace:
    """Four nights: a and b; c comes and b moves; nothing is delivered; a leaves and the iPhone app is rolled out."""
    nights = [
        (0, ["a,DE,gold", "b,FR,"], ["a,shop-ios,true,3.9.0", "b,shop-android,false,1.0"], ["t1,a,2026-11-19"]),
        (1, ["a,DE,gold", "b,IT,", "c,DE,silver"], ["a,shop-ios,,3.10", "c,shop-ios,true,3.9"], ["t2,b,2026-11-20"]),
        (3, ["b,IT,gold", "c,DE,silver"], ["c,shop-ios,true,4.0", "c,shop-android,true,"], []),
    ]  # fmt: skip
    for offset, customers, app_users, orders in nights:
        day = FIRST + timedelta(days=offset)
        with opened(day, **options) as ws:
            night(ws.root, day, customers, app_users, orders)
            ws.import_delivery(day)
            ws.model(day)
    return opened(FIRST + timedelta(days=3), **options)


def test_a_past_night_is_read_with_the_rules_of_today(opened: Callable[..., Workspace]) -> None:
    with live(opened) as ws:
        ws.groups.save("Germans", attr("country") == "DE")
        assert [ws.as_of(FIRST + timedelta(days=n)).groups.count("Germans").customers for n in range(4)] == [1, 2, 2, 1]
        with ws.as_of("2026-11-20") as past:
            assert past.customers().collect()["customer_id"].sort().to_list() == ["a", "b"]
            assert past.members(attr("country") == "FR")["customer_id"].to_list() == ["b"]
            assert past.members(did("purchase").at_least(1))["customer_id"].to_list() == ["a"]
            shown = past.preview("Germans", app_group="Shop")
            assert (shown.customers, shown.total, shown.run_date) == (1, 2, FIRST)
            assert shown.reach.reachable == 0
            assert past.tables().run_date == FIRST and past.snapshot().model_date == FIRST
            assert past.reach()["users"].to_list() == [2, 1, 1]
            with pytest.raises(UsageError, match=r"the past can't be changed; save .* ws\.groups\.save"):
                past.groups.save("Others", attr("country") != "DE")
        # The present isn't touched by a look at the past.
        assert ws.groups.count("Germans").customers == 1 and ws.customers().collect().height == 2


def test_a_night_that_is_no_longer_kept_says_what_is_and_where_else_to_ask(opened: Callable[..., Workspace]) -> None:
    with live(opened, keep=1) as ws:
        with pytest.raises(WarehouseError, match=r"no version of 2026-11-20 .* 2026-11-23.*keep_versions") as said:
            ws.as_of("2026-11-20")
        assert 'ws.customers_on("2026-11-20")' in str(said.value)
        assert ws.customers_on("2026-11-20").collect().height == 2
        with pytest.raises(UsageError, match="lies ahead; today is 2026-11-23"):
            ws.as_of("2026-11-24")
        with pytest.raises(UsageError, match='write it as "2026-11-20"'):
            ws.as_of("20 November")


def test_yesterdays_attributes_of_everybody_stay_answerable(opened: Callable[..., Workspace]) -> None:
    with live(opened, keep=1) as ws:
        country = ws.history("country")
        assert country.columns == ["day", "country", "customers"]
        assert [(str(day)[-2:], *rest) for day, *rest in country.iter_rows()] == [
            ("20", "DE", 1), ("20", "FR", 1),
            ("21", "DE", 2), ("21", "IT", 1),
            ("23", "DE", 1), ("23", "IT", 1),
        ]  # fmt: skip
        tiers = ws.history("tier", since="2026-11-21", until="2026-11-21")
        assert dict(tiers.select("tier", "customers").iter_rows()) == {None: 1, "gold": 1, "silver": 1}
        stages = ws.history("stage")
        assert stages["day"].unique().sort().to_list() == [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=3)]
        assert stages["customers"].sum() == 2 + 3 + 2
        b = [ws.customer_on("b", FIRST + timedelta(days=n)) for n in range(4)]
        assert [then.attributes["country"] for then in b] == ["FR", "IT", "IT", "IT"]
        assert [then.attributes["stage"] for then in b] == ["dormant", "new", "new", "new"]
        assert [then.attributes["tier"] for then in b] == [None, None, None, "gold"]
        assert [(then.delivery.day, then.modelled.day if then.modelled else 0) for then in b] == [
            (20, 20), (21, 21), (21, 21), (23, 23),
        ]  # fmt: skip
        assert [ws.customer_on("a", FIRST + timedelta(days=n)).is_customer for n in (0, 3)] == [True, False]
        assert [ws.customer_on("c", FIRST + timedelta(days=n)).is_customer for n in (0, 3)] == [False, True]


def test_questions_that_history_cannot_answer_say_why(opened: Callable[..., Workspace]) -> None:
    with live(opened) as ws:
        for name, complaint in (
            ("contry", "did you mean 'country'"),
            ("customer_id", "no history is kept of 'customer_id'"),
            ("future_value", "'future_value' is a measure"),
            ("registered_at", "'registered_at' is a measure"),
        ):
            with pytest.raises(UsageError, match=complaint):
                ws.history(name)
        with pytest.raises(UsageError, match="nothing is known of 2026-11-19: the first delivery is of 2026-11-20"):
            ws.customer_on("a", "2026-11-19")
        assert (
            ws.history("country", since="2027-01-01").is_empty() and ws.history("stage", until="2020-01-01").is_empty()
        )


def test_history_goes_through_attributes_that_come_go_return_and_change_by_correction(
    opened: Callable[..., Workspace],
) -> None:
    heads = ["country", "tier,seats", "country,seats", "country,tier,seats"]
    values = [["DE"], ["gold", "12"], ["FR", "7"], ["DE", "silver", "9"]]
    for n, (head, row) in enumerate(zip(heads, values, strict=True)):
        day = FIRST + timedelta(days=n)
        with opened(day, keep=1) as ws:
            folder = ws.root / "inbox" / f"{day}"
            folder.mkdir(parents=True)
            (folder / "app_users.csv").write_text("customer_id,app_id\n")
            # The first try of each night has another type; its correction may change it, the next night may not.
            for text in ("x", row[-1]):
                line = ",".join(["a,2026-01-05", *row[:-1], text])
                (folder / "customers.csv").write_text(f"customer_id,registered_at,{head}\n{line}\n")
                if n > 1 and text == "x":
                    with pytest.raises(GateError, match="1 of 1 values of seats in customers can't be read"):
                        ws.import_delivery(day)
                else:
                    ws.import_delivery(day, accept_anyway=None if "country" in head else "a night without countries")
    with opened(FIRST + timedelta(days=4)) as ws:
        seen = [ws.customer_on("a", FIRST + timedelta(days=n)).attributes for n in range(4)]
        assert [(s.get("country"), s.get("tier"), s.get("seats")) for s in seen] == [
            ("DE", None, None), (None, "gold", 12), ("FR", None, 7), ("DE", "silver", 9),
        ]  # fmt: skip
        assert ws.history("seats")["seats"].to_list() == [None, 12, 7, 9]
        assert ws.history("tier")["tier"].to_list() == [None, "gold", None, "silver"]


def test_the_roll_out_of_the_sdk_is_a_curve_that_survives_its_versions(opened: Callable[..., Workspace]) -> None:
    with live(opened, keep=1) as ws:
        curve = ws.reach(app_group="Shop")
        ios = curve.filter(curve["app_id"] == "shop-ios")
        assert ios.select("users", "with_sdk", "reachable").rows() == [(1, 0, 0), (2, 1, 1), (1, 1, 1)]
        whole = curve.filter(curve["app_id"].is_null())
        assert whole.select("users", "push_enabled", "with_sdk", "reachable").rows() == [
            (2, 1, 1, 0), (2, 2, 1, 1), (1, 1, 1, 1),
        ]  # fmt: skip
        assert ws.reach(since="2026-11-21", until="2026-11-22")["day"].unique().to_list() == [date(2026, 11, 21)]
        a = ws.reach_of("c")
        assert a.is_reachable and [use.is_reachable for use in a.apps] == [True, True]
        assert not ws.reach_of("nobody").is_known


def test_a_renamed_app_keeps_its_past_under_its_new_name_and_one_that_is_gone_under_its_id(
    opened: Callable[..., Workspace],
) -> None:
    live(opened).close()
    last = FIRST + timedelta(days=3)
    with opened(last, change=("Shop for iPhone", "Shop 2")) as ws:
        assert ws.reach().filter(ws.reach()["app_id"] == "shop-ios")["app"].to_list() == ["Shop 2"] * 3
        assert ws.reach_of("c").apps[0].app == "Shop 2"
    with opened(last, change=('id = "shop-ios"', 'id = "shop-iphone"')) as ws:
        past = ws.reach(until=FIRST)
        assert set(past["app"].to_list()) == {None, "shop-ios", "Shop for Android"}
        # Rows of the old id are refused until the delivery names the new one; the published ones stay readable.
        night(ws.root, last, ["b,IT,", "c,DE,silver"], ["c,shop-ios,true,4", "c,shop-iphone,true,4"])
        report = ws.import_delivery(last, accept_anyway="an app has a new id")
        assert report.table("app_users").loaded == 1
        assert "app_id is no app of the settings" in next(iter(report.table("app_users").reasons))


def test_reach_of_a_night_that_was_imported_and_not_modelled_is_counted_when_asked(
    opened: Callable[..., Workspace],
) -> None:
    with live(opened) as ws:
        day = FIRST + timedelta(days=4)
        night(ws.root, day, ["c,DE,silver"], ["c,shop-ios,false,4.0"])
        ws.import_delivery(day)
        newest = ws.reach().filter(ws.reach()["day"] == day)
        assert newest.select("users", "push_enabled").rows() == [(1, 0), (1, 0), (0, 0)]


def test_an_override_enters_the_audit_trail_once_with_who_which_gate_and_why(
    opened: Callable[..., Workspace],
) -> None:
    live(opened).close()
    day = FIRST + timedelta(days=4)
    with opened(day, user="bob") as ws:
        night(ws.root, day, ["z,DE,"], [])
        with pytest.raises(GateError, match="it may shrink by 50%"):
            night(ws.root, day, [], [])
            ws.import_delivery(day)
        report = ws.import_delivery(day, accept_anyway="the shop was closed")
        assert report.accepted_by == "bob"
        for _ in range(2):
            assert ws.import_delivery(day).unchanged
        (entry,) = ws.store.audit.list(subject=f"delivery {day}")
        assert (entry.who, entry.action) == ("bob", "gate overridden")
        assert entry.detail["reason"] == "the shop was closed" and entry.detail["version"] == report.version
        assert any("customers has 0 rows, the delivery before had 2" in gate for gate in entry.detail["gates"])
        assert ws.store.audit.verify().problem is None


def test_the_quarantine_is_grouped_by_reason_also_of_a_delivery_that_was_blocked(
    opened: Callable[..., Workspace],
) -> None:
    with opened(FIRST) as ws:
        with pytest.raises(UsageError, match="no delivery has been imported yet"):
            ws.quarantine()
        users = [f"a,other-{n},true,1" for n in range(5)] + ["nobody,shop-ios,true,1"]
        night(ws.root, FIRST, ["a,DE,gold", "a,DE,gold", ",FR,"], users, ["t1,a,2026-02-30"])
        with pytest.raises(GateError):
            ws.import_delivery(FIRST)
        found = ws.quarantine()
        assert (found.run_date, found.rows) == (FIRST, 9)
        most = found.refusals[0]
        assert (most.table, most.rows, len(most.examples)) == ("app_users", 5, 3)
        assert [e.line for e in most.examples] == [2, 3, 4] and most.examples[0].raw == "a,other-0,true,1"
        with pytest.raises(UsageError, match=r"no delivery of 2026-11-22 .* the nearest is of 2026-11-20"):
            ws.quarantine("2026-11-22")


def test_a_failed_import_without_files_is_told_and_not_noted(opened: Callable[..., Workspace]) -> None:
    with opened(FIRST) as ws:
        (ws.root / "inbox" / f"{FIRST}").mkdir(parents=True, exist_ok=True)
        with pytest.raises(DeliveryError, match="has no files"):
            ws.import_delivery(FIRST, accept_anyway="whatever")
        assert ws.store.audit.list() == ()
