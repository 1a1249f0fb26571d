"""Taking a person out of a frozen audience so that its figures, places and seal stay checkable."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
from msgspec import Struct

from optinb.delivery.contact_history import ContactHistory
from optinb.delivery.frozen import freeze, read_frozen
from optinb.delivery.journal import Batch, FrozenAudience, Store

FORGOTTEN = "forgotten-"


class Held(Struct, frozen=True):
    """An audience that a customer is in, with the batch that they were sent with, None if they are no recipient."""

    audience: FrozenAudience
    external_user_id: str | None
    batch: Batch | None


def holding(store: Store, ids: Collection[str], *, root: Path) -> Iterator[Held]:
    """Every frozen audience that a person is in, once for each of their ids.

    Raises:
        StateError: for an audience that can't be read or was changed.
    """
    history = ContactHistory(root, store)
    for audience in history.nights():
        rows = history.rows(audience, ("customer_id", "external_user_id", "place"))
        for _, external_id, place in rows.filter(_is(ids)).iter_rows():
            batch = None if place is None else store.deliveries.batch_of(*audience.night, place)
            yield Held(audience, external_id, batch)


def anonymise(
    store: Store,
    audience: FrozenAudience,
    ids: Collection[str],
    *,
    root: Path,
    token: str,
    why: str,
    user: str,
    now: datetime,
) -> FrozenAudience:
    """Puts anonymous rows in place of a person's, and registers the new file with both hashes on record.

    Outcome, reason and place stay, so that every figure, batch and code is as it was. The old file is removed once the
    new one is registered; a crash in between leaves it to `orphans`.

    Args:
        store: with the journal.
        audience: that the person is in.
        ids: all of theirs.
        root: the workspace.
        token: random, and used for nothing else: it makes the row's ids.
        why: for the audit trail; it must not name the customer.
        user: who does it.
        now: in UTC.

    Raises StateError when the file isn't the one that was frozen.
    """
    old = root / audience.path
    rows = read_frozen(old, audience.sha256)
    mine = _is(ids)
    theirs = rows.filter(mine)
    # each row has a name of its own, as each customer of an audience has
    numbers = ["", *(f"-{n}" for n in range(2, theirs.height + 1))]
    stand_ins = dict(zip(theirs["customer_id"], (FORGOTTEN + token + n for n in numbers), strict=False))
    names = {e: stand_ins[i] for i, e in theirs.select("customer_id", "external_user_id").iter_rows() if e is not None}
    stand_in = pl.col("customer_id").replace_strict(stand_ins, default=None, return_dtype=pl.String)
    blank = rows.with_columns(
        external_user_id=pl.when(mine & pl.col("external_user_id").is_not_null())
        .then(stand_in)
        .otherwise("external_user_id"),
        properties=pl.when(mine & pl.col("properties").is_not_null()).then(pl.lit("{}")).otherwise("properties"),
        customer_id=pl.when(mine).then(stand_in).otherwise("customer_id"),
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


def orphans(store: Store, ids: Collection[str], *, root: Path) -> Iterator[Path]:
    """Files of audiences that no plan names, as a killed run leaves them, and that the person is in."""
    named = {root / audience.path for audience in store.deliveries.list()}
    for path in sorted((root / "audiences").glob("*/*")):
        # what isn't an audience, such as what Appboy answered, is evidence, and no left-over
        if path in named or path.suffix not in (".parquet", ".draft") or not path.is_file():
            continue
        try:
            if pl.scan_parquet(path, glob=False).select("customer_id").filter(_is(ids)).collect().is_empty():
                continue
        except (OSError, pl.exceptions.PolarsError):
            pass  # half-written: nobody can tell who is in it, and nobody needs it
        yield path


def _is(ids: Collection[str]) -> pl.Expr:
    return pl.col("customer_id").is_in(pl.Series(sorted(ids), dtype=pl.String).implode()).fill_null(False)
