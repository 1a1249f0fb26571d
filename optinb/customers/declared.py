"""Features that a workspace declares in its settings: `[[features]]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.customers.features import FEATURES, IN_UNITS, Aggregate, Feature, Kind, comeback_feature
from optinb.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from optinb.base.settings import FeatureSection

COLUMNS: dict[str, tuple[str, ...]] = {
    "purchases": ("day", "amount", "currency", "quantity", "product", "category"),
    "events": ("day", "name", "value"),
}
"""What a feature can be gathered of, or look at."""


def declared_features(sections: Iterable[FeatureSection], *, taken: Collection[str] = ()) -> tuple[Feature, ...]:
    """The features of the settings. `taken`: names of columns that exist otherwise.

    Raises SettingsError, naming the feature, the value and the remedy.
    """
    used = {feature.name for feature in (*FEATURES, comeback_feature(30))} | set(taken)
    made = []
    for section in sections:
        if section.name in used:
            raise SettingsError(f"feature {section.name!r}: there is a column of that name already; choose another")
        used.add(section.name)
        made.append(_feature(section))
    return tuple(made)


def _feature(section: FeatureSection) -> Feature:
    known = COLUMNS[section.source]
    for column in (*section.where, *([section.of] if section.of else [])):
        if column not in known:
            raise SettingsError(
                f"feature {section.name!r}: {section.source} have no column {column!r}{did_you_mean(column, known)}"
            )
    if section.of is None and section.how != "count":
        raise SettingsError(f'feature {section.name!r}: of which column is the {section.how}? Add of = "amount"')
    if section.how in ("sum", "mean") and section.of not in IN_UNITS:
        raise SettingsError(f"feature {section.name!r}: {section.of!r} has no {section.how}; only a number has one")
    kind: Kind = "number"
    if section.how in ("count", "n_unique"):
        kind = "count"
    elif section.of == "day":
        kind = "date"
    elif section.of == "amount":
        kind = "money"
    elif section.of not in IN_UNITS:
        kind = "text"
    return Feature(
        name=section.name,
        kind=kind,
        sentence=section.sentence or _sentence(section),
        made=Aggregate(
            "rows" if section.source == "purchases" else "events",
            section.of or "day",
            section.how,
            section.days,
            tuple((name, (v,) if isinstance(v, str) else v) for name, v in section.where.items()),
        ),
    )


def _sentence(section: FeatureSection) -> str:
    what = f"{section.how} of {section.of}" if section.of else "Number"
    where = " and ".join(
        f"{name} {value if isinstance(value, str) else ' or '.join(value)}" for name, value in section.where.items()
    )
    rows = f"{section.source} with {where}" if where else section.source
    return f"{what[0].upper()}{what[1:]} of {rows}" + (f" in the last {section.days} days." if section.days else ".")
