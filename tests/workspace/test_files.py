"""Files that are replaced whole, whoever else writes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

from optinb.base.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_file_that_several_replace_at_once_is_whole_and_they_leave_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, both = tmp_path / "note.json", Barrier(2, timeout=10)
    monkeypatch.setattr(
        "optinb.base.files.os.fsync", lambda _: both.wait()
    )  # both have written, neither has replaced it
    texts = (b"one" * 9, b"another" * 9)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda text: write_atomically(path, text), texts))
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]
