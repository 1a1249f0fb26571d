"""What makes a group different, and how groups overlap, against plain counting."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.segments.membership import overlap
from optinb.segments.profile import BANDS, profile

DAY = date(2026, 11, 23)
VALUES = {
    "number": (pl.Int64, st.integers(-30, 30)),
    "measure": (pl.Float64, st.floats(-5, 5) | st.just(float("nan"))),
    "text": (pl.String, st.text("abcde", max_size=2)),
    "flag": (pl.Boolean, st.booleans()),
    "day": (pl.Date, st.dates(date(2026, 1, 1), date(2026, 3, 1))),
}


def told(customers: pl.DataFrame, inside: list[bool]):
    return profile(customers, pl.Series(inside, dtype=pl.Boolean), sentence="", run_date=DAY)


@given(st.data(), st.sampled_from(sorted(VALUES)))
def test_bands_hold_every_customer_once_and_exactly(data: st.DataObject, kind: str) -> None:
    dtype, values = VALUES[kind]
    rows = data.draw(st.lists(st.tuples(st.none() | values, st.booleans()), max_size=60))
    column = pl.Series("x", [value for value, _ in rows], dtype=dtype)
    found = told(pl.DataFrame({"x": column}), [flag for _, flag in rows])
    (difference,) = found.differences
    known = [(v, i) for v, i in rows if v is not None and v == v]
    for band in difference.bands:
        if band.label == "not known":
            mine = [i for v, i in rows if v is None or v != v]
        elif band.low is None:
            named = {b.low for b in difference.bands}
            mine = [i for v, i in known if v not in named]
        else:
            mine = [i for v, i in known if band.low <= v <= band.high]
        assert (band.inside, band.outside) == (sum(mine), len(mine) - sum(mine))
    assert sum(b.inside for b in difference.bands) == found.inside == sum(i for _, i in rows)
    assert sum(b.outside for b in difference.bands) == found.outside == len(rows) - found.inside
    assert len(difference.bands) <= BANDS + 1
    assert 0 <= difference.distance <= 1 + 1e-12
    if kind not in ("text", "flag"):
        spans = [b for b in difference.bands if b.low is not None]
        assert all(a.high < b.low for a, b in pairwise(spans))


def test_the_most_different_attribute_comes_first_and_a_distance_is_a_share_of_the_group() -> None:
    customers = pl.DataFrame(
        {
            "customer_id": ["1", "2", "3", "4"],
            "same": ["x", "y", "x", "y"],
            "half": [1, 2, 1, 3],
            "wholly": [True, True, False, False],
            "a list": [[1], [2], [3], [4]],
        }
    )
    found = told(customers, [True, True, False, False])
    assert [(d.attribute, d.distance) for d in found.differences] == [("wholly", 1.0), ("half", 0.5), ("same", 0.0)]
    assert found.table()["values"].to_list() == ["no", "yes", "1", "2", "3", "x", "y"]
    assert [d.distance for d in told(customers, [True] * 4).differences] == [0.0] * 3


def test_measures_are_cut_into_bands_of_as_many_customers() -> None:
    found = told(pl.DataFrame({"x": list(range(1000))}), [n < 100 for n in range(1000)])
    (difference,) = found.differences
    assert [b.inside + b.outside for b in difference.bands] == [100] * BANDS
    assert difference.bands[0].label == "0 to 99"
    assert difference.distance == pytest.approx(1.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=40))
def test_every_customer_is_in_exactly_one_combination(rows: list[tuple[bool, bool, bool]]) -> None:
    names = ["a", "b", "c"]
    belong = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Boolean), orient="row").with_columns(
        customer_id=pl.int_range(pl.len()).cast(pl.String)
    )
    found = overlap(belong, run_date=DAY)
    plain = Counter(tuple(name for name, is_in in zip(names, row, strict=True) if is_in) for row in rows)
    assert {c.groups: c.customers for c in found.combinations} == plain
    assert sum(found.table()["customers"]) == found.total == len(rows)
    assert found.sizes == {name: sum(row[at] for row in rows) for at, name in enumerate(names)}
    assert found.both("a", "c") == sum(row[0] and row[2] for row in rows)
    counts = [c.customers for c in found.combinations]
    assert counts == sorted(counts, reverse=True)
