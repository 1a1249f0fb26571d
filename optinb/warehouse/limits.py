"""What the bytes of a delivered file tell before anything else reads it, in memory that doesn't grow with it.

A file may hold so much at most, and one beyond a limit is refused as a whole. Without that, the reader of CSV loses a
line of more than 32 MB without a word, takes ten times the size of a file behind a quotation mark that is never closed,
and the square of the number of columns of a Parquet file.

What the bytes of a CSV file rule out needn't be checked of every cell. A look at them costs a tenth of what trimming
every cell and searching every key for control characters costs; measured on 2 M transactions of 150 MB: 0.06 s against
0.9 s.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.base.figures import figure
from optinb.errors import DeliveryError
from optinb.warehouse.contract import MAX_COLUMNS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MOST_UNPACKED_GB = 20.0
# Tables of text shrink to a twentieth, of much alike to a hundredth. What shrinks to less is made to.
_MOST_RATIO, _RATIO_FROM = 300, 1 << 30
MOST_LINE_MB = 16
_MOST_LINE = MOST_LINE_MB << 20
# The end of a Parquet file that lists a thousand columns for some thousand row groups.
_MOST_FOOTER_MB = 64
_CHUNK = 1 << 20
_LOOK_BACK = 1 << 16
_QUOTE, _NEWLINE = b'"', b"\n"


class UnreadableError(DeliveryError):
    """One file that can't be read as a whole; the text says why and what to do."""


def unpack(packed: Path, target: Path, *, most_gb: float = MOST_UNPACKED_GB) -> None:
    """Unpacks a gzip; nothing of one that becomes too large stays. Raises UnreadableError, and what gzip raises."""
    most, size = int(most_gb * (1 << 30)), packed.stat().st_size
    done = 0
    try:
        with gzip.open(packed, "rb") as source, target.open("wb") as out:
            while chunk := source.read(_CHUNK):
                done += len(chunk)
                if done > most:
                    raise UnreadableError(
                        f"unpacked it is larger than {figure(most_gb)} GB ({size / (1 << 20):,.1f} MB packed); deliver "
                        "it in parts, or raise max_unpacked_gb under [import] in optinb.toml"
                    )
                if done > max(_RATIO_FROM, _MOST_RATIO * size):
                    raise UnreadableError(
                        f"unpacked it is more than {_MOST_RATIO} times as large ({size / (1 << 20):,.1f} MB packed), "
                        "as no table is; look at what made it, or deliver it unpacked"
                    )
                out.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def refuse_long_lines(plain: Path, *, delimiter: str | None = None) -> None:
    """Refuses a text file with a line of more than 16 MB; with a `delimiter` (CSV) also a quoted field of that size.

    Raises UnreadableError with the line's number. Reads the file once, at some GB a second.
    """
    if plain.stat().st_size <= _MOST_LINE:
        return
    began = place = 0  # of the line, and of the chunk
    quote = -1  # the last quotation mark so far
    with plain.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            first = chunk.find(_NEWLINE)
            if (first if first >= 0 else len(chunk)) + place - began > _MOST_LINE:
                raise UnreadableError(
                    f"line {_line_at(plain, began):,} is longer than {MOST_LINE_MB} MB, as no row is; end each row "
                    "with a new line, and look at what made this one"
                )
            if first >= 0:
                began = place + chunk.rfind(_NEWLINE) + 1
            if delimiter is not None:
                first = chunk.find(_QUOTE)
                gap = (place + first if first >= 0 else place + len(chunk)) - quote
                if quote >= 0 and gap > _MOST_LINE:
                    _refuse_open_quote(plain, quote, delimiter)
                    quote = -1  # that one is closed, or belongs to a text
                if first >= 0:
                    quote = place + chunk.rfind(_QUOTE)
            place += len(chunk)


def refuse_long_footer(plain: Path) -> None:
    """Refuses a Parquet file whose list of columns and row groups is larger than any table's. Raises UnreadableError.

    It is asked of the file's last bytes, since reading the list takes many times its size.
    """
    size = plain.stat().st_size
    with plain.open("rb") as stream:
        stream.seek(max(0, size - 8))
        end = stream.read(8)
    claimed = int.from_bytes(end[:4], "little")
    if end[4:] == b"PAR1" and _MOST_FOOTER_MB << 20 < claimed < size:  # one that can't be is a damaged file's
        raise UnreadableError(
            f"its list of columns and row groups takes {claimed >> 20:,} MB, more than {_MOST_FOOTER_MB}; write fewer "
            "columns, and row groups of 100,000 rows"
        )


def refuse_many_columns(count: int) -> None:
    """Refuses a file of which one table would have more columns than the contract allows. Raises UnreadableError."""
    if count > MAX_COLUMNS:
        raise UnreadableError(
            f"it has {count:,} columns, and a table at most {MAX_COLUMNS:,} columns; deliver what target groups need, "
            "and values as rows of events"
        )


def _refuse_open_quote(plain: Path, quote: int, delimiter: str) -> None:
    """Refuses if the quotation mark at a place opens a field: it begins one, and its line has no other half of it."""
    with plain.open("rb") as stream:
        stream.seek(max(0, quote - _LOOK_BACK))
        before = stream.read(min(quote, _LOOK_BACK))
    line = before[before.rfind(_NEWLINE) + 1 :]
    begins = not line.strip() or line.endswith(delimiter.encode())
    if begins and line.count(_QUOTE) % 2 == 0:
        raise UnreadableError(
            f"the quotation mark that opens a field in line {_line_at(plain, quote):,} isn't closed within "
            f"{MOST_LINE_MB} MB; close it, and double those inside a field"
        )


def _line_at(plain: Path, place: int) -> int:
    """The number of the line that a place lies in, from 1."""
    number = 1
    with plain.open("rb") as stream:
        while place > 0 and (chunk := stream.read(min(_CHUNK, place))):
            number += chunk.count(_NEWLINE)
            place -= len(chunk)
    return number


_OVERLAP = 3
_LINE, _RETURN, _BLANK, _MARK, _DELETE = 10, 13, 32, 34, 127
# How UTF-8 begins what else counts as a blank (the category Zs); some signs that are none begin likewise.
_WIDE_BLANKS = (b"\xc2\xa0", b"\xe1\x9a\x80", b"\xe2\x80", b"\xe2\x81\x9f", b"\xe3\x80\x80")


class Facts(Struct, frozen=True):
    """What is known of all cells of a column of text.

    Attributes:
        trimmed: no cell begins or ends with a blank.
        printable: no cell holds a control character.
        ascii: no cell holds another character than those of ASCII.
    """

    trimmed: bool = False
    printable: bool = False
    ascii: bool = False


def facts_of(path: Path, delimiter: str) -> Facts:
    """What holds for all cells of a CSV file; what is in doubt, doesn't."""
    import numpy as np

    trimmed = printable = ascii_only = True
    with path.open("rb") as stream:
        before = b"\n"
        while (trimmed or printable or ascii_only) and (chunk := stream.read(_CHUNK)):
            text = before + chunk
            here, fresh = np.frombuffer(text, dtype=np.uint8), np.frombuffer(chunk, dtype=np.uint8)
            if (trimmed or printable) and (fresh == _MARK).any():
                trimmed = printable = False  # a quoted cell may hold anything
            wide = fresh.max() >= _DELETE
            ascii_only = ascii_only and not (wide and fresh.max() > _DELETE)
            printable = printable and not (wide and _DELETE in chunk) and _only_separators(here, fresh, ord(delimiter))
            trimmed = trimmed and not _padded(here, ord(delimiter))
            trimmed = trimmed and not (wide and any(blank in text for blank in _WIDE_BLANKS))
            before = text[-_OVERLAP:]
    return Facts(trimmed=trimmed and not before.endswith(b" "), printable=printable, ascii=ascii_only)


def _only_separators(here: NDArray[np.uint8], fresh: NDArray[np.uint8], delimiter: int) -> bool:
    """Whether all control characters are new lines (or delimiters); `here` is `fresh` and some bytes before it."""
    import numpy as np

    controls = np.count_nonzero(fresh < _BLANK) - np.count_nonzero(fresh == _LINE)
    if controls and delimiter < _BLANK:
        controls -= np.count_nonzero(fresh == delimiter)
    if controls:
        lines = here[-len(fresh) :] == _LINE
        controls -= np.count_nonzero(lines & (here[-len(fresh) - 1 : -1] == _RETURN))
    # A return at the end of a chunk is counted there, its new line in the next: in doubt, there are others.
    return not controls


def _padded(here: NDArray[np.uint8], delimiter: int) -> bool:
    blank = here == _BLANK
    if not blank.any():
        return False
    border = (here == delimiter) | (here == _LINE) | (here == _RETURN)
    return bool((blank[1:] & border[:-1]).any() or (blank[:-1] & border[1:]).any())
