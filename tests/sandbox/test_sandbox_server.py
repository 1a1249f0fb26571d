"""The sandbox over real HTTP: journal, clock, faults, page, start and stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from optinb.errors import UsageError
from optinb.sandbox import Fault, GlobalControl, Members, Sandbox, demo_world, make_world, parse_faults
from optinb.sandbox.faults import fault_for
from optinb.sandbox.screened import HEADER

if TYPE_CHECKING:
    from pathlib import Path

NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
CREATE = "/campaigns/trigger/schedule/create"


def client_of(sandbox: Sandbox, key: str = "sandbox-shop-key", timeout: float = 5.0) -> httpx.Client:
    return httpx.Client(
        base_url=sandbox.url,
        headers={"Authorization": f"Bearer {key}", HEADER: "1"},
        timeout=timeout,
        trust_env=False,
    )


def body_for(sandbox: Sandbox, *users: str, **fields: Any) -> dict[str, Any]:
    return {
        "campaign_id": sandbox.world.group("Shop").campaigns[0].id,
        "recipients": [{"external_user_id": user, "trigger_properties": {"first_name": user}} for user in users],
        "schedule": {"time": "2026-11-23T18:30:00Z"},
        **fields,
    }


def test_the_journal_holds_a_request_before_its_reply_is_read(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with Sandbox(demo_world(), journal=journal, now=NIGHT) as sandbox, client_of(sandbox) as client:
        taken = client.post(CREATE, json=body_for(sandbox, "ann", "bob")).json()
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        campaign = sandbox.world.group("Shop").campaigns[0].id
        assert client.post(CREATE, json=body_for(sandbox)).status_code == 400
        client.post(
            "/campaigns/trigger/schedule/delete", json={"campaign_id": campaign, "schedule_id": taken["schedule_id"]}
        )
    assert set(lines[0]) == {
        "taken_at",
        "endpoint",
        "app_group_id",
        "campaign_id",
        "schedule_id",
        "dispatch_id",
        "send_id",
        "schedule",
        "recipients",
    }
    assert [r["external_user_id"] for r in lines[0]["recipients"]] == ["ann", "bob"]
    assert lines[0]["schedule"]["time"] == "2026-11-23T18:30:00Z"
    endpoints = [json.loads(line)["endpoint"] for line in journal.read_text().splitlines()]
    assert endpoints == [CREATE, "/campaigns/trigger/schedule/delete"]


def test_the_journal_of_a_restarted_sandbox_goes_on_with_other_ids(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    for _ in range(2):
        with Sandbox(demo_world(), journal=journal, now=NIGHT) as sandbox, client_of(sandbox) as client:
            client.post(CREATE, json=body_for(sandbox, "ann"))
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len({line["schedule_id"] for line in lines}) == 2


def test_the_clock_ticks_from_where_it_was_set_and_moves_ahead_only() -> None:
    with Sandbox(demo_world(), now=NIGHT) as sandbox, client_of(sandbox) as client:
        answer = client.get("/campaigns/list")
        assert answer.headers["date"].startswith("Mon, 23 Nov 2026 03:00:")
        assert answer.headers["x-ratelimit-reset"] == str(int((NIGHT + timedelta(hours=1)).timestamp()))
        assert client.post("/sandbox/clock", json={"to": "2026-11-23T19:00:00Z"}).status_code == 200
        assert client.get("/campaigns/list").headers["date"].startswith("Mon, 23 Nov 2026 19:00:")
        assert "can't go back" in client.post("/sandbox/clock", json={"to": "2026-11-23T18:00:00Z"}).json()["message"]
        assert client.post("/sandbox/clock", json={"to": "soon"}).status_code == 400
        with pytest.raises(UsageError, match="can't go back"):
            sandbox.move_clock(to=NIGHT)
        with pytest.raises(UsageError, match="offset"):
            sandbox.move_clock(to=NIGHT.replace(tzinfo=None))


def test_the_page_shows_what_arrived_with_the_text_filled_in_and_nothing_as_markup() -> None:
    with Sandbox(demo_world(), now=NIGHT) as sandbox, client_of(sandbox) as client:
        assert "Nothing has come yet" in client.get("/").text
        client.post(CREATE, json=body_for(sandbox, "<b>ann</b>", trigger_properties={"promo_code": "SUMMER"}))
        waiting = client.get("/").text
        assert "Hi &lt;b&gt;ann&lt;/b&gt;, 20 % off everything until Sunday with SUMMER." in waiting
        assert "<b>ann</b>" not in waiting
        assert "scheduled" in waiting
        sandbox.move_clock(to=NIGHT + timedelta(days=1))
        assert "tag delivered" in client.get("/").text


def test_the_page_moves_the_clock_narrows_to_a_campaign_and_follows_by_itself() -> None:
    with Sandbox(demo_world(), now=NIGHT) as sandbox, client_of(sandbox) as client:
        client.post(CREATE, json=body_for(sandbox, "ann"))
        campaign = sandbox.world.dispatches[0].campaign_id
        due = sandbox.world.dispatches[0].plans[0].at
        assert f'value="{due.isoformat()}"><button>to the next send' in client.get("/").text
        assert client.post("/sandbox/clock", json={"to": due.isoformat()}).status_code == 200
        assert sandbox.clock.now() >= due
        assert "to the next send" not in client.get("/").text
        for stale in (NIGHT.isoformat(), "soon"):
            assert client.post("/sandbox/clock", json={"to": stale}).status_code == 400
        assert sandbox.clock.now() >= due
        other = next(c.id for c in sandbox.world.group("Club").campaigns)
        assert "<article>" in client.get("/", params={"campaign": campaign}).text
        assert "<article>" not in client.get("/", params={"campaign": other}).text
        assert 'http-equiv="refresh" content="3"' in client.get("/?every=3").text
        assert "refresh" not in client.get("/?every=x").text
        sandbox.set_faults([Fault("reset", share=0.1)])
        assert "Faults are in force" in client.get("/").text


def test_people_read_every_recipients_fate_and_the_control_group_as_a_list() -> None:
    world = demo_world()
    group = world.group("Shop")
    control = GlobalControl(Members(frozenset({"bob", "=zoe"})))
    world.put(msgspec.structs.replace(group, global_control=control))
    with Sandbox(world, now=NIGHT) as sandbox, client_of(sandbox) as client:
        client.post(CREATE, json=body_for(sandbox, "ann", "bob"))
        query = {"campaign_id": group.campaigns[0].id}
        ann, bob = client.get("/sandbox/fates", params=query).json()["fates"]
        assert (ann["external_user_id"], ann["state"], bob["state"]) == ("ann", "scheduled", "scheduled")
        sandbox.move_clock(to=NIGHT + timedelta(days=1))
        ann, bob = client.get("/sandbox/fates", params=query).json()["fates"]
        assert (ann["state"], ann["at"], ann["rules"]) == ("delivered", "2026-11-23T18:30:00Z", [])
        assert (bob["state"], bob["rules"]) == ("filtered", ["global_control"])
        assert client.get("/sandbox/fates", params=query | {"send_id": "none"}).json() == {"fates": []}
        assert "None" in client.get("/sandbox/fates").json()["message"]
        listed = client.get("/sandbox/global_control.csv", params={"app_group": group.id})
        assert listed.headers["content-type"].startswith("text/csv")
        assert listed.text == "external_user_id\n=zoe\nbob\n"
        assert client.get("/sandbox/global_control.csv", params={"app_group": "Shoe"}).status_code == 400
        assert "tag delivered" in client.get("/").text


def test_a_change_in_the_dashboard_takes_nothing_back_that_the_sandboxs_clock_has_passed() -> None:
    with Sandbox(make_world(["Shop"]), now=NIGHT) as sandbox, client_of(sandbox) as client:
        client.post(CREATE, json=body_for(sandbox, "ann"))
        sandbox.move_clock(to=NIGHT + timedelta(days=1))
        campaign = sandbox.world.group("Shop").campaigns[0]
        sandbox.world.put_campaign("Shop", msgspec.structs.replace(campaign, segment=Members()))
        (fate,) = sandbox.world.fates(campaign.id, sandbox.clock.now())
        assert fate.state == "delivered"


def test_errors_stand_beside_a_success_that_is_taken() -> None:
    fault = Fault("errors", errors=("'ann' has no push token",))
    with Sandbox(demo_world(), now=NIGHT, faults=[fault]) as sandbox, client_of(sandbox) as client:
        reply = client.post(CREATE, json=body_for(sandbox, "ann"))
        assert reply.status_code == 201
        assert reply.json()["message"] == "success"
        assert reply.json()["schedule_id"] == sandbox.world.dispatches[0].schedule_id
        assert reply.json()["errors"] == ["'ann' has no push token"]


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        (Fault("status", status=503), 0),
        (Fault("status", status=504, after_taking=True), 1),
        (Fault("reset"), 0),
        (Fault("reset", after_taking=True), 1),
        (Fault("truncate"), 1),
    ],
)
def test_a_fault_does_what_it_says_once_and_the_next_request_goes_well(fault: Fault, taken: int) -> None:
    with Sandbox(demo_world(), now=NIGHT, faults=[fault]) as sandbox, client_of(sandbox) as client:
        if fault.do == "status":
            assert client.post(CREATE, json=body_for(sandbox, "ann")).status_code == fault.status
        else:
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                client.post(CREATE, json=body_for(sandbox, "ann"))
        assert len(sandbox.world.dispatches) == taken
        sandbox.set_faults([])
        assert client.post(CREATE, json=body_for(sandbox, "bob")).status_code == 201
        assert len(sandbox.world.dispatches) == taken + 1


def test_a_reply_that_drips_or_comes_late_is_taken_although_the_client_gave_up() -> None:
    rules = [Fault("delay", nth=(1,), after_taking=True, delay_s=60), Fault("slow", nth=(2,), delay_s=0.1)]
    with Sandbox(demo_world(), now=NIGHT, faults=rules) as sandbox:
        with client_of(sandbox, timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
            client.post(CREATE, json=body_for(sandbox, "ann"))
        with client_of(sandbox) as client:
            assert client.post(CREATE, json=body_for(sandbox, "bob")).json()["message"] == "success"
        assert len(sandbox.world.dispatches) == 2


def test_faults_are_set_over_http_and_wrong_ones_are_refused() -> None:
    with Sandbox(demo_world(), now=NIGHT) as sandbox, client_of(sandbox) as client:
        rules = [{"do": "status", "status": 429, "reset_in_s": 30, "nth": [2], "endpoint": "/campaigns/list"}]
        assert client.post("/sandbox/faults", json=rules).status_code == 200
        answers = [client.get("/campaigns/list") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 429, 200]
        reset = int(answers[1].headers["x-ratelimit-reset"])
        assert 29 <= reset - NIGHT.timestamp() <= 31
        refused = client.post("/sandbox/faults", json=[{"do": "explode"}])
        assert refused.status_code == 400
        assert "explode" in refused.json()["message"]


def test_rules_choose_requests_by_number_step_and_share() -> None:
    (rule, *_) = parse_faults('[{"do": "reset", "nth": [2], "every": 5}]')
    assert [n for n in range(1, 12) if fault_for([rule], "/x", n)] == [2, 5, 10]
    shared = Fault("reset", share=0.25)
    hit = [n for n in range(1, 2001) if fault_for([shared], "/x", n, seed="s")]
    assert 400 < len(hit) < 600
    assert hit == [n for n in range(1, 2001) if fault_for([shared], "/x", n, seed="s")]
    assert fault_for([Fault("reset", endpoint="/y")], "/x", 1) is None


def test_a_port_in_use_is_a_clear_sentence() -> None:
    with Sandbox(make_world()) as first:
        second = Sandbox(make_world(), port=int(first.url.rsplit(":", 1)[1]))
        with pytest.raises(UsageError, match=r"port \d+ .*choose another port"):
            second.__enter__()


def test_a_journal_that_cannot_be_written_is_a_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"), Sandbox(make_world(), journal=tmp_path / "no" / "j"):
        pass


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_foreground_sandbox_stops_cleanly(stop: signal.Signals) -> None:
    program = (
        "from optinb.sandbox import make_world, run_sandbox\n"
        "run_sandbox(make_world(), port=0, ready=lambda s: print(s.url, flush=True))\n"
        "print('stopped')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert httpx.get(url, trust_env=False).status_code == 200
    os.kill(process.pid, stop)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopped\n", "")
