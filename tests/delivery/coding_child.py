"""Plans a campaign whose recipients get codes, in a process of its own, and kills itself without warning at a place.

Arguments: address of the store, workspace, campaign, recipients, where to die (or "nowhere"). Waits for a line on
standard input first, so that several begin at once.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from delivery_desk import NIGHT, NOW, audience

from optinb.campaigns import Campaign, Offer, Property, Schedule
from optinb.delivery import plan, planning
from optinb.delivery.journal import FrozenAudience, Store, plans

POOL = "Summer"


def planned(store: Store, root: Path, name: str, recipients: int) -> FrozenAudience:
    """Plans the night of a campaign with codes."""
    return plan(
        store,
        audience(recipients, code=True),
        campaign=Campaign(
            name=name,
            app_group="Shop",
            template="T",
            group="G",
            schedule=Schedule(at="18:30", every="day"),
            offer=Offer(name="Ten", kind="discount", codes=POOL),
            properties={"promo": Property(offer="code")},
        ),
        run_date=NIGHT,
        app_group_id="shop",
        template_id=name,
        send_at=NOW + timedelta(hours=15),
        fingerprint="f" * 64,
        root=root,
        user="cron",
        now=NOW,
    )


def main(address: str, root: Path, name: str, recipients: int, place: str) -> None:
    def dying(call: Any, where: str) -> Any:
        def wrapped(*args: object, **kwargs: object) -> object:
            result = call(*args, **kwargs)
            if place == where:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    planning.freeze = dying(planning.freeze, "frozen, not registered")
    plans.take = dying(plans.take, "taken, not committed")
    with Store.open(address) as store:
        store.deliveries.plan = dying(store.deliveries.plan, "registered, not sent")
        sys.stdin.readline()
        planned(store, root, name, recipients)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
