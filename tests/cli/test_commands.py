from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from optinb.base.share import shared
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

CAMPAIGN = """
name = "Summer, lapsed"
channel = "Appboy Push"
app_group = "Shop"
template = "Optimove_SummerSale_iOS"
group = "Lapsed buyers"
control = 0.1

[schedule]
every = "day"
at = "18:30"

[properties]
first_name = { attribute = "first_name", default = "there" }
promo_code = { value = "SUMMER" }
"""


def call(*arguments: str, user: str = AUTHOR) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"OPTINB_USER": user})


def told(*arguments: str, user: str = AUTHOR) -> Any:
    result = call(*arguments, "--json", user=user)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [((*path, name), command)]
    return found


@pytest.mark.parametrize(("path", "command"), commands(main))
def test_every_command_and_option_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    result = call(*path, "--help")
    assert result.exit_code == 0
    assert command.help
    options = {name for p in command.params for name in p.opts}
    if path[0] not in ("init", "sandbox", "sample", "demo"):
        assert "--workspace" in options
    if path[0] not in ("lab", "serve"):
        assert "--json" in options


def test_a_campaign_goes_from_file_to_scheduled_by_commands_alone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN)
    w = ("--workspace", str(folder))
    assert [s["problem"] for s in told("templates", "sync", *w)] == ["", ""]
    names = {t["name"] for t in told("templates", "list", "--app-group", "Shop", *w)["templates"] if t["usable"]}
    assert "Optimove_SummerSale_iOS" in names
    assert not any("Club" in name for name in names)
    once = call("campaigns", "submit", "--file", str(file), *w)
    assert once.exit_code == 2 and "optinb templates set Optimove_SummerSale_iOS --again" in once.stderr
    stated = told("templates", "set", "Optimove_SummerSale_iOS", "--again", "any time", *w)["stated"]
    assert (stated["by"], stated["rules"]) == (AUTHOR, {"again_after_s": 0})
    size = told("groups", "count", "Lapsed buyers", *w)
    assert 300 < size["customers"] < size["total"] == 2001
    assert told("campaigns", "submit", "--file", str(file), *w)["state"] == "submitted"
    unseen = call("campaigns", "approve", "Summer, lapsed", *w, user=APPROVER)
    assert (unseen.exit_code, unseen.stdout) == (2, "")
    assert "optinb campaigns preview 'Summer, lapsed'" in unseen.stderr
    seen = ("--seen", told("campaigns", "preview", "Summer, lapsed", *w)["fingerprint"])
    assert seen[1] in call("campaigns", "preview", "Summer, lapsed", *w).stdout
    refused = call("campaigns", "approve", "Summer, lapsed", *seen, *w)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert APPROVER in refused.stderr
    approved = told("campaigns", "approve", "Summer, lapsed", *seen, *w, user=APPROVER)
    assert len(approved["approval"]["fingerprint"]) == 64

    night = subprocess.run(
        [sys.executable, "-m", "optinb", "nightly", "--date", "2026-11-23", "--json", *w],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert night.returncode == 0, night.stderr
    summary = json.loads(night.stdout)
    (campaign,) = summary["campaigns"]
    assert campaign["accepted"] == campaign["recipients"] > 100
    assert campaign["target"] == size["customers"]
    notebook = json.loads((folder / "runs/2026-11-23/nightly_send.ipynb").read_text())
    assert all(c.get("execution_count") for c in notebook["cells"] if c["cell_type"] == "code")
    assert summary == json.loads((folder / "runs/2026-11-23/summary.json").read_text())

    status = told("status", *w)
    assert status["runs"][0]["exit_code"] == 0
    why = told("why", "000001", *w)
    assert [a["campaign"] for a in why["answers"]] == ["Summer, lapsed"]
    assert call("why", "000001", *w).stdout.startswith("customer 000001")
    assert "Summer, lapsed" in call("campaigns", "show", "Summer, lapsed", *w).stdout
    (recall,) = told("campaigns", "cancel", "Summer, lapsed", *w)["nights"]
    assert recall["recalled"] + recall["may_be_out"] + recall["out"] == campaign["accepted"]
    assert told("campaigns", "show", "Summer, lapsed", *w)["state"] == "cancelled"
    assert call("campaigns", "cancel", "Summer, lapsed", *w).exit_code == 2


def test_a_held_night_ends_with_exit_code_4_and_plain_papermill_with_1(
    ws: Workspace, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(CAMPAIGN)
    ws.campaigns.submit(tmp_path / "c.toml")
    w = ("--workspace", str(folder))
    shared_folder = tmp_path / "shared"  # with a module in it that somebody else has left
    shared_folder.mkdir()
    (shared_folder / "ipykernel_launcher.py").write_text("open('planted', 'w').close()")
    night = subprocess.run(
        # as the installed command does, this looks for no modules in the folder where it is started
        [sys.executable, "-P", "-m", "optinb", "nightly", "--date", "2026-11-23", *w],
        cwd=shared_folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert night.returncode == 4, night.stderr
    assert "HELD: 'Summer, lapsed' is submitted, not approved" in night.stdout
    assert not (shared_folder / "planted").exists()
    notebook = str(shared("notebooks/nightly_send.ipynb"))
    parameters = ("-p", "run_date", "2026-11-23", "-p", "workspace", str(folder))
    plain = subprocess.run(
        [sys.executable, "-m", "papermill", notebook, str(tmp_path / "out.ipynb"), *parameters],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 1
    assert "not approved" in plain.stderr
    assert json.loads((folder / "runs/2026-11-23/summary.json").read_text())["exit_code"] == 4


def test_a_night_that_lies_ahead_is_wrong_use_and_leaves_nothing(folder: Path) -> None:
    result = call("nightly", "--date", "2026-12-24", "--workspace", str(folder))
    assert (result.exit_code, "lies ahead" in result.stderr) == (2, True)
    assert not (folder / "runs").exists()


def test_import_and_model_tell_what_they_did(folder: Path) -> None:
    w = ("--workspace", str(folder), "--date", "2026-11-23")
    report = told("import", *w)
    assert report["unchanged"]
    assert {t["table"]: t["read"] - t["loaded"] - t["quarantined"] for t in report["tables"]} == dict.fromkeys(
        ("customers", "app_users", "transactions", "events"), 0
    )
    model = told("model", *w)
    assert sum(model["stages"].values()) == model["customers"] == 2001


def test_groups_are_saved_shown_and_counted(folder: Path) -> None:
    w = ("--workspace", str(folder))
    told("groups", "save", "Germans", 'attr("country") == "DE"', *w)
    assert told("groups", "show", "Germans", *w)["sentence"] == "country is DE"
    assert {g["name"] for g in told("groups", "list", *w)} == {"Germans", "Lapsed buyers", "Club regulars"}
    by_name, by_rule = (told("groups", "count", x, *w)["customers"] for x in ("Germans", "attr('country') == 'DE'"))
    assert by_name == by_rule > 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("groups", "show", "Lapsd buyers"), "did you mean 'Lapsed buyers'"),
        (("groups", "count", "attr('contry') == 'DE'"), "did you mean 'country'"),
        (("groups", "save", "x", "os.system('true')"), "are understood"),
        (("campaigns", "show", "nothing"), "'nothing'"),
        (("campaigns", "submit", "--file", "nowhere.toml"), "nowhere.toml"),
        (("import", "--date", "2026-13-01"), "write it as 2026-11-23"),
        (("import", "--date", "2020-01-01"), "2020-01-01"),
        (("templates", "list", "--app-group", "Shpo"), "did you mean 'Shop'"),
        (("why", "1"), "no night has run"),
    ],
)
def test_bad_input_ends_in_one_sentence_on_standard_error(
    folder: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    result = call(*arguments, "--workspace", str(folder))
    assert result.exit_code not in (0, 1) or "2020" in arguments[-1]
    assert complaint in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_a_folder_that_is_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    result = call("status", "--workspace", str(tmp_path))
    assert result.exit_code == 2
    assert "optinb init" in result.stderr


def test_init_makes_a_workspace_once_and_never_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "ws"
    assert told("init", str(target))["folder"] == str(target)
    before = (target / "optinb.toml").read_text()
    assert "[[app_groups]]" in before
    again = call("init", str(target))
    assert (again.exit_code, (target / "optinb.toml").read_text()) == (2, before)
    (tmp_path / "file").write_text("x")
    assert call("init", str(tmp_path / "file" / "ws")).exit_code == 2


def test_the_sandbox_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "optinb", "sandbox", "--port", "0", "--journal", str(journal)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = ""
        while "http://127.0.0.1:" not in line:
            line = process.stdout.readline()
            assert line, "the sandbox ended"
        url = "http://127.0.0.1:" + line.split("http://127.0.0.1:")[1].split()[0].strip("/.,;")
        reply = httpx.get(f"{url}/campaigns/list", headers={"Authorization": "Bearer sandbox-shop-key"})
        assert reply.json()["message"] == "success"
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_the_demo_shows_the_whole_way(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPTINB_")}
    demo = subprocess.run(
        [sys.executable, "-m", "optinb", "demo", "--workspace", str(tmp_path / "demo")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr
    for expected in ("imported", "lifecycle stage", "target group", "= recipients", "control group", "report.html"):
        assert expected in demo.stdout
    assert "optinb lab" in demo.stderr
    assert re.search(r"cost +at most \d+ recipients x 5.00 EUR = \d+.00 EUR, if everybody redeems", demo.stderr)
    assert call("demo", "--workspace", str(tmp_path / "demo")).exit_code == 2


ENDLESS = """
import os, signal, threading
import duckdb
from optinb.cli import main

@main.command()
def endless():
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    duckdb.connect().execute("SELECT count(*) FROM range(1000000000000) t(i) WHERE i * i % 7 = 3").fetchall()

main(["endless"])
"""


def test_ctrl_c_in_the_midst_of_a_query_ends_a_command_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", ENDLESS], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    assert done.stderr.strip() == "optinb: interrupted; run the same command again to go on or to begin anew"


def test_ctrl_c_in_the_demo_leaves_nothing_so_that_the_same_command_begins_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "optinb", "demo", "--workspace", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        said = ""
        for line in demo.stderr:
            said += line
            if line.startswith("import "):
                demo.send_signal(signal.SIGINT)
    assert demo.returncode == 130, said
    assert "interrupted" in said.splitlines()[-1] and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("answer", "state"), [("n", "submitted"), ("y", "approved")])
def test_a_terminal_shows_what_is_approved_and_asks(
    ws: Workspace, folder: Path, tmp_path: Path, answer: str, state: str
) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN)
    ws.campaigns.submit(file)
    fingerprint = ws.campaigns.preview("Summer, lapsed").fingerprint
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "optinb", "campaigns", "approve", "Summer, lapsed", "-w", str(folder)]
    running = subprocess.Popen(
        command,
        env={**os.environ, "OPTINB_USER": APPROVER},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.write(ours, f"{answer}\n".encode())
    shown = running.communicate(timeout=120)[1].decode()
    os.close(theirs)
    os.close(ours)
    assert (running.returncode == 0) == (state == "approved"), shown
    assert fingerprint in shown and "submitted by demo-author" in shown
    assert ws.campaigns.get("Summer, lapsed").state == state
