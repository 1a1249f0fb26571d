"""A week of nights on the Complete Journey data: a workspace, and the sandbox in a process of its own.

The first half year is imported on 2017-07-01, two campaigns are submitted by one person and approved by another, and
the nights follow one by one, each at two in the morning in New York on the pretended clock. The first night runs as a
scheduler would run it, `optinb nightly` in a process of its own with papermill; the others take the same steps in this
process, which is quicker. `TWICE` is run a second time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest
from complete_journey import BABY_PRODUCTS, CURRENCY, FIRST_RUN, GROUPS, ZONE, Counts, write_nights
from free_ports import free_port
from stated_templates import state_any_time

import optinb
from optinb import attr, did, nightly
from optinb.base.workspace_folder import init_workspace
from optinb.sandbox import AppGroup, Key, push_campaign
from optinb.sandbox.screened import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace

NIGHTS = 7
TWICE = FIRST_RUN + timedelta(days=3)
AUTHOR, APPROVER, SCHEDULER = "cj-author", "cj-approver", "cj-scheduler"
KEYS = {"OPTINB_GROCERY_KEY": "sandbox-grocery-key", "OPTINB_CLUB_KEY": "sandbox-club-key"}
SDK_FROM = {"cj-club-ios": "2.0.0"}
WINDOW_DAYS = 60
RANK_ABOVE = 2  # few of those who churned are worth more
PARENTS, LAPSED = "Young parents", "Churned, of some value"
RULES = {
    PARENTS: did("purchase").where(attr("product").one_of(BABY_PRODUCTS)).within(days=WINDOW_DAYS),
    LAPSED: (attr("stage") == "churned")
    & attr("value_segment").one_of(["high", "medium", "low"])
    & (attr("value_rank") > RANK_ABOVE),
}
CAMPAIGNS: dict[str, dict[str, Any]] = {
    "Baby week": {
        "name": "Baby week",
        "app_group": "Club",
        "template": "Optimove_BabyWeek",
        "group": PARENTS,
        "control": 0.1,
        "schedule": {"every": "day", "at": "18:30"},
        "properties": {
            "household": {"attribute": "household_comp", "default": "your family"},
            "promo_code": {"value": "BABY"},
        },
    },
    "Come back": {
        "name": "Come back",
        "app_group": "Grocery",
        "template": "Optimove_ComeBack_Android",
        "group": LAPSED,
        "control": 0.25,
        "schedule": {"every": "day", "at": "09:15"},
        "properties": {"size": {"attribute": "household_size", "default": "any"}},
    },
}
# Of each campaign, where its messages may arrive: the apps of its app group on the platforms of its template.
APPS = {"Baby week": ("cj-club-ios", "cj-club-android"), "Come back": ("cj-android",)}
STEPS = ("import_delivery", "model", "templates", "audiences", "sends")


@dataclass(frozen=True)
class Files:
    """The Parquet files of the warehouse: size and time of change (ns) by path."""

    by_path: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, root: Path) -> Files:
        """As they are now."""
        folder = root / "warehouse"
        found = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*.parquet")}
        return cls({path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()})


@dataclass(frozen=True)
class Night:
    """One run of a night: its summary as JSON has it, what the sandbox's journal gained, and the files it left."""

    day: date
    summary: dict[str, Any]
    sent: list[dict[str, Any]]
    files: Files

    def campaign(self, name: str) -> dict[str, Any]:
        """The figures of one campaign."""
        return next(c for c in self.summary["campaigns"] if c["name"] == name)


@dataclass
class Journey:
    """Everything that happened: the `nights`, and `again`, the second run of `TWICE`."""

    root: Path
    api: str
    world: tuple[AppGroup, ...]
    written: dict[date, Counts]
    stdout: str = ""
    before: Files | None = None
    nights: list[Night] = field(default_factory=list)
    again: Night | None = None

    def runs(self) -> Iterator[Night]:
        """Every run, in its order."""
        for night in self.nights:
            yield night
            if night.day == TWICE and self.again is not None:
                yield self.again

    def template_id(self, campaign: str) -> str:
        """The id in the sandbox of a campaign's template."""
        wanted = CAMPAIGNS[campaign]
        group = next(g for g in self.world if g.name == wanted["app_group"])
        return next(c.id for c in group.campaigns if c.name == wanted["template"])


def at_two(day: date) -> datetime:
    """Two in the morning of a day in New York."""
    return datetime.combine(day, time(2), tzinfo=ZoneInfo(ZONE))


def environment(day: date, *, user: str = SCHEDULER) -> dict[str, str]:
    """What somebody who works at two in the morning of a day has set, and nothing of whoever runs the tests."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("OPTINB_")}
    return {**mine, **KEYS, "OPTINB_NOW": at_two(day).isoformat(), "OPTINB_USER": user}


@contextmanager
def working(root: Path, day: date, *, user: str) -> Iterator[Workspace]:
    """The workspace as somebody opens it on a night, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("OPTINB_")]:
            patch.delenv(name)
        for name, value in environment(day, user=user).items():
            patch.setenv(name, value)
        with optinb.open_workspace(root) as ws:
            yield ws


@contextmanager
def sandbox_process(folder: Path, world: tuple[AppGroup, ...]) -> Iterator[str]:
    """`optinb sandbox` in a process of its own, with its journal in the folder; gives its address."""
    file = folder / "world.json"
    file.write_bytes(msgspec.json.encode({"app_groups": world}))
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    options = {"port": port, "journal": folder / "sandbox.jsonl", "world": file, "now": at_two(FIRST_RUN).isoformat()}
    command = [sys.executable, "-m", "optinb", "sandbox", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(FIRST_RUN), stdout=log, stderr=log)
        try:
            # it isn't listening yet: the transport tries again, a little later each time
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
                client.get(f"{api}/sandbox/clock").raise_for_status()
            yield api
        finally:
            process.terminate()
            process.wait(timeout=20)


def travel(folder: Path) -> Iterator[Journey]:
    """Makes the whole journey in a folder, and keeps the sandbox running until the caller is done."""
    root, world = folder / "ws", make_app_groups()
    with sandbox_process(folder, world) as api:
        init_workspace(root, settings=settings(api, world))
        journey = Journey(root, api, world, write_nights(root / "inbox", nights=NIGHTS))
        plan(root)
        journey.before = Files.of(root)
        first, *others = journey.written
        journey.nights.append(_run(journey, first, by=_scheduler))
        for day in others:
            move_clock(api, at_two(day))
            journey.nights.append(_run(journey, day, by=_steps))
            if day == TWICE:
                journey.again = _run(journey, day, by=_steps)
        move_clock(api, at_two(max(journey.written) + timedelta(days=1)))
        yield journey


def make_app_groups() -> tuple[AppGroup, ...]:
    """Grocery and Club as their teams have set them up in Appboy, each with a template that no campaign uses."""
    texts = {
        "Optimove_BabyWeek": "For {{api_trigger_properties.${household}}}: {{api_trigger_properties.${promo_code}}}",
        "Optimove_ComeBack_Android": "A basket for {{api_trigger_properties.${size} | default: 'you'}}",
    }
    groups = []
    for name in GROUPS:
        group_id = f"{name.lower()}-app-group"
        own = [
            push_campaign(
                c["template"],
                platforms=("android",) if c["template"].endswith("_Android") else ("ios", "android"),
                alert=texts[c["template"]],
                app_group_id=group_id,
                re_eligible_after_s=0,
            )
            for c in CAMPAIGNS.values()
            if c["app_group"] == name
        ]
        other = push_campaign("Optimove_Unused_iOS", app_group_id=group_id, number=1)
        groups.append(
            AppGroup(
                group_id, name, keys=(Key(f"sandbox-{name.lower()}-key"),), campaigns=(*own, other), time_zone=ZONE
            )
        )
    return tuple(groups)


def settings(api: str, world: tuple[AppGroup, ...]) -> str:
    """The `optinb.toml` of the workspace."""
    lines = [
        "[workspace]",
        f'time_zone = "{ZONE}"',
        f'currency = "{CURRENCY}"',
        f'approvers = ["{APPROVER}"]',
        'identity = "asserted"',
    ]
    for group in world:
        lines += [
            "[[app_groups]]",
            f'id = "{group.id}"',
            f'name = "{group.name}"',
            f'api = "{api}"',
            f'key = "env:OPTINB_{group.name.upper()}_KEY"',
        ]
        for app, platform in zip(GROUPS[group.name], ("ios", "android"), strict=True):
            lines += ["[[app_groups.apps]]", f'id = "{app}"', f'name = "{app}"', f'platform = "{platform}"']
            if app in SDK_FROM:
                lines.append(f'sdk_from_version = "{SDK_FROM[app]}"')
    return "\n".join(lines) + "\n"


def plan(root: Path) -> None:
    """The first delivery, the target groups, and two campaigns that one person submits and another approves."""
    with working(root, FIRST_RUN, user=AUTHOR) as ws:
        ws.import_delivery(FIRST_RUN)
        ws.model(FIRST_RUN)
        ws.templates.sync()
        state_any_time(ws)
        for name, rule in RULES.items():
            ws.groups.save(name, rule)
        for campaign in CAMPAIGNS.values():
            ws.campaigns.submit(campaign)
    with working(root, FIRST_RUN, user=APPROVER) as ws:
        for name in CAMPAIGNS:
            ws.campaigns.approve(name, seen=ws.campaigns.preview(name))


def move_clock(api: str, to: datetime) -> None:
    """Moves the sandbox's clock ahead."""
    httpx.post(f"{api}/sandbox/clock", json={"to": to.isoformat()}, headers={HEADER: "1"}).raise_for_status()


def read_journal(root: Path) -> list[dict[str, Any]]:
    """The accepted requests that the sandbox has written down."""
    file = root.parent / "sandbox.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _run(journey: Journey, day: date, *, by: Any) -> Night:
    known = len(read_journal(journey.root))
    summary = by(journey, day)
    return Night(day, summary, read_journal(journey.root)[known:], Files.of(journey.root))


def _scheduler(journey: Journey, day: date) -> dict[str, Any]:
    """The night with papermill, by the command."""
    command = [
        sys.executable,
        "-m",
        "optinb",
        "nightly",
        "--workspace",
        str(journey.root),
        "--date",
        f"{day}",
        "--json",
    ]
    done = subprocess.run(command, env=environment(day), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    journey.stdout = done.stdout
    return json.loads(done.stdout)


def _steps(journey: Journey, day: date) -> dict[str, Any]:
    """The steps of the notebook, in this process."""
    with working(journey.root, day, user=SCHEDULER):
        night = nightly.begin(f"{day}", str(journey.root))
        try:
            for step in STEPS:
                getattr(night, step)()
            return msgspec.json.decode(msgspec.json.encode(night.report()))
        finally:
            night.close()
