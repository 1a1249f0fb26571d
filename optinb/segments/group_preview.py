"""A rule on the data, before anybody is written to: how many customers, whom a push reaches, and what keeps it away."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from optinb.rules import Rule, sentence
from optinb.segments.engine_choice import members_on
from optinb.segments.exclusions import Waterfall
from optinb.segments.membership_cache import flagged, remembered
from optinb.segments.reach import Reach
from optinb.segments.reach_cache import live

if TYPE_CHECKING:
    import polars as pl

    from optinb.base.settings import Engine
    from optinb.engine import Tables
    from optinb.segments.tables_view import TablesView

SAMPLE = 5


class Preview(Struct, frozen=True, kw_only=True):
    """A rule on the data: exact count, share of all customers, reach by app, and the way to who could get a push.

    Attributes:
        sentence: what the rule says, in plain English.
        customers: how many belong.
        total: how many customers there are.
        run_date: the night as of which it was counted.
        warehouse_version: the number of the version that was read.
        app_group: the name of the app group whose apps are looked at; None for all apps.
        reach: of the members, by app and platform.
        waterfall: how many members each reason keeps from a push.
        sample: the attributes of some members, spread evenly over all of them, so that each time they are the same.
    """

    sentence: str
    customers: int
    total: int
    run_date: date
    warehouse_version: int
    app_group: str | None
    reach: Reach
    waterfall: Waterfall
    sample: tuple[dict[str, Any], ...] = ()

    @property
    def share(self) -> float:
        """The group's share of all customers, 0 to 1."""
        return self.customers / self.total if self.total else 0.0


def preview_of(reading: TablesView, rule: Rule | str, *, app_group: str | None, engine: Engine | None) -> Preview:
    """A rule, or a saved group by name, on the data; see `Reading.preview`."""
    tree, bound = reading.groups.rule(rule), reading.groups.bound(rule)
    tables = reading.tables_for(bound)
    group = reading.settings.app_group(app_group) if app_group else None
    apps = group.apps if group else tuple(a for g in reading.settings.app_groups for a in g.apps)
    inside = _inside(reading, bound, tables, engine)
    reach, waterfall = live(reading.snapshot(), apps).figures(inside)
    return Preview(
        sentence=sentence(tree),
        customers=int(inside.sum()),
        total=len(inside),
        run_date=tables.run_date,
        warehouse_version=tables.version,
        app_group=group.name if group else None,
        reach=reach,
        waterfall=waterfall,
        sample=_sample(tables, inside),
    )


def _sample(tables: Tables, inside: pl.Series) -> tuple[dict[str, Any], ...]:
    rows = inside.arg_true()
    size = min(SAMPLE, len(rows))
    places = [rows[at * len(rows) // size] for at in range(size)]
    return tuple(tables.customers.to_native().collect()[places].to_dicts())


def _inside(reading: TablesView, rule: Rule, tables: Tables, engine: Engine | None) -> pl.Series:
    """Who belongs to a rule: true or false for each customer, in the order of the tables."""
    if (engine or reading.settings.engine.default) == "polars":
        return remembered(reading.snapshot()).inside(rule, tables)
    return flagged(
        members_on(reading.snapshot(), rule, tables, engine=engine, settings=reading.settings.engine), tables
    )
