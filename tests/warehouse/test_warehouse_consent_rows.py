"""What fills a missing value of who may be written to, row by row: whose last value, and which of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from optinb.warehouse.consent import carry, keep_ids
from optinb.warehouse.contract import APP_USERS, CUSTOMERS, TRANSACTIONS, Table
from optinb.warehouse.staged import Staged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ALL = frozenset(column.name for column in CUSTOMERS.columns)
APPS = frozenset(column.name for column in APP_USERS.columns)
REST = "; without a last value nobody is written to"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("ATTACH ':memory:' AS cur")
        con.execute("CREATE TEMP TABLE persons_now (customer_id VARCHAR, person_id VARCHAR)")
        yield con


def fill(con: duckdb.DuckDBPyConnection, name: str, table: Table, rows: Collection[dict[str, object]]) -> None:
    """Makes a table with these rows; a value that isn't named is null."""
    columns = {column: kind for column, kind in table.stored().items() if column != "day"}
    con.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")
    for row in rows:
        con.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def staged(
    con: duckdb.DuckDBPyConnection,
    *rows: dict[str, object],
    table: Table = CUSTOMERS,
    delivered: Collection[str] = ALL,
    rejects: Collection[int] = (),
    unread: Collection[tuple[int, str]] = (),
) -> Staged:
    part = Staged(table=table, files=(), attributes=(), delivered=frozenset(delivered))
    fill(con, part.name, table, rows)
    con.execute(f"CREATE TABLE {part.rejects} (row BIGINT, reason VARCHAR)")
    con.execute(f"CREATE TABLE {part.emptied} (row BIGINT, name VARCHAR)")
    for row in rejects:
        con.execute(f"INSERT INTO {part.rejects} VALUES (?, 'bad')", [row])
    for row, name in unread:
        con.execute(f"INSERT INTO {part.emptied} VALUES (?, ?)", [row, name])
    return part


def column(con: duckdb.DuckDBPyConnection, part: Staged, name: str) -> list[object]:
    return [value for (value,) in con.execute(f"SELECT {name} FROM {part.name} ORDER BY rowid").fetchall()]


def carried(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return sorted(con.execute("SELECT * FROM carried").fetchall())


def carry_all(
    con: duckdb.DuckDBPyConnection,
    part: Staged,
    *,
    before: Collection[str] = (),
    until_then: Collection[str] | None = None,
    last: str | None = "cur",
) -> list[str]:
    """Keeps ids and fills, as an import does; by default what came until last night is all that ever came."""
    then = before if until_then is None else until_then
    keep_ids(con, [part], before={part.table.name: then}, last=last)
    return list(carry(con, part, before=before, until_then=then, last=last))


def who(customer_id: str, **values: object) -> dict[str, object]:
    return {"customer_id": customer_id, **values}


def test_a_missing_external_id_is_that_of_the_same_customer_before_who_is_who_is_known(
    con: duckdb.DuckDBPyConnection,
) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", external_user_id="ea"), who("b", external_user_id="")])
    con.execute("INSERT INTO persons_now VALUES ('c', 'a')")  # what isn't known yet then
    rows = [who("a"), who("b"), who("c"), who("d", external_user_id="ed"), who("a")]
    part = staged(con, *rows, rejects=[4])
    keep_ids(con, [part], before={"customers": ["external_user_id"]}, last="cur")
    assert column(con, part, "external_user_id") == ["ea", None, None, "ed", None]
    assert carried(con) == [("a", "", "external_user_id")]


def test_no_external_id_is_kept_of_a_column_that_never_came_or_without_a_night_before(
    con: duckdb.DuckDBPyConnection,
) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", external_user_id="a")])
    fill(con, "cur.app_users", APP_USERS, [who("a", app_id="x")])
    part, apps = staged(con, who("a")), staged(con, who("a", app_id="x"), table=APP_USERS)
    for before, last in (
        ({}, "cur"),
        ({"customers": ["push_opt_in"]}, "cur"),
        ({"customers": ["external_user_id"]}, None),
    ):
        keep_ids(con, [apps, part], before=before, last=last)
        assert column(con, part, "external_user_id") == [None]
        assert carried(con) == []
    keep_ids(con, [apps, part], before={"customers": ALL, "app_users": ALL}, last="cur")
    assert column(con, part, "external_user_id") == ["a"]


def test_of_several_ids_of_a_person_the_stricter_last_value_counts(con: duckdb.DuckDBPyConnection) -> None:
    flags = ("push_opt_in", "is_blocked", "is_test")
    said = {"a": (True, False, False), "b": (False, True, True), "c": (True, False, False), "d": (None, None, None)}
    fill(con, "cur.customers", CUSTOMERS, [who(i, **dict(zip(flags, v, strict=True))) for i, v in said.items()])
    con.execute("INSERT INTO persons_now VALUES ('new', 'a'), ('b', 'a')")
    rows = [*map(who, ("new", "c", "d")), who("a", push_opt_in=True, is_blocked=False, is_test=False)]
    part = staged(con, *rows, delivered=flags)
    found = ", ".join(f"{name} in 3 (the last value counts in 2)" for name in flags)
    assert carry_all(con, part, before=flags) == [f"customers: rows without a readable value: {found}{REST}"]
    assert column(con, part, "push_opt_in") == [False, True, None, True]
    assert column(con, part, "is_blocked") == [True, False, None, False]
    assert column(con, part, "is_test") == [True, False, None, False]
    assert [entry for entry in carried(con) if entry[2] == "is_test"] == [("c", "", "is_test"), ("new", "", "is_test")]


def test_whoever_is_back_has_what_they_had_said_when_they_left(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", push_opt_in=True, external_user_id="ea")])
    fill(con, "cur.departed_customers", CUSTOMERS, [who("b", push_opt_in=False, external_user_id="eb")])
    part = staged(con, who("a"), who("b"))
    carry_all(con, part, before=["push_opt_in", "external_user_id"])
    assert column(con, part, "push_opt_in") == [True, False]
    assert column(con, part, "external_user_id") == ["ea", ""], "an id of whoever left may be somebody else's by now"


def test_an_external_id_that_nobody_has_is_the_empty_one_and_says_so(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", external_user_id="ea"), who("b", external_user_id="")])
    con.execute("INSERT INTO persons_now VALUES ('c', 'a')")
    rows = [*map(who, "abcd"), who("e", external_user_id="ee")]
    part = staged(con, *rows, delivered=["external_user_id"])
    told = carry_all(con, part, before=["external_user_id"])
    assert column(con, part, "external_user_id") == ["ea", "", "ea", "", "ee"]
    # also those that were filled before it was known who is who
    found = "external_user_id in 4 (the last value counts in 2)"
    assert told == [f"customers: rows without a readable value: {found}{REST}"]


def test_what_was_filled_for_everybody_is_told_without_a_warning_and_nothing_is_told_of_nothing(
    con: duckdb.DuckDBPyConnection,
) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", push_opt_in=True)])
    part = staged(con, who("a"), who("b"), delivered=["push_opt_in"], rejects=[1])
    assert carry_all(con, part, before=["push_opt_in"]) == [
        "customers: rows without a readable value: push_opt_in in 1 (the last value counts in 1)"
    ]
    whole = who("a", push_opt_in=True)
    con.execute(f"DROP TABLE {part.name}; DROP TABLE {part.rejects}; DROP TABLE {part.emptied}")
    assert carry_all(con, staged(con, whole, delivered=["push_opt_in"]), before=["push_opt_in"]) == []


def test_a_column_that_neither_came_nor_comes_is_left_to_its_default(con: duckdb.DuckDBPyConnection) -> None:
    fill(con, "cur.customers", CUSTOMERS, [who("a", push_opt_in=False, is_test=True)])
    part = staged(con, who("a"), delivered=["is_blocked"])
    assert carry_all(con, part, before=["push_opt_in"], until_then=[]) == [
        f"customers: rows without a readable value: push_opt_in in 1, is_blocked in 1{REST}"
    ]
    assert column(con, part, "push_opt_in") == [None], "what the night before has in it is the default"
    assert column(con, part, "is_test") == [None]


def test_without_a_night_before_nothing_is_filled(con: duckdb.DuckDBPyConnection) -> None:
    part = staged(con, who("a"), delivered=["push_opt_in", "external_user_id"])
    told = carry_all(con, part, before=["push_opt_in", "country"], last=None)
    assert told == [f"customers: rows without a readable value: external_user_id in 1, push_opt_in in 1{REST}"]
    assert column(con, part, "external_user_id") == [""]
    assert carried(con) == []


def test_push_in_an_app_is_filled_by_person_and_app(con: duckdb.DuckDBPyConnection) -> None:
    last = [who("a", app_id="x", push_enabled=True), who("a", app_id="y", push_enabled=False)]
    last += [who("b", app_id="x", push_enabled=False)]
    fill(con, "cur.app_users", APP_USERS, last)
    con.execute("INSERT INTO persons_now VALUES ('b', 'a')")
    con.execute("CREATE TABLE cur.departed_customers (customer_id VARCHAR, push_enabled BOOLEAN)")
    part = staged(con, *(who("a", app_id=app) for app in "xyz"), who("c", app_id="x"), table=APP_USERS, delivered=APPS)
    told = carry_all(con, part, before=["push_enabled"])
    assert column(con, part, "push_enabled") == [False, False, None, None]
    assert told == [f"app_users: rows without a readable value: push_enabled in 4 (the last value counts in 2){REST}"]
    assert carried(con) == [("a", "x", "push_enabled"), ("a", "y", "push_enabled")]


def test_other_columns_are_filled_where_they_could_not_be_read_or_do_not_come_and_not_where_they_are_empty(
    con: duckdb.DuckDBPyConnection,
) -> None:
    last = [who(i, country="FR", language="fr", gender="f") for i in "abc"]
    fill(con, "cur.customers", CUSTOMERS, last)
    rows = [who("a"), who("b"), who("c", country="DE", language="de"), who("a")]
    part = staged(con, *rows, delivered=["country", "gender"], unread=[(0, "country"), (0, "shoe size")], rejects=[3])
    assert carry_all(con, part, before=["country", "language"]) == []
    assert column(con, part, "country") == ["FR", None, "DE", None]
    assert column(con, part, "language") == ["fr", "fr", "de", None]
    assert column(con, part, "gender") == [None] * 4, "what never came before is no last value"
    assert [entry for entry in carried(con) if entry[2] == "country"] == [("a", "", "country")]


def test_of_other_tables_nothing_is_filled(con: duckdb.DuckDBPyConnection) -> None:
    part = staged(con, who("a", transaction_id="1"), table=TRANSACTIONS, delivered=["quantity"])
    fill(con, "cur.transactions", TRANSACTIONS, [who("a", transaction_id="1", quantity=2.0)])
    assert carry_all(con, part, before=["quantity"]) == []
    assert column(con, part, "quantity") == [None]
