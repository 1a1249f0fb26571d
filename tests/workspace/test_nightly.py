from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from msgspec.structs import replace

from optinb import attr, nightly, open_workspace
from optinb.base.workspace_folder import init_workspace
from optinb.campaigns import SizeBand
from optinb.demo import APPROVER, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import ApprovalError, CampaignError, Exit, NightError, UsageError
from optinb.night import messages as sending_module
from optinb.night import steps
from optinb.night import tonight as night_module
from optinb.nightly import Blocked, Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


def plan(ws: Workspace, folder: Path, *, approve: bool = True) -> None:
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    if approve:
        with open_workspace(folder, user=APPROVER) as approver:
            for campaign in CAMPAIGNS:
                approver.campaigns.approve(campaign["name"], seen=approver.campaigns.preview(campaign["name"]))


def run(folder: Path, run_date: date = RUN_DATE, *, dry_run: bool = False) -> NightSummary:
    """All steps of a night, as the notebook makes them."""
    night = Night(open_workspace(folder, user=SCHEDULER), run_date, dry_run=dry_run)
    try:
        night.import_delivery()
        night.model()
        night.templates()
        night.audiences()
        night.sends()
        return night.report()
    finally:
        night.close()


def journal(sandbox: Sandbox, folder: Path) -> list[dict[str, Any]]:
    file = folder.parent / "sandbox.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line["endpoint"].endswith("schedule/create")]


def received(sandbox: Sandbox, folder: Path) -> list[str]:
    return [
        f"{line['campaign_id']}/{r['external_user_id']}"
        for line in journal(sandbox, folder)
        for r in line["recipients"]
    ]


def campaign(summary: NightSummary, name: str) -> Any:
    return next(c for c in summary.campaigns if c.name == name)


def test_a_night_sends_exactly_the_frozen_audiences(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    summary = run(folder)
    assert summary.exit_code == Exit.DONE
    assert all(c.closes() and c.accepted == c.recipients > 100 and c.control > 0 for c in summary.campaigns)
    frozen = []
    for c in summary.campaigns:
        template = ws.templates.get(c.app_group, c.template)
        rows = pl.read_parquet(folder / c.audience).filter(pl.col("outcome") == "recipient")
        frozen += [f"{template.id}/{user}" for user in rows["external_user_id"]]
    assert sorted(received(sandbox, folder)) == sorted(frozen)
    times = {line["schedule"]["time"] for line in journal(sandbox, folder)}
    assert times == {"2026-11-23T17:30:00Z", "2026-11-23T16:00:00Z"}
    assert all(len(line["recipients"]) <= 50 for line in journal(sandbox, folder))


def test_the_same_night_twice_sends_nothing_twice(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    first = run(folder)
    sent = received(sandbox, folder)
    second = run(folder)
    assert received(sandbox, folder) == sent
    assert len(sent) == len(set(sent))
    assert [c.accepted for c in second.campaigns] == [c.accepted for c in first.campaigns]


def test_a_campaign_of_one_date_is_done_after_its_night(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    run(folder)
    assert ws.campaigns.get(SUMMER).state == "done"
    assert ws.campaigns.get(CLUB).state == "running"


def test_the_summary_file_says_what_the_night_returned(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    summary = run(folder)
    written = json.loads((folder / "runs" / RUN_DATE.isoformat() / "summary.json").read_text())
    assert written["exit_code"] == 0
    assert written["run_date"] == "2026-11-23"
    assert written["customers"] == sum(written["stages"].values()) == 2001
    assert set(written["imported"]) == {"customers", "app_users", "transactions", "events"}
    for counts in written["imported"].values():
        assert counts["read"] == counts["loaded"] + counts["quarantined"]
    assert [c["accepted"] for c in written["campaigns"]] == [c.accepted for c in summary.campaigns]
    assert SUMMER in (folder / "runs" / RUN_DATE.isoformat() / "report.html").read_text()


def test_a_dry_run_counts_but_freezes_and_sends_nothing(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    summary = run(folder, dry_run=True)
    assert summary.exit_code == Exit.DONE
    assert all(c.pending == c.recipients > 100 and c.accepted == 0 and c.closes() for c in summary.campaigns)
    assert not journal(sandbox, folder)
    assert not (folder / "audiences").exists()
    real = run(folder)
    assert [c.recipients for c in real.campaigns] == [c.recipients for c in summary.campaigns]


def test_what_nobody_approved_is_held(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder, approve=False)
    summary = run(folder)
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert all("not approved" in c.held and c.recipients == 0 and c.closes() for c in summary.campaigns)
    assert campaign(summary, SUMMER).excluded["held"] > 100
    assert not journal(sandbox, folder)


def test_a_group_changed_since_the_approval_holds_its_campaign_only(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    plan(ws, folder)
    ws.groups.save("Lapsed buyers", attr("country") == "DE")
    summary = run(folder)
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert "rule of the target group" in campaign(summary, SUMMER).held
    assert campaign(summary, CLUB).accepted > 100


def test_a_template_edited_since_the_approval_holds_the_campaign(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    template = ws.templates.get("Shop", "Optimove_SummerSale_iOS")
    there = sandbox.world.group("Shop").campaign(template.id)
    assert there is not None
    messages = {key: {**message, "alert": "Something else entirely"} for key, message in there.messages.items()}
    edited = replace(there, messages=messages, updated_at=datetime(2026, 11, 23, tzinfo=UTC))
    sandbox.world.put_campaign("Shop", edited)
    summary = run(folder)
    assert "content of the template" in campaign(summary, SUMMER).held


def test_a_group_far_larger_than_approved_is_held(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SizeBand, "around", classmethod(lambda cls, _recipients: cls(0, 5)))
        patch.setattr(SizeBand, "holds", lambda _band, _recipients: True)  # as it was seen
        plan(ws, folder)
    assert "outside the approved size" in campaign(run(folder), SUMMER).held


def test_a_night_says_which_micro_segment_of_a_campaign_nobody_is_in(ws: Workspace, folder: Path) -> None:
    ws.groups.save("Lapsed buyers", (attr("country") == "DE") & (attr("micro_segment") != "active:spend3"))
    plan(ws, folder, approve=False)
    told = [warning for warning in run(folder, dry_run=True).warnings if "micro-segment" in warning]
    assert [warning.split(" tonight")[0] for warning in told] == [
        f"{SUMMER!r}: nobody is in the micro-segment 'active:spend3'"
    ]


def test_a_failed_gate_keeps_the_old_tables_and_sends_nothing(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    version = ws.warehouse.current
    customers = folder / "inbox" / RUN_DATE.isoformat() / "customers.csv"
    lines = customers.read_text(encoding="utf-8").splitlines(keepends=True)
    customers.write_text("".join(lines[:200]), encoding="utf-8")
    summary = run(folder)
    assert summary.exit_code == Exit.DATA_BLOCKED
    assert ws.warehouse.current == version
    assert all("a check of the data blocked the sends" in c.held for c in summary.campaigns)
    assert summary.problems
    assert not journal(sandbox, folder)


def test_a_night_without_a_delivery_goes_on_while_the_last_one_is_fresh(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ws, folder)
    monkeypatch.setenv("OPTINB_NOW", "2026-11-24T02:00:00+01:00")
    summary = run(folder, date(2026, 11, 24))
    assert summary.exit_code == Exit.DONE
    assert campaign(summary, CLUB).accepted > 0
    assert any("2026-11-24" in warning for warning in summary.warnings)


def test_stale_data_blocks_the_sends(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(ws, folder)
    monkeypatch.setenv("OPTINB_NOW", "2026-11-28T02:00:00+01:00")
    summary = run(folder, date(2026, 11, 28))
    assert summary.exit_code == Exit.DATA_BLOCKED
    assert "max_age_days" in summary.problems[0]


def test_an_appboy_that_cannot_be_reached_holds_the_campaigns(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    settings = folder / "optinb.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(ws.settings.app_groups[0].api, "http://127.0.0.1:9"), encoding="utf-8")
    summary = run(folder)
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert all("couldn't be checked" in c.held for c in summary.campaigns)


def test_a_cancelled_campaign_is_not_sent(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    ws.campaigns.cancel(CLUB, comment="changed our mind")
    summary = run(folder)
    assert [c.name for c in summary.campaigns] == [SUMMER]
    club = ws.templates.get("Club", CAMPAIGNS[1]["template"]).id
    assert not any(line["campaign_id"] == club for line in journal(sandbox, folder))


def test_a_send_whose_time_has_passed_expires(ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(ws, folder)
    monkeypatch.setenv("OPTINB_NOW", "2026-11-23T17:20:00+01:00")  # 20 minutes after the club's time
    summary = run(folder)
    club, summer = campaign(summary, CLUB), campaign(summary, SUMMER)
    assert (club.expired, club.accepted) == (club.recipients, 0)
    assert summer.accepted == summer.recipients


def test_why_has_an_answer_for_everybody(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    summary = run(folder)
    rows = pl.read_parquet(folder / campaign(summary, SUMMER).audience)
    for outcome in ("recipient", "control", "excluded"):
        row = rows.filter(pl.col("outcome") == outcome).row(-1, named=True)
        answer = next(a for a in ws.why(row["customer_id"]).answers if a.campaign == SUMMER)
        assert answer.outcome == outcome
        assert (answer.delivery == "accepted") == (outcome == "recipient")
    outsider = ws.members("~" + "(did('purchase').at_least(2).within(days=365) & ~did('purchase').within(days=60))")
    answer = next(a for a in ws.why(outsider["customer_id"][0]).answers if a.campaign == SUMMER)
    assert answer.outcome == "not in the group"
    stranger = ws.why("nobody'; drop table customers")
    assert not stranger.is_known
    with pytest.raises(UsageError, match="no night of 2020-01-01"):
        ws.why("1", run_date=date(2020, 1, 1))


def test_the_author_cannot_approve(ws: Workspace) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    with pytest.raises(ApprovalError, match="approvers in"):
        ws.campaigns.approve(SUMMER, seen=ws.campaigns.preview(SUMMER))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"template": "Optimove_SummerSale_Ios"}, "did you mean 'Optimove_SummerSale_iOS'"),
        ({"template": "Optimove_ClubNight_Android"}, "isn't"),
        ({"group": "Lapsed buyer"}, "did you mean 'Lapsed buyers'"),
        ({"app_group": "Shopp"}, "did you mean 'Shop'"),
        (
            {"properties": {"first_name": {"attribute": "first_nam", "default": "x"}, "promo_code": {"value": "S"}}},
            "did you mean 'first_name'",
        ),
        ({"properties": {}}, "needs the property 'promo_code'"),
        ({"schedule": {"date": "2026-11-22", "at": "18:30"}}, "has passed"),
    ],
)
def test_a_campaign_that_no_night_could_send_is_refused_at_submission(
    ws: Workspace, change: dict[str, Any], complaint: str
) -> None:
    from optinb.errors import SettingsError

    with pytest.raises((CampaignError, SettingsError), match=complaint):
        ws.campaigns.submit({**CAMPAIGNS[0], **change})


def test_a_second_run_of_the_same_night_names_the_first(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optinb.errors import StateError

    monkeypatch.setattr(steps, "WAIT_S", 0.0)
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    with pytest.raises(StateError, match=f"{SCHEDULER}@"):
        Night(open_workspace(folder, user="other"), RUN_DATE)
    night.close()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ((1992, "data"), "in quotes"),
        (("2026-02-30", "data"), "is no date"),
        (("tomorrow", "data"), "is no date"),
        (("2026-11-23", 7), "workspace is 7"),
        (("2026-11-23", ""), "workspace is ''"),
        (("2026-11-23", "data", "false"), "dry_run is 'false'"),
    ],
)
def test_parameters_of_the_wrong_kind_are_refused_with_what_to_write(
    parameters: tuple, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_workspace(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=complaint):
        nightly.begin(*parameters)


def test_unknown_parameters_and_dates_ahead_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="'run_dat' isn't known"):
        nightly.begin("", str(folder), injected={"run_dat": "2026-11-23", "run_date": "", "nightly": nightly})
    with pytest.raises(UsageError, match="lies ahead"):
        nightly.begin("2027-01-01", str(folder))


def test_a_held_night_ends_with_an_error_that_a_scheduler_sees(ws: Workspace, folder: Path) -> None:
    plan(ws, folder, approve=False)
    night = nightly.begin("2026-11-23", str(folder))
    night.import_delivery()
    night.model()
    night.templates()
    night.audiences()
    night.report()
    with pytest.raises(NightError, match="not approved") as error:
        night.finish()
    assert error.value.exit_code == Exit.CAMPAIGN_HELD


def test_an_inbox_without_the_delivery_is_said_in_a_sentence(ws: Workspace, folder: Path) -> None:
    shutil.rmtree(folder / "inbox" / RUN_DATE.isoformat())
    night = nightly.begin("2026-11-23", str(folder))
    answer = night.import_delivery()
    assert isinstance(answer, Blocked)
    assert "2026-11-23" in answer.reason
    night.close()


def test_an_old_night_that_is_run_again_only_finishes_what_it_had_planned(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ws, folder)
    first = run(folder)
    shutil.copytree(folder / "inbox" / "2026-11-23", folder / "inbox" / "2026-11-24")
    monkeypatch.setenv("OPTINB_NOW", "2026-11-24T02:00:00+01:00")
    sandbox.move_clock(to=datetime.fromisoformat("2026-11-24T02:00:00+01:00"))
    run(folder, date(2026, 11, 24))
    sent = received(sandbox, folder)
    again = run(folder, RUN_DATE)
    assert received(sandbox, folder) == sent
    assert [c.accepted for c in again.campaigns] == [c.accepted for c in first.campaigns]
    assert again.exit_code == Exit.DONE
    assert "plans nothing new" in again.warnings[0]


def crashed(folder: Path) -> NightSummary:
    """A night that froze its audiences and ended before the first request."""
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    night.import_delivery()
    night.model()
    night.templates()
    night.audiences()
    summary = night.report()
    night.close()
    return summary


def test_what_a_crash_left_over_is_sent_by_the_next_run(ws: Workspace, folder: Path, sandbox: Sandbox) -> None:
    plan(ws, folder)
    before = crashed(folder)
    assert before.exit_code == Exit.FAILED
    assert all(c.pending == c.recipients and c.closes() for c in before.campaigns)
    after = run(folder)
    assert after.exit_code == Exit.DONE
    assert len(received(sandbox, folder)) == sum(c.recipients for c in before.campaigns)


def test_a_campaign_cancelled_after_its_audience_was_frozen_is_not_sent(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    plan(ws, folder)
    crashed(folder)
    ws.campaigns.cancel(SUMMER, comment="wrong code")
    summary = run(folder)
    summer, club = campaign(summary, SUMMER), campaign(summary, CLUB)
    assert (summer.cancelled, summer.accepted, summer.pending) == (summer.recipients, 0, 0)
    assert summer.closes()
    assert club.accepted == club.recipients


def test_what_changed_after_the_audience_was_frozen_holds_the_rest(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    plan(ws, folder)
    crashed(folder)
    ws.groups.save("Lapsed buyers", attr("country") == "DE")
    summary = run(folder)
    summer = campaign(summary, SUMMER)
    assert "rule of the target group" in summer.held
    assert (summer.accepted, summer.pending) == (0, summer.recipients)
    assert summary.exit_code == Exit.CAMPAIGN_HELD


def test_a_campaign_that_is_mended_and_approved_again_goes_out_the_same_night(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    plan(ws, folder)
    crashed(folder)
    ws.campaigns.submit({**CAMPAIGNS[0], "control": 0.5})
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(SUMMER, seen=approver.campaigns.preview(SUMMER))
    summary = run(folder)
    summer = campaign(summary, SUMMER)
    assert summer.accepted == summer.recipients
    assert summer.control > summer.recipients // 2
    assert summary.exit_code == Exit.DONE
    sent = received(sandbox, folder)
    assert len(sent) == len(set(sent))
    run(folder)
    assert received(sandbox, folder) == sent


def test_a_campaign_cancelled_while_its_audience_is_built_is_not_sent(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ws, folder)
    freeze = night_module.plan

    def cancel_first(*args: Any, campaign: Any, **options: Any) -> Any:
        if campaign.name == SUMMER:
            ws.campaigns.cancel(SUMMER)
        return freeze(*args, campaign=campaign, **options)

    monkeypatch.setattr(night_module, "plan", cancel_first)
    summary = run(folder)
    assert "was changed while its audience was built" in campaign(summary, SUMMER).held
    assert campaign(summary, CLUB).accepted == campaign(summary, CLUB).recipients
    assert len(received(sandbox, folder)) == campaign(summary, CLUB).recipients


def test_a_campaign_cancelled_while_it_is_sent_does_not_stop_the_night(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ws, folder)
    post = sending_module.send

    def cancel_after(store: Any, client: Any, audience: Any, **options: Any) -> Any:
        counts = post(store, client, audience, **options)
        if audience.campaign_name == SUMMER:
            ws.campaigns.cancel(SUMMER)
        return counts

    monkeypatch.setattr(sending_module, "send", cancel_after)
    summary = run(folder)
    assert summary.exit_code == Exit.DONE
    assert ws.campaigns.get(SUMMER).state == "cancelled"


def test_a_damaged_audience_stops_its_campaign_only_and_is_reported(
    ws: Workspace, folder: Path, sandbox: Sandbox
) -> None:
    plan(ws, folder)
    before = crashed(folder)
    with (folder / campaign(before, CLUB).audience).open("ab") as file:
        file.write(b"x")
    summary = run(folder)
    assert summary.exit_code == Exit.FAILED
    assert any("was changed since it was planned" in problem for problem in summary.problems)
    assert campaign(summary, SUMMER).accepted == campaign(summary, SUMMER).recipients
    assert campaign(summary, CLUB).pending == campaign(summary, CLUB).recipients


def test_an_app_group_that_left_the_settings_holds_its_campaign_only(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    crashed(folder)
    settings = folder / "optinb.toml"
    text = settings.read_text(encoding="utf-8")
    club = text[text.index("[[app_groups]]", text.index("[[app_groups]]") + 1) : text.index("# Gates")]
    settings.write_text(
        text.replace(club, "").replace("[import]", "[import]\nmax_reject_share = 0.9"), encoding="utf-8"
    )
    summary = run(folder)
    assert "'Club' isn't in optinb.toml" in campaign(summary, CLUB).held
    assert campaign(summary, SUMMER).accepted == campaign(summary, SUMMER).recipients


def test_a_dry_run_leaves_the_records_of_the_night_alone(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    run(folder)
    file = folder / "runs" / "2026-11-23" / "summary.json"
    before = file.read_bytes()
    run(folder, dry_run=True)
    assert file.read_bytes() == before
    assert json.loads((file.parent / "dry-run" / "summary.json").read_text())["dry_run"]
    customer = ws.why("000001")
    assert {a.campaign for a in customer.answers} == {SUMMER, CLUB}
    assert all(a.why != "was not frozen" for a in customer.answers)


def test_why_tells_what_became_of_a_recipient(ws: Workspace, folder: Path) -> None:
    plan(ws, folder)
    summary = crashed(folder)
    rows = pl.read_parquet(folder / campaign(summary, SUMMER).audience)
    customer = rows.filter(pl.col("outcome") == "recipient")["customer_id"][0]

    def answer() -> str:
        return next(a.why for a in ws.why(customer).answers if a.campaign == SUMMER)

    assert "still to be made" in answer()
    ws.campaigns.cancel(SUMMER)
    assert "gets no message: the send was stopped" in answer()


def test_a_cell_that_is_run_again_does_not_wait_for_its_own_kernel(ws: Workspace, folder: Path) -> None:
    first = nightly.begin("2026-11-23", str(folder))
    second = nightly.begin("2026-11-23", str(folder))
    assert second is not first
    second.close()


def test_only_a_dry_run_may_look_a_day_ahead() -> None:
    today = date(2026, 11, 23)
    assert nightly.parse_date("2026-11-24", today=today, dry_run=True) == date(2026, 11, 24)
    with pytest.raises(UsageError, match="when its day has begun"):
        nightly.parse_date("2026-11-24", today=today)
