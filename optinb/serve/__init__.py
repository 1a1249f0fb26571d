"""The planner and the approval desk as plain pages, for those who don't want to see code: `optinb serve`."""

from optinb.serve.pages import hub_command, is_loopback, is_on_hub, run_serve

__all__ = [
    "hub_command",
    "is_loopback",
    "is_on_hub",
    "run_serve",
]
