"""A sender for the chaos test: forked, so that it starts at once, from a process that has imported everything."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from delivery_desk import KEY_NAME

from optinb.appboy import AppboyClient
from optinb.delivery import send
from optinb.settings import AppGroupSettings, SendSection
from optinb.state import LeaseTaken, Store

WINDOW = 8
HURRY = 20.0  # how much shorter waits are


def run(address: str, root: str, api: str, key: str, campaign_id: str, night: date, ahead_s: float) -> None:
    """Sends what is planned of a night, by a clock that is ahead; leaves when another one keeps the lease."""
    os.environ[KEY_NAME] = key
    group = AppGroupSettings(id="g", name="Shop", api=api, key=f"env:{KEY_NAME}")
    with Store.open(address) as store, AppboyClient(group, timeout_s=20) as client:
        audience = store.deliveries.find(campaign_id, night)
        assert audience is not None
        client.remember(store.deliveries.answered_ids(audience.app_group_id, since=night))
        with contextlib.suppress(LeaseTaken):
            send(
                store,
                client,
                audience,
                root=Path(root),
                clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
                settings=SendSection(window_batches=WINDOW, concurrency=4),
                holder=f"chaos:{os.getpid()}",
                sleep=lambda seconds: time.sleep(min(seconds, 20.0) / HURRY),
                wait_s=5.0,
            )
