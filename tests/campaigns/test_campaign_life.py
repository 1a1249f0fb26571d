from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from optinb.appboy import template_from_details
from optinb.appboy.wire import CampaignDetails
from optinb.base.settings import AppGroupSettings, AppSettings
from optinb.campaigns import (
    Campaign,
    CampaignRecord,
    SizeBand,
    approve,
    campaign_from,
    cancel,
    check_schedule,
    content_parts,
    fingerprint,
    finish,
    read_campaign,
    reject,
    submit,
    why_held,
    why_held_by_size,
)
from optinb.errors import ApprovalError, CampaignError

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
FIELDS = {
    "name": "Summer, lapsed",
    "channel": "Appboy Push",
    "app_group": "Shop",
    "template": "Optimove_SummerSale_iOS",
    "group": "Lapsed buyers",
    "control": 0.1,
    "schedule": {"every": "day", "at": "18:30"},
    "properties": {"first_name": {"attribute": "first_name", "default": "there"}, "code": {"value": "SUMMER"}},
}
PARTS = {"rule": "a", "template": "b"}


def submitted(campaign: Campaign | None = None) -> CampaignRecord:
    return submit(campaign or campaign_from(FIELDS), user="author", now=NOW, earlier=None)


def approved(parts: dict[str, str] = PARTS, recipients: int = 1000) -> CampaignRecord:
    return approve(
        submitted(), user="boss", approvers=["boss"], approve_own=False, now=NOW, parts=parts, recipients=recipients
    )


def test_a_campaign_file_is_read(tmp_path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(
        'name = "Summer, lapsed"\nchannel = "Appboy Push"\napp_group = "Shop"\ntemplate = "Optimove_SummerSale_iOS"\n'
        'group = "Lapsed buyers"\ncontrol = 0.1\n[schedule]\nevery = "day"\nat = "18:30"\n[properties]\n'
        'first_name = { attribute = "first_name", default = "there" }\ncode = { value = "SUMMER" }\n'
    )
    assert read_campaign(file) == campaign_from(FIELDS)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"control": 1.0}, "less than 1"),
        ({"control": "x"}, "less than 1"),
        ({"chanel": "x"}, "did you mean 'channel'"),
        ({"channel": "E-mail"}, "there is 'Appboy Push'"),
        ({"schedule": {"every": "day", "at": "6pm"}}, "HH:MM"),
        ({"schedule": {"every": "day", "at": "24:00"}}, "HH:MM"),
        ({"schedule": {"at": "18:30"}}, "either every"),
        ({"schedule": {"at": "18:30", "every": "day", "date": "2026-01-01"}}, "either every"),
        ({"schedule": {"at": "18:30", "date": "2026-02-30"}}, "date"),
        ({"schedule": {"at": "18:30", "dat": "2026-02-20"}}, "did you mean 'date'"),
        ({"properties": {"x": {}}}, "either value or attribute"),
        ({"properties": {"x": {"value": "a", "attribute": "b"}}}, "either value or attribute"),
        ({"properties": {"x": {"value": "a" * 2_000_000}}}, "2,000,000 characters"),
        ({"properties": {"x": {"value": float("nan")}}}, "no value that a message can show"),
        ({"properties": {"x": {"attribute": "a", "default": float("inf")}}}, "no value that a message can show"),
        ({"control": float("nan")}, "less than 1"),
        ({"name": " x"}, "space"),
        ({"name": "a\nb"}, "printable"),
        ({"name": ""}, "name"),
    ],
)
def test_a_field_that_makes_no_sense_is_named_with_the_remedy(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(CampaignError, match=complaint):
        campaign_from({**FIELDS, **change})


def test_a_file_that_is_no_toml_or_is_not_there_is_said(tmp_path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfename = ")
    (tmp_path / "folder.toml").mkdir()
    for name in ("bad.toml", "missing.toml", "folder.toml"):
        with pytest.raises(CampaignError, match=name):
            read_campaign(tmp_path / name)


def test_the_author_cannot_approve_and_only_approvers_can() -> None:
    def by(user: str, *, approve_own: bool = False) -> CampaignRecord:
        return approve(
            submitted(),
            user=user,
            approvers=["boss", "author"],
            approve_own=approve_own,
            now=NOW,
            parts=PARTS,
            recipients=10,
        )

    with pytest.raises(ApprovalError, match="a second person must"):
        by("author")
    with pytest.raises(ApprovalError, match=r"approvers in optinb\.toml are 'boss'"):
        by("stranger")
    assert by("boss").state == "approved"
    assert by("author", approve_own=True).state == "approved"


def test_only_a_submitted_campaign_can_be_decided_on() -> None:
    with pytest.raises(ApprovalError, match="is approved; only a submitted"):
        approve(approved(), user="boss", approvers=["boss"], approve_own=False, now=NOW, parts=PARTS, recipients=1)
    with pytest.raises(ApprovalError, match="is approved"):
        reject(approved(), user="boss", approvers=["boss"], comment="", now=NOW)


def test_an_approved_campaign_goes_out_as_it_was_approved() -> None:
    assert why_held(approved(), PARTS) is None


@pytest.mark.parametrize("part", list(PARTS))
def test_what_changed_since_the_approval_is_named(part: str) -> None:
    assert f"approved it: {part};" in (why_held(approved(), {**PARTS, part: "changed"}) or "")


def test_a_part_that_is_new_or_gone_holds_the_campaign() -> None:
    assert "apps" in (why_held(approved(), {**PARTS, "apps": "x"}) or "")
    assert "template" in (why_held(approved(), {"rule": "a"}) or "")


def test_an_edited_approval_does_not_match_its_fingerprint() -> None:
    record = approved()
    assert record.approval is not None
    forged = replace(record, approval=replace(record.approval, parts={**PARTS, "rule": "evil"}))
    assert "fingerprint" in (why_held(forged, {**PARTS, "rule": "evil"}) or "")


def test_submitting_again_voids_the_approval_and_keeps_the_identity() -> None:
    first = approved()
    again = submit(replace(first.campaign, control=0.2), user="other", now=NOW, earlier=first)
    assert (again.state, again.approval, again.version, again.id) == ("submitted", None, first.version + 1, first.id)
    assert "not approved" in (why_held(again, PARTS) or "")


def test_cancelled_rejected_and_done_campaigns_stay_so() -> None:
    cancelled = cancel(approved(), comment="no", now=NOW)
    done = finish(approved(), now=NOW)
    assert (cancelled.state, cancelled.approval, done.state) == ("cancelled", None, "done")
    for record in (cancelled, done):
        with pytest.raises(CampaignError, match="nothing to cancel"):
            cancel(record, comment="", now=NOW)
        assert why_held(record, PARTS) is not None
    with pytest.raises(CampaignError, match="under another name"):
        submit(done.campaign, user="a", now=NOW, earlier=done)
    rejected = reject(submitted(), user="boss", approvers=["boss"], comment="too many", now=NOW)
    assert (rejected.state, rejected.comment) == ("rejected", "too many")


@pytest.mark.parametrize(
    ("approved_size", "tonight", "goes"),
    [(1000, 500, True), (1000, 2000, True), (1000, 499, False), (1000, 2001, False), (10, 0, True), (10, 61, False)],
)
def test_the_size_may_move_within_the_approved_band(approved_size: int, tonight: int, goes: bool) -> None:
    assert SizeBand.around(approved_size).holds(tonight) is goes
    assert (why_held_by_size(approved(recipients=approved_size), tonight) is None) is goes


def test_every_part_of_what_goes_out_is_in_the_fingerprint() -> None:
    details = {
        "name": "Sale",
        "schedule_type": "api_triggered",
        "channels": ["ios_push"],
        "draft": False,
        "archived": False,
        "enabled": True,
        "updated_at": "2026-11-01T00:00:00+00:00",
        "messages": {"m1": {"channel": "ios_push", "alert": "Hello"}},
    }
    template = template_from_details("g", "t", msgspec.convert(details, CampaignDetails))
    changed = {**details, "messages": {"m1": {"channel": "ios_push", "alert": "Bye"}}}
    other = template_from_details("g", "t", msgspec.convert(changed, CampaignDetails))
    group = AppGroupSettings(
        id="g",
        name="Shop",
        api="http://127.0.0.1:1",
        key="env:K",
        apps=(AppSettings(id="a", name="A", platform="ios"),),
    )
    newer = replace(group, apps=(AppSettings(id="a", name="A", platform="ios", sdk_from_version="2"),))
    base = campaign_from(FIELDS)
    variants = [
        content_parts(base, rule_json="r", templates=[template], app_group=group),
        content_parts(base, rule_json="R", templates=[template], app_group=group),
        content_parts(base, rule_json="r", templates=[other], app_group=group),
        content_parts(base, rule_json="r", templates=[template], app_group=newer),
        content_parts(replace(base, control=0.2), rule_json="r", templates=[template], app_group=group),
        content_parts(replace(base, properties={}), rule_json="r", templates=[template], app_group=group),
        content_parts(
            replace(base, schedule=replace(base.schedule, at="18:31")),
            rule_json="r",
            templates=[template],
            app_group=group,
        ),
    ]
    assert len({fingerprint(parts) for parts in variants}) == len(variants)
    assert content_parts(base, rule_json="r", templates=[template], app_group=group) == variants[0]


def test_local_times_become_utc_also_when_clocks_change() -> None:
    def at(day: date, time: str) -> datetime:
        return campaign_from({**FIELDS, "schedule": {"every": "day", "at": time}}).schedule.send_at(day, BERLIN)

    assert at(date(2026, 7, 1), "18:30") == datetime(2026, 7, 1, 16, 30, tzinfo=UTC)
    assert at(date(2026, 11, 23), "18:30") == datetime(2026, 11, 23, 17, 30, tzinfo=UTC)
    skipped = at(date(2026, 3, 29), "02:30")
    assert skipped.astimezone(BERLIN).strftime("%H:%M") == "03:30"
    assert at(date(2026, 10, 25), "02:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_date_in_the_past_or_too_far_ahead_is_refused() -> None:
    def on(day: str) -> Campaign:
        return campaign_from({**FIELDS, "schedule": {"date": day, "at": "18:30"}})

    check_schedule(on("2026-11-23").schedule, now=NOW, zone=BERLIN)
    with pytest.raises(CampaignError, match="has passed"):
        check_schedule(on("2026-11-22").schedule, now=NOW, zone=BERLIN)
    with pytest.raises(CampaignError, match="90 days"):
        check_schedule(on("2027-03-01").schedule, now=NOW, zone=BERLIN)


def test_ids_depend_on_the_name_only() -> None:
    one, two = campaign_from(FIELDS), campaign_from({**FIELDS, "control": 0.5})
    assert one.id == two.id != campaign_from({**FIELDS, "name": "Other"}).id
    assert one.slug.startswith("summer-lapsed-")
    assert campaign_from({**FIELDS, "name": "夏"}).slug.isalnum()
