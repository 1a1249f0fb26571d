"""Promotion codes as files: a code a line, each once."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.errors import CampaignError

if TYPE_CHECKING:
    from pathlib import Path

MAX_CODE_LENGTH = 64
MAX_CODES = 10_000_000
EXAMPLE_CODE = "YOUR-CODE"
"""What previews and test sends show instead of a code: none is drawn before the night."""
SHOWN = 5  # lines that an error names


class CodeFile(Struct, frozen=True):
    """The codes of a file with the line of each, and the file's SHA-256."""

    codes: tuple[str, ...]
    lines: tuple[int, ...]
    sha256: str


def read_codes(path: Path) -> CodeFile:
    """Reads a text file with a code a line; a first line `code`, the head of a CSV, and empty lines are passed over.

    Raises CampaignError that names lines and the remedy, and never shows a code.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise CampaignError(f"the file of codes {path} isn't there") from error
    except OSError as error:
        raise CampaignError(f"the file of codes {path} can't be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CampaignError(f"{path}: line {line} isn't UTF-8; save the file as UTF-8. Nothing was imported") from None
    found = check_codes(text.split("\n"), source=str(path))
    return CodeFile(tuple(found["code"].to_list()), tuple(found["line"].to_list()), sha256(raw).hexdigest())


def check_codes(lines: list[str], *, source: str) -> pl.DataFrame:
    """`line` (from 1) and `code` of lines. Raises CampaignError for what no code can be, or one that comes twice."""
    rows = pl.DataFrame({"code": pl.Series(lines, dtype=pl.String).str.strip_chars()}).with_row_index("line", offset=1)
    if rows.height and rows["code"][0].strip('"').casefold() == "code":
        rows = rows.tail(-1)
    # what a spreadsheet puts around a text
    rows = rows.with_columns(pl.col("code").str.replace(r'^"(.*)"$', "$1")).filter(pl.col("code") != "")
    if rows.is_empty():
        raise CampaignError(f"{source} has no code in it; give a file with a code a line. Nothing was imported")
    if rows.height > MAX_CODES:
        raise CampaignError(f"{source} has {rows.height:,} codes; import at most {MAX_CODES:,} at a time")
    code = pl.col("code")
    for wrong, what in (
        (code.str.contains("[,;\t]"), "has several columns; give a file with nothing but a code in each line"),
        (code.str.len_chars() > MAX_CODE_LENGTH, f"has more than {MAX_CODE_LENGTH} characters, too many for a code"),
        (code.str.contains(r"[\s\p{C}]"), "has a space or a character in it that nobody can see; remove it"),
        (~code.is_first_distinct(), "has a code that stands in an earlier line too; each code is for one person"),
    ):
        found = rows.filter(wrong)["line"].to_list()
        if found:
            raise CampaignError(f"{source}: {name_lines(found)} {what}. Nothing was imported")
    return rows


def name_lines(lines: list[int]) -> str:
    """Lines for a sentence: the first few, and how many there are besides."""
    shown = ", ".join(str(line) for line in lines[:SHOWN])
    more = f" (and {len(lines) - SHOWN:,} more)" if len(lines) > SHOWN else ""
    return f"line {shown}{more}"
