"""Whether anything in a workspace names a customer, so that an id that never was is told from one that is gone."""

from __future__ import annotations

import csv
import gzip
import io
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from optinb.delivery import orphans

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from optinb.workspace.handle import Workspace

_DELIMITERS = (",", ";", "\t")


def is_named(ws: Workspace, customer_id: str, *, delivered: Iterable[str]) -> bool:
    """Whether a table, quarantine, list, test send or delivery names a customer, frozen audiences apart.

    `delivered`: files of the inbox, relative to it, that hold the id as a word, which may be a quantity too.
    """
    return (
        ws.warehouse.holds(customer_id)
        or ws.lists.holds(customer_id)
        or any(orphans(ws.store, (customer_id,), root=ws.root))
        or bool(ws.store.audit.naming(customer_id))
        or any(delivers(ws.root / "inbox" / name, customer_id) for name in delivered)
    )


def delivers(path: Path, customer_id: str) -> bool:
    """Whether a file has a row whose customer_id is this one; true of a file in which that can't be told."""
    if path.suffix.lower() == ".parquet":
        return True  # whoever found the id there has looked into this column only
    with suppress(OSError, EOFError), _opened(path) as stream, io.TextIOWrapper(stream, "utf-8-sig", "replace") as text:
        head = text.readline()
        if "\0" in head:
            return True
        if head.lstrip().startswith("{"):
            return any(_in_object(line, customer_id) for line in (head, *text) if customer_id in line)
        for delimiter in _DELIMITERS:
            names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
            if "customer_id" in names:
                at = names.index("customer_id")
                with suppress(csv.Error):
                    rows = csv.reader(text, delimiter=delimiter)
                    return any(len(row) > at and row[at].strip() == customer_id for row in rows)
        return True
    return True


def _in_object(line: str, customer_id: str) -> bool:
    try:
        row = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return True
    return isinstance(row, dict) and any(
        name.strip().lower() == "customer_id" and str(value) == customer_id for name, value in row.items()
    )


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # pyright: ignore[reportReturnType]
