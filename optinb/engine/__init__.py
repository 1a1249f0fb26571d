"""Published tables as one set of Narwhals frames, whatever engine runs them."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.engine.opening import open_tables
    from optinb.engine.tables import Tables, day_bounds, kinds, tables_of
else:
    __getattr__ = lazily(
        __name__,
        {
            ".opening": "open_tables",
            ".tables": "Tables day_bounds kinds tables_of",
        },
    )
