"""Writing a sample: block by block of customers, night by night of deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.errors import UsageError
from optinb.sandbox.sample.apps import app_users_frame, draw_app_users, events_frame, open_times
from optinb.sandbox.sample.bad import bad_rows as make_bad_rows
from optinb.sandbox.sample.files import COLUMNS, Format, TableWriter
from optinb.sandbox.sample.people import JOINED_EARLIER, customers_frame, day_start, draw_people
from optinb.sandbox.sample.purchases import Tastes, corrections, transactions_frame
from optinb.sandbox.sample.world import DAY_S, SHOP_UTC_OFFSET_S

BLOCK = 25_000  # customers in memory at once; part of what a seed means, like every share in this package
EVENT_DAYS = 60
CORRECTED = 10  # rows of a later delivery that correct earlier ones or come late
JOINERS = 0.002  # new customers a night, as a share
_PEOPLE, _ATTRIBUTES, _APPS, _EVENTS, _TASTES, _PURCHASES = range(6)


class SampleReport(Struct, frozen=True):
    """What was written.

    `tables` counts the rows of each table over all deliveries, bad rows included; `bad` the bad rows, which only the
    first delivery has, as {table: {kind: n}}; `deliveries` the rows of each delivery as {day: {table: rows}}.
    """

    tables: dict[str, int]
    bad: dict[str, dict[str, int]]
    deliveries: dict[str, dict[str, int]]


class _Block(Struct, frozen=True):
    """Customers that are drawn together; everything random in it depends on the seed and `key` only."""

    key: int
    first: int
    count: int
    joined: tuple[int, int]
    earlier: float


class _Plan(Struct, frozen=True):
    """The arguments of `write_sample`, and what follows from them."""

    customers: int
    days: int
    run_date: date
    seed: int
    fmt: Format
    nights: int

    @property
    def joiners(self) -> int:
        return max(1, round(self.customers * JOINERS))

    @property
    def width(self) -> int:
        """Digits of a customer id; the last numbers stay free for customers who don't exist."""
        return max(6, len(str(self.customers + self.joiners * self.nights + 3)))

    @property
    def start(self) -> int:
        """The shop's midnight before the first delivery, in seconds UTC."""
        return day_start(self.run_date, offset_s=SHOP_UTC_OFFSET_S)

    @property
    def event_days(self) -> int:
        return min(EVENT_DAYS, self.days)

    def window(self, night: int) -> tuple[int, int]:
        """What the delivery of a night covers, in seconds UTC: the whole history first, then a day each."""
        end = self.start + night * DAY_S
        return (end - (self.days if night == 0 else 1) * DAY_S, end)

    def blocks(self, night: int) -> Iterator[_Block]:
        """All customers of a night's delivery in the order of their ids: those of the first, then those who joined."""
        for key, first in enumerate(range(1, self.customers + 1, BLOCK)):
            count = min(BLOCK, self.customers + 1 - first)
            yield _Block(key=key, first=first, count=count, joined=self.window(0), earlier=JOINED_EARLIER)
        for later in range(1, night + 1):
            first = self.customers + 1 + (later - 1) * self.joiners
            yield _Block(key=10**9 + later, first=first, count=self.joiners, joined=self.window(later), earlier=0.0)

    def rng(self, block: _Block, what: int, night: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, block.key, what, night])


def write_sample(
    out: Path,
    *,
    customers: int = 2_000,
    days: int = 400,
    run_date: date = date(2026, 11, 23),
    seed: int = 7,
    fmt: Format = "csv",
    bad_rows: bool = True,
    nights: int = 1,
) -> SampleReport:
    """Writes deliveries of a fictional shop as folders `out/YYYY-MM-DD`, for rehearsals, demos and benchmarks.

    The first delivery, of `run_date`, has `days` of transactions and up to 60 days of events; each of the `nights - 1`
    that follow has all customers and app users again (some new), the new rows of one day, and a few rows that correct
    earlier ones or come late. It doesn't depend on how many follow. The same arguments make the same bytes, whatever
    the day they are made on. Memory doesn't grow with `customers`.

    Raises UsageError when an argument makes no sense or a folder to be written already holds something.
    """
    for name, value, least in (
        ("customers", customers, 10),
        ("days", days, 1),
        ("nights", nights, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise UsageError(f"{name} = {value} is too small for a sample: take {least} or more")
    if fmt not in ("csv", "parquet"):
        raise UsageError(f"fmt = {fmt!r} isn't known: take 'csv' or 'parquet'")
    plan = _Plan(customers=customers, days=days, run_date=run_date, seed=seed, fmt=fmt, nights=nights)
    folders = [out / f"{run_date + timedelta(days=night)}" for night in range(nights)]
    _make(folders)
    bad = make_bad_rows(run_date=run_date, width=plan.width) if bad_rows else {}
    deliveries: dict[str, dict[str, int]] = {}
    recent = pl.DataFrame()
    for night, folder in enumerate(folders):
        with ExitStack() as stack:
            writers = {table: stack.enter_context(TableWriter(folder, table, fmt=fmt)) for table in COLUMNS}
            for block in plan.blocks(night):
                transactions = _write_block(plan, block, night=night, writers=writers)
                if night == 0 and block.key == 0:
                    recent = transactions.tail(CORRECTED * (nights - 1))
            if night == 0:
                for table, rows in bad.items():
                    writers[table].append_text([row for _, row in rows])
            else:
                known = recent.slice(CORRECTED * (night - 1), CORRECTED)
                day, number = run_date + timedelta(days=night), writers["transactions"].rows
                writers["transactions"].append(corrections(known, delivered=day, first_number=number))
        deliveries[folder.name] = {table: writer.rows for table, writer in writers.items()}
    return SampleReport(
        tables={table: sum(rows[table] for rows in deliveries.values()) for table in COLUMNS},
        bad={table: dict(Counter(kind for kind, _ in rows)) for table, rows in bad.items()},
        deliveries=deliveries,
    )


def _make(folders: list[Path]) -> None:
    """Makes the folders; one that holds files already would mix two samples, so that is refused before any is made."""
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} already holds something: remove it, or choose another folder for the sample")
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} can't be made ({error.strerror}): choose another folder") from error


def _write_block(plan: _Plan, block: _Block, *, night: int, writers: dict[str, TableWriter]) -> pl.DataFrame:
    """Appends the rows of a block of customers to the tables of a night; returns its transactions."""
    width = plan.width
    people = draw_people(
        plan.rng(block, _PEOPLE), first=block.first, count=block.count, joined=block.joined, earlier=block.earlier
    )
    writers["customers"].append(
        customers_frame(plan.rng(block, _ATTRIBUTES), people, width=width, run_date=plan.run_date)
    )
    first_day = plan.start - plan.event_days * DAY_S
    users = draw_app_users(
        plan.rng(block, _APPS), people, simulated_from=first_day, shop_utc_offset_s=SHOP_UTC_OFFSET_S
    )
    opened = open_times(users, people, seed=plan.seed, first_day=first_day, days=plan.event_days + night)
    writers["app_users"].append(
        app_users_frame(users, people, opened=opened, night=night, end=plan.window(night)[1], width=width)
    )
    new_days = opened if night == 0 else opened[:, -1:]
    writers["events"].append(events_frame(plan.rng(block, _EVENTS, night), users, people, opened=new_days, width=width))
    transactions = transactions_frame(
        plan.rng(block, _PURCHASES, night),
        people,
        Tastes(plan.rng(block, _TASTES), block.count),
        window=plan.window(night),
        width=width,
        delivered=plan.run_date + timedelta(days=night),
        first_number=writers["transactions"].rows,
    )
    writers["transactions"].append(transactions)
    return transactions
