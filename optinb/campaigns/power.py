"""What a campaign's test can detect, and what it would take to detect a rise by a tenth. Pure.

The normal approximation for two independent shares of unequal groups, without correction for continuity: Fleiss, Levin,
Paik, Statistical Methods for Rates and Proportions, 3rd edition (2003), section 4.2, solved for the difference or for
the size.
"""

from __future__ import annotations

from itertools import combinations
from math import ceil, sqrt
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.base.figures import amount, share

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVEL, POWER = 0.05, 0.8
_SHARES = [percent / 100 for percent in range(1, 51)]
TENTH = 0.1
"""The rise over what a group buys anyway that most campaigns hope for."""
LEAST = 1e-9
MOST = 0.2  # an effect beyond a fifth of the base rate is more than most campaigns bring


class Comparison(Struct, frozen=True, kw_only=True):
    """What a test can see between two of its groups.

    Attributes:
        one: a variant.
        other: another one, or None for the control group.
        customers: in both, in this order.
        smallest_effect: the smallest difference of shares (0 to 1) that is found; None where there is none.
    """

    one: str
    other: str | None
    customers: tuple[int, int]
    smallest_effect: float | None

    def sentence(self) -> str:
        """The same in words."""
        against = "the control group" if self.other is None else f"{self.other!r}"
        sizes = " against ".join(f"{count:,}" for count in self.customers)
        if self.smallest_effect is None:
            return f"{self.one!r} and {against}: nothing can be told ({sizes} customers)"
        effect = f"{amount(100 * self.smallest_effect)} percentage points"
        return f"{self.one!r} and {against}: a difference of {effect} or more would be found ({sizes} customers)"


def comparisons(variants: Mapping[str, int], *, control: int, base_rate: float) -> tuple[Comparison, ...]:
    """What a test can see between each variant and the control group, and between each two variants.

    Args:
        variants: how many customers get each, by name.
        control: who is held out.
        base_rate: the share (0 to 1) that buys within the measurement anyway.
    """
    pairs: list[tuple[str, str | None, int]] = [(name, None, control) for name in variants] if control else []
    pairs += [(one, other, variants[other]) for one, other in combinations(variants, 2)]
    return tuple(
        Comparison(
            one=one,
            other=other,
            customers=(variants[one], count),
            smallest_effect=smallest_effect(recipients=variants[one], control=count, base_rate=base_rate),
        )
        for one, other, count in pairs
    )


class Power(Struct, frozen=True, kw_only=True):
    """The power of a test of two shares.

    Attributes:
        recipients: who would get the message.
        control: who would be held out.
        measurement_days: in which purchases count.
        base_rate: the share of the target group (0 to 1) that buys within these days anyway.
        smallest_effect: the smallest difference of shares (0 to 1) that is found with 80 % probability at a level of 5
            %, two-sided; None where there is none.
        warning: says that it is too large to be of use; None where it isn't.
        needed: how many customers it takes to find a rise by a tenth with this share held out; None where nobody buys.
        control_needed: the smallest share, in whole percent up to a half, with which these customers would do for that.
        days_needed: the shortest measurement in whole weeks that would do for it with this control group.
        comparisons: of single variants, where there are any.
    """

    recipients: int
    control: int
    measurement_days: int
    base_rate: float
    smallest_effect: float | None
    warning: str | None
    needed: int | None = None
    control_needed: float | None = None
    days_needed: int | None = None
    comparisons: tuple[Comparison, ...] = ()

    @property
    def sees_a_tenth(self) -> bool:
        """Whether a rise by a tenth of the base rate would be found."""
        return self.smallest_effect is not None and self.smallest_effect <= TENTH * self.base_rate

    @property
    def advice(self) -> str | None:
        """What it takes to find a rise by a tenth, in a sentence; None where nothing is to be said."""
        if self.needed is None:
            return None
        some = self.recipients + self.control
        held_out = self.control / some
        least = None if self.control_needed is None else f"{share(self.control_needed, decimals=0)} held out"
        if self.sees_a_tenth:
            is_more = self.control_needed is not None and self.control_needed < held_out - 0.01
            return f"to see a rise by a tenth {least} would do" if is_more else None
        weeks = None if self.days_needed is None else self.days_needed // 7
        ways = (
            f"{self.needed:,} customers with {share(held_out, decimals=0)} held out, where there are {some:,}",
            least and f"{least} of those",
            weeks and f"{weeks} week{'s' * (weeks > 1)} of measuring",
        )
        return f"to see a rise by a tenth takes {', or '.join(way for way in ways if way)}"


def power_of(
    *,
    recipients: int,
    control: int,
    base_rate: float,
    measurement_days: int,
    rates: Mapping[int, float] | None = None,
) -> Power:
    """The power of a planned test, and what it would take to find a rise by a tenth.

    Args:
        recipients: who would get the message.
        control: who would be held out.
        base_rate: the share of the target group (0 to 1) that buys within the measurement anyway.
        measurement_days: in which purchases count.
        rates: the same share for other measurements, by their days.
    """
    effect = smallest_effect(recipients=recipients, control=control, base_rate=base_rate)
    some = recipients + control
    held_out = control / some if recipients > 1 and control > 1 else 0.0

    def enough(rate: float, part: float) -> bool:
        needed = customers_needed(rate, control=part)
        return needed is not None and needed <= some

    warning = None
    if effect is None:
        warning = (
            "no effect can be measured: one of the groups is too small; make the control or the target group larger"
        )
    elif effect > MOST * base_rate:
        relative = f"{share(effect / base_rate, decimals=0)} of" if base_rate else "above"
        warning = (
            f"this test is weak: it would only find a rise by {amount(100 * effect)} percentage points ({relative} the "
            f"{share(base_rate, decimals=2)} who buy anyway); a larger target group, a larger control group or more "
            "days measured find smaller ones"
        )
    return Power(
        recipients=recipients,
        control=control,
        measurement_days=measurement_days,
        base_rate=base_rate,
        smallest_effect=effect,
        warning=warning,
        needed=customers_needed(base_rate, control=held_out),
        control_needed=next((part for part in _SHARES if enough(base_rate, part)), None) if held_out else None,
        days_needed=next((days for days, rate in sorted((rates or {}).items()) if enough(rate, held_out)), None),
    )


def customers_needed(
    base_rate: float, *, control: float, rise: float = TENTH, level: float = LEVEL, power: float = POWER
) -> int | None:
    """How many customers a test needs in all, to find a rise with probability `power`.

    Args:
        base_rate: the share (0 to 1) that buys anyway.
        control: the share of customers that is held out, less than 1.
        rise: as a share of the base rate.
        level: of the two-sided test.
        power: the probability with which it is found.

    Returns:
        The number; None where nobody is held out, hardly anybody buys anyway, or more than everybody would have to.
    """
    from scipy.stats import norm

    treated = base_rate * (1 + rise)
    if control <= 0 or treated > 1 or treated - base_rate < LEAST:
        return None
    z_level, z_power = float(norm.isf(level / 2)), float(norm.ppf(power))
    pooled = control * base_rate + (1 - control) * treated
    under_none = sqrt(pooled * (1 - pooled) * (1 / (1 - control) + 1 / control))
    under_effect = sqrt(treated * (1 - treated) / (1 - control) + base_rate * (1 - base_rate) / control)
    return ceil(((z_level * under_none + z_power * under_effect) / (treated - base_rate)) ** 2)


def smallest_effect(
    *, recipients: int, control: int, base_rate: float, level: float = LEVEL, power: float = POWER
) -> float | None:
    """The smallest rise over `base_rate` that a test finds with probability `power`; None if there is none up to 1."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    if recipients < 2 or control < 2:
        return None
    z_level, z_power = float(norm.isf(level / 2)), float(norm.ppf(power))
    ratio = control / (recipients + control)

    def lacking(effect: float) -> float:
        treated = base_rate + effect
        pooled = ratio * base_rate + (1 - ratio) * treated
        under_none = sqrt(pooled * (1 - pooled) * (1 / recipients + 1 / control))
        under_effect = sqrt(treated * (1 - treated) / recipients + base_rate * (1 - base_rate) / control)
        return effect - z_level * under_none - z_power * under_effect

    most = 1 - base_rate
    if most <= 0 or lacking(most) < 0:
        return None
    # Not from 0: where nobody buys anyway, nothing varies there, and every test would seem to see everything.
    if lacking(LEAST) >= 0:
        return 0.0
    root: float = brentq(lacking, LEAST, most, xtol=1e-9)  # pyright: ignore[reportAssignmentType] - only a float is asked
    return root
