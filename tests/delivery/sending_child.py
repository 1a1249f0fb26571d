"""A sender in a process of its own, which kills itself without warning at the n-th call of a given kind.

Arguments: workspace, api, app group id, seconds that its clock is ahead, where to die (or "nowhere"), at which call.
The night is the only one in the store. Prints the counts as JSON when it comes to the end.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from delivery_desk import KEY_NAME, store_address

from optinb.appboy import AppboyClient
from optinb.base.settings import AppGroupSettings, SendSection
from optinb.delivery import SendIds, send
from optinb.delivery.journal import Store


def main(root: Path, api: str, group_id: str, ahead_s: float, place: str, at: int, wait_s: float) -> None:
    calls = itertools.count(1)
    lock = threading.Lock()

    def dying(call, before: str, after: str):
        def wrapped(*args: object, **kwargs: object) -> object:
            if place == before:
                die()
            result = call(*args, **kwargs)
            if place == after:
                die()
            return result

        return wrapped

    def die() -> None:
        with lock:
            if next(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)

    group = AppGroupSettings(id=group_id, name="Shop", api=api, key=f"env:{KEY_NAME}")
    with Store.open(store_address(root), root=root) as store, AppboyClient(group) as client:
        client.schedule = dying(client.schedule, "before a request", "after a request")
        journal = store.deliveries
        journal.turn = dying(journal.turn, "before a turn", "after a turn")
        client.create_send_id = dying(client.create_send_id, "before an id", "after an id")
        journal.bear = dying(journal.bear, "before its note", "after its note")
        (audience,) = journal.list()
        ids = SendIds(store, [audience], clock=lambda: datetime.now(UTC))
        counts = send(
            store,
            client,
            audience,
            root=root,
            clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
            settings=SendSection(window_batches=WINDOW, concurrency=4),
            holder=f"child:{os.getpid()}",
            wait_s=wait_s,
            identify=lambda there, lease: ids.identify(client, there, lease),
        )
    print(msgspec.json.encode(counts).decode())


WINDOW = 4

if __name__ == "__main__":
    workspace, url, group, ahead, where, number, patience = sys.argv[1:]
    main(Path(workspace), url, group, float(ahead), where, int(number), float(patience))
