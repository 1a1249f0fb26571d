"""The messages of a campaign apart: what each is known by in a night, and who of an audience gets which. Pure.

A campaign has one message for each template of each variant. A night delivers and journals each of them apart: the
first under the campaign's id, the others under that id with their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MESSAGES = "messages"
"""Of a row of an audience: the numbers of the messages that a recipient gets, as bits; 0 for everybody else."""


def message_key(campaign_id: str, number: int) -> str:
    """What a message's nights are journalled under; the first message has the campaign's own id.

    Args:
        campaign_id: 12 hexadecimal digits.
        number: of the message, from 0.
    """
    return f"{campaign_id}.{number}" if number else campaign_id


def campaign_of(key: str) -> str:
    """The id of the campaign whose message a key is of."""
    return key.partition(".")[0]


def number_of(key: str) -> int:
    """The number of the message that a key is of."""
    return int(key.partition(".")[2] or 0)


def split(audience: pl.DataFrame, count: int) -> tuple[pl.DataFrame, ...]:
    """The rows of each message of an audience.

    Args:
        audience: with AUDIENCE_SCHEMA and, where there are several messages, MESSAGES.
        count: how many messages the campaign has.

    Returns:
        for the first message everybody but the recipients of others alone, so that each customer who was considered is
        there or in another; for each further message its recipients. A customer who gets two is in both.
    """
    import polars as pl  # whoever only names a message does without

    if count == 1:
        return (audience,)
    is_sent = pl.col("outcome") == "recipient"
    mine = [audience.filter(is_sent & _gets(number)) for number in range(1, count)]
    return (audience.filter(~is_sent | _gets(0)), *mine)


def gets(audience: pl.DataFrame, number: int) -> pl.DataFrame:
    """The recipients of one message of an audience; of all of them where it doesn't tell messages apart."""
    import polars as pl

    is_sent = pl.col("outcome") == "recipient"
    return audience.filter(is_sent & _gets(number) if MESSAGES in audience.columns else is_sent)


def _gets(number: int) -> pl.Expr:
    import polars as pl

    return pl.col(MESSAGES) & pl.lit(1 << number, pl.UInt32) != 0
