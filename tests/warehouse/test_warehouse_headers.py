"""Columns of the contract that are gone or called otherwise: they never turn a default against people."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from small_deliveries import APP_USERS, CUSTOMERS, DAY, NOW, TRANSACTIONS

from optinb.errors import GateError, SettingsError
from optinb.warehouse import BlockedError
from optinb.warehouse.column_names import names_of
from optinb.warehouse.columns import columns_delivered
from optinb.warehouse.contract import TABLES
from optinb.warehouse.nearness import near, opposite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from small_deliveries import Folder

NEXT, LATER = DAY + timedelta(days=1), NOW + timedelta(days=1)

NEAR = {
    "push_opt_in": (
        "pushoptin|push opt in|push-opt-in|push.opt.in|push_opt_in_flag|push_opt_in_yn|is_push_opt_in|has_push_opt_in|"
        "opt_in|optin|push_optin|push_consent|pushconsent|push_opt_inn|push_optn|psuh_opt_in|customers.push_opt_in|"
        "max(push_opt_in)|push_opt_in_1|push_opt_in_x|ispushoptinflag|push_enabled|email_opt_in|emailoptin|sms_opt_in|"
        "push_opt_out|optout|push_opted_in|push opt-in (y/n)|push_opt_in\u200b|push_opt_in_at|user_push_opt_in|"
        "push|Notifications|allow_notifications|notification permission|push_status"
    ),
    "external_user_id": (
        "external_id|ext_id|braze_id|appboy_id|user_id|externaluserid|external_userid|extuserid|extrenal_user_id|"
        "external-user-id|braze_external_id"
    ),
    "is_blocked": (
        "blocked|blacklisted|isblocked|is_blocked_yn|is_blokced|blocked_flag|is_blacklisted|blockedyn|not_blocked"
    ),
    "is_test": "test|test_user|testuser|istest|is_test_user|is-test|test_flag|test_account|is_tester|is_tset",
    "push_enabled": "push_enable|pushenabled|push_opt_in|notifications_enabled|push_enabled_flag|push_enbaled",
    "time_zone": "timezone|tz|time zone|timezone_name|time_zones",
    "birth_date": "birthdate|dob|date_of_birth|birthday",
    "gender": "sex|gendr|customer_gender",
    "country": "contry|customer_country",
    "language": "languge|languages",
    "app_version": "appversion|version|app-version|app_ver|app_vesion",
    "currency": "curr|currency_code|curency|ccy",
    "category": "categroy|product_category|catgory",
    "quantity": "qty|quantiy",
    "properties": "props|propertise|event_properties",
}
FAR = {
    "customers": (
        "plan tier country_code category_affinity test_group last_version is_best is_locked county region postal_code "
        "city user_name first_name last_name email phone is_vip is_member is_active is_adult latest contest options "
        "optional option_in_use adopting adoption push_count last_push_at push_token has_app app_count customer_group "
        "customer_type customer_value user_agent user_type id segment store newsletter consent_version language_code "
        "language_level external_source external_ref birth_year birth_place gender_affinity timezone_offset points "
        "vip blogger block_count visits account_balance ab_test test_variant protest is_text latest_test iso_country "
        "continent status opening laptop_in_cart currency category version app_version locked uid_hash "
        "registered_via registration_channel"
    ),
    "app_users": "device os os_version last_version device_id push_token sessions version_count badge_count",
    "transactions": "store_id channel discount tax coupon price_group product_id brand is_refund quality recency",
    "events": "session_id page device property_type screen",
}


@pytest.mark.parametrize("column", NEAR)
def test_other_spellings_and_usual_names_are_near_a_column(column: str) -> None:
    assert [name for name in NEAR[column].split("|") if not near(name, column)] == []
    assert not near(column, column)


@pytest.mark.parametrize("table", FAR)
def test_ordinary_attributes_are_near_no_column(table: str) -> None:
    found = [(n, c.name) for n in FAR[table].split() for c in TABLES[table].columns if near(n, c.name)]
    assert found == []


def test_a_name_that_says_the_contrary_is_told_from_one_that_says_the_same() -> None:
    assert opposite("push_opt_out", "push_opt_in") and opposite("not_blocked", "is_blocked")
    assert not opposite("email_opt_in", "push_opt_in") and not opposite("blocked", "is_blocked")


def with_columns(text: str, header: str, *cells: str) -> str:
    """A delivered text with a further column."""
    first, *rows = text.splitlines()
    return "\n".join([f"{first},{header}", *(f"{row},{cell}" for row, cell in zip(rows, cells, strict=True))]) + "\n"


OPTED = with_columns(CUSTOMERS, "push_opt_in", "false", "true", "true")


def blocked(folder: Folder, files: dict[str, str | bytes], *, first: bool = False, **kw) -> str:
    """Why a delivery of the next day (or of the first one) is blocked."""
    day, now = (DAY, NOW) if first else (NEXT, LATER)
    with pytest.raises(GateError) as caught:
        folder.load(files, day=day, now=now, **kw)
    assert folder.warehouse.current == (None if first else 1)
    return str(caught.value)


def permitted(folder: Folder) -> dict[str, bool]:
    with folder.warehouse.open() as snapshot:
        return dict(snapshot.table("customers").select("customer_id", "push_opt_in").collect().iter_rows())


@pytest.mark.parametrize(
    ("table", "column", "cells"),
    [
        ("customers", "push_opt_in", ("false", "true", "true")),
        ("customers", "is_blocked", ("false", "false", "false")),
        ("customers", "is_test", ("false", "true", "false")),
        ("customers", "external_user_id", ("a", "b", "c")),
        ("customers", "time_zone", ("Europe/Berlin", "Europe/Paris", "")),
        ("transactions", "currency", ("EUR", "EUR", "EUR")),
        ("transactions", "category", ("", "hats", "")),
    ],
)
def test_a_column_that_was_delivered_and_is_gone_blocks(
    folder: Folder, table: str, column: str, cells: tuple[str, ...]
) -> None:
    before = {"customers": CUSTOMERS, "transactions": TRANSACTIONS}[table]
    folder.load({f"{table}.csv": with_columns(before, column, *cells)})
    why = blocked(folder, {f"{table}.csv": before})
    assert f"{table}: the column {column}, which earlier deliveries had, isn't in {table}.csv" in why
    assert f'write {column} = ""' in why
    folder.load({f"{table}.csv": with_columns(before, column, *cells)}, day=NEXT, now=LATER)
    assert folder.warehouse.current == 2


@pytest.mark.parametrize("column", ["push_enabled", "app_version"])
def test_a_column_of_app_users_that_is_gone_blocks(folder: Folder, column: str) -> None:
    folder.load()
    assert f"app_users: the column {column}, which" in blocked(
        folder, {"app_users.csv": APP_USERS.replace(column, "other")}
    )


def test_a_renamed_column_is_told_with_its_likely_new_name_and_the_setting(folder: Folder) -> None:
    folder.load({"customers.csv": OPTED})
    why = blocked(folder, {"customers.csv": OPTED.replace("push_opt_in", "Push_Optin")})
    assert "'push_optin' is there: name the column push_opt_in, or write push_opt_in = \"push_optin\"" in why
    strange = blocked(folder, {"customers.csv": OPTED.replace("push_opt_in", "darf_push")})
    assert "new is 'darf_push'" in strange
    contrary = blocked(folder, {"customers.csv": OPTED.replace("push_opt_in", "push_opt_out")})
    assert "it says the contrary" in contrary and '"push_opt_out"' not in contrary


def test_a_column_that_one_part_of_several_lacks_blocks_and_names_the_part(folder: Folder) -> None:
    folder.load({"customers.csv": OPTED})
    (folder.deliver({}, day=NEXT) / "customers.csv").unlink()
    head, *rows = OPTED.splitlines()
    old, *plain = CUSTOMERS.splitlines()
    parts: dict[str, str | bytes] = {
        "customers-1.csv": "\n".join([head, *rows[:2]]),
        "customers-2.csv": "\n".join([old, plain[2]]),
    }
    rest: dict[str, str | bytes] = {"app_users.csv": APP_USERS}
    assert "push_opt_in, which earlier deliveries had, isn't in customers-2.csv, only in customers-1.csv" in blocked(
        folder, parts | rest, base=False
    )
    folder.load(parts | rest | {"customers-2.csv": "\n".join([head, rows[2]])}, day=NEXT, now=LATER, base=False)
    assert permitted(folder) == {"007": False, "008": True, "009": True}


def test_in_a_first_delivery_consent_is_in_every_part_or_in_none(folder: Folder) -> None:
    head, *rows = OPTED.splitlines()
    old, *plain = CUSTOMERS.splitlines()
    parts: dict[str, str | bytes] = {
        "customers-1.csv": "\n".join([head, *rows[:2]]),
        "customers-2.csv": "\n".join([old, plain[2]]),
        "app_users.csv": APP_USERS,
    }
    assert "push_opt_in isn't in customers-2.csv" in blocked(folder, parts, first=True, base=False)
    for name in ("customers-1.csv", "customers-2.csv"):
        parts[name] = (
            str(parts[name]).replace(",plan", ",plan").replace("country", "country" if "1" in name else "land")
        )
    parts["customers-1.csv"] = "\n".join([old, *plain[:2]])
    folder.load(parts, base=False)
    assert folder.warehouse.current == 1


def test_a_delivery_is_held_against_all_earlier_ones_not_only_the_last(folder: Folder) -> None:
    folder.load({"customers.csv": OPTED})
    folder.load({"customers.csv": CUSTOMERS}, day=NEXT, now=LATER, accept_anyway="the export is being mended")
    with pytest.raises(GateError, match="push_opt_in, which earlier deliveries had"):
        folder.load({"customers.csv": CUSTOMERS}, day=NEXT + timedelta(days=1), now=LATER + timedelta(days=1))


def test_a_header_without_rows_still_has_its_columns(folder: Folder) -> None:
    folder.load()
    head = TRANSACTIONS.splitlines()[0]
    folder.load({"transactions.csv": head + "\n", "events.csv": "customer_id,occurred_at,name,value,properties\n"},
                day=NEXT, now=LATER)  # fmt: skip
    assert folder.warehouse.current == 2
    day = NEXT + timedelta(days=1)
    with pytest.raises(GateError, match="transactions: the column product"):
        folder.load({"transactions.csv": head.replace(",product", "") + "\n"}, day=day, now=LATER + timedelta(days=1))


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("header", ["pushOptIn", "Push Opt In", "opt_in", "push_opt_in_flag"])
def test_a_first_delivery_with_a_header_that_is_nearly_a_column_is_refused(
    folder: Folder, header: str, form: str
) -> None:
    frame = pl.read_csv(OPTED.encode(), infer_schema=False).rename({"push_opt_in": header})
    written = {
        "csv": lambda: frame.write_csv(folder.root / "made"),
        "ndjson": lambda: frame.write_ndjson(folder.root / "made"),
        "parquet": lambda: frame.write_parquet(folder.root / "made"),
    }
    written[form]()
    content = (folder.root / "made").read_bytes()
    why = blocked(folder, {f"customers.{form}": content, "app_users.csv": APP_USERS}, first=True, base=False)
    low = header.lower()
    assert f"customers.{form} has a column '{low}' and no push_opt_in; did you mean push_opt_in?" in why
    folder.configure(columns={"push_opt_in": header})
    folder.warehouse.import_delivery(DAY, now=NOW)
    assert permitted(folder) == {"007": False, "008": True, "009": True}
    with folder.warehouse.open() as snapshot:
        assert low not in snapshot.schema("customers")


def test_a_near_header_beside_the_true_column_is_an_attribute(folder: Folder) -> None:
    report = folder.load({"customers.csv": with_columns(OPTED, "email_opt_in", "true", "true", "true")})
    assert not any("did you mean" in warning for warning in report.warnings)
    with folder.warehouse.open() as snapshot:
        assert "email_opt_in" in snapshot.schema("customers")


def test_the_settings_may_say_that_a_near_header_is_an_attribute_of_its_own(folder: Folder) -> None:
    mails = with_columns(CUSTOMERS, "Email Opt In", "true", "false", "true")
    assert '"email opt in" = "email opt in"' in blocked(folder, {"customers.csv": mails}, first=True)
    folder.configure(columns={"email_opt_in": "Email Opt In"})
    with pytest.raises(SettingsError, match="did you mean 'push_opt_in'"):
        folder.configure(columns={"push_optin": "Email Opt In"})


def test_an_attribute_of_its_own_keeps_its_header(folder: Folder) -> None:
    folder.configure(columns={"email_opt_in": "email_opt_in", "tier": "Kundenstufe"})
    text = with_columns(CUSTOMERS, "email_opt_in", "true", "false", "true")
    folder.load({"customers.csv": with_columns(text, "Kundenstufe", "a", "b", "c")})
    with folder.warehouse.open() as snapshot:
        assert {"email_opt_in", "tier"} <= snapshot.schema("customers").keys()
    assert permitted(folder) == {"007": True, "008": True, "009": True}


def test_an_ignored_column_that_nearly_is_one_is_refused_too(folder: Folder) -> None:
    users = APP_USERS.replace("push_enabled", "push_enable")
    why = blocked(folder, {"app_users.csv": users}, first=True)
    assert "'push_enable' and no push_enabled" in why and '"app_users.push_enable" = "push_enable"' in why
    folder.configure(columns={"app_users.push_enable": "push_enable"})
    folder.load()
    assert folder.warehouse.current == 1


def test_what_was_accepted_as_an_attribute_is_a_warning_each_night_and_stops_none(folder: Folder) -> None:
    mails = with_columns(CUSTOMERS, "sms_opt_in", "true", "false", "true")
    users = APP_USERS.replace("app_version", "version")
    files: dict[str, str | bytes] = {"customers.csv": mails, "app_users.csv": users}
    folder.load(files, accept_anyway="we know")
    report = folder.load(files, day=NEXT, now=LATER)
    assert any("'sms_opt_in' may be meant as push_opt_in" in warning for warning in report.warnings)
    assert any("'version' may be meant as app_version" in warning for warning in report.warnings)


def test_a_required_column_that_is_missing_is_asked_for_with_what_may_be_it(folder: Folder) -> None:
    why = blocked(folder, {"customers.csv": CUSTOMERS.replace("customer_id", "customerId")}, first=True)
    assert "no column 'customer_id'" in why and "did you mean 'customerid'?" in why
    folder.configure(columns={"customer_id": "customerId"})
    folder.deliver({})
    folder.load({"customers.csv": CUSTOMERS.replace("customer_id", "customerId")})
    assert len(permitted(folder)) == 3


def test_a_column_that_is_no_longer_delivered_is_announced_in_the_settings(folder: Folder) -> None:
    folder.load({"customers.csv": with_columns(CUSTOMERS, "gender", "f", "m", "f")})
    folder.configure(columns={"gender": "", "plan": ""})
    report = folder.load({"customers.csv": CUSTOMERS.replace("plan", "level")}, day=NEXT, now=LATER)
    assert not any("plan" in warning for warning in report.warnings)


def test_a_column_whose_header_the_settings_name_must_be_there_from_the_first_delivery_on(folder: Folder) -> None:
    folder.configure(columns={"push_opt_in": "darf_push"})
    assert 'says is delivered as "darf_push"' in blocked(folder, {}, first=True)


def test_other_names_in_the_settings_make_another_delivery_of_the_same_files(folder: Folder) -> None:
    text = OPTED.replace("push_opt_in", "darf_push")
    folder.load({"customers.csv": text})
    assert permitted(folder)["007"] is True
    assert folder.load({"customers.csv": text}).unchanged
    folder.configure(columns={"push_opt_in": "darf_push"})
    assert not folder.load({"customers.csv": text}).unchanged
    assert permitted(folder)["007"] is False


def test_a_header_that_the_settings_name_and_the_true_column_can_not_both_be_there(folder: Folder) -> None:
    folder.configure(columns={"push_opt_in": "darf_push"})
    why = blocked(folder, {"customers.csv": with_columns(OPTED, "darf_push", "1", "1", "1")}, first=True)
    assert "both 'push_opt_in' and 'darf_push'" in why


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"push_opt_in": "a", "country": "A "}, "twice"),
        ({"push_opt_in": "a", "customers.push_opt_in": "b"}, "twice"),
        ({"push_opt_in": "a", "customers": {"push_opt_in": ""}}, "twice"),
        ({"customer_id": ""}, "must be in every file"),
        ({"push_opt_in": "is_test"}, "is itself a column of customers"),
        ({"push_opt_in": "push_opt_out"}, "says the contrary"),
        ({"push_optin": "pushOptIn"}, "did you mean 'push_opt_in'"),
        ({"people": {"push_opt_in": "a"}}, "no table"),
    ],
)
def test_settings_that_would_mix_up_columns_are_refused(columns: dict, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        names_of(columns)


def test_a_table_can_be_named_in_both_ways() -> None:
    one, two = names_of({"app_users.app_version": "Version"}), names_of({"app_users": {"app_version": "Version"}})
    assert one == two and one.named("app_users", ["version"]) == ("app_version",)
    assert one.named("customers", ["version"]) == ("version",)


def test_a_key_that_a_few_objects_leave_out_by_chance_is_not_missed(folder: Folder) -> None:
    def events(values: Sequence[float | None]) -> str:
        rows = [{"customer_id": "007", "occurred_at": "2026-11-22", "name": "n", "value": v} for v in values]
        return "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)

    files: dict[str, str | bytes] = {"events.csv": "customer_id,occurred_at,name,value,properties\n"}
    folder.deliver(files)
    (folder.root / "inbox" / str(DAY) / "events.csv").unlink()
    folder.warehouse.import_delivery(DAY, now=NOW)
    for i, (values, passes) in enumerate([([1.0, *[None] * 9] * 5, True), ([None] * 20, True), ([None] * 200, False)]):
        day, now = NEXT + timedelta(days=i), LATER + timedelta(days=i)
        folder.deliver({"events.ndjson": events(values)}, day=day)
        (folder.root / "inbox" / str(day) / "events.csv").unlink()
        if passes:
            folder.warehouse.import_delivery(day, now=now)
        else:
            with pytest.raises(BlockedError, match="events: the column value"):
                folder.warehouse.import_delivery(day, now=now)


def test_of_a_version_without_such_notes_a_column_counts_by_its_values(folder: Folder) -> None:
    import duckdb
    import msgspec

    folder.load({"customers.csv": OPTED})
    path = folder.root / "warehouse" / "v000001.duckdb"
    with duckdb.connect(str(path)) as con:
        ((text,),) = con.execute("SELECT report FROM deliveries").fetchall()
        report = msgspec.json.decode(text)
        del report["drift"]
        for table in report["tables"]:
            for name in ("columns", "delivered", "figures"):
                del table[name]
        con.execute("UPDATE deliveries SET report = ?", [msgspec.json.encode(report).decode()])
    with folder.warehouse.open() as snapshot, duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS cur (READ_ONLY)")
        found = columns_delivered(con, snapshot.contents)
    assert found["customers"] == {"customer_id", "registered_at", "country", "push_opt_in"}
    assert found["app_users"] == {"customer_id", "app_id", "push_enabled", "app_version"}
    assert found["transactions"] >= {"product"} and "currency" not in found["transactions"]
    assert "push_opt_in, which earlier deliveries had" in blocked(folder, {"customers.csv": CUSTOMERS})
    folder.load({"customers.csv": OPTED}, day=NEXT, now=LATER)
    assert folder.warehouse.current == 2
