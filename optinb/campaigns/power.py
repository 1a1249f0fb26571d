"""What a campaign's test can detect: the smallest difference between target and control that it is likely to find."""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from optinb.base.figures import amount, share

LEVEL, POWER = 0.05, 0.8
LEAST = 1e-9
MOST = 0.2  # an effect beyond a fifth of the base rate is more than most campaigns bring


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
    """

    recipients: int
    control: int
    measurement_days: int
    base_rate: float
    smallest_effect: float | None
    warning: str | None


def power_of(*, recipients: int, control: int, base_rate: float, measurement_days: int) -> Power:
    """The power of a planned test.

    The normal approximation for two independent shares of unequal groups, without correction for continuity: Fleiss,
    Levin, Paik, Statistical Methods for Rates and Proportions, 3rd edition (2003), section 4.2, solved for the
    difference instead of the size.
    """
    effect = smallest_effect(recipients=recipients, control=control, base_rate=base_rate)
    warning = None
    if effect is None:
        warning = "no effect can be measured: one of the two groups is too small; raise the control share or the group"
    elif effect > MOST * base_rate:
        relative = f"{share(effect / base_rate, decimals=0)} of" if base_rate else "above"
        warning = (
            f"low power: only a rise by {amount(100 * effect)} percentage points ({relative} the base rate of "
            f"{share(base_rate, decimals=2)}) would be found; a larger group, control share or measurement window sees "
            "smaller ones"
        )
    return Power(
        recipients=recipients,
        control=control,
        measurement_days=measurement_days,
        base_rate=base_rate,
        smallest_effect=effect,
        warning=warning,
    )


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
