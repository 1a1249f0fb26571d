"""A template a second time: right before the first request of a send, and once after the last.

Appboy takes a template's text from the dashboard when the message goes out, so that an edit after the approval is what
customers would read. What is edited later than the last look goes out as edited; running the night again looks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import template_changes, template_from_details, told
from optinb.campaigns import ALIVE, approved_rebuilt
from optinb.delivery import last_moment
from optinb.errors import AppboyError

if TYPE_CHECKING:
    from optinb.appboy import AppboyClient
    from optinb.state import FrozenAudience
    from optinb.workspace import Workspace


class Afterwards(Struct, frozen=True, kw_only=True):
    """What the look after a send found: why the campaign is `held`, and what is to be told."""

    held: str | None = None
    note: str = ""


def look_before(ws: Workspace, client: AppboyClient, audience: FrozenAudience) -> str | None:
    """Why an audience may not be sent now, since its template was edited, or None.

    What is frozen is given up, so that it is built anew once the campaign is approved again; what an earlier attempt
    has sent of it is recalled where the settings say so. Raises AppboyError when the template can't be looked at.
    """
    edited = _edited(ws, client, audience)
    if edited is None:
        return None
    counts = ws.store.deliveries.counts(*audience.night)
    if counts.pending == counts.recipients or ws.settings.policy.template_edited == "recall":
        return _recalled(ws, audience, edited)
    return f"{edited}; approve it again"


def look_afterwards(ws: Workspace, client: AppboyClient, audience: FrozenAudience) -> Afterwards:
    """Looks once more at the template of what was scheduled, and recalls it where the settings say so.

    That Appboy can't be asked is told, and stops nothing.
    """
    name = audience.campaign_name
    counts = ws.store.deliveries.counts(*audience.night)
    if not (counts.accepted or counts.unknown) or ws.now() >= last_moment(audience):
        return Afterwards()
    try:
        edited = _edited(ws, client, audience)
    except AppboyError as error:
        return Afterwards(
            note=f"{name!r}: whether its template was edited while it was sent couldn't be asked ({error}); look at it "
            "in the dashboard, or run the night again"
        )
    if edited is None:
        return Afterwards()
    if ws.settings.policy.template_edited == "tell":
        return Afterwards(
            note=f"{name!r}: {edited}, and goes out as edited; `optinb campaigns cancel` recalls what isn't out yet"
        )
    return Afterwards(held=_recalled(ws, audience, edited))


def _edited(ws: Workspace, client: AppboyClient, audience: FrozenAudience) -> str | None:
    """What is different in Appboy from the template that was approved, in words, or None; the edit is imported then."""
    record = ws.store.campaigns.find(audience.campaign_id)
    if record is None or (approval := record.approval) is None:
        return None  # decided on meanwhile: what becomes of it then is not this look's affair
    is_rebuilt = approved_rebuilt(approval.parts, run_date=audience.run_date, sha256=audience.sha256) is not None
    if not is_rebuilt and approval.fingerprint != audience.fingerprint:
        return None  # the same
    details = client.campaign_details(audience.template_id)
    now = template_from_details(audience.app_group_id, audience.template_id, details)
    if now.content_hash == approval.parts.get("content of the template"):
        return None
    changes = told(template_changes(ws.store.templates.get(audience.app_group_id, audience.template_id), now))
    # whoever approves it again must see it as it is
    ws.templates.sync(audience.app_group_id, fresh={audience.template_id})
    return "the template was edited in Appboy since it was approved" + (f" ({'; '.join(changes)})" if changes else "")


def _recalled(ws: Workspace, audience: FrozenAudience, edited: str) -> str:
    """Stops and recalls what isn't out of a campaign; returns why it is held."""
    record = ws.store.campaigns.get(audience.campaign_id)
    # of this night alone: an earlier one was sent as it was approved
    found = ws.sends.recall(record.id, reason=edited, run_date=audience.run_date)
    figures = {
        "weren't sent": sum(r.stopped for r in found),
        "were recalled": sum(r.recalled for r in found),
        "may get it as edited": sum(r.may_be_out + r.out for r in found),
    }
    people = ", ".join(f"{count:,} {what}" for what, count in figures.items() if count)
    is_alive = record.state in ALIVE
    remedy = "approve it again" if is_alive else "copy it under another name to send it again"
    held = f"{edited}: of its recipients {people}; {remedy}"
    if is_alive:
        ws.campaigns.note(record, "hold", comment=held)
    return held
