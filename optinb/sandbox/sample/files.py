"""The files of a delivery, written piece by piece, so that the size of a sample doesn't matter for memory."""

from __future__ import annotations

import csv
import gzip
import io
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

Format = Literal["csv", "parquet"]
COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": (
        "customer_id", "registered_at", "country", "language", "time_zone", "birth_date", "gender", "push_opt_in",
        "is_blocked", "is_test", "first_name", "city", "loyalty_tier", "newsletter", "acquisition_channel",
    ),
    "app_users": ("customer_id", "app_id", "push_enabled", "app_version", "first_used_at", "last_used_at"),
    "transactions": (
        "transaction_id", "customer_id", "occurred_at", "amount", "currency", "quantity", "product", "category",
    ),
    "events": ("customer_id", "occurred_at", "name", "value", "properties"),
}  # fmt: skip
CSV_NAMES = {
    "customers": "customers.csv",
    "app_users": "app_users.csv",
    "transactions": "transactions.csv.gz",
    "events": "events.ndjson.gz",
}
_TIME = "%Y-%m-%dT%H:%M:%S%:z"


class TableWriter:
    """Writes one table of one delivery; a context manager. `rows` counts what was written, bad rows too.

    As "csv": customers and app users plain, transactions gzipped, events as gzipped NDJSON. As "parquet": typed columns
    in one file, and the bad rows, which no typed column could hold, in a second part as text.
    """

    def __init__(self, folder: Path, table: str, *, fmt: Format) -> None:
        self.rows: int = 0
        self._folder, self._table, self._fmt = folder, table, fmt
        self._open = ExitStack()
        self._stream: io.BufferedIOBase | None = None
        self._parquet: pq.ParquetWriter | None = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def append(self, frame: pl.DataFrame) -> None:
        """Appends rows with the table's columns."""
        self.rows += len(frame)
        if self._fmt == "parquet":
            self._append_parquet(frame)
        elif self._table == "events":
            self._text(CSV_NAMES["events"]).write(_json_lines(frame))
        else:
            header = self._stream is None
            lines = frame.write_csv(include_header=header, datetime_format=_TIME, float_precision=2)
            self._text(CSV_NAMES[self._table]).write(lines.encode())

    def append_text(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Appends rows of text that need not fit the columns' types; to be called last."""
        self.rows += len(rows)
        name = CSV_NAMES[self._table] if self._fmt == "csv" else f"{self._table}-2.csv"
        header = self._stream is None
        lines = io.StringIO(newline="")
        if self._table == "events" and self._fmt == "csv":
            # `properties` is a JSON object already, so the line is put together as those of the good rows are.
            lines.writelines(
                "{" + ",".join(f'"{k}":' + (v if k == "properties" else f'"{v}"') for k, v in row.items()) + "}\n"
                for row in rows
            )
        else:
            out = csv.DictWriter(lines, COLUMNS[self._table], restval="", lineterminator="\n")
            if header:
                out.writeheader()
            out.writerows(rows)
        self._text(name).write(lines.getvalue().encode())

    def _text(self, name: str) -> io.BufferedIOBase:
        if self._stream is None:
            stream: io.BufferedIOBase = self._open.enter_context((self._folder / name).open("wb"))
            if name.endswith(".gz"):
                # Without a name and a time in its header, the same rows make the same bytes.
                packed = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)
                stream = self._open.enter_context(packed)
            self._stream = stream
        return self._stream

    def _append_parquet(self, frame: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = frame.with_columns(pl.col(pl.Datetime).dt.convert_time_zone("UTC")).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )
        if self._parquet is None:
            path = self._folder / f"{self._table}-1.parquet"
            self._parquet = self._open.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd"))
        self._parquet.write_table(table)


def _json_lines(frame: pl.DataFrame) -> bytes:
    """Events as NDJSON. Their texts are our own vocabulary, in which nothing needs escaping."""
    value = (
        pl.when(pl.col("value").is_not_null()).then(',"value":' + pl.col("value").cast(pl.String)).otherwise(pl.lit(""))
    )
    line = pl.concat_str(
        pl.lit('{"customer_id":"'),
        pl.col("customer_id"),
        pl.lit('","occurred_at":"'),
        pl.col("occurred_at").dt.to_string(_TIME),
        pl.lit('","name":"'),
        pl.col("name"),
        pl.lit('"'),
        value,
        pl.lit(',"properties":'),
        pl.col("properties"),
        pl.lit("}\n"),
    )
    return "".join(frame.select(line).to_series()).encode()
