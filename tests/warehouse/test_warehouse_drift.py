"""What columns hold, against the deliveries before: jumps block, chance doesn't."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from small_deliveries import DAY, NOW

from optinb.base.settings import ImportSection
from optinb.warehouse import BlockedError, drift
from optinb.warehouse.columns import slim
from optinb.warehouse.contract import APP_USERS as APPS
from optinb.warehouse.contract import CUSTOMERS as PEOPLE
from optinb.warehouse.contract import TRANSACTIONS as SALES
from optinb.warehouse.report import ColumnFigures

if TYPE_CHECKING:
    from small_deliveries import Folder

    from optinb.warehouse.contract import Table

LIMITS = ImportSection()


def verdicts(
    before: dict[str, Any], now: dict[str, Any], *, column: str, table: Table = PEOPLE, limits: ImportSection = LIMITS
) -> dict[str, str]:
    """Of each measure of one column: its verdict."""
    found = drift.compare(
        table, {column: ColumnFigures(**now)}, {column: ColumnFigures(**before)}, limits=limits, watched={"tier"}
    )
    return {one.measure: one.verdict for one in found}


@pytest.mark.parametrize("column", ["push_opt_in", "is_blocked", "is_test"])
@pytest.mark.parametrize("rows", [5, 20, 1000])
def test_consent_that_turns_round_or_is_emptied_blocks_however_few_there_are(column: str, rows: int) -> None:
    none, everybody = {"rows": rows, "nulls": 0.0, "true": 0.0}, {"rows": rows, "nulls": 0.0, "true": 1.0}
    assert (
        verdicts(none, everybody, column=column)["true"] == "jump" == verdicts(everybody, none, column=column)["true"]
    )
    assert verdicts(everybody, {"rows": rows, "nulls": 1.0}, column=column) == {"empty": "jump"}
    assert verdicts(none, none, column=column) == {"empty": "ok", "true": "ok"}


def test_consent_may_move_less_than_other_columns_and_more_where_there_are_few_rows() -> None:
    def share(rows: int, true: float) -> dict[str, Any]:
        return {"rows": rows, "nulls": 0.0, "true": true}

    assert verdicts(share(5000, 0.6), share(5000, 0.71), column="push_opt_in")["true"] == "jump"
    assert verdicts(share(5000, 0.6), share(5000, 0.69), column="push_opt_in")["true"] == "ok"
    assert verdicts(share(5000, 0.6), share(5000, 0.71), column="tier")["true"] == "ok"
    assert verdicts(share(20, 0.6), share(20, 0.75), column="push_opt_in")["true"] == "ok"
    wide = ImportSection(max_consent_change=1.0)
    assert verdicts(share(5000, 0.0), share(5000, 1.0), column="push_opt_in", limits=wide)["true"] == "ok"


def test_only_watched_attributes_are_gated() -> None:
    full, empty = {"rows": 900, "nulls": 0.0}, {"rows": 900, "nulls": 0.9}
    assert verdicts(full, empty, column="tier") == {"empty": "jump"}
    assert verdicts(full, empty, column="hobby") == {"empty": "not gated"}
    assert verdicts(full, empty, column="country") == {"empty": "jump"}


def test_the_number_of_values_jumps_when_common_ones_go_or_come_and_not_for_rare_ones() -> None:
    def values(distinct: int, evenly: float) -> dict[str, Any]:
        return {"rows": 900, "nulls": 0.0, "sampled": 900, "distinct": distinct, "evenly": evenly}

    assert verdicts(values(12, 6.0), values(1, 1.0), column="country")["values"] == "jump"
    assert verdicts(values(2, 2.0), values(1, 1.0), column="gender")["values"] == "jump"
    assert verdicts(values(2, 1.01), values(1, 1.0), column="gender")["values"] == "rare values"
    assert verdicts(values(4, 3.0), values(800, 700.0), column="country")["values"] == "jump"
    assert verdicts(values(4, 3.0), values(9, 3.1), column="country")["values"] == "rare values"
    assert verdicts(values(900, 900.0), values(3, 2.0), column="external_user_id")["values"] == "jump"
    assert verdicts(values(12, 6.0), values(11, 2.0), column="country")["values"] == "ok"


def test_a_median_jumps_only_beyond_what_half_of_the_rows_had() -> None:
    def spread(low: float, median: float, high: float) -> dict[str, Any]:
        return {"rows": 900, "nulls": 0.0, "low": low, "median": median, "high": high}

    assert verdicts(spread(20, 40, 60), spread(2000, 4000, 6000), column="amount", table=SALES)["median"] == "jump"
    assert verdicts(spread(20, 40, 60), spread(30, 75, 90), column="amount", table=SALES)["median"] == "ok"
    assert verdicts(spread(0, 0, 1), spread(0, 1, 1), column="tier")["median"] == "ok"
    assert verdicts(spread(10, 40, 60), spread(10, 90, 160), column="tier")["median"] == "jump"


def customers(chance: random.Random, count: int, **share: float) -> str:
    rows = ["customer_id,registered_at,country,gender,external_user_id,push_opt_in,is_blocked,is_test,age"]
    for i in range(count):
        country = chance.choices(["DE", "FR", "AT", "CH", ""], [60, 20, 10, 5, 5])[0]
        opted = chance.random() < share.get("opted", 0.6)
        blocked, test = chance.random() < share.get("blocked", 0.02), chance.random() < 0.005
        flags = f"{opted},{blocked},{test}".lower()
        gender = chance.choice(["f", "m", ""])
        rows.append(f"{i},2026-01-05,{country},{gender},x{i},{flags},{int(chance.gauss(40, 15))}")
    return "\n".join(rows) + "\n"


def test_honest_nights_of_a_few_thousand_customers_raise_no_alarm() -> None:
    chance = random.Random(13)
    shares = {"push_opt_in": 0.6, "is_blocked": 0.02, "is_test": 0.004, "push_enabled": 0.8, "tier": 0.5}
    kept: dict[str, list[ColumnFigures]] = {}
    for _ in range(200):
        count = chance.randint(500, 5000)
        now = {}
        for name, share in shares.items():
            true, empty = (sum(chance.random() < p for _ in range(count)) for p in (share, 0.3))
            now[name] = ColumnFigures(rows=count, nulls=empty / count, true=true / count)
        last = {name: drift.usual(figures[-drift.NIGHTS :]) for name, figures in kept.items()}
        for table in (PEOPLE, APPS):
            moved = drift.compare(table, now, last, limits=LIMITS, watched={"tier"})
            assert [one for one in moved if one.verdict == "jump"] == []
        for name, figures in now.items():
            kept.setdefault(name, []).append(figures)


def test_honest_nights_are_imported_and_a_night_that_opts_everybody_in_is_not(folder: Folder) -> None:
    chance = random.Random(7)
    plain: dict[str, str | bytes] = {"app_users.csv": "customer_id,app_id,push_enabled,app_version\n"}
    report = None
    for night in range(6):
        files = plain | {"customers.csv": customers(chance, chance.randint(500, 900))}
        report = folder.load(files, day=DAY + timedelta(days=night), now=NOW + timedelta(days=night), base=False)
        assert [one for one in report.drift if one.verdict == "jump"] == []
    assert report is not None and {one.column for one in report.drift} >= {"push_opt_in", "country", "age"}
    assert {one.verdict for one in report.drift if one.column == "age"} == {"not gated"}
    later = {"day": DAY + timedelta(days=6), "now": NOW + timedelta(days=6)}
    with pytest.raises(BlockedError, match=r"customers: the share of true .* of push_opt_in is 100\.0%") as caught:
        folder.load(plain | {"customers.csv": customers(chance, 700, opted=1.0)}, base=False, **later)
    assert [(g.setting, g.value) for g in caught.value.gates if not g.passed] == [("max_consent_change", 1.0)]
    assert any(one.verdict == "jump" for one in caught.value.drift)
    with pytest.raises(BlockedError, match="median of age"):
        rows = [line.rsplit(",", 1) for line in customers(chance, 700).splitlines()]
        text = "\n".join([",".join(rows[0]), *(f"{line},{int(age) * 100}" for line, age in rows[1:])])
        folder.load(plain | {"customers.csv": text}, base=False, watched={"age"}, **later)


def test_what_was_accepted_is_the_new_beginning(folder: Folder) -> None:
    chance = random.Random(3)
    plain: dict[str, str | bytes] = {"app_users.csv": "customer_id,app_id,push_enabled,app_version\n"}
    for night, (opted, reason) in enumerate([(0.0, None), (0.0, None), (1.0, "all were asked"), (1.0, None)]):
        folder.load(
            plain | {"customers.csv": customers(chance, 60, opted=opted)},
            day=DAY + timedelta(days=night),
            now=NOW + timedelta(days=night),
            base=False,
            accept_anyway=reason,
        )
    assert folder.warehouse.current == 4


def test_an_emptied_consent_of_app_users_blocks(folder: Folder) -> None:
    head = "customer_id,app_id,push_enabled,app_version\n"
    people = "customer_id,registered_at\n" + "".join(f"{i},2026-01-05\n" for i in range(20))

    def users(flag: str) -> dict[str, str | bytes]:
        return {
            "customers.csv": people,
            "app_users.csv": head + "".join(f"{i},shop-ios,{flag},3.2\n" for i in range(20)),
        }

    folder.load(users("false"), base=False)
    with pytest.raises(BlockedError, match="push_enabled"):
        folder.load(users("true"), base=False, day=DAY + timedelta(days=1), now=NOW + timedelta(days=1))


def test_a_version_keeps_the_figures_of_the_last_deliveries_only(folder: Folder) -> None:
    folder.load()
    with folder.warehouse.open() as snapshot:
        (one,) = snapshot.contents.deliveries
    from msgspec.structs import replace

    many = [replace(one, run_date=DAY + timedelta(days=n)) for n in range(30)]
    kept = slim(many)
    assert [bool(d.report.tables[0].figures) for d in kept] == [False] * 10 + [True] * 20
    assert all(d.report.tables[0].columns for d in kept)
