"""What a count of `opened(...)` and `did_not_open(...)` can't tell: where Appboy told of nobody, it isn't 0 at all.

Neither holds of whom Appboy wasn't asked about, so that such a count is silent by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.rules import Contacted, days_of, nodes_of

if TYPE_CHECKING:
    from optinb.engine import Tables
    from optinb.rules import Rule

OPENS = ("opened", "not_opened")


def notes_on_opens(rule: Rule, tables: Tables) -> tuple[str, ...]:
    """What to say beside the count of a rule that asks who opened a push.

    Args:
        rule: one in which the groups that it names are in their places.
        tables: on which it is counted.

    Returns:
        A sentence for each campaign that reached somebody in those days, and of which nobody knows who opened it.
    """
    asked = [part for part in nodes_of(rule, Contacted) if part.what in OPENS]
    return tuple(dict.fromkeys(filter(None, (_note(part, tables) for part in asked)))) if asked else ()


def _note(rule: Contacted, tables: Tables) -> str | None:
    first, last = days_of(rule.window, tables.run_date)
    history = tables.contacts().filter(pl.col("day") <= last)
    if first is not None:
        history = history.filter(pl.col("day") >= first)
    if rule.campaign is not None:
        history = history.filter(pl.col("campaign") == rule.campaign)
    outcomes = set(history["outcome"].unique())
    if "received" not in outcomes or not outcomes.isdisjoint(OPENS):
        return None
    what = "any campaign" if rule.campaign is None else repr(rule.campaign)
    return (
        f"nobody knows yet who opened the push of {what}: Appboy wasn't asked about any of those it was sent to, or "
        "has not told of any, so that they count neither as having opened it nor as not; `optinb confirm` asks Appboy"
    )
