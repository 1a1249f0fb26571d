"""What permits to write to somebody never becomes more permissive by absence, and nobody who may is dropped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from small_deliveries import DAY, NOW

from optinb.errors import GateError

if TYPE_CHECKING:
    from small_deliveries import Folder

    from optinb.warehouse import ImportReport

NEXT = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)
FIELDS = ("external_user_id", "push_opt_in", "is_blocked", "is_test")
DENIED = {"external_user_id": "", "push_opt_in": None, "is_blocked": None, "is_test": None}
DEFAULTS = {"external_user_id": "7", "push_opt_in": True, "is_blocked": False, "is_test": False}
STRICT = {"external_user_id": "e7", "push_opt_in": False, "is_blocked": True, "is_test": True}


def load(
    folder: Folder, columns: dict[str, str], *, days: int = 0, accept: str | None = "a test", others: int = 0
) -> ImportReport:
    """Imports customer 7 with these further columns, and the app that they use."""
    folder.configure(required=())
    text = f"customer_id,registered_at{''.join(',' + name for name in columns)}\n"
    text += f"7,2026-01-01{''.join(',' + value for value in columns.values())}\n"
    day = DAY + timedelta(days=days)
    return folder.load(
        {"customers.csv": text}, base=False, day=day, now=NOW + timedelta(days=days), accept_anyway=accept
    )


def value(folder: Folder, name: str) -> object:
    with folder.warehouse.open() as snapshot:
        return snapshot.table("customers").collect().row(0, named=True)[name]


def text(value: object) -> str:
    return str(value).lower()


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_fills_a_column_that_was_never_delivered(folder: Folder, name: str) -> None:
    load(folder, {})
    assert value(folder, name) == DEFAULTS[name]
    load(folder, {}, days=1)
    assert value(folder, name) == DEFAULTS[name]


@pytest.mark.parametrize("name", FIELDS)
def test_without_a_value_of_a_delivered_column_nothing_is_permitted(folder: Folder, name: str) -> None:
    report = load(folder, {name: ""})
    assert value(folder, name) == DENIED[name]
    assert any(f"{name} in 1; without a last value nobody" in warning for warning in report.warnings)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("how", ["empty", "unreadable", "gone"])
def test_the_last_delivered_value_stays(folder: Folder, name: str, how: str) -> None:
    load(folder, {name: text(STRICT[name])})
    bad = "x" * 300 if name == "external_user_id" else "perhaps"
    columns = {"empty": {name: ""}, "unreadable": {name: bad}, "gone": {}}[how]
    for days in (1, 2):
        report = load(folder, columns, days=days)
        assert value(folder, name) == STRICT[name]
        assert any(warning.endswith(f"{name} in 1 (the last value counts in 1)") for warning in report.warnings)


@pytest.mark.parametrize("name", FIELDS)
def test_a_column_that_is_gone_gives_a_new_person_nothing(folder: Folder, name: str) -> None:
    load(folder, {name: text(STRICT[name])})
    folder.load(
        {"customers.csv": "customer_id,registered_at\n8,2026-01-01\n"},
        base=False, day=NEXT, now=LATER, accept_anyway="a test",
    )  # fmt: skip
    assert value(folder, name) == DENIED[name]


@pytest.mark.parametrize("name", ["push_opt_in", "is_blocked", "is_test"])
def test_a_delivered_value_counts_in_both_directions(folder: Folder, name: str) -> None:
    for days, said in enumerate((True, False, True)):
        load(folder, {name: text(said)}, days=days)
        assert value(folder, name) is said


def test_a_column_that_comes_for_the_first_time_takes_its_default_away(folder: Folder) -> None:
    load(folder, {})
    load(folder, {"push_opt_in": ""}, days=1)
    assert value(folder, "push_opt_in") is None


def test_a_correction_follows_the_night_before_and_not_what_it_corrects(folder: Folder) -> None:
    load(folder, {"push_opt_in": "false"})
    load(folder, {"push_opt_in": "true"}, days=1)
    load(folder, {"push_opt_in": ""}, days=1)
    assert value(folder, "push_opt_in") is False


@pytest.mark.parametrize("name", FIELDS)
def test_a_correction_takes_no_default_for_the_value_of_a_column_that_came_with_what_it_corrects(
    folder: Folder, name: str
) -> None:
    load(folder, {})
    load(folder, {name: text(STRICT[name])}, days=1)
    load(folder, {name: ""}, days=1)
    assert value(folder, name) == DENIED[name]


def test_push_in_an_app_follows_its_own_last_value(folder: Folder) -> None:
    def use(flags: tuple[str, str], days: int) -> list[object]:
        rows = f"customer_id,app_id,push_enabled\n007,shop-ios,{flags[0]}\n007,shop-android,{flags[1]}\n"
        folder.load({"app_users.csv": rows}, day=DAY + timedelta(days=days), now=NOW + timedelta(days=days))
        with folder.warehouse.open() as snapshot:
            found = snapshot.table("app_users").sort("app_id", descending=True).collect()
        return found["push_enabled"].to_list()

    assert use(("true", "false"), 0) == [True, False]
    assert use(("", "perhaps"), 1) == [True, False]
    assert use(("false", ""), 2) == [False, False]
    assert use(("", "true"), 3) == [False, True]


def test_other_values_that_cannot_be_read_stay_as_they_were_and_empty_ones_are_empty(folder: Folder) -> None:
    load(folder, {"time_zone": "Europe/Paris", "birth_date": "1990-05-31", "country": "FR"})
    load(folder, {"time_zone": "Paris", "birth_date": "31.5.90", "country": ""}, days=1)
    with folder.warehouse.open() as snapshot:
        row = snapshot.table("customers").collect().row(0, named=True)
    assert (row["time_zone"], str(row["birth_date"]), row["country"]) == ("Europe/Paris", "1990-05-31", None)
    load(folder, {"country": "FR"}, days=2)
    assert value(folder, "time_zone") == "Europe/Paris"


@pytest.mark.parametrize("values", [("true", "false"), ("false", "true")])
def test_of_rows_that_contradict_each_other_the_denial_counts(folder: Folder, values: tuple[str, str]) -> None:
    folder.configure(required=())
    rows = "".join(f"7,2026-01-01,{said}\n" for said in values)
    report = folder.load(
        {"customers.csv": f"customer_id,registered_at,push_opt_in\n{rows}8,2026-01-01,true\n"}, base=False
    )
    assert report.table("customers").quarantined == 1
    with folder.warehouse.open() as snapshot:
        found = snapshot.table("customers").sort("customer_id").collect()
    assert found["push_opt_in"].to_list() == [False, True]


def correct_apps(folder: Folder, version: str = "3.1.0") -> None:
    """Has a delivery of the first day take the place of the one before, which has no file of customers."""
    (folder.root / "inbox" / DAY.isoformat() / "customers.csv").unlink(missing_ok=True)
    apps = f"customer_id,app_id,app_version\n7,shop-ios,{version}\n"
    report = folder.load({"app_users.csv": apps}, base=False, accept_anyway="the apps alone were wrong")
    assert [table.table for table in report.tables] == ["app_users"]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("how", ["empty", "gone"])
def test_a_correction_without_customers_forgets_nothing_that_the_day_had_brought(
    folder: Folder, name: str, how: str
) -> None:
    load(folder, {name: text(STRICT[name])})
    for version in ("3.1.0", "3.2.0"):
        correct_apps(folder, version)
        assert value(folder, name) == STRICT[name]
    load(folder, {"empty": {name: ""}, "gone": {}}[how], days=1)
    assert value(folder, name) == STRICT[name]


@pytest.mark.parametrize("name", FIELDS)
def test_a_column_that_went_since_a_correction_without_customers_is_blocked(folder: Folder, name: str) -> None:
    load(folder, {name: text(STRICT[name])})
    correct_apps(folder)
    with pytest.raises(GateError, match=name):
        load(folder, {}, days=1, accept=None)
