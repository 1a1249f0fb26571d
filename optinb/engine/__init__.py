"""Published tables as one set of Narwhals frames, whatever engine runs them."""

from optinb.engine.tables import Tables, day_bounds, kinds, tables_of

__all__ = ["Tables", "day_bounds", "kinds", "tables_of"]
