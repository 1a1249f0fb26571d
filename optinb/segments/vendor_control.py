"""Appboy's Global Control Group of each app group, as somebody uploaded it: whom Appboy itself sends no campaign.

Its export is asynchronous and goes to a bucket, so that a person brings it. An app group has one list, which is
replaced as a whole. What the file holds is compared with the audit trail whenever it is read: one that is gone or was
changed mustn't pass for a group without members.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import polars as pl

    from optinb.base.context import Context
    from optinb.store.audit import AuditTrail
    from optinb.warehouse import Snapshot

SAVED, REMOVED, REWRITTEN = "vendor control saved", "vendor control removed", "vendor control rewritten"
_RECORD = "optinb"  # the key of the record within the file, so that both are replaced by one rename
_COLUMN = "external_user_id"


class VendorControlRecord(Struct, frozen=True, kw_only=True):
    """An uploaded list of the members of Appboy's Global Control Group.

    Attributes:
        app_group: its name.
        app_group_id: its id at Appboy.
        members: how many external user ids are on it.
        known: how many of them are external user ids of customers of the version that was published then.
        author: who uploaded it.
        uploaded_at: when, in UTC.
        sha256: of its content.
        age_days: how many whole days ago that was, when it was read.
        warnings: what about it looks like a mistake, such as ids that are those of another column.
    """

    app_group: str
    app_group_id: str
    members: int
    known: int
    author: str
    uploaded_at: datetime
    sha256: str
    age_days: int = 0
    warnings: tuple[str, ...] = ()


class VendorControl:
    """`ws.vendor_control`: the members of Appboy's Global Control Group, app group by app group."""

    def __init__(self, context: Context, audit: AuditTrail, *, published: Callable[[], Snapshot | None]) -> None:
        """Args: `published`: the version whose customers a list is compared with, None before the first import."""
        self._context, self._audit, self._published = context, audit, published
        self._folder = context.root / "lists" / "vendor_control"
        self._known: dict[str, tuple[object, VendorControlRecord, pl.DataFrame]] = {}

    def save(
        self,
        app_group: str,
        source: str | Path | Iterable[str],
        *,
        column: str | None = None,
        header: bool | None = None,
    ) -> VendorControlRecord:
        """Keeps the members of an app group's Global Control Group, in place of those that were kept before.

        Args:
            app_group: its name or id.
            source: external user ids, or the path of a file with an id a line, or with a column `external_user_id`:
                CSV with commas, semicolons or tabs, text, NDJSON or Parquet, as in deliveries.
            column: of a file with several columns, the name of the one with the ids, or its number from 1.
            header: whether the first line of a file names the columns; only needed where that can't be told.

        Raises:
            SettingsError: for an app group that isn't known.
            UsageError: for a list without an id, or one that can't be read, or one that knows no customer while the
                one before did.
            StateError: when it can't be kept.
        """
        import polars as pl

        from optinb.segments.list_files import ids_of, read_ids

        group, customers = self._context.settings.app_group(app_group), self._external_ids()
        if isinstance(source, str | Path):
            found = read_ids(Path(source), column=column, header=header, customers=customers, are_external=True)
        else:
            found = ids_of(enumerate(source, start=1))
        ids = pl.DataFrame({_COLUMN: found.unique().sort()}, schema={_COLUMN: pl.String})
        if ids.is_empty():
            raise UsageError(
                f"the list of Appboy's Global Control Group of {group.name!r} has no external user id in it; nothing "
                "was saved"
            )
        known, warnings = self._compared(ids)
        if known == 0 and (before := self._last_known(group.id)):
            raise UsageError(
                f"{'; '.join(warnings)}. The list that is kept for {group.name!r} knows {before:,}, so nothing was "
                "saved; give a file with the right ids, or, where Appboy's group has nobody of them any more, remove "
                f"the list first: optinb lists vendor-control --app-group {quote(group.name)} --remove"
            )
        record = VendorControlRecord(
            app_group=group.name,
            app_group_id=group.id,
            members=ids.height,
            known=known,
            author=self._context.user,
            uploaded_at=self._context.now(),
            sha256=_digest(ids),
            warnings=warnings,
        )
        self._keep(record, ids, action=SAVED)
        return record

    def of(self, app_group: str) -> VendorControlRecord | None:
        """What is kept of an app group's Global Control Group.

        Args:
            app_group: its name or id.

        Returns:
            None where nothing was uploaded, or it was removed.

        Raises:
            SettingsError: for an app group that isn't known.
            StateError: when what was uploaded is gone or was changed.
        """
        group = self._context.settings.app_group(app_group)
        there = self._read(group.id, group.name)
        return None if there is None else there[0]

    def members(self, app_group: str) -> pl.DataFrame | None:
        """The members of an app group's Global Control Group.

        Args:
            app_group: its name or id.

        Returns:
            a frame with external_user_id (text), each once, sorted; None where nothing was uploaded.

        Raises:
            SettingsError: for an app group that isn't known.
            StateError: when what was uploaded is gone or was changed.
        """
        group = self._context.settings.app_group(app_group)
        there = self._read(group.id, group.name)
        return None if there is None else there[1]

    def list(self) -> tuple[VendorControlRecord, ...]:
        """What is kept, by the order of the app groups in the settings.

        Raises:
            StateError: when what was uploaded is gone or was changed.
        """
        found = (self._read(group.id, group.name) for group in self._context.settings.app_groups)
        return tuple(there[0] for there in found if there is not None)

    def remove(self, app_group: str) -> None:
        """Lets go of an app group's list, as when its Global Control Group was switched off at Appboy.

        Args:
            app_group: its name or id.

        Raises:
            SettingsError: for an app group that isn't known.
            UsageError: where none is kept.
        """
        group = self._context.settings.app_group(app_group)
        if self._last(group.id) is None:
            raise UsageError(f"no list of Appboy's Global Control Group is uploaded for {group.name!r}")
        self._note(REMOVED, group.id, app_group=group.name)
        self._path(group.id).unlink(missing_ok=True)

    def forget(self, external_ids: Collection[str]) -> int:
        """Takes somebody off every list.

        Args:
            external_ids: the external user ids that the person has had.

        Returns:
            how many lists they were on.

        Raises:
            StateError: when a list is gone or was changed.
        """
        import polars as pl

        groups = {group.id: group.name for group in self._context.settings.app_groups}
        for path in sorted(self._folder.glob("*.parquet")):  # of app groups, too, that are in the settings no more
            record = _record(path.read_bytes())
            groups |= {record.app_group_id: record.app_group} if record else {}
        theirs = pl.col(_COLUMN).is_in(pl.Series(sorted(external_ids), dtype=pl.String).implode())
        taken = 0
        for group_id, name in groups.items():
            there = self._read(group_id, name)
            if there is None:
                continue
            rest = there[1].filter(~theirs)
            is_named = any(one in text for one in external_ids for text in there[0].warnings)
            if rest.height == there[1].height and not is_named:
                continue
            known = max(0, there[0].known - (there[1].height - rest.height))
            left = msgspec.structs.replace(
                there[0], members=rest.height, known=known, sha256=_digest(rest), age_days=0, warnings=()
            )
            self._keep(left, rest, action=REWRITTEN)
            taken += 1
        return taken

    def _path(self, app_group_id: str) -> Path:
        return self._folder / f"{sha256(app_group_id.encode()).hexdigest()[:16]}.parquet"

    def _last(self, app_group_id: str) -> str | None:
        """The SHA-256 of what the audit trail says was kept last; None for nothing."""
        entry = self._audit.newest(SAVED, REMOVED, REWRITTEN, subject=app_group_id)
        if entry is None:  # with a file, by a database that was put back, there is something all the same
            return "" if self._path(app_group_id).exists() else None
        return None if entry.action == REMOVED else str(entry.detail.get("sha256"))

    def _read(self, group_id: str, name: str) -> tuple[VendorControlRecord, pl.DataFrame] | None:
        import polars as pl

        path, said, cause = self._path(group_id), self._last(group_id), None
        if said is None:
            return None
        try:
            there = path.stat()
            mark = (said, there.st_mtime_ns, there.st_size, there.st_ino)
            if group_id in self._known and self._known[group_id][0] == mark:
                return self._aged(self._known[group_id][1]), self._known[group_id][2]
            data = path.read_bytes()
            ids = pl.read_parquet(BytesIO(data)).select(_COLUMN)
            record = _record(data)
            if record is not None and said == record.sha256 == _digest(ids):
                self._known[group_id] = mark, record, ids
                return self._aged(record), ids
            what = "was changed since it was uploaded"
        except (OSError, pl.exceptions.PolarsError) as error:
            what, cause = "can't be read", error
        raise StateError(
            f"the list of Appboy's Global Control Group of {name!r} in {path} {what}, so that nobody knows whom "
            f"Appboy keeps out; restore the file, or upload the list again: optinb lists vendor-control --app-group "
            f"{name!r} --file FILE"
        ) from cause

    def _last_known(self, app_group_id: str) -> int:
        """How many customers the list knew that is kept; 0 where none is."""
        entry = self._audit.newest(SAVED, REMOVED, REWRITTEN, subject=app_group_id)
        found = entry.detail.get("known") if entry is not None and entry.action != REMOVED else None
        return found if isinstance(found, int) else 0

    def _compared(self, ids: pl.DataFrame) -> tuple[int, tuple[str, ...]]:
        """How many ids are those of customers, and what about the others looks like a mistake."""
        import polars as pl

        from optinb.segments.list_files import compare

        published, listed = self._published(), ids.select(customer_id=_COLUMN)
        if published is None:
            return 0, ("nothing is imported yet, so that the list couldn't be compared with customers",)
        people = published.table("customers")
        beside = compare(listed, people.select(customer_id=_COLUMN))
        known, warnings = ids.height - beside.unknown, list(beside.warnings)
        if known == 0:
            what = "its only id isn't" if ids.height == 1 else f"none of its {ids.height:,} ids is"
            warnings.insert(0, f"{what} the external user id of a customer, so that the list leaves nobody out")
        if beside.unknown:
            as_customers = listed.lazy().join(people.select("customer_id"), on="customer_id", how="semi")
            count = as_customers.select(pl.len()).collect().item()
            if count > known:
                warnings.append(
                    f"{count:,} would be customer ids; Appboy's group has external user ids, which are others here: "
                    f"give the column {_COLUMN}"
                )
            if emails := listed.filter(pl.col("customer_id").str.contains("@", literal=True)).height:
                warnings.append(f"{emails:,} look like e-mail addresses; give the column with the external user ids")
        return known, tuple(warnings)

    def _aged(self, record: VendorControlRecord) -> VendorControlRecord:
        days = (self._context.now() - record.uploaded_at).days
        return msgspec.structs.replace(record, age_days=max(0, days))

    def _external_ids(self) -> pl.LazyFrame | None:
        """The external user ids of the published tables, as `customer_id`."""
        published = self._published()
        return None if published is None else published.table("customers").select(customer_id=_COLUMN)

    def _keep(self, record: VendorControlRecord, ids: pl.DataFrame, *, action: str) -> None:
        # the entry comes last: without it the file isn't the one that the trail knows, and nothing goes out by it
        stream = BytesIO()
        ids.write_parquet(stream, metadata={_RECORD: msgspec.json.encode(record).decode()})
        path = self._path(record.app_group_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, stream.getvalue())
        except OSError as error:
            raise StateError(f"the list can't be kept in {self._folder}: {error.strerror}") from error
        self._note(
            action,
            record.app_group_id,
            app_group=record.app_group,
            members=record.members,
            known=record.known,
            sha256=record.sha256,
        )

    def _note(self, action: str, app_group_id: str, **detail: object) -> None:
        now = self._context.now()
        self._audit.note(who=self._context.user, action=action, subject=app_group_id, now=now, **detail)


def without_list(app_group: str) -> str:
    """What follows for an app group of which no list was uploaded, in a sentence."""
    return (
        f"no list of Appboy's Global Control Group is uploaded for {app_group}: if it is on, its members are counted "
        "as recipients"
    )


def knows_nobody(record: VendorControlRecord) -> str:
    """What follows for an app group whose list held no customer's id when it was uploaded, in a sentence."""
    told = (
        f"the list of Appboy's Global Control Group of {record.app_group} of {record.uploaded_at:%Y-%m-%d} knew no "
        "customer when it was uploaded and leaves nobody out, so that its members are counted as recipients; upload "
        "one with the members' external user ids"
    )
    return "; ".join([told, *record.warnings[1:]])


def _record(data: bytes) -> VendorControlRecord | None:
    """The record within a file; None where there is none."""
    import polars as pl

    try:
        text = pl.read_parquet_metadata(BytesIO(data))[_RECORD]
        return msgspec.json.decode(text, type=VendorControlRecord)
    except (KeyError, pl.exceptions.PolarsError, msgspec.MsgspecError):
        return None


def _digest(ids: pl.DataFrame) -> str:
    """The SHA-256 that a content is known by."""
    return sha256("\n".join(ids[_COLUMN]).encode()).hexdigest()
