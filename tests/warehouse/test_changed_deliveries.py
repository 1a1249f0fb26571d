"""Nobody who said no gets a message since a delivery changed, and nobody who may is dropped: held at random."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from changed_deliveries import APPS, ENABLED, EXTERNAL, FLAGS, Part, World, mutate
from consent_oracle import Oracle
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from small_deliveries import DAY, NOW, Folder

from optinb.base.settings import AppSettings, ImportSection
from optinb.campaigns.placed_customers import PlacedCustomers
from optinb.errors import DeliveryError, GateError

BUDGET = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
WIDE: dict[str, object] = {}
DEFAULTS: dict[str, object] = {
    name: getattr(ImportSection(), name)
    for name in ("max_reject_share", "max_emptied_share", "max_shrink", "max_growth")
}
COLUMNS = (EXTERNAL, *FLAGS, ENABLED)


def may(folder: Folder) -> dict[str, set[str]]:
    """By app, whom the published tables permit to be written to, as campaigns ask it."""
    with folder.warehouse.open() as version:
        placed = PlacedCustomers(version.table("customers"), version.table("app_users"))
        found = {}
        for app in APPS:
            free = placed.against([AppSettings(id=app, name=app, platform="ios")]) == 0
            found[app] = set(placed.people.filter(free)["customer_id"])
        return found


def deliver(folder: Folder, day: date, delivery: dict[str, list[Part]]) -> None:
    place = folder.root / "inbox" / day.isoformat()
    for old in place.glob("*") if place.exists() else ():
        old.unlink()
    files: dict[str, str | bytes] = {
        f"{table}-{number}.{part.form}": part.written()
        for table, parts in delivery.items()
        for number, part in enumerate(parts, start=1)
    }
    folder.deliver(files, day=day, base=False)
    note(f"--- {day} " + ", ".join(files))
    for table, parts in delivery.items():
        for part in parts:
            note(f"{table} ({part.form}): {part.header}")
            for row in part.rows:
                note(f"    {row}")


def some_nights(folder: Folder, rnd: Random) -> None:
    """Nights in a row, each with what may happen to people and to files, held against the oracle."""
    world = World(rnd, [name for name in COLUMNS if rnd.random() < 0.9])
    world.people = [world.new() for _ in range(12)]
    oracle = Oracle()
    for number in range(rnd.choice((3, 4))):
        day, now = DAY + timedelta(days=number), NOW + timedelta(days=number)
        if number:
            world.night_passes()
            oracle.night()
        for _ in range(rnd.choice((1, 1, 1, 2))):
            delivery = world.delivery()
            for table in ("customers", "app_users"):
                for _ in range(rnd.choice((0, 0, 1, 1, 2)) if number else rnd.choice((0, 0, 0, 1))):
                    mutate(rnd, delivery[table])
            deliver(folder, day, delivery)
            published = folder.warehouse.current
            try:
                report = folder.warehouse.import_delivery(day, now=now)
            except GateError as error:
                note(f"blocked: {error}")
                assert folder.warehouse.current == published
                if published:
                    assert may(folder) == oracle.now.may()
                if rnd.random() < 0.5:
                    continue
                try:
                    report = folder.warehouse.import_delivery(day, now=now, accept_anyway="test")
                except DeliveryError:  # no file of it can be read at all
                    continue
            if not report.unchanged:
                oracle.imported(delivery)
            note(f"kept {oracle.now.kept} links {oracle.now.links}")
            assert may(folder) == oracle.now.may()


@pytest.mark.parametrize("limits", [WIDE, DEFAULTS], ids=["wide gates", "default gates"])
def test_whoever_may_be_written_to_is_whoever_was_last_delivered_so(limits: dict[str, object]) -> None:
    @BUDGET
    @given(st.integers(0, 1 << 32))
    def holds(seed: int) -> None:
        with tempfile.TemporaryDirectory() as root:
            folder = Folder(Path(root))
            folder.configure(**limits)
            some_nights(folder, Random(seed))

    holds()
