"""What a look at the bytes of a file rules out is true of every cell, so that leaving checks out changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.warehouse import limits
from optinb.warehouse.limits import Facts, facts_of

if TYPE_CHECKING:
    from pathlib import Path

CELL = st.text(st.sampled_from(list('ab \t\x00\x1f\x7f"é\u00a0\u2003\u3000\u2019')), max_size=4)
RECORDS = st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=5)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
BLANKS = " \u00a0\u2003\u3000"


@settings(max_examples=300, deadline=None)
@given(RECORDS, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 9))
def test_no_cell_has_what_the_facts_rule_out(
    tmp_path_factory: pytest.TempPathFactory, records, delimiter: str, newline: str, ended: bool, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "facts.csv"
    text = newline.join(delimiter.join(record) for record in [["a", "b"], *records]) + newline * ended
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "_CHUNK", chunk)
        found = facts_of(path, delimiter)
    cells = [cell for line in text.split(newline) for cell in line.split(delimiter)]
    assert '"' not in text or not (found.trimmed or found.printable)
    assert found.ascii == text.isascii()
    assert not found.trimmed or all(cell == cell.strip(BLANKS) for cell in cells)
    assert not found.printable or not any(CONTROL.search(cell) for cell in cells)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["Zoe B", "Zoë B"])
def test_a_plain_file_rules_out_all(tmp_path: Path, delimiter: str, newline: str, name: str) -> None:
    path = tmp_path / "customers.csv"
    rows = [["customer_id", "registered_at", "name"], ["007", "2026-11-20 10:00:00", name], ["008", "", ""]]
    path.write_bytes(newline.join(delimiter.join(row) for row in rows).encode() + newline.encode())
    assert facts_of(path, delimiter) == Facts(trimmed=True, printable=True, ascii=name.isascii())
