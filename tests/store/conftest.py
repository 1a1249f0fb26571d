"""Stores to test on: every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from optinb.delivery.journal import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store.open(address) as store:
        yield store


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 17, 5, 9, 123456, tzinfo=UTC)
