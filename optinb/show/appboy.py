"""Templates and what importing them brought, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.show.pages import page
from optinb.show.registry import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.appboy import GroupSync, Template, TemplateListing


def sync_text(value: GroupSync) -> str:
    """What importing an app group's templates brought."""
    from optinb.appboy import told

    if value.result is None:
        return f"{value.app_group}: {value.problem}"
    r = value.result
    head = f"{value.app_group}: {r.usable:,} usable templates, {r.unusable:,} not usable"
    return "\n".join([head, *(f"  {line}" for line in told(r.changes))])


def syncs(found: Sequence[GroupSync]) -> str:
    """What importing templates brought."""
    from optinb.appboy import told

    return page("syncs.html.j2", syncs=found, told=told)


def listing_text(value: TemplateListing) -> str:
    """The templates that can be chosen, and what happened to them since last night."""
    from optinb.appboy import told_by_group

    parts = [template_text(template) for template in value.templates]
    if not parts:
        parts = ["no template is imported yet; `optinb templates sync` brings them"]
    if value.news:
        parts += ["\nsince last night:", *(f"  {line}" for line in told_by_group(value.news))]
    return "\n".join(parts)


def template_text(value: Template) -> str:
    """A template with its texts; one that can't be used with the reason."""
    head = f"{value.name}  {', '.join(value.platforms) or '–'}  {value.id}"
    if not value.usable:
        return f"{head}\n  not usable: {'; '.join(value.problems)}"
    texts = [f"  {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}" for m in value.messages]
    return "\n".join([head, *texts, *(f"  note: {note}" for note in value.notes)])


def templates(found: Sequence[Template]) -> str:
    """Templates with their texts; those that can't be used with the reason."""
    return page("templates.html.j2", usable=[t for t in found if t.usable], others=[t for t in found if not t.usable])


SHOWN = (
    Shown("optinb.appboy.template_import.GroupSync", text=sync_text, html=syncs, many=True),
    Shown("optinb.appboy.template_import.TemplateListing", text=listing_text),
    Shown("optinb.appboy.templates.Template", text=template_text, html=templates, many=True),
)
