"""Uploaded lists of customers: kept by their content, under names that may move on to new content."""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.errors import ConflictError, RuleError, StateError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

    from optinb.base.context import Context
    from optinb.store.audit import AuditTrail
    from optinb.warehouse import Snapshot

MAX_NAME = 120


class ListRecord(Struct, frozen=True, kw_only=True):
    """A version of an uploaded list.

    Attributes:
        name: of the list.
        version: its number, from 1.
        sha256: of its content.
        customers: how many customers stand on it.
        unknown: how many of them are no customers of the version of the warehouse that was published then.
        author: who saved it.
        uploaded_at: when, in UTC.
        warnings: what about the unknown ones looks like a mistake, such as zeros in front that a spreadsheet took away.
    """

    name: str
    version: int
    sha256: str
    customers: int
    unknown: int
    author: str
    uploaded_at: datetime
    warnings: tuple[str, ...] = ()


class Lists:
    """`ws.lists`: save, list and read uploaded lists of customer ids. Nothing is ever written over."""

    def __init__(self, context: Context, audit: AuditTrail, *, published: Callable[[], Snapshot | None]) -> None:
        """Args: `published`: the version whose customers a list is compared with, None before the first import."""
        self._context, self._audit, self._published = context, audit, published
        self._folder = context.root / "lists"

    def save(
        self,
        name: str,
        source: str | Path | Iterable[str],
        *,
        column: str | None = None,
        header: bool | None = None,
        may_be_empty: bool = False,
    ) -> ListRecord:
        """Keeps a list under a name; new content becomes its next version, and the same content changes nothing.

        Args:
            name: as rules write it, `in_list("Trade fair")`: 1 to 120 printable characters.
            source: customer ids, or the path of a file with an id a line, or with a column `customer_id`: CSV with
                commas, semicolons or tabs, text, NDJSON or Parquet, as in deliveries.
            column: of a file with several columns, the name of the one with the ids, or its number from 1.
            header: whether the first line of a file names the columns; only needed where that can't be told.
            may_be_empty: whether nobody may be left on it, which for a person's file is a mistake.

        Raises:
            UsageError: for a list without an id, or one that can't be read.
            RuleError: for a name that can't be shown.
            ConflictError: when somebody else saved a version at the same moment.
        """
        import polars as pl

        from optinb.segments.list_files import KnownIds, compare, ids_of, read_ids

        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise RuleError(f"the list's name {name[:130]!r} must have 1 to {MAX_NAME} printable characters")
        if isinstance(source, str | Path):
            found = read_ids(Path(source), column=column, header=header, customers=self._customers())
        else:
            found = ids_of(enumerate(source, start=1))
        ids = pl.DataFrame({"customer_id": found.unique().sort()}, schema={"customer_id": pl.String})
        if ids.is_empty() and not may_be_empty:
            raise UsageError(f"the list {name!r} has no customer id in it; nothing was saved")
        current = self._current(name)
        digest = _digest(ids)
        if current and current.sha256 == digest:
            return current
        customers = self._customers()
        beside = KnownIds(unknown=0) if customers is None else compare(ids, customers)
        record = ListRecord(
            name=name,
            version=current.version + 1 if current else 1,
            sha256=digest,
            customers=ids.height,
            unknown=beside.unknown,
            author=self._context.user,
            uploaded_at=self._context.now(),
            warnings=beside.warnings,
        )
        self._keep(record, ids)
        self._audit.note(
            who=record.author,
            action="list saved",
            subject=name,
            now=record.uploaded_at,
            version=record.version,
            customers=record.customers,
            sha256=digest,
        )
        return record

    def list(self) -> tuple[ListRecord, ...]:
        """The newest version of every list, by name."""
        found = (self._newest(folder) for folder in sorted(self._folder.glob("names/*")))
        return tuple(sorted((record for record in found if record), key=lambda record: record.name.casefold()))

    def has(self, name: str) -> bool:
        """Whether there is a list of this name.

        Args:
            name: without regard to case.
        """
        return self._current(name.strip()) is not None

    def get(self, name: str) -> ListRecord:
        """The newest version of one list.

        Args:
            name: without regard to case.

        Raises:
            RuleError: with the nearest name, for a list that isn't known.
        """
        record = self._current(name.strip())
        if record is None:
            known = [other.name for other in self.list()]
            tail = did_you_mean(name, known) if known else "; save it first: ws.lists.save(name, file)"
            raise RuleError(f"the list {name!r} isn't known{tail}")
        return record

    def members(self, name: str) -> pl.DataFrame:
        """The customers on the newest version of a list.

        Args:
            name: without regard to case.

        Returns:
            a frame with customer_id (text), each once, sorted.

        Raises:
            RuleError: with the nearest name, for a list that isn't known.
            StateError: when its content isn't kept or was changed.
        """
        return self.content(self.get(name).sha256)

    def content(self, digest: str) -> pl.DataFrame:
        """The customers on a version of a list.

        Args:
            digest: SHA-256 of the content, as `ListRecord.sha256` has it.

        Returns:
            a frame with customer_id (text), each once, sorted.

        Raises:
            StateError: when the content isn't kept or was changed.
        """
        import polars as pl

        path = self._content(digest)
        try:
            ids = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise StateError(f"the content {digest[:12]}… of a list can't be read from {path}: {error}") from error
        if _digest(ids) != digest:
            raise StateError(f"{path} was changed since the list was saved; restore it, or save the list again")
        return ids

    def kept(self) -> frozenset[str]:
        """The SHA-256 of every content that is kept."""
        return frozenset(path.stem for path in self._folder.glob("content/*.parquet"))

    def holds(self, customer_id: str) -> bool:
        """Whether a customer is on any version of any list.

        Args:
            customer_id: whom to look for.
        """
        import polars as pl

        mine = pl.col("customer_id") == customer_id
        contents = sorted(self._folder.glob("content/*.parquet"))
        return any(pl.read_parquet(path).select(mine.any()).item() for path in contents)

    def forget(self, customer_id: str) -> int:
        """Takes a customer off every version of every list.

        Their content is another then, so that approvals of groups which name such a list have to be given again.

        Args:
            customer_id: whom to take off.

        Returns:
            how many lists they were on.
        """
        import polars as pl

        lists: set[Path] = set()
        for path in sorted(self._folder.glob("content/*.parquet")):
            ids = pl.read_parquet(path)
            rest = ids.filter(pl.col("customer_id") != customer_id)
            if rest.height == ids.height:
                continue
            digest = _digest(rest)
            self._write(self._content(digest), rest)
            for version in sorted(self._folder.glob("names/*/*.json")):
                record = msgspec.json.decode(version.read_bytes(), type=ListRecord)
                if record.sha256 == path.stem:
                    left = msgspec.structs.replace(record, sha256=digest, customers=rest.height)
                    write_atomically(version, msgspec.json.encode(left))
                    lists.add(version.parent)
            path.unlink()  # once no version names it any more
        for version in sorted(self._folder.glob("names/*/*.json")):  # a warning may name them beside a mistyped id
            record = msgspec.json.decode(version.read_bytes(), type=ListRecord)
            if any(customer_id in warning for warning in record.warnings):
                write_atomically(version, msgspec.json.encode(msgspec.structs.replace(record, warnings=())))
        return len(lists)

    def _content(self, digest: str) -> Path:
        return self._folder / "content" / f"{digest}.parquet"

    def _versions(self, name: str) -> Path:
        # names are known without regard to case, and may hold what no file name does
        return self._folder / "names" / sha256(name.casefold().encode()).hexdigest()[:16]

    def _current(self, name: str) -> ListRecord | None:
        return self._newest(self._versions(name))

    def _newest(self, folder: Path) -> ListRecord | None:
        newest = max(folder.glob("*.json"), default=None)
        return msgspec.json.decode(newest.read_bytes(), type=ListRecord) if newest else None

    def _customers(self) -> pl.LazyFrame | None:
        """customer_id of everybody in the published tables."""
        published = self._published()
        return None if published is None else published.table("customers").select("customer_id")

    def _write(self, path: Path, ids: pl.DataFrame) -> None:
        """Writes a content, whole or not at all, unless it's there."""
        if path.exists():
            return
        draft = path.with_suffix(f".{uuid4().hex}.draft")
        try:
            ids.write_parquet(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _keep(self, record: ListRecord, ids: pl.DataFrame) -> None:
        """Writes the content first and then the version that names it, each whole or not at all."""
        path = self._content(record.sha256)
        version = self._versions(record.name) / f"{record.version:06}.json"
        try:
            for folder in (path.parent, version.parent):
                folder.mkdir(parents=True, exist_ok=True)
            self._write(path, ids)
            draft = version.with_suffix(f".{uuid4().hex}.draft")
            try:
                draft.write_bytes(msgspec.json.encode(record))
                os.link(draft, version)  # fails where somebody else saved the same version meanwhile
            finally:
                draft.unlink(missing_ok=True)
        except FileExistsError as error:
            raise ConflictError(f"the list {record.name!r} was changed meanwhile; look at it and save again") from error
        except OSError as error:
            raise StateError(f"the list {record.name!r} can't be kept in {self._folder}: {error.strerror}") from error


def _digest(ids: pl.DataFrame) -> str:
    """The SHA-256 that a content is known by."""
    return sha256("\n".join(ids["customer_id"]).encode()).hexdigest()
