"""A sender in a process of its own, which stops itself with SIGSTOP at a given place, as a suspended one would be.

Arguments: workspace, api, app group id, seconds that its clock is ahead, where to stop, how long its hold lasts. The
night is the only one in the store. Ends with 3 when it finds that it has lost its hold.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delivery_desk import KEY_NAME, store_address
from httpcore import SyncBackend

from optinb.appboy import AppboyClient, client, guard
from optinb.base.settings import AppGroupSettings, SendSection
from optinb.delivery import send
from optinb.delivery.journal import Store
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

CALLS = {"marked": 2, "about to ask": 3, "about to connect": 1, "connected": 2}


def main(root: Path, api: str, group_id: str, ahead_s: float, place: str, ttl_s: float) -> None:
    calls, lock = itertools.count(1), threading.Lock()
    # One that is stopped within a transaction keeps all others from the store; and between another thread's last look
    # and its write lie the microseconds that no look can cover.
    outside = threading.Lock()

    def stop(here: str) -> None:
        with lock:
            if here != place or next(calls) != CALLS[place]:
                return
            with outside:
                # at this thread: a signal for the process may be taken by another, while this one goes on for a bit
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def stopping(call, *, before: str = "", after: str = ""):
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            stop(before)
            result = call(*args, **kwargs)
            stop(after)
            return result

        return wrapped

    def last_look() -> dict[str, Any]:
        look = guard.last_look()["trace"]

        def looking(step: str, info: object) -> None:
            _, _, act = step.partition(".send_request_")
            if act.endswith(".started"):
                outside.acquire()
                try:
                    look(step, info)
                except BaseException:
                    outside.release()
                    raise
            elif act:
                outside.release()

        return {"trace": looking}

    vars(client)["last_look"] = last_look
    SyncBackend.connect_tcp = stopping(SyncBackend.connect_tcp, before="about to connect", after="connected")
    group = AppGroupSettings(id=group_id, name="Shop", api=api, key=f"env:{KEY_NAME}")
    with Store.open(store_address(root)) as store, AppboyClient(group) as appboy:
        writing = store._database.writing

        @contextmanager
        def alone() -> Iterator[Connection]:
            with outside, writing() as con:
                yield con

        store._database.writing = alone
        appboy.schedule = stopping(appboy.schedule, before="about to ask")
        store.deliveries.turn = stopping(store.deliveries.turn, after="marked")
        (audience,) = store.deliveries.list()
        try:
            send(
                store,
                appboy,
                audience,
                root=root,
                clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead_s),
                lease_clock=store.clock,
                ttl_s=ttl_s,
                settings=SendSection(window_batches=8, concurrency=4),
                holder=f"stopping:{os.getpid()}",
            )
        except StateError as error:
            assert "had expired" in str(error), error
            sys.exit(3)


if __name__ == "__main__":
    workspace, url, group, ahead, where, life = sys.argv[1:]
    main(Path(workspace), url, group, float(ahead), where, float(life))
