"""The members of a group as CSV, for spreadsheets: who they are, and no more than that."""

from __future__ import annotations

import re
from datetime import date

import polars as pl
from msgspec import Struct

COLUMNS = ("customer_id", "external_user_id")
# What a spreadsheet takes for a formula (OWASP, CSV Injection), also behind what it passes over.
FORMULA = r"^[=+\-@\t\r]"


class GroupExport(Struct, frozen=True, kw_only=True):
    """The members of a group, written to a file or as the text of one.

    Attributes:
        name: of the saved group; the rule in words where it isn't saved.
        customers: how many belong.
        run_date: the night as of which they were found.
        warehouse_version: the number of the version that was read.
        file: where they were written to; None where `csv` is the text.
        csv: a line for each customer, below the names of the columns.
    """

    name: str
    customers: int
    run_date: date
    warehouse_version: int
    file: str | None = None
    csv: str | None = None

    @property
    def file_name(self) -> str:
        """A name for the file that every system takes."""
        plain = re.sub(r"[^\w-]+", " ", self.name).strip() or "group"
        return f"{plain[:60].strip()} {self.run_date}.csv"


def csv_of(members: pl.DataFrame) -> str:
    """The ids of customers as CSV; what a spreadsheet would take for a formula has an apostrophe before it."""
    text = pl.col(pl.String)
    safe = pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text)
    return members.select(COLUMNS).cast(pl.String).with_columns(safe.name.keep()).write_csv()
