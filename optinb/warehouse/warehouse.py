"""The warehouse of a workspace: the one handle through which tables are imported, published and read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import UsageError, WarehouseError
from optinb.warehouse import building, column_names, days, importing, report
from optinb.warehouse.contract import OWN_TABLES, PEOPLE_TABLES, TABLES
from optinb.warehouse.forgetting import Removed, forget, holds
from optinb.warehouse.forgotten import Forgotten, read_forgotten
from optinb.warehouse.known_as import KnownAs, known_as
from optinb.warehouse.quarantine import read_quarantine
from optinb.warehouse.snapshot import Snapshot, open_snapshot
from optinb.warehouse.sql import connect, first_line, ident, literal, with_frames
from optinb.warehouse.versions import Versions

if TYPE_CHECKING:
    import polars as pl

    from optinb.base.progress import OnProgress
    from optinb.base.settings import Settings


class VersionInfo(Struct, frozen=True):
    """A published version: its number, the date of its last delivery and of its models, and when it was made (UTC)."""

    version: int
    import_date: date
    model_date: date | None
    created_at: datetime


class OutdatedError(WarehouseError):
    """Tables weren't published, since another version than the one they were made from is current now."""


class Warehouse:
    """Published tables of a workspace. `root` is the workspace folder: root/inbox, root/warehouse, root/quarantine.

    Raises SettingsError for `[import.columns]` that would mix up columns.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        self._settings = settings
        column_names.names_of(settings.imports.columns)
        self._versions = Versions(root / "warehouse")

    @property
    def current(self) -> int | None:
        """The published version, None before the first import."""
        return self._versions.current

    def has_delivery(self, run_date: date) -> bool:
        """Whether there is a folder in the inbox for that date, or sources to fetch it from."""
        return bool(self._settings.sources) or (self._root / "inbox" / run_date.isoformat()).is_dir()

    def import_delivery(
        self,
        run_date: date,
        *,
        now: datetime,
        accept_anyway: str | None = None,
        user: str = "",
        wait_s: float = 0.0,
        on_progress: OnProgress | None = None,
        watched: Collection[str] = (),
    ) -> report.ImportReport:
        """Checks the delivery inbox/`run_date` and publishes it as the next version.

        `now` is aware; times further ahead than the tolerance are rejects. The same delivery again changes nothing
        (`unchanged`); a corrected one of the newest day replaces what the first one brought. `accept_anyway` is the
        reason why `user` overrides gates that fail. `wait_s`: seconds to wait for another import or publication to end.
        `on_progress` is told that so many more hundredths are done, and what is next; what it raises ends the import,
        and nothing is published. `watched`: the attributes that rules and campaigns use, whose content may not jump.

        Raises GateError if a gate fails (nothing is published), DeliveryError for a delivery that can't be imported,
        WarehouseError if another import or publication holds the lease.
        """
        if now.tzinfo is None:
            raise UsageError(f"now={now} has no time zone; pass datetime.now(UTC)")
        what = f"the import of {run_date}"
        with self._mendable(what), self._versions.lease(what, user=user, now=now, wait_s=wait_s):
            job = importing.Import(
                self._root, self._versions, self._settings, run_date=run_date, now=now, watched=watched
            )
            return job.run(accept_anyway=accept_anyway, user=user, on_progress=on_progress)

    def check(
        self, folder: Path, *, run_date: date, now: datetime, watched: Collection[str] = ()
    ) -> tuple[report.ImportReport, pl.DataFrame]:
        """What an import of any folder would say, without importing it: the figures, and every row it would refuse.

        A gate that fails is in the report (`passed` is false) and raises nothing; the report's `version` is the
        published one. The frame has the columns table, file, line, raw, reason. `watched` as of `import_delivery`.
        """
        what = f"the check of {folder}"
        with self._mendable(what):
            job = importing.Import(
                self._root, self._versions, self._settings, run_date=run_date, now=now, watched=watched
            )
            return job.check(folder)

    def publish(
        self,
        tables: Mapping[str, pl.DataFrame],
        *,
        model_date: date,
        made_from: int | None = None,
        now: datetime | None = None,
        history: pl.DataFrame | None = None,
        wait_s: float = 0.0,
    ) -> int:
        """Publishes the next version: everything of the current one, with these tables added or replaced.

        `made_from`: the version that the tables were made from; one that was published meanwhile has other customers.
        `history`: the state of every customer on `model_date` (customer_id and any further columns); published again,
        it replaces that day's. `now` (aware) becomes `created_at`; left out, it is the clock's.
        `wait_s`: seconds to wait for another import or publication to end.

        Returns the version. Raises WarehouseError before the first import or without the lease, OutdatedError when
        `made_from` isn't the published version any more, UsageError for the name of a delivered table.
        """
        for name in tables:
            if name in TABLES or name in OWN_TABLES | PEOPLE_TABLES or name == "history":
                raise UsageError(f"a model can't publish a table named {name!r}: that name is the warehouse's own")
        now = now or datetime.now(UTC)
        versions = self._versions
        what = f"the publication of {', '.join(tables) or 'history'}"
        lease = versions.lease(what, user="", now=now, wait_s=wait_s)
        with self._mendable(what), lease, connect(scratch=versions.work / "spill") as con:
            current = versions.current
            if current is None:
                raise WarehouseError("nothing has been imported yet: run `optinb import`")
            if made_from is not None and made_from != current:
                raise OutdatedError(
                    f"{what} was made from version {made_from}, and version {current} has been published meanwhile: "
                    "run `optinb model` again"
                )
            building.attach(con, versions.path(current), "cur", read_only=True)
            contents = building.read_contents(con, "cur")
            built = versions.work / "next.duckdb"
            building.attach(con, built, "next", read_only=False)
            building.carry_over(con, without=tables.keys())
            for name, frame in tables.items():
                with_frames(con, f"CREATE TABLE next.{ident(name)} AS SELECT * FROM published", published=frame)
            files = list(contents.files)
            if history is not None:
                writer = days.DayWriter(
                    con, root=versions.folder, work=versions.work, version=current + 1, delivery=contents.import_date
                )
                con.register("history_frame", history)
                columns = ", ".join(ident(name) for name in history.columns if name != "day")
                query = f"SELECT {columns}, DATE {literal(model_date.isoformat())} AS day FROM history_frame"
                files = [file for file in files if not (file.table == "history" and file.day == model_date)]
                files += writer.write("history", query)
            building.write_contents(
                con,
                replace(
                    contents,
                    version=current + 1,
                    created_at=now,
                    model_date=model_date,
                    files=tuple(files),
                ),
            )
            building.finish(con, exported=versions.built_tables if self._settings.engine.spark_master else None)
            versions.publish(built, current + 1)
        return current + 1

    def known_as(self, customer_id: str) -> KnownAs:
        """Every id under which any kept version knows a person, and their external user ids."""
        return known_as(self._versions, customer_id)

    def holds(self, customer_id: str) -> bool:
        """Whether any kept version, file by day or quarantine names a customer. Raises WarehouseError."""
        with self._mendable("the search for a customer"):
            return holds(self._versions, customer_id, quarantine=self._root / "quarantine")

    @property
    def forgotten(self) -> Forgotten:
        """Whom this warehouse has forgotten."""
        return read_forgotten(self._versions.folder)

    def forget(
        self, customer_id: str, *, others: Collection[str] = (), user: str, now: datetime, wait_s: float = 0.0
    ) -> Removed:
        """Removes a person, under all of their ids, from all kept versions, files by day and quarantines.

        Deliveries bring nobody back, under a new id neither. Killed half-way, the same call goes on. `others`: further
        names of the person in the quarantine. Readers of older versions that are open already must be opened again.
        Raises WarehouseError without the lease.
        """
        what = "the removal of a customer"
        with self._mendable(what), self._versions.lease(what, user=user, now=now, wait_s=wait_s):
            person = known_as(self._versions, customer_id)
            return forget(
                self._versions,
                person.ids,
                external_ids=person.external_ids,
                others=others,
                quarantine=self._root / "quarantine",
                now=now,
                keep=self._settings.workspace.keep_versions,
                exported=self._settings.engine.spark_master is not None,
            )

    @contextmanager
    def _mendable(self, what: str) -> Iterator[None]:
        """Says what an error of the database, a full disk or too little memory means for the warehouse."""
        import duckdb

        try:
            yield
        except (duckdb.Error, OSError, MemoryError) as error:
            stays = f"version {self.current} stays current" if self.current else "nothing is published"
            raise WarehouseError(
                f"{what} failed and {stays}: {first_line(error)}; check free disk space, memory and "
                f"permissions of {self._root}, then run it again"
            ) from error

    def open(self, version: int | None = None) -> Snapshot:
        """A reader of the published version, or of a kept older one. Raises WarehouseError with the remedy."""
        return open_snapshot(self._versions, version)

    def versions(self) -> tuple[VersionInfo, ...]:
        """The published versions that are kept, oldest first."""
        infos = []
        for number in self._versions.numbers():
            if number <= (self.current or 0):
                with self.open(number) as snapshot:
                    infos.append(VersionInfo(number, snapshot.import_date, snapshot.model_date, snapshot.created_at))
        return tuple(infos)

    def as_of(self, day: date) -> Snapshot:
        """A reader of the last version that was made from deliveries up to a day.

        Raises WarehouseError if no kept version is that old.
        """
        kept = self.versions()
        fitting = [info.version for info in kept if info.import_date <= day]
        if not fitting:
            oldest = f"the oldest that is kept is of {kept[0].import_date}" if kept else "nothing has been imported yet"
            raise WarehouseError(f"no version of {day} or before is kept; {oldest}")
        return self.open(fitting[-1])

    def quarantine(self, run_date: date) -> pl.DataFrame:
        """Every row of that day's delivery that was not loaded: table, file, line, raw, reason."""
        return read_quarantine(self._root / "quarantine" / run_date.isoformat())
