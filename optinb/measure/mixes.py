"""The mixes of campaigns that learn: found from what earlier nights brought."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from optinb.campaigns.learning import Learned, Learning, Mix, mix_of
from optinb.measure.mixing import learned

if TYPE_CHECKING:
    from optinb.campaigns import Campaign
    from optinb.measure.campaign_tests import CampaignTests
    from optinb.measure.mix_files import MixFiles


class Mixes:
    """Finds the mix of a night, and keeps those that nights go out with."""

    def __init__(self, files: MixFiles, tests: CampaignTests) -> None:
        """Args: `files`: what is kept; `tests`: of the workspace's campaigns."""
        self._files, self._tests = files, tests

    def of(self, campaign: Campaign, night: date) -> Mix | None:
        """The mix of a campaign in a night: the one that is kept, or else the one that would be drawn now.

        Args:
            campaign: the one that learns.
            night: that schedules it.

        Returns:
            None for a campaign whose shares stay.

        Raises:
            StateError: when what is kept can't be read, or doesn't follow from what stands beside it.
        """
        if (learning := campaign.learning) is None:
            return None
        there = self._files.find(campaign.id, night)
        if there is not None and (there.learning, there.start) == (learning, campaign.shares):
            return there
        return mix_of(
            learning,
            campaign.shares,
            self._learned(campaign, learning, night),
            campaign_id=campaign.id,
            night=night,
            winner=self._winner(campaign, learning, night),
        )

    def keep(self, campaign: Campaign, night: date) -> Mix | None:
        """Keeps the mix of a night, before anybody is drawn by it; one that is kept already stays.

        Args:
            campaign: as its approval has it.
            night: that is about to draw.

        Returns:
            as `of`.

        Raises:
            StateError: as for `of`.
        """
        mix = self.of(campaign, night)
        if mix is not None and mix != self._files.find(campaign.id, night):
            self._files.keep(campaign.id, mix)
        return mix

    def _learned(self, campaign: Campaign, learning: Learning, night: date) -> dict[str, Learned]:
        """What is known of each variant, by the nights before one."""
        outcomes, until = self._tests.before(campaign, night)
        return learned(outcomes, learning.figure, measured_until=until)

    def _winner(self, campaign: Campaign, learning: Learning, night: date) -> str | None:
        """Which variant has won in an earlier night, by the same rule and against the same others."""
        mixes, names = self._files.nights(campaign.id), campaign.shares.keys()
        won = [m for one, m in mixes.items() if one < night and m.learning == learning and m.start.keys() == names]
        return won[-1].winner if won else None
