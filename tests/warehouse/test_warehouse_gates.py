"""The gates of a delivery by themselves: each figure at its limit, and what a refusal says."""

from __future__ import annotations

from datetime import date

import pytest

from optinb.base.settings import ImportSection
from optinb.warehouse.column_names import ColumnNames
from optinb.warehouse.contract import APP_USERS, CUSTOMERS, TRANSACTIONS
from optinb.warehouse.gates import failed, fewer, judge
from optinb.warehouse.header_gates import Earlier, FileHeader, did_you_mean_column, judge_headers
from optinb.warehouse.report import Gate, ImportReport, TableReport

LIMITS = ImportSection(
    required=(), max_reject_share=0.05, max_emptied_share=0.05, max_shrink=0.5, max_growth=1.0
)  # shares that a division hits to the bit
WHOLE = tuple(column.name for column in CUSTOMERS.columns)
NO_NAMES = ColumnNames()


def table(name: str = "customers", *, read: int = 100, quarantined: int = 0, **more: object) -> TableReport:
    told = {"table": name, "read": read, "loaded": read - quarantined, "quarantined": quarantined}
    return TableReport(**{**told, **more})  # pyright: ignore[reportArgumentType]


def gates_of(
    *tables: TableReport,
    limits: ImportSection = LIMITS,
    last: dict[str, int] | None = None,
    problems: dict[str, str] | None = None,
) -> tuple[Gate, ...]:
    return judge(tables, limits=limits, last=last, problems=problems or {})


def header(*columns: str, file: str = "customers.csv", rows: int = 10, sparse: bool = False) -> FileHeader:
    return FileHeader(file=file, columns=columns, rows=rows, sparse=sparse)


def without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in WHOLE if name not in names)


def test_a_required_table_passes_where_it_is_and_blocks_with_the_remedy_where_it_is_not() -> None:
    limits = ImportSection(required=("customers", "app_users"))
    here, missing = gates_of(table(read=0), limits=limits)
    assert here == Gate(
        name="required",
        table="customers",
        value=1.0,
        limit=1.0,
        passed=True,
        setting="required",
        message="customers was delivered",
    )
    assert missing == Gate(
        name="required",
        table="app_users",
        value=0.0,
        limit=1.0,
        passed=False,
        setting="required",
        message="app_users is missing: the delivery has no usable file for it; deliver app_users.csv (or .ndjson, "
        ".parquet), or take 'app_users' out of `required`",
    )
    assert failed([here, missing]) == (missing,)


def test_a_file_that_can_not_be_read_blocks_whatever_the_limits() -> None:
    assert gates_of(problems={"customers.csv": "it's a picture"}) == (
        Gate(
            name="readable",
            table="customers.csv",
            value=0.0,
            limit=1.0,
            passed=False,
            setting="",
            message="customers.csv can't be read: it's a picture",
        ),
    )


def test_rejects_block_beyond_their_share_and_the_most_frequent_reason_is_told() -> None:
    (at_limit,) = gates_of(table(quarantined=5, reasons={"no key": 1, "no date": 4}))
    assert at_limit == Gate(
        name="rejects",
        table="customers",
        value=0.05,
        limit=0.05,
        passed=True,
        setting="max_reject_share",
        message="5 of 100 rows of customers are rejects (5.00%; limit 5.00%)",
    )
    (beyond,) = gates_of(table(quarantined=6, reasons={"no key": 1, "no date": 5}))
    assert (beyond.value, beyond.passed) == (0.06, False)
    assert beyond.message == (
        "6 of 100 rows of customers are rejects (6.00%; limit 5.00%); most often: no date (5 rows)"
    )
    assert "most often: no key (1 row)" in gates_of(table(read=1, quarantined=1, reasons={"no key": 1}))[0].message
    assert gates_of(table(read=0)) == (), "a table without rows has no share"


def test_values_that_could_not_be_read_block_by_column_beyond_their_share() -> None:
    rejects, at_limit, beyond = gates_of(table(emptied={"country": 5, "gender": 6}))
    assert rejects.name == "rejects"
    assert at_limit == Gate(
        name="emptied",
        table="customers",
        value=0.05,
        limit=0.05,
        passed=True,
        setting="max_emptied_share",
        message="5 of 100 values of country in customers can't be read (5.00%; limit 5.00%)",
    )
    assert beyond == Gate(
        name="emptied",
        table="customers",
        value=0.06,
        limit=0.05,
        passed=False,
        setting="max_emptied_share",
        message="6 of 100 values of gender in customers can't be read (6.00%; limit 5.00%); `optinb quarantine` shows "
        "them, with what to write instead",
    )


def test_a_whole_table_may_shrink_and_grow_up_to_its_limits_and_not_beyond() -> None:
    _, shrink, growth = gates_of(table(read=50), last={"customers": 100})
    assert shrink == Gate(
        name="shrink",
        table="customers",
        value=0.5,
        limit=0.5,
        passed=True,
        setting="max_shrink",
        message="customers has 50 rows, the delivery before had 100 (-50.0%; it may shrink by 50%)",
    )
    assert growth == Gate(
        name="growth",
        table="customers",
        value=0.0,
        limit=1.0,
        passed=True,
        setting="max_growth",
        message="customers has 50 rows, the delivery before had 100 (-50.0%; it may grow by 100%)",
    )
    _, shrink, growth = gates_of(table(read=200), last={"customers": 100})
    assert (shrink.value, shrink.passed, growth.value, growth.passed) == (0.0, True, 1.0, True)
    _, shrunk, _ = gates_of(table(read=49), last={"customers": 100})
    _, _, grown = gates_of(table(read=201), last={"customers": 100})
    remedy = ": have the delivery completed, or accept it with a reason"
    for gate in (shrunk, grown):
        assert not gate.passed
        assert gate.message.endswith(remedy)
    _, _, one = gates_of(table(read=2), last={"customers": 1})
    assert (one.name, one.passed) == ("growth", True)


def test_a_table_that_is_added_to_has_no_size_to_be_held_against() -> None:
    assert [gate.name for gate in gates_of(table("transactions", read=1), last={"transactions": 100})] == ["rejects"]
    assert [gate.name for gate in gates_of(table(read=1), last={"app_users": 100})] == ["rejects"]


def test_what_a_correction_lacks_against_what_it_replaces_is_told_and_nothing_else() -> None:
    first = ImportReport(
        run_date=date(2026, 11, 23), version=1, tables=(table(read=1_200), table("app_users", read=3), table("events"))
    )
    assert fewer([table(read=1)], None) == ()
    assert fewer([table(read=1_200), table("app_users", read=4), table("events")], first) == ()
    replaces = "the delivery of the same day that this one replaces had"
    again = "import the first one again if this is not meant"
    one = ImportReport(run_date=date(2026, 11, 23), version=1, tables=(table("app_users", read=1),))
    assert fewer([], one) == (f"app_users has 0 rows, {replaces} 1: {again}",)
    assert fewer([table(read=1), table("app_users", read=3)], first) == (
        f"customers has 1 row, {replaces} 1,200: {again}",
        f"events has 0 rows, {replaces} 100: {again}",
    )


def test_a_lost_column_that_was_delivered_blocks_with_the_file_and_both_remedies() -> None:
    earlier = Earlier(delivered=frozenset(WHOLE))
    gates, warnings = judge_headers(CUSTOMERS, [header(*without("is_test"))], names=NO_NAMES, earlier=earlier)
    assert warnings == []
    assert gates == [
        Gate(
            name="columns",
            table="customers",
            value=1.0,
            limit=0.0,
            passed=False,
            setting="columns",
            message="customers: the column is_test, which earlier deliveries had, isn't in customers.csv; deliver it "
            'again under its name, or write is_test = "its header" under [import.columns] of optinb.toml; if it is no '
            'longer delivered, write is_test = "" there',
        )
    ]


def test_new_headers_beside_a_lost_column_are_shown_three_at_most() -> None:
    earlier = Earlier(delivered=frozenset(WHOLE), further=frozenset({"tier"}))

    def told(*further: str) -> str:
        columns = (*without("country"), *further)
        (gate,), _ = judge_headers(CUSTOMERS, [header(*columns), header(*columns)], names=NO_NAMES, earlier=earlier)
        return gate.message

    assert "new is 'shop'; deliver it again" in told("tier", "", "shop")
    assert "new are 'shop', 'b'; deliver it again" in told("shop", "b")
    assert "new are 'a', 'b', 'c'; deliver it again" in told("a", "b", "c")
    assert "new are 'a', 'b', 'c' and 1 more; deliver it again" in told("a", "b", "c", "d")
    assert "isn't in customers.csv; deliver it again" in told("tier")


def test_a_column_that_some_files_lack_names_those_and_where_it_is() -> None:
    lacking = [header(*without("push_opt_in"), file=f"{n}.csv") for n in "dcba"]
    files = [*lacking, header(*WHOLE, file="z.csv")]
    (gate,), _ = judge_headers(CUSTOMERS, files, names=NO_NAMES, earlier=Earlier())
    assert gate.value == 4.0
    assert gate.message.startswith(
        "customers: the column push_opt_in isn't in a.csv, b.csv, c.csv and 1 more, only in z.csv; deliver it again"
    )


def test_a_likely_new_name_is_offered_in_place_of_what_is_new() -> None:
    earlier = Earlier(delivered=frozenset(WHOLE))
    columns = (*without("time_zone"), "shop", "timezone")
    (gate,), _ = judge_headers(CUSTOMERS, [header(*columns)], names=NO_NAMES, earlier=earlier)
    assert gate.message == (
        "customers: the column time_zone, which earlier deliveries had, isn't in customers.csv; 'timezone' is there: "
        'name the column time_zone, or write time_zone = "timezone" under [import.columns] of optinb.toml; if it is no '
        'longer delivered, write time_zone = "" there'
    )


def test_a_header_that_the_settings_name_is_missed_under_it_and_is_not_called_given_up() -> None:
    names = ColumnNames(renamed={"customers": {"land": "country"}})
    (gate,), _ = judge_headers(CUSTOMERS, [header(*without("country"))], names=names, earlier=Earlier())
    assert gate.message == (
        'customers: the column country, which [import.columns] of optinb.toml says is delivered as "land", isn\'t in '
        'customers.csv; deliver it again under its name, or write country = "its header" under [import.columns] of '
        "optinb.toml"
    )


def test_which_lost_columns_block() -> None:
    def lost(columns: tuple[str, ...], *others: tuple[str, ...], names: ColumnNames = NO_NAMES, **earlier: object):
        files = [header(*columns), *(header(*other, file="other.csv") for other in others)]
        told = Earlier(**{name: frozenset({value}) for name, value in earlier.items()})  # pyright: ignore[reportArgumentType]
        gates, _ = judge_headers(CUSTOMERS, files, names=names, earlier=told)
        return len(gates)

    # what permits messages: where any part or any earlier delivery had it
    assert lost(without("is_blocked")) == 0
    assert lost(without("is_blocked"), WHOLE) == 1
    assert lost(without("is_blocked"), delivered="is_blocked") == 1
    assert lost(WHOLE, delivered="is_blocked") == 0
    # others: where the last delivery had it in every part, or where no part has it any more
    assert lost(without("country")) == lost(without("country"), WHOLE) == 0
    assert lost(without("country"), WHOLE, everywhere="country") == 1
    assert lost(without("country"), WHOLE, delivered="country") == 0
    assert lost(without("country"), delivered="country") == 1
    # a required one isn't asked for here, and one that was given up isn't missed
    assert lost(without("customer_id"), delivered="customer_id") == 0
    given_up = ColumnNames(dropped={"customers": frozenset({"is_blocked"})})
    assert lost(without("is_blocked"), names=given_up, delivered="is_blocked") == 0


def test_a_key_that_few_objects_had_may_be_left_out_by_chance_unless_it_permits_messages() -> None:
    def lost(rows: int, *, filled: float = 0.1, column: str = "country", sparse: bool = True) -> int:
        earlier = Earlier(delivered=frozenset({column}), filled={column: filled})
        files = [header(*without(column), rows=rows, sparse=sparse)]
        return len(judge_headers(CUSTOMERS, files, names=NO_NAMES, earlier=earlier)[0])

    # 0.9 to the 88th is 0.00009: no chance any more
    assert (lost(87), lost(88)) == (0, 1)
    assert lost(87, sparse=False) == 1
    assert lost(87, column="is_test") == 1
    # the limit itself is no chance
    assert (lost(4, filled=0.9), lost(3, filled=0.9)) == (1, 0)
    unknown = Earlier(delivered=frozenset({"country"}))
    files = [header(*without("country"), rows=1, sparse=True)]
    assert len(judge_headers(CUSTOMERS, files, names=NO_NAMES, earlier=unknown)[0]) == 1


def test_a_file_without_a_row_or_a_header_loses_nothing() -> None:
    earlier = Earlier(delivered=frozenset(WHOLE))
    empty = header(rows=0, sparse=True)
    assert judge_headers(CUSTOMERS, [empty, header(*WHOLE)], names=NO_NAMES, earlier=earlier) == ([], [])
    (gate,), _ = judge_headers(
        CUSTOMERS, [empty, header(*without("is_test"), file="b.csv", rows=0)], names=NO_NAMES, earlier=earlier
    )
    assert "isn't in b.csv;" in gate.message


def test_a_header_that_is_nearly_a_column_blocks_until_it_is_accepted_as_an_attribute() -> None:
    columns = (*without("gender"), "", "sex")
    files = [header(*columns, file="a.csv"), header(*columns, file="b.csv")]
    remedy = (
        'ame the column gender, or write gender = "sex" under [import.columns] of optinb.toml; if it is an attribute '
        'of its own, write sex = "sex" there'
    )
    gates, warnings = judge_headers(CUSTOMERS, files, names=NO_NAMES, earlier=Earlier())
    assert [(g.value, g.message) for g in gates] == [
        (2.0, f"a.csv, b.csv have a column 'sex' and no gender; did you mean gender? N{remedy}")
    ]
    assert warnings == []
    gates, _ = judge_headers(CUSTOMERS, files[:1], names=NO_NAMES, earlier=Earlier())
    assert gates[0].message.startswith("a.csv has a column 'sex' and no gender;")
    gates, warnings = judge_headers(CUSTOMERS, files, names=NO_NAMES, earlier=Earlier(further=frozenset({"sex"})))
    assert gates == []
    assert warnings == [f"customers: 'sex' may be meant as gender: n{remedy}"]
    named = ColumnNames(renamed={"customers": {"sex": "sex"}})
    assert judge_headers(CUSTOMERS, files, names=named, earlier=Earlier()) == ([], [])
    assert judge_headers(CUSTOMERS, [header(*WHOLE, "sex")], names=NO_NAMES, earlier=Earlier()) == ([], [])


def test_of_a_lost_column_a_near_header_is_told_once() -> None:
    gates, warnings = judge_headers(
        CUSTOMERS,
        [header(*without("gender", "country"), "sex", "contry")],
        names=NO_NAMES,
        earlier=Earlier(delivered=frozenset({"gender"})),
    )
    assert [gate.message.partition(",")[0].partition(";")[0] for gate in gates] == [
        "customers: the column gender",
        "customers.csv has a column 'contry' and no country",
    ]
    assert warnings == []


def test_a_header_that_could_be_two_columns_is_taken_for_the_one_that_permits_messages() -> None:
    columns = ("customer_id", "app_id", "app_version", "version_enabled", "enabled")
    gates, _ = judge_headers(APP_USERS, [header(*columns, file="u.csv")], names=NO_NAMES, earlier=Earlier())
    assert [gate.message.partition(";")[0] for gate in gates] == ["u.csv has a column 'enabled' and no push_enabled"]
    gates, _ = judge_headers(CUSTOMERS, [header("user_id")], names=NO_NAMES, earlier=Earlier())
    assert "did you mean external_user_id?" in gates[0].message, "not customer_id, which stands first"


def test_a_header_that_says_the_contrary_is_never_offered_as_a_rename() -> None:
    gates, _ = judge_headers(CUSTOMERS, [header(*without("push_opt_in"), "opt_out")], names=NO_NAMES, earlier=Earlier())
    assert gates[0].message.endswith(
        "did you mean push_opt_in? It says the contrary: deliver push_opt_in itself, with true where that says false; "
        'if it is an attribute of its own, write opt_out = "opt_out" there'
    )


@pytest.mark.parametrize(
    ("table", "columns", "end"),
    [
        # where another table has a column of that name, the table belongs to the key
        (CUSTOMERS, (*without("external_user_id"), "app_id"), None),
        (CUSTOMERS, (*without("is_test"), "test"), 'if it is an attribute of its own, write test = "test" there'),
        (APP_USERS, ("customer_id", "app_id", "version"), 'if it is another column, write "app_users.version" = '),
        (APP_USERS, ("customer_id", "app_id", "push_opt_in"), 'write "app_users.push_opt_in" = "push_opt_in" there'),
        (CUSTOMERS, (*without("push_opt_in"), "push_enabled"), 'write "customers.push_enabled" = "push_enabled" there'),
    ],
)
def test_the_key_that_leaves_a_header_alone_names_the_table_where_it_must(table, columns, end) -> None:
    gates, _ = judge_headers(table, [header(*columns)], names=NO_NAMES, earlier=Earlier())
    if end is None:
        assert gates == []
    else:
        assert end in gates[0].message


def test_a_required_column_that_is_missing_is_guessed_from_the_other_headers_only() -> None:
    assert did_you_mean_column(["amount", "", "order_id"], "transaction_id", TRANSACTIONS) == (
        "; did you mean 'order_id'? Name the column transaction_id, or write transaction_id = \"order_id\" under "
        "[import.columns] of optinb.toml"
    )
    assert did_you_mean_column(["customer_id", "amount"], "transaction_id", TRANSACTIONS) == ""
    assert did_you_mean_column([], "transaction_id", TRANSACTIONS) == ""
