"""Stores to test on: SQLite files, or an empty PostgreSQL database that OPTINB_TEST_STATE names."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from optinb.state import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def address(tmp_path: Path) -> str:
    url = os.environ.get("OPTINB_TEST_STATE")
    if url is None:
        return str(tmp_path / "state.sqlite")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        con.exec_driver_sql("drop schema public cascade")
        con.exec_driver_sql("create schema public")
    engine.dispose()
    return url


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store.open(address) as store:
        yield store


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 17, 5, 9, 123456, tzinfo=UTC)
