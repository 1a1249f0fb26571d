"""Frozen audiences and the plan of a night."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from optinb.campaigns import Waterfall
from optinb.delivery import Recipients, freeze, read_frozen
from optinb.delivery import frozen as frozen_module
from optinb.errors import StateError

if TYPE_CHECKING:
    from delivery_desk import Desk


def people(names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": names,
            "external_user_id": names,
            "outcome": ["recipient"] * len(names),
            "reason": pl.Series([None] * len(names), dtype=pl.String),
            "properties": ["{}"] * len(names),
        }
    )


def test_a_frozen_audience_is_read_back_as_it_was(tmp_path: Path) -> None:
    frame = people(["b", "a", "007"])
    frozen = freeze(frame, folder=tmp_path / "audiences" / "2026-11-23", stem="summer-1")
    assert frozen.sha256 == hashlib.sha256(frozen.path.read_bytes()).hexdigest()
    assert frozen.path.name == f"summer-1-{frozen.sha256[:12]}.parquet"
    assert_frame_equal(read_frozen(frozen.path, frozen.sha256), frame)
    assert [path.name for path in frozen.path.parent.iterdir()] == [frozen.path.name]


def test_another_audience_of_the_same_night_does_not_write_over_the_first(tmp_path: Path) -> None:
    first, second = (freeze(people([name]), folder=tmp_path, stem="summer") for name in "ab")
    assert read_frozen(first.path, first.sha256)["customer_id"].to_list() == ["a"]
    assert read_frozen(second.path, second.sha256)["customer_id"].to_list() == ["b"]


def test_a_changed_or_missing_file_is_refused(tmp_path: Path) -> None:
    frozen = freeze(people(["a"]), folder=tmp_path, stem="summer")
    people(["a", "b"]).write_parquet(frozen.path)
    with pytest.raises(StateError, match=r"was changed since it was planned .* nothing of it is sent"):
        read_frozen(frozen.path, frozen.sha256)
    frozen.path.unlink()
    with pytest.raises(StateError, match=r"can't be read \(No such file or directory\); restore it"):
        read_frozen(frozen.path, frozen.sha256)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "audiences").write_text("a file in the way")
    with pytest.raises(StateError, match=r"can't be written to .*audiences"):
        freeze(people(["a"]), folder=tmp_path / "audiences", stem="summer")


def test_a_plan_has_the_waterfall_and_batches_of_recipients_only(desk: Desk) -> None:
    frozen = desk.plan(120)
    assert frozen.waterfall == Waterfall(target=122, excluded={"test": 1}, control=1, recipients=120)
    assert (frozen.recipients, frozen.batches) == (120, 3)
    assert not Path(frozen.path).is_absolute()
    recipients = Recipients(desk.root / frozen.path, frozen.sha256)
    assert [user for user, _ in recipients.rows(0, len(recipients))] == [f"u{n:07}" for n in range(120)]
    sizes = [(b.number, b.first, b.size) for b in desk.store.deliveries.batches(frozen.campaign_id, frozen.run_date)]
    assert sizes == [(0, 0, 50), (1, 50, 50), (2, 100, 20)]


def test_the_same_night_keeps_its_first_plan(desk: Desk) -> None:
    assert desk.plan(70) == desk.plan(999)
    assert len(list((desk.root / "audiences").rglob("*.parquet"))) == 1


def test_an_audience_without_recipients_is_a_plan_too(desk: Desk) -> None:
    frozen = desk.plan(0)
    assert (frozen.recipients, frozen.batches, frozen.waterfall.target) == (0, 0, 2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outcomes=st.lists(st.sampled_from(["recipient", "control", "excluded"]), max_size=60),
    part=st.integers(1, 20),
    data=st.data(),
)
def test_any_range_of_recipients_is_read_as_the_whole_file_has_it(
    tmp_path: Path, outcomes: list[str], part: int, data: st.DataObject
) -> None:
    frame = people([f"{n:03}" for n in range(len(outcomes))]).with_columns(outcome=pl.Series(outcomes, dtype=pl.String))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen_module, "PART_ROWS", part)
        frozen = freeze(frame, folder=tmp_path / "audiences", stem="summer")
        recipients = Recipients(frozen.path, frozen.sha256)
        expected = [(f"{n:03}", "{}") for n, outcome in enumerate(outcomes) if outcome == "recipient"]
        assert len(recipients) == len(expected)
        for _ in range(3):
            first = data.draw(st.integers(0, len(expected)))
            size = data.draw(st.integers(0, len(expected) - first))
            assert list(recipients.rows(first, size)) == expected[first : first + size]
