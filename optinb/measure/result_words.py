"""What a campaign brought as people say it: more or fewer, at least or at most, and what it takes to know. Pure."""

from __future__ import annotations

from math import ceil, inf, isinf
from typing import TYPE_CHECKING

from optinb.base.figures import amount, many

if TYPE_CHECKING:
    from optinb.measure.effect import Effect

CENTS_BELOW = 1_000
TAIL = 0.025
TENTH = 0.1
"""The rise that a campaign needs to be told from none, to be of use to most."""


def more_or_fewer(of: tuple[float, float, float], unit: str, *, money: bool = False) -> str:
    """An estimate with its interval: `60 buyers fewer (100 to 20 fewer)`, `30.00 EUR more (5.00 less to 65.00 more)`.

    Args:
        of: the estimate, the low and the high bound.
        unit: of what, one of it.
        money: whether it is money, of which one says less instead of fewer.
    """
    estimate, low, high = of
    fewer, decimals = "less" if money else "fewer", 0 if abs(estimate) >= CENTS_BELOW else 2

    def size(one: float) -> str:
        return amount(abs(one), decimals=decimals) if money else f"{abs(round(one)):,}"

    def side(one: float) -> str:
        return f"{size(one)} {fewer if one < 0 else 'more'}"

    if isinf(low) and isinf(high):
        between = "it can't be said within which bounds"
    elif isinf(low) or isinf(high):
        between = f"at most {side(high)}" if isinf(low) else f"at least {side(low)}"
    elif low >= 0:
        between = f"{size(low)} to {size(high)}"
    elif high < 0:
        between = f"{size(high)} to {size(low)}"
    else:
        between = f"{side(low)} to {side(high)}"
    named = unit if money or size(estimate) == "1" else f"{unit}s"
    return f"{size(estimate)} {named} {fewer if estimate < 0 else 'more'} ({between})"


def chance_words(effect: Effect) -> str:
    """The chance that an effect is more than none, in words.

    Args:
        effect: of which.
    """
    of_hundred = round(100 * effect.chance)
    if not 0 < of_hundred < 100:
        return "it is all but certain that it helps" if of_hundred else "it is all but certain that it doesn't help"
    return f"the chance that it helps is about {of_hundred} in 100"


def customers_for(effect: Effect, rise: float, *, power: float = 0.8, tail: float = TAIL) -> int | None:
    """How many customers it takes to tell a rise from none, by the width that the interval has with these.

    Args:
        effect: with its interval.
        rise: in the figure's unit.
        power: the chance to tell it at the last look.
        tail: the chance on each side of that interval.

    Returns:
        in all arms; None where nothing varies, or no rise is given.
    """
    from scipy.stats import norm

    half = (effect.high - effect.low) / 2
    if rise <= 0 or not 0 < half < inf:
        return None
    wider = (float(norm.isf(TAIL)) + float(norm.ppf(power))) / float(norm.isf(tail))
    return ceil((effect.customers + effect.control_customers) * (wider * half / rise) ** 2)


def what_it_takes(effect: Effect, *, a_night: float | None = None, tail: float = TAIL) -> str:
    """What it takes to tell a rise by a tenth from none.

    Args:
        effect: on those who bought.
        a_night: how many customers each night of a recurring campaign adds; None for one that went out once.
        tail: the chance on each side of the effect's interval.
    """
    needed = customers_for(effect, TENTH * effect.control_mean, tail=tail)
    some = effect.customers + effect.control_customers
    if needed is None:
        return "hardly anybody of the control group bought, so that nobody can say what it would take"
    if needed <= some:
        return "a rise by a tenth would have been seen"
    more = needed - some
    takes = f"to see a rise by a tenth takes about {rounded(more):,} customers more"
    if a_night is None:
        return f"{takes}, or a larger control group"
    return f"{takes}, or {many(rounded(ceil(more / a_night)), 'night')} like these" if a_night >= 1 else takes


def rounded(number: int) -> int:
    """A count with two digits that count: nobody knows more of it.

    Args:
        number: 0 or more.
    """
    step = 10 ** max(0, len(str(number)) - 2)
    return ceil(number / step) * step
