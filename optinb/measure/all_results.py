"""What all campaigns that went out brought, the newest first; and how many of those that stand out are luck. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.base.figures import many
from optinb.measure.result import CampaignResult, frame_of

if TYPE_CHECKING:
    import polars as pl

LUCK = 0.05
"""The share of the campaigns that are named as standing out which may be luck."""


class AllResults(Struct, frozen=True, kw_only=True):
    """What each campaign brought over all of its nights.

    Attributes:
        results: of each campaign that went out, the one that went out last first.
    """

    results: tuple[CampaignResult, ...]

    @property
    def compared(self) -> tuple[CampaignResult, ...]:
        """Those that are final and can be relied on."""
        return tuple(one for one in self.results if one.is_final and one.advice is not None)

    @property
    def found(self) -> tuple[CampaignResult, ...]:
        """Those of which it can be told that they help or harm, each looked at alone."""
        return tuple(one for one in self.compared if one.advice != "wait")

    def stands(self) -> tuple[CampaignResult, ...]:
        """Those that were found of which at most one in twenty is luck, by how many were looked at.

        Benjamini and Hochberg (1995), Controlling the false discovery rate, Journal of the Royal Statistical Society B.
        """
        return tuple(one for one, chance in zip(self.compared, self._adjusted(), strict=True) if chance <= LUCK)

    def lucky(self) -> float:
        """How many of those that were found are likely luck, by how many were looked at; at most all of them."""
        chances = (c for one, c in zip(self.compared, self._adjusted(), strict=True) if one.advice != "wait")
        return max(chances, default=0.0) * len(self.found)

    def sentence(self) -> str:
        """How many were found, and how many of these are likely luck, in words."""
        if not self.results:
            return "no campaign has gone out yet"
        told = f"{many(len(self.results), 'campaign')} went out"
        if not self.compared:
            return f"{told}; of none is there a final result yet"
        of = f"{told}; {many(len(self.compared), 'final result')}"
        if not self.found:
            return f"{of}, of which none tells whether its campaign helps or harms"
        few, likely = len(self.found), min(round(self.lucky()), len(self.found))
        some = "hardly any" if not likely else f"about {likely:,}" if likely < few else "maybe all"
        alone = "which may be luck" if likely else "hardly by luck"
        luck = alone if few == 1 else f"{some} of them by luck"
        standing = ", ".join(one.campaign for one in self.stands()) or "none"
        what = f"{few:,} of them to keep or to stop, {luck}"
        return f"{of}, {what}; told beyond luck, by how many were looked at: {standing}"

    def frame(self) -> pl.DataFrame:
        """A row for each campaign, arm and figure.

        Returns:
            a frame with campaign, night (Date; missing where several were measured), figure, arm, estimate, low, high
            (Float64, for each customer; missing where an interval is open), p, customers, control_customers, is_final
            and advice (missing where nothing can be relied on).
        """
        return frame_of(self.results)

    def _adjusted(self) -> list[float]:
        from scipy.stats import false_discovery_control

        chances = [one.arms[0].figures["response"].p for one in self.compared]
        return [float(one) for one in false_discovery_control(chances)] if chances else []
