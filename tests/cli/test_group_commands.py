"""Groups and lists from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from optinb.cli import main
from optinb.demo import AUTHOR

if TYPE_CHECKING:
    from pathlib import Path


def call(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--workspace", str(folder)], env={"OPTINB_USER": AUTHOR})


def told(folder: Path, *arguments: str) -> Any:
    result = call(folder, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_list_goes_from_a_file_into_a_group_and_says_why_somebody_belongs(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "fair.csv"
    file.write_text("customer_id\n000001\n000002\nstranger\n")
    saved = told(folder, "lists", "save", "Trade fair", str(file))
    assert (saved["version"], saved["customers"], saved["unknown"]) == (1, 3, 1)
    assert told(folder, "lists", "list") == [saved]
    assert told(folder, "lists", "show", "trade fair") == saved
    assert "3 customers, 1 of them unknown" in call(folder, "lists", "show", "Trade fair").stdout

    told(folder, "groups", "save", "Visitors", 'in_list("Trade fair") & attr("country").is_known()')
    assert told(folder, "groups", "count", "Visitors")["customers"] <= 2
    why = told(folder, "groups", "why", "Visitors", "000003")
    assert not why["is_member"]
    assert why["tree"]["parts"][0]["found"] == "not on it"
    shown = call(folder, "groups", "why", "in_list('Trade fair')", "000001").stdout.splitlines()
    assert shown[0].startswith("customer 000001 belongs as of 2026-11-23: ")
    assert shown[1].startswith("  ✓ ")
    assert shown[1].endswith("[on it]")
    assert "is no customer" in call(folder, "groups", "why", "Visitors", "stranger").stdout


def test_what_is_not_there_is_said_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    assert call(folder, "lists", "list").stdout.startswith("no list is saved yet; `optinb lists save")
    unread = call(folder, "lists", "save", "Fair", str(tmp_path / "none.csv"))
    assert (unread.exit_code, unread.stdout) == (2, "")
    assert "none.csv can't be read" in unread.stderr
    unknown = call(folder, "lists", "show", "Fair")
    assert unknown.exit_code == 2
    assert "isn't known; save it first" in unknown.stderr


def test_members_are_written_to_a_file(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    made = told(folder, "groups", "export", "lapsed buyers", "--file", str(file))
    assert made["name"] == "Lapsed buyers" and made["csv"] is None
    head, *rows = file.read_text().splitlines()
    assert head == "customer_id,external_user_id" and len(rows) == made["customers"] > 0
    said = call(folder, "groups", "export", "Lapsed buyers", "--file", str(file)).stdout
    assert said.startswith(f"{made['customers']:,} customers of 'Lapsed buyers' on 2026-11-23 are in ")
    assert call(folder, "groups", "export", "Lapsed buyers", "--file", str(tmp_path / "x" / "y.csv")).exit_code == 2
