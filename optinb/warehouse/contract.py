"""What IT delivers every day, as data: tables, columns, kinds of values, keys, defaults.

`data/README.md` is the same contract in prose, for the people who prepare the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    import polars as pl


Kind = Literal["key", "text", "number", "time", "date", "flag", "zone", "json"]
AttributeType = Literal["BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR"]

# Appboy accepts longer ids, but a key beyond this is a shifted column, not an id.
MAX_KEY_LENGTH = 255
# Many more are no attributes, but values that were written as names (one column for each product, say).
MAX_COLUMNS = 1000
MAX_NAME_LENGTH = 255

STORED: Mapping[Kind, str] = {
    "key": "VARCHAR",
    "text": "VARCHAR",
    "number": "DOUBLE",
    "time": "TIMESTAMP",
    "date": "DATE",
    "flag": "BOOLEAN",
    "zone": "VARCHAR",
    "json": "VARCHAR",
}


class Column(Struct, frozen=True):
    """One column of a delivered table.

    `default`: what a missing value becomes: `true`, `false`, the row's `customer_id`, or the workspace's `currency`.
    `permits`: it decides who may be written to, so that the default only fills a column that was never delivered; once
    it was, the last delivered value stays, and without one nothing is permitted. `varies`: what a night has of it hangs
    on what happened, so that no night is held to those before.
    """

    name: str
    kind: Kind
    required: bool = False
    default: str | None = None
    permits: bool = False
    varies: bool = False


class Table(Struct, frozen=True, kw_only=True):
    """One delivered table.

    `whole`: each delivery replaces it (otherwise rows are added). `attributes`: further columns are kept.
    `by_day`: the time whose day in the workspace's zone decides which day's Parquet files a row lies in.
    `optional_key`: a column that tells rows apart where it is filled. `later`: columns that came with a later version.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    whole: bool = False
    attributes: bool = False
    by_day: str | None = None
    optional_key: str | None = None
    later: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that the header of every file must have."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def perhaps_lacking(self) -> tuple[str, ...]:
        """Columns that files of earlier versions of optinb lack; rules don't see them."""
        return tuple(c.name for c in self.columns if c.name in (self.optional_key, *self.later))

    def stored(self) -> dict[str, str]:
        """Stored columns and their DuckDB types, without further attributes; all timestamps are UTC."""
        columns: dict[str, str] = {}
        for column in self.columns:
            columns[column.name] = STORED[column.kind]
            if column.name == self.by_day:
                columns["day"] = "DATE"
        return columns


CUSTOMER_IDS = Table(
    name="customer_ids",
    columns=(
        Column("old", "key", required=True),
        Column("new", "key", required=True),
        Column("since", "time"),
    ),
)

CUSTOMERS = Table(
    name="customers",
    columns=(
        Column("customer_id", "key", required=True),
        Column("external_user_id", "key", default="customer_id", permits=True),
        Column("registered_at", "time", required=True),
        Column("country", "text"),
        Column("language", "text"),
        Column("time_zone", "zone"),
        Column("gender", "text"),
        Column("birth_date", "date"),
        Column("push_opt_in", "flag", default="true", permits=True),
        Column("is_blocked", "flag", default="false", permits=True),
        Column("is_test", "flag", default="false", permits=True),
    ),
    key=("customer_id",),
    whole=True,
    attributes=True,
)

APP_USERS = Table(
    name="app_users",
    columns=(
        Column("customer_id", "key", required=True),
        Column("app_id", "key", required=True),
        Column("push_enabled", "flag", default="true", permits=True),
        Column("app_version", "text"),
        Column("first_used_at", "time"),
        Column("last_used_at", "time"),
    ),
    key=("customer_id", "app_id"),
    whole=True,
)

TRANSACTIONS = Table(
    name="transactions",
    columns=(
        Column("transaction_id", "key", required=True),
        Column("customer_id", "key", required=True),
        Column("occurred_at", "time", required=True),
        Column("amount", "number", required=True),
        Column("currency", "text", default="currency"),
        Column("quantity", "number"),
        Column("product", "text"),
        Column("category", "text"),
        Column("promo_code", "key", varies=True),
    ),
    key=("transaction_id",),
    by_day="occurred_at",
    later=("promo_code",),
)

EVENTS = Table(
    name="events",
    columns=(
        Column("customer_id", "key", required=True),
        Column("occurred_at", "time", required=True),
        Column("name", "key", required=True),
        Column("value", "number", varies=True),
        Column("properties", "json", varies=True),
        Column("event_id", "key"),
    ),
    by_day="occurred_at",
    optional_key="event_id",
)

# Who redeemed what: one's own code, whose customer the journal knows, or an offer by its name, then with the customer.
REDEMPTIONS = Table(
    name="redemptions",
    columns=(
        Column("redeemed_at", "time", required=True),
        Column("code", "key"),
        Column("offer", "text"),
        Column("customer_id", "key"),
        Column("cost", "number", varies=True),
        Column("redemption_id", "key"),
    ),
    by_day="redeemed_at",
    optional_key="redemption_id",
)

# The value of each column that keeps messages away.
DENIED: dict[str, dict[str, bool]] = {
    CUSTOMERS.name: {"push_opt_in": False, "is_blocked": True, "is_test": True},
    APP_USERS.name: {"push_enabled": False},
}

# In the order of import: a row may refer to a table before its own, and who is whom is asked of every other table.
TABLES: Mapping[str, Table] = {
    table.name: table for table in (CUSTOMER_IDS, CUSTOMERS, APP_USERS, TRANSACTIONS, EVENTS, REDEMPTIONS)
}
DAILY: tuple[str, ...] = tuple(table.name for table in TABLES.values() if table.by_day)

# What the warehouse itself writes beside the published tables.
OWN_TABLES = frozenset({"meta", "files", "base_files", "deliveries", "attributes"})
# What it finds out about people at each import; readers see these, and a model can't publish one.
PEOPLE_TABLES = frozenset({"customer_ids", "persons", "merged_consent", "departed_customers"})


def polars_schema(table: Table) -> dict[str, pl.DataType]:
    """The stored columns of a table as Polars types (timestamps: microseconds, UTC without a zone)."""
    import polars as pl

    types: dict[str, pl.DataType] = {
        "VARCHAR": pl.String(),
        "DOUBLE": pl.Float64(),
        "TIMESTAMP": pl.Datetime("us"),
        "DATE": pl.Date(),
        "BOOLEAN": pl.Boolean(),
    }
    return {name: types[kind] for name, kind in table.stored().items()}
