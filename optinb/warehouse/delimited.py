"""What the lines of a text file mean that people and their tools wrote: delimiter, header, cells. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Sequence

DELIMITERS = (",", ";", "\t")
_LOOKED_AT = 10_000  # lines that a first line is compared with
# What stands in names of columns; two of them are German, as many spreadsheets here are.
_HEADER_WORDS = ("code", "coupon", "voucher", "promo", "gutschein", "rabatt", "number", "nummer", "customer", "kunde")
# 1.234E+05, 1,2E+11 or 1.5e7: what a spreadsheet makes of a long number. 7E10 may be an id.
SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]\d+|[+-]?\d+[.,]\d+[eE]\d+")
WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0+")


def header_of(text: str, *, known: Collection[str], like: Callable[[str], str]) -> tuple[str, tuple[str, ...]]:
    """Delimiter and first row: the delimiter is the one that finds most of the `known` names, then most columns.

    `like` makes of a cell the form in which names are known.
    """
    readings = []
    for delimiter in DELIMITERS:
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True), [])
        names = tuple(like(cell) for cell in row)
        readings.append((len(set(known).intersection(names)), len(names), delimiter, names))
    _, _, delimiter, names = max(readings, key=lambda reading: reading[:2])
    return delimiter, names


def delimiter_of(text: str, *, known: Collection[str], like: Callable[[str], str]) -> str:
    """The delimiter of a text that may have no header: the one that finds a known name, or else most columns."""

    def reading(delimiter: str) -> tuple[bool, bool, int]:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows = [row for row in lines if row]
        widths = {len(row) for row in rows}
        named = any(like(cell) in known for cell in (rows[0] if rows else ()))
        return named, len(widths) == 1 and widths != {1}, max(widths, default=0)

    # of equals the rarer sign: there are commas in cells, such as 1,5
    return max(reversed(DELIMITERS), key=reading)


def plain_name(cell: str) -> str:
    """A column's name without what tools change in it: `Customer ID` and `customer_id` are the same."""
    return re.sub(r"[\s_\-.]+", "", cell).casefold()


def plain_cell(cell: str) -> str:
    """A cell without blanks and quotes around it, and without the formula `="007"` that keeps zeros in spreadsheets."""
    cell = cell.strip()
    quoted = cell.removeprefix("=")
    return quoted[1:-1].strip() if len(quoted) > 2 and quoted[0] == quoted[-1] == '"' else cell


def differs_in_kind(first: str, others: Sequence[str], *, words: bool = True) -> bool:
    """Whether a first line is unlike all others, so that it may be a header: in its signs, length, or beginning.

    With `words` also one that alone holds a word such as "code".
    """
    others = others[:_LOOKED_AT]
    if not others or not any(sign.isalpha() for sign in first):
        return False  # a header has letters
    if words and any(
        word in first.casefold() and not any(word in other.casefold() for other in others) for word in _HEADER_WORDS
    ):
        return True
    has_digit = any(map(str.isdigit, first))
    if has_digit and _built(first) in {_built(other) for other in others}:
        return False  # such as AB-99 before AB-100
    signs = [_kinds(other) for other in others]
    mine = _kinds(first)
    if mine - set().union(*signs) or set.intersection(*map(set, signs)) - mine:
        return True
    lengths = [len(other) for other in others]
    if len(set(lengths)) == 1:
        if len(first) != lengths[0]:
            return True
    elif not 0.5 * min(lengths) <= len(first) <= 1.5 * max(lengths):
        return True
    prefix = _shared_beginning(others)
    return len(others) > 1 and len(prefix) > 2 and not first.startswith(prefix)


def is_word_like(cells: Sequence[str]) -> bool:
    """Whether all of some cells are nothing but letters, as a word in a header is."""
    return all(cell.isalpha() for cell in cells[:_LOOKED_AT])


def name_lines(lines: Sequence[int], *, shown: int = 5) -> str:
    """Lines for a sentence: the first few, and how many there are besides."""
    first = ", ".join(str(line) for line in lines[:shown])
    more = f" (and {len(lines) - shown:,} more)" if len(lines) > shown else ""
    return f"line {first}{more}"


def _kinds(text: str) -> set[str]:
    """The kinds of signs in a text: small and capital letters, digits, and each other sign by itself."""
    return {
        "digit" if sign.isdigit() else "small" if sign.islower() else "capital" if sign.isalpha() else sign
        for sign in text
    }


def _built(text: str) -> str:
    """How a text is built: runs of digits, small and capital letters, and what stands between them."""
    return re.sub(r"[a-zà-ÿ]+", "a", re.sub(r"[A-ZÀ-Þ]+", "A", re.sub(r"\d+", "9", text)))


def _shared_beginning(texts: Sequence[str]) -> str:
    low, high = min(texts), max(texts)
    size = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:size]
