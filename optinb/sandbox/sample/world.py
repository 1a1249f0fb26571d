"""The fictional shop behind the sample: where its customers live, what it sells, which apps it has.

The app ids, platforms and versions fit the example settings (`data/optinb.toml`): Shop on iPhone counts from 3.2.0,
Shop on Android from 3.1.0, so some of the versions here are from before the Appboy SDK.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

DAY_S = 86_400
# A delivery holds everything before midnight on the shop's clock. The clock is CET all year: one hour off in summer
# is easier to reason about than a day of 23 hours.
SHOP_UTC_OFFSET_S = 3_600
SHOP_ZONE = "Europe/Berlin"


class Place(Struct, frozen=True):
    """Where customers live; `utc_offset_h` is the standard time's, good enough to have people buy in their daytime."""

    share: float
    country: str
    language: str
    zone: str
    utc_offset_h: int
    cities: tuple[str, ...]


class SampleApp(Struct, frozen=True):
    """An app with its versions, oldest first, and the share of users on each."""

    id: str
    versions: tuple[str, ...]
    shares: tuple[float, ...]


class Category(Struct, frozen=True):
    """What is sold: popularity, median price as a multiple of the customer's usual one, number of products."""

    name: str
    share: float
    price: float
    products: int


PLACES = (
    Place(0.42, "DE", "de", "Europe/Berlin", 1, ("Berlin", "Hamburg", "Köln", "Leipzig", "München", "Nürnberg")),
    Place(0.09, "AT", "de", "Europe/Vienna", 1, ("Graz", "Linz", "Wien")),
    Place(0.06, "CH", "de", "Europe/Zurich", 1, ("Basel", "Bern", "Zürich")),
    Place(0.02, "CH", "fr", "Europe/Zurich", 1, ("Genève", "Lausanne")),
    Place(0.14, "FR", "fr", "Europe/Paris", 1, ("Lille", "Lyon", "Nantes", "Paris")),
    Place(0.11, "GB", "en", "Europe/London", 0, ("Bristol", "Leeds", "London")),
    Place(0.05, "ES", "es", "Europe/Madrid", 1, ("Madrid", "Sevilla", "Valencia")),
    Place(0.01, "ES", "es", "Atlantic/Canary", 0, ("Las Palmas",)),
    Place(0.05, "US", "en", "America/New_York", -5, ("Boston", "New York")),
    Place(0.02, "US", "en", "America/Chicago", -6, ("Chicago", "Houston")),
    Place(0.03, "US", "en", "America/Los_Angeles", -8, ("Los Angeles", "Seattle")),
)
FIRST_NAMES: dict[str, tuple[str, ...]] = {
    "de": ("Anna", "Ben", "Clara", "David", "Emil", "Greta", "Jonas", "Jürgen", "Lena", "Mia", "Paul", "Sophie"),
    "fr": ("Chloé", "Hugo", "Inès", "Jules", "Léa", "Louis", "Manon", "Noé", "René", "Zoé"),
    "en": ("Alice", "Amir", "Charlotte", "George", "Jack", "Olivia", "Ruby", "Sam", "Tom", "Zara"),
    "es": ("Álvaro", "Carmen", "Diego", "Elena", "Íñigo", "Lucía", "Pablo", "Sofía"),
}
APPS = (
    SampleApp("shop-ios", ("3.0.2", "3.1.4", "3.2.0", "3.4.1", "4.0.0", "4.1.3"), (0.04, 0.06, 0.08, 0.14, 0.23, 0.45)),
    SampleApp(
        "shop-android", ("2.9.8", "3.0.7", "3.1.0", "3.4.0", "4.0.2", "4.1.3"), (0.05, 0.07, 0.10, 0.15, 0.23, 0.40)
    ),
    SampleApp("club-ios", ("1.0.0", "1.1.0", "1.2.5"), (0.10, 0.25, 0.65)),
    SampleApp("club-android", ("1.0.1", "1.1.0", "1.2.4"), (0.12, 0.28, 0.60)),
)
CATEGORIES = (
    Category("accessories", 0.26, 0.6, 80),
    Category("shoes", 0.22, 1.4, 60),
    Category("jackets", 0.12, 2.1, 40),
    Category("sport", 0.18, 1.0, 70),
    Category("home", 0.14, 0.9, 50),
    Category("kids", 0.08, 0.7, 40),
)
CHANNELS = ("search", "social", "store", "referral", "affiliate")
CHANNEL_SHARES = (0.38, 0.24, 0.18, 0.12, 0.08)

# How much people feel like buying, as a share of the busiest moment; local time of the customer.
_BY_HOUR = np.array(
    [.10, .05, .02, .02, .02, .04, .10, .22, .35, .45, .55, .60, .65, .60, .55, .55, .60, .70,
     .82, .95, 1.0, .95, .70, .35]
)  # fmt: skip
_BY_WEEKDAY = np.array([0.72, 0.70, 0.72, 0.76, 0.86, 1.0, 0.84])  # Monday first
_BY_MONTH = np.array([0.70, 0.64, 0.68, 0.70, 0.72, 0.70, 0.68, 0.64, 0.72, 0.76, 0.92, 1.0])
MEAN_APPETITE = float(_BY_HOUR.mean() * _BY_WEEKDAY.mean() * _BY_MONTH.mean())


def appetite(local_s: np.ndarray) -> np.ndarray:
    """The daily, weekly and seasonal pattern, 0 to 1, at each local time (int64 seconds since 1970, local clock)."""
    hour = local_s // 3_600 % 24
    weekday = (local_s // DAY_S + 3) % 7  # 1 January 1970 was a Thursday
    month = local_s.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    return _BY_HOUR[hour] * _BY_WEEKDAY[weekday] * _BY_MONTH[month]


def pick(rng: np.random.Generator, shares: tuple[float, ...], n: int) -> np.ndarray:
    """`n` int64 indices drawn with the given shares (which need not add up to one)."""
    edges = np.cumsum(shares)
    return np.minimum(np.searchsorted(edges, rng.random(n) * edges[-1], side="right"), len(shares) - 1)
