"""People at one campaign: comments, presence, and the command that tells others."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import optinb
from optinb.base.erasing import ForgottenPerson
from optinb.base.workspace_folder import init_workspace
from optinb.campaigns.rewording import Rewording
from optinb.demo import APPROVER, AUTHOR, demo_settings
from optinb.errors import CampaignError
from optinb.planning.notices import page_link
from optinb.show import text
from optinb.store.schema import campaign_visits

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

FIELDS = {
    "name": "Winter & more",
    "app_group": "Shop",
    "template": "Any",
    "group": "Buyers",
    "schedule": {"every": "day", "at": "09:00"},
}
TELL = """
import json, os, sys
said = json.load(sys.stdin)
said["secrets"] = [name for name in os.environ if name.startswith("OPTINB_")]
with open("told.jsonl", "a") as file:
    file.write(json.dumps(said) + "\\n")
sys.exit(int(open("exit.txt").read()))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small workspace whose notices go to a process of its own."""
    made = tmp_path_factory.mktemp("together") / "ws"
    command = json.dumps([sys.executable, "tell.py"])
    settings = demo_settings("http://127.0.0.1:1").replace("[notify]", f"[notify]\ncommand = {command}")
    settings = settings.replace("[serve]", '[serve]\naddress = "https://crm.example.com/optinb/"')
    init_workspace(made, settings=settings)
    (made / "tell.py").write_text(TELL, encoding="utf-8")
    (made / "exit.txt").write_text("0", encoding="utf-8")
    with optinb.open_workspace(made, user=AUTHOR) as ws:
        ws.drafts.keep(FIELDS, seen=None)
    return made


@pytest.fixture
def author(root: Path):
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        yield ws


@pytest.fixture
def approver(root: Path):
    with optinb.open_workspace(root, user=APPROVER) as ws:
        yield ws


def told(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "told.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_comment_is_kept_with_the_version_it_is_about_and_the_trail_has_its_hash_alone(
    author: Workspace, approver: Workspace
) -> None:
    said = approver.together.comment("winter & MORE", "  Please leave out 4711  ")
    assert (said.who, said.text, said.version) == (APPROVER, "Please leave out 4711", 1)
    assert author.together.comments(FIELDS["name"])[-1] == said
    entry = author.store.audit.list(limit=1)[0]
    assert (entry.action, entry.who, entry.subject) == ("comment on campaign", APPROVER, FIELDS["name"])
    assert "4711" not in json.dumps(entry.detail) and len(entry.detail["sha256"]) == 64
    shown = text(author.campaign_page(FIELDS["name"]))
    assert "Please leave out 4711" in shown and "Waits for you, since" in shown
    assert author.store.campaigns.decisions(said.campaign_id)[said.campaign_id][-1].step == "draft"


def test_a_comment_that_says_nothing_is_refused(author: Workspace) -> None:
    with pytest.raises(CampaignError, match="1 to 4,000 characters"):
        author.together.comment(FIELDS["name"], "   ")
    with pytest.raises(CampaignError, match="isn't known"):
        author.together.comment("Nothing of the kind", "x")


def test_the_command_gets_what_happened_and_no_secret_nor_what_was_said(
    author: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTINB_SHOP_KEY", "secret")
    author.together.comment(FIELDS["name"], "nobody else reads this")
    notice = told(root)[-1]
    assert (notice["campaign"], notice["what"], notice["who"]) == (FIELDS["name"], "commented", AUTHOR)
    assert notice["link"] == "https://crm.example.com/optinb/?tab=plan&campaign=Winter%20%26%20more"
    assert notice["secrets"] == [] and "nobody else" not in json.dumps(notice)
    assert author.notices.problem == ""


def test_a_command_that_fails_stops_nothing_and_is_told(author: Workspace, root: Path) -> None:
    (root / "exit.txt").write_text("3", encoding="utf-8")
    try:
        said = author.together.comment(FIELDS["name"], "kept all the same")
    finally:
        (root / "exit.txt").write_text("0", encoding="utf-8")
    assert author.together.comments(FIELDS["name"])[-1] == said
    assert "exit code 3" in author.notices.problem and "[notify] in optinb.toml" in author.notices.problem
    author.together.comment(FIELDS["name"], "and then it works again")
    assert author.notices.problem == ""


def test_submitting_approving_and_rejecting_are_told_drafts_are_not(author: Workspace, root: Path) -> None:
    before = len(told(root))
    record = author.campaigns.get(FIELDS["name"])
    author.drafts.keep({**FIELDS, "priority": 60}, seen=record)
    assert len(told(root)) == before
    author.notices.tell(FIELDS["name"], "submitted")
    assert told(root)[-1]["link"].startswith("https://crm.example.com/optinb/?tab=approve&campaign=")


def test_presence_shows_to_others_expires_and_costs_one_write_in_ten_seconds(
    author: Workspace, approver: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [datetime(2026, 11, 23, 9, tzinfo=UTC)]
    for ws in (author, approver):
        monkeypatch.setattr(ws.context, "now", lambda: clock[0])
    campaign_id, entries = author.campaigns.get(FIELDS["name"]).id, len(author.store.audit.list())
    presence = author.together.presence()
    assert presence.beat(campaign_id) and not presence.beat(campaign_id)
    assert [(one.who, one.is_writing) for one in approver.together.others(campaign_id)] == [(AUTHOR, False)]
    assert author.together.others(campaign_id) == ()
    assert presence.beat(campaign_id, is_writing=True)
    assert approver.together.others(campaign_id)[0].is_writing
    clock[0] += timedelta(seconds=9)
    assert not presence.beat(campaign_id, is_writing=True)
    clock[0] += timedelta(seconds=2)
    assert presence.beat(campaign_id, is_writing=True)
    clock[0] += timedelta(seconds=31)
    assert approver.together.others(campaign_id) == ()
    presence.beat(None)
    with author.store._database.reading() as con:
        assert not con.execute(campaign_visits.select()).all()
    assert len(author.store.audit.list()) == entries


def test_a_forgotten_person_is_reworded_in_comments(author: Workspace) -> None:
    author.together.comment(FIELDS["name"], "leave out customer-4242 please")
    person = ForgottenPerson({"customer-4242"}, stand_in="somebody")
    Rewording(author.store._database).erase(person, user=AUTHOR, now=author.context.now())
    assert author.together.comments(FIELDS["name"])[-1].text == "leave out somebody please"


def test_a_link_keeps_what_the_address_asks_for_and_is_none_without_one(author: Workspace) -> None:
    from msgspec.structs import replace

    settings = author.settings
    there = replace(settings, serve=replace(settings.serve, address="https://hub.example.com/x?next=1"))
    assert page_link(there, "approve", "A/B") == "https://hub.example.com/x?next=1&tab=approve&campaign=A%2FB"
    assert page_link(replace(settings, serve=replace(settings.serve, address=None)), "plan", "A") is None
