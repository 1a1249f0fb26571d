"""Databases to fetch from: SQLite files, and a real PostgreSQL server of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sources_desk import settings

from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """An SQLite database with customers and orders, whose address is env:SHOP_DB."""
    file = tmp_path / "shop.sqlite"
    monkeypatch.setenv("SHOP_DB", f"sqlite:///{file}")
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as con:
        con.exec_driver_sql("CREATE TABLE crm (id TEXT, since TEXT, land TEXT, vip INTEGER)")
        con.exec_driver_sql(
            "INSERT INTO crm VALUES ('007', '2026-01-05 09:30:00', 'DE', 1), ('008', '2026-02-30', 'FR', 0), "
            "('009', '2026-03-01', NULL, 0)"
        )
        con.exec_driver_sql("CREATE TABLE orders (no TEXT, who TEXT, at TEXT, total REAL)")
        con.exec_driver_sql(
            "INSERT INTO orders VALUES ('t1', '007', '2026-11-20T10:00:00', 10.5), "
            "('t2', '009', '2026-11-22 23:30:00Z', 20)"
        )
    return engine


@pytest.fixture
def warehouse(tmp_path: Path) -> Any:
    """A warehouse in an empty folder, made from settings."""
    return lambda *sources, **limits: Warehouse(tmp_path / "ws", settings(*sources, **limits))
