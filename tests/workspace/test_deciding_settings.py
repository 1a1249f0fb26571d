"""Settings that decide who gets what, where and when are approved; those that don't may change. Every one is one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace
from stated_templates import state_any_time

import optinb
from optinb import attr, in_list, uses_app
from optinb.base.settings import TABLE_NAMES, Settings, SourceSection, Table, parse_settings
from optinb.campaigns import Campaign, campaign_from, content_parts, deciding_parts
from optinb.campaigns.part_words import part_words
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import Exit
from optinb.nightly import Night
from optinb.sandbox import Sandbox, demo_world

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from optinb.appboy import Template
    from optinb.measure import NightSummary
    from optinb.workspace import Workspace

FEATURE = """
[[features]]
name = "shoes"
from = "purchases"
how = "max"
of = "day"
days = 90
"""
SPEND = """
[[features]]
name = "shoes"
how = "sum"
of = "amount"
where = { category = "shoes" }
days = 90
"""
CAP = "\n[[policy.caps]]\nmessages = 3\ndays = 7\n"
SOURCE = '\n[[sources]]\ntable = "customers"\nquery = "SELECT 1"\naddress = "env:SHOP"\n'
FROM = "address env:SHOP; name source; query SELECT 1; table customers"
SETTINGS = parse_settings(demo_settings("http://127.0.0.1:1") + FEATURE + CAP + SOURCE)
RULE = (attr("shoes") > 10) & (attr("micro_segment") == "x") & uses_app(platform="ios")

# What an approval is of: another value holds every campaign that it decides about.
BOUND: dict[str, Any] = {
    "workspace.time_zone": "Pacific/Auckland",
    "workspace.currency": "USD",
    "workspace.identity": "login",
    "workspace.hub": "https://hub.example.com/hub/api",
    "app_groups.id": "other",
    "app_groups.api": "https://rest.iad-01.braze.com",
    "app_groups.auth": "app_group_id",
    "app_groups.key": "env:OTHER_KEY",
    "app_groups.proxy": "http://proxy.example.com:3128",
    "app_groups.apps.id": "other-app",
    "app_groups.apps.platform": "web",
    "app_groups.apps.sdk_from_version": "9.9",
    "imports.missing": ("-",),
    "imports.columns": {"push_opt_in": "email_opt_in"},
    "imports.drop_repeated_events": False,
    "imports.max_age_days": 30,
    "imports.max_age": {"customers": 90},
    "sources.table": "app_users",
    "sources.query": "SELECT 2",
    "sources.address": "env:OTHER",
    "sources.name": "other",
    "lifecycle.new_days": 5,
    "lifecycle.churn_days": 5,
    "lifecycle.churn_percentile": 0.6,
    "lifecycle.churn_rhythm": 2.0,
    "lifecycle.reactivated_days": 5,
    "lifecycle.value_days": 5,
    "lifecycle.risk_days": 5,
    "models.layers": ("spend",),
    "models.refit_days": 5,
    "features.name": "boots",
    "features.source": "events",
    "features.how": "min",
    "features.of": "quantity",
    "features.where": {"category": "hats"},
    "features.days": 30,
    "send.late_minutes": 600,
    "policy.global_control": 0.2,
    "policy.quiet_from": "21:00",
    "policy.quiet_until": "09:00",
    "policy.template_edited": "tell",
    "policy.refuse_live_content": ("profile",),
    "policy.caps.messages": 9,
    "policy.caps.days": 2,
    "policy.caps.per": "week",
    "policy.caps.app_group": "Shop",
}
LOOKED_AT_ANEW = "whose approval counts is looked at anew each night"
HOW_FAST = "how fast, and how often again; nobody gets anything else"
GATE = "a gate of the whole delivery, told in the night's report; the approved size limits what comes of it"
# What no approval is of, and why another value may come without one.
FREE: dict[str, tuple[Any, str]] = {
    "serve.address": ("https://crm.example.com/", "where people look at campaigns"),
    "notify.command": (("tell",), "who is told of a decision, not what goes out"),
    "notify.within_s": (9.0, "who is told of a decision, not what goes out"),
    "workspace.approvers": (("other",), LOOKED_AT_ANEW),
    "workspace.hub_ca": ("/etc/ssl/hub.pem", "how the hub is known; its address is approved"),
    "workspace.group": ("push-team", "who may read files"),
    "workspace.approve_own": (True, LOOKED_AT_ANEW),
    "workspace.state": ("env:OTHER", "the approvals themselves lie there"),
    "workspace.keep_versions": (3, "how long the past is kept"),
    "app_groups.name": ("Other", "a name for people; its id counts"),
    "app_groups.apps.name": ("Other", "a name for people; its id counts"),
    "imports.required": (("customers",), GATE),
    "imports.max_reject_share": (0.5, GATE),
    "imports.max_emptied_share": (0.5, GATE),
    "imports.max_shrink": (0.5, GATE),
    "imports.max_growth": (2.0, GATE),
    "imports.future_tolerance_minutes": (5, GATE),
    "imports.max_ids_per_person": (5, GATE),
    "imports.max_consent_change": (0.5, GATE),
    "imports.max_null_change": (0.5, GATE),
    "imports.max_true_change": (0.5, GATE),
    "imports.max_distinct_change": (0.5, GATE),
    "imports.max_median_change": (0.6, GATE),
    "imports.max_unpacked_gb": (1.0, GATE),
    "imports.settle_seconds": (1.0, "how long a file is waited for"),
    "sources.batch_rows": (1, HOW_FAST),
    "features.sentence": ("Other words.", "words for people"),
    "labels": ({"country": "land"}, "words for people"),
    "send.window_batches": (1, HOW_FAST),
    "send.concurrency": (1, HOW_FAST),
    "send.timeout_s": (1.0, HOW_FAST),
    "send.max_tries": (1, HOW_FAST),
    "send.after_500": ("unknown", "whether what Appboy failed at is tried again; nobody gets anything else"),
    "send.recall_minutes": (1, HOW_FAST),
    "send.max_refusals": (1, HOW_FAST),
    "send.reach_sample": (0, "how many customers Appboy is asked about; who gets what doesn't depend on it"),
    "send.an_hour": (1, HOW_FAST),
    "send.reserve": (0.5, HOW_FAST),
    "confirm.minutes": (1.0, "how long Appboy is asked about earlier nights; nobody gets anything else"),
    "engine.default": ("duckdb", "every engine finds the same customers"),
    "engine.spark_master": ("spark://a:1", "every engine finds the same customers"),
    "network.outgoing_addresses": (("203.0.113.7",), "only `optinb doctor` reads it"),
    "network.plain_http_hosts": (("a.example",), "which address is called is approved with the address itself"),
    "policy.control": (0.5, "what a new campaign begins with; each campaign has its own"),
    "policy.approval_days": (5, LOOKED_AT_ANEW),
    "policy.keys": ({"boss": "x"}, LOOKED_AT_ANEW),
}


def fields_of(kind: type[Struct], path: str = "") -> set[str]:
    """The path of every setting, through tables and lists of tables."""
    found: set[str] = set()
    for name, hint in get_type_hints(kind).items():
        inside = [t for t in (hint, *get_args(hint)) if isinstance(t, type) and issubclass(t, Struct)]
        found |= fields_of(inside[0], f"{path}{name}.") if inside else {f"{path}{name}"}
    return found


def changed(value: Any, path: Sequence[str], new: Any) -> Any:
    """A value of settings with another one at a path; of a list of tables, in its first."""
    if isinstance(value, tuple):
        return (changed(value[0], path, new), *value[1:])
    inner = new if len(path) == 1 else changed(getattr(value, path[0]), path[1:], new)
    return replace(value, **{path[0]: inner})


def source_of(table: Table, *, query: str = "SELECT 1") -> SourceSection:
    return SourceSection(table=table, query=query, address="env:SHOP", name="more")


@pytest.fixture
def template(ws: Workspace) -> Template:
    return ws.templates.get("Shop", "Optimove_SummerSale_iOS")


def parts_under(settings: Settings, template: Template, campaign: Campaign) -> dict[str, str]:
    group = settings.app_groups[0]
    content = content_parts(campaign, rule_json="r", templates=[template], app_group=group)
    return content | deciding_parts(settings, campaign, RULE, delivered=("country",), scores=(), imports=())


def test_every_setting_is_a_part_of_an_approval_or_explicitly_none(template: Template) -> None:
    """A new setting must be put into one of both tables."""
    assert fields_of(Settings) == BOUND.keys() | FREE.keys()
    assert not BOUND.keys() & FREE.keys()
    campaign = campaign_from({**CAMPAIGNS[0], "properties": {"a": {"attribute": "stage", "default": "x"}}})
    before = parts_under(SETTINGS, template, campaign)
    for path, value in BOUND.items():
        assert parts_under(changed(SETTINGS, path.split("."), value), template, campaign) != before, path
    for path, (value, reason) in FREE.items():
        assert changed(SETTINGS, path.split("."), value) != SETTINGS, path
        assert parts_under(changed(SETTINGS, path.split("."), value), template, campaign) == before, (path, reason)


def test_settings_that_a_campaign_does_not_read_hold_nothing(template: Template) -> None:
    campaign = campaign_from(CAMPAIGNS[0])

    def parts(settings: Settings) -> dict[str, str]:
        return deciding_parts(
            settings, campaign, attr("country") == "DE", delivered=("country",), scores=(), imports=()
        )

    before = parts(SETTINGS)
    for path in ("features.days", "lifecycle.new_days", "models.refit_days", "app_groups.apps.platform"):
        assert parts(changed(SETTINGS, path.split("."), BOUND[path])) == before, path
    for table in TABLE_NAMES:
        more = replace(SETTINGS, sources=(*SETTINGS.sources, source_of(table)))
        # who is one person decides about everybody: whose consent counts, and who gets one message instead of two
        is_read = table in ("customers", "app_users", "customer_ids")
        assert (parts(more) != before) == is_read, table
        edited = replace(SETTINGS, sources=(*SETTINGS.sources, source_of(table, query="SELECT 2")))
        assert (parts(edited) != parts(more)) == is_read, table
    # a delivered column is never hidden by one of the models, so that it isn't defined by the settings
    delivered = deciding_parts(SETTINGS, campaign, attr("stage") == "new", delivered=("stage",), scores=(), imports=())
    assert delivered["definitions of figures"] == "{}"


def test_the_moment_of_a_single_date_is_approved_and_the_zone_of_wall_times() -> None:
    def clock(schedule: dict[str, Any], zone: str) -> str:
        settings = changed(SETTINGS, ["workspace", "time_zone"], zone)
        campaign = campaign_from({**CAMPAIGNS[0], "schedule": schedule})
        return deciding_parts(settings, campaign, RULE, delivered=(), scores=(), imports=())["time zone"]

    once = {"date": "2026-11-23", "at": "23:30"}
    assert clock(once, "Europe/Berlin") == "Europe/Berlin, 2026-11-23 22:30 UTC"
    assert clock(once, "America/New_York") == "America/New_York, 2026-11-24 04:30 UTC"
    assert clock({"every": "day", "at": "23:30"}, "Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("time zone", "Europe/Berlin, 2026-11-23 17:30 UTC"),
        ("latest start", "at most 15 minutes late"),
        ("policy", "at most 3 in any 7 days"),
        ("promotion codes", "200 codes of import abcdef12, 5 codes of import ?"),
        ("oldest data", "days 2"),
        ("platforms of apps", "club-android android; club-ios ios; shop-android android; shop-ios ios"),
        (
            "how deliveries are read",
            "currency EUR; no value NULL, \\N, n/a, None, nan, #N/A; repeated events left out yes; sources " + FROM,
        ),
    ],
)
def test_what_the_settings_decide_reads_in_words(part: str, words: str) -> None:
    imports = [("abcdef1234", 200), ("", 5)]
    parts = deciding_parts(SETTINGS, campaign_from(CAMPAIGNS[0]), RULE, delivered=(), scores=(), imports=imports)
    assert part_words(part, parts[part]) == words
    figures = part_words("definitions of figures", parts["definitions of figures"])
    assert "shoes days 90; from purchases; how max; of day" in figures


def approve(ws: Workspace, campaign: dict[str, Any]) -> None:
    ws.campaigns.submit(campaign)
    with optinb.open_workspace(ws.root, user=APPROVER) as boss:
        boss.campaigns.approve(campaign["name"], seen=boss.campaigns.preview(campaign["name"]))


def run(folder: Path, day: date = RUN_DATE, *, steps: int = 5) -> NightSummary:
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), day)
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends)[:steps]:
            step()
        return night.report()
    finally:
        night.close()


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "optinb.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def sent(folder: Path) -> list[dict[str, Any]]:
    file = folder.parent / "sandbox.jsonl"
    lines = [msgspec.json.decode(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line["endpoint"].endswith("schedule/create")]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'time_zone = "Europe/Berlin"',
            'time_zone = "America/New_York"',
            "time zone; approve it again (time zone was Europe/Berlin and is America/New_York)",
        ),
        ('key = "env:OPTINB_CLUB_KEY"', 'key = "env:OPTINB_SHOP_KEY"', "key of the app group"),
        ("# late_minutes = 15 ", "late_minutes = 600 ", "latest start was at most 15 minutes late and is at most 600"),
        ("# max_age_days = 2 ", "max_age_days = 99 ", "oldest data was days 2 and is days 99"),
        ("# global_control = 0.02 ", "global_control = 0.5 ", "policy was none and is global control 50.0%"),
        ("[policy]\n", '[policy]\nquiet_from = "22:00"\nquiet_until = "08:00"\n', "no message from 22:00 to 08:00"),
        ("[policy]\n", "[policy]\n[[policy.caps]]\nmessages = 1\ndays = 7\n", "at most 1 in any 7 days"),
    ],
)
def test_a_setting_that_was_changed_after_the_approval_holds_in_words_until_it_is_approved(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    approve(ws, CAMPAIGNS[1])
    edit(folder, old, new)
    if "env:OPTINB_SHOP_KEY" in new:
        monkeypatch.setenv("OPTINB_SHOP_KEY", "sandbox-club-key")  # the templates can be looked at all the same
    summary = run(folder)
    (campaign,) = summary.campaigns
    assert summary.exit_code == Exit.CAMPAIGN_HELD
    assert "changed since demo-approver approved it" in (campaign.held or "")
    assert told in (campaign.held or "")
    assert not sent(folder)
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(CAMPAIGNS[1]["name"], seen=boss.campaigns.preview(CAMPAIGNS[1]["name"]))
    assert run(folder).exit_code == Exit.DONE
    assert sent(folder)


def test_another_server_gets_nobodys_message(ws: Workspace, folder: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    approve(ws, CAMPAIGNS[1])
    world = demo_world()
    with Sandbox(world, journal=tmp_path / "elsewhere.jsonl", now=sandbox.clock.now()) as elsewhere:
        edit(folder, sandbox.url, elsewhere.url)
        (campaign,) = run(folder).campaigns
        assert f"address of Appboy was {sandbox.url} and is {elsewhere.url}" in (campaign.held or "")
        assert not world.dispatches
    edit(folder, elsewhere.url, sandbox.url)
    assert run(folder).exit_code == Exit.DONE
    assert sent(folder)


def test_a_feature_that_is_defined_anew_under_the_same_rule_holds(folder: Path) -> None:
    edit(folder, "# Further figures", SPEND + "\n# Further figures")
    with optinb.open_workspace(folder, user=AUTHOR) as ws:
        ws.templates.sync()
        state_any_time(ws)
        ws.model(RUN_DATE)
        ws.groups.save("Shoes", attr("shoes") >= 0)
        ws.groups.save("Neighbours", attr("country") == "AT")
        approve(ws, {**CAMPAIGNS[1], "group": "Shoes"})
        approve(ws, {**CAMPAIGNS[1], "name": "Other", "group": "Neighbours"})
    edit(folder, "days = 90\n", "days = 30\n")
    held = {c.name: c.held for c in run(folder).campaigns}
    assert "approved it: definitions of figures" in (held[CAMPAIGNS[1]["name"]] or "")
    assert held["Other"] is None


def test_codes_that_were_imported_after_the_approval_hold_and_codes_that_are_given_out_do_not(
    ws: Workspace, folder: Path
) -> None:
    ws.codes.add("Drinks", [f"D{n}" for n in range(3_000)])
    campaign = {**CAMPAIGNS[1], "offer": {"name": "Drink", "kind": "gift", "codes": "drinks"}}
    campaign["properties"] = {**CAMPAIGNS[1]["properties"], "promo_code": {"offer": "code"}}
    approve(ws, campaign)
    assert run(folder).exit_code == Exit.DONE
    before = ws.campaigns.resolve(ws.campaigns.get(campaign["name"]).campaign).parts()
    approval = ws.campaigns.get(campaign["name"]).approval
    assert approval is not None
    assert before == approval.parts
    assert ws.codes.get("Drinks").left < 3_000
    ws.codes.add("Drinks", ["more"])
    now = ws.campaigns.resolve(ws.campaigns.get(campaign["name"]).campaign).parts()
    assert {name for name in now if now[name] != before[name]} == {"promotion codes"}


def test_another_content_of_a_list_is_told_by_its_version(ws: Workspace) -> None:
    ids = ws.customers().head(400).collect()["customer_id"].to_list()
    ws.lists.save("Fair", ids)
    ws.groups.save("Visitors", in_list("Fair"))
    approve(ws, {**CAMPAIGNS[1], "group": "Visitors"})
    before = ws.campaigns.get(CAMPAIGNS[1]["name"]).approval
    assert before is not None
    ws.lists.save("Fair", ids[:399])
    now = ws.campaigns.preview(ws.campaigns.get(CAMPAIGNS[1]["name"]).campaign)
    assert now.changed == ("rule of the target group",)
    rule = "rule of the target group"
    words = part_words(rule, before.parts[rule]), part_words(rule, now.parts[rule])
    assert all("on the list" in w and "list “Fair” in version" in w for w in words)
    assert words[0] != words[1]


def test_what_an_earlier_release_froze_is_finished_and_its_next_night_waits_for_an_approval(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("optinb.planning.resolved.deciding_parts", lambda *_, **__: {})
        approve(ws, CAMPAIGNS[1])
        (frozen,) = run(folder, steps=4).campaigns
        assert frozen.pending == frozen.recipients > 100
    (finished,) = run(folder).campaigns
    assert (finished.held, finished.accepted) == (None, frozen.recipients)
    monkeypatch.setenv("OPTINB_NOW", "2026-11-24T02:00:00+01:00")
    before = len(sent(folder))
    (waits,) = run(folder, RUN_DATE + timedelta(days=1)).campaigns
    assert "approved it before these were a part of an approval: who says who works, time zone," in (waits.held or "")
    assert len(sent(folder)) == before
