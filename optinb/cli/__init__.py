"""The commands: a thin face over the workspace."""

from optinb.cli import audit, codes, data, groups, nights, planning, rehearsing
from optinb.cli.common import main

__all__ = ["audit", "codes", "data", "groups", "main", "nights", "planning", "rehearsing"]
