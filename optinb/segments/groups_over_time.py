"""What became of saved groups, as it was noted night by night: what `ws.groups` tells of their past."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Protocol

from optinb.base.context import as_day
from optinb.errors import CampaignError
from optinb.segments.group_nights import GroupNights

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from optinb.base.context import Context
    from optinb.segments.group_history import GroupHistory


class SavedGroup(Protocol):
    """A group as it is saved."""

    @property
    def name(self) -> str:
        """As it was written."""
        ...

    @property
    def sentence(self) -> str:
        """Its rule in words."""
        ...


class GroupsOverTime:
    """Reads the nights of saved groups."""

    def __init__(self, context: Context, *, get: Callable[[str], SavedGroup]) -> None:
        """Args: `get` finds a saved group, and raises CampaignError for one that isn't known."""
        self._get = get
        self._nights = GroupNights(context.root)
        self._currency = context.settings.workspace.currency

    def history(self, name: str) -> GroupHistory:
        """A saved group over the nights that ran: size, who came and went, value, spend, stages, and what is unusual.

        Args:
            name: without regard to case; one that was saved once and isn't any more keeps its nights.

        Raises:
            CampaignError: with the nearest name, for a group that isn't known.
            StateError: for a file of its history that can't be read.
        """
        from optinb.segments.group_forecast import looked_at
        from optinb.segments.group_history import GroupHistory

        name = name.strip()
        nights = looked_at(self._nights.figures(name))
        try:
            saved = self._get(name)
        except CampaignError:
            if not nights:
                raise
            saved = None
        return GroupHistory(
            name=saved.name if saved else nights[-1].name,
            sentence=saved.sentence if saved else "",
            currency=self._currency,
            nights=nights,
        )

    def moved(self, name: str, *, since: date | str | None = None, until: date | str | None = None) -> pl.DataFrame:
        """Who joined a saved group and who left it, night by night.

        Args:
            name: as of `history`.
            since: the first night, as a date or as text such as "2026-11-20"; from the beginning when left out.
            until: the last night, which is included; to the newest when left out.

        Returns:
            a frame with night (Date), customer_id and change (text: joined or left), stage_before and stage_after
            (text, of the night recorded before and of this one), and value (Float64, the future value; of those who
            left as of the night before). Who only got another id isn't in it.

        Raises:
            CampaignError: with the nearest name, for a group that isn't known.
            StateError: for a file of its history that can't be read.
            UsageError: for what is no date.
        """
        import polars as pl

        named = self.history(name).name
        rows = self._nights.moved(named, as_day(since or date.min), as_day(until or date.max))
        people = rows.with_columns(pl.col("change").cast(pl.String))
        return people.filter(pl.col("change").is_in(["joined", "left"])).sort("night", "change", "customer_id")

    def members_on(self, name: str, night: date | str) -> pl.DataFrame:
        """Who was in a saved group on a night that ran, by the rule of then; who was forgotten since isn't among them.

        Args:
            name: as of `history`.
            night: a date, or text such as "2026-11-20".

        Returns:
            a frame with customer_id (text), sorted.

        Raises:
            CampaignError: with the nearest name, for a group that isn't known.
            StateError: for a file of its history that can't be read.
            UsageError: for a night that isn't kept, or what is no date.
        """
        return self._nights.members(self.history(name).name, as_day(night))
