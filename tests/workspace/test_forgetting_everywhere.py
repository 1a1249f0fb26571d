"""Who was sent something and is forgotten stands in no byte of the workspace, nor in anything that its bytes pack."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import duckdb
import httpx
import polars as pl
import pytest
from stated_templates import state_any_time

import optinb
from optinb.base.erasing import BLANKED, ForgottenPerson
from optinb.base.files import copy_tree
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.delivery.traces import erase_files
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, GROUPS, KEYS, RUN_DATE, SCHEDULER, demo_settings
from optinb.notebook import run_night
from optinb.sandbox import Sandbox, demo_world

if TYPE_CHECKING:
    from optinb.workspace import Workspace

START = datetime(2026, 11, 23, 1, tzinfo=UTC)
CHILD = str(Path(__file__).with_name("forgetting_child.py"))


def mail(customer_id: str) -> str:
    return f"of.{customer_id}.quux@example.com"


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace after a night and a second night's import, and the id of somebody who was sent a message there."""
    root = tmp_path_factory.mktemp("sent") / "ws"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "OPTINB_NOW": START.isoformat(), "OPTINB_USER": SCHEDULER}.items():
            patch.setenv(name, value)
        with Sandbox(demo_world(), now=START) as unused:
            address = unused.url
        init_workspace(root, settings=demo_settings(address))
        folder = root / "inbox" / RUN_DATE.isoformat()
        copy_tree(shared(f"data/sample/{RUN_DATE}"), folder)
        customers = pl.read_csv(folder / "customers.csv", infer_schema=False)
        customers.with_columns(
            external_user_id=pl.format("ext-{}-x", "customer_id"),
            mail=pl.format("of.{}.quux@example.com", "customer_id"),
        ).write_csv(folder / "customers.csv")
        port = int(address.rsplit(":", 1)[1])
        with Sandbox(demo_world(), port=port, journal=root / "sandbox.jsonl", now=START):
            with optinb.open_workspace(root, user=AUTHOR) as ws:
                ws.import_delivery(RUN_DATE)
                ws.model(RUN_DATE)
                ws.templates.sync()
                state_any_time(ws)
                for name, rule in GROUPS.items():
                    ws.groups.save(name, rule)
                properties = {**CAMPAIGNS[0]["properties"], "mail": {"attribute": "mail", "default": "?"}}
                ws.campaigns.submit({**CAMPAIGNS[0], "properties": properties})
            with optinb.open_workspace(root, user=APPROVER) as ws:
                ws.campaigns.approve(CAMPAIGNS[0]["name"], seen=ws.campaigns.preview(CAMPAIGNS[0]["name"]))
            assert run_night(root, RUN_DATE).exit_code == 0
    line = json.loads((root / "sandbox.jsonl").read_text().splitlines()[0])
    person = line["recipients"][3]["external_user_id"].split("-")[1]
    shutil.rmtree(root / "inbox")
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        scatter(ws, person)
    return root, person


def scatter(ws: Workspace, person: str) -> None:
    """Names the person wherever people and programs do."""
    root, external = ws.root, f"ext-{person}-x"
    ws.unsaved.keep("a campaign", json.dumps({"comment": f"ask {person} first", "to": {"mail": mail(person)}}))
    (root / "notebooks" / ".ipynb_checkpoints").mkdir(parents=True)
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": [f'ws.customer("{person}")'],
        "execution_count": 1,
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["40 customers\n"]},
            {
                "output_type": "display_data",
                "metadata": {},
                "data": {"text/html": [f"<b>{person}</b>", " called Ada"], "text/plain": ["a card"]},
            },
        ],
    }
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"1": {"state": {"value": f"for {external}"}}}}}
    book = {"cells": [cell], "metadata": {"widgets": widgets}, "nbformat": 4, "nbformat_minor": 5}
    for name in ("mine.ipynb", ".ipynb_checkpoints/mine-checkpoint.ipynb"):
        (root / "notebooks" / name).write_text(json.dumps(book))
    (root / "nightly.log").write_text(f"01:00 began\n01:01 {external} was refused, Ada\n01:02 1{person}9 is fine\n")
    (root / "runs" / "export.csv").write_text(f"customer_id,city\n{person},Bern\n1{person}9,Basel\n")
    page = f"<p>to {mail(person)}</p><table><tr><td>{person}</td><td>Ada</td></tr><tr><td>7</td></tr></table>"
    (root / "runs" / "page.html").write_text(page)
    (night,) = (root / "audiences").iterdir()
    answer = {
        "batch": 3,
        "dispatch_id": "d-1",
        "message": f"{external} isn't known",
        "external_ids": [external, "ext-0"],
    }
    (night / "Summer.notes.jsonl").write_text(json.dumps(answer) + "\n")
    with closing(sqlite3.connect(root / "state.sqlite")) as con:
        con.execute("UPDATE batches SET why = ? WHERE number = 0", (f"{external} isn't known",))
        problems = f'"problems":["{external} is late"]'
        con.execute("UPDATE runs SET summary = replace(summary, ?, ?)", ('"problems":[]', problems))
        con.commit()


@pytest.fixture
def copy(sent: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    shutil.copytree(sent[0], tmp_path / "ws")
    monkeypatch.setenv("OPTINB_NOW", (START + timedelta(hours=30)).isoformat())
    return tmp_path / "ws", sent[1]


def traces(root: Path, person: str) -> set[str]:
    """The files in which a byte, or what the bytes pack, names the person."""
    word = re.compile(rf"(?<![0-9A-Za-z]){person}(?![0-9A-Za-z])")
    found = set()
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        texts = [path.read_bytes().decode("latin-1")]
        match path.suffix:
            case ".parquet":
                frame = pl.read_parquet(path, glob=False, hive_partitioning=False)
                texts += [str(value) for column in frame.select(pl.col(pl.String)) for value in column.unique()]
            case ".duckdb":
                with duckdb.connect(str(path), read_only=True) as con:
                    for (table,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                        frame = con.sql(f'SELECT * FROM "{table}"').pl()
                        texts += [str(value) for column in frame.select(pl.col(pl.String)) for value in column.unique()]
            case ".sqlite":
                with closing(sqlite3.connect(path)) as con:
                    texts += con.iterdump()
        if any(map(word.search, texts)):
            found.add(path.relative_to(root).as_posix())
    return found


def test_who_was_sent_something_is_in_no_byte_any_more(copy: tuple[Path, str]) -> None:
    root, person = copy
    before = traces(root, person)
    for place in (
        "sandbox.jsonl",
        "state.sqlite",
        "audiences/",
        "warehouse/",
        "groups_history/",
        "unsaved/",
        "notebooks/mine.ipynb",
        "notebooks/.ipynb_checkpoints/",
        "nightly.log",
        "runs/export.csv",
        "runs/page.html",
        ".notes.jsonl",
    ):
        assert any(place in where for where in before), place
    journal = [json.loads(line) for line in (root / "sandbox.jsonl").read_text().splitlines()]
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        done = ws.forget(person, by="ticket 7")
        assert traces(root, person) == set()
        assert done.named_in == ()
        assert done.rewritten == 10
        assert ws.checkpoints.verify().problem is None
        assert ws.forget(person).rewritten == 0
    left = [json.loads(line) for line in (root / "sandbox.jsonl").read_text().splitlines()]
    changed = [
        (old, new)
        for before_line, after_line in zip(journal, left, strict=True)
        for old, new in zip(before_line["recipients"], after_line["recipients"], strict=True)
        if old != new
    ]
    assert [line["dispatch_id"] for line in left] == [line["dispatch_id"] for line in journal]
    assert len(changed) == 1
    assert changed[0][1]["external_user_id"].startswith("forgotten-")
    assert changed[0][1]["trigger_properties"] == {}
    book = json.loads((root / "notebooks" / "mine.ipynb").read_text())
    assert book["cells"][0]["outputs"][0]["text"] == ["40 customers\n"]
    assert book["cells"][0]["outputs"][1]["text"] == [BLANKED]
    assert book["metadata"] == {"widgets": {}}
    assert (root / "nightly.log").read_text() == f"01:00 began\n{BLANKED}\n01:02 1{person}9 is fine\n"
    assert (root / "runs" / "export.csv").read_text() == f"customer_id,city\n{BLANKED}\n1{person}9,Basel\n"
    page = (root / "runs" / "page.html").read_text()
    assert "Ada" not in page and "<td>7</td>" in page
    (answers,) = (root / "audiences").rglob("*.notes.jsonl")
    answer = json.loads(answers.read_text())
    assert (answer["batch"], answer["dispatch_id"], answer["external_ids"][1]) == (3, "d-1", "ext-0")


@pytest.mark.chaos
@pytest.mark.parametrize(("place", "passes"), [("file rewritten", 0), ("file rewritten", 3), ("store reworded", 0)])
def test_killed_among_the_files_the_same_call_goes_on(copy: tuple[Path, str], place: str, passes: int) -> None:
    root, person = copy
    child = [sys.executable, CHILD, str(root), person, place, str(passes)]
    killed = subprocess.run(child, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = root / ".nightly.log.forgetting"
    left.write_text(person)
    with optinb.open_workspace(root, user=AUTHOR) as ws, pytest.MonkeyPatch.context() as patch:
        # by then the hold of the one that died has ended
        patch.setattr(ws.store, "clock", lambda: datetime.now(UTC) + timedelta(hours=1))
        ws.forget(person)
        assert ws.checkpoints.verify().problem is None
    assert traces(root, person) == set()
    assert not left.exists()


def test_what_was_removed_before_by_a_program_that_left_it_in_free_pages_goes_too(copy: tuple[Path, str]) -> None:
    root, person = copy
    with closing(sqlite3.connect(root / "state.sqlite")) as con:
        con.execute("PRAGMA secure_delete=OFF")
        con.execute("CREATE TABLE old (text TEXT)")
        con.executemany("INSERT INTO old VALUES (?)", [(f"{person} " * 500,)] * 20)
        con.commit()
        con.execute("DROP TABLE old")
        con.commit()
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert person.encode() in (root / "state.sqlite").read_bytes()
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.forget(person)
    assert traces(root, person) == set()


def test_what_cannot_be_rewritten_is_named(copy: tuple[Path, str]) -> None:
    root, person = copy
    pl.DataFrame({"id": [person]}).write_parquet(root / "runs" / "mine.parquet")
    with ZipFile(root / "runs" / "mine.xlsx", "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<t>{person}</t>")
    with gzip.open(root / "runs" / "mine.gz", "wt") as packed:
        packed.write(f"{person}\n")
    (root / "runs" / "mine.py").write_text(f"WHO = '{person}'\n")
    (root / "runs" / f"card {person}.txt").write_text("a card")
    (root / "runs" / "others.xyz").write_text(f"1{person}9")
    # the nights lie on other storage, and so does a delivery
    (root / "runs").rename(root.parent / "storage")
    (root / "runs").symlink_to(root.parent / "storage")
    (root.parent / "delivered").mkdir()
    (root.parent / "delivered" / "customers.csv").write_text(f"customer_id,city\n{person},Bern\n")
    (root / "inbox").mkdir()
    (root / "inbox" / "2026-12-01").symlink_to(root.parent / "delivered")
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.groups.save("Only them", optinb.attr("mail") == mail(person))
        draft = {**CAMPAIGNS[1], "name": "In the making", "properties": {"promo_code": {"value": f"for {person}"}}}
        first = ws.drafts.keep(draft, seen=None)
        ws.drafts.keep({**draft, "notes": person}, seen=first)
        done = ws.forget(person)
        assert done.inbox == ("2026-12-01/customers.csv",)
        assert BLANKED in (root.parent / "storage" / "export.csv").read_text()
        kept = ws.campaigns.get("In the making")
        assert "for forgotten-" in str(kept.campaign.properties["promo_code"].value)
        assert (kept.state, kept.author, kept.version) == ("draft", AUTHOR, 3)
        # what was reworded is what the trail says of it, by somebody who isn't its author for that
        assert ws.checkpoints.verify().problem is None
        assert ws.store.campaigns.history("In the making")[-1].action == "reword"
        assert str(ws.forget(person).named_in) == str(done.named_in)
        assert ws.campaigns.get("In the making") == kept
        ws.campaigns.submit({**CAMPAIGNS[1], "name": "In the making"})
        assert ws.checkpoints.verify().problem is None
    assert set(done.named_in) == {
        "target group 'Only them'",
        "3 entries of the audit trail, such as test sends to them, which nothing can change",
        "the file runs/mine.parquet",
        "the file runs/mine.xlsx",
        "the file runs/mine.gz",
        "the file runs/mine.py",
        f"the name of the file runs/card {person}.txt",
    }


def test_a_sandbox_that_runs_goes_on_in_the_journal_that_was_rewritten(tmp_path: Path) -> None:
    journal = tmp_path / "sandbox.jsonl"
    person = ForgottenPerson(["C1"], stand_in="forgotten-1")
    with Sandbox(demo_world(), journal=journal, now=START) as sandbox:
        (group,) = [group for group in sandbox.world.app_groups.values() if group.name == "Shop"]
        campaign, key = group.campaigns[0], group.keys[0].key

        def post(user: str) -> None:
            message = {"campaign_id": campaign.id, "recipients": [{"external_user_id": user}]}
            url = f"{sandbox.url}/campaigns/trigger/send"
            httpx.post(url, json=message, headers={"Authorization": f"Bearer {key}"}).raise_for_status()

        post("C1")
        assert erase_files(tmp_path, person).rewritten == 1
        post("C10")
    users = [json.loads(line)["recipients"][0]["external_user_id"] for line in journal.read_text().splitlines()]
    assert users == ["forgotten-1", "C10"]


def test_texts_in_utf_16_are_rewritten_as_they_are_written(tmp_path: Path) -> None:
    rows = ["customer_id,city\r\n", "C1,Zürich\r\n", "C10,Bern\r\n"]
    left = "".join([rows[0], f"{BLANKED}\r\n", rows[2]])
    for code, mark in (("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff"), ("utf-16-le", ""), ("utf-16-be", "")):
        for name in ("a.csv", "a.log"):
            (tmp_path / name).write_bytes((mark + "".join(rows)).encode(code))
        (tmp_path / "a.json").write_bytes((mark + '{"who": ["C1", "C10"]}').encode(code))
        done = erase_files(tmp_path, ForgottenPerson(["C1"], stand_in="X"))
        assert (done.rewritten, done.left) == (3, ())
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "a.log").read_bytes() == (mark + left).encode(code)
        assert (tmp_path / "a.json").read_bytes() == (mark + '{"who": ["X", "C10"]}').encode(code)
    broken = b"\xff\xfe" + "C1".encode("utf-16-le") + b"\0"
    (tmp_path / "broken.txt").write_bytes(broken)
    assert erase_files(tmp_path, ForgottenPerson(["C1"], stand_in="X")).left == ("the file broken.txt",)
    assert (tmp_path / "broken.txt").read_bytes() == broken


def test_an_id_that_stands_as_a_number_goes_where_numbers_may_be_ids(tmp_path: Path) -> None:
    person = ForgottenPerson(["48213"], values=["Ada"], stand_in="X")
    written = {
        "rows.ndjson": ('{"customer_id":48213,"city":"Bern","name":"Ada"}\n{"customer_id":48214,"name":"Ada"}\n'),
        "split.json": '{"columns": ["id", "name"], "data": [[48213, "Eve"], [48214.0, "Bo"], [48213.0, true]]}',
        "ids.csv": "customer_id\n48213\n48214\n48213.0,x\n48213.5,x\n",
    }
    # what optinb itself writes has ids as texts: a number is a count there
    counted = {
        "audiences/2026-11-23/c1.answers.jsonl": '{"at":"2026-11-23T02:00:00Z","requests":[[50,48213]]}\n',
        "runs/2026-11-23/summary.json": '{"customers": 48213}',
        "sandbox.jsonl": '{"recipients":[{"external_user_id":"C2","trigger_properties":{"points":48213}}]}\n',
    }
    for name, text in (written | counted).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    pl.DataFrame({"id": [48213]}).write_parquet(tmp_path / "mine.parquet")
    pl.DataFrame({"id": [48213.0, None]}).write_parquet(tmp_path / "mine too.parquet")
    pl.DataFrame({"id": [48214], "share": [0.5]}).write_parquet(tmp_path / "others.parquet")
    done = erase_files(tmp_path, person)
    assert (done.rewritten, done.left) == (3, ("the file mine too.parquet", "the file mine.parquet"))
    first, second = (json.loads(line) for line in (tmp_path / "rows.ndjson").read_text().splitlines())
    assert (first, second["name"]) == ({"customer_id": "X", "city": "Bern", "name": BLANKED}, "Ada")
    data = json.loads((tmp_path / "split.json").read_text())["data"]
    assert data == [["X", "Eve"], [48214.0, "Bo"], ["X", True]]
    assert (tmp_path / "ids.csv").read_text() == f'customer_id\n"X"\n48214\n{BLANKED}\n48213.5,x\n'
    assert {name: (tmp_path / name).read_text() for name in counted} == counted


def test_a_short_id_goes_from_notebooks_where_it_surely_is_one_and_is_told_elsewhere(tmp_path: Path) -> None:
    def book(source: str, *shown: str) -> str:
        outputs = [{"output_type": "stream", "name": "stdout", "text": [text]} for text in shown]
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": [source], "execution_count": 7}
        content = {"cells": [{**cell, "outputs": outputs}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(content)

    (tmp_path / "mine.ipynb").write_text(book('ws.customer("7")', "Ada, 7, Bern", "a card"))
    (tmp_path / "count.ipynb").write_text(book("ws.count()", "7 customers"))
    (tmp_path / "other.ipynb").write_text(book('ws.customer("17")', "Bo, 17, Bern"))
    (tmp_path / "rows.ndjson").write_text('{"customer_id":7,"n":7}\n')
    pl.DataFrame({"id": [7]}).write_parquet(tmp_path / "mine.parquet")
    done = erase_files(tmp_path, ForgottenPerson(["7"], stand_in="X"))
    told = ", perhaps: a short id may be a count there"
    assert done.left == (f"the file count.ipynb{told}", f"the file mine.parquet{told}", f"the file rows.ndjson{told}")
    assert done.rewritten == 2
    (cell,) = json.loads((tmp_path / "mine.ipynb").read_text())["cells"]
    assert cell["source"] == ['ws.customer("X")']
    assert [output["text"] for output in cell["outputs"]] == [[BLANKED], ["a card"]]
    assert (tmp_path / "other.ipynb").read_text() == book('ws.customer("17")', "Bo, 17, Bern")
    assert json.loads((tmp_path / "rows.ndjson").read_text()) == {"customer_id": "X", "n": 7}


def test_folders_on_other_storage_are_the_workspaces_own_and_what_lies_behind_other_links_is_told(
    tmp_path: Path,
) -> None:
    root, storage, team = tmp_path / "ws", tmp_path / "storage", tmp_path / "team"
    for folder in (root / "notebooks", root / "audiences", storage / "runs", storage / "night", team):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("C1\nC10\n")
    (storage / "nightly.log").write_text("C1\nC10\n")
    for link, to in {
        "runs": storage / "runs",
        "audiences/2026-11-23": storage / "night",
        "nightly.log": storage / "nightly.log",
        "latest": root / "notebooks",
        "inbox": team,
        "notebooks/round": root,
        "notebooks/team": team,
        "notebooks/one.txt": team / "a.txt",
        "notebooks/gone": tmp_path / "nowhere",
    }.items():
        (root / link).symlink_to(to)
    done = erase_files(root, ForgottenPerson(["C1"], stand_in="X"))
    assert done.rewritten == 5
    assert set(done.left) == {"the file notebooks/one.txt", "what lies in notebooks/team, perhaps: it isn't looked at"}
    mine = [root / "notebooks", root / "audiences", storage / "runs", storage / "night"]
    for path in (*(folder / "a.txt" for folder in mine), storage / "nightly.log"):
        assert path.read_text() == f"{BLANKED}\nC10\n"
    assert (root / "nightly.log").is_symlink()
    assert (team / "a.txt").read_text() == "C1\nC10\n"


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("C1", "C1, C10, XC1, C1-2 and C1.", "X, C10, XC1, C1-2 and X."),
        ("7", "7 customers", "7 customers"),
        ("ada", "ada wrote ada@example.com", "X wrote ada@example.com"),
        ("a&b", "<b>a&amp;b</b> a&b", "<b>X</b> X"),
        ("48213", "48213.50 and 0.48213", "48213.50 and 0.48213"),
        ("48213", "48213.0 and 48213.00", "X and X"),
        ("C1", r"\nC1", r"\nX"),
    ],
)
def test_a_name_is_a_whole_word_and_no_figure(name: str, before: str, after: str) -> None:
    assert ForgottenPerson([name], stand_in="X").text(before) == after


def test_a_record_that_names_somebody_loses_what_is_theirs_and_others_keep_theirs() -> None:
    person = ForgottenPerson(["7"], values=["Ada"], stand_in="X")
    rows = [{"id": "7", "name": "Ada", "n": 7, "more": {"a": 1}}, {"id": "8", "name": "Ada", "more": {"a": 1}}]
    assert person.value(rows) == [{"id": "X", "name": BLANKED, "n": 7, "more": {}}, rows[1]]
    assert person.value({"7": {"name": "Ada"}, "8": {"name": "Ada"}}) == {"X": {}, "8": {"name": "Ada"}}
    assert person.value(json.dumps(rows[0])) == json.dumps({"id": "X", "name": BLANKED, "n": 7, "more": {}})
