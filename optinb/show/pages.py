"""What every HTML is made of: the templates of this package, and the waterfall of an audience."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from optinb.show.states import FILTERS, OUTCOMES

if TYPE_CHECKING:
    from jinja2 import Environment

    from optinb.campaigns import Waterfall
    from optinb.measure.pages import WaterfallStep
    from optinb.planning import CampaignPreview


def page(name: str, **values: Any) -> str:
    """A template of this package, with the style that follows the notebook's theme."""
    return _templates().get_template(name).render(values)


def fragment(name: str, macro: str, *values: Any) -> str:
    """One macro of a template, without the style: for a widget that brings the style once."""
    return str(getattr(_templates().get_template(name).module, macro)(*values))


@cache
def _templates() -> Environment:
    """Those of this package, which look the words of closed sets up."""
    from optinb.measure.pages import environment

    found = environment("optinb.show")
    found.filters |= FILTERS
    found.globals["outcomes_of_requests"] = OUTCOMES
    found.globals["rebuilt_words"] = _rebuilt_words
    return found


def _rebuilt_words(found: CampaignPreview) -> str:
    """The audiences that a recovery rebuilt and an approval of this would let go out; nothing, where there are none."""
    from optinb.campaigns import REBUILT
    from optinb.campaigns.part_words import part_words

    text = found.parts.get(REBUILT)
    return part_words(REBUILT, text) if text else ""


def steps_of(figures: Waterfall, *, end: str = "Get the message") -> list[WaterfallStep]:
    """The waterfall of an audience, for `parts.html.j2`."""
    from optinb.measure.pages import steps

    return steps(
        target=figures.target,
        excluded=figures.excluded,
        control=figures.control,
        recipients=figures.recipients,
        end=end,
    )
