"""Pools of single-use promotion codes of a workspace: imported from files, given out by the night."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns import Campaign, check_codes, read_codes
from optinb.delivery.journal import CodePool
from optinb.errors import CampaignError
from optinb.warehouse.delimited import name_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.base.context import Context
    from optinb.delivery.journal.codes import CodeStore


class CodesLeft(Struct, frozen=True, kw_only=True):
    """How a campaign's pool suffices for its next night.

    Attributes:
        pool: its name.
        left: how many codes nobody has yet.
        needed: how many codes the campaign needs.
    """

    pool: str
    left: int
    needed: int

    @property
    def missing(self) -> int:
        """How many are to be imported before that night."""
        return max(0, self.needed - self.left)


class Codes:
    """`ws.codes`: import and list promotion codes. Who gets which is decided when a night freezes its plan."""

    def __init__(self, context: Context, store: CodeStore) -> None:
        self._context, self._store = context, store

    def add(
        self,
        pool: str,
        source: str | Path | Iterable[str],
        *,
        column: str | None = None,
        header: bool | None = None,
    ) -> CodePool:
        """Adds single-use codes to the pool of this name, which campaigns take from with `codes` of their offer.

        Args:
            pool: the name, 1 to 120 printable characters; known without regard to case.
            source: codes, or the path of a file with a code a line: text, CSV, NDJSON or Parquet, as in deliveries.
            column: of a file with several columns, the name of the one with the codes, or its number from 1.
            header: whether the first line is a header. It needn't be said where the line is certainly one, such as
                `promo_code`, or one of the codes; it must be where the line is unlike all others.

        Raises:
            CampaignError: naming the lines which can't be taken, such as those whose code was imported before; then
                nothing is.
        """
        pool = pool.strip()
        if not pool or len(pool) > 120 or not pool.isprintable():
            raise CampaignError(f"the pool's name {pool[:130]!r} must have 1 to 120 printable characters")
        if isinstance(source, str | Path):
            file, name = read_codes(Path(source), column=column, header=header), str(source)
            codes, lines, digest = file.codes, file.lines, file.sha256
        else:
            name = "the list"
            rows = check_codes([str(code) for code in source], source=name, header=header)
            codes, lines = tuple(rows["code"].to_list()), tuple(rows["line"].to_list())
            digest = sha256("\n".join(codes).encode()).hexdigest()
        added = self._store.add(pool, codes, user=self._context.user, now=self._context.now(), sha256=digest)
        if isinstance(added, CodePool):
            return added
        pools = ", ".join(sorted({repr(clash.pool) for clash in added}))
        raise CampaignError(
            f"{name}: {name_lines([lines[clash.place] for clash in added])} has a code that is in the pool {pools} "
            "already; each code is for one person. Nothing was imported"
        )

    def list(self) -> tuple[CodePool, ...]:
        """Every pool, by name."""
        return self._store.list()

    def get(self, pool: str) -> CodePool:
        """One pool.

        Args:
            pool: its name, without regard to case.

        Raises:
            CampaignError: with the nearest name, for a pool that isn't known.
        """
        return self._store.get(pool)

    def left_for(self, campaign: Campaign, *, recipients: int) -> CodesLeft | None:
        """How the pool of a campaign suffices.

        Args:
            campaign: whose offer names the pool.
            recipients: how many codes it needs.

        Returns:
            None where its offer has no codes.
        """
        if campaign.codes is None:
            return None
        pool = self._store.find(campaign.codes)
        return CodesLeft(pool=pool.name if pool else campaign.codes, left=pool.left if pool else 0, needed=recipients)
