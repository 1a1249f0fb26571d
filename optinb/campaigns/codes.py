"""Promotion codes as files: a code a line, each once."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import file_digest
from pathlib import Path

import polars as pl
from msgspec import Struct

from optinb.errors import CampaignError
from optinb.warehouse.delimited import SHORTENED, name_lines, plain_cell
from optinb.warehouse.limits import UnreadableError
from optinb.warehouse.tabular import ReadColumn, Wanted, read_column, without_header

MAX_CODE_LENGTH = 64
MAX_CODES = 10_000_000
EXAMPLE_CODE = "YOUR-CODE"
"""What previews and test sends show instead of a code: none is drawn before the night."""
# The names of a column of codes, as `plain_name` makes them; German ones too, as spreadsheets here have them.
HEADERS = frozenset(
    {
        *("code", "codes", "codeid", "couponcode", "couponcodes", "coupon", "coupons", "discountcode", "discountcodes"),
        *("promocode", "promocodes", "promotioncode", "promotioncodes", "voucher", "vouchers", "vouchercode"),
        *("vouchercodes", "giftcode", "couponid", "voucherid", "gutschein", "gutscheine", "gutscheincode"),
        *("gutscheincodes", "gutscheinnummer", "rabattcode", "rabattcodes", "aktionscode", "aktionscodes"),
    }
)


class CodeFile(Struct, frozen=True):
    """The codes of a file with the line of each, and the file's SHA-256."""

    codes: tuple[str, ...]
    lines: tuple[int, ...]
    sha256: str


def read_codes(path: Path, *, column: str | None = None, header: bool | None = None) -> CodeFile:
    """Reads a file with a code a line, or a column of codes; empty lines are passed over.

    A first line such as `promo_code` is a header. One that is unlike all others is asked about, unless `header` says
    what it is. `column` is the name or number of the one with the codes.

    Raises CampaignError that names lines and the remedy, and never shows a code.
    """
    wanted = _wanted(column=column, header=header)
    try:
        rows = _codes_of(read_column(path, wanted), wanted, source=str(path))
        digest = _digest(path)
    except FileNotFoundError as error:
        raise CampaignError(f"the file of codes {path} isn't there") from error
    except OSError as error:
        raise CampaignError(f"the file of codes {path} can't be read: {error.strerror}") from error
    except UnreadableError as error:
        raise CampaignError(f"{path}: {error}. Nothing was imported") from error
    return CodeFile(tuple(rows["code"].to_list()), tuple(rows["line"].to_list()), digest)


def check_codes(lines: Sequence[str], *, source: str, header: bool | None = None) -> pl.DataFrame:
    """`line` (from 1) and `code` of lines. Raises CampaignError for what no code can be, or one that comes twice."""
    cells = [plain_cell(line) for line in lines]
    filled = [at for at, cell in enumerate(cells) if cell]
    column = ReadColumn([cells[at] for at in filled], [at + 1 for at in filled])
    try:
        return _codes_of(column, _wanted(header=header), source=source)
    except UnreadableError as error:
        raise CampaignError(f"{source}: {error}. Nothing was imported") from error


def _codes_of(column: ReadColumn, wanted: Wanted, *, source: str) -> pl.DataFrame:
    """The codes of a column. What can't be one is told before a first line is asked about."""
    _check(_rows(column.rest), source=source, each_once=False)
    rows = _rows(without_header(column, wanted))
    if rows.is_empty():
        raise CampaignError(f"{source} has no code in it; give a file with a code a line. Nothing was imported")
    _check(rows, source=source)
    return rows


def _rows(column: ReadColumn) -> pl.DataFrame:
    return pl.DataFrame({"line": column.lines, "code": column.cells}, schema={"line": pl.UInt32, "code": pl.String})


def _wanted(*, column: str | None = None, header: bool | None = None) -> Wanted:
    return Wanted(what="codes", name="code", names=HEADERS, column=column, header=header, secret=True)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _check(rows: pl.DataFrame, *, source: str, each_once: bool = True) -> None:
    if rows.height > MAX_CODES:
        raise CampaignError(f"{source} has {rows.height:,} codes; import at most {MAX_CODES:,} at a time")
    code = pl.col("code")
    for wrong, what in (
        (code.str.contains("[,;\t]"), "has several columns; give a file with nothing but a code in each line"),
        (code.str.len_chars() > MAX_CODE_LENGTH, f"has more than {MAX_CODE_LENGTH} characters, too many for a code"),
        (
            code.str.contains(f"^(?:{SHORTENED.pattern})$"),
            "has a long number as a spreadsheet shortens it; format the column as text, fill it again and save it",
        ),
        (code.str.contains(r"[\s\p{C}]"), "has a space or a character in it that nobody can see; remove it"),
        (
            pl.lit(each_once) & ~code.is_first_distinct(),
            "has a code that stands in an earlier line too; each code is for one person",
        ),
    ):
        found = rows.filter(wrong)["line"].to_list()
        if found:
            raise CampaignError(f"{source}: {name_lines(found)} {what}. Nothing was imported")
