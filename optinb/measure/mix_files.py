"""The mixes that nights were drawn by: `mixes/CAMPAIGN/NIGHT.json`, each with all that its shares follow from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec
import polars as pl

from optinb.base.files import write_atomically
from optinb.campaigns.learning import Mix, follows
from optinb.errors import StateError

FOLDER = "mixes"
GIVEN = "share of {}"
"""The column of a variant's share in the night of each customer, among those who got the message; or of the control
group's, among all."""


class MixFiles:
    """Reads and writes them. Whoever looks later goes by the file, since late purchases change what would be drawn."""

    def __init__(self, root: Path) -> None:
        """Args: `root`: of the workspace."""
        self._folder = root / FOLDER

    def find(self, campaign_id: str, night: date) -> Mix | None:
        """The mix that a night was drawn by; None where none is kept.

        Args:
            campaign_id: 12 hexadecimal digits.
            night: that scheduled it.

        Raises:
            StateError: when the file can't be read, or its shares don't follow from what stands beside them.
        """
        path = self._path(campaign_id, night)
        remedy = f"put the file back from a backup; without it the night of {night} can't be told of"
        try:
            mix = msgspec.json.decode(path.read_bytes(), type=Mix)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(f"the mix in {path} can't be read ({error}); {remedy}") from error
        if not follows(mix, campaign_id=campaign_id, night=night):
            raise StateError(f"the shares in {path} don't follow from the figures beside them; {remedy}")
        return mix

    def nights(self, campaign_id: str) -> dict[date, Mix]:
        """All mixes of a campaign, the first night first; arguments and errors as of `find`."""
        # what a desktop or a file sync has put beside them is no night
        files = sorted((self._folder / campaign_id).glob("????-??-??.json"))
        nights = (date.fromisoformat(file.stem) for file in files)
        found = ((night, self.find(campaign_id, night)) for night in nights)
        return {night: mix for night, mix in found if mix is not None}

    def keep(self, campaign_id: str, mix: Mix) -> None:
        """Writes the mix of a night.

        Args:
            campaign_id: 12 hexadecimal digits.
            mix: of the night.
        """
        path = self._path(campaign_id, mix.night)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.format(msgspec.json.encode(mix), indent=1))

    def _path(self, campaign_id: str, night: date) -> Path:
        return self._folder / campaign_id / f"{night}.json"


def with_given(
    outcomes: pl.DataFrame, nights: pl.DataFrame, given: Mapping[date, Mapping[str, float]], today: Mapping[str, float]
) -> pl.DataFrame:
    """What everybody did, with the shares of the first night that they belong to.

    Args:
        outcomes: with OUTCOMES.
        nights: person and night (Date), a row or more for each person.
        given: of each night the share of the control group, and that of each variant among those who got it.
        today: the same of the campaign as it is now, which nights have that aren't known.

    Returns:
        `outcomes` with a column for each of them, named by GIVEN; as it is where all nights had today's.
    """
    if all(shares == today for shares in given.values()):
        return outcomes
    first = nights.group_by("person").agg(pl.col("night").min())
    rows = outcomes.join(first, on="person", how="left", maintain_order="left")
    columns: list[pl.Expr] = []
    for name in dict.fromkeys([*today, *(name for shares in given.values() for name in shares)]):
        told = {night: shares.get(name, 0.0) for night, shares in given.items()}
        share = pl.col("night").replace_strict(told, default=today.get(name, 0.0), return_dtype=pl.Float64)
        columns.append(share.alias(GIVEN.format(name)))
    return rows.with_columns(columns).drop("night")
