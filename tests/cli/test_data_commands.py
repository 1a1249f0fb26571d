"""The commands about data, as people and machines call them."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from optinb import attr, open_workspace
from optinb.cli import main
from optinb.demo import AUTHOR, CAMPAIGNS

if TYPE_CHECKING:
    from pathlib import Path

BAD = "customer_id,registered_at\n1,2026-01-05\n,2026-01-05\n3,2026-02-30\n4,5.1.2026\n"


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--workspace", str(folder)], env={"OPTINB_USER": AUTHOR})


def told(folder: Path, *arguments: str, code: int = 0) -> Any:
    result = call(folder, *arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """A folder with a delivery that no inbox has seen."""
    made = tmp_path / "2026-11-24"
    made.mkdir()
    (made / "customers.csv").write_text(BAD)
    (made / "app_users.csv").write_text("customer_id,app_id\n1,shop-ios\n")
    return made


def test_check_says_what_an_import_would_and_ends_with_3_where_a_gate_would_block(folder: Path, delivery: Path) -> None:
    def files() -> list[str]:
        """All but logs, and what SQLite keeps beside its file while somebody has it open."""
        return sorted(path.name for path in folder.rglob("*") if "log" not in path.name and ".sqlite-" not in path.name)

    before = files()
    found = told(folder, "check", str(delivery), code=3)
    assert found["report"]["run_date"] == "2026-11-24"
    assert {t["table"]: (t["read"], t["quarantined"]) for t in found["report"]["tables"]} == {
        "customers": (4, 3),
        "app_users": (1, 0),
    }
    assert [(r["rows"], r["examples"][0]["line"]) for r in found["quarantine"]["refusals"]] == [(2, 4), (1, 3)]
    assert any("3 of 4 rows of customers are rejects (75.00%; limit 5.00%)" in why for why in found["blocked"])
    text = call(folder, "check", str(delivery))
    assert text.exit_code == 3
    for expected in ("it would be blocked; nothing was imported", "would be quarantined", "customers.csv:4  '3,2026-"):
        assert expected in text.stdout
    assert files() == before
    assert call(folder, "check", str(delivery / "nowhere")).exit_code == 2


def test_check_of_a_clean_delivery_ends_with_0(folder: Path) -> None:
    found = call(folder, "check", str(folder / "inbox" / "2026-11-23"))
    assert found.exit_code == 0 and "it would be published" in found.stdout


def test_check_shows_how_the_content_of_columns_moved(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "2026-11-24"
    shutil.copytree(folder / "inbox" / "2026-11-23", made)
    text = call(folder, "check", str(made))
    assert text.exit_code == 0, text.stdout
    (head,) = [line.split() for line in text.stdout.splitlines() if line.startswith("table") and "verdict" in line]
    assert head == ["table", "column", "figure", "before", "now", "limit", "verdict"]
    assert any(line.split()[:3] == ["customers", "country", "empty"] for line in text.stdout.splitlines())
    found = told(folder, "check", str(made))["report"]["drift"]
    assert found and {one["verdict"] for one in found} <= {"ok", "not gated"}
    assert all(one["before"] == one["now"] for one in found if one["table"] == "customers")


def test_attributes_of_groups_and_campaigns_are_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_workspace(folder, user=AUTHOR) as ws:
        ws.groups.save("Pro", attr("country") == "DE")
        planned = SimpleNamespace(campaign=ws.campaigns.read(CAMPAIGNS[0]))
        monkeypatch.setattr(ws.campaigns, "list", lambda: (planned,))
        assert {"first_name", "country"} <= ws.attributes_used()
        (ws.root / "state.sqlite").rename(ws.root / "elsewhere.sqlite")
    with open_workspace(folder, user=AUTHOR) as ws:
        assert ws.attributes_used() == frozenset() and not (ws.root / "state.sqlite").exists()


def test_quarantine_is_shown_by_reason_with_examples(folder: Path) -> None:
    found = told(folder, "quarantine", "--date", "2026-11-23")
    assert found["rows"] + found["values"] == sum(r["rows"] for r in found["refusals"]) == 20 and found["values"] == 1
    assert found == told(folder, "quarantine")
    text = call(folder, "quarantine").stdout
    assert "3 × transactions: customer_id isn't in customers" in text and "transactions.csv.gz:13391  '" in text
    missing = call(folder, "quarantine", "--date", "2026-01-01")
    assert (missing.exit_code, missing.stdout) == (2, "") and "the nearest is of 2026-11-23" in missing.stderr


def test_an_overridden_gate_is_told_by_the_import_and_kept_in_the_audit_trail(folder: Path, delivery: Path) -> None:
    delivery.rename(folder / "inbox" / "2026-11-24")
    blocked = call(folder, "import", "--date", "2026-11-24")
    assert (blocked.exit_code, blocked.stdout) == (3, "") and "customers are rejects" in blocked.stderr
    report = told(folder, "import", "--date", "2026-11-24", "--accept-anyway", "agreed with IT")
    assert (report["accepted_by"], report["accepted_because"]) == (AUTHOR, "agreed with IT")
    from optinb import open_workspace

    with open_workspace(folder, user=AUTHOR) as ws:
        (entry,) = ws.store.audit.list(subject="delivery 2026-11-24")
    assert entry.who == AUTHOR and entry.detail["reason"] == "agreed with IT"
    assert any("customers are rejects" in gate for gate in entry.detail["gates"])


def test_reach_by_app_group_and_for_one_customer(folder: Path) -> None:
    rows = told(folder, "reach", "--app-group", "Shop")["rows"]
    assert [(row["app"], row["day"]) for row in rows] == [
        (app, "2026-11-23") for app in (None, "Shop for iPhone", "Shop for Android")
    ]
    assert all(row["reachable"] <= min(row["push_enabled"], row["with_sdk"]) <= row["users"] for row in rows)
    assert "Club for iPhone" in call(folder, "reach", "--since", "2026-11-01").stdout
    one = told(folder, "reach", "--customer", "000007")
    assert one["is_known"] and len(one["apps"]) == 4 and {a["why_not"] for a in one["apps"]} == {"", "doesn't use it"}
    assert "a push can arrive" in call(folder, "reach", "--customer", "000007").stdout
    assert "is no customer" in call(folder, "reach", "--customer", "nobody").stdout
    nowhen = call(folder, "reach", "--date", "2020-01-01")
    assert (nowhen.exit_code, "no reach is kept of a night up to 2020-01-01;" in nowhen.stderr) == (2, True)
    assert "a night from 2099-01-01;" in call(folder, "reach", "--since", "2099-01-01").stderr
    assert "did you mean 'Shop'" in call(folder, "reach", "--app-group", "Shpo").stderr


def test_history_and_one_customer_on_a_day(folder: Path) -> None:
    stages = told(folder, "history", "stage")["rows"]
    assert sum(row["customers"] for row in stages) == 2001 and {row["day"] for row in stages} == {"2026-11-23"}
    assert "DE" in call(folder, "history", "country", "--since", "2026-11-23", "--until", "2026-11-23").stdout
    assert "did you mean 'country'" in call(folder, "history", "contry").stderr
    one = told(folder, "customer", "000007", "--date", "2026-11-23")
    assert one["is_customer"] and one["attributes"]["stage"] == "active" and one["attributes"]["country"] == "DE"
    card = told(folder, "customer", "000007")
    assert card["stage"] == "active" and card["months"] and card["future"]["future_value"] > 0
    assert "customer 000007 on 2026-11-23: active" in call(folder, "customer", "000007").stdout
    moves = told(folder, "migration", "2026-11-23", "2026-11-23")["rows"]
    assert sum(move["customers"] for move in moves) == 2001 and all(m["before"] == m["after"] for m in moves)
    turned = call(folder, "migration", "2026-11-24", "2026-11-23")
    assert (turned.exit_code, "2026-11-24 is later than 2026-11-23: name the earlier" in turned.stderr) == (2, True)
    assert "no customer on 2026-11-23" in call(folder, "customer", "nobody").stdout
    assert "the first delivery is of 2026-11-23" in call(folder, "customer", "000007", "--date", "2026-11-22").stderr


@pytest.mark.parametrize("command", ["import", "model"])
def test_a_mistyped_later_day_is_neither_imported_nor_modelled(folder: Path, command: str) -> None:
    # it would stay in the history, and of an import every delivery before it would be too old
    before = told(folder, "status")
    shutil.copytree(folder / "inbox" / "2026-11-23", folder / "inbox" / "2027-11-23")
    refused = call(folder, command, "--date", "2027-11-23")
    assert refused.exit_code == 2
    assert "2027-11-23 lies ahead; today is 2026-11-23: name today, or an earlier day" in refused.stderr
    assert told(folder, "status") == before


def import_again(folder: Path, *arguments: str) -> list[str]:
    """The delivery without its events is another one."""
    (folder / "inbox" / "2026-11-23" / "events.ndjson.gz").unlink()
    return [sys.executable, "-m", "optinb", "import", "--workspace", str(folder), *arguments]


def test_each_table_of_an_import_is_one_json_line_where_nobody_reads_along(folder: Path) -> None:
    command = import_again(folder, "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    report = json.loads(done.stdout)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["table checked"] * 3
    assert [{k: line[k] for k in ("table", "read", "loaded", "quarantined")} for line in lines] == [
        {k: table[k] for k in ("table", "read", "loaded", "quarantined")} for table in report["tables"]
    ]
    assert all(line["level"] == "info" and line["timestamp"].endswith("Z") for line in lines)


def test_a_terminal_shows_a_bar_and_lines_for_people(folder: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    command = import_again(folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ) as process:
        os.close(theirs)
        seen = b""
        while part := _read(ours):
            seen += part
    os.close(ours)
    text = seen.decode()
    assert process.returncode == 0
    assert "delivery of 2026-11-23:" in text and "customers]" in text
    assert "table checked" not in text and '{"' not in text  # which the workspace's log has
    assert "table checked" in (folder / "logs" / "optinb.log").read_text(encoding="utf-8")
    # of hundredths, the percentage says all; neither their number nor how many a second is of use
    assert re.search(r" \d+%\|", text) and "/100" not in text and "%/s" not in text


def _read(descriptor: int) -> bytes:
    """What a terminal shows next; nothing at its end, which Linux tells by an error."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""
