"""The commands: a thin face over the workspace."""

from optinb.cli import data, groups, nights, planning, rehearsing
from optinb.cli.common import main

__all__ = ["data", "groups", "main", "nights", "planning", "rehearsing"]
