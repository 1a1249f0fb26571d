"""What became of a template between two looks at Appboy. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.appboy.templates import Message, Template

MOST_NAMES = 10
What = Literal["new", "renamed", "edited", "archived", "unarchived", "usable", "unusable", "vanished", "returned"]
WORDS: dict[What, str] = {
    "new": "new",
    "renamed": "renamed",
    "edited": "edited",
    "archived": "archived",
    "unarchived": "taken out of the archive",
    "usable": "can be used now",
    "unusable": "can't be used any more",
    "vanished": "vanished from Appboy",
    "returned": "back in Appboy",
}
_FIELDS = {"title": "title", "alert": "text", "action": "link", "image_url": "picture", "extras": "extra values"}


class TemplateChange(Struct, frozen=True, kw_only=True):
    """One thing that happened to a template; `name` is its name now, `detail` says more in plain words, or nothing."""

    template_id: str
    name: str
    what: What
    detail: str = ""

    def sentence(self) -> str:
        """The change in words, such as "Sale_iOS: renamed, it was 'Sale'"."""
        return f"{self.name}: {WORDS[self.what]}{f', {self.detail}' if self.detail else ''}"


class TemplateNews(Struct, frozen=True, kw_only=True):
    """A change of a template of an app group (its name, or its id), and when an import saw it."""

    at: datetime
    app_group: str
    change: TemplateChange


def told(changes: Iterable[TemplateChange]) -> list[str]:
    """Changes as lines for a person; what is new in one line, since after the first import everything is."""
    changes = list(changes)
    new = [change.name for change in changes if change.what == "new"]
    more = f" and {len(new) - MOST_NAMES:,} more" if len(new) > MOST_NAMES else ""
    lines = [change.sentence() for change in changes if change.what != "new"]
    return [*lines, f"new: {', '.join(new[:MOST_NAMES])}{more}"] if new else lines


def told_by_group(news: Iterable[TemplateNews]) -> list[str]:
    """News as lines for a person, an app group after the other."""
    by_group: dict[str, list[TemplateChange]] = {}
    for item in news:
        by_group.setdefault(item.app_group, []).append(item.change)
    return [f"{group}: {line}" for group, changes in by_group.items() for line in told(changes)]


def template_changes(before: Template | None, now: Template) -> tuple[TemplateChange, ...]:
    """What happened to a template since it was last read; `before` is None for one that was never seen."""
    return tuple(
        TemplateChange(template_id=now.id, name=now.name, what=what, detail=detail)
        for what, detail in _happened(before, now)
    )


def _happened(before: Template | None, now: Template) -> list[tuple[What, str]]:
    if before is None:
        return [("new", "" if now.usable else f"not usable: {'; '.join(now.problems)}")]
    if now.vanished:
        return [] if before.vanished else [("vanished", "")]
    found: list[tuple[What, str]] = []
    if before.vanished:
        found.append(("returned", ""))
    if before.name != now.name:
        found.append(("renamed", f"it was {before.name!r}"))
    if before.archived != now.archived:
        found.append(("archived" if now.archived else "unarchived", ""))
    if edited := _edited(before.messages, now.messages):
        found.append(("edited", edited))
    explained = before.vanished or before.archived != now.archived
    if before.usable != now.usable and not explained:
        found.append(("usable", "") if now.usable else ("unusable", "; ".join(now.problems)))
    if not found and (before.content_hash, before.problems) != (now.content_hash, now.problems):
        found.append(("edited", ""))
    return found


def _edited(before: tuple[Message, ...], now: tuple[Message, ...]) -> str:
    """Which parts of which messages differ, in words."""
    old = {(m.platform, m.variation_id): m for m in before}
    new = {(m.platform, m.variation_id): m for m in now}
    parts = [f"a message for {platform} was taken away" for platform, _ in sorted(old.keys() - new.keys())]
    parts += [f"a message for {platform} was added" for platform, _ in sorted(new.keys() - old.keys())]
    for key in (key for key in new if key in old):
        fields = [word for name, word in _FIELDS.items() if getattr(old[key], name) != getattr(new[key], name)]
        if fields:
            parts.append(f"the {' and the '.join(fields)} for {key[0]}")
    return "; ".join(dict.fromkeys(parts))
