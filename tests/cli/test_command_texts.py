"""What commands say on a terminal, and without anybody named."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from optinb import show
from optinb.cli import main
from optinb.customers import ModelReport
from optinb.warehouse import ImportReport
from optinb.warehouse.report import TableReport

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_is_shown_in_lines() -> None:
    report = ModelReport(
        run_date=date(2026, 11, 23), warehouse_version=2, customers=2000, stages={"new": 30}, card=("One.", "Two, too.")
    )
    text = show.text(report)
    assert text.startswith("2,000 customers modelled for 2026-11-23, published as version 2\n")
    assert text.endswith("\n\nOne.\nTwo, too.")
    assert "('" not in text


def test_the_reasons_of_an_import_stand_below_the_table_a_line_each() -> None:
    reasons = {"customer_id is empty: " + "x" * 200: 3, "the amount is no number": 1}
    table = TableReport(table="customers", read=1004, loaded=1000, quarantined=4, reasons=reasons)
    lines = show.text(ImportReport(run_date=date(2026, 11, 23), version=1, tables=(table,))).splitlines()
    assert lines[1].split() == ["table", "read", "loaded", "quarantined"]
    assert lines[4:] == [f"  3 × customers: {next(iter(reasons))}", "  1 × customers: the amount is no number"]


@pytest.mark.parametrize(
    ("command", "taken"),
    [
        (("import",), "today"),
        (("model",), "the published delivery's"),
        (("groups", "count"), "the published delivery's"),
        (("why",), "the newest night that ran"),
    ],
)
def test_help_says_which_date_is_taken_when_none_is_given(command: tuple[str, ...], taken: str) -> None:
    text = " ".join(CliRunner().invoke(main, [*command, "--help"]).stdout.split())
    assert f"The night's date; {taken} when left out." in text


def test_reading_needs_nobody_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTINB_USER")

    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, [*arguments, "--workspace", str(folder)])
        return result.exit_code, result.output

    for command in (("status",), ("groups", "list"), ("campaigns", "list"), ("groups", "count", "Lapsed buyers")):
        assert call(*command)[0] == 0
    assert call("why", "000042") == (2, "optinb: no night has run yet: `optinb nightly`\n")
    code, said = call("groups", "save", "Germans", 'attr("country") == "DE"')
    assert code == 2
    assert "OPTINB_USER" in said
