from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import polars as pl
import pytest

from optinb.base.settings import load_settings
from optinb.errors import UsageError
from optinb.sandbox.sample import SampleReport, write_sample
from optinb.sandbox.sample import write as write_module
from optinb.warehouse.contract import TABLES
from optinb.warehouse.formats import read_name

DATA = Path(__file__).parents[2] / "data"
COMMITTED = DATA / "sample" / "2026-11-23"
# Nobody of the sample was merged, and its campaigns are still to come, so that nobody has redeemed anything.
SAMPLED = [name for name in TABLES if name not in ("customer_ids", "redemptions")]
ZONES = available_timezones()
MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)  # of the first run date, in Berlin


def content(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def rows_of(folder: Path, table: str) -> list[dict]:
    """The rows of a table as text, from whichever text file holds it."""
    (path,) = folder.glob(f"{table}*.*")
    if "ndjson" in path.name:
        return [json.loads(line) for line in content(path).splitlines()]
    return list(csv.DictReader(io.StringIO(content(path))))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    out = tmp_path_factory.mktemp("sample")
    report = write_sample(out)
    return out / "2026-11-23", report


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    out = tmp_path_factory.mktemp("week")
    return out, write_sample(out, customers=1_500, days=90, nights=5, bad_rows=False)


@pytest.mark.parametrize("fmt", ["csv", "parquet"])
def test_same_arguments_make_the_same_bytes(tmp_path: Path, fmt) -> None:
    for name in ("one", "two"):
        write_sample(tmp_path / name, customers=120, days=60, nights=2, fmt=fmt)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*") if p.is_file())
    assert len(files) >= 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_another_seed_makes_another_shop(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sample(tmp_path / str(seed), customers=50, days=30, seed=seed)
    for table in SAMPLED:
        one, two = (rows_of(tmp_path / str(seed) / "2026-11-23", table) for seed in (1, 2))
        assert one != two, table


def test_the_committed_sample_is_what_the_default_call_makes(sample) -> None:
    folder, _ = sample
    made, committed = ({p.name: content(p) for p in f.iterdir()} for f in (folder, COMMITTED))
    assert made.keys() == committed.keys()
    for name, text in made.items():
        assert text == committed[name], f"{name} differs: write data/sample anew and commit it with the generator"


def test_the_committed_sample_is_small(sample) -> None:
    assert sum(p.stat().st_size for p in COMMITTED.iterdir()) < 2_500_000


def test_the_readme_of_the_sample_gives_the_rows(sample) -> None:
    _, report = sample
    readme = (DATA / "sample" / "README.md").read_text()
    for path in COMMITTED.iterdir():
        table = path.name.partition(".")[0]
        bad = sum(report.bad[table].values())
        assert f"| `2026-11-23/{path.name}` | {report.tables[table]:,} | {bad} |" in readme


def test_files_and_columns_are_those_of_the_contract(sample) -> None:
    folder, report = sample
    names = [read_name(path.name) for path in folder.iterdir()]
    assert None not in names
    for name in SAMPLED:
        rows = rows_of(folder, name)
        assert len(rows) == report.tables[name] == report.deliveries["2026-11-23"][name]
        seen = set().union(*rows)
        assert set(TABLES[name].required) <= seen
        further = seen - {column.name for column in TABLES[name].columns}
        assert bool(further) == (name == "customers"), further


def complaint(table: str, row: dict, *, customers: set[str], apps: frozenset[str], seen: set) -> str | None:
    """What a reader of the contract says of a row; independent of both the generator and the import."""
    for column in TABLES[table].required:
        if not row.get(column):
            return "missing key"
    times = {c.name: row[c.name] for c in TABLES[table].columns if c.kind == "time" and row.get(c.name)}
    for text in times.values():
        try:
            if moment(text).tzinfo is None:
                return "no offset"
        except ValueError:
            return "unparsable time"
        if moment(text) >= MIDNIGHT + timedelta(days=1):
            return "time in the future"
    if "amount" in row:
        try:
            if float(row["amount"]) != float(row["amount"]):
                return "not finite"
        except ValueError:
            return "unparsable number"
    if row.get("time_zone") and row["time_zone"] not in ZONES:
        return "unknown time zone"
    if table != "customers" and row["customer_id"] not in customers:
        return "unknown customer"
    if table == "app_users" and row["app_id"] not in apps:
        return "unknown app"
    key = tuple(row[name] for name in TABLES[table].key)
    if key and key in seen:
        return "duplicate key"
    seen.add(key)
    return None


def test_the_report_counts_exactly_the_rows_that_are_bad(sample) -> None:
    folder, report = sample
    apps = load_settings(DATA / "optinb.toml").app_ids()
    good = {row["customer_id"] for row in rows_of(folder, "customers")} - {"", "999998", "999997"}
    for table in SAMPLED:
        seen: set = set()
        found = [complaint(table, row, customers=good, apps=apps, seen=seen) for row in rows_of(folder, table)]
        assert Counter(kind for kind in found if kind) == report.bad[table], table
    assert all(sum(kinds.values()) >= 2 for kinds in report.bad.values())


def test_without_bad_rows_every_row_is_good(tmp_path: Path) -> None:
    report = write_sample(tmp_path, customers=300, days=100, bad_rows=False)
    folder = tmp_path / "2026-11-23"
    customers = {row["customer_id"] for row in rows_of(folder, "customers")}
    apps = load_settings(DATA / "optinb.toml").app_ids()
    for table in SAMPLED:
        seen: set = set()
        rows = rows_of(folder, table)
        assert [complaint(table, row, customers=customers, apps=apps, seen=seen) for row in rows] == [None] * len(rows)
    assert report.bad == {}


def test_all_times_lie_before_midnight_of_the_run_date(sample) -> None:
    folder, report = sample
    for table in ("transactions", "events"):
        rows = rows_of(folder, table)[: -sum(report.bad[table].values())]
        times = [moment(row["occurred_at"]) for row in rows]
        assert times == sorted(times)
        assert max(times) < MIDNIGHT
        assert min(times) >= MIDNIGHT - timedelta(days=400 if table == "transactions" else 60)


def test_customers_are_of_many_places_and_some_values_are_missing(sample) -> None:
    rows = rows_of(sample[0], "customers")[:2_000]
    assert [row["customer_id"] for row in rows] == [f"{n:06}" for n in range(1, 2_001)]
    assert {"DE", "AT", "CH", "FR", "GB", "US"} <= {row["country"] for row in rows}
    assert len({row["time_zone"] for row in rows if row["country"] == "US"}) == 3
    assert {row["language"] for row in rows if row["country"] == "CH"} == {"de", "fr"}
    for column in ("birth_date", "gender", "loyalty_tier"):
        assert 0 < sum(row[column] == "" for row in rows) < len(rows)
    for column in ("push_opt_in", "is_blocked", "is_test", "newsletter"):
        assert {row[column] for row in rows} == {"true", "false"}
    assert all(
        date(1900, 1, 1) < date.fromisoformat(r["birth_date"]) < date(2010, 1, 1) for r in rows if r["birth_date"]
    )


def test_app_users_have_every_kind_that_the_audience_must_tell_apart(sample) -> None:
    folder, _ = sample
    users = rows_of(folder, "app_users")[:-4]
    registered = {row["customer_id"]: moment(row["registered_at"]) for row in rows_of(folder, "customers")[:2_000]}
    apps: dict[str, set[str]] = {}
    for user in users:
        apps.setdefault(user["customer_id"], set()).add(user["app_id"])
        assert registered[user["customer_id"]] <= moment(user["first_used_at"]) <= moment(user["last_used_at"])
    assert len(apps) < 1_950, "some customers have no app"
    assert sum(len({app.partition("-")[0] for app in own}) == 2 for own in apps.values()) > 300, "apps of both groups"
    assert Counter(user["push_enabled"] for user in users).keys() == {"true", "false", ""}
    for group in load_settings(DATA / "optinb.toml").app_groups:
        for app in group.apps:
            versions = [tuple(map(int, u["app_version"].split("."))) for u in users if u["app_id"] == app.id]
            assert len(versions) > 300
            if app.sdk_from_version:
                first = tuple(map(int, app.sdk_from_version.split(".")))
                assert 0.03 < sum(version < first for version in versions) / len(versions) < 0.2


def reachable(folder: Path, *, app: str, sdk_from: str = "0") -> set[str]:
    open_to_push = {
        row["customer_id"]
        for row in rows_of(folder, "customers")[:2_000]
        if row["push_opt_in"] == "true" and row["is_blocked"] == row["is_test"] == "false"
    }
    return {
        user["customer_id"]
        for user in rows_of(folder, "app_users")
        if user["app_id"] == app and user["push_enabled"] != "false" and user["app_version"] >= sdk_from
    } & open_to_push


def purchases_by_age(folder: Path) -> dict[str, list[float]]:
    """Days between each purchase (refunds left out) and the run date, by customer."""
    ages: dict[str, list[float]] = {}
    for row in rows_of(folder, "transactions")[:-9]:
        if float(row["amount"]) > 0:
            age = (MIDNIGHT - moment(row["occurred_at"])).total_seconds() / 86_400
            ages.setdefault(row["customer_id"], []).append(age)
    return ages


def test_the_target_groups_of_the_demo_reach_a_hundred_customers_each(sample) -> None:
    folder, _ = sample
    ages = purchases_by_age(folder)
    lapsed = {c for c, a in ages.items() if sum(x <= 365 for x in a) >= 2 and min(a) > 60}
    regulars = {c for c, a in ages.items() if sum(x <= 90 for x in a) >= 3}
    assert len(lapsed & reachable(folder, app="shop-ios", sdk_from="3.2.0")) >= 115
    assert len(regulars & reachable(folder, app="club-android")) >= 115


def test_rhythms_have_never_buyers_regulars_lapsed_and_returned_customers(sample) -> None:
    ages = purchases_by_age(sample[0])
    gaps = {c: [a - b for a, b in pairwise(own)] for c, own in ages.items() if len(own) > 1}
    assert 100 < 2_000 - len(ages) < 600, "customers without a purchase"
    assert sum(max(gap) > 75 and min(ages[c]) < 75 for c, gap in gaps.items()) > 60, "came back"
    assert sum(min(own) > 120 for own in ages.values()) > 200, "lapsed"
    counts = sorted(len(own) for own in ages.values())
    assert counts[len(counts) // 2] <= 6 < 15 < counts[-len(counts) // 20], "rates differ widely between customers"


def test_people_buy_in_their_daytime_more_at_weekends_and_what_they_like(sample) -> None:
    folder, _ = sample
    zones = {row["customer_id"]: ZoneInfo(row["time_zone"]) for row in rows_of(folder, "customers")[:2_000]}
    rows = rows_of(folder, "transactions")[:-9]
    local = [moment(row["occurred_at"]).astimezone(zones[row["customer_id"]]) for row in rows]
    assert sum(at.hour < 6 for at in local) < 0.06 * len(rows)
    days = Counter(at.weekday() for at in local)
    assert days[5] > 1.15 * days[1]
    by_customer: dict[str, Counter[str]] = {}
    for row in rows:
        by_customer.setdefault(row["customer_id"], Counter())[row["category"]] += 1
    often = [c for c in by_customer.values() if c.total() >= 10]
    assert sum(max(c.values()) / c.total() for c in often) / len(often) > 0.55
    refunds = sum(float(row["amount"]) < 0 for row in rows)
    assert 0.005 < refunds / len(rows) < 0.03


def test_parquet_holds_the_same_rows_typed_and_the_bad_ones_in_a_second_part(tmp_path: Path) -> None:
    reports = {fmt: write_sample(tmp_path / fmt, customers=200, days=80, fmt=fmt) for fmt in ("csv", "parquet")}
    assert reports["csv"] == reports["parquet"]
    folder = tmp_path / "parquet" / "2026-11-23"
    assert all(read_name(path.name) for path in folder.iterdir())
    for table in SAMPLED:
        typed = pl.read_parquet(folder / f"{table}-1.parquet")
        bad = list(csv.DictReader(io.StringIO(content(folder / f"{table}-2.csv"))))
        texts = rows_of(tmp_path / "csv" / "2026-11-23", table)
        assert len(bad) == sum(reports["csv"].bad[table].values())
        assert len(typed) + len(bad) == len(texts)
        assert typed["customer_id"].to_list() == [row["customer_id"] for row in texts[: len(typed)]]
        time = "registered_at" if table == "customers" else "occurred_at" if table != "app_users" else "last_used_at"
        assert typed.schema[time] == pl.Datetime("us", "UTC")
        assert typed[time].to_list() == [moment(row[time]) for row in texts[: len(typed)]]
        if table == "transactions":
            assert typed["amount"].to_list() == [float(row["amount"]) for row in texts[: len(typed)]]
        if table == "events":
            assert [json.loads(text) for text in typed["properties"]] == [r["properties"] for r in texts[: len(typed)]]


def test_the_first_delivery_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", customers=150, days=50, nights=1)
    write_sample(tmp_path / "four", customers=150, days=50, nights=4)
    for path in (tmp_path / "one" / "2026-11-23").iterdir():
        assert path.read_bytes() == (tmp_path / "four" / "2026-11-23" / path.name).read_bytes()


def test_later_deliveries_bring_everyone_again_and_a_few_who_joined(week) -> None:
    out, report = week
    before: list[str] = []
    for night in range(5):
        folder = out / f"2026-11-{23 + night}"
        rows = rows_of(folder, "customers")
        ids = [row["customer_id"] for row in rows]
        assert ids[: len(before)] == before
        assert len(set(ids)) == len(ids) == 1_500 + 3 * night
        day = MIDNIGHT + timedelta(days=night)
        assert (
            all(day - timedelta(days=1) <= moment(row["registered_at"]) < day for row in rows[len(before) :])
            or not night
        )
        before = ids
    assert report.tables["customers"] == 1_500 * 5 + 3 * (1 + 2 + 3 + 4)
    assert list(report.deliveries) == [f"2026-11-{23 + night}" for night in range(5)]


def test_later_deliveries_bring_the_rows_of_a_day_and_a_few_that_changed_or_came_late(week) -> None:
    out, _ = week
    known = {row["transaction_id"]: row for row in rows_of(out / "2026-11-23", "transactions")}
    for night in range(1, 5):
        folder = out / f"2026-11-{23 + night}"
        rows = rows_of(folder, "transactions")
        end = MIDNIGHT + timedelta(days=night)
        fresh = [r for r in rows if end - timedelta(days=1) <= moment(r["occurred_at"]) < end]
        changed = [r for r in rows if r["transaction_id"] in known]
        late = [r for r in rows if r not in fresh and r not in changed]
        assert len(fresh) > 20
        assert len(changed) == len(late) == 5
        for row in changed:
            earlier = known[row["transaction_id"]]
            assert row["amount"] != earlier["amount"]
            assert {**row, "amount": ""} == {**earlier, "amount": ""}
        assert all(moment(row["occurred_at"]) < end - timedelta(days=1) for row in late)
        assert len({row["transaction_id"] for row in rows}) == len(rows)
        assert len({row["transaction_id"] for row in fresh + late} & known.keys()) == 0
        known |= {row["transaction_id"]: row for row in rows}


def test_last_use_of_an_app_is_the_last_app_open_that_was_delivered(week) -> None:
    out, _ = week
    opened: dict[tuple[str, str], datetime] = {}
    pushed: list[set[tuple[str, str]]] = []
    for night in range(5):
        folder = out / f"2026-11-{23 + night}"
        end = MIDNIGHT + timedelta(days=night)
        for event in rows_of(folder, "events"):
            at = moment(event["occurred_at"])
            assert at < end
            assert night == 0 or at >= end - timedelta(days=1)
            if event["name"] == "app_open":
                key = (event["customer_id"], event["properties"]["app_id"])
                opened[key] = max(at, opened.get(key, at))
        users = {(u["customer_id"], u["app_id"]): u for u in rows_of(folder, "app_users")}
        assert opened.keys() <= users.keys()
        for key, at in opened.items():
            assert moment(users[key]["last_used_at"]) == at
        pushed.append({key for key, user in users.items() if user["push_enabled"] == "true"})
    assert 0 < len(pushed[0] - pushed[4]) < 60, "a few switch push off"


def test_blocks_of_customers_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_module, "BLOCK", 70)
    report = write_sample(tmp_path, customers=300, days=120, nights=2, bad_rows=False)
    folder = tmp_path / "2026-11-23"
    assert [row["customer_id"] for row in rows_of(folder, "customers")] == [f"{n:06}" for n in range(1, 301)]
    ids = [row["transaction_id"] for row in rows_of(folder, "transactions")]
    assert ids == [f"261123-{n:08}" for n in range(report.deliveries["2026-11-23"]["transactions"])]
    registered = {row["registered_at"] for row in rows_of(folder, "customers")}
    assert len(registered) == 300, "no block repeats another"


def test_ids_grow_with_the_number_of_customers() -> None:
    plan = write_module._Plan(customers=10_000_000, days=400, run_date=date(2026, 11, 23), seed=7, fmt="csv", nights=1)
    assert plan.width == 8
    assert sum(block.count for block in plan.blocks(0)) == 10_000_000


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "2026-11-24" / "customers.csv"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(UsageError, match=r"2026-11-24 already holds something: remove it"):
        write_sample(tmp_path, customers=20, days=5, nights=2)
    assert kept.read_text() == "mine"
    assert not (tmp_path / "2026-11-23").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be made"):
        write_sample(tmp_path / "file", customers=20, days=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 3}, "customers = 3 is too small"),
        ({"days": 0}, "days = 0 is too small"),
        ({"nights": 0}, "nights = 0 is too small"),
        ({"seed": -1}, "seed = -1 is too small"),
        ({"fmt": "xlsx"}, "fmt = 'xlsx' isn't known"),
    ],
)
def test_senseless_arguments_are_refused(tmp_path: Path, arguments, message) -> None:
    with pytest.raises(UsageError, match=message):
        write_sample(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []
