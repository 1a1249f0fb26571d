"""Forgets a customer in a process of its own, which kills itself without warning at a place.

Arguments: workspace, customer, place, how often the place is passed first.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from optinb import open_workspace
from optinb.campaigns.rewording import Rewording
from optinb.delivery import anonymous, traces
from optinb.delivery.journal.seals import Seals
from optinb.segments.lists import Lists
from optinb.warehouse import building, days, forgetting, forgotten, versions

PLACES: dict[str, tuple[Any, str]] = {
    "hash kept": (forgotten, "write_forgotten"),
    "quarantine blanked": (forgetting, "_blank"),
    "file by day written": (days.DayWriter, "without_rows"),
    "next version published": (versions.Versions, "publish"),
    "older version built": (forgetting, "_built"),
    "audience frozen": (anonymous, "freeze"),
    "audience sealed": (Seals, "renew"),
    "file rewritten": (traces, "_rewritten"),
    "store reworded": (Rewording, "erase"),
    "list content written": (Lists, "_write"),
    "versions written": (forgetting, "_write_versions"),
    "cleaned up": (building, "clean_up"),
}


def main(folder: str, customer: str, place: str, passes: int) -> None:
    owner, name = PLACES[place]
    call, left = getattr(owner, name), [passes]

    def dying(*args: object, **kwargs: object) -> object:
        result = call(*args, **kwargs)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return result

    setattr(owner, name, dying)
    with open_workspace(folder) as ws:
        ws.forget(customer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
