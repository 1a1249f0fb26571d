"""How customers answer a message: the purchases that each makes more, or leaves out, if it reaches them.

Both are drawn for everybody of a campaign, whoever gets it, so that its true effect is known to the last customer.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.sandbox.sample.people import customer_ids
from optinb.sandbox.sample.purchases import CHECKOUT_S, Tastes, transactions_frame

if TYPE_CHECKING:
    from optinb.sandbox.sample.people import People

LIKING = 2.0
"""The shape of the gamma by which customers differ in how much a message moves them; its mean is one."""


class CustomerAnswers(Struct, frozen=True):
    """What all customers of a campaign would do, if they got it.

    Attributes:
        more: rows of `transactions` that each would add.
        left_out: the `transaction_id` of each purchase that wouldn't be made.
    """

    more: pl.DataFrame
    left_out: pl.Series


def answers(
    rng: np.random.Generator,
    people: People,
    tastes: Tastes,
    bought: pl.DataFrame,
    *,
    effect: float,
    window: tuple[int, int],
    width: int,
    campaign: str,
    sent: date,
) -> CustomerAnswers:
    """What customers would do after a message.

    Args:
        rng: of the draws.
        people: who belongs to the campaign, those held out among them.
        tastes: of these people.
        bought: their `transactions` within the window, without the message.
        effect: how many more of their purchases they make on average, as a share; below 0 fewer. Some answer more than
            others.
        window: in which they answer, in seconds since 1970 UTC, its end excluded.
        width: digits of a customer id.
        campaign: what ids of added rows begin with.
        sent: the day that ids bear.
    """
    liking = rng.gamma(LIKING, 1 / LIKING, len(people.number))
    # registrations at the checkout are no answer to a message
    checkout = (people.registered + CHECKOUT_S).astype(np.int64)
    theirs = pl.DataFrame([customer_ids(people.number, width=width), pl.Series("liking", liking)]).with_columns(
        checkout=pl.Series(checkout)
    )
    if effect <= 0:
        made = bought.join(theirs, on="customer_id", how="left", maintain_order="left")
        left_out = pl.Series(rng.random(made.height)) < -effect * made["liking"]
        return CustomerAnswers(more=bought.clear(), left_out=made["transaction_id"].filter(left_out))
    moved = replace(people, rate=people.rate * effect * liking)
    more = transactions_frame(rng, moved, tastes, window=window, width=width, delivered=sent, first_number=0)
    answered = more.join(theirs, on="customer_id", how="left", maintain_order="left").filter(
        pl.col("occurred_at").dt.epoch("s") != pl.col("checkout")
    )
    ids = pl.format("{}-{}", pl.lit(campaign), "transaction_id")
    return CustomerAnswers(
        more=answered.drop("checkout").with_columns(transaction_id=ids), left_out=pl.Series([], dtype=pl.String)
    )
