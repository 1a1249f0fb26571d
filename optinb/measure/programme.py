"""What all campaigns together brought in a period: everybody against the lasting control group. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from math import ceil, inf, isfinite, log10, sqrt
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from scipy.stats import false_discovery_control, norm

from optinb.base.figures import many, share
from optinb.measure.arms import MEANS, ArmResult, Figure, figures_of
from optinb.measure.doubts import RARE
from optinb.measure.effect import CONTROL, LEAST, Effect, Look
from optinb.measure.outcomes import ASSIGNED
from optinb.measure.result_words import TENTH

if TYPE_CHECKING:
    from optinb.measure.lasting_control import Sides
    from optinb.measure.result import CampaignResult

PROGRAMME = "programme"
LUCK = 0.05
"""The share of the campaigns shown as found that may be luck."""
POWERED = 1 + float(norm.ppf(0.8)) / float(norm.isf(0.025))
"""By how much more than half an interval an effect must be, to be told from none four times in five."""
USUAL_SHARE = 0.05


class CampaignPart(Struct, frozen=True, kw_only=True):
    """What one campaign added in the period, against its own control group.

    Attributes:
        campaign: its name.
        customers: who were to get it.
        whole: everybody of them against its control group; None where no result is shown.
        is_final: whether everything that it is measured by has been delivered.
        problem: why no result is shown.
        luck: the share of the campaigns shown as found that would be luck, were this the weakest of them (Benjamini and
            Hochberg, "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57, 1995); None
            of one that isn't final.
    """

    campaign: str
    customers: int = 0
    whole: ArmResult | None = None
    is_final: bool = False
    problem: str = ""
    luck: float | None = None

    @property
    def is_found(self) -> bool:
        """Whether it is told from luck, together with all campaigns of the period."""
        return self.luck is not None and self.luck <= LUCK

    def told(self) -> str:
        """What can be told of it, in two words."""
        if self.whole is None or not self.is_final:
            return "so far" if self.whole else "no result"
        if not self.is_found:
            return "not told"
        return "more buyers" if self.whole.figures["response"].estimate > 0 else "fewer buyers"


class Programme(Struct, frozen=True, kw_only=True):
    """What all campaigns together brought in a period.

    Attributes:
        since: its first day, in the workspace's zone.
        until: its last day.
        currency: of amounts.
        version: of the tables that say so; None before the first import.
        computed_at: when they were asked (UTC).
        measured_until: how far they tell of purchases (UTC, without a zone); None where none did.
        is_final: whether they tell of all of the period.
        share: of all customers that the lasting control group is, by the settings.
        customers: how many people of each side are compared.
        figures: of each side, for each person; empty where nothing is shown.
        received: how many of the lasting control group got a message all the same.
        merged: people who are left out, since they were drawn under several ids.
        campaigns: those of the period, what added most revenue first.
        problem: why no figure is shown, and what to do; empty where some are.
    """

    since: date
    until: date
    currency: str
    version: int | None
    computed_at: datetime
    measured_until: datetime | None = None
    is_final: bool = False
    share: float = 0.0
    customers: Mapping[str, int] = {}
    figures: Mapping[Figure, Effect] = {}
    received: int = 0
    merged: int = 0
    campaigns: tuple[CampaignPart, ...] = ()
    problem: str = ""

    @property
    def whole(self) -> ArmResult | None:
        """Everybody against the lasting control group; None where nothing is shown."""
        return ArmResult(arm=PROGRAMME, figures=self.figures) if self.figures else None

    @property
    def days(self) -> int:
        """Of the period."""
        return (self.until - self.since).days + 1

    @property
    def found(self) -> tuple[CampaignPart, ...]:
        """The campaigns that are told from luck."""
        return tuple(part for part in self.campaigns if part.is_found)

    @property
    def is_doubtful(self) -> bool:
        """Whether something else than chance made the sides."""
        return bool(self.figures) and self.figures["response"].sample_ratio_p < RARE

    @property
    def is_told(self) -> bool:
        """Whether the buyers that the programme added are told from none."""
        return bool(self.figures) and not self.figures["response"].low <= 0 <= self.figures["response"].high

    def period(self) -> str:
        """The period in words, such as "1 June to 31 August 2026"."""
        year = "" if self.since.year == self.until.year else f" {self.since.year}"
        return f"{self.since.day} {self.since:%B}{year} to {self.until.day} {self.until:%B %Y}"

    def sentence(self) -> str:
        """What it brought, in one sentence."""
        if self.whole is None:
            return f"No result for {self.period()}: {self.problem}"
        if self.is_doubtful:
            return (
                f"Don't decide by {self.period()}: {many(self.customers[CONTROL], 'person', 'people')} of the lasting "
                f"control group are another share than {share(self.share)}, by more than chance; look whether people "
                "were merged or left out after they had been drawn"
            )
        so_far = "" if self.is_final else "so far "
        buyers = in_words(self.whole.added("response"), "buyers")
        revenue = in_words(self.whole.added("spend"), self.currency)
        told = f"the programme {so_far}brought {buyers} and {revenue} more than nothing would have"
        if self.is_told:
            return f"From {self.period()} {told}"
        return f"From {self.period()} {told}; whether it brought any buyer can't be told yet: {self.what_it_takes()}"

    def what_it_takes(self) -> str:
        """What could have been seen, and what it takes to see a rise of the buyers by a tenth."""
        bought = self.figures["response"]
        rise = rise_seen(bought)
        if rise is None:
            return "hardly anybody of the lasting control group bought, so that nobody can say what it would take"
        if rise <= TENTH:
            return f"a rise of the buyers by {share(rise)} would have been seen in four periods of five"
        longer = f"a period about {ceil((rise / TENTH) ** 2)} times as long"
        larger = share_for(rise, self.share)
        either = f"[policy] global_control = {larger:g} instead of {self.share:g}, or {longer}" if larger else longer
        return f"only a rise of the buyers by {share(rise, decimals=0)} would have been seen; a tenth takes {either}"

    def share_of(self, part: CampaignPart) -> float | None:
        """What share of the programme's added revenue a campaign's is; None unless that is told from nothing.

        Args:
            part: the campaign.
        """
        return None if part.whole is None else self._share_of(part.whole.added("spend")[0])

    def other(self) -> float | None:
        """The revenue that the programme added beyond the sum of its campaigns; None where it isn't known."""
        if self.whole is None:
            return None
        return self.whole.added("spend")[0] - sum(p.whole.added("spend")[0] for p in self.campaigns if p.whole)

    def other_share(self) -> float | None:
        """What share of the programme's added revenue that is; None unless it is told from nothing."""
        other = self.other()
        return None if other is None else self._share_of(other)

    def _share_of(self, revenue: float) -> float | None:
        if self.whole is None or self.figures["spend"].low <= 0:
            return None
        return revenue / self.whole.added("spend")[0]

    def luck(self) -> str:
        """How many campaigns are found, and how many of them are likely luck."""
        if not self.found:
            return "No campaign alone can be told from luck" if self.campaigns else "No campaign went out"
        few = len(self.found) * max(part.luck or 0.0 for part in self.found)
        lucky = "fewer than 0.1" if few < 0.1 else f"about {few:.1f}"
        many_of = f"{len(self.found)} of {many(len(self.campaigns), 'campaign')}"
        return f"{many_of} alone can be told from luck; of these, {lucky} are likely luck all the same"

    def how(self) -> tuple[str, ...]:
        """How it was computed, in a few sentences, and whoever is not as they should be."""
        if self.whole is None:
            return ()
        everybody, held_out = (many(self.customers[side], "person", "people") for side in (PROGRAMME, CONTROL))
        as_far = "" if self.is_final else ", as far as purchases are delivered"
        first = (
            f"Everybody who was a customer before the period, {everybody}, is compared with the lasting control group, "
            f"{held_out}, whom a hash of their ids chose{as_far}"
        )
        second = (
            "Each difference is adjusted by purchases of the year before any message, and its interval holds the truth "
            "19 times in 20, however long the tail of spend is"
        )
        third = (
            "A campaign's part is that of the people who were drawn for it in the period and never before: of others, "
            "those who got it and its control group may not be alike any more"
        )
        told = [first, second, *([third] if self.campaigns else [])]
        if self.received:
            said = many(self.received, "person", "people")
            told.append(
                f"{said} of the lasting control group got a message all the same, so that the programme brought rather "
                "more than is said"
            )
        if self.merged:
            said = many(self.merged, "person is", "people are")
            told.append(f"{said} left out: their ids were merged after each had been drawn")
        return tuple(told)


def programme_of(
    known: Programme, sides: Sides | None, outcomes: pl.DataFrame | None, parts: Sequence[CampaignPart], *, seed: int
) -> Programme:
    """What the programme brought, from what everybody did.

    Args:
        known: the period, and what is known of it already.
        sides: who is compared; None where that isn't known.
        outcomes: with OUTCOMES, what they did; None where nothing tells of it.
        parts: of the campaigns of the period.
        seed: of the draws.
    """
    known = replace(known, campaigns=in_order(parts))
    if known.problem or sides is None or outcomes is None:
        return known
    held_out = int((outcomes["arm"] == CONTROL).sum())
    counts = {PROGRAMME: outcomes.height - held_out, CONTROL: held_out}
    known = replace(known, customers=counts, merged=sides.merged)
    if problem := _too_few(known, outcomes):
        return replace(known, problem=problem)
    figures = figures_of(
        outcomes,
        [PROGRAMME],
        planned={CONTROL: known.share, PROGRAMME: 1 - known.share},
        seed=seed,
        look=_look(known, outcomes),
        only=tuple(MEANS),
    )
    return replace(known, figures=figures)


def assigned(sides: Sides, since: datetime, until: datetime) -> pl.DataFrame:
    """Everybody who is compared, with ASSIGNED; times in UTC, without a zone."""
    arm = pl.when("held_out").then(pl.lit(CONTROL)).otherwise(pl.lit(PROGRAMME))
    begins, ends = pl.lit(since, pl.Datetime("us")), pl.lit(until, pl.Datetime("us"))
    return sides.people.select("person", arm=arm, since=begins, until=ends).select(ASSIGNED.names())


def part_of(result: CampaignResult) -> CampaignPart:
    """What a campaign added in the period."""
    problem = result.problem
    if not problem and result.is_doubtful:
        problem = "its control group is another share than was planned, by more than chance"
    customers = sum(count for arm, count in result.customers.items() if arm != CONTROL)
    return CampaignPart(
        campaign=result.campaign,
        customers=customers,
        whole=None if problem else result.arms[0],
        is_final=result.is_final,
        problem=problem,
    )


def in_order(parts: Sequence[CampaignPart]) -> tuple[CampaignPart, ...]:
    """The campaigns by the revenue that they added, each final one with how likely it is luck beside the others."""
    final = [part for part in parts if part.whole is not None and part.is_final]
    told = false_discovery_control([p.whole.figures["response"].p for p in final if p.whole]) if final else []
    luck = {part.campaign: float(one) for part, one in zip(final, told, strict=True)}
    known = (replace(part, luck=luck.get(part.campaign)) for part in parts)
    return tuple(sorted(known, key=lambda p: (-p.whole.added("spend")[0] if p.whole else inf, p.campaign)))


def rise_seen(bought: Effect) -> float | None:
    """The rise of the buyers that would be told from none four times in five; None where nothing varies."""
    half = (bought.high - bought.low) / 2
    return POWERED * half / bought.control_mean if bought.control_mean > 0 and 0 < half < inf else None


def share_for(rise: float, now: float) -> float | None:
    """The share of a lasting control group that tells a rise by a tenth where one tells another; None where none does.

    Args:
        rise: that the share of now tells.
        now: 0 to 1.
    """
    needed = now * (1 - now) * (rise / TENTH) ** 2
    if needed > 0.25:
        return None
    found = (1 - sqrt(1 - 4 * needed)) / 2
    step = 0.01 if found >= 0.02 else 0.001
    return round(ceil(found / step - 1e-9) * step, 3)


def without_group(known: Programme, outcomes: pl.DataFrame) -> str:
    """What to do where there is no lasting control group, and what could be seen with one."""
    do = (
        "there is no lasting control group to compare with: set [policy] global_control = "
        f"{USUAL_SHARE} in optinb.toml; what the programme brings is known from then on"
    )
    people, bought = outcomes.height, float((outcomes["orders"] > 0).mean() or 0.0)  # pyright: ignore[reportArgumentType]
    if not 0 < bought < 1 or people * USUAL_SHARE < LEAST:
        return do
    spread = sqrt(bought * (1 - bought) / (people * USUAL_SHARE * (1 - USUAL_SHARE)))
    rise = POWERED * float(norm.isf(0.025)) * spread / bought
    return (
        f"{do}, and of {many(people, 'customer')}, of whom {share(bought)} bought in these {many(known.days, 'day')}, "
        f"a rise of the buyers by {share(rise)} could be told in as long"
    )


def another_share(night: date, known: Programme) -> str:
    """What to do where the lasting control group was another until a night.

    Args:
        night: the last one of which that is so.
        known: the period.
    """
    was = (
        f"the lasting control group was another on {night} than [policy] global_control = {known.share:g} draws today, "
        "or there was none"
    )
    if night >= known.until:
        return f"{was}; ask of a period that begins after the day on which it was set"
    return f"{was}; ask since {night + timedelta(days=1)}"


def in_words(of: tuple[float, float, float], unit: str = "") -> str:
    """An estimate with its interval, with three digits that count."""
    largest = max((abs(one) for one in of if isfinite(one)), default=0.0)
    step = 10.0 ** max(0, int(log10(largest)) - 2) if largest >= 1 else 1.0
    said = [f"{round(one / step) * step:,.0f}" if isfinite(one) else "–" for one in of]
    said = ["0" if one == "-0" else one for one in said]
    return f"{' '.join([said[0], unit]).strip()} ({said[1]} to {said[2]})"


def _too_few(known: Programme, outcomes: pl.DataFrame) -> str:
    """Why the sides can't be compared, and what to do."""
    if known.share <= 0:
        return without_group(known, outcomes)
    small = min(known.customers.values())
    if small < LEAST:
        return (
            f"{many(known.customers[CONTROL], 'person', 'people')} in the lasting control group of "
            f"{outcomes.height:,} are too few to compare: set a larger [policy] global_control than {known.share:g} in "
            "optinb.toml"
        )
    return ""


def _look(known: Programme, outcomes: pl.DataFrame) -> Look:
    """Which of the nightly looks at a period that is still open this is."""
    begin, told = outcomes["since"][0], known.measured_until
    if known.is_final or told is None:
        return Look(1, 1)
    of = max(2, known.days)
    return Look(min(of - 1, max(1, (told - begin).days)), of)
