"""Segmentation layers: what is looked at of customers, in bands on one scale with a word for each.

A band means the same in every stage, and its cut points are rounded to figures that a person would name. All figures
are such that only a purchase, an app or a delivered text moves them, never the mere passing of time: whoever did
nothing since last night is in the band of last night, so that nobody has to remember it. That is why spend is that of
the days up to a customer's last purchase, and rhythm a pause that has ended.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import narwhals as nw
import polars as pl
from msgspec import Struct

from optinb.base.figures import figure
from optinb.customers.features import LATEST_DAYS

LayerName = Literal["spend", "rhythm", "taste", "apps", "people"]

LAYERS: Mapping[LayerName, str] = {
    "spend": "latest_spend",
    "rhythm": "rhythm_days",
    "taste": "favourite_category",
    "apps": "apps",
}
"""The column behind each layer that every workspace has; that of people is one that is delivered (`kind_of_people`)."""

SPENDERS: Mapping[int, tuple[tuple[float, ...], tuple[str, ...]]] = {
    4: ((0.35, 0.65, 0.88), ("low", "medium", "high", "very high")),
    5: ((0.20, 0.42, 0.66, 0.88), ("very low", "low", "medium", "high", "very high")),
}
"""For a number of bands of spend: the shares of the buyers below each cut, and the words from below."""

RHYTHMS = (1 / 3, 2 / 3)
"""The shares of those who bought more than once whose usual pause is at most as long as each cut."""

# Amounts that people name, up to a power of ten; and pauses in days.
_ROUND = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_PAUSES = (2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
MOST_VALUES = 3
"""Of a text, so many values have a band of their own; all others share one."""

FEWEST_WITH = 0.05
"""The share of the customers that such a value has at least, and a band of spend of the buyers."""

KINDS_OF_PEOPLE = 8
"""A delivered text with more values tells places or names, not kinds of people."""

_LONGEST_WORD = 30


class Scale(Struct, frozen=True, kw_only=True):
    """The bands of a layer.

    Attributes:
        layer: its name.
        column: what it reads of each customer.
        cuts: between bands of a number, upwards.
        values: the texts with a band of their own; the last band has all others, and those without one.
        words: of each band, in their order.
    """

    layer: LayerName
    column: str
    words: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def whole(self) -> tuple[int, int]:
        """The first and the last band."""
        return 0, len(self.words) - 1

    def band(self) -> nw.Expr:
        """The number (Int64, from 0) of each customer's band.

        Nothing bought is in the lowest band of spend, a single purchase, which has no pause, in the last of rhythm.
        """
        column = nw.col(self.column)
        match self.layer:
            case "spend":
                return _first([column < cut for cut in self.cuts], nothing=column.is_null())
            case "rhythm":
                once = nw.lit(len(self.words) - 1)
                longer = _first([column <= cut for cut in self.cuts])
                return nw.when(column.is_null()).then(once).otherwise(longer).cast(nw.Int64)
            case "apps":
                return nw.when(column >= 1).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)
            case "taste" | "people":
                return _first([column == value for value in self.values])

    def word(self, low: int, high: int) -> str:
        """What some neighbouring bands are called in a label, such as "medium or high spend"."""
        named = self.words[low : high + 1]
        brief = len(named) <= 2 or high < len(self.values)  # the last band of texts is all others
        match self.layer:
            case "spend":
                return f"{_range(named, self.words, 'lower', 'higher')} spend"
            case "rhythm":
                # its bands go from often to once
                return f"bought {_range(named, self.words, 'more', 'less')}"
            case "apps":
                return self.words[low]
            case "taste":
                return f"mostly {' or '.join(named)}" if brief else f"not mostly {' or '.join(self.words[:low])}"
            case "people":
                what = _plain(self.column)
                return f"{what} {' or '.join(named)}" if brief else f"{what} not {' or '.join(self.words[:low])}"

    def sentence(self, low: int, high: int) -> str:
        """What some neighbouring bands mean, with their figures."""
        match self.layer:
            case "spend":
                return f"spent {self._between(low, high)} in the {LATEST_DAYS} days up to their last purchase"
            case "rhythm":
                return self._pauses(low, high)
            case "apps":
                return "use an app" if low else "use no app"
            case "taste" | "people":
                what = "favourite category" if self.layer == "taste" else _plain(self.column)
                if high < len(self.values):
                    return f"{what} is {' or '.join(self.words[low : high + 1])}"
                return f"{what} isn't {' or '.join(self.words[:low])}, or isn't known"

    def told(self) -> str:
        """All bands with their figures, for the model card."""
        bands = (f"{self.word(i, i)} ({self.sentence(i, i)})" for i in range(len(self.words)))
        return f"{self.layer}: {'; '.join(bands)}"

    def _between(self, low: int, high: int) -> str:
        least = f"{figure(self.cuts[low - 1])} or more" if low else ""
        below = f"less than {figure(self.cuts[high])}" if high < len(self.cuts) else ""
        return " and ".join(filter(None, (least, below))) or "any amount"

    def _pauses(self, low: int, high: int) -> str:
        once = "bought on one day alone"
        last = len(self.words) - 1
        if low == last:
            return once
        pauses = min(high, last - 1)
        longer = f"more than {figure(self.cuts[low - 1])}" if low else ""
        most = f"at most {figure(self.cuts[pauses])}" if pauses < len(self.cuts) else ""
        between = " and ".join(filter(None, (longer, most)))
        days = f"usually {between} days between two purchases" if between else "bought on more than one day"
        return f"{days}, or {once}" if high == last else days


def learn_scales(
    table: pl.DataFrame, layers: Iterable[LayerName], *, spend_bands: int, delivered: Sequence[str] = ()
) -> tuple[Scale, ...]:
    """The scales of some layers in their order, without those in which all customers are alike.

    Args:
        table: a row for each customer, with the columns of `LAYERS` and what is delivered.
        layers: those that are asked for.
        spend_bands: the number of bands of spend, of `SPENDERS`.
        delivered: the texts that may tell kinds of people.
    """
    found = []
    for layer in layers:
        match layer:
            case "spend":
                scale = _spend(table, spend_bands)
            case "rhythm":
                scale = _rhythm(table)
            case "apps":
                scale = Scale(layer=layer, column=LAYERS[layer], words=("without an app", "with an app"))
            case "taste":
                scale = _of_text(table, layer, LAYERS[layer], others="other things")
            case "people":
                column = kind_of_people(table.select(delivered))
                scale = _of_text(table, layer, column, others="other") if column else None
        if scale and nw.from_native(table).select(scale.band().alias("band")).to_native()["band"].n_unique() > 1:
            found.append(scale)
    return tuple(found)


def kind_of_people(delivered: pl.DataFrame) -> str | None:
    """The text of few values that most evenly tells customers apart; None without one that half of them have."""
    best: tuple[float, str] | None = None
    for name, kind in sorted(delivered.schema.items()):
        known = delivered[name].drop_nulls() if kind == pl.String else None
        if known is None or len(known) * 2 < len(delivered) or not 2 <= known.n_unique() <= KINDS_OF_PEOPLE:
            continue
        most = known.value_counts()["count"].to_list()
        if best is None or max(most) / len(known) < best[0]:
            best = (max(most) / len(known), name)
    return best[1] if best else None


def _spend(table: pl.DataFrame, bands: int) -> Scale | None:
    shares, words = SPENDERS[bands]
    spent = table.filter(pl.col("purchases") > 0)["latest_spend"].drop_nulls()
    cuts: list[float] = []
    for share in shares:
        cut = _named(spent.quantile(share, "nearest"))
        below = spent if not cuts else spent.filter(spent >= cuts[-1])
        enough = FEWEST_WITH * len(spent)
        if cut and (below < cut).sum() >= enough and (spent >= cut).sum() >= enough:
            cuts.append(cut)
    if not cuts:
        return None
    fewer: Mapping[int, tuple[str, ...]] = {2: ("low", "high"), 3: ("low", "medium", "high"), 4: SPENDERS[4][1]}
    return Scale(layer="spend", column=LAYERS["spend"], cuts=tuple(cuts), words=fewer.get(len(cuts) + 1, words))


def _rhythm(table: pl.DataFrame) -> Scale | None:
    pauses = table["rhythm_days"].drop_nulls()
    cuts: list[float] = []
    for share in RHYTHMS:
        cut = float(_nearest(pauses.quantile(share, "nearest") or 0.0, _PAUSES))
        if cut not in cuts and (pauses > cut).any() and (pauses <= cut).any():
            cuts.append(cut)
    words = {0: ("more than once",), 1: ("often", "rarely"), 2: ("often", "sometimes", "rarely")}[len(cuts)]
    return Scale(layer="rhythm", column=LAYERS["rhythm"], cuts=tuple(cuts), words=(*words, "once"))


def _of_text(table: pl.DataFrame, layer: LayerName, column: str, *, others: str) -> Scale | None:
    known = table[column].drop_nulls()
    counted = known.value_counts().sort(["count", column], descending=[True, False])
    enough = FEWEST_WITH * len(known)
    values: list[str] = []
    words = [others]
    for value, count in counted.iter_rows():
        word = _plain(value)
        if count >= enough and len(values) < MOST_VALUES and word and word not in words:
            values.append(value)
            words.insert(-1, word)
    return Scale(layer=layer, column=column, values=tuple(values), words=tuple(words)) if values else None


def _first(conditions: Sequence[nw.Expr], nothing: nw.Expr | None = None) -> nw.Expr:
    """The number of the first condition that holds, or how many there are; 0 where there is `nothing`."""
    number: nw.Expr = nw.lit(len(conditions))
    for i in range(len(conditions) - 1, -1, -1):
        number = nw.when(conditions[i]).then(nw.lit(i)).otherwise(number)
    if nothing is not None:
        number = nw.when(nothing).then(nw.lit(0)).otherwise(number)
    return number.cast(nw.Int64)


def _range(named: Sequence[str], words: Sequence[str], down: str, up: str) -> str:
    """Neighbouring bands in words: one, both of two, or what lies beyond the outermost one."""
    if len(named) <= 2:
        return " or ".join(named)
    if named[0] == words[0]:
        return f"{named[-1]} or {down}"
    return f"{named[0]} or {up}" if named[-1] == words[-1] else f"{named[0]} to {named[-1]}"


def _named(amount: float | None) -> float | None:
    """The nearest amount that people name; None of nothing."""
    if not amount or amount <= 0:
        return None
    power = math.floor(math.log10(amount))
    unit: float = 10.0**power
    return round(_nearest(amount / unit, _ROUND) * unit, 6)


def _nearest(figure: float, named: Sequence[float]) -> float:
    return min(named, key=lambda one: (abs(one - figure), one))


def _plain(text: str) -> str:
    """A delivered text as it stands in a label: short, and without the signs that set a label's parts apart."""
    return re.sub(r"[\s_,;:.\"'“”‘’`<>{}\[\]()\\|]+", " ", text).strip()[:_LONGEST_WORD].strip()
