"""Files of promotion codes, and the codes in the messages of an audience."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.base.settings import AppSettings
from optinb.campaigns import (
    AUDIENCE_SCHEMA,
    EXAMPLE_CODE,
    AudienceMessage,
    Campaign,
    Property,
    build_audience,
    campaign_from,
    check_codes,
    personal,
    read_codes,
    with_codes,
)
from optinb.errors import CampaignError

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = {"name": "A", "app_group": "S", "template": "t", "group": "g", "schedule": {"every": "day", "at": "18:30"}}
APP = AppSettings(id="a", name="Shop", platform="ios")


def file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "codes.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_codes_are_read_with_their_lines(tmp_path: Path) -> None:
    found = read_codes(file(tmp_path, '\ufeffcode\r\nA-1\r\n\r\n"B-2"\r\n  C$3 \r\n'))
    assert (found.codes, found.lines) == (("A-1", "B-2", "C$3"), (2, 4, 5))
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "has no code in it"),
        ("code\n\n", "has no code in it"),
        (b"GOOD\nB\xc3\x96SE\n\xff\xfe\n", "line 3 isn't UTF-8; save the file as UTF-8"),
        ("A\nB\nA\nC\nB\n", r"line 3, 5 has a code that stands in an earlier line too; each code is for one person"),
        ("A\n" + "B" * 65 + "\n", "line 2 has more than 64 characters"),
        ("A\nB C\n", "line 2 has a space"),
        ("A\nB\u200bC\n", "line 2 has a space or a character in it that nobody can see"),
        ("A;10 %\nB;20 %\n", "line 1, 2 has several columns"),
        ("X\n" * 9, r"line 2, 3, 4, 5, 6 \(and 3 more\) has a code that stands"),
    ],
)
def test_a_file_that_can_not_be_taken_says_which_lines_and_shows_no_code(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(CampaignError, match=complaint) as caught:
        read_codes(file(tmp_path, content))
    assert "GOOD" not in str(caught.value)


@pytest.mark.parametrize(
    "head", ["code", "promo_code", "Promo Code", "Gutscheincode", "VOUCHER", "coupon-code", '"Code ID"', "Rabattcode"]
)
@pytest.mark.parametrize("codes", [["PR-A1", "VO-B2"], ["A1B2"], ["aaaa1111", "BB-2"]])
def test_a_known_header_is_never_a_code(tmp_path: Path, head: str, codes: list[str]) -> None:
    assert read_codes(file(tmp_path, "\n".join([head, *codes]))).codes == tuple(codes)
    assert check_codes([head, *codes], source="the list")["code"].to_list() == codes


@pytest.mark.parametrize(
    "lines",
    [
        ["Aktion", "A1-B2", "C3-D4"],
        ["Sommer Aktion", "A1-B2"],
        ["Meine_Codes", "ABCD", "EFGH"],
        ["KAMPAGNE", "ABCD", "EFGH"],
        ["CODE", "ABCD", "EFGH"],
        ["VOUCHER", "WINTERX", "SUMMERX"],
        ["SPRINGTIME", "A1B2C3D4", "E5F6G7H8"],
    ],
)
def test_a_first_line_that_may_be_a_header_is_asked_about_and_never_swallowed(tmp_path: Path, lines: list[str]) -> None:
    path = file(tmp_path, "\n".join(lines))
    with pytest.raises(CampaignError, match="may be a header or one of the codes") as caught:
        read_codes(path)
    assert lines[0] not in str(caught.value).replace(str(path), "")
    assert "header=True (--header yes), or header=False (--header no). Nothing was imported" in str(caught.value)
    with pytest.raises(CampaignError, match="the list: its first line may be a header"):
        check_codes(lines, source="the list")
    assert read_codes(path, header=True).codes == tuple(lines[1:])
    if " " not in lines[0]:
        assert read_codes(path, header=False).codes == tuple(lines)
        assert check_codes(lines, source="the list", header=False).height == len(lines)


@pytest.mark.parametrize(
    "codes", [["SOMMER", "WINTER", "HERBST"], ["A1-B2", "C3-D4"], ["SAVE10", "WELCOME5"], ["AB-99", "AB-100"], ["ONE"]]
)
def test_true_codes_are_not_asked_about_and_all_are_kept(tmp_path: Path, codes: list[str]) -> None:
    assert read_codes(file(tmp_path, "\n".join(codes))).codes == tuple(codes)


def test_codes_among_other_columns_are_found_by_their_name_or_chosen(tmp_path: Path) -> None:
    path = file(tmp_path, "\ufeffNr;Promo Code;Betrag\r\n1;A-1;10 %\r\n2;B-2;20 %\r\n")
    assert read_codes(path) == read_codes(path, column="promo code") == read_codes(path, column="2")
    assert read_codes(path).codes == ("A-1", "B-2")
    path = file(tmp_path, "Aktion;Karte\nA;K-1\nB;K-2\n")
    with pytest.raises(CampaignError, match=r"line 1, 2, 3 has several columns, and none is named 'code'") as caught:
        read_codes(path)
    assert "K-1" not in str(caught.value)
    assert read_codes(path, column="Karte").codes == ("K-1", "K-2")


def test_what_a_spreadsheet_has_made_of_codes_is_refused(tmp_path: Path) -> None:
    for content, complaint in (
        ("code\n1,234E+05\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8. Nothing was imported"),
        ("code\n123456\n1.234E+15\n", "line 3 has a long number as a spreadsheet shortens it; format the column"),
        ("code\nA-1\nB-2\ncode\nC-3\n", "line 4 names the column; delete what is none of the codes"),
        ("A-1\nB-2\nPromo Code\nC-3\n", "line 3 has a space"),
        ("A-1\nB-2\npromo_code\nC-3\n", "line 3 names the column"),
        (b"PK\x03\x04...", "it is a spreadsheet, not a text"),
    ):
        with pytest.raises(CampaignError, match=complaint):
            read_codes(file(tmp_path, content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"nowhere\.txt isn't there"):
        read_codes(tmp_path / "nowhere.txt")


def test_a_property_takes_the_code_only_where_the_offer_has_a_pool() -> None:
    offer = {"name": "Ten", "kind": "discount"}
    takes = {"promo": {"offer": "code"}}
    with pytest.raises(CampaignError, match="takes the offer's 'code', which the campaign doesn't give; add codes = "):
        campaign_from({**FIELDS, "offer": offer, "properties": takes})
    campaign = campaign_from({**FIELDS, "offer": {**offer, "codes": "Summer"}, "properties": takes})
    assert (campaign.codes, campaign.code_properties) == ("Summer", ("promo",))
    assert isinstance(campaign, Campaign)


def people() -> tuple[pl.LazyFrame, pl.LazyFrame]:
    ids = [f"c{n}" for n in range(8)]
    customers = pl.LazyFrame(
        {
            "customer_id": ids,
            "external_user_id": [f"u{i}" for i in ids],
            "is_blocked": [n == 1 for n in range(8)],
            "is_test": [False] * 8,
            "push_opt_in": [True] * 8,
            "first_name": [None if n == 2 else f'"promo":null {n}' for n in range(8)],
        }
    )
    users = pl.LazyFrame({"customer_id": ids, "app_id": "a", "app_version": "1", "push_enabled": True})
    return customers, users.with_columns(has_sdk=pl.lit(True))


def test_every_recipient_gets_a_code_and_nobody_else() -> None:
    customers, users = people()
    properties = {
        "promo": Property(offer="code"),
        "again": Property(offer="code"),
        "first_name": Property(attribute="first_name", exclude_empty=True),
        "name": Property(offer="name"),
    }
    rows = build_audience(
        customers,
        customers,
        users,
        messages=[AudienceMessage(apps=(APP,), properties=properties)],
        offer={"name": "Ten"},
        control=0.5,
        salt="s",
    )
    outcomes = rows["outcome"].to_list()
    assert {"recipient", "control", "excluded"} == set(outcomes)
    codes = pl.Series([f"$1-{n}" for n in range(outcomes.count("recipient"))])
    given_out = with_codes(rows, codes, properties=["again", "promo"])
    assert given_out.drop("properties").equals(rows.drop("properties"))
    texts = given_out.filter(pl.col("outcome") == "recipient")["properties"]
    read = [json.loads(text) for text in texts]
    assert [r["promo"] for r in read] == [r["again"] for r in read] == codes.to_list()
    assert all(r["first_name"].startswith('"promo":null ') and r["name"] == "Ten" for r in read)
    held_out = given_out.filter(pl.col("outcome") == "control")["properties"]
    assert [json.loads(text)["promo"] for text in held_out] == [None] * outcomes.count("control")
    assert given_out.filter(pl.col("outcome") == "excluded")["properties"].null_count() == outcomes.count("excluded")


def test_a_preview_of_one_customer_shows_an_example() -> None:
    customers, _ = people()
    offer = {"name": "Ten", "code": EXAMPLE_CODE}
    rows = personal(customers, properties={"promo": Property(offer="code")}, offer=offer).collect()
    assert json.loads(rows["properties"][0]) == {"promo": EXAMPLE_CODE}


@given(
    code=st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=64),
    name=st.text(st.characters(exclude_categories=("Cs",)), max_size=9),
    value=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
)
def test_a_code_never_gets_into_another_value(code: str, name: str, value: str) -> None:
    others = {"a" + name: value, "z" + name: f'"{name}":null'}
    text = json.dumps({**others, name: None}, ensure_ascii=False, separators=(",", ":"))
    rows = pl.DataFrame([("c", "u", "recipient", None, text)], schema=AUDIENCE_SCHEMA, orient="row")
    found = with_codes(rows, pl.Series([code]), properties=[name])["properties"][0]
    assert json.loads(found) == {**others, name: code}
