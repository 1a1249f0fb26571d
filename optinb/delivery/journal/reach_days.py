"""What Appboy counted by day and platform, as it was read last, and what it said first where that was another."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import Row, and_, delete, insert, select

from optinb.delivery.journal.rows import of_campaign
from optinb.store.schema import reach_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.store import Database

EVERYBODY = "all"
"""In place of a platform: figures of people and not of messages."""
FIGURES = ("sent", "direct_opens", "total_opens", "bounces", "unique_recipients", "conversions")
WHOLE_TEMPLATE = ""
"""In place of a send_id: figures of everything that went out with a template."""
LAST_ZONE = timedelta(hours=12)  # at Baker Island a day ends so much after it has ended in UTC


class ReachDay(Struct, frozen=True, kw_only=True):
    """What Appboy counted on one day on one platform, of a send_id's requests or of a whole template.

    On a platform messages are counted, in the row of `EVERYBODY` people; None is what is counted in the other.
    `said_first` is what was said of the figures that are others by now, when the day was first read after its end.
    """

    app_group_id: str
    template_id: str
    send_id: str = WHOLE_TEMPLATE
    day: date
    platform: str
    campaign_id: str | None = None
    run_date: date | None = None
    sent: int | None = None
    direct_opens: int | None = None
    total_opens: int | None = None
    bounces: int | None = None
    unique_recipients: int | None = None
    conversions: int | None = None
    read_at: datetime
    said_first: dict[str, int] | None = None

    @property
    def key(self) -> tuple[str, str, str, date, str]:
        """What it is found by."""
        return self.app_group_id, self.template_id, self.send_id, self.day, self.platform

    @property
    def is_whole(self) -> bool:
        """Whether the day was over, wherever the app group has its clock, when it was read."""
        return self.read_at >= end_of(self.day)


def end_of(day: date) -> datetime:
    """The moment by which a day is over everywhere."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + LAST_ZONE


def read_again(before: ReachDay | None, now: ReachDay) -> ReachDay:
    """A day's figures after another reading: those of now, with what was said first of each that has changed.

    A reading while the day was still under way counts as none: its figures had to grow.
    """
    if before is None or not before.is_whole:
        return now
    if before.read_at > now.read_at:
        return before
    first = {name: getattr(before, name) for name in FIGURES} | (before.said_first or {})
    changed = {name: figure for name, figure in first.items() if figure not in (None, getattr(now, name))}
    return msgspec.structs.replace(now, said_first=changed or None)


class ReachDays:
    """The table of these figures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, read: Sequence[ReachDay]) -> int:
        """Writes what was read, in place of what was read before; returns how many rows say something else by now.

        Raises StateError.
        """
        changed = 0
        with self._database.writing() as con:
            for now in read:
                row = con.execute(select(reach_days).where(_at(now))).first()
                before = _from(row) if row else None
                after = read_again(before, now)
                changed += before is not None and before.is_whole and _figures(before) != _figures(after)
                con.execute(delete(reach_days).where(_at(now)))
                con.execute(insert(reach_days).values(_row(after)))
        return changed

    def of_campaign(self, campaign_id: str) -> tuple[ReachDay, ...]:
        """The figures of every send_id of a campaign, by night, day and platform. Raises StateError."""
        return self._list(of_campaign(reach_days.c.campaign_id, campaign_id))

    def of_template(self, app_group_id: str, template_id: str) -> tuple[ReachDay, ...]:
        """The figures of a whole template, by day and platform. Raises StateError."""
        mine = (reach_days.c.app_group_id == app_group_id) & (reach_days.c.template_id == template_id)
        return self._list(mine & (reach_days.c.send_id == WHOLE_TEMPLATE))

    def _list(self, where: Any) -> tuple[ReachDay, ...]:
        columns = reach_days.c
        query = select(reach_days).where(where).order_by(columns.run_date, columns.day, columns.platform)
        with self._database.reading() as con:
            return tuple(map(_from, con.execute(query)))


def _figures(row: ReachDay) -> tuple[int | None, ...]:
    return tuple(getattr(row, name) for name in FIGURES)


def _at(row: ReachDay) -> Any:
    columns = reach_days.c
    names = (columns.app_group_id, columns.template_id, columns.send_id, columns.day, columns.platform)
    return and_(*(column == value for column, value in zip(names, row.key, strict=True)))


def _row(row: ReachDay) -> dict[str, Any]:
    first = msgspec.json.encode(row.said_first).decode() if row.said_first else None
    return {**msgspec.structs.asdict(row), "said_first": first}


def _from(row: Row[Any]) -> ReachDay:
    fields = dict(row._mapping)
    first = fields.pop("said_first")
    return ReachDay(**fields, said_first=msgspec.json.decode(first, type=dict[str, int]) if first else None)
