"""What a campaign brought: each figure of each arm against the control group, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from math import ceil, inf, isfinite, isinf
from typing import TYPE_CHECKING, Literal

import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from scipy.stats import norm

from optinb.base.figures import amount, many
from optinb.measure.effect import CONTROL, LEAST, Effect, Look, compare_figures
from optinb.measure.final_note import FinalNote
from optinb.measure.outcomes import KNOWN

if TYPE_CHECKING:
    from optinb.measure.assignment import Assignment

Figure = Literal["response", "spend", "orders", "net_spend"]
Advice = Literal["keep", "stop", "wait"]
RARE = 0.001
"""A sample ratio that is less likely than this by chance has another cause."""
EVERYBODY = "all variants"
TENTH = 0.1
"""The rise that a campaign needs to be told from none, to be of use to most."""
FIGURES: dict[Figure, pl.Expr] = {
    "response": pl.col("orders") > 0,
    "spend": pl.col("spend"),
    "orders": pl.col("orders"),
    "net_spend": pl.col("spend") - pl.col("refunds"),
}


class ArmResult(Struct, frozen=True, kw_only=True):
    """What an arm brought, against the control group.

    Attributes:
        arm: the variant, "message" where there is one, or "all variants".
        figures: the share who bought, what was spent by each, the days on which they bought, and what was spent less
            refunds, of everybody who was to get it.
    """

    arm: str
    figures: Mapping[Figure, Effect]

    def added(self, figure: Figure) -> tuple[float, float, float]:
        """What all of the arm's customers did more of a figure, such as buyers or revenue: estimate, low and high.

        Args:
            figure: of which.
        """
        effect = self.figures[figure]
        return effect.estimate * effect.customers, effect.low * effect.customers, effect.high * effect.customers

    @property
    def advice(self) -> Advice:
        """Whether to keep it, to stop it, or to wait until more is known: by those who bought.

        By one figure alone, since of several one is found by luck sooner.
        """
        bought = self.figures["response"]
        return "keep" if bought.low > 0 else "stop" if bought.high < 0 else "wait"


class CampaignResult(Struct, frozen=True, kw_only=True):
    """What a campaign, or one night of it, brought.

    Attributes:
        campaign: its name.
        currency: of amounts.
        days: that are measured from each customer's message on.
        nights: those that are measured.
        measured_until: how far the delivered tables tell of purchases (UTC, without a zone); None where none did.
        final_on: when the last customer's window ends (UTC, without a zone); None where nobody belongs to the test.
        customers: how many people each arm has, the control group among them.
        arms: each against the control group; with variants all of them together come first.
        sample_ratio_p: the chance of a control group as far from its planned share.
        contaminated: how many were on both sides, in different nights.
        problem: why no figure is shown; empty where some are.
        forgotten: how many of the customers were forgotten since; they stay counted, and what they bought doesn't.
        final: what it said when it became final; None where nobody noted that.
        final_unknown: why what was noted of it isn't known; empty where it is, or nothing was.
    """

    campaign: str
    currency: str
    days: int
    nights: tuple[date, ...]
    measured_until: datetime | None
    final_on: datetime | None
    customers: Mapping[str, int]
    arms: tuple[ArmResult, ...] = ()
    sample_ratio_p: float = 1.0
    contaminated: int = 0
    problem: str = ""
    forgotten: int = 0
    final: FinalNote | None = None
    final_unknown: str = ""

    @property
    def is_final(self) -> bool:
        """Whether every window is over, and the tables tell of all of it."""
        ends, told = self.final_on, self.measured_until
        return ends is not None and told is not None and told >= ends

    @property
    def held_out(self) -> int:
        """How many people were held out."""
        return self.customers.get(CONTROL, 0)

    @property
    def assigned(self) -> int:
        """How many people were to get it."""
        return sum(self.customers.values()) - self.held_out

    @property
    def is_doubtful(self) -> bool:
        """Whether something else than chance made the arms."""
        return self.sample_ratio_p < RARE

    @property
    def advice(self) -> Advice | None:
        """Whether to keep it, to stop it, or to wait; None where nothing, or nothing to be relied on, is known."""
        return self.arms[0].advice if self.arms and not self.problem and not self.is_doubtful else None

    def frame(self) -> pl.DataFrame:
        """A row for each arm and figure, with the columns of `AllResults.frame`."""
        return frame_of([self])

    def brought(self) -> str:
        """What all arms together brought, with its interval, in words."""
        when = "" if self.is_final else " so far"
        buyers, revenue = (self.arms[0].added(figure) for figure in ("response", "spend"))
        return (
            f"{_between(buyers, 'buyer')} and {_between(revenue, self.currency, money=True)} more{when} than without it"
        )

    def sentence(self) -> str:
        """What to do, in words."""
        if self.problem:
            return f"no result: {self.problem}"
        whole = self.arms[0]
        if self.is_doubtful:
            return (
                f"don't decide by this: {many(self.held_out, 'customer')} held out are another share than was planned, "
                "by more than chance; customers were left out or merged after they had been drawn"
            )
        told = self.brought()
        match whole.advice:
            case "keep":
                return f"keep it: {told}"
            case "stop":
                return f"stop it: {told}"
            case "wait":
                return f"not told yet: {told}; {self._what_it_takes()}"

    def _what_it_takes(self) -> str:
        effect = self.arms[0].figures["response"]
        needed = customers_for(effect, TENTH * effect.control_mean)
        some = effect.customers + effect.control_customers
        if needed is None:
            return "hardly anybody of the control group bought, so that nobody can say what it would take"
        if needed <= some:
            return "a rise by a tenth would have been seen"
        return f"to see a rise by a tenth takes about {_rounded(needed - some):,} customers more"


def customers_for(effect: Effect, rise: float, *, power: float = 0.8) -> int | None:
    """How many customers it takes to tell a rise from none, by the width that the interval has with these.

    Args:
        effect: with its interval of 95 %.
        rise: in the figure's unit.
        power: the chance to tell it.

    Returns:
        in all arms; None where nothing varies, or no rise is given.
    """
    half = (effect.high - effect.low) / 2
    if rise <= 0 or not 0 < half < inf:
        return None
    wider = 1 + float(norm.ppf(power)) / float(norm.isf(0.025))
    return ceil((effect.customers + effect.control_customers) * (wider * half / rise) ** 2)


def result_of(
    campaign: str,
    assignment: Assignment,
    outcomes: pl.DataFrame,
    *,
    measured_until: datetime | None,
    days: int,
    currency: str,
    planned: Mapping[str, float],
    seed: int,
) -> CampaignResult:
    """What a campaign brought, from what everybody did.

    While windows are open, the intervals are those of nightly looks, which hold at all of them together.

    Args:
        campaign: its name.
        assignment: who belongs to its test.
        outcomes: what they did, with OUTCOMES.
        measured_until: how far the tables tell of purchases (UTC, without a zone); None where none did.
        days: that are measured from the send on.
        currency: of amounts.
        planned: the share of each arm, the control group among them, that was planned; 0 to 1.
        seed: of the draws.
    """
    counts = {str(arm): int(count) for arm, count in outcomes["arm"].value_counts(sort=True).iter_rows()}
    known = CampaignResult(
        campaign=campaign,
        currency=currency,
        days=days,
        nights=assignment.nights,
        measured_until=measured_until,
        final_on=assignment.until,
        customers=counts,
        contaminated=assignment.contaminated,
        forgotten=assignment.forgotten,
    )
    if problem := _problem(known, outcomes):
        return replace(known, problem=problem)
    variants = sorted(counts.keys() - {CONTROL})
    arms: list[tuple[str, Sequence[str]]] = [(name, [name]) for name in variants]
    if len(variants) > 1:
        arms.insert(0, (EVERYBODY, variants))
    look = _look(known, outcomes)
    results = tuple(ArmResult(arm=name, figures=_figures(outcomes, of, planned, seed, look)) for name, of in arms)
    ratio = results[0].figures["response"].sample_ratio_p
    return replace(known, arms=results, sample_ratio_p=ratio)


def _problem(known: CampaignResult, outcomes: pl.DataFrame) -> str:
    """Why nothing can be said."""
    if not known.customers:
        return "nothing of it has gone out yet"
    held_out = known.customers.get(CONTROL, 0)
    if not held_out:
        return "nobody was held out, so that there is nobody to compare with; give it a control group"
    if held_out < LEAST or outcomes.height - held_out < LEAST:
        return f"{many(held_out, 'customer')} in the control group of {outcomes.height:,} are too few to compare"
    if known.measured_until is None or (outcomes["since"] >= known.measured_until).all():
        return "no table that was delivered so far tells of purchases after it was sent"
    return ""


def _look(known: CampaignResult, outcomes: pl.DataFrame) -> Look:
    """Which of the nightly looks at an open window this is."""
    first = outcomes["since"].min()
    told, ends = known.measured_until, known.final_on
    if known.is_final or ends is None or told is None or not isinstance(first, datetime):
        return Look(1, 1)
    of = max(2, (ends - first).days)
    return Look(min(of - 1, max(1, (told - first).days)), of)


def _figures(
    outcomes: pl.DataFrame, arms: Sequence[str], planned: Mapping[str, float], seed: int, look: Look
) -> dict[Figure, Effect]:
    """The figures of some arms together, against the control group."""
    rows = outcomes.filter(pl.col("arm").is_in([*arms, CONTROL]))
    found = rows.select(**{name: expr.cast(pl.Float64) for name, expr in FIGURES.items()})
    effects = compare_figures(
        (rows["arm"] != CONTROL).to_numpy(),
        {name: found[name].to_numpy() for name in FIGURES},
        rows.select(pl.col(KNOWN).cast(pl.Float64)).to_numpy(),
        seed=seed,
        control_share=planned[CONTROL] / (planned[CONTROL] + sum(planned.get(arm, 0.0) for arm in arms)),
        look=look,
    )
    return {name: effects[name] for name in FIGURES}


def _between(of: tuple[float, float, float], unit: str, *, money: bool = False) -> str:
    """An estimate with its interval, in words."""
    said = [("–" if isinf(one) else amount(one) if money else f"{round(one):,}") for one in of]
    named = unit if money or said[0] == "1" else f"{unit}s"
    return f"{said[0]} {named} ({said[1]} to {said[2]})"


def _rounded(number: int) -> int:
    """With two digits that count: nobody knows more of it."""
    step = 10 ** max(0, len(str(number)) - 2)
    return ceil(number / step) * step


def frame_of(results: Iterable[CampaignResult]) -> pl.DataFrame:
    """A row for each result, arm and figure, with the columns of `AllResults.frame`."""
    rows = [
        (
            one.campaign,
            one.nights[0] if len(one.nights) == 1 else None,
            figure,
            arm.arm,
            effect.estimate,
            *(end if isfinite(end) else None for end in (effect.low, effect.high)),
            effect.p,
            effect.customers,
            effect.control_customers,
            one.is_final,
            None if one.advice is None else arm.advice,
        )
        for one in results
        for arm in one.arms
        for figure, effect in arm.figures.items()
    ]
    schema = {
        "campaign": pl.String,
        "night": pl.Date,
        "figure": pl.String,
        "arm": pl.String,
        **dict.fromkeys(("estimate", "low", "high", "p"), pl.Float64),
        **dict.fromkeys(("customers", "control_customers"), pl.Int64),
        "is_final": pl.Boolean,
        "advice": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
