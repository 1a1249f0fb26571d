"""Figures as people read them: never with an exponent, and what is too small to show is said to be so.

One function for each kind. Who wants figures to reckon with takes `--json`.
"""

from __future__ import annotations

from decimal import Decimal
from math import floor, isfinite, isnan, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

SMALLEST = 0.0001
NONE = "–"


def figure(value: float | None, *, digits: int = 4) -> str:
    """A figure of any size, with so many significant digits at least, and separators.

    >>> figure(1234.5678), figure(0.012345), figure(9.785e-12), figure(9_999.7)
    ('1,235', '0.01235', 'under 0.0001', '10,000')
    """
    if (word := _no_figure(value)) is not None or value is None:
        return word or NONE
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < SMALLEST:
        return f"under {SMALLEST:f}".rstrip("0") if value > 0 else "just under 0"
    decimals = max(0, digits - 1 - floor(log10(abs(value)))) if value else 0
    text = f"{value:,.{decimals}f}"
    return _positive_zero(text.rstrip("0").rstrip(".") if "." in text else text)


def share(value: float | None, *, decimals: int = 1, signed: bool = False) -> str:
    """A share of 0 to 1 as a percentage; what is more than nothing and rounds to it is under the smallest that shows.

    >>> share(0.123), share(0.0), share(9.785e-12), share(-0.2, signed=True)
    ('12.3%', '0.0%', 'under 0.1%', '-20.0%')
    """
    if (word := _no_figure(value)) is not None or value is None:
        return word or NONE
    smallest = 10.0 ** -(decimals + 2)
    if not signed and 0 < value < smallest / 2:
        return f"under {smallest:.{decimals}%}"
    return _positive_zero(f"{value:{'+' if signed else ''},.{decimals}%}")


def times(one: float, other: float) -> str:
    """How one share compares with another, as people say it.

    >>> times(0.41, 0.12), times(0.3, 0.31), times(0.1, 0.4), times(0.2, 0)
    ('3.4 times as many', 'about as many', '75% fewer', 'only here')
    """
    if not one or not other:
        return "only here" if one else "nobody here" if other else ""
    ratio = one / other
    if ratio >= 1.05:
        return f"{ratio:,.0f} times as many" if ratio >= 9.95 else f"{ratio:.1f} times as many"
    return "about as many" if ratio > 0.95 else f"{share(1 - ratio, decimals=0)} fewer"


def amount(value: float | None, *, decimals: int = 2) -> str:
    """Money, and what else has so many decimals; what is more than nothing and rounds to it is under the smallest.

    >>> amount(1234.5), amount(9.785e-12)
    ('1,234.50', 'under 0.01')
    """
    if (word := _no_figure(value)) is not None or value is None:
        return word or NONE
    smallest = 10.0**-decimals
    if 0 < value < smallest / 2:
        return f"under {smallest:.{decimals}f}"
    return _positive_zero(f"{value:,.{decimals}f}")


def exact(value: float, *, separators: bool = False) -> str:
    """The same number written out, as it stands in a rule.

    >>> exact(1e-7), exact(0.5), exact(1e22), exact(1234.0, separators=True)
    ('0.0000001', '0.5', '10000000000000000000000.0', '1,234.0')
    """
    if not isfinite(value):
        return repr(value)
    text = format(Decimal(repr(value)), ",f" if separators else "f")
    return text if "." in text or isinstance(value, int) else f"{text}.0"


def many(count: int, one: str, more: str | None = None) -> str:
    """A count with its noun: `1 customer`, `2,000 customers`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def day(value: date) -> str:
    """A date in words: `Mon 23 Nov 2026`."""
    return f"{value:%a} {value.day} {value:%b %Y}"


def _no_figure(value: float | None) -> str | None:
    """The word for what is no figure; None for a figure."""
    if value is None or isnan(value):
        return NONE
    return None if isfinite(value) else "∞" if value > 0 else "−∞"


def _positive_zero(text: str) -> str:
    return text[1:] if text.startswith("-") and not any(sign in "123456789" for sign in text) else text
