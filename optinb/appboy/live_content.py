"""What Appboy fills into a template when it sends: nobody can see it before, so that nobody can approve it. Pure.

Only its names are in the template. Appboy's details of a campaign show neither the text of a content block, nor what a
web service or a catalogue will answer, nor the values of a profile.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from optinb.appboy.liquid_marks import DOLLAR, IN_TAGS, TRIGGER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from optinb.appboy.templates import Template
    from optinb.base.settings import LiveContent

WORDS: dict[LiveContent, str] = {
    "content_blocks": "content block",
    "connected_content": "connected content from",
    "catalogs": "catalogue items of",
    "profile": "Appboy's own value",
}
# of an address no more than its host: keys may stand before and behind it
_HOST = re.compile(r"https?://(?:[^/?#\s]*@)?([^/?#\s]+)", re.IGNORECASE)
_TAG = re.compile(r"\{%-?\s*(connected_content|catalog_items|catalog_selection_items)\s+(\S+)")


def live_content(template: Template) -> tuple[tuple[LiveContent, str], ...]:
    """The kinds and names of what Appboy fills into a template, each once, in the order in which they stand."""
    return tuple(
        dict.fromkeys(found for m in template.messages for text in m.texts() for found in live_content_of(text))
    )


def with_live_content(template: Template, *, refused: Collection[LiveContent] = ()) -> Template:
    """A template with a note that names what Appboy fills in; not usable where some of that is `refused`."""
    found = live_content(template)
    if not found:
        return template
    named = ", ".join(_named(kind, name) for kind, name in found)
    notes = (*template.notes, f"Appboy fills this in when it sends; it can't be approved: {named}")
    wrong = ", ".join(_named(kind, name) for kind, name in found if kind in refused)
    if not wrong:
        return msgspec.structs.replace(template, notes=notes)
    problem = (
        f"what Appboy fills in when it sends is refused by refuse_live_content in optinb.toml ({wrong}); take it out"
    )
    return msgspec.structs.replace(template, usable=False, notes=notes, problems=(*template.problems, problem))


def live_content_of(text: str) -> Iterator[tuple[LiveContent, str]]:
    """The kinds and names of what Appboy fills into a text, in the order in which they stand."""
    for tag in IN_TAGS.findall(text):
        if match := _TAG.match(tag):
            word, name = match.groups()
            if word == "connected_content":
                host = _HOST.match(name)
                yield "connected_content", host[1] if host else re.split("[?#]", name)[0]
            else:
                yield "catalogs", name
            continue
        if "content_blocks" in tag and not DOLLAR.search(tag):
            yield "content_blocks", "?"
        for match in DOLLAR.finditer(tag):
            match match["of"]:
                case None | "custom_attribute" | "user_attributes":
                    yield "profile", match["name"]
                case "content_blocks":
                    yield "content_blocks", match["name"]
                case of if of != TRIGGER:
                    yield "profile", f"{of} {match['name']}"
                case _:
                    pass


def _named(kind: LiveContent, name: str) -> str:
    return f"{WORDS[kind]} “{name}”"
