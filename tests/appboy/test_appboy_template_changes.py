"""What became of a template between two looks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from optinb.appboy import Message, Template, TemplateChange, fitted, told
from optinb.appboy.template_changes import template_changes
from optinb.base.settings import AppGroupSettings, AppSettings

IOS = Message(platform="ios", title="Sale", alert="Hi", variation_id="v1")
ANDROID = Message(platform="android", title="Sale", alert="Hi", variation_id="v2")
SALE = Template(
    app_group_id="g",
    id="t",
    name="Sale",
    platforms=("ios", "android"),
    messages=(IOS, ANDROID),
    usable=True,
    problems=(),
    updated_at=None,
    content_hash="1",
)
STOPPED = replace(SALE, usable=False, problems=("it is stopped",), content_hash="2")
ARCHIVED = replace(SALE, usable=False, problems=("it is archived",), archived=True, content_hash="3")
GONE = replace(SALE, usable=False, problems=("no longer in Appboy",), vanished=True)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, SALE, [("new", "")]),
        (None, STOPPED, [("new", "not usable: it is stopped")]),
        (SALE, SALE, []),
        (SALE, replace(SALE, last_edited="2026-11-22", updated_at="2026-11-22"), []),
        (SALE, replace(SALE, name="Sale_iOS"), [("renamed", "it was 'Sale'")]),
        (
            SALE,
            replace(SALE, messages=(replace(IOS, alert="Hello", action="open"), ANDROID), content_hash="4"),
            [("edited", "the text and the link for ios")],
        ),
        (SALE, replace(SALE, messages=(IOS,), content_hash="5"), [("edited", "a message for android was taken away")]),
        (SALE, STOPPED, [("unusable", "it is stopped")]),
        (STOPPED, SALE, [("usable", "")]),
        (SALE, ARCHIVED, [("archived", "")]),
        (ARCHIVED, SALE, [("unarchived", "")]),
        (SALE, GONE, [("vanished", "")]),
        (GONE, GONE, []),
        (GONE, SALE, [("returned", "")]),
        (SALE, replace(SALE, content_hash="6"), [("edited", "")]),
        (
            SALE,
            replace(SALE, name="S", messages=(), usable=False, problems=("it has no push message",)),
            [
                ("renamed", "it was 'Sale'"),
                ("edited", "a message for android was taken away; a message for ios was taken away"),
                ("unusable", "it has no push message"),
            ],
        ),
    ],
)
def test_each_change_is_told_once_and_in_words(
    before: Template | None, now: Template, expected: list[tuple[str, str]]
) -> None:
    assert [(change.what, change.detail) for change in template_changes(before, now)] == expected


def test_after_a_first_import_the_new_ones_share_a_line() -> None:
    new = [TemplateChange(template_id=str(n), name=f"T{n}", what="new") for n in range(12)]
    renamed = TemplateChange(template_id="x", name="X", what="renamed", detail="it was 'Y'")
    names = ", ".join(f"T{n}" for n in range(10))
    assert told([*new, renamed]) == ["X: renamed, it was 'Y'", f"new: {names} and 2 more"]


@pytest.mark.parametrize(
    ("platforms", "usable", "words"),
    [
        (("ios", "android"), True, ""),
        (("ios",), True, "app group 'Shop' has no app on android: that message goes to nobody"),
        ((), False, "app group 'Shop' has no app on ios or android; choose another template"),
    ],
)
def test_a_template_needs_an_app_on_its_platform(platforms: tuple[str, ...], usable: bool, words: str) -> None:
    apps = tuple(AppSettings(id=p, name=p, platform=p) for p in platforms)  # type: ignore[arg-type]
    found = fitted(SALE, AppGroupSettings(id="g", name="Shop", api="https://rest.iad-01.braze.com", apps=apps))
    assert found.usable is usable
    assert words in "; ".join((*found.problems, *found.notes))
    assert found.content_hash == SALE.content_hash
