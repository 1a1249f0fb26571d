"""What each arm of a campaign brought of each figure, against the control group or another arm. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.delivery.sampling import ShareTold
from optinb.errors import UsageError
from optinb.measure.effect import CONTROL, DRAWS, FINAL, LEAST, Effect, Look, compare_figures
from optinb.measure.mix_files import GIVEN
from optinb.measure.outcomes import KNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

Figure = Literal["response", "spend", "orders", "net_spend", "order_value", "orders_per_buyer", "active", "event"]
Advice = Literal["keep", "stop", "wait"]
EVERYBODY = "all variants"
MEANS: dict[Figure, pl.Expr] = {
    "response": pl.col("orders") > 0,
    "spend": pl.col("spend"),
    "orders": pl.col("orders"),
    "net_spend": pl.col("spend") - pl.col("refunds"),
}
SHARES: tuple[Figure, ...] = ("response", "active", "event")
"""The figures that are shares of customers; of the last two a column says whether it is so, where that is known."""
RATIOS: dict[Figure, tuple[pl.Expr, pl.Expr]] = {
    "order_value": (pl.col("spend"), pl.col("orders")),
    "orders_per_buyer": (pl.col("orders"), pl.col("orders") > 0),
}
"""What is told of purchases or of buyers instead of customers: the sums of two columns."""
ENOUGH_BUYERS = 10
"""The buyers that each arm needs for what is told of them: of fewer the delta method doesn't hold."""


class ArmResult(Struct, frozen=True, kw_only=True):
    """What an arm brought, against the control group.

    Attributes:
        arm: the variant, "message" where there is one, or "all variants".
        figures: of everybody who was to get it: the share who bought, what was spent by each, the days on which they
            bought, and what was spent less refunds; of the purchases the spend of each, and of the buyers how often
            they bought, where enough did; the share who are active or reactivated at the end of the window, and of
            whom a chosen event is told, where that is known.
        reached: the share whom it reached by what Appboy says; None where it wasn't asked.
    """

    arm: str
    figures: Mapping[Figure, Effect]
    reached: ShareTold | None = None

    def added(self, figure: Figure) -> tuple[float, float, float]:
        """What all of the arm's customers did more of a figure, such as buyers or revenue: estimate, low and high.

        Args:
            figure: of which; a ratio adds up to nothing.

        Raises:
            UsageError: for a ratio.
        """
        if figure in RATIOS:
            summed = ", ".join(name for name in self.figures if name not in RATIOS)
            raise UsageError(f"{figure!r} is told of purchases or buyers, and adds up to nothing; name one of {summed}")
        effect = self.figures[figure]
        return effect.estimate * effect.customers, effect.low * effect.customers, effect.high * effect.customers

    def on_reached(self, figure: Figure) -> tuple[float, float, float] | None:
        """What each customer whom it reached did more of a figure: estimate, low and high.

        The effect by assignment over the share that it reached (Bloom 1984, Evaluation Review 8(2)), if it brought
        nothing of whom it didn't reach; the interval holds for every share that isn't ruled out.

        Args:
            figure: of which; a ratio has none.

        Returns:
            None where nobody knows whom it reached, or for a ratio.
        """
        reached, effect = self.reached, self.figures.get(figure)
        if reached is None or effect is None or figure in RATIOS or not reached.share:
            return None

        def by(bound: float, share: float) -> float:
            return bound / share if share else (inf if bound > 0 else -inf)

        low = by(effect.low, reached.high if effect.low > 0 else reached.low)
        high = by(effect.high, reached.high if effect.high < 0 else reached.low)
        return effect.estimate / reached.share, low, high

    @property
    def advice(self) -> Advice:
        """Whether to keep it, to stop it, or to wait until more is known: by those who bought.

        By one figure alone, since of several one is found by luck sooner.
        """
        bought = self.figures["response"]
        return "keep" if bought.low > 0 else "stop" if bought.high < 0 else "wait"


def sides_of(customers: Mapping[str, int], *, fewest: int = LEAST) -> dict[str, tuple[str, ...]]:
    """What is compared with the control group: of each arm by its name the variants; with several, all of them first.

    Args:
        customers: how many people each arm has, the control group among them.
        fewest: of an arm that is looked at alone; of a variant that hardly anybody got nothing can be told.
    """
    variants = tuple(sorted(customers.keys() - {CONTROL}))
    together = {EVERYBODY: variants} if len(variants) > 1 else {}
    return together | {name: (name,) for name in variants if customers[name] >= fewest}


def figures_of(
    outcomes: pl.DataFrame,
    arms: Sequence[str],
    against: str = CONTROL,
    *,
    planned: Mapping[str, float],
    seed: int,
    look: Look = FINAL,
    only: Collection[Figure] | None = None,
    draws: int = DRAWS,
) -> dict[Figure, Effect]:
    """The figures of some arms together, against another arm.

    Args:
        outcomes: what everybody did, with OUTCOMES; `active` and `event` beside, where they are known.
        arms: who were to get it.
        against: the arm that they are compared with.
        planned: the share of each arm that was planned, in any unit.
        seed: of the draws.
        look: which of several looks this is.
        only: the figures that are wanted; all when left out.
        draws: how many control groups are drawn.
    """
    wanted: Collection[Figure] = get_args(Figure) if only is None else only
    means: dict[Figure, pl.Expr] = {
        name: MEANS.get(name, pl.col(name)) for name in wanted if name in MEANS or name in outcomes.columns
    }
    ratios: dict[Figure, tuple[pl.Expr, pl.Expr]] = {name: RATIOS[name] for name in wanted if name in RATIOS}
    told = effects_of(
        outcomes, arms, against, {**means}, planned=planned, seed=seed, look=look, draws=draws, ratios={**ratios}
    )
    names: list[Figure] = [*means, *ratios]
    return {name: effect for name in names if (effect := told.get(name)) is not None}


def effects_of(
    outcomes: pl.DataFrame,
    arms: Sequence[str],
    against: str,
    means: Mapping[str, pl.Expr],
    *,
    planned: Mapping[str, float],
    seed: int,
    look: Look = FINAL,
    draws: int = DRAWS,
    ratios: Mapping[str, tuple[pl.Expr, pl.Expr]] | None = None,
    rises: bool = True,
) -> dict[str, Effect]:
    """What some arms together did more of anything, against another arm, by the same draws; see `figures_of`.

    Args:
        outcomes: with OUTCOMES, and whatever is compared.
        arms: as for `figures_of`.
        against: as for `figures_of`.
        means: what is told of customers, by any name.
        planned: as for `figures_of`.
        seed: as for `figures_of`.
        look: as for `figures_of`.
        draws: as for `figures_of`.
        ratios: what is told of purchases or buyers, by any name; left out where too few of either side bought.
        rises: whether each is told as a share, too.
    """
    rows = outcomes.filter(pl.col("arm").is_in([*arms, against]))
    chance = _chance(rows, arms, against, planned)
    # in a night that had only one of the sides there is nobody to compare with
    both = pl.Series((chance > 0) & (chance < 1))
    if not both.all() and _smaller(rows.filter(both), against) >= LEAST:
        rows, chance = rows.filter(both), chance[both.to_numpy()]
    is_treated = rows["arm"] != against

    def numbers(of: pl.Expr) -> NDArray[np.float64]:
        return rows.select(of.cast(pl.Float64)).to_series().to_numpy()

    if ratios:
        buyers = rows.filter(pl.col("orders") > 0)["arm"] != against
        ratios = ratios if min(int(buyers.sum()), int((~buyers).sum())) >= ENOUGH_BUYERS else None
    # of arms that nobody planned no share can be looked at
    chance = chance if chance.min() > 0 and chance.max() < 1 else np.full(len(chance), is_treated.to_numpy().mean())
    return compare_figures(
        is_treated.to_numpy(),
        {name: numbers(of) for name, of in means.items()},
        # nights differ, and where shares do, too, whoever was likelier to get it is compared with their like
        np.column_stack([rows.select(pl.col(KNOWN).cast(pl.Float64)).to_numpy(), chance]),
        seed=seed,
        control_share=1 - float(chance.mean()),
        look=look,
        draws=draws,
        ratios={name: (numbers(one), numbers(other)) for name, (one, other) in (ratios or {}).items()},
        rises=rises,
    )


def _smaller(rows: pl.DataFrame, against: str) -> int:
    """How many customers the smaller side has."""
    second = int((rows["arm"] == against).sum())
    return min(second, rows.height - second)


def _chance(rows: pl.DataFrame, arms: Sequence[str], against: str, planned: Mapping[str, float]) -> NDArray[np.float64]:
    """How likely each customer of two sides was to be on the first, in the night that they belong to."""
    held_out = GIVEN.format(CONTROL)

    def share_of(arm: str) -> NDArray[np.float64]:
        if (given := GIVEN.format(arm)) in rows.columns:
            share = rows[given].to_numpy()
            return share if arm == CONTROL else (1 - rows[held_out].to_numpy()) * share
        return np.full(rows.height, planned.get(arm, 0.0))

    first, second = sum(map(share_of, arms)), share_of(against)
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.asarray(first / (first + second)))
