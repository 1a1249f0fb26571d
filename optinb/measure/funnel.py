"""From the target group to the phone and to the purchase, in people, by arm. Pure.

What became of messages comes from the contact history, and what isn't known stays unknown: where Appboy wasn't asked,
nobody may have got it, and everybody. Shares are of everybody who was to get it, whether the step before reached them
or not: who bought may never have opened it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl
from msgspec import Struct

from optinb.delivery.contact_history import ROLE, STATUS
from optinb.delivery.contact_status import MEANING, WHEN_ASKED
from optinb.measure.arms import sides_of
from optinb.measure.effect import CONTROL
from optinb.measure.reached import NOT_ASKED, opened, reached

if TYPE_CHECKING:
    from optinb.delivery.sampling import ShareTold

Step = Literal["target group", "assigned", "accepted", "confirmed", "opened", "bought"]
# A row for everybody of the target group of each night, and for each message that they got: what the contact history
# says of it, and whether its push was opened, where Appboy told that.
CONTACTED = pl.Schema({"person": pl.String, "role": ROLE, "status": STATUS, "opened": pl.Boolean})
ACCEPTED = (NOT_ASKED, *WHEN_ASKED)
IN_DOUBT = tuple(status for status, meaning in MEANING.items() if meaning.in_doubt)


class FunnelStep(Struct, frozen=True, kw_only=True):
    """How many of an arm came so far.

    Attributes:
        step: in the target group, assigned to the arm, accepted by Appboy, confirmed on the phone, opened so far, or
            bought in the window.
        customers: how many people; None where nobody knows.
        low: how many at the least: fewer than `customers` where Appboy was asked about a sample.
        high: how many at the most, with all of whom there is no word.
        share: of the assigned, from 0 to 1; of these themselves it is that of the target group.
    """

    step: Step
    customers: int | None = None
    low: int | None = None
    high: int | None = None
    share: float | None = None

    @property
    def is_certain(self) -> bool:
        """Whether it is known to the last customer."""
        return self.customers is not None and self.low == self.high


class ArmFunnel(Struct, frozen=True, kw_only=True):
    """The steps of an arm, the first first; the control group is only assigned, and buys."""

    arm: str
    steps: tuple[FunnelStep, ...]


class Funnel(Struct, frozen=True, kw_only=True):
    """A campaign from the target group to the purchases.

    Attributes:
        arms: with variants all of them together come first, whose first step is the target group; the control group
            comes last, where there is one.
    """

    arms: tuple[ArmFunnel, ...]

    def frame(self) -> pl.DataFrame:
        """A row for each arm and step.

        Returns:
            a frame with arm and step (text), customers, low and high (Int64; null where nobody knows) and share
            (Float64, 0 to 1).
        """
        rows = [(of.arm, one.step, one.customers, one.low, one.high, one.share) for of in self.arms for one in of.steps]
        counts = dict.fromkeys(("customers", "low", "high"), pl.Int64)
        schema = {"arm": pl.String, "step": pl.String, **counts, "share": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")


def funnel_of(contacts: pl.DataFrame, outcomes: pl.DataFrame, *, is_told: bool) -> Funnel:
    """A campaign's funnel, of each person by the arm that they were drawn for.

    Args:
        contacts: of the nights that are looked at, with CONTACTED.
        outcomes: what everybody of the test did, with OUTCOMES.
        is_told: whether the tables tell of purchases after the message.
    """
    sizes = {str(arm): int(count) for arm, count in outcomes["arm"].value_counts().iter_rows()}
    sides = sides_of(sizes, fewest=1)
    excluded = contacts.lazy().filter(pl.col("role") == "excluded").join(outcomes.lazy(), on="person", how="anti")
    target = outcomes.height + excluded.select(pl.col("person").n_unique()).collect().item()
    taken = _accepted(contacts, outcomes)
    arrived, seen = reached(contacts, outcomes), opened(contacts, outcomes)
    bought = dict(outcomes.group_by("arm").agg((pl.col("orders") > 0).sum()).iter_rows()) if is_told else None

    def end_of(variants: tuple[str, ...], size: int) -> FunnelStep:
        count = None if bought is None else sum(bought[name] for name in variants)
        return _step("bought", count, of=size)

    found = []
    for arm, variants in sides.items():
        size = sum(sizes[name] for name in variants)
        accepted, in_doubt = (sum(taken.get(name, (0, 0))[at] for name in variants) for at in (0, 1))
        steps = (
            _step("assigned", size, of=target),
            _step("accepted", accepted, high=accepted + in_doubt, of=size),
            _step_of_share("confirmed", arrived.get(arm), of=size),
            _step_of_share("opened", seen.get(arm), of=size),
            end_of(variants, size),
        )
        first = () if found else (FunnelStep(step="target group", customers=target, low=target, high=target),)
        found.append(ArmFunnel(arm=arm, steps=(*first, *steps)))
    if held_out := sizes.get(CONTROL):
        steps = (_step("assigned", held_out, of=target), end_of((CONTROL,), held_out))
        found.append(ArmFunnel(arm=CONTROL, steps=steps))
    return Funnel(arms=tuple(found))


def _accepted(contacts: pl.DataFrame, people: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Of each arm of how many people Appboy took a message, and of how many others nobody knows whether it did."""
    status = pl.col("status").cast(pl.String)
    of_each = (
        contacts.lazy()
        .filter(pl.col("role") == "recipient")
        .join(people.lazy().filter(pl.col("arm") != CONTROL).select("person", "arm"), on="person", how="inner")
        .group_by("person", "arm")
        .agg(accepted=status.is_in(ACCEPTED).any(), in_doubt=status.is_in(IN_DOUBT).any())
    )
    in_doubt = (pl.col("in_doubt") & ~pl.col("accepted")).sum().alias("in_doubt")
    counted = of_each.group_by("arm").agg(pl.col("accepted").sum(), in_doubt).collect()
    return {str(arm): (int(accepted), int(doubt)) for arm, accepted, doubt in counted.iter_rows()}


def _step(step: Step, count: int | None, *, of: int, high: int | None = None) -> FunnelStep:
    if count is None:
        return FunnelStep(step=step)
    return FunnelStep(
        step=step, customers=count, low=count, high=count if high is None else high, share=count / of if of else None
    )


def _step_of_share(step: Step, told: ShareTold | None, *, of: int) -> FunnelStep:
    """A step of which a share is known, of all or of a sample."""
    if told is None:
        return FunnelStep(step=step)
    count, low, high = (round(one * of) for one in (told.share, told.low, told.high))
    return FunnelStep(step=step, customers=count, low=low, high=high, share=told.share)
