"""A count of who opened a push says where nobody knows, since 0 looks like a figure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner
from page_text import text_of

from optinb import attr, did_not_open, open_workspace, opened, received, show
from optinb.cli import main
from optinb.delivery.contact_history import ContactHistory
from optinb.demo import AUTHOR, CAMPAIGNS, RUN_DATE
from optinb.views import rule_editor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.rules import Rule
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
LATER = RUN_DATE + timedelta(days=2)


@pytest.fixture(scope="module")
def ws(finished: Path) -> Iterator[Workspace]:
    with open_workspace(finished, user=AUTHOR) as opened_there:
        yield opened_there


@pytest.mark.parametrize("rule", [opened(NAME), did_not_open(NAME), attr("country").is_known() & ~opened(NAME)])
def test_a_count_says_that_nobody_was_asked_and_how_to_ask(rule: Rule, ws: Workspace) -> None:
    found, size = ws.preview(rule), ws.groups.count(rule, run_date=LATER)
    for shown in (show.text(size), text_of(show.html(size)), text_of(show.html(found))):
        assert f"nobody knows yet who opened the push of '{NAME}'" in shown and "`optinb confirm` asks" in shown


def test_the_command_and_the_rule_editor_say_it_too(ws: Workspace) -> None:
    done = CliRunner().invoke(main, ["groups", "count", f'opened("{NAME}")', "--workspace", str(ws.root)])
    assert done.exit_code == 0 and "nobody knows yet who opened" in done.output
    editor = rule_editor(ws, opened(NAME))
    assert "nobody knows yet who opened" in text_of(editor.figures.value)


@pytest.mark.parametrize("rule", [received(NAME), opened(NAME).within(days=0), opened()])
def test_a_count_says_nothing_of_the_kind_where_it_is_one(
    rule: Rule, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another rule, where nothing was sent in those days, and where Appboy told of somebody."""
    if rule == opened():
        sent = ws.contacts.table().filter(pl.col("outcome") == "received")
        told = pl.concat([sent, sent.head(1).with_columns(outcome=pl.lit("not_opened"))])
        assert ws.groups.count(rule, run_date=LATER).notes
        monkeypatch.setattr(ContactHistory, "table", lambda _self: told)
    assert ws.groups.count(rule, run_date=LATER).notes == ()
