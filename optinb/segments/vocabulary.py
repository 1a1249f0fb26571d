"""What rules can ask about in a version of the tables, with the words for it: for forms in which people choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.customers import ATTRIBUTES
from optinb.engine import kinds
from optinb.errors import WarehouseError
from optinb.rules import Kind
from optinb.segments.profile import Band

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from optinb.segments.tables_view import TablesView

KEYS = frozenset({"customer_id", "transaction_id", "event_id", "occurred_at"})


class Vocabulary(Struct, frozen=True, kw_only=True):
    """The names that rules can hold; all empty before the first import.

    Attributes:
        attributes, purchases, events: kind by name of the attributes of a customer, and of the columns of a purchase
            and of an event.
        meanings: what optinb works out itself, in a sentence by attribute.
        event_names: of all events that were ever delivered.
        apps: name and platform of each app by its id.
        campaigns, groups, lists: names, sorted.
    """

    attributes: dict[str, Kind] = {}
    purchases: dict[str, Kind] = {}
    events: dict[str, Kind] = {}
    meanings: dict[str, str] = {}
    event_names: tuple[str, ...] = ()
    apps: dict[str, tuple[str, str]] = {}
    campaigns: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


class Distribution(Struct, frozen=True, kw_only=True):
    """How an attribute is distributed: its values in a few bands, the customers of whom it isn't known last.

    No group is looked at, so that every customer of a band is outside.
    """

    attribute: str
    kind: Kind
    customers: int
    known: int
    bands: tuple[Band, ...]


def vocabulary_of(reading: TablesView, *, campaigns: Callable[[], Iterable[str]]) -> Vocabulary:
    """What can be asked of the version that is read; `campaigns`: finds their names."""
    names = {
        "apps": {app.id: (app.name, app.platform) for group in reading.settings.app_groups for app in group.apps},
        "groups": tuple(sorted(group.name for group in reading.groups.list())),
        "lists": tuple(sorted(kept.name for kept in reading.lists.list())),
    }
    try:
        tables = reading.tables()
    except WarehouseError:
        return Vocabulary(**names)
    return Vocabulary(
        attributes=kinds(tables.customer_schema),
        purchases={name: kind for name, kind in kinds(tables.purchase_schema).items() if name not in KEYS},
        events={name: kind for name, kind in kinds(tables.event_schema).items() if name not in KEYS},
        meanings={a.name: a.sentence for a in ATTRIBUTES},
        event_names=tuple(sorted(tables.event_names())),
        campaigns=tuple(sorted(campaigns())),
        **names,
    )
