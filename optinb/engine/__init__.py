"""Published tables as one set of Narwhals frames, whatever engine runs them."""

from optinb.engine.opening import open_tables
from optinb.engine.polars import tables_of
from optinb.engine.tables import Tables, day_bounds, kinds

__all__ = ["Tables", "day_bounds", "kinds", "open_tables", "tables_of"]
