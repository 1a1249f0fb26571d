from __future__ import annotations

import json
from datetime import date
from hashlib import md5

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.base.settings import AppSettings
from optinb.campaigns import REASONS, AudienceMessage, Property, build_audience, personal, waterfall
from optinb.engine.persons import in_share
from optinb.errors import CampaignError
from optinb.segments import version_key

APPS = (
    AppSettings(id="ios", name="Shop for iPhone", platform="ios", sdk_from_version="3.2.0"),
    AppSettings(id="android", name="Shop for Android", platform="android"),
)
MESSAGE = [AudienceMessage(apps=tuple(APPS))]


def customers(*rows: dict[str, object]) -> pl.LazyFrame:
    defaults = {"is_blocked": False, "is_test": False, "push_opt_in": True, "first_name": "Ada", "age": 30}
    filled = [{**defaults, "external_user_id": row["customer_id"], **row} for row in rows]
    return pl.LazyFrame(filled, schema_overrides={"age": pl.Int64, "first_name": pl.String})


def uses(*rows: tuple[str, str, bool, str | None]) -> pl.LazyFrame:
    schema = {"customer_id": pl.String, "app_id": pl.String, "push_enabled": pl.Boolean, "app_version": pl.String}
    return pl.LazyFrame(rows, schema=schema, orient="row")


def outcome(audience: pl.DataFrame) -> dict[str, str]:
    return {row["customer_id"]: row["reason"] or row["outcome"] for row in audience.iter_rows(named=True)}


def test_everybody_left_out_has_the_first_reason_that_applies() -> None:
    people = customers(
        {"customer_id": "none"},
        {"customer_id": "old"},
        {"customer_id": "off"},
        {"customer_id": "blocked", "is_blocked": True, "is_test": True},
        {"customer_id": "test", "is_test": True},
        {"customer_id": "out", "push_opt_in": False},
        {"customer_id": "empty", "age": None},
        {"customer_id": "fine"},
        {"customer_id": "two", "external_user_id": "fine"},
        {"customer_id": "other"},
    )
    apps = uses(
        ("old", "ios", True, "3.1.9"),
        ("off", "ios", False, "3.2.0"),
        *((name, "ios", True, "3.10") for name in ("blocked", "test", "out", "empty", "fine", "two", "other")),
        ("none", "somebody-elses-app", True, "9"),
    )
    audience = build_audience(
        people.select("customer_id"),
        people,
        apps,
        messages=[AudienceMessage(apps=tuple(APPS), properties={"age": Property(attribute="age")})],
    )
    assert outcome(audience) == {
        "none": "no_app",
        "old": "no_sdk",
        "off": "push_off",
        "blocked": "blocked",
        "test": "test",
        "out": "opted_out",
        "empty": "property_missing",
        "fine": "recipient",
        "two": "same_external_id",
        "other": "recipient",
    }
    figures = waterfall(audience)
    assert list(figures.excluded) == [reason for reason in REASONS if reason in figures.excluded]
    assert figures.target == 10 == figures.recipients + figures.control + sum(figures.excluded.values())
    assert figures.steps()[-1][2] == figures.recipients == 2


def test_what_is_not_known_of_a_customer_permits_nothing() -> None:
    people = customers(
        {"customer_id": "blocked", "is_blocked": None},
        {"customer_id": "fine"},
        {"customer_id": "out", "push_opt_in": None},
        {"customer_id": "push", "push_opt_in": True},
        {"customer_id": "test", "is_test": None},
    )
    apps = uses(
        *((name, "android", True, None) for name in ("blocked", "fine", "out", "test")), ("push", "android", None, None)
    )
    audience = build_audience(people.select("customer_id"), people, apps, messages=MESSAGE)
    assert outcome(audience) == {
        "blocked": "blocked",
        "fine": "recipient",
        "out": "opted_out",
        "push": "push_off",
        "test": "test",
    }


def test_whoever_has_no_external_user_id_cannot_be_addressed_and_shares_it_with_nobody() -> None:
    people = customers(
        {"customer_id": "empty", "external_user_id": ""},
        {"customer_id": "fine"},
        {"customer_id": "null", "external_user_id": None},
        {"customer_id": "out", "external_user_id": "", "push_opt_in": False},
        {"customer_id": "too", "external_user_id": ""},
    )
    apps = uses(*((name, "android", True, None) for name in ("empty", "fine", "null", "out", "too")))
    audience = build_audience(people.select("customer_id"), people, apps, messages=MESSAGE)
    assert outcome(audience) == {
        "empty": "no_external_id",
        "fine": "recipient",
        "null": "no_external_id",
        "out": "opted_out",
        "too": "no_external_id",
    }
    assert personal(people).collect()["external_user_id"].to_list() == ["", "fine", "", "", ""]


def test_a_message_to_one_customer_says_what_it_lacks_and_who_it_tests() -> None:
    people = customers(
        {"customer_id": "all"},
        {"customer_id": "nameless", "first_name": None},
        {"customer_id": "ageless", "age": None, "is_test": True},
        {"customer_id": "unsure", "is_test": None},
    )
    properties = {"age": Property(attribute="age"), "name": Property(attribute="first_name", default="you")}
    rows = personal(people, properties=properties).collect()
    told = {row["customer_id"]: (row["property_missing"], row["is_test"]) for row in rows.iter_rows(named=True)}
    assert told == {
        "all": (False, False),
        "nameless": (False, False),
        "ageless": (True, True),
        "unsure": (False, False),
    }
    assert json.loads(rows["properties"][1]) == {"age": 30, "name": "you"}
    without = personal(people, properties={"name": properties["name"]}).collect()
    assert (
        without["property_missing"].to_list() == personal(people).collect()["property_missing"].to_list() == [False] * 4
    )


def test_one_app_with_push_is_enough() -> None:
    people = customers({"customer_id": "a"})
    apps = uses(("a", "ios", True, "1.0"), ("a", "android", True, None))
    assert outcome(build_audience(people.select("customer_id"), people, apps, messages=MESSAGE)) == {"a": "recipient"}


def test_push_in_an_app_without_the_sdk_does_not_count() -> None:
    people = customers({"customer_id": "a"})
    apps = uses(("a", "ios", True, "1.0"), ("a", "android", False, None))
    assert outcome(build_audience(people.select("customer_id"), people, apps, messages=MESSAGE)) == {"a": "push_off"}


def test_properties_take_the_attribute_the_default_or_the_fixed_value() -> None:
    people = customers({"customer_id": "a", "age": 41}, {"customer_id": "b", "first_name": None})
    apps = uses(("a", "android", True, None), ("b", "android", True, None))
    audience = build_audience(
        people.select("customer_id"),
        people,
        apps,
        messages=[
            AudienceMessage(
                apps=tuple(APPS),
                properties={
                    "name": Property(attribute="first_name", default="there"),
                    "years": Property(attribute="age"),
                    "code": Property(value='S"UM\\MER'),
                },
            )
        ],
    )
    assert [json.loads(p) for p in audience["properties"]] == [
        {"code": 'S"UM\\MER', "name": "Ada", "years": 41},
        {"code": 'S"UM\\MER', "name": "there", "years": 30},
    ]


def test_a_property_of_an_unknown_attribute_names_the_nearest() -> None:
    people = customers({"customer_id": "a"})
    with pytest.raises(CampaignError, match="did you mean 'first_name'"):
        build_audience(
            people.select("customer_id"),
            people,
            uses(),
            messages=[AudienceMessage(apps=tuple(APPS), properties={"x": Property(attribute="firstname")})],
        )


@given(st.lists(st.text(max_size=8), unique=True, max_size=30), st.floats(0, 1), st.text(max_size=5))
def test_the_share_is_the_documented_hash(ids: list[str], share: float, salt: str) -> None:
    drawn = in_share(pl.Series(ids, dtype=pl.String), salt=salt, share=share)

    def expected(customer: str) -> bool:
        digest = md5(f"{salt}\x1f{customer}".encode(), usedforsecurity=False).digest()
        return share >= 1 or int.from_bytes(digest[:8], "little") < int(share * 2**64)

    if "\x00" not in salt + "".join(ids):
        assert drawn.to_list() == [expected(i) for i in ids]


def test_the_control_share_is_close_to_what_was_asked_and_independent_between_campaigns() -> None:
    ids = pl.Series([f"{i:06}" for i in range(20_000)])
    one, two = (in_share(ids, salt=salt, share=0.1) for salt in ("one", "two"))
    assert 1_850 < one.sum() < 2_150
    assert 130 < (one & two).sum() < 270


def test_the_audience_does_not_depend_on_the_order_of_rows() -> None:
    people = [{"customer_id": f"{i:03}", "external_user_id": f"{i // 2}"} for i in range(60)]
    rows = [(f"{i:03}", "android", i % 3 > 0, None) for i in range(60)]
    there, back = (
        build_audience(p.select("customer_id"), p, uses(*r), messages=MESSAGE, control=0.3, salt="s")
        for p, r in ((customers(*people), rows), (customers(*people[::-1]), rows[::-1]))
    )
    assert there.equals(back)


def test_nobody_in_the_group_makes_an_empty_audience() -> None:
    people = customers({"customer_id": "a"})
    audience = build_audience(people.select("customer_id").head(0), people, uses(), messages=MESSAGE, control=0.5)
    assert audience.height == 0
    assert waterfall(audience).target == 0


def test_versions_sort_as_versions() -> None:
    order = ["beta", "0.9", "3", "3.0.1", "3.2", "3.9", "3.10", "3.10.0-rc2", "11", "11.300000000", "11.20261123001"]
    keys = pl.DataFrame({"v": order}).select(version_key(pl.col("v")))["v"].to_list()
    assert keys == sorted(keys)
    same = pl.DataFrame({"v": ["3.2", "3.2.0", "v3.2"]}).select(version_key(pl.col("v")))["v"]
    assert same.n_unique() == 1


@pytest.mark.parametrize(
    ("attribute", "default", "expected"),
    [
        ("age", 7, [30, 7]),
        ("age", 7.5, [30.0, 7.5]),
        ("age", "young", ["30", "young"]),
        ("age", True, ["30", "True"]),
        ("vip", False, [True, False]),
        ("since", 3, ["2026-01-02", "3"]),
        ("since", "long ago", ["2026-01-02", "long ago"]),
    ],
)
def test_a_default_of_any_kind_stands_for_an_empty_attribute(attribute: str, default: object, expected: list) -> None:
    people = customers({"customer_id": "a"}, {"customer_id": "b", "age": None}).with_columns(
        vip=pl.Series([True, None]), since=pl.Series([date(2026, 1, 2), None])
    )
    apps = uses(("a", "android", True, None), ("b", "android", True, None))
    audience = build_audience(
        people.select("customer_id"),
        people,
        apps,
        messages=[AudienceMessage(apps=tuple(APPS), properties={"x": Property(attribute=attribute, default=default)})],
        # type: ignore[arg-type]
    )
    assert [json.loads(p)["x"] for p in audience["properties"]] == expected
