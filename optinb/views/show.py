"""Teaches the running IPython to show optinb's values. Types are named by text, so that nothing heavy is imported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

# Where a type is defined, its name, and the function of optinb.views.values that shows it.
ONE: dict[tuple[str, str], str] = {
    ("optinb.segments.exclusions", "Waterfall"): "waterfall",
    ("optinb.customers.model", "CustomerModel"): "customer_model",
    ("optinb.measure.summary", "NightSummary"): "night",
    ("optinb.night.steps", "Blocked"): "blocked",
    ("optinb.night.steps", "Night"): "night_begun",
    ("optinb.segments.discovery.values", "Discovery"): "discovery",
    ("optinb.segments.overlap", "Overlap"): "overlap",
    ("optinb.segments.profile", "Profile"): "profile",
    ("optinb.segments.reach", "Reach"): "reach",
    ("optinb.warehouse.report", "ImportReport"): "import_report",
    ("optinb.planning.campaign_preview", "CampaignPreview"): "campaign_preview",
    ("optinb.planning.doctor", "Diagnosis"): "diagnosis",
    ("optinb.segments.groups", "GroupSize"): "group_size",
    ("optinb.customers.card", "ModelCard"): "model_card",
    ("optinb.workspace", "Workspace"): "workspace",
    ("optinb.segments.membership", "Membership"): "membership",
    ("optinb.customers.moves", "Migration"): "migration",
    ("optinb.customers.customer_card", "CustomerCard"): "customer_card",
    ("optinb.delivery.night_answers", "WorkspaceStatus"): "status",
    ("optinb.delivery.night_answers", "Why"): "why",
    ("optinb.segments.sizes_by_night", "Sizes"): "sizes",
    ("optinb.segments.group_preview", "Preview"): "preview",
    ("optinb.planning.sample_messages", "SampleMessage"): "sample",
    ("optinb.planning.trial_sends", "SentTest"): "sent_test",
}
# The same for values that also come in lists: the function takes several.
MANY: dict[tuple[str, str], str] = {
    ("optinb.appboy.templates", "Template"): "templates",
    ("optinb.campaigns.record", "CampaignRecord"): "campaigns",
    ("optinb.measure.summary", "CampaignSummary"): "campaign_summaries",
    ("optinb.segments.group_store", "GroupRecord"): "groups",
    ("optinb.appboy.template_import", "GroupSync"): "syncs",
}
# Values that say what a command would, in text.
TEXT: tuple[tuple[str, str], ...] = (
    ("optinb.delivery.recall", "SendMove"),
    ("optinb.delivery.sends", "Cancellation"),
    ("optinb.delivery.sends", "Settlements"),
)


def install(shell: InteractiveShell | None = None) -> None:
    """Registers how optinb's values look with the running IPython (or the given shell); without one, does nothing."""
    if shell is None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
    formatter: Any = shell.display_formatter if shell else None
    if formatter is None:
        return
    html = formatter.formatters["text/html"]
    plain = formatter.formatters["text/plain"]
    for (module, name), function in ONE.items():
        html.for_type_by_name(module, name, _shows(function))
    for (module, name), function in MANY.items():
        html.for_type_by_name(module, name, _shows_one_of(function))
    for module, name in (*ONE, *MANY, *TEXT):
        plain.for_type_by_name(module, name, _plain)
    for kind in (list, tuple):
        if html.for_type(kind) is None:
            html.for_type(kind, several)


def several(values: list[Any] | tuple[Any, ...]) -> str | None:
    """The HTML of values of one type that come in lists; None, which means no HTML, for anything else."""
    keys = {(type(value).__module__, type(value).__qualname__) for value in values}
    function = MANY.get(keys.pop()) if len(keys) == 1 else None
    return _function(function)(values) if function else None


def _shows(function: str) -> Callable[[Any], str]:
    return lambda value: _function(function)(value)


def _shows_one_of(function: str) -> Callable[[Any], str]:
    return lambda value: _function(function)((value,))


def _function(name: str) -> Callable[[Any], str]:
    return getattr(import_module("optinb.views.values"), name)


def _plain(value: Any, printer: Any, cycle: bool) -> None:
    from optinb.base.printable import printable
    from optinb.console import show

    printer.text(repr(value) if cycle else printable(show(value)))
