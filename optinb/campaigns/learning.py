"""A mix of variants that learns: the likelier a variant is the best, the more of the newly eligible get it. Pure.

Thompson sampling (Thompson 1933, "On the likelihood that one unknown probability exceeds another", Biometrika 25): each
variant gets the chance that it is the best, by what is known of all, with a floor for each, so that all stay comparable
with each other and with the control group, whose share never moves. Whoever got a variant keeps it. Every mix follows
from the seed that the approval names, the night, and figures that are kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import inf
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

LearningFigure = Literal["response", "spend", "orders"]
DRAWS = 10_000
ALIKE = 0.03
"""Chances of the same figures from other draws: four times what these differ by."""
DIGITS = 4
"""Of shares and chances: what is read in a file or on a page is what was drawn by."""


class Learning(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the shares of a campaign's variants move.

    Attributes:
        figure: by which a variant is better: the share who bought, what was spent by each, or the days on which they
            bought, within the measurement window.
        floor: the share of those who get it that each variant keeps, whatever is learned.
        least: the customers of each variant whose window must be over before shares move at all.
        winner: from this chance to be the best on, a variant has won: it gets all but the floors of the others from
            then on. None where none ever wins.
        seed: of the draws.
    """

    figure: LearningFigure
    floor: Annotated[float, Meta(gt=0, lt=0.5)] = 0.1
    least: Annotated[int, Meta(ge=30, le=10_000_000)] = 200
    winner: Annotated[float, Meta(gt=0.5, lt=1)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 1

    def sentence(self) -> str:
        """How the shares move, in words."""
        by = {"response": "who buys", "spend": "what is spent by each", "orders": "on how many days they buy"}
        ends = "" if self.winner is None else f", until one is the best with a chance of {self.winner:.1%}"
        return (
            f"by {by[self.figure]}, once {self.least:,} customers of each can be told of, at least {self.floor:.0%} "
            f"for each{ends} (seed {self.seed})"
        )


class Learned(Struct, frozen=True, kw_only=True):
    """What is known of a variant's figure.

    Attributes:
        customers: whose window is over.
        mean: of the figure.
        error: its standard error.
    """

    customers: int
    mean: float
    error: float


class Mix(Struct, frozen=True, kw_only=True):
    """The shares of variants in a night, with all that they follow from.

    Attributes:
        night: which it is for.
        learning: how shares move.
        start: the shares that the campaign begins with, by variant.
        learned: what was known of each variant; of none that nobody has got yet.
        shares: of those who get the message, by variant; all together 1.
        chances: of each to be the best; nothing before enough is known.
        winner: which has won, in this night or before.
    """

    night: date
    learning: Learning
    start: dict[str, float]
    learned: dict[str, Learned]
    shares: dict[str, float]
    chances: dict[str, float] = {}
    winner: str | None = None

    def sentence(self) -> str:
        """What the mix is and why, in words."""
        told = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        if self.winner is not None:
            return f"{told}: {self.winner} has won"
        if not self.chances:
            fewest = min((self._known(name) for name in self.shares), default=0)
            if fewest >= self.learning.least:
                return f"{told}: as planned until somebody of each has bought"
            return f"{told}: as planned until {self.learning.least:,} customers of each can be told of ({fewest:,} now)"
        best = max(self.chances, key=lambda name: self.chances[name])
        return f"{told}: {best} is the best with a chance of {self.chances[best]:.0%}"

    def _known(self, name: str) -> int:
        return self.learned[name].customers if name in self.learned else 0


def mix_of(
    learning: Learning,
    start: Mapping[str, float],
    learned: Mapping[str, Learned],
    *,
    campaign_id: str,
    night: date,
    winner: str | None = None,
    drawn: Mapping[str, float] | None = None,
) -> Mix:
    """The shares of a night; the same whenever it is asked for the same.

    Args:
        learning: how shares move.
        start: the shares that the campaign begins with, by variant; all together 1.
        learned: what is known of each variant.
        campaign_id: 12 hexadecimal digits, of which the draws depend, too.
        night: which it is for.
        winner: which variant has won before.
        drawn: the chances of each to be the best, where they were drawn before.
    """
    told = Mix(night=night, learning=learning, start=dict(start), learned=dict(learned), shares=dict(start))
    won = winner if winner in start else None
    if won is None and not all(name in learned and _is_told(learning, learned[name]) for name in start):
        return told
    chances: dict[str, float] = {}
    if won is None:
        chances = dict(drawn or _chances(learning, start, learned, campaign_id=campaign_id, night=night))
    best = max(chances, key=lambda name: chances[name], default=None)
    if best is not None and chances[best] >= (inf if learning.winner is None else learning.winner):
        won = best
    wanted = {name: float(name == won) for name in start} if won is not None else chances
    rest = 1 - learning.floor * len(start)
    shares = {name: round(learning.floor + rest * wanted[name], DIGITS) for name in start}
    return Mix(
        night=night,
        learning=learning,
        start=dict(start),
        learned=dict(learned),
        shares=shares,
        chances=chances,
        winner=won,
    )


def follows(mix: Mix, *, campaign_id: str, night: date) -> bool:
    """Whether the shares of a mix follow from what stands beside them.

    Another release of NumPy, or another machine, may draw other numbers from the same seed: chances count as the same
    within what draws differ by.

    Args:
        mix: as it was kept.
        campaign_id: as of `mix_of`.
        night: which it is for.
    """
    if not mix.start or (mix.chances and mix.chances.keys() != mix.start.keys()):
        return False
    winner = mix.winner if not mix.chances else None

    def again(drawn: Mapping[str, float] | None) -> Mix:
        return mix_of(
            mix.learning, mix.start, mix.learned, campaign_id=campaign_id, night=night, winner=winner, drawn=drawn
        )

    if again(mix.chances) != mix:
        return False
    chances = again(None).chances
    return all(abs(chances.get(name, 0.0) - chance) <= ALIKE for name, chance in mix.chances.items())


def _is_told(learning: Learning, known: Learned) -> bool:
    """Whether enough is known of a variant for it to be compared.

    Where nobody bought, or all bought the same, the spread of an amount isn't known: 0 would make it certain.
    """
    return known.customers >= learning.least and (learning.figure == "response" or known.error > 0)


def _chances(
    learning: Learning, start: Mapping[str, float], learned: Mapping[str, Learned], *, campaign_id: str, night: date
) -> dict[str, float]:
    """How often each variant is the best of those that are drawn from what is known of it."""
    random = np.random.default_rng([learning.seed, int(campaign_id, 16), night.toordinal()])
    drawn = np.stack([_drawn(random, learned[name], learning.figure) for name in start])
    counts = np.bincount(drawn.argmax(axis=0), minlength=len(start))
    return {name: round(float(count) / DRAWS, DIGITS) for name, count in zip(start, counts, strict=True)}


def _drawn(random: np.random.Generator, known: Learned, figure: LearningFigure) -> np.ndarray:
    """What a variant's figure may be, by what is known of it, under a flat prior."""
    match figure:
        case "response":
            mean = min(1.0, max(0.0, known.mean))
            spread, size = mean * (1 - mean), float(known.customers)
            if spread > 0 and known.error > 0:
                # as many as would tell the share this precisely: those whose weights differ tell less
                size = min(size, spread / known.error**2)
            return random.beta(1 + mean * size, 1 + (1 - mean) * size, DRAWS)
        case "spend" | "orders":
            return known.mean + known.error * random.standard_t(max(1, known.customers - 1), DRAWS)
