"""What to say beside the count of a rule: of which day a score is, and that Appboy told nobody who opened a push.

Neither `opened(...)` nor `did_not_open(...)` holds of whom Appboy wasn't asked about, so that such a count is silent by
itself where it isn't 0 at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.rules import Contacted, attributes_of, days_of, nodes_of

if TYPE_CHECKING:
    from optinb.engine import Tables
    from optinb.rules import Rule

OPENS = ("opened", "not_opened")


def notes_on(rule: Rule, tables: Tables) -> tuple[str, ...]:
    """What to say beside the count of a rule.

    Args:
        rule: one in which the groups that it names are in their places.
        tables: on which it is counted.

    Returns:
        What each score says that it asks for, and a sentence for each campaign that reached somebody in the days that
        it asks about, and of which nobody knows who opened it.
    """
    scores = [f"{name}: {tables.scores[name]}" for name in sorted(attributes_of(rule) & tables.scores.keys())]
    opens = [_note_on_opens(part, tables) for part in nodes_of(rule, Contacted) if part.what in OPENS]
    return tuple(dict.fromkeys(filter(None, [*scores, *opens])))


def _note_on_opens(rule: Contacted, tables: Tables) -> str | None:
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
