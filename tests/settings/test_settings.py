from __future__ import annotations

import contextlib
import re
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import optinb
from optinb import errors
from optinb.base.clock import clock_for
from optinb.base.settings import (
    TABLE_NAMES,
    AppSettings,
    ImportSection,
    LifecycleSection,
    SendSection,
    WorkspaceSection,
    load_settings,
    parse_settings,
    read_secret,
)
from optinb.base.share import shared
from optinb.base.workspace_folder import workspace_folder
from optinb.errors import SettingsError, did_you_mean
from optinb.warehouse.contract import TABLES

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = shared("data/optinb.toml").read_text(encoding="utf-8")


def test_the_committed_example_is_read_and_shows_the_defaults() -> None:
    settings = parse_settings(EXAMPLE)
    assert [group.name for group in settings.app_groups] == ["Shop", "Club"]
    assert settings.app_groups[0].apps[0] == AppSettings(
        id="shop-ios", name="Shop for iPhone", platform="ios", sdk_from_version="3.2.0"
    )
    assert settings.zone == ZoneInfo("Europe/Berlin")
    shown = {line[2:].split(" = ")[0]: line[2:] for line in EXAMPLE.splitlines() if re.match(r"# \w+ = ", line)}
    for section in (WorkspaceSection(), ImportSection(), LifecycleSection(), SendSection()):
        for name in section.__struct_fields__:
            undefined = ("state", "hub", "hub_ca", "group", "churn_days", "churn_rhythm", "risk_days")
            if name in shown and name not in undefined:
                default = getattr(section, name)
                expected = list(default) if isinstance(default, tuple) else default
                assert tomllib.loads(shown[name])[name] == expected, name
    assert {*ImportSection.__struct_fields__} - {*shown} == {"columns", "max_age"}  # tables of their own


@pytest.mark.parametrize(
    ("old", "new", "on_line", "complaint"),
    [
        ("currency =", "curency =", "curency", "did you mean 'currency'"),
        ("Europe/Berlin", "Europe/Berlinn", "Berlinn", "IANA name"),
        ('platform = "android"', 'platform = "droid"', "droid", "one of 'android', 'ios', 'kindle', 'web'"),
        ('"env:OPTINB_CLUB_KEY"', '"s3cret-key"', "s3cret-key", "must not be in this file"),
        ('key = "env:OPTINB_CLUB_KEY"', "", "[[app_groups]]", "needs key"),
        ('# proxy = "env:HTTPS_PROXY"', 'proxy = "http://me:s3cret@proxy"', "s3cret@", "must not be in this file"),
        ('# proxy = "env:HTTPS_PROXY"', 'proxy = "proxy.example.com"', "proxy.example.com", "is no address"),
        ('name = "Club"', 'name = "Shop"', 'name = "Shop"', "already used"),
        ('id = "club-android"', 'id = "shop-ios"', 'id = "shop-ios"', "already used"),
        ("http://127.0.0.1:8021", "http://rest.example.com", "rest.example.com", "in the clear"),
        ("http://127.0.0.1:8021", "rest.example.com", "rest.example.com", "no address"),
        ('id = "club-ios"', "", "[[app_groups.apps]]", "'id' is missing"),
        ("[lifecycle]", "[lifecycle]\nnew_days = 0", "new_days = 0", ">= 1"),
        ("[send]", '[send]\nconcurrency = "many"', "concurrency", "int"),
        ("http://127.0.0.1:8021", "http://[::1", "[::1", "no address"),
        ("http://127.0.0.1:8021", "https://me:s3cret@rest.example.com", "s3cret@", "must not hold a user name"),
        ("http://127.0.0.1:8021", "https://rest.example.com:99999", "99999", "no address (Port"),
        ("http://127.0.0.1:8021", "https://rest.example.com:abc", ":abc", "no address (Port"),
        ("http://127.0.0.1:8021", "https://rest.example.com:0", ":0", "no address"),
        ("http://127.0.0.1:8021", "https://rest.example.com?api=1", "?api=1", "must not have a query"),
        ("http://127.0.0.1:8021", "https://rest.example.com/#top", "#top", "must not have a query or a fragment"),
        ("[import]", '[import]\nrequired = ["custmers"]', "custmers", "did you mean 'customers'?"),
        (
            "[lifecycle]",
            "[import.max_age]\ntransactons = 7\n[lifecycle]",
            "transactons",
            "did you mean 'transactions'?",
        ),
        ("[lifecycle]", "[import.max_age]\ntransactions = -1\n[lifecycle]", "[import.max_age]", ">= 0"),
        ("[lifecycle]", "[import.max_age]\ntransactions = 1.5\n[lifecycle]", "[import.max_age]", "int"),
        ("[lifecycle]", '[import.columns]\n"custmers.gender" = "sex"\n[lifecycle]', "[import.columns]", "'customers'?"),
        ("[lifecycle]", '[import.columns]\npeople = { gender = "sex" }\n[lifecycle]', "people =", "no table"),
        ("[lifecycle]", '[import.columns]\n" " = "sex"\n[lifecycle]', "[import.columns]", "has no name"),
        ('sdk_from_version = "3.2.0"', 'sdk_from_version = "first"', '"first"', "is no version"),
        ('sdk_from_version = "3.2.0"', 'sdk_from_version = "abc1"', '"abc1"', "is no version"),
        ("[lifecycle]", "[lifecycle]\nvalue_days = 3651", "value_days = 3651", "<= 3650"),
        ("[workspace]", "[workspace]\nkeep_versions = 1_000_000_000", "keep_versions = 1_0", "<= 3650"),
        ("[send]", "[send]\ntimeout_s = 1e9", "1e9", "<= 3600"),
        ("[workspace]", '[workspace]\nstate = ""', 'state = ""', "must not be empty"),
        ("[workspace]", '[workspace]\nstate = "postgresql://ann:s3cret@db/optinb"', "s3cret@db", "must not be in this"),
        ("[workspace]", '[workspace]\nstate = "postgresql://ann:/s3cret@db/o"', "s3cret@db", "must not be in this"),
        ("[workspace]", '[workspace]\nstate = "postgresql://db/o?password=s3cret"', "=s3cret", "must not be in this"),
        ("[workspace]", '[workspace]\nhub = "hub.example.com"', "hub.example.com", "is no address"),
        ("[workspace]", '[workspace]\nhub = "https://hub.example.com"', "hub.example.com", "ends in /hub/api"),
        ("[workspace]", '[workspace]\nhub = "http://hub.example.com/hub/api"', "hub = ", "send the token in the clear"),
        ("[workspace]", '[workspace]\nhub = "https://me:s3cret@hub/hub/api"', "s3cret@", "must not hold a user name"),
        ("[workspace]", '[workspace]\nhub_ca = "our-own.pem"', "our-own.pem", "from the root on"),
        ('["campaign-approver"]', '["Anna", "anna "]', "anna ", "'Anna' and 'anna ' are one person"),
        ('["campaign-approver"]', '["Zo\u00eb", "Zoe\u0308"]', "Zo", "are one person"),
        ('["campaign-approver"]', '["an\u200bna", "anna"]', "anna", "are one person"),
        ('["campaign-approver"]', '["\u200b "]', "approvers", "is no name"),
        ('["campaign-approver"]', '["Service/nightly"]', "nightly", "only a person can approve"),
        ("[policy]", '[policy.keys]\nAnna = "k"\nanna = "l"', "[policy.keys]", "are one person"),
        ("[policy]", '[policy.keys]\nanna = "k"\nbert = "k "', "[policy.keys]", "have the same key"),
    ],
)
def test_a_complaint_names_line_value_and_remedy(old: str, new: str, on_line: str, complaint: str) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    with pytest.raises(SettingsError) as error:
        parse_settings(text)
    said = str(error.value)
    assert complaint in said
    assert on_line in text.splitlines()[int(said.split("line ")[1].split(":")[0]) - 1]
    assert "s3cret" not in said


@pytest.mark.parametrize("state", ["env:STATE", "postgresql+psycopg://ann@db:5432/optinb", "sqlite:///C:/a@b.sqlite"])
def test_an_address_of_the_state_without_a_password_may_stand_in_the_file(state: str) -> None:
    assert parse_settings(f'[workspace]\nstate = "{state}"').workspace.state == state


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_cannot_switch_a_gate_off(value: str) -> None:
    with pytest.raises(SettingsError, match=f"{value} can't be a setting"):
        parse_settings(f"[import]\nmax_reject_share = {value}")


def test_a_setting_of_an_earlier_release_is_left_out_with_a_warning_that_names_its_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = '[models]\nlayers = ["spend"]\nmost_clusters = 5\n'
    assert parse_settings(text) == parse_settings(text.replace("most_clusters = 5\n", ""))
    (warning,) = caplog.messages
    assert "line 3: models.most_clusters: decides nothing any more" in warning and "take the line out" in warning
    with pytest.raises(SettingsError, match="most_clustrs"):
        parse_settings(text.replace("clusters", "clustrs"))


def test_the_tables_that_can_be_required_are_those_of_the_contract() -> None:
    assert set(TABLE_NAMES) == set(TABLES)


@given(st.text(max_size=300))
def test_any_text_is_settings_or_a_settings_error(text: str) -> None:
    with contextlib.suppress(SettingsError):
        parse_settings(text)


def test_a_file_that_is_missing_or_binary_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="optinb init"):
        load_settings(tmp_path / "optinb.toml")
    (tmp_path / "optinb.toml").mkdir()
    with pytest.raises(SettingsError, match="must be a file"):
        load_settings(tmp_path / "optinb.toml")
    (tmp_path / "optinb.toml").rmdir()
    (tmp_path / "optinb.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(tmp_path / "optinb.toml")
    (tmp_path / "optinb.toml").write_text("[workspace]\ntime_zone = Europe/Berlin")
    with pytest.raises(SettingsError, match="line 2"):
        load_settings(tmp_path / "optinb.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "optinb.toml").write_text(EXAMPLE, encoding="utf-8-sig")
    assert load_settings(tmp_path / "optinb.toml") == parse_settings(EXAMPLE)


def test_secrets_come_from_the_environment_or_the_keyring_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setenv("SOME_KEY", " abc ")
    assert read_secret("env:SOME_KEY") == "abc"
    monkeypatch.setattr(keyring, "get_password", lambda service, user: {("optinb", "shop"): "xyz"}.get((service, user)))
    assert read_secret("keyring:optinb/shop") == "xyz"
    for reference, remedy in (("env:NOT_THERE", "NOT_THERE"), ("keyring:optinb/club", "keyring set optinb club")):
        with pytest.raises(SettingsError, match=remedy):
            read_secret(reference)
    with pytest.raises(SettingsError, match="no reference"):
        read_secret("file:/etc/passwd")


def test_time_is_pretended_only_against_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = parse_settings(EXAMPLE)
    monkeypatch.setenv("OPTINB_NOW", "2026-11-23T02:00:00")
    now = clock_for(sandbox)()
    assert (now - datetime(2026, 11, 23, 1, tzinfo=UTC)).total_seconds() < 5
    real = parse_settings(EXAMPLE.replace("http://127.0.0.1:8021", "https://rest.iad-01.braze.com", 1))
    with pytest.raises(SettingsError, match="rehearsals"):
        clock_for(real)
    monkeypatch.setenv("OPTINB_NOW", "soon")
    with pytest.raises(SettingsError, match="write a time such as"):
        clock_for(sandbox)
    monkeypatch.delenv("OPTINB_NOW")
    assert abs((clock_for(real)() - datetime.now(UTC)).total_seconds()) < 5


def test_the_workspace_is_given_named_by_the_environment_or_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(workspace_folder()) == "data"
    monkeypatch.setenv("OPTINB_WORKSPACE", "elsewhere")
    assert str(workspace_folder()) == "elsewhere"
    assert str(workspace_folder("here")) == "here"


def test_the_public_names_are_these() -> None:
    language = ["all_of", "any_of", "attr", "days_ago", "did", "did_not_open", "in_group", "in_list", "none_of"]
    language += ["open_workspace", "opened", "received", "responded", "uplift", "uses_app", "was_in_control"]
    assert optinb.__all__ == ["OptinbError", "__version__", *language]
    assert all(hasattr(optinb, name) for name in optinb.__all__)


def test_every_error_is_drawn_in_the_tree_of_errors() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert all(issubclass(c, errors.OptinbError) and c.__name__ in (errors.__doc__ or "") for c in classes)


def test_the_nearest_name_is_offered_or_what_is_known() -> None:
    assert did_you_mean("contry", ["country", "city"]) == "; did you mean 'country'?"
    assert did_you_mean("COUNTRY", ["country"]) == "; did you mean 'country'?"
    assert did_you_mean("x", ["b", "a"]) == "; known are 'a', 'b'"
    assert did_you_mean("x", []) == ""
    assert "and 3 more" in did_you_mean("zzz", [f"name{i:02}" for i in range(15)])
