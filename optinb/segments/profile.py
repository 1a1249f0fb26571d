"""What makes a group different: how its attributes are distributed, against those of everybody else.

Beside it what rules can ask about at all, with the words for it: for forms in which people choose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.base.figures import figure, share
from optinb.customers import ATTRIBUTES, declared_features, labels_of, meanings_of
from optinb.engine import kinds
from optinb.errors import UsageError, WarehouseError, did_you_mean
from optinb.rules import Kind, Rule, sentence
from optinb.segments.membership_cache import remembered
from optinb.segments.restated import IDS, made_of_purchases, restated

if TYPE_CHECKING:
    from optinb.segments.tables_view import TablesView

LEAST = 0.005  # of a distance that is worth telling
BANDS = 10  # of an attribute, beside that of the customers of whom it isn't known
UNKNOWN = "not known"  # the label of the band of customers of whom an attribute isn't known
SHARES = frozenset(a.name for a in ATTRIBUTES if a.kind == "share")


class Band(Struct, frozen=True, kw_only=True):
    """Some values of an attribute, and how many customers have them.

    `low` and `high` are the smallest and the largest of the values, both None for the rarer texts together and for
    customers of whom the attribute isn't known.
    """

    label: str
    low: Any
    high: Any
    inside: int
    outside: int


def can_be_chosen(band: Band) -> bool:
    """Whether a condition says what a band is of; the rarer texts together are none that could be named."""
    return band.low is not None or band.label == UNKNOWN


class Difference(Struct, frozen=True, kw_only=True):
    """An attribute inside the group against outside.

    `distance`, 0 to 1, is the share of the group who would need another value for the two distributions to be the same
    (total variation distance over the bands). `is_asked`: the rule itself asks about it, or about what it is made of.
    """

    attribute: str
    label: str
    distance: float
    bands: tuple[Band, ...]
    is_asked: bool


class Profile(Struct, frozen=True, kw_only=True):
    """What makes a group different: its attributes, the most different first.

    Attributes:
        sentence: what the group is, in plain English.
        run_date: the night as of which it was looked at.
        inside: how many customers are in the group.
        outside: how many it is compared with.
        differences: one for each attribute; `telling` are those that the rule doesn't say itself.
        against: the other group in plain English; None where everybody else is outside.
    """

    sentence: str
    run_date: date
    inside: int
    outside: int
    differences: tuple[Difference, ...]
    against: str | None = None

    @property
    def telling(self) -> tuple[Difference, ...]:
        """What differs, and isn't just what the rule says."""
        return tuple(d for d in self.differences if not d.is_asked and d.distance >= LEAST)

    @property
    def restated(self) -> tuple[Difference, ...]:
        """What the rule says itself."""
        return tuple(d for d in self.differences if d.is_asked)

    def shares(self, band: Band) -> tuple[float, float]:
        """The share of the group, and of everybody else, in a band.

        Args:
            band: of one of the `differences`.

        Returns:
            two shares, 0 to 1; 0 where there is nobody.
        """
        return band.inside / max(self.inside, 1), band.outside / max(self.outside, 1)

    def table(self) -> pl.DataFrame:
        """One row a band, those of the most different attribute first.

        Returns:
            a frame with attribute (text), distance (Float64), values (text), inside and outside (Int64, customers), and
            their shares (Float64, 0 to 1).
        """
        return pl.DataFrame(
            [
                (d.attribute, d.distance, band.label, band.inside, band.outside, *self.shares(band))
                for d in self.differences
                for band in d.bands
            ],
            schema={
                "attribute": pl.String,
                "distance": pl.Float64,
                "values": pl.String,
                "inside": pl.Int64,
                "outside": pl.Int64,
                "share_inside": pl.Float64,
                "share_outside": pl.Float64,
            },
            orient="row",
        )


def profile(
    customers: pl.DataFrame,
    inside: pl.Series,
    *,
    sentence: str,
    run_date: date,
    asked: Collection[str] = (),
    zone: str = "UTC",
    labels: Mapping[str, str] | None = None,
) -> Profile:
    """The attributes of a group against everybody else's.

    Args:
        customers: one row a customer. Texts, yes/no, numbers and days are compared, columns of other types left out.
        inside: who belongs to the group, booleans without null, in the order of `customers`.
        sentence: the rule in words.
        run_date: the night of the data.
        asked: attributes that the rule asks about, or that are made of what it asks about.
        zone: the time zone of which the days of times are told.
        labels: what people call the attributes.
    """
    size = int(inside.sum())
    outside = customers.height - size
    found = []
    for name in customers.columns:
        values = comparable(customers[name], zone) if name not in IDS else None
        if values is None:
            continue
        bands = bands_of(values, inside, is_share=name in SHARES)
        apart = sum(abs(b.inside / max(size, 1) - b.outside / max(outside, 1)) for b in bands)
        # where one side is empty there is nothing to compare
        distance = apart / 2 if size and outside else 0.0
        label = (labels or {}).get(name, name.replace("_", " "))
        found.append(Difference(attribute=name, label=label, distance=distance, bands=bands, is_asked=name in asked))
    found.sort(key=lambda difference: (-difference.distance, difference.attribute))
    return Profile(sentence=sentence, run_date=run_date, inside=size, outside=outside, differences=tuple(found))


def bands_of(values: pl.Series, inside: pl.Series, *, is_share: bool = False) -> tuple[Band, ...]:
    """The values of an attribute in at most BANDS bands, and one for those without any; a share is told in percent.

    Numbers and days with more values than that are cut into bands of about as many customers each, and never between
    two customers with the same value. Of texts the most frequent have a band each, and all others one together.
    """
    counted = (
        pl.DataFrame({"value": values, "inside": inside})
        .group_by("value")
        .agg(pl.col("inside").sum().cast(pl.Int64), all=pl.len().cast(pl.Int64))
        .with_columns(outside=pl.col("all") - pl.col("inside"))
    )
    unknown = counted.filter(pl.col("value").is_null())
    known = counted.filter(pl.col("value").is_not_null())
    if values.dtype in (pl.String, pl.Boolean):
        bands = _frequent(known.sort([-pl.col("all"), pl.col("value")]))
    elif known.height <= BANDS:
        bands = [_band(_label(v, v, is_share), v, v, i, o) for v, i, o in _rows(known.sort("value"), "value")]
    else:
        before = pl.col("all").cum_sum() - pl.col("all")
        cut = known.sort("value").with_columns(band=before * BANDS // pl.col("all").sum())
        grouped = cut.group_by("band", maintain_order=True).agg(
            low=pl.col("value").first(), high=pl.col("value").last(), inside=pl.sum("inside"), outside=pl.sum("outside")
        )
        bands = [
            _band(_label(low, high, is_share), low, high, i, o) for low, high, i, o in _rows(grouped, "low", "high")
        ]
    return (*bands, *(_band(UNKNOWN, None, None, i, o) for i, o in _rows(unknown)))


def distribution_of(reading: TablesView, attribute: str) -> Distribution:
    """How an attribute is distributed over all customers. Raises UsageError for one that isn't known."""
    tables = reading.tables()
    known = kinds(tables.customer_schema)
    if attribute not in known:
        raise UsageError(f"attribute {attribute!r} isn't known{did_you_mean(attribute, known)}")
    values = comparable(tables.customers.select(attribute).collect("polars").to_native()[attribute], tables.zone.key)
    if values is None:
        raise UsageError(f"attribute {attribute!r} has values that can't be counted")
    return Distribution(
        attribute=attribute,
        kind=known[attribute],
        customers=len(values),
        known=len(values) - values.null_count(),
        bands=bands_of(values, pl.repeat(False, len(values), eager=True)),
    )


def profile_of(reading: TablesView, *rules: Rule | str) -> Profile:
    """A rule or saved group against everybody else, or against a second one; who is in both counts on both sides."""
    groups = reading.groups
    bound = [groups.bound(rule) for rule in rules]
    tables, memory = reading.tables_for(*bound), remembered(reading.snapshot())
    customers = tables.customers.to_native().collect()
    flags = [memory.inside(rule, tables) for rule in bound]
    inside = flags[0]
    if len(rules) > 1:
        sides = [customers.filter(flag) for flag in flags]
        customers = pl.concat(sides)
        inside = pl.concat(pl.repeat(at == 0, side.height, eager=True) for at, side in enumerate(sides))
    of_purchases = made_of_purchases(declared_features(reading.settings.features))
    asked = frozenset().union(*(restated(rule, of_purchases=of_purchases) for rule in bound))
    labels, zone = labels_of(customers.columns, reading.settings.labels), tables.zone.key
    words = [sentence(groups.rule(rule), labels) for rule in rules]
    found = profile(
        customers, inside, sentence=words[0], run_date=tables.run_date, asked=asked, zone=zone, labels=labels
    )
    return replace(found, against=words[1] if len(words) > 1 else None)


def _frequent(known: pl.DataFrame) -> list[Band]:
    kept = known.height if known.height <= BANDS else BANDS - 1
    bands = [_band(_label(v, v, False), v, v, i, o) for v, i, o in _rows(known.head(kept), "value")]
    rest = known.slice(kept)
    if rest.height:
        bands.append(
            _band(f"{rest.height:,} others", None, None, int(rest["inside"].sum()), int(rest["outside"].sum()))
        )
    return bands


def _rows(frame: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(*columns, "inside", "outside").rows()


def _band(label: str, low: Any, high: Any, inside: int, outside: int) -> Band:
    return Band(label=label, low=low, high=high, inside=inside, outside=outside)


def comparable(values: pl.Series, zone: str = "UTC") -> pl.Series | None:
    """The values as rules compare them: not-a-number as not known, times as their days; None if they can't be."""
    dtype = values.dtype
    if dtype.is_float():
        return values.fill_nan(None)
    if isinstance(dtype, pl.Decimal):
        return values.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        utc = values if dtype.time_zone else values.dt.replace_time_zone("UTC")
        return utc.dt.convert_time_zone(zone).dt.date()
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    return values if dtype.is_integer() or dtype in (pl.String, pl.Boolean, pl.Date) else None


def _label(low: Any, high: Any, is_share: bool) -> str:
    return _text(low, is_share) if low == high else f"{_text(low, is_share)} to {_text(high, is_share)}"


def _text(value: Any, is_share: bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_share:
        return share(value)
    if isinstance(value, float):
        return figure(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


KEYS = frozenset({"customer_id", "transaction_id", "event_id", "occurred_at"})


class Vocabulary(Struct, frozen=True, kw_only=True):
    """The names that rules can hold; all empty before the first import.

    Attributes:
        attributes, purchases, events: kind by name of the attributes of a customer, and of the columns of a purchase
            and of an event.
        labels: what people call an attribute, by its name; each has one of its own.
        meanings: what an attribute means, in a sentence by its name; of the team's own columns nothing is known.
        event_names: of all events that were ever delivered.
        apps: name and platform of each app by its id.
        campaigns, groups, lists: names, sorted.
    """

    attributes: dict[str, Kind] = {}
    purchases: dict[str, Kind] = {}
    events: dict[str, Kind] = {}
    labels: dict[str, str] = {}
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
    attributes = kinds(tables.customer_schema)
    return Vocabulary(
        attributes=attributes,
        purchases={name: kind for name, kind in kinds(tables.purchase_schema).items() if name not in KEYS},
        events={name: kind for name, kind in kinds(tables.event_schema).items() if name not in KEYS},
        labels=labels_of(attributes, reading.settings.labels),
        meanings=meanings_of(declared_features(reading.settings.features), tables.scores),
        event_names=tuple(sorted(tables.event_names())),
        campaigns=tuple(sorted(campaigns())),
        **names,
    )
