"""Who is one person under several customer ids, and what counts of their consent."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_deliveries import DAY, NOW, Folder

from optinb.errors import GateError, UsageError
from optinb.warehouse.components import components, cycles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.warehouse import ImportReport

Row = tuple[str, str, str]


def night(
    folder: Folder, number: int, *rows: Row, ids: Iterable[tuple[str, str]] | None = None, off: Iterable[str] = (), **kw
) -> ImportReport:
    """Imports customers (id, external id, push_opt_in) with an app each; those in `off` have push disabled there."""
    day, off = DAY + timedelta(days=number), set(off)
    customers = "".join(f"{i},2026-01-05,{e},{p}\n" for i, e, p in rows)
    uses = "".join(f"{i},shop-ios,{'no' if i in off else 'yes'}\n" for i, _, _ in rows)
    files: dict[str, str | bytes] = {
        "customers.csv": "customer_id,registered_at,external_user_id,push_opt_in\n" + customers,
        "app_users.csv": "customer_id,app_id,push_enabled\n" + uses,
    }
    if ids is not None:
        files["customer_ids.csv"] = "old,new,since\n" + "".join(f"{old},{new},2026-11-20\n" for old, new in ids)
    return folder.load(files, day=day, now=NOW + timedelta(days=number), base=False, **kw)


def persons(folder: Folder) -> dict[str, str]:
    with folder.warehouse.open() as version:
        return dict(version.table("persons").select("customer_id", "person_id").collect().iter_rows())


def consent(folder: Folder) -> dict[str, bool]:
    with folder.warehouse.open() as version:
        return dict(version.table("customers").select("customer_id", "push_opt_in").collect().iter_rows())


def test_customers_who_are_their_own_person_are_not_listed(folder: Folder) -> None:
    folder.load()
    assert persons(folder) == {}


def test_a_new_id_with_the_external_id_of_one_that_is_gone_is_the_same_person_for_good(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"))
    night(folder, 1, ("m", "e1", "yes"), ("b", "e2", "yes"), ("n", "e3", "yes"))
    assert persons(folder) == {"m": "a"}
    night(folder, 2, ("m", "e9", "yes"), ("b", "e2", "yes"))
    assert persons(folder) == {"m": "a"}
    night(folder, 3, ("o", "e9", "yes"), ("b", "e2", "yes"))
    assert persons(folder) == {"m": "a", "o": "a"}, "a chain of ids leads to the first"


def test_a_new_id_that_comes_some_nights_after_the_old_one_is_gone_is_the_same_person(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"), ("c", "e3", "yes"))
    night(folder, 1, ("b", "e2", "yes"), ("c", "e3", "yes"))
    night(folder, 2, ("c", "e3", "yes"))
    night(folder, 3, ("m", "e1", "yes"), ("b", "e2", "yes"), ("c", "e3", "yes"), ("n", "e4", "yes"))
    assert persons(folder) == {"m": "a"}
    with folder.warehouse.open() as version:
        assert version.table("departed_customers").collect().is_empty(), "one has an heir, and the other is back"


def test_an_external_id_that_was_a_customer_id_before_is_found_too(folder: Folder) -> None:
    customers = "customer_id,registered_at\na,2026-01-05\nb,2026-01-05\n"
    uses = "customer_id,app_id,push_enabled\na,shop-ios,yes\n"
    folder.load({"customers.csv": customers, "app_users.csv": uses}, base=False)
    night(folder, 1, ("m", "a", "yes"), ("b", "b", "yes"))
    assert persons(folder) == {"m": "a"}


def test_two_customers_who_swap_their_external_ids_stay_two_people(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "no"))
    night(folder, 1, ("a", "e2", "yes"), ("b", "e1", "no"))
    assert persons(folder) == {}
    assert consent(folder) == {"a": True, "b": False}


def test_an_external_id_that_moves_to_somebody_new_links_nobody_who_is_still_there(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "no"))
    night(folder, 1, ("a", "e2", "no"), ("n", "e1", "yes"))
    assert persons(folder) == {}
    assert consent(folder) == {"a": False, "n": True}


def test_a_value_that_stands_for_everybody_unknown_is_no_person(folder: Folder) -> None:
    many = [(f"c{n:02}", "unknown", "yes") for n in range(30)]
    night(folder, 0, *many[:15])
    night(folder, 1, *many[15:])
    with folder.warehouse.open() as version:
        assert version.table("customer_ids").collect().is_empty()


def test_the_delivered_ids_link_over_chains_and_last_when_they_are_delivered_once(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("x", "ex", "yes"))
    night(folder, 1, ("b", "e2", "yes"), ("x", "ex", "yes"), ids=[("a", "b"), ("x", "x"), ("gone", "later")])
    assert persons(folder) == {"b": "a", "later": "gone"}
    night(folder, 2, ("c", "e3", "yes"), ("x", "ex", "yes"), ("later", "el", "yes"), ids=[("b", "c")])
    night(folder, 3, ("c", "e3", "yes"), ("x", "ex", "yes"))
    assert persons(folder) == {"b": "a", "c": "a", "later": "gone"}


def test_a_corrected_delivery_of_the_same_day_takes_its_links_back(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"))
    night(folder, 1, ("a", "e1", "no"), ("b", "e2", "yes"), ids=[("a", "b")])
    assert persons(folder) == {"b": "a"} and consent(folder) == {"a": False, "b": False}
    night(folder, 1, ("a", "e1", "no"), ("b", "e2", "yes"), ids=[])
    assert persons(folder) == {} and consent(folder) == {"a": False, "b": True}


def test_ids_that_replace_each_other_are_told_and_count_as_one_person(folder: Folder) -> None:
    report = night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"), ids=[("a", "b"), ("b", "a")])
    assert any("in a circle (a and b)" in warning for warning in report.warnings)
    assert persons(folder) == {"b": "a"}
    assert not night(folder, 1, ("a", "e1", "yes"), ("b", "e2", "yes")).warnings


def test_a_column_with_one_value_for_everybody_blocks(folder: Folder) -> None:
    rows = [(f"c{n:02}", f"e{n}", "yes") for n in range(60)]
    with pytest.raises(GateError, match=r"one person of at most 61 ids \(limit 50\).*max_ids_per_person"):
        night(folder, 0, *rows, ids=[(i, "unknown") for i, _, _ in rows])
    folder.configure(max_ids_per_person=61)
    assert night(folder, 0, *rows, ids=[(i, "unknown") for i, _, _ in rows]).version == 1


def test_ids_without_old_or_new_are_rejects_and_every_row_is_accounted_for(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ids=[("a", "b"), ("", "b"), ("a", "")])
    with folder.warehouse.open() as version:
        table = version.contents.deliveries[0].report.table("customer_ids")
    assert (table.read, table.loaded, table.quarantined) == (3, 1, 2)
    assert folder.warehouse.quarantine(DAY)["table"].to_list() == ["customer_ids"] * 2


@pytest.mark.parametrize("ids", [("7.0", "m"), ("7", "8.0"), ("7", "1.23457E+11")])
def test_ids_in_customer_ids_that_a_tool_wrote_as_numbers_block(folder: Folder, ids: tuple[str, str]) -> None:
    night(folder, 0, ("7", "e1", "yes"))
    night(folder, 1, ("7", "e1", "yes"), ids=[("6.0a", "5")])
    with pytest.raises(GateError, match=r"1 values of (old|new) in customer_ids were written as numbers"):
        night(folder, 2, ("m", "e9", "yes"), ids=[ids])


@pytest.mark.parametrize("since", ["20.11.2026", "0000-00-00", "2036-01-01", "NULL"])
def test_a_day_of_a_merge_that_cannot_be_read_does_not_lose_the_merge(folder: Folder, since: str) -> None:
    night(folder, 0, ("a", "e1", "yes"))
    files: dict[str, str | bytes] = {
        "customers.csv": "customer_id,registered_at,external_user_id,push_opt_in\nm,2026-01-05,e9,yes\n",
        "app_users.csv": "customer_id,app_id,push_enabled\nm,shop-ios,yes\n",
        "customer_ids.csv": f"old,new,since\na,m,{since}\n" + "".join(f"x{i},y{i},\n" for i in range(40)),
    }
    report = folder.load(files, day=DAY + timedelta(days=1), now=NOW + timedelta(days=1), base=False)
    assert persons(folder)["m"] == "a"
    told = next(table for table in report.tables if table.table == "customer_ids")
    assert (told.read, told.loaded, told.quarantined) == (41, 41, 0)


def test_the_denial_of_either_counts_when_two_known_customers_merge(folder: Folder) -> None:
    rows = ("a", "e1", "no"), ("b", "e2", "yes"), ("c", "e3", "yes"), ("d", "e4", "yes")
    night(folder, 0, *rows)
    report = night(folder, 1, *rows[1:], ids=[("a", "b"), ("c", "d")], off="c")
    assert (report.merged, report.merged_stricter) == (2, 2)
    assert any("2 people were merged" in warning and "for 2 of them" in warning for warning in report.warnings)
    assert consent(folder) == {"b": False, "c": True, "d": True}
    with folder.warehouse.open() as version:
        uses = dict(version.table("app_users").select("customer_id", "push_enabled").collect().iter_rows())
    assert uses == {"b": True, "c": False, "d": False}
    again = night(folder, 2, *rows[1:])
    assert again.merged == 0 and consent(folder)["b"] is False, "nothing was said since the merge"


def test_a_value_that_is_delivered_after_the_merge_is_the_word_that_counts(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "no"), ("b", "e2", "yes"))
    night(folder, 1, ("b", "e2", "yes"), ids=[("a", "b")])
    night(folder, 2, ("b", "e2", "no"))
    night(folder, 3, ("b", "e2", "yes"))
    assert consent(folder) == {"b": True}


def test_of_two_ids_that_are_both_delivered_the_one_that_denies_speaks_as_long_as_it_does(folder: Folder) -> None:
    for number, said in enumerate(("no", "yes")):
        night(folder, number, ("a", "e", said), ("b", "e", "yes"))
        assert consent(folder) == {"a": said == "yes", "b": said == "yes"}


def test_a_new_id_of_somebody_who_had_opted_out_has_its_own_delivered_word(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "no"), ("b", "e2", "no"))
    report = night(folder, 1, ("m", "e1", "yes"), ("n", "e2", "no"))
    assert report.merged == 0 and consent(folder) == {"m": True, "n": False}


@pytest.mark.parametrize("stays", [(), (("a", "e1", "yes"),)], ids=["alone", "both"])
def test_what_the_one_that_stays_had_denied_counts_where_its_value_is_missing(
    folder: Folder, stays: tuple[Row, ...]
) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "no"), ("c", "e3", "yes"), ("d", "e4", "yes"))
    night(folder, 1, *stays, ("b", "e2", ""), ("d", "e4", ""), ids=[("a", "b"), ("c", "d")])
    assert consent(folder) == {**{i: False for i, _, _ in stays}, "b": False, "d": True}


def test_what_somebody_had_said_who_left_some_nights_ago_counts_when_they_are_merged_or_back(folder: Folder) -> None:
    some = (("a", "e1", "no"), ("b", "e2", "yes"), ("c", "e3", "yes"), ("d", "e4", "no"), ("e", "e5", "yes"))
    night(folder, 0, *some)
    night(folder, 1, ("b", "e2", "yes"), ("f", "e6", "no"))
    night(folder, 2, ("b", "e2", "yes"), ("f", "e6", "no"))
    night(folder, 3, ("b", "e2", "yes"), ("c", "e3", ""), ("d", "e4", ""), ("e", "e5", "no"), ids=[("a", "b")])
    assert consent(folder) == {"b": False, "c": True, "d": False, "e": False}


def test_a_correction_merges_people_by_what_they_had_said_the_night_before(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "no"), ("b", "e2", "yes"), ("c", "e3", "yes"), ("d", "e4", "yes"))
    night(folder, 1, ("b", "e2", "no"), ("d", "e4", "no"))
    night(folder, 1, ("b", "e2", "yes"), ("d", "e4", "yes"), ids=[("a", "b"), ("c", "d")])
    assert consent(folder) == {"b": False, "d": True}


def test_a_correction_finds_a_new_id_of_somebody_whom_the_first_delivery_lacked(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "no"))
    night(folder, 1, ("c", "e3", "yes"))
    night(folder, 1, ("m", "e1", ""), ("n", "e2", ""), ("c", "e3", "yes"))
    assert persons(folder) == {"m": "a", "n": "b"}
    assert consent(folder) == {"m": True, "n": False, "c": True}


def test_a_correction_parts_whom_a_wrong_external_id_had_made_one_person(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "no"), ("b", "e2", "yes"))
    night(folder, 1, ("b", "e1", "yes"))
    assert persons(folder) == {"b": "a"}
    night(folder, 1, ("a", "e1", "no"), ("b", "e2", "yes"))
    assert persons(folder) == {} and consent(folder) == {"a": False, "b": True}


def test_people_who_have_nothing_to_do_with_a_merge_keep_what_they_said(folder: Folder) -> None:
    others = [(f"c{n}", f"x{n}", "yes" if n % 2 else "no") for n in range(20)]
    night(folder, 0, ("a", "e1", "no"), ("b", "e2", "yes"), *others)
    night(folder, 1, ("b", "e2", "yes"), *others, ids=[("a", "b")])
    assert consent(folder) == {"b": False, **{i: said == "yes" for i, _, said in others}}


def test_only_who_was_a_person_of_their_own_counts_as_drawn_for_when_two_are_one(folder: Folder) -> None:
    def drawn() -> dict[str, bool]:
        with folder.warehouse.open() as version:
            return dict(version.table("persons").select("customer_id", "drawn").collect().iter_rows())

    night(folder, 0, ("a", "e", "yes"), ("b", "e", "yes"), ("c", "ec", "yes"), ("d", "ed", "yes"))
    assert drawn() == {"b": False}, "they shared it from the beginning"
    night(folder, 1, ("a", "e", "yes"), ("b", "e", "yes"), ("m", "ec", "yes"), ("d", "ed", "yes"), ids=[("a", "d")])
    assert drawn() == {"b": False, "d": True, "m": False}


def test_a_version_from_before_persons_were_kept_is_followed_without_a_merge(folder: Folder) -> None:
    night(folder, 0, ("a", "e", "yes"), ("b", "e", "no"), ("c", "ec", "yes"))
    path = max((folder.root / "warehouse").glob("v*.duckdb"))
    with duckdb.connect(str(path)) as con:
        for name in ("persons", "customer_ids", "merged_consent", "departed_customers"):
            con.execute(f"DROP TABLE {name}")
    with folder.warehouse.open() as version:
        assert not version.has("persons")
    report = night(folder, 1, ("a", "e", "yes"), ("b", "e", "no"), ("m", "ec", "yes"))
    assert (report.merged, persons(folder)) == (0, {"b": "a", "m": "c"})
    assert consent(folder) == {"a": False, "b": False, "m": True}


def test_a_model_cannot_publish_what_is_known_of_people(folder: Folder) -> None:
    folder.load()
    for name in ("persons", "customer_ids", "merged_consent"):
        with pytest.raises(UsageError, match="warehouse's own"):
            folder.warehouse.publish({name: pl.DataFrame({"customer_id": ["a"]})}, model_date=DAY)
    folder.warehouse.publish({"features": pl.DataFrame({"customer_id": ["a"]})}, model_date=date(2026, 11, 23))
    with folder.warehouse.open() as version:
        assert version.has("persons") and version.has("customer_ids")


IDS = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(IDS, IDS).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=8))
def test_ids_are_in_one_group_exactly_if_a_chain_of_links_joins_them(pairs: list[tuple[str, str]]) -> None:
    found = components(pl.DataFrame(pairs, schema=["old", "new"], orient="row"))
    groups = {frozenset(some) for some in found.group_by("group").agg("customer_id")["customer_id"]}
    expected: list[set[str]] = []
    for pair in pairs:
        touched = [some for some in expected if some & set(pair)]
        expected = [some for some in expected if some not in touched] + [set(pair).union(*touched)]
    assert groups == {frozenset(some) for some in expected}


def test_a_circle_is_found_and_a_chain_is_none() -> None:
    chain = pl.DataFrame(list(pairwise("abcd")), schema=["old", "new"], orient="row")
    assert cycles(chain) == []
    closed = pl.concat([chain, pl.DataFrame({"old": ["d", "x"], "new": ["b", "a"]})])
    assert cycles(closed) == [["b", "c", "d"]]


def there(folder: Folder) -> dict[str, list[str]]:
    """The customers of each table of the published version."""
    with folder.warehouse.open() as version:
        rows = {name: version.table(name).select("customer_id").collect() for name in ("customers", "app_users")}
        rows["transactions"] = version.scan("transactions").select("customer_id").collect()
    return {name: frame["customer_id"].unique().sort().to_list() for name, frame in rows.items()}


def forget(folder: Folder, customer_id: str) -> None:
    folder.warehouse.forget(customer_id, user="ann", now=NOW)


def bought(folder: Folder, number: int, *ids: str) -> None:
    text = "".join(f"t{number}{i},{i},2026-11-20T10:00:00,5\n" for i in ids)
    day = DAY + timedelta(days=number)
    folder.deliver({"transactions.csv": "transaction_id,customer_id,occurred_at,amount\n" + text}, day=day, base=False)


def test_a_forgotten_person_is_left_out_under_a_new_id_with_their_external_id_and_stays_so(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"))
    forget(folder, "a")
    bought(folder, 1, "m", "b")
    report = night(folder, 1, ("m", "e1", "yes"), ("b", "e2", "yes"))
    assert there(folder) == {"customers": ["b"], "app_users": ["b"], "transactions": ["b"]}
    assert [(t.table, t.forgotten, t.quarantined) for t in report.tables] == [
        ("customers", 1, 0),
        ("app_users", 1, 0),
        ("transactions", 1, 0),
    ]
    night(folder, 2, ("m", "e9", "yes"), ("b", "e2", "yes"))
    night(folder, 3, ("z", "e9", "yes"), ("b", "e2", "yes"))
    assert there(folder)["customers"] == ["b"], "the new id and its new external id are known by now"


def test_somebody_who_is_gone_can_be_forgotten_with_the_external_id_that_was_theirs(folder: Folder) -> None:
    folder.configure(keep_versions=1)
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"))
    night(folder, 1, ("b", "e2", "yes"))
    forget(folder, "a")
    night(folder, 2, ("m", "e1", "yes"), ("b", "e2", "yes"))
    assert there(folder)["customers"] == ["b"]


def test_a_forgotten_person_is_left_out_under_an_id_that_customer_ids_leads_to(folder: Folder) -> None:
    night(folder, 0, ("a", "e1", "yes"), ("b", "e2", "yes"))
    forget(folder, "a")
    night(folder, 1, ("n", "f1", "yes"), ("b", "e2", "yes"), ids=[("a", "mid"), ("mid", "n"), ("x", "b")])
    assert there(folder)["customers"] == ["b"]
    with folder.warehouse.open() as version:
        assert version.table("customer_ids").select("old", "new").collect().rows() == [("x", "b")]
    night(folder, 2, ("n", "f1", "yes"), ("b", "e2", "yes"))
    assert there(folder)["customers"] == ["b"]


def test_all_ids_of_a_person_who_was_merged_are_forgotten_with_any_of_them(folder: Folder) -> None:
    bought(folder, 0, "a", "c")
    night(folder, 0, ("a", "e1", "no"), ("c", "e3", "yes"), ("d", "e4", "yes"))
    bought(folder, 1, "b", "c")
    night(folder, 1, ("b", "e2", "yes"), ("c", "e3", "yes"), ("d", "e4", "yes"), ids=[("a", "b"), ("c", "d")])
    forget(folder, "b")
    assert there(folder)["transactions"] == ["c"] and persons(folder) == {"d": "c"}
    for info in folder.warehouse.versions():
        with folder.warehouse.open(info.version) as version:
            for name in version.tables:
                texts = version.table(name).select(pl.col(pl.String)).collect()
                assert not {"a", "b", "e1", "e2"} & {text for column in texts.iter_columns() for text in column}, name
    night(folder, 2, ("a", "f1", "yes"), ("c", "e3", "yes"), ("x", "e2", "yes"))
    assert there(folder)["customers"] == ["c"]


def test_nobody_else_is_left_out_with_somebody_who_was_forgotten(folder: Folder) -> None:
    unknown = [(f"u{n:02}", "unknown", "yes") for n in range(20)]
    night(folder, 0, ("a", "42", "yes"), ("b", "e2", "yes"), *unknown)
    forget(folder, "a")
    forget(folder, "u00")
    # 42 is a customer id here, and `a` an external user id; the others share what stands for everybody unknown
    night(folder, 1, ("42", "e42", "yes"), ("c", "a", "yes"), ("b", "e2", "yes"), *unknown)
    assert there(folder)["customers"] == ["42", "b", "c", *(i for i, _, _ in unknown[1:])]


def test_a_column_with_one_value_for_everybody_forgets_nobody_else(folder: Folder) -> None:
    rows = [(f"c{n:02}", f"e{n:02}", "yes") for n in range(80)]
    night(folder, 0, *rows)
    forget(folder, "c00")
    everybody = [(i, "unknown") for i, _, _ in rows[:60]]
    with pytest.raises(GateError, match=r"one person of at most 61 ids \(limit 50\)"):
        night(folder, 1, *rows, ids=everybody)
    night(folder, 2, *rows)
    assert len(there(folder)["customers"]) == 79


def test_what_several_customers_share_ties_nobody_together_for_good(folder: Folder) -> None:
    night(folder, 0, ("a", "0", "yes"), ("b", "0", "yes"), ("c", "0", "yes"), ("d", "e4", "yes"))
    night(folder, 1, ("b", "0", "yes"), ("c", "0", "yes"), ("d", "e4", "yes"))
    night(folder, 2, ("b", "e2", "yes"), ("c", "e3", "yes"), ("d", "e4", "yes"))
    assert not {("b", "c"), ("c", "b")} & {*persons(folder).items()}
    assert persons(folder).get("b", "b") != persons(folder).get("c", "c")
