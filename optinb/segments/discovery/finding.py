"""A group that discovery found, with its figures, and how it did before."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import Struct

from optinb.rules import Rule, sentence, to_text


class HeldBefore(Struct, frozen=True, kw_only=True):
    """How a group did on an earlier day, with the customers and the target of then.

    Attributes:
        day: the day, which was not searched.
        looked_at: customers in the group of whom the target was known.
        rate: yes customers in the group (0 to 1), or the number's average there.
        rate_outside: the same of the others.
        low, high: the 95 % interval of `rate - rate_outside`.
    """

    day: date
    looked_at: int
    rate: float
    rate_outside: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["held", "unclear", "did not hold"]:
        """Whether the group was higher on that day too: unclear where its interval holds 0 and its rate is higher."""
        if self.low > 0:
            return "held"
        return "unclear" if self.rate > self.rate_outside else "did not hold"


class Finding(Struct, frozen=True, kw_only=True):
    """A group whose target is higher than everybody else's; `ws.groups.save(name, finding.rule)` keeps it.

    Rates and shares are of the customers looked at: those of whom the target is known. That a group was searched for
    flatters its rate; its interval allows for it. Of a number, a rate is its average.

    Attributes:
        rule: who is in the group, `within` included.
        condition: the rule without `within`.
        size: customers in the group: exactly those of `ws.members(rule)`.
        share: of the customers looked at, 0 to 1.
        rate: yes customers in the group (0 to 1), or the number's average there.
        rate_outside: the same of the others looked at.
        low, high: the 95 % interval of `rate - rate_outside`, which never holds 0; it reaches further down the nearer
            the group was to not being told, and the more ends of spans were moved (`PassedBar`).
        captured: the part of all yes customers (or of the number's sum) that is in the group; None for a sum below 0.
        q_value: the share of false groups among those as strong as this one, over everything that was tested.
        p_confirmed: the chance of such a difference on the earlier day if there were none; None without an earlier day.
        looked_at: customers in the group of whom the target is known; None where it is known of all.
        earlier: how the group did on an earlier day, which was not searched; None where history doesn't tell.
    """

    rule: Rule
    condition: Rule
    size: int
    share: float
    rate: float
    rate_outside: float
    low: float
    high: float
    captured: float | None
    q_value: float
    p_confirmed: float | None
    looked_at: int | None = None
    earlier: HeldBefore | None = None

    @property
    def sentence(self) -> str:
        """The group read aloud, without `within`."""
        return sentence(self.condition)

    @property
    def text(self) -> str:
        """The rule as people write it."""
        return to_text(self.rule)

    @property
    def lift(self) -> float | None:
        """How many times the others' rate the group has; None where the others have none."""
        return self.rate / self.rate_outside if self.rate_outside > 0 else None
