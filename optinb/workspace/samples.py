"""Messages as single customers read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.appboy import RenderedMessage, render

if TYPE_CHECKING:
    from optinb.appboy import Template


class SampleMessage(Struct, frozen=True, kw_only=True):
    """The message as one customer will read it, on each platform of the template."""

    customer_id: str
    messages: tuple[RenderedMessage, ...]


def sample_message(template: Template, customer_id: str, properties: str) -> SampleMessage:
    """A template's message to a customer, whose trigger properties are a JSON object. Raises AppboyError."""
    given = msgspec.json.decode(properties)
    return SampleMessage(customer_id=customer_id, messages=tuple(render(m, given) for m in template.messages))
