"""The customers: who they are, and when they feel like buying.

Rhythms are those of the usual models of non-contractual customers, so that fitting one to the sample is meaningful:
each customer buys at a rate of their own (gamma over customers) while active, and stops after a time of their own
(exponential with a gamma rate; Schmittlein, Morrison and Colombo 1987, "Counting your customers"). On top of that,
some never buy, and some of those who stopped come back for a second spell.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from msgspec import Struct

from optinb.sandbox.sample.world import (
    CHANNEL_SHARES,
    CHANNELS,
    DAY_S,
    FIRST_NAMES,
    PLACES,
    SHOP_ZONE,
    pick,
)

NEVER_BUY = 0.08
COME_BACK = 0.45
IN_CLUB = 0.56
CLUB_RATE = 1.9  # members of the club buy that much more often
MEAN_GAP_DAYS = 26.0
GAMMA_SHAPE = 1.6
MEAN_SPELL_DAYS = 400.0
JOINED_EARLIER = 0.40  # share that registered before the history begins


class People(Struct, frozen=True):
    """Customers in columns, one row each. Times are int64 seconds since 1970 UTC, rates purchases a day."""

    number: np.ndarray
    place: np.ndarray
    registered: np.ndarray
    club: np.ndarray
    rate: np.ndarray
    stop: np.ndarray  # end of the first spell, which begins with the registration
    back: np.ndarray  # second spell; back == again_stop where there is none
    again_stop: np.ndarray

    @property
    def utc_offset_s(self) -> np.ndarray:
        """The customer's clock against UTC, int64 seconds."""
        return np.array([place.utc_offset_h * 3_600 for place in PLACES])[self.place]

    @property
    def last_stop(self) -> np.ndarray:
        """When the customer's last spell ends."""
        return np.maximum(self.stop, self.again_stop)


def draw_people(
    rng: np.random.Generator, *, first: int, count: int, joined: tuple[int, int], earlier: float = JOINED_EARLIER
) -> People:
    """Draws `count` customers, numbered from `first`, who registered within `joined` (seconds UTC, end excluded).

    `earlier` is the share that registered up to four years before that window.
    """
    begin, end = joined
    # The square root makes the shop grow: later days of the window have more registrations.
    registered = begin + np.sqrt(rng.random(count)) * (end - begin)
    years_before = rng.beta(1.0, 4.0, count) * 4 * 365 * DAY_S
    registered = np.where(rng.random(count) < earlier, begin - years_before, registered).astype(np.int64)
    club = rng.random(count) < IN_CLUB
    rate = rng.gamma(GAMMA_SHAPE, 1 / (MEAN_GAP_DAYS * GAMMA_SHAPE), count) * np.where(club, CLUB_RATE, 1.0)
    rate[rng.random(count) < NEVER_BUY] = 0.0
    stop = registered + _spells(rng, count)
    pause = ((75 + rng.exponential(90.0, count)) * DAY_S).astype(np.int64)
    returns = rng.random(count) < COME_BACK
    back = stop + pause
    return People(
        number=np.arange(first, first + count),
        place=pick(rng, tuple(place.share for place in PLACES), count),
        registered=registered,
        club=club,
        rate=rate,
        stop=stop,
        back=back,
        again_stop=np.where(returns, back + _spells(rng, count), back),
    )


def _spells(rng: np.random.Generator, count: int) -> np.ndarray:
    """Lengths of active spells, int64 seconds: exponential, with a gamma(2) rate over customers."""
    days = rng.standard_exponential(count) * MEAN_SPELL_DAYS / rng.gamma(2.0, 1.0, count)
    return (np.minimum(days, 3_650) * DAY_S).astype(np.int64)


def customer_ids(numbers: np.ndarray, *, width: int) -> pl.Series:
    """Ids as text with leading zeros, such as `000123`."""
    return pl.Series("customer_id", numbers).cast(pl.String).str.zfill(width)


def instants_column(name: str, seconds: np.ndarray) -> pl.Series:
    """A column of times from seconds since 1970 UTC, on the shop's clock so that CSV files show an offset."""
    micros = pl.Series(name, seconds.astype(np.int64) * 1_000_000)
    return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone(SHOP_ZONE)


def customers_frame(rng: np.random.Generator, people: People, *, width: int, run_date: date) -> pl.DataFrame:
    """The table `customers`: contract columns, then further attributes."""
    n = len(people.number)
    places = pl.DataFrame(
        {
            "country": [place.country for place in PLACES],
            "language": [place.language for place in PLACES],
            "time_zone": [place.zone for place in PLACES],
        }
    )[people.place]
    age_days = ((17 + rng.gamma(4.0, 6.5, n)) * 365.25).astype(np.int64)
    birth = (np.datetime64(run_date) - age_days).astype("datetime64[D]")
    return pl.DataFrame(
        [
            customer_ids(people.number, width=width),
            instants_column("registered_at", people.registered),
            *places,
            _with_gaps(rng, pl.Series("birth_date", birth), 0.12),
            _with_gaps(rng, _choice(rng, "gender", ("female", "male", "diverse"), (0.5, 0.48, 0.02), n), 0.06),
            pl.Series("push_opt_in", rng.random(n) < 0.93),
            pl.Series("is_blocked", rng.random(n) < 0.012),
            pl.Series("is_test", rng.random(n) < 0.004),
            _of_place(rng, "first_name", [FIRST_NAMES[place.language] for place in PLACES], people.place),
            _of_place(rng, "city", [place.cities for place in PLACES], people.place),
            _tier(people),
            pl.Series("newsletter", rng.random(n) < 0.55),
            _choice(rng, "acquisition_channel", CHANNELS, CHANNEL_SHARES, n),
        ]
    )


def _choice(
    rng: np.random.Generator, name: str, values: tuple[str, ...], shares: tuple[float, ...], n: int
) -> pl.Series:
    return pl.Series(name, values).gather(pick(rng, shares, n))


def _with_gaps(rng: np.random.Generator, column: pl.Series, share: float) -> pl.Series:
    """The column with a share of its values missing."""
    missing = pl.Series(rng.random(len(column)) < share)
    return pl.select(pl.when(~missing).then(column).alias(column.name)).to_series()


def _of_place(rng: np.random.Generator, name: str, values: list[tuple[str, ...]], place: np.ndarray) -> pl.Series:
    """One of the values of each customer's place, drawn evenly."""
    sizes = np.array([len(v) for v in values])
    starts = np.cumsum(sizes) - sizes
    at = starts[place] + (rng.random(len(place)) * sizes[place]).astype(np.int64)
    return pl.Series(name, [value for part in values for value in part]).gather(at)


def _tier(people: People) -> pl.Series:
    """Club members have a tier that follows their rhythm; the others have none."""
    level = np.where(people.club, 1 + np.searchsorted((1 / 25, 1 / 9), people.rate, side="right"), 0)
    return pl.Series("loyalty_tier", [None, "bronze", "silver", "gold"]).gather(level)


def day_start(day: date, *, offset_s: int) -> int:
    """Midnight of a day on a clock that is `offset_s` ahead of UTC, in seconds since 1970 UTC."""
    return (day - date(1970, 1, 1)) // timedelta(seconds=1) - offset_s
