"""What `optinb doctor` says, of a sandbox and of worse."""

from __future__ import annotations

import os
import pwd
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

import optinb
from optinb import show
from optinb.appboy import AppboyClient, RequestRefused, Stopped, Verdict, examine
from optinb.appboy.doctor import Findings, verdicts
from optinb.base.settings import AppGroupSettings
from optinb.sandbox import Fault, Key, Sandbox, World, push_campaign
from optinb.sandbox.handle import PERMISSIONS

if TYPE_CHECKING:
    from optinb.planning import Diagnosis
    from optinb.workspace import Workspace

GROUP = AppGroupSettings(id="1", name="Shop", api="https://rest.iad-01.braze.com", key="env:K")


def standings(found: Diagnosis, about: str) -> list[str]:
    return [v.standing for health in found.app_groups for v in health.verdicts if v.about == about]


def who(found: Diagnosis) -> Verdict:
    return next(verdict for verdict in found.machine if verdict.about == "who works")


def texts(found: Diagnosis, about: str) -> str:
    return " ".join(v.text for health in found.app_groups for v in health.verdicts if v.about == about)


def test_a_healthy_group_has_a_verdict_a_line_and_nothing_is_changed(
    ws: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ws.store.audit.list(limit=1)
    # a pretended clock begins when a workspace is opened, on a busy machine seconds after the sandbox's
    monkeypatch.setenv("OPTINB_NOW", sandbox.clock.now().isoformat())
    with optinb.open_workspace(ws.root) as there:
        found = there.doctor()
    assert found.exit_code == 0
    assert [health.app_group for health in found.app_groups] == ["Shop", "Club"]
    for about in ("reachable", "credential", "permission campaigns.list", "permission users.export.ids", "templates"):
        assert standings(found, about) == ["good", "good"]
    assert standings(found, "permission campaigns.trigger.send") == ["unknown", "unknown"]
    assert "`optinb campaigns test NAME`" in texts(found, "permission campaigns.trigger.send")
    assert "4 of 10 campaigns can be used" in texts(found, "templates")
    assert standings(found, "clock") == ["good", "good"]
    assert "of 250,000 requests are left" in texts(found, "requests")
    assert ws.store.audit.list(limit=1) == before
    assert sandbox.world.dispatches == []
    assert "✓ credential: the key env:OPTINB_SHOP_KEY is accepted" in show.text(found)
    assert msgspec.json.decode(msgspec.json.encode(found))["exit_code"] == 0


def test_names_that_anybody_can_assert_are_told(ws: Workspace) -> None:
    found = ws.doctor("Shop")
    assert who(found).standing == "note"
    assert "names are asserted: anybody can approve as anybody" in show.text(found)
    assert found.exit_code == 0


def test_who_works_and_what_says_so_is_told(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    login = ws.root / "optinb.toml"
    text = login.read_text(encoding="utf-8").replace('"asserted"', '"login"', 1)
    login.write_text(text, encoding="utf-8")
    with optinb.open_workspace(ws.root) as own:
        found = own.doctor("Shop")
        assert who(found).standing == "good"
        assert f"✓ who works: {pwd.getpwuid(os.getuid()).pw_name}, the login on this machine" in show.text(found)
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    hub = '[workspace]\nhub = "https://hub.example.com/hub/api"'
    login.write_text(text.replace("[workspace]", hub), encoding="utf-8")
    with optinb.open_workspace(ws.root) as nobody:
        found = nobody.doctor("Shop")
        assert who(found).standing == "bad"
        assert "the hub https://hub.example.com/hub/api says who is working" in show.text(found)
        assert found.exit_code == 1


def test_a_wrong_key_is_bad_and_not_shown(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTINB_SHOP_KEY", "a-key-of-somebody-else")
    found = ws.doctor("Shop")
    assert found.exit_code == 1
    assert standings(found, "reachable") == ["good"]
    assert standings(found, "credential") == ["bad"]
    assert "a-key-of-somebody-else" not in show.text(found)
    assert len(found.app_groups) == 1


def test_no_key_and_a_key_in_quotes_are_told_before_anything_is_asked(
    ws: Workspace, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = sum(sandbox.requests.values())
    monkeypatch.delenv("OPTINB_SHOP_KEY")
    assert "set the environment variable OPTINB_SHOP_KEY" in texts(ws.doctor("Shop"), "credential")
    monkeypatch.setenv("OPTINB_SHOP_KEY", "'sandbox-shop-key'")
    assert "store it bare" in texts(ws.doctor("Shop"), "credential")
    assert sum(sandbox.requests.values()) == asked


def test_each_missing_permission_is_named(ws: Workspace, sandbox: Sandbox) -> None:
    shop = sandbox.world.group("Shop")
    sandbox.world.put(msgspec.structs.replace(shop, keys=(Key("sandbox-shop-key", ("campaigns.list",)),)))
    found = ws.doctor("Shop")
    assert found.exit_code == 1
    assert standings(found, "credential") == ["good"]
    assert standings(found, "permission campaigns.list") == ["good"]
    assert standings(found, "permission campaigns.details") == ["bad"]
    assert "lacks the permission users.export.ids" in texts(found, "permission users.export.ids")


def test_a_caller_off_the_allow_list_reads_which_addresses_must_be_on_it(ws: Workspace, sandbox: Sandbox) -> None:
    shop = sandbox.world.group("Shop")
    off = (Key("sandbox-shop-key", allowed_addresses=("203.0.113.7",)),)
    sandbox.world.put(msgspec.structs.replace(shop, keys=off))
    network = msgspec.structs.replace(ws.settings.network, outgoing_addresses=("198.51.100.4",))
    ws.context.settings = msgspec.structs.replace(ws.settings, network=network)
    found = ws.doctor("Shop")
    assert found.exit_code == 1
    assert standings(found, "credential") == ["unknown"]
    assert standings(found, "addresses") == ["bad"]
    assert "198.51.100.4" in texts(found, "addresses")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("status", status=404, body="<html><title>Dashboard</title></html>"), "it is the REST endpoint"),
        (Fault("status", status=200, body="<html><title>Sign in</title></html>"), "titled 'Sign in'"),
        (Fault("status", status=302, headers={"Location": "https://login.example.com/"}), "to login.example.com"),
        (Fault("status", status=503), "503 Service Unavailable"),
        (Fault("reset"), "no complete answer came"),
    ],
)
def test_whatever_else_answers_is_not_reachable_and_is_asked_once(
    ws: Workspace, sandbox: Sandbox, fault: Fault, told: str
) -> None:
    sandbox.set_faults([fault])
    found = ws.doctor("Shop")
    assert standings(found, "reachable") == ["bad"]
    assert told in texts(found, "reachable")
    assert sum(sandbox.requests.values()) == 1


def test_a_sandbox_has_a_clock_of_its_own_and_that_is_no_fault(ws: Workspace, sandbox: Sandbox) -> None:
    sandbox.move_clock(to=sandbox.clock.now() + timedelta(minutes=10))
    found = ws.doctor("Shop")
    assert found.exit_code == 0
    assert standings(found, "clock") == ["note"]
    assert "behind the sandbox's" in texts(found, "clock")


@pytest.mark.parametrize(
    ("ahead_s", "standing", "words"),
    [
        (None, "unknown", "bear no Date"),
        (-4.0, "good", "within 5 s"),
        (30.0, "note", "30 s behind Appboy's; set it by NTP"),
        (-90.0, "bad", "90 s ahead of Appboy's; set it by NTP"),
    ],
)
def test_a_wrong_clock_is_told_with_its_side(ahead_s: float | None, standing: str, words: str) -> None:
    found = Findings(probes={"campaigns.list": None}, ahead_s=ahead_s)
    (clock,) = [v for v in verdicts(GROUP, found, outgoing=()) if v.about == "clock"]
    assert clock.standing == standing
    assert words in clock.text


def test_many_campaigns_that_were_never_looked_at_are_counted_not_read(ws: Workspace, sandbox: Sandbox) -> None:
    shop = sandbox.world.group("Shop")
    many = tuple(push_campaign(f"T{n}", app_group_id="many", number=n) for n in range(60))
    sandbox.world.put(msgspec.structs.replace(shop, campaigns=(*shop.campaigns, *many)))
    found = ws.doctor("Shop")
    assert "70 campaigns, 60 of them new or edited" in texts(found, "templates")
    assert sandbox.requests["/campaigns/details"] < 70


def test_what_only_tells_campaigns_apart_is_optional(ws: Workspace, sandbox: Sandbox) -> None:
    found = ws.doctor("Shop")
    assert standings(found, "permission sends.data_series") == ["good"]
    assert standings(found, "permission sends.id.create") == ["unknown"]
    assert "optional" in texts(found, "permission sends.id.create")
    assert sandbox.world.send_ids == {}

    shop = sandbox.world.group("Shop")
    needed = tuple(name for name in PERMISSIONS if not name.startswith("sends."))
    sandbox.world.put(msgspec.structs.replace(shop, keys=(Key("sandbox-shop-key", needed),)))
    found = ws.doctor("Shop")
    assert (standings(found, "permission sends.data_series"), found.exit_code) == (["note"], 0)
    assert "optional, to read what came of each campaign" in texts(found, "permission sends.data_series")
    assert standings(found, "addresses") == ["note"]  # a 403 for this alone is no denied address


def test_the_way_of_2015_has_no_permissions() -> None:
    with Sandbox(World([])) as sandbox:
        old = AppGroupSettings(id="gone", name="Old", api=sandbox.url, auth="app_group_id")
        with AppboyClient(old, read_tries=1) as client:
            found = {v.about: v for v in examine(client, known={}, outgoing=())}
    assert found["credential"].standing == "bad"
    assert "the app group id gone isn't accepted" in found["credential"].text
    assert "in the way of 2015 there are none" in found["permissions"].text


def test_a_401_for_one_call_alone_is_a_permission_because_the_pages_disagree() -> None:
    probes = {
        "campaigns.list": None,
        "campaigns.details": RequestRefused(400, "Invalid Campaign ID"),
        "campaigns.data_series": Stopped(401, "401 Unauthorized: no", "check"),
        "users.export.ids": None,
    }
    told = verdicts(GROUP, Findings(probes=probes, campaigns=0, templates=0), outgoing=())
    found = {verdict.about: verdict.standing for verdict in told}
    assert found["credential"] == "good"
    assert found["permission campaigns.details"] == "good"
    assert found["permission campaigns.data_series"] == "bad"


def test_a_proxy_that_nobody_has_settled_is_told_as_such_and_not_as_a_credential(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY_OF_SHOP", "k" * 20)
    monkeypatch.delenv("OUR_PROXY", raising=False)
    group = AppGroupSettings(
        id="g", name="Shop", api="https://rest.invalid", key="env:KEY_OF_SHOP", proxy="env:OUR_PROXY"
    )
    with AppboyClient(group) as client:
        found = examine(client, known={}, outgoing=())
    assert [(verdict.about, verdict.standing) for verdict in found] == [("proxy", "bad"), ("reachable", "unknown")]
    assert found[0].text == "the proxy 'env:OUR_PROXY' isn't there; set the environment variable OUR_PROXY"
