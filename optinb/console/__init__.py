"""Values as plain text, for terminals. Each module adds the forms of what it names to `show`."""

from optinb.console import campaigns, data, groups, nights
from optinb.console.base import records, show, table
from optinb.console.data import ModelReport

__all__ = ["ModelReport", "campaigns", "data", "groups", "nights", "records", "show", "table"]
