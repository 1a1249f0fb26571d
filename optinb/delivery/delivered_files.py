"""Which delivered files name a customer, who is removed from everything else."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from optinb.base.files import walk

_DELIMITERS = (",", ";", "\t")


def files_with(inbox: Path, names: tuple[str, ...]) -> Iterator[str]:
    """The delivered files that name the customer, relative to the inbox."""
    for path in walk(inbox):
        if path.is_file() and _names_any(path, names):
            yield path.relative_to(inbox).as_posix()


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


def _names_any(path: Path, names: tuple[str, ...]) -> bool:
    import polars as pl

    if path.suffix.lower() == ".parquet":
        try:
            scan = pl.scan_parquet(path, glob=False)
            column = next((c for c in scan.collect_schema() if c.strip().casefold() == "customer_id"), None)
            if column is None:
                return False
            return bool(scan.filter(pl.col(column).cast(pl.String).is_in(names)).head(1).collect().height)
        except (OSError, pl.exceptions.PolarsError):
            return False
    encoded = [name.encode(code) for name in names for code in ("utf-8", "utf-16-le", "utf-16-be")]
    cell = re.compile(
        rb"(?:^|[\s,;|\"'\[:\x00])(?:" + b"|".join(map(re.escape, encoded)) + rb")(?:$|[\s,;|\"'\]}\x00])"
    )
    try:
        with _opened(path) as stream:
            return any(cell.search(line) for line in stream)
    except (OSError, EOFError):
        return False


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
