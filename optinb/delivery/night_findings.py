"""What a night's own receipts and losses show of the template's settings, whatever somebody has stated. Pure."""

from __future__ import annotations

from datetime import timedelta
from math import exp
from typing import TYPE_CHECKING, NamedTuple, assert_never

import polars as pl
from msgspec import UNSET, Struct

from optinb.delivery.confirmation import AgainSeen

if TYPE_CHECKING:
    from optinb.appboy.template_rules import TemplateRules
    from optinb.campaigns.schedule import Clock

RARE, DOUBTFUL = 0.001, 0.05
"""How likely a pattern may be by chance for it to be believed: against what is stated, and beside it."""
PROMPT = timedelta(hours=1)
"""Within this time Appboy has sent what nothing holds back."""
CALM, CALM_AT_BEST_TIMES = timedelta(hours=4), timedelta(hours=14)
"""So long after the last message of a time zone none is left that quiet hours held back: they end for all at once, but
begin at a moment of each customer's own where each has a best time."""
FEW = 5
"""Of fewer customers nothing is concluded that nobody has stated."""
CLEARLY = 0.8
"""A gap is shorter than another one by more than delays if it has this share of it."""
A_WEEK_S = 7 * 86_400.0
"""The longest time that a frequency cap looks back."""


class AgainFindings(Struct, frozen=True, kw_only=True):
    """What a night shows of when a customer may get the template again.

    Attributes:
        seen: against what is stated.
        shortest_s: seconds within which nobody got it again; None where nobody did at all.
    """

    seen: AgainSeen = "nothing"
    shortest_s: float | None = None

    def explains(self, rules: TemplateRules) -> pl.Expr | None:
        """Of each row whether re-eligibility explains its loss; None where it isn't at work.

        Args:
            rules: what is stated of the template.

        Returns:
            An expression of a frame that has `had`, `at_first` and `at_last`.
        """
        match self.seen:
            case "nothing" | "sure":
                return too_soon(None if rules.window is None else rules.window.total_seconds())
            case "longer":
                return too_soon(self.shortest_s)
            case "shorter":
                return None
            case _:
                assert_never(self.seen)


class NightFindings(Struct, frozen=True, kw_only=True):
    """What a night shows of the template; all but `again` and `cap_s` count recipients.

    `got` received it, `got_without_token` of those have no push token by the export; `with_token` have one. Of those
    who hadn't had it, `fresh_got` received it, and of `fresh_lost` nothing that is stated explains the loss. `cap_s`:
    the seconds within which nobody got it who had got any message of the app group, where that shows; None otherwise.
    """

    got: int = 0
    got_without_token: int = 0
    with_token: int = 0
    fresh_got: int = 0
    fresh_lost: int = 0
    again: AgainFindings = AgainFindings()
    cap_s: float | None = None

    @property
    def again_is_sure(self) -> bool:
        """Whether the night bears out that re-eligibility is what keeps the template from those who had it."""
        return self.again.seen in ("sure", "longer")

    @property
    def tokens_are_untold(self) -> bool:
        """Whether the export doesn't tell push tokens: who got a message has one."""
        return self.got_without_token * 2 > self.got

    @property
    def is_elsewhere(self) -> bool:
        """Whether something that nobody has stated keeps the template from most of those who never had it."""
        return self.fresh_lost >= FEW and self.fresh_lost > self.fresh_got


class Pattern(NamedTuple):
    """Who lost a message that came soon after another one, against everybody else, and the chance of that."""

    soon_lost: int
    others_got: int
    others_lost: int
    chance: float


def too_soon(window_s: float | None, had: str = "had") -> pl.Expr | None:
    """Of each row whether its customer had a message less than a window before; None where the window is 0.

    Args:
        window_s: in seconds; None for ever.
        had: the column with the moment of that message.

    Returns:
        True, false, or null where it depends on when their time came.
    """
    if window_s == 0:
        return None
    at = pl.col(had)
    if window_s is None:
        return at.is_not_null()
    soon, late = ((pl.col(end) - at).dt.total_microseconds() < window_s * 1e6 for end in ("at_last", "at_first"))
    return pl.when(at.is_null()).then(pl.lit(False)).when(soon).then(pl.lit(True)).when(~late).then(pl.lit(False))


def with_promptness(known: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """Rows with what can still have held a message back when Appboy was asked.

    Quiet hours hold back all customers of a time zone until one moment, and a speed limit lets messages trickle.
    `is_prompt`: the messages of somebody's zone came within the hour, and nobody got any in the hour before the
    question, so that it was neither. `is_calm`: some of their zone came at whatever time, and none for long since.

    Args:
        known: rows with `is_got`, `last_received`, `asked_at`, `zone` and `at_last`.
        clock: of the campaign's schedule; at a customer's own best time nothing is prompt.

    Returns:
        The rows, in their order.
    """
    has_one_time = clock != "optimal"
    zone = pl.col("zone")
    arrived = pl.when("is_got").then("last_received")
    late = pl.when("is_got").then(pl.col("last_received") - pl.col("at_last")).max().over(zone)
    is_still = pl.col("asked_at") - pl.max_horizontal(arrived.max(), "at_last") >= PROMPT
    since = pl.col("asked_at") - arrived.max().over(zone)
    is_long = since >= (CALM if has_one_time else CALM_AT_BEST_TIMES)
    return known.with_columns(
        is_prompt=(pl.lit(has_one_time) & (late <= PROMPT) & is_still).fill_null(False),
        is_calm=(is_long & is_still).fill_null(False),
    )


def findings_in(known: pl.DataFrame, rules: TemplateRules) -> NightFindings:
    """What the rows of a night show.

    Args:
        known: rows with `is_got`, `is_lost`, `is_asked`, `zone`, `had`, `at_first`, `at_last`, whether the loss
            `is_settled`, and `other`: whether something besides re-eligibility explains it.
        rules: what is stated of the template.

    Returns:
        The counts, and what they say of re-eligibility.
    """
    got = known.filter("is_got")
    judged = _judged(known)
    cap_s = _cap(judged)
    if cap_s is not None:
        judged = judged.filter(pl.col("is_got") | ~_is_within(pl.max_horizontal("had", "other_received"), cap_s))
    again, pattern = _again(judged, rules)
    return NightFindings(
        got=got.height,
        got_without_token=got.filter(~pl.col("has_token")).height,
        with_token=known.filter("has_token").height,
        fresh_got=pattern.others_got,
        fresh_lost=pattern.others_lost,
        again=again,
        cap_s=cap_s,
    )


def _judged(known: pl.DataFrame) -> pl.DataFrame:
    """The rows of whom it is told whether they had the template before, and whose loss nothing else explains."""
    is_lost = pl.col("is_lost") & pl.col("is_settled") & ~pl.col("other").fill_null(False)
    # of somebody who got it, only optinb's own memory tells whether they had had it before
    is_told = pl.col("is_got") & (pl.col("had").is_not_null() | ~pl.col("may_have_had").fill_null(False))
    return known.filter(is_told | is_lost)


def _pattern(judged: pl.DataFrame, soon: pl.Expr) -> Pattern:
    """How those who lost a message soon after another one compare with the others of their time zone.

    By the rule of succession n of m others who lost theirs make the chance of a loss (n + 1) / (m + 2). Where no other
    got it, quiet hours or a limit of the whole zone may be the reason.
    """
    counts = (
        judged.with_columns(soon=soon.fill_null(False))
        .group_by("zone")
        .agg(
            soon_lost=(pl.col("soon") & pl.col("is_lost")).sum().cast(pl.Int64),
            got=(~pl.col("soon") & pl.col("is_got")).sum().cast(pl.Int64),
            lost=(~pl.col("soon") & pl.col("is_lost")).sum().cast(pl.Int64),
        )
    )
    told = counts.filter(pl.col("got") > 0)
    log = (told["soon_lost"] * ((told["lost"] + 1) / (told["got"] + told["lost"] + 2)).log()).sum()
    return Pattern(int(told["soon_lost"].sum()), int(counts["got"].sum()), int(counts["lost"].sum()), exp(log))


def _cap(judged: pl.DataFrame) -> float | None:
    """The seconds after any other message within which nobody got this one, where that is no chance."""
    # what is remembered of an earlier question doesn't tell other messages
    fresh = judged.filter("is_asked", pl.col("had").is_null(), ~pl.col("may_have_had").fill_null(False))
    other = pl.col("other_received")
    shortest = fresh.filter("is_got").select(_gap_s(other).min()).item()
    window = A_WEEK_S if shortest is None else min(shortest, A_WEEK_S)
    found = _pattern(fresh, _is_within(other, window))
    return window if found.soon_lost >= FEW and found.chance < RARE else None


def _again(judged: pl.DataFrame, rules: TemplateRules) -> tuple[AgainFindings, Pattern]:
    had, got = pl.col("had"), judged.filter("is_got")
    real = got.select(((pl.col("last_received") - had).dt.total_microseconds() / 1e6).min()).item()
    # compared with gaps of messages that never arrived, which end when their time came
    shortest = got.select(_gap_s(had).min()).item()
    # those who got it a little later than others, or a little earlier, are no pattern
    shortest = None if shortest is None else shortest * CLEARLY
    window = None if rules.window is None else rules.window.total_seconds()
    found = _pattern(judged, had.is_not_null() if shortest is None else _is_within(had, shortest))
    if real is not None and (window is None or real < window):
        return AgainFindings(seen="longer" if found.chance < RARE else "shorter", shortest_s=shortest), found
    stated = too_soon(window)
    explained = 0 if stated is None else judged.filter("is_lost", stated.fill_null(False)).height
    if explained < found.soon_lost and found.chance < RARE:
        return AgainFindings(seen="longer", shortest_s=shortest), found
    is_sure = found.chance < (RARE if rules.again_after_s is UNSET else DOUBTFUL)
    return AgainFindings(seen="sure" if is_sure else "nothing", shortest_s=shortest), found


def _gap_s(since: pl.Expr) -> pl.Expr:
    return (pl.col("at_last") - since).dt.total_microseconds() / 1e6


def _is_within(since: pl.Expr, window_s: float) -> pl.Expr:
    return (_gap_s(since) < window_s).fill_null(False)
