"""The types of customers' further columns: what a text must look like for each, and how it is then read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.warehouse.checks import CLOCK, DAY, DIGITS, EXACT, FIRST_YEAR, NO, OFFSET, YES, is_exact

if TYPE_CHECKING:
    from optinb.warehouse.contract import AttributeType

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
