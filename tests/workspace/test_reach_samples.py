"""A sample of customers whom Appboy is asked about, over HTTP: the night, the command, and what is kept."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

import optinb
from optinb.cli import main
from optinb.delivery import ReachSample
from optinb.demo import CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.night.tonight import NightCampaigns
from optinb.nightly import Night
from optinb.sandbox import User

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace


def test_a_sample_over_http_is_as_far_from_the_table_as_appboy_is(ws: Workspace, sandbox: Sandbox):
    group = ws.settings.app_groups[0]
    table = ws.snapshot().table("customers").select("customer_id", "external_user_id").collect()
    ids = [user for user in table["external_user_id"].drop_nulls() if user]
    forgetful = {user: User(push=() if n % 2 else ("ios", "android")) for n, user in enumerate(sorted(ids))}
    sandbox.world.put(replace(sandbox.world.group(group.name), users=forgetful))
    sample = next(s for s in ws.reach_samples.take() if s.app_group_id == group.id)
    assert sample.problem == ""
    for app in sample.apps:
        low, high = app.reachable.interval
        assert low <= 0.5 <= high
        assert app.reachable.customers >= app.reachable.asked > 0
        assert app.warning
    assert ws.reach_samples.newest(group.name) == (sample,)
    again = next(s for s in ws.reach_samples.take() if s.app_group_id == group.id)
    assert (again.apps, len(ws.reach_samples.list(group.name))) == (sample.apps, 1)


def test_a_night_tells_it_and_no_failure_of_it_holds_a_night(ws: Workspace, sandbox: Sandbox):
    night = Night(ws, RUN_DATE)
    night.preflight()
    assert {sample.app_group for sample in night.reach_sample()} == {"Shop", "Club"}
    summary = night.report()
    assert len(summary.tokens) == 2
    assert "Push tokens at Appboy, by a sample" in (night.folder / "report.html").read_text(encoding="utf-8")
    for group in sandbox.world.app_groups.values():
        sandbox.world.put(replace(group, keys=()))
    assert all(sample.problem and not sample.apps for sample in night.reach_sample())
    summary = night.report()
    assert any(warning.startswith("reach of 'Shop' beside Appboy: ") for warning in summary.warnings)
    assert (summary.tokens, summary.exit_code) == ((), 0)
    night.close()


def test_nobody_is_asked_about_where_the_settings_say_so(folder: Path, sandbox: Sandbox):
    file = folder / "optinb.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("\n[send]\n", "\n[send]\nreach_sample = 0\n"), encoding="utf-8")
    with optinb.open_workspace(folder) as ws:
        assert ws.reach_samples.take() == ()
    result = CliRunner().invoke(main, ["reach", "--appboy", "--workspace", str(folder)])
    assert (result.exit_code, "keep [send] reach_sample above 0" in result.output) == (2, True)


def test_a_command_tells_a_sample_and_refuses_what_it_does_not_go_with(ws: Workspace):
    told = CliRunner().invoke(main, ["reach", "--appboy", "--app-group", "Shop", "--workspace", str(ws.root)])
    assert told.exit_code == 0, told.output
    assert "Shop, night of 2026-11-23: push tokens at Appboy, by a sample" in told.output
    wrong = CliRunner().invoke(main, ["reach", "--appboy", "--since", "2026-11-20", "--workspace", str(ws.root)])
    assert (wrong.exit_code, "leave --date, --since and --customer out" in wrong.output) == (2, True)


def test_what_is_kept_of_a_sample_names_nobody(ws: Workspace):
    sample = ReachSample(
        app_group="Shop", app_group_id="g", night=RUN_DATE, taken_at=datetime(2026, 11, 23, tzinfo=UTC)
    )
    ws.store.reach_samples.keep(sample)
    ws.reach_samples.take()
    kept = "".join(str(one) for one in ws.store.reach_samples.list())
    some = ws.snapshot().table("customers").select("external_user_id").collect()["external_user_id"].drop_nulls()
    assert not any(f"'{user}'" in kept for user in some if user)


@pytest.mark.parametrize(
    ("now", "spare", "asked"), [("02:00", 15 * 60 - 30, True), ("17:45", 15, True), ("18:10", 0, False)]
)
def test_no_question_delays_messages_that_go_out_soon(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, now: str, spare: float, asked: bool
):
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    moment = datetime.combine(RUN_DATE, time.fromisoformat(now), tzinfo=ws.settings.zone)
    monkeypatch.setenv("OPTINB_NOW", moment.isoformat())
    with optinb.open_workspace(ws.root, user=SCHEDULER) as tonight:
        assert NightCampaigns(tonight, RUN_DATE, dry_run=False).minutes_to_spare() == pytest.approx(spare, abs=1)
        night = Night(tonight, RUN_DATE)
        night.confirm()
        assert bool(night.reach_sample()) is asked
        warned = any("because tonight's first one goes out too soon" in one for one in night.report().warnings)
        assert warned is not asked
        night.close()


def test_a_night_without_a_message_to_send_has_all_the_time(ws: Workspace):
    assert NightCampaigns(ws, RUN_DATE, dry_run=False).minutes_to_spare() == float("inf")
