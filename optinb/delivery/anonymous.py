"""Taking a person out of a frozen audience so that its figures, places and seal stay checkable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.delivery.contact_history import ContactHistory
from optinb.delivery.frozen import freeze, read_frozen
from optinb.state import Batch, FrozenAudience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from optinb.state import Store

FORGOTTEN = "forgotten-"


class Held(Struct, frozen=True):
    """An audience that a customer is in, with the batch that they were sent with, None if they are no recipient."""

    audience: FrozenAudience
    external_user_id: str | None
    batch: Batch | None


def holding(store: Store, customer_id: str, *, root: Path) -> Iterator[Held]:
    """Every frozen audience that a customer is in. Raises StateError for a file that can't be read."""
    history = ContactHistory(root, store)
    for audience in history.nights():
        rows = history.rows(audience, ("customer_id", "external_user_id", "place"))
        for _, external_id, place in rows.filter(pl.col("customer_id") == customer_id).iter_rows():
            batch = None if place is None else store.deliveries.batch_of(*audience.night, place)
            yield Held(audience, external_id, batch)


def anonymise(
    store: Store,
    audience: FrozenAudience,
    customer_id: str,
    *,
    root: Path,
    token: str,
    why: str,
    user: str,
    now: datetime,
) -> FrozenAudience:
    """Puts an anonymous row in place of a customer's, and registers the new file with both hashes on record.

    Outcome, reason and place stay, so that every figure, batch and code is as it was. The old file is removed once the
    new one is registered; a crash in between leaves it to `orphans`.

    Args:
        store: with the journal.
        audience: that the customer is in.
        customer_id: whom.
        root: the workspace.
        token: random, and used for nothing else: it makes the row's ids.
        why: for the audit trail; it must not name the customer.
        user: who does it.
        now: in UTC.

    Raises StateError when the file isn't the one that was frozen.
    """
    old = root / audience.path
    rows = read_frozen(old, audience.sha256)
    mine, stand_in = pl.col("customer_id") == customer_id, FORGOTTEN + token
    names = dict.fromkeys(rows.filter(mine)["external_user_id"].drop_nulls(), stand_in)
    blank = rows.with_columns(
        external_user_id=pl.when(mine & pl.col("external_user_id").is_not_null())
        .then(pl.lit(stand_in))
        .otherwise("external_user_id"),
        properties=pl.when(mine & pl.col("properties").is_not_null()).then(pl.lit("{}")).otherwise("properties"),
        customer_id=pl.when(mine).then(pl.lit(stand_in)).otherwise("customer_id"),
    )
    frozen = freeze(blank, folder=old.parent, stem=old.stem.rsplit("-", 1)[0])
    sealed = store.seals.renew(
        audience,
        path=frozen.path.relative_to(root).as_posix(),
        sha256=frozen.sha256,
        renamed=names,
        why=why,
        user=user,
        now=now,
    )
    old.unlink(missing_ok=True)
    return sealed


def orphans(store: Store, customer_id: str, *, root: Path) -> Iterator[Path]:
    """Files of audiences that no plan names, as a killed run leaves them, and that the customer is in."""
    named = {root / audience.path for audience in store.deliveries.list()}
    for path in sorted((root / "audiences").glob("*/*")):
        if path in named or not path.is_file():
            continue
        try:
            ids = pl.scan_parquet(path, glob=False).select("customer_id").filter(pl.col("customer_id") == customer_id)
            if ids.collect().is_empty():
                continue
        except (OSError, pl.exceptions.PolarsError):
            pass  # half-written: nobody can tell who is in it, and nobody needs it
        yield path
