"""What people read in a terminal: named lists, times of their own zone, what to do next; JSON stays as it is."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from click.testing import CliRunner, Result

from optinb.base.share import shared
from optinb.campaigns import Going, Schedule
from optinb.cli import main
from optinb.demo import AUTHOR, RUN_DATE
from optinb.measure import NightSummary
from optinb.show.campaigns import folded
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BERLIN = ZoneInfo("Europe/Berlin")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"OPTINB_USER": AUTHOR})


def going(campaign: str, days: list[date], *, hour: int) -> list[Going]:
    return [
        Going(
            day=day,
            night=day,
            at=datetime(day.year, day.month, day.day, hour, 30, tzinfo=BERLIN).astimezone(UTC),
            campaign=campaign,
            campaign_id=campaign,
        )
        for day in days
    ]


def test_a_campaign_of_every_day_is_one_line_whose_time_is_that_of_the_shop_in_summer_and_winter() -> None:
    daily = [date(2026, 10, 20) + timedelta(days=n) for n in range(10)]  # the clocks change on the 25th
    some = [date(2026, 11, 2), date(2026, 11, 9), date(2026, 11, 12)]
    found = folded(
        [
            *going("Daily", daily, hour=18),
            *going("Some", some, hour=9),
            *going("Once", some[1:2], hour=7),
        ],
        BERLIN,
        dict.fromkeys(("Daily", "Some", "Once"), Schedule(every="day", at="18:30")),
    )
    assert [tuple(line.values()) for line in found] == [
        ("Daily", 10, "2026-10-20", "2026-10-29", "every day", "18:30 Europe/Berlin"),
        ("Some", 3, "2026-11-02", "2026-11-12", "Mon Thu", "09:30 Europe/Berlin"),
        ("Once", 1, "2026-11-09", "2026-11-09", "Mon", "07:30 Europe/Berlin"),
    ]


def test_a_calendar_tells_customers_own_clocks_and_the_best_time_as_such() -> None:
    days = [date(2026, 11, 30)]
    schedules = {
        "Own": Schedule(date=days[0], at="09:00", clock="local"),
        "Best": Schedule(date=days[0], at="09:00", clock="optimal"),
    }
    found = folded([*going("Own", days, hour=20), *going("Best", days, hour=20)], BERLIN, schedules)
    assert [line["at"] for line in found] == ["09:00, their own clock", "best time"]


def test_lists_say_what_they_are_and_what_to_do_when_there_is_nothing(folder: Path) -> None:
    where = ("--workspace", str(folder))
    groups = call("groups", "list", *where).stdout
    assert groups.splitlines()[0] == "2 target groups:" and "Lapsed buyers (version 1" in groups
    for command, remedy in (
        (("campaigns", "list"), "optinb campaigns submit"),
        (("lists", "list"), "optinb lists save"),
        (("codes", "list"), "optinb codes import"),
        (("offers", "list"), "optinb offers save"),
        (("campaigns", "calendar"), "once it is approved"),
        (("audit", "list", "--subject", "nobody"), "nothing was done to 'nobody' yet"),
    ):
        shown = call(*command, *where)
        assert shown.exit_code == 0 and remedy in shown.stdout, shown.output
        told = json.loads(call(*command, *where, "--json").stdout)
        assert told in ([], {"rows": []})


def test_times_are_those_of_the_workspace_and_of_utc_in_json(folder: Path) -> None:
    where = ("--workspace", str(folder))
    newest = json.loads(call("audit", "list", "--limit", "1", *where, "--json").stdout)["rows"][0]
    at = datetime.fromisoformat(newest["at"])
    assert at.utcoffset() == timedelta(0)
    shown = call("audit", "list", "--limit", "1", *where).stdout
    assert f"{at.astimezone(BERLIN):%Y-%m-%d %H:%M} CET" in shown and " UTC" not in shown


def test_a_night_and_the_demo_tell_times_of_the_workspace(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_workspace(finished) as ws:
        (run,) = ws.store.runs.list(run_date=RUN_DATE)
    summary = msgspec.convert(run.summary, NightSummary)
    monkeypatch.setattr("optinb.notebook.run_night", lambda *_, **__: summary)
    monkeypatch.setattr("optinb.demo.run_demo", lambda *_, **__: (summary, finished))
    for command in ("nightly", "demo"):
        shown = call(command, "--workspace", str(finished))
        assert shown.exit_code == summary.exit_code == 0, shown.output
        assert f"{RUN_DATE} 18:30 CET" in shown.stdout and " UTC" not in shown.stdout


def test_a_new_workspace_says_what_comes_next(tmp_path: Path) -> None:
    made = call("init", str(tmp_path / "shop"))
    assert made.exit_code == 0
    assert "Next:" in made.stdout and f"optinb doctor --workspace {tmp_path / 'shop'}" in made.stdout


def test_the_folder_of_templates_of_a_clone_is_never_worked_in() -> None:
    ours = shared("data")
    before = sorted(path.name for path in ours.iterdir())
    for command in (("status",), ("lab",), ("serve",), ("nightly",), ("doctor", "--rehearse")):
        refused = call(*command, "--workspace", str(ours))
        assert refused.exit_code == 2, refused.output
        assert "is no workspace: make one with `optinb init FOLDER`" in refused.stderr
    assert sorted(path.name for path in ours.iterdir()) == before


def test_root_is_told_how_to_open_the_notebooks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused = call("lab", "--workspace", str(folder))
    assert refused.exit_code == 2
    assert "`optinb lab -- --allow-root`" in refused.stderr
    began: list[list[str]] = []
    monkeypatch.setattr("optinb.serve.lab.run", lambda command, _environment, _folder: began.append(list(command)) or 0)
    for allowed in ("--allow-root", "--ServerApp.allow_root=True", "--LabApp.allow_root=True"):
        assert call("lab", "--workspace", str(folder), "--", allowed).exit_code == 0
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert call("lab", "--workspace", str(folder)).exit_code == 0
    assert ["allow" in command[-1] for command in began] == [True, True, True, False]
