"""What a campaign brought: each figure of each arm against the control group, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from math import isfinite
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.base.figures import day, many
from optinb.measure.arms import EVERYBODY, Advice, ArmResult, figures_of, sides_of
from optinb.measure.breakdown import ResultPart
from optinb.measure.doubts import notes_on, why_doubted, why_withheld
from optinb.measure.effect import CONTROL, FINAL, Look
from optinb.measure.final_note import FinalNote
from optinb.measure.funnel import Funnel
from optinb.measure.offer_words import offer_words
from optinb.measure.over_days import OverDays
from optinb.measure.redeemed import CampaignRedemptions
from optinb.measure.result_words import chance_words, more_or_fewer, what_it_takes

if TYPE_CHECKING:
    import polars as pl

    from optinb.delivery.sampling import ShareTold
    from optinb.measure.assignment import Assignment


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
        planned: the share of each arm that was planned.
        crossed: how many of the control group got it all the same.
        gone: how many left the tables since, or were forgotten; they stay in the count.
        alarm: what is wrong with its template by what arrived; empty where nothing is.
        recurs: whether it will go out again, so that its result is looked at again and again.
        look: which of the nightly looks at its open window this is.
        forgotten: how many of the customers were forgotten since; they stay counted, and what they bought doesn't.
        final: what it said when it became final; None where nobody noted that.
        final_unknown: why what was noted of it isn't known; empty where it is, or nothing was.
        event: the name of the event that is counted; empty where none is.
        by_day: of a campaign of several nights, those whom each was the first to count, once their window is over.
        variants: each against each other one, once it is final.
        parts: what it brought of whom, by what was known before the send; exploratory, once it is final.
        untold: by what it can't be looked at, and why.
        offer: what became of its offer, and what that cost; None without one.
        over_days: what it brought by each day since the message; None where it wasn't looked at, or is withheld.
        funnel: from the target group to the purchases; None where it wasn't looked at, or nothing went out.
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
    planned: Mapping[str, float] = {}
    crossed: int = 0
    gone: int = 0
    alarm: str = ""
    recurs: bool = False
    look: Look = FINAL
    forgotten: int = 0
    final: FinalNote | None = None
    final_unknown: str = ""
    event: str = ""
    by_day: tuple[ResultPart, ...] = ()
    variants: tuple[ResultPart, ...] = ()
    parts: tuple[ResultPart, ...] = ()
    untold: tuple[str, ...] = ()
    offer: CampaignRedemptions | None = None
    over_days: OverDays | None = None
    funnel: Funnel | None = None

    @property
    def is_final(self) -> bool:
        """Whether every window is over, the tables tell of all of it, and no night will change it."""
        return self.is_over and not self.recurs

    @property
    def is_over(self) -> bool:
        """Whether every window so far is over, and the tables tell of all of it."""
        ends, told = self.final_on, self.measured_until
        return ends is not None and told is not None and told >= ends

    @property
    def doubt(self) -> str:
        """Why nothing should be decided by it, with the remedy; empty where it may be."""
        return why_doubted(self.customers, self.planned, self.sample_ratio_p)

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
        return bool(self.doubt)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be known of its figures, a sentence each."""
        if not self.arms:
            return ()
        ends = None if self.is_over else self.final_on
        first = []
        if self.is_over and self.recurs:
            first.append("so far: it goes out again, and intervals are wider until it has ended")
        found = notes_on(self.customers, crossed=self.crossed, gone=self.gone, alarm=self.alarm, ends=ends)
        compared = self.arms[0].figures["response"]
        if (rest := sum(self.customers.values()) - compared.customers - compared.control_customers) > 0:
            first.append(f"{many(rest, 'customer')} of nights that held nobody out aren't compared")
        offer = [offer_words(self.offer, self.arms[0].added("response"))] if self.offer else []
        return (*first, *found, *offer, *self.untold)

    @property
    def advice(self) -> Advice | None:
        """Whether to keep it, to stop it, or to wait; None where nothing, or nothing to be relied on, is known."""
        return self.arms[0].advice if self.arms and not self.problem and not self.is_doubtful else None

    def frame(self) -> pl.DataFrame:
        """A row for each arm and figure, with the columns of `AllResults.frame`."""
        return frame_of([self])

    def brought(self) -> str:
        """What all arms together brought, with its interval, in words."""
        when = "" if self.is_final else ", so far"
        buyers, revenue = (self.arms[0].added(figure) for figure in ("response", "spend"))
        added = f"{more_or_fewer(buyers, 'buyer')} and {more_or_fewer(revenue, self.currency, money=True)}"
        return f"{added} than without it{when}"

    def sentence(self) -> str:
        """What to do, in words."""
        if self.problem:
            return f"no result: {self.problem}"
        if self.doubt:
            return f"don't decide by this: {self.doubt}"
        whole = self.arms[0]
        told = self.brought()
        match whole.advice:
            case "keep":
                return f"keep it: {told}"
            case "stop":
                return f"stop it: {told}"
            case "wait":
                return f"not told yet: {told}; {self._what_it_takes()}"

    def _what_it_takes(self) -> str:
        """What it takes to tell more; while a window is open, every night's look has a chance of its own to be luck."""
        bought, ends = self.arms[0].figures["response"], self.final_on
        a_night = sum(self.customers.values()) / len(self.nights) if self.recurs and self.nights else None
        takes = what_it_takes(bought, a_night=a_night, tail=self.look.tail())
        if self.is_over or ends is None:
            return f"{chance_words(bought)}; {takes}"
        return f"more is told once its last window ends, on {day(ends.date())}" + (f"; {takes}" if self.recurs else "")


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
    recurs: bool = False,
    gone: int = 0,
    stale: str = "",
    alarm: str = "",
    reached: Mapping[str, ShareTold] | None = None,
    event: str = "",
) -> CampaignResult:
    """What a campaign brought, from what everybody did.

    While windows are open, the intervals are those of nightly looks, which hold at all of them together.

    Args:
        campaign: its name.
        assignment: who belongs to its test.
        outcomes: what they did, with OUTCOMES; `active` and `event` beside, where they are known.
        measured_until: how far the tables tell of purchases (UTC, without a zone); None where none did.
        days: that are measured from the send on.
        currency: of amounts.
        planned: the share of each arm, the control group among them, that was planned; 0 to 1.
        seed: of the draws.
        recurs: whether it will go out again.
        gone: how many of them left the tables since, or were forgotten.
        stale: why the tables don't tell of all of its window, though they should.
        alarm: what is wrong with its template.
        reached: of each arm, and of all together, the share whom it reached, where that is known.
        event: the name of the event that `outcomes` tell of.
    """
    counts = {str(arm): int(count) for arm, count in outcomes["arm"].value_counts(sort=True).iter_rows()}
    reached = reached or {}
    problem = why_withheld(
        counts,
        crossed=assignment.crossed,
        newest=measured_until is not None and bool((outcomes["since"] < measured_until).any()),
        stale=stale,
        alarm=alarm,
        reached=reached.get(EVERYBODY),
    )
    known = CampaignResult(
        campaign=campaign,
        currency=currency,
        days=days,
        nights=assignment.nights,
        measured_until=measured_until,
        final_on=assignment.until,
        customers=counts,
        contaminated=assignment.contaminated,
        problem=problem,
        planned=planned,
        crossed=assignment.crossed,
        gone=gone,
        alarm=alarm,
        recurs=recurs,
        forgotten=assignment.forgotten,
        event=event,
    )
    if problem:
        return known
    look, sides = _look(known, outcomes), sides_of(counts)
    results = tuple(
        ArmResult(
            arm=name,
            figures=figures_of(outcomes, of, planned=planned, seed=seed, look=look),
            reached=reached.get(name if EVERYBODY in sides else EVERYBODY),
        )
        for name, of in sides.items()
    )
    ratio = results[0].figures["response"].sample_ratio_p
    return replace(known, arms=results, sample_ratio_p=ratio, look=look)


def _look(known: CampaignResult, outcomes: pl.DataFrame) -> Look:
    """Which of the nightly looks at an open window this is; of what goes out again none is the last."""
    first = outcomes["since"].min()
    told, ends = known.measured_until, known.final_on
    if known.is_final or ends is None or told is None or not isinstance(first, datetime):
        return FINAL
    of = max(2, (max(ends, told) - first).days)
    return Look(min(of - 1, max(1, (told - first).days)), of)


def frame_of(results: Iterable[CampaignResult]) -> pl.DataFrame:
    """A row for each result, arm and figure, with the columns of `AllResults.frame`."""
    import polars as pl

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
