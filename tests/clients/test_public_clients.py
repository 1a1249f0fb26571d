"""Public clients of this API, made by others for the vendor's, get from the sandbox what they expect.

They are installed from PyPI and npm into a throw-away environment, which needs both registries and some seconds; hence
the marker: `pytest -m clients tests/clients`. Where npm or Node isn't there, the test of `braze-api` fails and says so.
"""

from __future__ import annotations

import json
import subprocess
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from optinb.sandbox import Sandbox, demo_world

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
HERE = Path(__file__).parent
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
EVENING = "2026-11-23T18:30:00Z"
KEY = "sandbox-shop-key"


def told_by(command: list[str], **values: object) -> dict[str, Any]:
    """What a script prints about its talk with the sandbox."""
    done = subprocess.run([*command, json.dumps(values)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with braze-client."""
    folder = tmp_path_factory.mktemp("braze-client")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    install = [str(found), "-m", "pip", "install", "-q"]
    # the tenacity that it asks for can't be imported by Python 3.11
    subprocess.run([*install, "--no-deps", "braze-client==2.3.3"], check=True, timeout=300)
    subprocess.run([*install, "requests", "tenacity>=8"], check=True, timeout=300)
    return found


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Node modules with braze-api."""
    folder = tmp_path_factory.mktemp("braze-api")
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "braze-api@2.13.4"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return folder


def test_braze_client_of_pypi_schedules_exports_and_knows_its_errors(python: Path) -> None:
    world = demo_world()
    campaign = world.group("Shop").campaigns[0].id
    talk = [str(python), str(HERE / "talk.py")]
    with Sandbox(world, now=NOW) as sandbox:
        given = {"url": sandbox.url, "key": KEY, "campaign": campaign, "time": EVENING, "users": ["ann", "bob"]}
        told = told_by(talk, **given)
        assert told["created"]["success"] is True
        assert told["created"]["status_code"] == 201
        assert told["created"]["schedule_id"]
        assert told["exported"]["users"][0]["campaigns_received"] == []
        assert told["too_many"] == "The max number of external_ids and aliases per request was exceeded"
        assert told["wrong_key"] == "Invalid API key: wrong"
        sandbox.move_clock(to=NOW + timedelta(days=1))
        received = told_by(talk, **given)["exported"]["users"][0]["campaigns_received"]
        assert [entry["api_campaign_id"] for entry in received] == [campaign]
        assert world.recipients(campaign)[:2] == ["ann", "bob"]


def test_braze_api_of_npm_reads_schedules_moves_recalls_and_sends(node_modules: Path) -> None:
    world = demo_world()
    campaign = world.group("Shop").campaigns[0].id
    script = node_modules / "talk.cjs"
    script.write_text((HERE / "talk.cjs").read_text())
    with Sandbox(world, now=NOW) as sandbox:
        told = told_by(["node", str(script)], url=sandbox.url, key=KEY, campaign=campaign, time=EVENING)
    assert campaign in [entry["id"] for entry in told["list"]["campaigns"]]
    assert told["details"]["schedule_type"] == "api_triggered"
    assert {message["channel"] for message in told["details"]["messages"].values()} == {"ios_push"}
    assert told["created"]["message"] == told["updated"]["message"] == told["deleted"]["message"] == "success"
    assert len(told["created"]["dispatch_id"]) == 32
    assert "schedule_id" not in told["sent"]
    assert told["send_id"]["send_id"] == "spring"
    assert told["exported"]["users"][0]["campaigns_received"][0]["api_campaign_id"] == campaign
    assert told["exported"]["invalid_user_ids"] == []
    assert told["no_recipients"]["status"] == 400
    assert "No Recipients" in told["no_recipients"]["message"]
    assert told["wrong_key"] == {"status": 401, "message": "Invalid API key: wrong"}
    created, sent = world.dispatches
    assert created.plans[-1].until is not None
    assert sent.ids == ("ann",)
