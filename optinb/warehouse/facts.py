"""What the bytes of a CSV file rule out, so that checks that can't fail needn't be made of every cell.

A look at the bytes costs a tenth of what trimming every cell and searching every key for control characters costs;
measured on 2 M transactions of 150 MB: 0.06 s against 0.9 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK = 1 << 20
_OVERLAP = 3
_NEWLINE, _RETURN, _BLANK, _QUOTE, _DELETE = 10, 13, 32, 34, 127
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
    trimmed = printable = ascii_only = True
    with path.open("rb") as stream:
        before = b"\n"
        while (trimmed or printable or ascii_only) and (chunk := stream.read(_CHUNK)):
            text = before + chunk
            here, fresh = np.frombuffer(text, dtype=np.uint8), np.frombuffer(chunk, dtype=np.uint8)
            if (trimmed or printable) and (fresh == _QUOTE).any():
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
    controls = np.count_nonzero(fresh < _BLANK) - np.count_nonzero(fresh == _NEWLINE)
    if controls and delimiter < _BLANK:
        controls -= np.count_nonzero(fresh == delimiter)
    if controls:
        lines = here[-len(fresh) :] == _NEWLINE
        controls -= np.count_nonzero(lines & (here[-len(fresh) - 1 : -1] == _RETURN))
    # A return at the end of a chunk is counted there, its new line in the next: in doubt, there are others.
    return not controls


def _padded(here: NDArray[np.uint8], delimiter: int) -> bool:
    blank = here == _BLANK
    if not blank.any():
        return False
    border = (here == delimiter) | (here == _NEWLINE) | (here == _RETURN)
    return bool((blank[1:] & border[:-1]).any() or (blank[:-1] & border[1:]).any())
