"""Messages as single customers read them."""

from __future__ import annotations

import msgspec
import polars as pl
from msgspec import Struct

from optinb.appboy import RenderedMessage, Template, render
from optinb.campaigns import EXAMPLE_CODE, Campaign, with_codes


class SampleMessage(Struct, frozen=True, kw_only=True):
    """The message as one customer will read it, on each platform of the template."""

    customer_id: str
    messages: tuple[RenderedMessage, ...]


def sample_message(template: Template, customer_id: str, properties: str) -> SampleMessage:
    """A template's message to a customer, whose trigger properties are a JSON object. Raises AppboyError."""
    given = msgspec.json.decode(properties)
    return SampleMessage(customer_id=customer_id, messages=tuple(render(m, given) for m in template.messages))


def sample_messages(
    audience: pl.DataFrame, template: Template, campaign: Campaign, *, count: int
) -> tuple[SampleMessage, ...]:
    """The message as the first recipients of an audience will read it, with an example of a code."""
    rows = audience.filter(pl.col("outcome") == "recipient").head(count)
    rows = with_codes(rows, pl.Series([EXAMPLE_CODE] * rows.height), properties=campaign.code_properties)
    return tuple(sample_message(template, *row) for row in rows.select("customer_id", "properties").iter_rows())
