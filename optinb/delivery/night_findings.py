"""What a night's own receipts and losses show of the template's settings, whatever somebody has stated. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

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


class AgainFindings(Struct, frozen=True, kw_only=True):
    """What a night shows of when a customer may get the template again.

    Attributes:
        seen: against what is stated.
        shortest_s: seconds after which somebody got it again, the shortest; None where nobody did.
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
    """What a night shows of the template; all but `again` count recipients.

    `got` received it, `got_without_token` of those have no push token by the export; `with_token` have one.
    """

    got: int = 0
    got_without_token: int = 0
    with_token: int = 0
    again: AgainFindings = AgainFindings()

    @property
    def again_is_sure(self) -> bool:
        """Whether the night bears out that re-eligibility is what keeps the template from those who had it."""
        return self.again.seen in ("sure", "longer")

    @property
    def tokens_are_untold(self) -> bool:
        """Whether the export doesn't tell push tokens: who got a message has one."""
        return self.got_without_token * 2 > self.got


def too_soon(window_s: float | None) -> pl.Expr | None:
    """Of each row whether its customer had the template less than a window before; None where the window is 0.

    Args:
        window_s: in seconds; None for ever.

    Returns:
        True, false, or null where it depends on when their time came.
    """
    if window_s == 0:
        return None
    had = pl.col("had")
    if window_s is None:
        return had.is_not_null()
    soon, late = ((pl.col(at) - had).dt.total_microseconds() < window_s * 1e6 for at in ("at_last", "at_first"))
    return pl.when(had.is_null()).then(pl.lit(False)).when(soon).then(pl.lit(True)).when(~late).then(pl.lit(False))


def with_promptness(known: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    """Rows with `is_prompt`: whether nothing that was still to come held a message back when Appboy was asked.

    Quiet hours hold back all customers of a time zone, and a speed limit lets messages trickle. Where the messages of
    somebody's zone came within the hour, and an hour went by since without another one, it was neither.

    Args:
        known: rows with `is_got`, `last_received`, `asked_at`, `time_zone` and `at_last`.
        clock: of the campaign's schedule; at a customer's own best time nothing is prompt.

    Returns:
        The rows, in their order.
    """
    if clock == "optimal":
        return known.with_columns(is_prompt=pl.lit(False))
    zone = pl.col("time_zone").fill_null("")
    late = (pl.col("last_received") - pl.col("at_last")).filter(pl.col("is_got")).max().over(zone)
    waited = pl.col("asked_at") - pl.col("at_last") >= 2 * PROMPT
    return known.with_columns(is_prompt=((late <= PROMPT) & waited).fill_null(False))


def findings_in(known: pl.DataFrame, rules: TemplateRules) -> NightFindings:
    """What the rows of a night show.

    Args:
        known: rows with `is_got`, `is_lost`, `had`, `at_first`, `at_last`, whether the loss `is_settled`, and
            `other`: whether something besides re-eligibility explains it.
        rules: what is stated of the template.

    Returns:
        The counts, and what they say of re-eligibility.
    """
    got = known.filter("is_got")
    return NightFindings(
        got=got.height,
        got_without_token=got.filter(~pl.col("has_token")).height,
        with_token=known.filter("has_token").height,
        again=_again(known, rules),
    )


def _again(known: pl.DataFrame, rules: TemplateRules) -> AgainFindings:
    gap = (pl.col("last_received") - pl.col("had")).dt.total_microseconds() / 1e6
    shortest = known.filter("is_got").select(gap.min()).item()
    window = None if rules.window is None else rules.window.total_seconds()
    is_shorter = shortest is not None and (window is None or shortest < window)
    soon = too_soon(shortest)
    assert soon is not None  # nobody gets it twice in one moment
    is_judged = pl.col("is_lost") & pl.col("is_settled") & ~pl.col("other").fill_null(False)
    # of somebody who got it, only optinb's own memory tells whether they had had it before
    is_told = pl.col("is_got") & (pl.col("had").is_not_null() | ~pl.col("may_have_had").fill_null(False))
    judged = known.filter(is_told | is_judged)
    had_lost = judged.filter("is_lost", soon.fill_null(False)).height
    fresh = judged.filter(~soon.fill_null(False))
    fresh_got, fresh_lost = (fresh.filter(pl.col(name)).height for name in ("is_got", "is_lost"))
    # the rule of succession: how likely the loss of so many would be if they were like everybody else
    chance = ((fresh_lost + 1) / (fresh_got + fresh_lost + 2)) ** had_lost
    if is_shorter:
        is_at_work = fresh_got > 0 and chance < RARE
        return AgainFindings(seen="longer" if is_at_work else "shorter", shortest_s=shortest)
    stated = too_soon(window)
    unstated_lost = 0 if stated is None else judged.filter("is_lost", stated.fill_null(False)).height
    if fresh_got > 0 and unstated_lost < had_lost and chance < RARE:
        return AgainFindings(seen="longer", shortest_s=shortest)
    is_sure = fresh_got > 0 and chance < (RARE if rules.again_after_s is UNSET else DOUBTFUL)
    return AgainFindings(seen="sure" if is_sure else "nothing", shortest_s=shortest)
