"""The commands: a thin face over the workspace."""

from optinb.cli import data, nights, planning, rehearsing
from optinb.cli.common import main

__all__ = ["data", "main", "nights", "planning", "rehearsing"]
