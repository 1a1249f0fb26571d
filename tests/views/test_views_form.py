"""A form comes from the schema of a struct: what is new in the struct is in the form, without a word about it."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from optinb.campaigns import Campaign, Schedule
from optinb.views.form import Form, Kind, Sheet, Words
from optinb.views.plan.words import CAMPAIGN, sheets

WORDS = sheets(zone="Europe/Berlin", tomorrow="2026-11-24")


class Parcel(Struct, frozen=True, tag="parcel", omit_defaults=True):
    weight: Annotated[int, Meta(ge=1, le=30)] = 1
    fragile: bool = False


class Letter(Struct, frozen=True, tag="letter", omit_defaults=True):
    stamp: Literal["a", "b"]
    sent_on: date | None = None


class Sender(Struct, frozen=True, omit_defaults=True):
    name: str
    floor: int | None = None


class Order(Struct, frozen=True, omit_defaults=True):
    title: Annotated[str, Meta(title="What it is called", min_length=1)]
    post: Parcel | Letter
    sender: Sender | None = None
    colour: Literal["red", "blue"] | None = None
    ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5
    at: time | None = None
    tags: tuple[str, ...] = ()
    sizes: tuple[Literal["s", "m", "l"], ...] = ()
    deep: dict[str, list[int]] = {}


class LongerCampaign(Campaign, frozen=True, kw_only=True):
    most_customers: Annotated[int, Meta(ge=1, le=9_000)] = 9_000
    languages: tuple[Literal["de", "en"], ...] = ()


class YearlySchedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    at: str
    clock: Literal["workspace", "local"] = "workspace"
    date: date | None = None
    every: Literal["day", "week", "month", "year"] | None = None
    step: int = 1
    start: date | None = None
    end: date | None = None
    blackout: tuple[date, ...] = ()
    days: tuple[str, ...] = ()
    day: int | None = None


def shown(form: Form, name: str) -> bool:
    return getattr(form, name).layout.display != "none"


@pytest.mark.parametrize(
    "order",
    [
        Order("One", Parcel()),
        Order("Two", Parcel(weight=30, fragile=True), Sender("Ann", 3), "blue", 0.25, time(9, 5), ("x", "y"), ("m",)),
        Order("Three", Letter("b", date(2026, 11, 23)), Sender("Ann"), deep={"k": [1, 2]}),
    ],
)
def test_a_value_comes_back_from_its_form_as_it_was(order):
    form = Form(Order, {})
    form.show(msgspec.to_builtins(order))
    assert msgspec.convert(form.read(), Order) == order


def test_the_schema_gives_labels_limits_and_what_can_be_chosen():
    form = Form(Order, {})
    assert form.title.description == "What it is called"
    assert form.post.sent_on.description == "Sent on"
    assert (form.post.weight.min, form.post.weight.max) == (1, 30)
    assert dict(form.colour.options) == {"None": None, "Red": "red", "Blue": "blue"}
    assert dict(form.post.kind.options) == {"Parcel": "parcel", "Letter": "letter"}


def test_the_kind_of_a_tagged_union_decides_what_is_asked():
    form = Form(Order, {})
    assert [shown(form.post, name) for name in ("weight", "fragile", "stamp", "sent_on")] == [True, True, False, False]
    form.post.kind.value = "letter"
    assert [shown(form.post, name) for name in ("weight", "fragile", "stamp", "sent_on")] == [False, False, True, True]
    assert form.post.read() == {"type": "letter", "stamp": "a"}


def test_what_is_missing_is_a_hole_that_the_schema_names():
    form = Form(Order, {})
    assert form.read() == {"title": "", "post": {"type": "parcel"}}
    with pytest.raises(msgspec.ValidationError, match=r"length >= 1 - at `\$.title`"):
        msgspec.convert(form.read(), Order)
    form.sender.name.value, form.sender.floor.value = "Ann", "third"
    with pytest.raises(msgspec.ValidationError, match=r"at `\$.sender.floor`"):
        msgspec.convert({**form.read(), "title": "One"}, Order)


def test_somebody_is_told_of_what_is_written_and_not_of_what_is_shown():
    form, told = Form(Order, {}), []
    form.changed = lambda: told.append(form.read())
    form.show({"title": "One", "post": {"type": "letter", "stamp": "b"}, "sender": {"name": "Ann"}})
    assert told == []
    form.sender.name.value = "Bob"
    assert [one["sender"] for one in told] == [{"name": "Bob"}]


def test_new_field_of_a_campaign_is_in_the_form_without_a_word():
    form = Form(LongerCampaign, {LongerCampaign: Sheet(fields=CAMPAIGN), **WORDS})
    assert (form.most_customers.description, form.most_customers.max) == ("Most customers", 9_000)
    form.languages.boxes["en"].value = True
    form.most_customers.value = 10
    assert form.read()["languages"] == ["en"] and form.read()["most_customers"] == 10


def test_new_kind_of_schedule_is_offered_without_a_word():
    form = Form(YearlySchedule, {YearlySchedule: WORDS[Schedule]})
    assert list(dict(form.often.options).values()) == ["once", "day", "days", "week", "month", "year"]
    form.at.value, form.often.value = time(9, 5), "year"
    assert form.read() == {"at": "09:05", "every": "year"}
    form.show({"at": "09:05", "every": "year"})
    assert form.often.value == "year"


def test_sheet_gives_words_order_and_kinds():
    sheet = Sheet(
        fields={"kind": Words(label="Which"), "fragile": Words(label="It breaks", unless=("weight", 30))},
        rows=("fragile", ...),
        kinds={"light": Kind("Light", {"weight": None}), "any": Kind("Any", {}, ("weight",), {"weight": 7})},
    )
    form = Form(Parcel, {Parcel: sheet})
    assert form.children == (form.fragile, form.weight, form.kind)
    form.show({"weight": 30})
    assert form.kind.value == "any" and not shown(form, "fragile") and form.read() == {"weight": 30}
    form.show({"weight": 29})
    form.kind.value = "light"
    assert shown(form, "fragile") and not shown(form, "weight") and form.read() == {}
