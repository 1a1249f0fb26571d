"""What to say beside the count of a rule: of which day a score is, and what the count is silent of.

A micro-segment that was made again has no customers under its old name. Nobody is known to have opened a push while
Appboy told nothing.

Neither `opened(...)` nor `did_not_open(...)` holds of whom Appboy wasn't asked about, so that such a count is silent by
itself where it isn't 0 at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.customers.attributes import MICRO_SEGMENT
from optinb.errors import did_you_mean
from optinb.rules import Compare, Contacted, OneOf, attributes_of, days_of, nodes_of

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
        What each score says that it asks for, and a sentence for each micro-segment that nobody is in, and for each
        campaign that reached somebody in the days that it asks about, and of which nobody knows who opened it.
    """
    scores = [f"{name}: {tables.scores[name]}" for name in sorted(attributes_of(rule) & tables.scores.keys())]
    opens = [_note_on_opens(part, tables) for part in nodes_of(rule, Contacted) if part.what in OPENS]
    return tuple(dict.fromkeys(filter(None, [*scores, *empty_micro_segments(rule, tables), *opens])))


def empty_micro_segments(rule: Rule, tables: Tables) -> tuple[str, ...]:
    """A sentence for each micro-segment that a rule names, and that no customer is in tonight.

    Their names change where they are made again, and a rule that names an old one would be silent of it.
    """
    compared = [part.value for part in nodes_of(rule, Compare) if part.attribute == MICRO_SEGMENT]
    chosen = [value for part in nodes_of(rule, OneOf) if part.attribute == MICRO_SEGMENT for value in part.values]
    named = [value for value in (*compared, *chosen) if isinstance(value, str)]
    if not named or MICRO_SEGMENT not in tables.customer_schema:
        return ()
    there = tables.customers.select(MICRO_SEGMENT).unique().collect()[MICRO_SEGMENT].to_list()
    known = sorted(label for label in there if label is not None)
    return tuple(
        f"nobody is in the micro-segment {label!r} tonight{did_you_mean(label, known)}"
        for label in dict.fromkeys(named)
        if label not in known
    )


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
