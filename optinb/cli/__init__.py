"""The commands: a thin face over the workspace."""

from optinb.cli import data, figures, groups, nights, planning, rehearsing, templates
from optinb.cli.common import main

__all__ = ["data", "figures", "groups", "main", "nights", "planning", "rehearsing", "templates"]
