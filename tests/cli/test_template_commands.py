"""`optinb templates set` and `show`: what people state of templates, in a terminal."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

import optinb
from optinb import show
from optinb.appboy.template_rules import ALL_USERS, ONCE
from optinb.cli import main
from optinb.demo import AUTHOR, CAMPAIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace

SUMMER = CAMPAIGNS[0]["template"]


@pytest.fixture
def ws(folder: Path) -> Iterator[Workspace]:
    """A workspace of whose templates nobody has stated anything."""
    with optinb.open_workspace(folder, user=AUTHOR) as workspace:
        workspace.templates.sync()
        yield workspace


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["templates", *arguments, "-w", str(folder)], env={"OPTINB_USER": AUTHOR})


def test_a_person_states_the_rules_of_a_template_a_few_at_a_time_and_takes_them_back(
    ws: Workspace, folder: Path
) -> None:
    shown = call(folder, "show", SUMMER).stdout
    assert f"rules: {ONCE}" in shown
    assert f"has set: optinb templates set {SUMMER} --again never|'after 1 day'" in shown
    assert ALL_USERS in shown
    given = (
        "--again",
        "after 23 hours",
        "--cap",
        "1 a day",
        "--cap",
        "3 a week",
        "--quiet-hours",
        "22:00 to 8:00, drop",
    )
    assert call(folder, "set", SUMMER, *given).exit_code == 0
    more = call(folder, "set", SUMMER, "--speed", "5000", "--max-users", "none", "--segment", "all")
    told = (
        "rules: again after 23 hours; frequency caps 1 a day, 3 a week; speed 5,000 messages a minute; most customers "
        f"no limit; quiet hours 22:00 to 08:00, drop; segment All Users (stated by {AUTHOR} 2026-11-23"
    )
    assert told in more.stdout
    assert ALL_USERS not in more.stdout
    found = json.loads(call(folder, "show", SUMMER, "--app-group", "Shop", "--json").stdout)
    assert (found["app_group"], found["stated"]["by"]) == ("Shop", AUTHOR)
    assert found["stated"]["rules"]["again_after_s"] == 23 * 3_600
    assert ONCE in call(folder, "set", SUMMER, "--withdraw").stdout
    assert ws.templates.rules("Shop", SUMMER) is None


def test_the_list_says_of_each_template_what_is_stated(ws: Workspace, folder: Path) -> None:
    call(folder, "set", SUMMER, "--again", "any time")
    told = call(folder, "list").stdout
    assert told.count(f"rules: {ONCE}") == sum(template.usable for template in ws.templates.list()) - 1
    assert f"rules: again any time (stated by {AUTHOR}" in told
    assert told.count(ALL_USERS) == 1
    page = html.unescape(show.html(ws.templates.listing("Shop")))
    assert "again any time" in page and ONCE in page and ALL_USERS in page
    assert "again any time" in show.html(ws.templates.standing(SUMMER))
    assert AUTHOR in show.html(ws.templates.rules("Shop", SUMMER))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((SUMMER,), "such as --again 'after 1 day', or take all of it back with --withdraw alone"),
        ((SUMMER, "--again", ""), "--again says nothing; write what the dashboard has set, or leave --again out"),
        ((SUMMER, "--withdraw", "--speed", "9"), "with --withdraw alone"),
        ((SUMMER, "--withdraw"), "nothing is stated of the template"),
        ((SUMMER, "--again", "soon"), "'soon' doesn't say when customers may get a template again"),
        (
            ("Optimove_Autumn_Draft", "--again", "never"),
            "several app groups (Shop, Club); say which one is meant: --app-group Shop",
        ),
        (("Optimove_SummerSal_iOS", "--again", "never"), f"did you mean {SUMMER!r}"),
    ],
)
def test_what_cannot_be_stated_is_said_and_nothing_is_stored(
    ws: Workspace, folder: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    refused = call(folder, "set", *arguments)
    assert refused.exit_code != 0 and refused.stdout == ""
    assert complaint in refused.stderr
    assert ws.templates.stated() == {}
