"""Several processes that change one campaign at once: no update is lost, and whoever is late reads who was first."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

from optinb.campaigns import Campaign, Schedule, approve, submit
from optinb.delivery.journal import Store

CHILD = str(Path(__file__).with_name("writing_child.py"))
NAME = "Summer, lapsed"
NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)
LATE = re.compile(
    rf"campaign '{NAME}' was changed since you opened it, by (\w+) at \d{{4}}-\d\d-\d\d \d\d:\d\d UTC \(note\); "
    "open it again"
)


def approved(store: Store) -> None:
    campaign = Campaign(
        name=NAME,
        app_group="Shop",
        template="T",
        group="G",
        schedule=Schedule(at="18:30", every="day", start=date(2026, 11, 24)),
    )
    record = submit(campaign, user="ann", now=NOW, earlier=None)
    record = store.campaigns.put(record, expected=None, user="ann", action="submit", now=NOW)
    record = approve(record, user="bob", approvers=["bob"], approve_own=False, now=NOW, parts={}, recipients=9)
    store.campaigns.put(record, expected=1, user="bob", action="approve", now=NOW)


def write_at_once(address: str, writers: dict[str, str], *, times: int) -> dict[str, list[str]]:
    """What each writer was told, who all have read the same version before the first of them writes."""
    children = {
        who: subprocess.Popen(
            [sys.executable, CHILD, address, who, str(times), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who, kind in writers.items()
    }
    for child in children.values():
        assert child.stdout is not None
        assert child.stdout.readline() == "read\n"
    for child in children.values():
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = {}
    for who, child in children.items():
        said, complaint = child.communicate(timeout=200)
        assert child.returncode == 0, complaint
        told[who] = said.splitlines()
    return told


def test_of_a_notebook_and_a_night_that_opened_the_same_version_the_loser_is_told_who_was_first(address: str) -> None:
    with Store.open(address) as store:
        approved(store)
        told = write_at_once(address, {"carol": "notebook", "cron": "night"}, times=1)
        (loser,) = [who for who, lines in told.items() if lines]
        winner = ({"carol", "cron"} - {loser}).pop()
        (line,) = told[loser]
        match = LATE.fullmatch(line)
        assert match, line
        assert match[1] == winner
        steps = [(c.record.version, c.changed_by) for c in store.campaigns.history(NAME)]
        assert steps == [(1, "ann"), (2, "bob"), (3, winner), (4, loser)]
        assert store.campaigns.get(NAME).campaign.notes == f"{winner} 0\n{loser} 0\n"


def test_no_update_is_lost_among_many_processes(address: str) -> None:
    times, writers = 12, {"ann": "notebook", "bob": "notebook", "carol": "notebook", "cron": "night"}
    with Store.open(address) as store:
        approved(store)
        told = write_at_once(address, writers, times=times)
        record = store.campaigns.get(NAME)
        assert record.version == 2 + times * len(writers)
        lines = record.campaign.notes.splitlines()
        assert Counter(lines) == Counter(f"{who} {n}" for who in writers for n in range(times))
        for who in writers:  # each writer's own changes come in their order
            assert [line for line in lines if line.startswith(who)] == [f"{who} {n}" for n in range(times)]
        conflicts = [line for said in told.values() for line in said]
        assert len(conflicts) >= len(writers) - 1
        assert all(LATE.fullmatch(line) for line in conflicts)
        versions = [change.record.version for change in store.campaigns.history(NAME)]
        assert versions == list(range(1, record.version + 1))
        assert store.audit.verify().problem is None
