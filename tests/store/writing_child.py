"""A process that changes a campaign as a notebook or a night does, again and again, at the same time as others.

Arguments: address of the store, who writes, how often, whether it's a night. A night runs or holds the campaign, a
notebook adds a line to its notes. Says "read" once it has read the campaign, waits for a line on standard input, then
writes what it made of it; whoever comes too late prints why and opens the campaign again.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from msgspec.structs import replace

from optinb.campaigns import CampaignRecord, step
from optinb.delivery.journal import Store
from optinb.errors import ConflictError

NAME = "Summer, lapsed"


def changed(record: CampaignRecord, *, who: str, number: int, is_night: bool) -> CampaignRecord:
    now = datetime.now(UTC)
    line = f"{who} {number}\n"
    if is_night:
        noted = step(record, "hold" if number % 2 else "run", now=now, comment=record.comment + line)
    else:
        noted = replace(record, version=record.version + 1, updated_at=now)
    return replace(noted, campaign=replace(noted.campaign, notes=noted.campaign.notes + line))


def main(address: str, who: str, times: int, is_night: bool) -> None:
    with Store.open(address) as store:
        record = store.campaigns.get(NAME)
        print("read", flush=True)
        sys.stdin.readline()
        for number in range(times):
            while True:
                mine = changed(record, who=who, number=number, is_night=is_night)
                try:
                    record = store.campaigns.put(
                        mine, expected=record.version, user=who, action="note", now=mine.updated_at
                    )
                    break
                except ConflictError as error:
                    print(error, flush=True)
                    record = store.campaigns.get(NAME)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "night")
