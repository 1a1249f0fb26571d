"""Plans the night of a campaign with several messages and sends all of them, in a process that may be killed anywhere.

`run` is what a test forks: one that finds the night planned goes on with it.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from delivery_desk import KEY_NAME, audience

from optinb.appboy import AppboyClient
from optinb.base.settings import AppGroupSettings, SendSection
from optinb.campaigns import MESSAGES, Campaign, Schedule
from optinb.campaigns.campaign import Property, Variant
from optinb.delivery import plan, send
from optinb.delivery.journal import FrozenAudience, Store
from optinb.store import LeaseTaken

NAMES = ("A1", "A2", "B1", "B2")
VARIANTS = tuple(
    Variant(
        name=name,
        templates={"ios": f"{name}1", "android": f"{name}2"},
        properties={"promo_code": Property(value=name)},
    )
    for name in ("A", "B")
)


def campaign(name: str = "Both", **changes: Any) -> Campaign:
    """Two variants, each with a template for each of two platforms."""
    given: dict[str, Any] = {
        "app_group": "Shop",
        "group": "G",
        "schedule": Schedule(at="18:30", every="day"),
        "variants": VARIANTS,
    }
    return Campaign(name=name, **{**given, **changes})


def dealt(recipients: int) -> pl.DataFrame:
    """So many recipients in turn: on the first phone of A, on both of A, on the second of B, on both of B."""
    bits = pl.Series([0, 0, *([1, 3, 8, 12][n % 4] for n in range(recipients))], dtype=pl.UInt32)
    return audience(recipients).with_columns(bits.alias(MESSAGES))


def planned(
    store: Store, root: Path, templates: list[str], recipients: int, *, now: datetime, night: date, hours: float = 24
) -> tuple[FrozenAudience, ...]:
    """Plans the night, unless it is planned; all of its messages."""
    plan(
        store,
        dealt(recipients),
        campaign=campaign(),
        run_date=night,
        app_group_id="shop",
        template_id=templates,
        send_at=now + timedelta(hours=hours),
        fingerprint="f" * 64,
        root=root,
        user="cron",
        now=now,
    )
    return store.deliveries.messages(campaign().id, night)


def run(root: str, api: str, key: str, templates: list[str], recipients: int, night: date, ahead_s: float) -> None:
    """Plans the night and sends it, by a clock that is ahead, so that a dead one's hold has ended."""
    os.environ[KEY_NAME] = key
    group = AppGroupSettings(id="g", name="Shop", api=api, key=f"env:{KEY_NAME}")

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    with Store.open(str(Path(root) / "state.sqlite"), root=Path(root)) as store, AppboyClient(group) as client:
        for message in planned(store, Path(root), templates, recipients, now=clock(), night=night):
            with contextlib.suppress(LeaseTaken):
                send(
                    store,
                    client,
                    message,
                    root=Path(root),
                    clock=clock,
                    settings=SendSection(window_batches=4, concurrency=2),
                    holder=f"chaos:{os.getpid()}",
                )
