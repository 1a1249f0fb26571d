"""Values as plain text, for terminals. Each module adds the forms of what it names to `show`."""

from optinb.console import campaigns, data, groups, nights
from optinb.console.base import records, show, table, times_in
from optinb.console.campaigns import folded
from optinb.console.data import ModelReport

__all__ = ["ModelReport", "campaigns", "data", "folded", "groups", "nights", "records", "show", "table", "times_in"]
