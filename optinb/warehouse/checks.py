"""The checks of a value as SQL, built from `contract.py`, and the types of further columns. Pure: text in, text out.

A cell's text `t_…` becomes a parsed value `v_…`; each complaint says what to write instead. A null is never a
complaint, except where the column is required.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from optinb.warehouse.contract import MAX_KEY_LENGTH, AttributeType, Column, Kind, Table
from optinb.warehouse.sql import ident, utc, utc_from_local

if TYPE_CHECKING:
    from optinb.warehouse import limits

NOT_AN_OBJECT = "the line is not one JSON object: write one {…} a line"
NAMED_TWICE = "the object gives a value to one name in two spellings: names in upper and lower case are the same"
NUL = "holds a NUL character, or bytes that are no UTF-8: write plain text in UTF-8"
UNKNOWN_CUSTOMER = (
    "customer_id isn't in customers, or the customer's own row was refused: deliver that too, or leave this row out"
)
UNKNOWN_APP = "app_id is no app of the settings: add it to [[app_groups.apps]] in optinb.toml, or leave the row out"
REDEEMED_NOTHING = "neither code nor offer says what was redeemed: give the code, or the offer by its name"
NOBODY_REDEEMED = "nobody can tell who redeemed it: give the customer_id, or the customer's own code"
# Flags with gaps are floats in many tools.
YES = ("true", "t", "yes", "y", "1", "1.0")
NO = ("false", "f", "no", "n", "0", "0.0")


class CheckContext(Struct, frozen=True, kw_only=True):
    """What the checks of one delivery depend on.

    `latest`: no time may be after it (aware). `missing`: words that stand for no value, in any case.
    """

    zone: ZoneInfo
    latest: datetime
    currency: str
    missing: tuple[str, ...] = ()


def parsed(column: Column, context: CheckContext) -> str:
    """The value of a column, null where the text is none; times as TIMESTAMP in UTC."""
    text, local = ident("t_" + column.name), ident("p_" + column.name)
    match column.kind:
        case "number":
            return f"TRY_CAST({text} AS DOUBLE)"
        case "time":
            # A cast to TIMESTAMP overlooks offsets. The two commonest spellings without one, and UTC, take the short
            # way; for all others the session's zone is the workspace's.
            return (
                f"CASE WHEN strlen({text}) = 10 OR (strlen({text}) = 19 AND {text} LIKE '____-__-__%:__:__') "
                f"THEN {utc_from_local(local, context.zone, until=context.latest)} "
                f"WHEN ends_with({text}, 'Z') THEN {local} ELSE timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ)) END"
            )
        case "date":
            return f"TRY_CAST({text} AS DATE)"
        case "flag":
            return f"CASE WHEN lower({text}) IN {YES} THEN true WHEN lower({text}) IN {NO} THEN false END"
        case _:
            return text


def complaints(column: Column, latest: datetime, facts: limits.Facts) -> list[tuple[str, str]]:
    """(test, reason) of one column, the likeliest mistake first."""
    name, text, value = column.name, ident("t_" + column.name), ident("v_" + column.name)
    missing = [(f"{text} IS NULL", f"{name} is missing: every row needs one")] if column.required else []
    unparsed = f"{text} IS NOT NULL AND {value} IS NULL"
    control = f"regexp_matches({text}, '[\\x00-\\x1f\\x7f]')"
    found: Mapping[Kind, list[tuple[str, str]]] = {
        "key": [
            (
                # The count of bytes is at hand, that of characters isn't.
                f"strlen({text}) > {MAX_KEY_LENGTH} AND length({text}) > {MAX_KEY_LENGTH}",
                f"{name} is longer than {MAX_KEY_LENGTH} characters: a shifted column?",
            ),
            *[(control, f"{name} holds a control character: write plain text")] * (not facts.printable),
        ],
        "text": [(f"contains({text}, chr(0))", f"{name} {NUL}")] * (not facts.printable),
        "number": [
            (
                f"{unparsed} OR contains({text}, '_')",
                f"{name} isn't a number: write 1234.56, with a point and without thousands separators or units",
            ),
            (
                f"NOT isfinite({value})",
                f"{name} isn't a finite number: write a number that exists, or leave it empty",
            ),
            (
                f"abs({value}) >= {EXACT}",
                f"{name} has more than 15 digits before the point, and would lose the last: a shifted column?",
            ),
            (
                f"NOT {is_exact(text)}",
                f"{name} has more than {DIGITS} digits and would be rounded: write at most 15, such as 1234.56",
            ),
        ],
        "time": [
            # DuckDB also takes words such as 'infinity', names of zones, and offsets that no place has.
            (
                f"{unparsed} OR NOT {is_time(text)}",
                f"{name} isn't a time: write ISO 8601, such as 2026-11-23T18:30:00+01:00",
            ),
            (f"{value} < {_EARLIEST}", f"{name} is before the year 1900: write the year with four digits"),
            (f"{value} > {utc(latest)}", f"{name} is in the future: check the sender's clock and zone"),
        ],
        "date": [
            (
                f"{unparsed} OR NOT {is_date(text)}",
                f"{name} isn't a date: write ISO 8601, such as 1990-05-31",
            ),
            (f"{value} < DATE '{FIRST_YEAR}-01-01'", f"{name} is before the year {FIRST_YEAR}: check the year"),
            (f"{value} > CAST({utc(latest)} AS DATE)", f"{name} is in the future: check the century"),
        ],
        "flag": [(unparsed, f"{name} is neither true nor false: write true or false")],
        "zone": [
            (
                f"{text} IS NOT NULL AND TRY_CAST({text} AS zone_name) IS NULL",
                f"{name} isn't a time zone: write an IANA name, such as Europe/Berlin",
            )
        ],
        "json": [
            (f"NOT json_valid({text})", f'{name} isn\'t JSON: write an object, such as {{"plan": "pro"}}'),
        ],
    }
    return missing + found[column.kind]


def is_exact(text: str) -> str:
    """A test whether a number's text has no more digits than a DOUBLE is written with, but for zeros at the ends."""
    # Programs write up to 17 digits of a DOUBLE; databases write a decimal with all zeros of its scale.
    digits = f"ltrim(rtrim(replace(regexp_extract({text}, '^[-+]?([0-9.]*)', 1), '.', ''), '0'), '0')"
    # Few texts are so long that the dearer question has to be asked.
    return f"CASE WHEN strlen({text}) <= {DIGITS} THEN true ELSE strlen({digits}) <= {DIGITS} END"


def is_time(text: str) -> str:
    """A test whether a text is written as ISO 8601 has times, or as a date, which is the midnight that begins it."""
    return f"regexp_full_match({text}, '{DAY}([T ]{CLOCK}({OFFSET})?)?')"


def is_date(text: str) -> str:
    """A test whether a text is written as ISO 8601 has dates; databases also write a date as its midnight."""
    return rf"regexp_full_match({text}, '{DAY}([T ]00:00(:00(\.0+)?)?)?')"


DAY = r"\d{4}-\d\d-\d\d"
CLOCK = r"\d\d:\d\d(:\d\d(\.\d+)?)?"
# No place on Earth is further from UTC than 14 hours.
OFFSET = r"Z|[-+](0\d|1[0-4])(:?[0-5]\d)?"
_EARLIEST = "TIMESTAMP '1900-01-01 00:00:00'"
# The calendars of what reads the tables begin in the year 1; long before that a year is a slip of the pen.
FIRST_YEAR = 1800
# From here on whole numbers are no longer told apart as DOUBLE.
EXACT = "1e15"
DIGITS = 17


def duplicate(table: Table) -> str:
    """Why a row is refused whose key stood before in the same delivery."""
    return f"{' and '.join(table.key)} stood before in this delivery: the first row stays"


# Most narrow first. What a value must look like for a type, and how it is then read; leading zeros mean text.
ATTRIBUTE_TYPES: tuple[AttributeType, ...] = ("BOOLEAN", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "VARCHAR")
_NUMBER = r"-?(0|[1-9]\d*)"


def fits(kind: str, text: str) -> str:
    """A test whether a non-null text can be stored as an attribute type."""
    match kind:
        case "BOOLEAN":
            return f"lower({text}) IN ('true', 'false')"
        case "BIGINT":
            return f"(regexp_full_match({text}, '{_NUMBER}') AND TRY_CAST({text} AS BIGINT) IS NOT NULL)"
        case "DOUBLE":
            # What has more digits than a DOUBLE keeps is an identifier, not a quantity, and stays text.
            number = rf"{_NUMBER}(\.\d+)?([eE][-+]?\d+)?"
            value = f"TRY_CAST({text} AS DOUBLE)"
            return (
                f"(regexp_full_match({text}, '{number}') AND coalesce(isfinite({value}), false) "
                f"AND (abs({value}) < {EXACT} OR regexp_matches({text}, '[eE]')) AND {is_exact(text)})"
            )
        case "DATE":
            value = f"TRY_CAST({text} AS DATE)"
            return f"(regexp_full_match({text}, '{DAY}') AND coalesce({value} >= DATE '{FIRST_YEAR}-01-01', false))"
        case "TIMESTAMP":
            value = converted(kind, text)
            return (
                f"(regexp_full_match({text}, '{DAY}[T ]{CLOCK}({OFFSET})?') AND coalesce({value} >= TIMESTAMP "
                f"'{FIRST_YEAR}-01-01 00:00:00' AND {value} < TIMESTAMP '10000-01-01 00:00:00', false))"
            )
        case _:
            return "true"


def suits(kind: str, text: str) -> str:
    """A test whether a non-null text can be stored as the type that an attribute has been published with.

    More than `fits`, which decides on a type, takes: what tools write where a column has gaps, `5.0` for 5 and flags as
    numbers, says the same.
    """
    match kind:
        case "BOOLEAN":
            return f"lower({text}) IN {(*YES, *NO)}"
        case "BIGINT":
            return rf"(regexp_full_match({text}, '{_NUMBER}(\.0+)?') AND TRY_CAST({text} AS BIGINT) IS NOT NULL)"
        case _:
            return fits(kind, text)


def converted(kind: str, text: str) -> str:
    """An attribute's text as its type; a text that doesn't fit becomes null."""
    match kind:
        case "BOOLEAN":
            return f"CASE WHEN lower({text}) IN {YES} THEN true WHEN lower({text}) IN {NO} THEN false END"
        case "TIMESTAMP":
            return f"timezone('UTC', TRY_CAST({text} AS TIMESTAMPTZ))"
        case "VARCHAR":
            return text
        case _:
            return f"TRY_CAST({text} AS {kind})"


def misfit(name: str, kind: str) -> str:
    """Why a value is emptied that doesn't fit the type which its attribute was published with."""
    words = {
        "BOOLEAN": "true or false",
        "BIGINT": "a whole number",
        "DOUBLE": f"a number such as 1234.56 (of at most {DIGITS} digits)",
        "DATE": "a date such as 2026-11-23",
        "TIMESTAMP": "a time such as 2026-11-23T18:30:00",
    }
    return f"{name} has been {words[kind]} since it was first delivered: write that, or use a new column name"
