"""What a campaign brought by parts of its customers, corrected for how many are looked at."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from optinb.measure.breakdown import FEWEST_HELD_OUT, MOST_VALUES, luck_words, parts_of, variants_compared
from optinb.measure.outcomes import OUTCOMES

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
PLANNED = {"control": 0.3, "A": 0.35, "B": 0.35}


def outcomes(customers: int, seed: int, *, part: np.ndarray | None = None, effect: float = 0.0) -> pl.DataFrame:
    """Of whom three in ten buy, and `effect` more of those of part 0 who were to get it."""
    random = np.random.default_rng(seed)
    arm = random.choice([*PLANNED], customers, p=[*PLANNED.values()])
    helped = effect * (arm != "control") * (part == 0 if part is not None else 1)
    buys = random.random(customers) < 0.3 + helped
    columns = {name: np.zeros(customers) for name in OUTCOMES.names()} | {
        "person": [f"p{n}" for n in range(customers)], "arm": arm, "orders": buys,
        "spend": buys * random.lognormal(3, 1, customers),
        "since": [SENT] * customers, "until": [SENT + timedelta(days=7)] * customers,
    }  # fmt: skip
    return pl.DataFrame(columns).cast(dict(OUTCOMES))  # type: ignore[arg-type]


def test_the_part_that_it_helps_is_found_among_many_and_the_others_are_not() -> None:
    part = np.random.default_rng(1).integers(0, 8, 8_000)
    found = parts_of(outcomes(8_000, 1, part=part, effect=0.2), [("stage", pl.Series(part))], planned=PLANNED, seed=1)
    assert [one.part for one in found] == [*"01234567"]
    assert [one.part for one in found if one.is_found] == ["0"]
    assert all(one.p >= one.bought.p for one in found)
    said = "of 8 parts looked at hardly one would differ by luck alone; 1 differs once that is allowed for, and hardly"
    assert luck_words(found) == f"{said} one of these is luck"


def test_of_many_parts_without_effect_hardly_any_is_found() -> None:
    part = np.random.default_rng(2).integers(0, 12, 2_400)
    runs = [parts_of(outcomes(2_400, n), [("platform", pl.Series(part))], planned=PLANNED, seed=n) for n in range(4)]
    assert sum(any(one.is_found for one in found) for found in runs) <= 1
    assert sum(one.bought.p < 0.05 for found in runs for one in found) > 0  # which luck alone would show
    assert luck_words(runs[0]).startswith("of 12 parts looked at about 1 would differ by luck alone")
    assert luck_words(()) == ""


def test_small_and_unknown_parts_are_left_out_and_of_many_days_the_newest_stay() -> None:
    part = [None, *[date(2026, 10, n) for n in range(1, 20)], date(2026, 11, 1)]
    values = pl.Series([day for day in part[:20] for _ in range(200)] + [part[20]] * FEWEST_HELD_OUT)
    found = parts_of(outcomes(len(values), 3), [("first day", values)], planned=PLANNED, seed=3)
    assert [one.part for one in found] == [f"2026-10-{n:02}" for n in range(20 - MOST_VALUES, 20)]


def test_variants_stand_against_each_other() -> None:
    rows = outcomes(3_000, 4)
    better = rows.with_columns(orders=pl.when(pl.col("arm") == "B").then(1).otherwise("orders"))
    (pair,) = variants_compared(better, planned=PLANNED, seed=4)
    assert pair.part == "A against B" and pair.is_found and pair.bought.high < 0
    assert pair.bought.sample_ratio_p > 0.001
    (alike,) = variants_compared(rows, planned=PLANNED, seed=4)
    assert not alike.is_found and alike.bought.low < 0 < alike.bought.high
    assert variants_compared(rows.filter(pl.col("arm") != "B"), planned=PLANNED, seed=4) == ()
