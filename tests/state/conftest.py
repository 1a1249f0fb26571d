"""Stores to test on: every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from postgres_server import emptied

from optinb.state import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "state.sqlite") if request.param == "sqlite" else emptied(request.getfixturevalue("cluster"))


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store.open(address) as store:
        yield store


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 17, 5, 9, 123456, tzinfo=UTC)
