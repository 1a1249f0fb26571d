"""A result as pages draw it: what to do in a word, and each difference as a dot on its interval beside none. Pure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from optinb.base.figures import amount, day, many, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optinb.measure.arms import Advice, Figure
    from optinb.measure.effect import Effect
    from optinb.measure.result import CampaignResult

ADVICE: dict[Advice, tuple[str, str]] = {
    "keep": ("Keep it", "ob-good"),
    "stop": ("Stop it", "ob-bad"),
    "wait": ("Not told yet", "ob-warn"),
}
DRAWN: dict[Figure, str] = {"response": "Share who bought", "spend": "Spent by each customer"}
"""The figures that a page draws, the one that is decided by first."""
MARGIN = 0.08
"""Left free on either side of what is drawn, as a share of it."""


class DrawnInterval(NamedTuple):
    """A difference of an arm: in words, and as places on a line from 0 to 100.

    `is_open_below` and `is_open_above` say that the interval doesn't end there; `kind` is the class of its colour,
    which only the one has that the advice goes by: of several, one lies beside none by luck sooner.
    """

    arm: str
    estimate: str
    span: str
    means: str
    at: float
    low: float
    high: float
    is_open_below: bool
    is_open_above: bool
    kind: str = ""

    @property
    def words(self) -> str:
        """What is drawn, for whoever doesn't see it."""
        return f"{self.estimate} more, between {self.span}; {self.means}"


class DrawnFigure(NamedTuple):
    """The differences of one figure on one line; `zero` is the place of none."""

    title: str
    zero: float
    arms: list[DrawnInterval]


def advice_word(result: CampaignResult) -> tuple[str, str]:
    """What to do in a word or two, and the class of its colour.

    Args:
        result: of a campaign.
    """
    if result.advice is not None:
        return ADVICE[result.advice]
    return ("Don't decide by this", "ob-bad") if result.is_doubtful and not result.problem else ("No result", "")


def reasons(result: CampaignResult) -> str:
    """The sentence of a result without the word or two that it begins with.

    Args:
        result: of a campaign.
    """
    _, _, rest = result.sentence().partition(": ")
    return f"{rest[:1].upper()}{rest[1:]}."


def drawn_figures(result: CampaignResult) -> list[DrawnFigure]:
    """The differences of what a page draws, each figure on a line of its own, all of its arms on the same.

    Args:
        result: of a campaign.
    """
    found = []
    for name, title in DRAWN.items():
        effects = {arm.arm: arm.figures[name] for arm in result.arms if name in arm.figures}
        start, whole = _scale(effects.values())
        currency = "" if name == "response" else result.currency
        arms = [_drawn(arm, effect, start, whole, currency) for arm, effect in effects.items()]
        if arms and not found and result.advice in ("keep", "stop"):
            arms[0] = arms[0]._replace(kind=ADVICE[result.advice][1])
        if arms:
            found.append(DrawnFigure(title, _place(0.0, start, whole), arms))
    return found


def drawn_campaigns(
    results: Sequence[CampaignResult],
) -> tuple[float, list[tuple[CampaignResult, DrawnInterval | None]]]:
    """The share of buyers that each campaign brought, all on one line: the place of none, and each with its interval.

    Args:
        results: of campaigns; those that can't be relied on have none.
    """
    shown = [one.arms[0].figures["response"] for one in results if one.advice is not None]
    start, whole = _scale(shown)
    drawn: list[tuple[CampaignResult, DrawnInterval | None]] = []
    for one in results:
        if one.advice is None:
            drawn.append((one, None))
            continue
        interval = _drawn(one.campaign, one.arms[0].figures["response"], start, whole, "")
        drawn.append((one, interval._replace(kind="" if one.advice == "wait" else ADVICE[one.advice][1])))
    return _place(0.0, start, whole), drawn


def buyers_words(result: CampaignResult) -> str:
    """How many buyers more or fewer it brought, with the interval; nothing where nothing can be relied on.

    Args:
        result: of a campaign.
    """
    if result.advice is None:
        return ""
    estimate, low, high = result.arms[0].added("response")
    fewer = result.advice == "stop"
    if fewer:
        estimate, low, high = -estimate, -high, -low
    said = ["any" if not isfinite(one) else f"{round(one):,}" for one in (estimate, low, high)]
    return f"{said[0]} ({said[1]} to {said[2]}) buyers {'fewer' if fewer else 'more'}"


def state_words(result: CampaignResult) -> str:
    """Where a result stands, in words.

    Args:
        result: of a campaign.
    """
    if result.problem:
        return result.problem if result.held_out or not result.customers else "no control group"
    if result.is_final or result.final_on is None:
        return "final"
    if result.is_over:
        return "goes out again"
    return f"measuring until {day(result.final_on)}"


def rests_on(result: CampaignResult) -> str:
    """What a result rests on, in a sentence.

    Args:
        result: of a campaign.
    """
    held_out = result.held_out
    nights = f"the night of {day(result.nights[0])}" if len(result.nights) == 1 else many(len(result.nights), "night")
    until = "final" if result.is_final else "so far"
    return (
        f"{many(result.assigned, 'customer')} who were to get it against {held_out:,} held "
        f"out, by what they bought in the {many(result.days, 'day')} after it; {nights}; {until}."
    )


def _scale(effects: Iterable[Effect]) -> tuple[float, float]:
    """Where a line begins that holds some intervals and none, and how long it is."""
    ends = [0.0, *(one for e in effects for one in (e.low, e.estimate, e.high) if isfinite(one))]
    width = (max(ends) - min(ends)) or 1.0
    return min(ends) - MARGIN * width, (1 + 2 * MARGIN) * width


def _drawn(arm: str, effect: Effect, start: float, whole: float, currency: str) -> DrawnInterval:
    def said(value: float, *, signed: bool = False) -> str:
        if not isfinite(value):
            return "any"
        text = amount(value) if currency else f"{100 * value:,.1f}"
        text = "0.0" if text == "-0.0" else text
        return f"+{text}" if signed and value > 0 else text

    unit = currency or "points"
    form = amount if currency else share
    low, high = effect.low, effect.high
    return DrawnInterval(
        arm=arm,
        estimate=f"{said(effect.estimate, signed=True)} {unit}",
        span=f"{said(low)} and {said(high)}",
        means=f"{form(effect.mean)} with it, {form(effect.control_mean)} without",
        at=_place(effect.estimate, start, whole),
        low=_place(low, start, whole) if isfinite(low) else 0.0,
        high=_place(high, start, whole) if isfinite(high) else 100.0,
        is_open_below=not isfinite(low),
        is_open_above=not isfinite(high),
    )


def _place(value: float, start: float, whole: float) -> float:
    return round(100 * (value - start) / whole, 2)
