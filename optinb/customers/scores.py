"""Scores: figures of every customer that were learned and published as attributes for rules.

A version of the warehouse holds what each one is made by, and never changes; the next one may have another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.customers.attributes import CUSTOMERS, PURCHASES

if TYPE_CHECKING:
    import polars as pl

    from optinb.warehouse import Snapshot

SCORES = "scores"
"""The published table of all scores: the fields of `PublishedScore`, a row for each."""
READ = CUSTOMERS | PURCHASES
"""The delivered tables that a score follows from."""


class PublishedScore(Struct, frozen=True, kw_only=True):
    """A figure of every customer, and what it is made by.

    Attributes:
        attribute: its name in rules, and of its column.
        subject: what it is of, such as a campaign.
        meaning: what it says, of which day it is, and how far it can be relied on, in sentences.
        made_on: the day of the delivery up to which it was learned.
        author: who published it.
        published_at: when, in UTC.
        body: what it is made by (JSON).
    """

    attribute: str
    subject: str
    meaning: str
    made_on: date
    author: str
    published_at: datetime
    body: str

    @property
    def sha256(self) -> str:
        """Of what it is made by, which an approval names."""
        return sha256(self.body.encode()).hexdigest()


def scores_of(snapshot: Snapshot) -> tuple[PublishedScore, ...]:
    """The scores of a version, by attribute."""
    if not snapshot.has(SCORES):
        return ()
    rows = snapshot.table(SCORES).sort("attribute").collect().to_dicts()
    return tuple(msgspec.convert(row, PublishedScore) for row in rows)


def score_table(scores: Iterable[PublishedScore]) -> pl.DataFrame:
    """Scores as the table that is published, with a column for each field of `PublishedScore`."""
    import polars as pl  # which whoever only opens a workspace doesn't need

    kinds = {"made_on": pl.Date(), "published_at": pl.Datetime("us", "UTC")}
    schema = {name: kinds.get(name, pl.String()) for name in PublishedScore.__struct_fields__}
    return pl.DataFrame([msgspec.structs.asdict(score) for score in scores], schema=schema)


def definitions_of(scores: Iterable[PublishedScore], names: Collection[str]) -> dict[str, str]:
    """The SHA-256 of what each score is made by, of those whose attributes are named."""
    return {score.attribute: score.sha256 for score in scores if score.attribute in names}


def read_by(scores: Iterable[PublishedScore]) -> Mapping[str, frozenset[str]]:
    """The delivered tables behind each score, by attribute."""
    return {score.attribute: READ for score in scores}
