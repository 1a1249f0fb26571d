"""What every HTML is made of: the templates of this package, and how the values of closed sets look in them.

Each set is named by its type and stands in a table of its own: its words, and the classes of their colours.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from optinb.appboy.template_rules import ALL_USERS, UNSTATED, rules_words
from optinb.base.glossary import explained
from optinb.base.settings import PLATFORM_NAMES
from optinb.show.tables import TOO_LATE, UNREAD, cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment

    from optinb.appboy import Standing, StatedRules
    from optinb.base.settings import Platform
    from optinb.campaigns import CampaignState, Step
    from optinb.delivery.journal.values import StateName
    from optinb.delivery.send_watch import Stage
    from optinb.measure import CampaignResult
    from optinb.planning import CampaignPreview

CAMPAIGNS: dict[CampaignState, str] = {
    "draft": "",
    "submitted": "ob-warn",
    "approved": "ob-good",
    "rejected": "ob-bad",
    "held": "ob-bad",
    "running": "ob-good",
    "paused": "ob-warn",
    "done": "ob-good",
    "cancelled": "",
}
# What keeps a campaign of the calendar from going out as things stand; nothing, where its text is empty.
GOING: dict[CampaignState, tuple[str, str]] = {
    "draft": ("a draft", "ob-waits"),
    "submitted": ("not approved yet", "ob-waits"),
    "approved": ("", ""),
    "rejected": ("rejected", "ob-held"),
    "held": ("held", "ob-held"),
    "running": ("", ""),
    "paused": ("paused", "ob-waits"),
    "done": ("", ""),
    "cancelled": ("cancelled", "ob-held"),
}
STEPS: dict[Step, str] = {
    "draft": "changed",
    "submit": "submitted",
    "approve": "approved",
    "reject": "rejected",
    "hold": "held",
    "run": "ran",
    "pause": "paused",
    "resume": "resumed",
    "finish": "finished",
    "cancel": "cancelled",
    "archive": "archived",
    "rename": "renamed",
    "reword": "reworded",
}
STAGES: dict[Stage, tuple[str, str]] = {
    "planned": ("to come", ""),
    "sending": ("sending", "ob-warn"),
    "done": ("sent", "ob-good"),
    "stopped": ("recalled", "ob-bad"),
}
STANDINGS: dict[Standing, tuple[str, str]] = {
    "good": ("good", "ob-good"),
    "note": ("note", ""),
    "bad": ("bad", "ob-bad"),
    "unknown": ("can't be told", "ob-warn"),
}
DEVICES: dict[Platform, str] = {
    "ios": "On an iPhone",
    "android": "On an Android phone",
    "kindle": "On a Kindle",
    "web": "In a browser",
}
# Of a request that is made, of whose recipients the rest is still to come.
OUTCOMES: dict[StateName, str] = {
    "accepted": "ob-s-good",
    "refused": "ob-s-bad",
    "unknown": "ob-s-unknown",
    "expired": "ob-s-off",
    "cancelled": "ob-s-off",
}
# A button in a table is no control of its own: it writes what it stands for into a hidden text of the view around it.
WRITE = (
    "const view = this.closest('.ob-view'), write = (name, text) => { const to = view.querySelector(name + ' input');"
    " to.value = text; for (const kind of ['input', 'change']) to.dispatchEvent(new Event(kind, {bubbles: true})); };"
)
PICK = WRITE + " write('.ob-picked', this.dataset.pick);"
# Templates look them up with filters, by these names.
WORDS: Mapping[str, Callable[[Any], Any]] = {
    "campaign_kind": CAMPAIGNS.__getitem__,
    "going": GOING.__getitem__,
    "step_done": STEPS.__getitem__,
    "stage": STAGES.__getitem__,
    "standing": STANDINGS.__getitem__,
    "device": DEVICES.__getitem__,
    "platform": PLATFORM_NAMES.__getitem__,
}
# Functions that templates call as filters, by their modules, which are imported with the first template.
FUNCTIONS = {
    "optinb.appboy": "told",
    "optinb.delivery.confirmed_nights": "alarm_words",
    "optinb.measure.arrivals": "arrival_rows lost_words",
    "optinb.measure.charts": "chances pauses",
    "optinb.measure.report": "final_results needs_a_person outcomes verdict",
    "optinb.show.programme_page": "added_bars part_bars",
    "optinb.show.charts": "combinations group_history group_stages purchases_by_month sizes",
    "optinb.show.result_charts": "effects_by_day funnel_chart",
    "optinb.show.result_tables": "days_table days_words funnel_table",
    "optinb.measure.campaign_figures": "in_one_line",
    "optinb.show.tables": "all_results_table by_table card_tables drift_table finding_rows group_nights_table moves "
    "parts_table programme_table rate_of reach_days_table reach_table reached_lines reasons_left_out "
    "result_parts_tables results_table runs_table strongest times_as_many uplift_table",
    "optinb.segments.profile": "can_be_chosen",
}


def page(name: str, **values: Any) -> str:
    """A template of this package, with the style that follows the notebook's theme."""
    return explained(_templates().get_template(name).render(values))


def fragment(name: str, macro: str, *values: Any) -> str:
    """One macro of a template, without the style: for a widget that brings the style once."""
    return explained(str(getattr(_templates().get_template(name).module, macro)(*values)))


@cache
def _templates() -> Environment:
    """Those of this package, which look the words of closed sets up."""
    from optinb.measure.pages import environment

    found = environment("optinb.show")
    homes = {name: module for module, names in FUNCTIONS.items() for name in names.split()}
    found.filters |= {name: getattr(import_module(module), name) for name, module in homes.items()}
    found.filters |= {**WORDS, "cell": _cell, "rebuilt_words": _rebuilt_words, "stated_words": _stated_words}
    found.filters["final_words"] = _final_words
    found.globals["outcomes_of_requests"], found.globals["all_users"] = OUTCOMES, ALL_USERS
    found.globals["pick"], found.globals["write"] = PICK, WRITE
    found.globals["unread_words"] = {True: UNREAD, False: TOO_LATE}
    return found


def _cell(value: Any) -> str:
    """One value as a table of a page shows it: as a text's does, but days and times in words."""
    from optinb.measure.pages import day, moment

    match value:
        case datetime():
            return moment(value)
        case date():
            return day(value)
        case _:
            return cell(value)


def _rebuilt_words(found: CampaignPreview) -> str:
    """The audiences that a recovery rebuilt and an approval of this would let go out; nothing, where there are none."""
    from optinb.campaigns import REBUILT
    from optinb.campaigns.part_words import part_words

    text = found.parts.get(REBUILT)
    return part_words(REBUILT, text) if text else ""


def _final_words(result: CampaignResult) -> str:
    from optinb.measure.noted_results import final_words  # what it needs takes long to import

    return final_words(result)


def _stated_words(stated: StatedRules | None) -> str:
    return rules_words(UNSTATED if stated is None else stated.rules)
