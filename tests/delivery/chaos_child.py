"""A sender for the chaos test: forked, so that it starts at once, from a process that has imported everything."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from delivery_desk import KEY_NAME

from optinb.appboy import AppboyClient
from optinb.base.settings import AppGroupSettings, SendSection
from optinb.delivery import SendIds, send
from optinb.delivery.journal import Store
from optinb.errors import StateError
from optinb.store import TTL_S, LeaseTaken

WINDOW = 8
HURRY = 20.0  # how much shorter waits are


def run(
    address: str,
    root: str,
    api: str,
    key: str,
    campaign_id: str,
    night: date,
    ahead_s: float,
    ttl_s: float | None = None,
) -> None:
    """Sends what is planned of each message of a night, by a clock that is ahead.

    Leaves a message when another sender keeps its lease, or takes it.

    With `ttl_s`, a hold lasts so long, by the clock that all share, and a dead one's end is waited for.
    """
    os.environ[KEY_NAME] = key
    group = AppGroupSettings(id="g", name="Shop", api=api, key=f"env:{KEY_NAME}")
    with Store.open(address, root=Path(root)) as store, AppboyClient(group, timeout_s=20) as client:
        messages = store.deliveries.messages(campaign_id, night)
        assert messages
        ids = SendIds(store, list(messages), clock=lambda: datetime.now(UTC))
        client.remember(store.deliveries.answered_ids(messages[0].app_group_id, since=night))
        for audience in messages:
            # a store that a stopped one had locked, and a hold that it lost, are told; the next round goes on
            with contextlib.suppress(LeaseTaken if ttl_s is None else StateError):
                send(
                    store,
                    client,
                    audience,
                    root=Path(root),
                    clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
                    settings=SendSection(window_batches=WINDOW, concurrency=4),
                    holder=f"chaos:{os.getpid()}",
                    sleep=lambda seconds: time.sleep(min(seconds, 20.0) / HURRY),
                    wait_s=5.0 if ttl_s is None else 8.0,
                    lease_clock=None if ttl_s is None else store.clock,
                    ttl_s=ttl_s or TTL_S,
                    identify=lambda there, lease: ids.identify(client, there, lease),
                )
