"""A template a second time: right before the first request of a send, and once after the last.

Appboy takes a template's text from the dashboard when the message goes out, so that an edit after the approval is what
customers would read. What is edited later than the last look goes out as edited; running the night again looks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import AppboyClient, template_from_details, told
from optinb.appboy.template_changes import template_changes
from optinb.campaigns import ALIVE, approved_content, approved_rebuilt
from optinb.delivery import FrozenAudience, Recall, last_moment
from optinb.errors import AppboyError, Exit, OptinbError
from optinb.night.messages import counts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.workspace import Workspace


class SecondLook(Struct, frozen=True, kw_only=True):
    """What a look found: why the campaign is `held`, what is to be told, and what went wrong with its recall."""

    held: str | None = None
    note: str = ""
    failure: str = ""


def look_before(ws: Workspace, client: AppboyClient, messages: Sequence[FrozenAudience]) -> SecondLook | None:
    """Why a campaign may not be sent now, since the template of one of its messages was edited, or None.

    What is frozen is given up, so that it is built anew once the campaign is approved again; what an earlier attempt
    has sent of it is recalled where the settings say so. Raises AppboyError when a template can't be looked at.

    Args:
        ws: the workspace.
        client: of the campaign's app group.
        messages: those of one night of it that are to be sent.
    """
    edited = _edited(ws, client, messages)
    if edited is None:
        return None
    first = messages[0]
    everything = ws.store.deliveries.messages(first.of_campaign, first.run_date)
    is_unsent = all(one.pending == one.recipients for one in counts_of(ws, everything))
    if is_unsent or ws.settings.policy.template_edited == "recall":
        return _recalled(ws, first, edited)
    return SecondLook(
        held=f"{edited}: undo the edit and run the night again to send the rest of it; once it is approved again, the "
        "rest of this night is not sent"
    )


def look_afterwards(ws: Workspace, client: AppboyClient, messages: Sequence[FrozenAudience]) -> SecondLook:
    """Looks once more at the templates of what was scheduled, and recalls it where the settings say so.

    That Appboy can't be asked is told, and stops nothing.

    Args:
        ws: the workspace.
        client: of the campaign's app group.
        messages: those of one night of the campaign.
    """
    name = messages[0].campaign_name
    counts = zip(messages, counts_of(ws, messages), strict=True)
    out = [message for message, one in counts if one.accepted or one.unknown]
    if not out or ws.now() >= max(map(last_moment, out)):
        return SecondLook()
    try:
        edited = _edited(ws, client, out)
    except AppboyError as error:
        return SecondLook(
            note=f"{name!r}: whether its template was edited while it was sent couldn't be asked ({error}); look at it "
            "in the dashboard, or run the night again"
        )
    if edited is None:
        return SecondLook()
    if ws.settings.policy.template_edited == "tell":
        return SecondLook(
            note=f"{name!r}: {edited}, and goes out as edited; `optinb campaigns cancel` recalls what isn't out yet"
        )
    return _recalled(ws, messages[0], edited)


def _edited(ws: Workspace, client: AppboyClient, messages: Sequence[FrozenAudience]) -> str | None:
    """What is different in Appboy from the templates that were approved, in words, or None; edits are imported then."""
    by_template = {message.template_id: message for message in messages}
    found = {key: told for key, one in by_template.items() if (told := _edit_of(ws, client, one)) is not None}
    if not found:
        return None
    first = messages[0]
    # whoever approves it again must see it as it is
    ws.templates.sync(first.app_group_id, fresh=set(found))
    if len(ws.store.deliveries.messages(first.of_campaign, first.run_date)) == 1:
        (what,) = found.values()
        return "the template was edited in Appboy since it was approved" + what
    names = ws.store.templates.names(first.app_group_id)
    return "; ".join(
        f"the template {names.get(key, key)!r} was edited in Appboy since it was approved{what}"
        for key, what in found.items()
    )


def _edit_of(ws: Workspace, client: AppboyClient, audience: FrozenAudience) -> str | None:
    """What is different in Appboy from the template that was approved, in words for a bracket, or None."""
    record = ws.store.campaigns.find(audience.of_campaign)
    if record is None or (approval := record.approval) is None:
        return None  # decided on meanwhile: what becomes of it then is not this look's affair
    is_rebuilt = approved_rebuilt(approval.parts, run_date=audience.run_date, sha256=audience.sha256) is not None
    if not is_rebuilt and approval.fingerprint != audience.fingerprint:
        return None  # the same
    details = client.campaign_details(audience.template_id)
    now = template_from_details(audience.app_group_id, audience.template_id, details)
    if now.content_hash == approved_content(approval.parts, audience.template_id):
        return None
    changes = told(template_changes(ws.store.templates.get(audience.app_group_id, audience.template_id), now))
    return f" ({'; '.join(changes)})" if changes else ""


def _recalled(ws: Workspace, audience: FrozenAudience, edited: str) -> SecondLook:
    """Stops and recalls what isn't out of a campaign; says why it is held, and what couldn't be recalled."""
    record = ws.store.campaigns.get(audience.of_campaign)
    # of this night alone: an earlier one was sent as it was approved
    found = ws.sends.recall(record.id, reason=edited, run_date=audience.run_date)
    figures = {
        "weren't sent": sum(r.stopped for r in found),
        "were recalled": sum(r.recalled for r in found),
        "may get it as edited": sum(r.may_be_out + r.out for r in found),
    }
    people = ", ".join(f"{count:,} {what}" for what, count in figures.items() if count)
    is_alive = record.state in ALIVE
    messages = ws.store.deliveries.messages(audience.of_campaign, audience.run_date)
    if all(one.cancelled == one.recipients for one in counts_of(ws, messages)):
        remedy = "approve it again" if is_alive else "copy it under another name to send it again"
    else:
        has_more = is_alive and record.campaign.schedule.date is None
        remedy = _apart(ws, audience) + ("; approve it again for its next nights" if has_more else "")
    held = f"{edited}: of its recipients {people or 'none could be recalled any more'}; {remedy}"
    if is_alive:
        ws.campaigns.note(record, "hold", comment=held)
    return SecondLook(held=held, failure="; ".join(filter(None, (_unrecalled(r) for r in found))))


def _apart(ws: Workspace, audience: FrozenAudience) -> str:
    """What becomes of those who get nothing of a night that others got: it isn't built anew, so they are listed."""
    try:
        name = ws.sends.list_cancelled(audience)
    except OptinbError as error:  # what was recalled, and what wasn't, must be told all the same
        return f"who gets nothing couldn't be listed ({error}): this night isn't built anew"
    if name is None:
        return "this night isn't built anew, so that whoever gets it at all gets it as edited"
    return f"who certainly gets nothing is on the list {name!r}, for a campaign of its own: this night isn't built anew"


def _unrecalled(recalled: Recall) -> str:
    """What went wrong with a recall, in words; nothing where all is well."""
    if not recalled.problems and recalled.exit_code is not Exit.FAILED:
        return ""
    said = ", ".join(f"{message} ({count:,} requests)" for message, count in recalled.problems.items())
    return (
        f"its template was edited, and of its recipients {recalled.out + recalled.may_be_out:,} couldn't surely be "
        f"recalled, of whom {recalled.left:,} are scheduled still: {said or 'nobody was asked'}; run the night again "
        "to recall what is left"
    )
