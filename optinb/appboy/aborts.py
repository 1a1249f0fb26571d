"""Whether a template's text keeps its message from a customer, as its author wrote it with `abort_message`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.appboy.live_content import live_content_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optinb.appboy.templates import Message, Template

ABORT = "abort_message"


def may_abort(template: Template) -> bool:
    """Whether a text of a template can abort.

    Args:
        template: with its messages.

    Returns:
        Whether any of them says so somewhere.
    """
    return any(ABORT in text for message in template.messages for text in message.texts())


def aborts(template: Template, properties: Mapping[str, Any]) -> bool | None:
    """Whether a template's messages abort for a customer with some trigger properties.

    Args:
        template: with its messages.
        properties: the trigger properties of the customer.

    Returns:
        Whether all of its messages do; None where it depends on the platform, on the variation, or on what only Appboy
        fills in.
    """
    found = {_aborts(message, properties) for message in template.messages}
    return found.pop() if len(found) == 1 else False if not found else None


def _aborts(message: Message, properties: Mapping[str, Any]) -> bool | None:
    from liquid.exceptions import LiquidError

    from optinb.appboy.liquid import AbortedMessage, rendered

    is_told = True
    for text in message.texts():
        if ABORT not in text:
            continue
        if any(True for _ in live_content_of(text)):
            is_told = False
            continue
        try:
            rendered(text, properties)
        except AbortedMessage:
            return True
        except LiquidError:
            is_told = False
    return False if is_told else None
