"""The groups of one night, whose behaviours are measured together: fifty cost a few times what one does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from optinb.errors import OptinbError, RuleError
from optinb.segments.compile import check
from optinb.segments.together import members_of_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import polars as pl

    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.segments.tables_view import TablesView


class SharedGroups:
    """Who belongs to each of some rules, on one version of the tables and as of one night.

    A rule that doesn't fit the tables is left out, so that it stands in nobody's way; so is everything where there are
    fewer than two rules to share anything. Whoever uses such a rule evaluates it alone and is told what is wrong.
    """

    def __init__(self, reading: TablesView, rules: Iterable[Rule], *, run_date: date | None) -> None:
        """Args: `rules` name no groups any more; `run_date` as in `Reading.tables`."""
        self._columns: dict[Rule, str] = {}
        self._found: pl.DataFrame | None = None
        distinct = tuple(dict.fromkeys(rules))
        if len(distinct) < 2:
            return
        self._of = (reading.snapshot().version, run_date)
        tables = reading.tables_for(*distinct, run_date=run_date)
        fitting = {f"rule {number}": rule for number, rule in enumerate(distinct) if _fits(rule, tables)}
        if len(fitting) < 2:
            return
        with suppress(OptinbError):
            self._found = members_of_all(fitting, tables)
            self._columns = {rule: name for name, rule in fitting.items()}

    def members(self, reading: TablesView, rule: Rule, *, run_date: date | None) -> pl.LazyFrame | None:
        """The customers (customer_id, each once) of one of the rules.

        None where they weren't found together with others, or on another version or night than is asked for.
        """
        column = self._columns.get(rule)
        if self._found is None or column is None or self._of != (reading.snapshot().version, run_date):
            return None
        return self._found.lazy().filter(column).select("customer_id")


def _fits(rule: Rule, tables: Tables) -> bool:
    try:
        check(rule, tables)
    except RuleError:
        return False
    return True
