"""Text from elsewhere as a terminal may show it: what would move the cursor, or turn words round, is written out."""

from __future__ import annotations

import re

# Control characters of both ranges, line separators, and marks that change the direction of what stands around them.
_ACTS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_IN_TEXT = re.compile(f"[{_ACTS}]")
_IN_A_LINE = re.compile(f"[{_ACTS}\t\n]")


def printable(text: str) -> str:
    r"""A text of one or more lines in which nothing acts on a terminal.

    >>> printable("Ann\x1b[2J")
    'Ann\\x1b[2J'
    """
    return _IN_TEXT.sub(_written_out, text)


def printable_line(text: str) -> str:
    """The same within one line, so that no value looks like a further one."""
    return _IN_A_LINE.sub(_written_out, text)


def printable_json(text: str) -> str:
    """A JSON document with the same value, in which nothing acts on a terminal."""
    return _IN_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
