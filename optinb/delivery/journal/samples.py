"""What Appboy said of samples of customers, beside the table of app users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, insert, select

from optinb.delivery.appboy_reach import ReachSample
from optinb.store.schema import reach_samples

if TYPE_CHECKING:
    from optinb.store import Database


class ReachSampleStore:
    """One sample for each app group and night; a later one of the same night takes its place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, sample: ReachSample) -> None:
        """Keeps a sample."""
        row = {"app_group_id": sample.app_group_id, "night": sample.night}
        mine = (reach_samples.c.app_group_id == sample.app_group_id) & (reach_samples.c.night == sample.night)
        with self._database.writing() as con:
            con.execute(delete(reach_samples).where(mine))
            con.execute(insert(reach_samples).values(**row, body=msgspec.json.encode(sample).decode()))

    def list(self, app_group_id: str | None = None) -> tuple[ReachSample, ...]:
        """The samples of one app group or of all, the newest night first."""
        query = select(reach_samples.c.body).order_by(reach_samples.c.night.desc(), reach_samples.c.app_group_id)
        if app_group_id is not None:
            query = query.where(reach_samples.c.app_group_id == app_group_id)
        with self._database.reading() as con:
            return tuple(msgspec.json.decode(body, type=ReachSample) for body in con.execute(query).scalars())
