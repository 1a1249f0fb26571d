"""A small workspace folder with deliveries that a test writes as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from optinb.base.settings import AppGroupSettings, AppSettings, ImportSection, Settings, WorkspaceSection
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
CUSTOMERS = """customer_id,registered_at,country,plan,visits
007,2026-01-05,DE,pro,3
008,2026-02-01T10:00:00Z,FR,,4
009,2026-03-01 08:30:00,DE,free,5
"""
APP_USERS = """customer_id,app_id,push_enabled,app_version
007,shop-ios,true,3.2.0
008,shop-android,true,3.1.0
009,shop-ios,no,1.0
"""
TRANSACTIONS = """transaction_id,customer_id,occurred_at,amount,product
t1,007,2026-11-20T10:00:00,10.5,shoes
t2,007,2026-11-21T23:30:00Z,20,hat
t3,008,2026-11-22T12:00:00,30,
"""
EVENTS = """customer_id,occurred_at,name,value,properties
007,2026-11-22T09:00:00,app_open,,
008,2026-11-22T09:30:00,search,1.5,"{""q"": ""a,b""}"
"""
FILES = {
    "customers.csv": CUSTOMERS,
    "app_users.csv": APP_USERS,
    "transactions.csv": TRANSACTIONS,
    "events.csv": EVENTS,
}


def settings(*, keep_versions: int = 14, time_zone: str = "Europe/Berlin", **limits: object) -> Settings:
    """Settings with one app group; the gates are wide unless a test narrows them."""
    wide = {"max_reject_share": 1.0, "max_emptied_share": 1.0, "max_shrink": 1.0, "max_growth": 100.0}
    wide["settle_seconds"] = 0.0  # files are whole as soon as a test has written them
    apps = (
        AppSettings(id="shop-ios", name="iPhone", platform="ios"),
        AppSettings(id="shop-android", name="Android", platform="android"),
    )
    return Settings(
        workspace=WorkspaceSection(time_zone=time_zone, keep_versions=keep_versions),
        app_groups=(AppGroupSettings(id="g", name="Shop", api="http://127.0.0.1:1", apps=apps),),
        imports=ImportSection(**(wide | limits)),  # pyright: ignore[reportArgumentType]
    )


class Folder:
    """A workspace folder, and short ways to deliver and import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.warehouse = Warehouse(root, settings())

    def configure(self, **changes: object) -> Warehouse:
        """The same folder under other settings."""
        self.warehouse = Warehouse(self.root, settings(**changes))  # pyright: ignore[reportArgumentType]
        return self.warehouse

    def deliver(self, files: dict[str, str | bytes], *, day: date = DAY, base: bool = True) -> Path:
        """Writes a delivery: the small default one, with these files in place of its own (`base`), or only these."""
        folder = self.root / "inbox" / day.isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**(FILES if base else {}), **files}.items():
            (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return folder

    def load(self, files: dict[str, str | bytes] | None = None, *, day: date = DAY, base: bool = True, now=NOW, **kw):
        """Delivers and imports."""
        self.deliver(files or {}, day=day, base=base)
        return self.warehouse.import_delivery(day, now=now, **kw)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
