"""Whether a frozen audience that is still to be sent is what was approved: by whom, when it goes out, and to whom.

A file is sealed and its plan is in the audit trail, but both can be added by whoever can write to the database or to
the folder of the audiences; what is sent is what the approved rule makes of the tables of tonight.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import polars as pl
from msgspec.structs import replace

from optinb.campaigns import (
    NO_PUSH,
    REASONS,
    Campaign,
    CampaignRecord,
    approved_rebuilt,
    gets,
    why_held_by_size,
    why_untimely,
)
from optinb.delivery import FrozenAudience, must_be_here, read_frozen
from optinb.rules import Contacted, from_json, nodes_of

if TYPE_CHECKING:
    from optinb.planning import Resolved
    from optinb.workspace import Workspace

WHO = ["customer_id", "external_user_id"]
REMEDY = "cancel what is left of this night, and approve the campaign again"


def why_not_approved(
    ws: Workspace, record: CampaignRecord, resolved: Resolved, audience: FrozenAudience, *, is_known: bool
) -> str | None:
    """Why what is frozen of an approved campaign isn't what was approved, or None.

    `is_known`: its people were looked at already. Raises OptinbError where it can't be read, or isn't here.
    """
    approval, schedule = record.approval, record.campaign.schedule
    if approval is None:
        return "it is not approved"
    origin = ws.store.origins.of(audience)
    rebuilt = approved_rebuilt(approval.parts, run_date=audience.run_date, sha256=audience.sha256)
    if origin.is_rebuilt and rebuilt is None:
        return "its audience was rebuilt by a recovery, and nobody approved that file; approve the campaign again"
    if not rebuilt and approval.fingerprint != audience.fingerprint:
        return "it was approved anew after this night's audience was frozen, so that the rest of it is not sent"
    approved = {n: (one.template.id, one.message.variant) for n, one in enumerate(resolved.messages)}
    is_approved = approved.get(audience.number) == (audience.template_id, audience.variant)
    if resolved.app_group.id != audience.app_group_id or not is_approved:
        return "its frozen audience isn't of the app group and template that were approved"
    if not rebuilt and not schedule.is_due(audience.run_date):
        return f"by its schedule nothing of it goes out by the night of {audience.run_date}"
    untimely = why_untimely(
        record,
        audience.send_at,
        run_date=audience.run_date,
        sha256=audience.sha256,
        planned=rebuilt.send_at if rebuilt else schedule.send_at(audience.run_date, ws.settings.zone),
        moves=origin.moves,
        authority=ws.campaigns.authority,
    )
    if untimely:
        return untimely
    if not rebuilt and (reason := why_held_by_size(record, _people(ws, audience))):
        return reason  # who approved a file that was rebuilt saw how many are in it
    return None if is_known else _why_other_people(ws, resolved, audience, is_bound=rebuilt is not None)


def _people(ws: Workspace, audience: FrozenAudience) -> int:
    """How many customers get something of a campaign's night, whichever of its messages."""
    messages = ws.store.deliveries.messages(audience.of_campaign, audience.run_date)
    if len(messages) < 2:
        return audience.recipients
    each = [message.recipients for message in messages]
    return min(max(messages[0].waterfall.recipients, *each), sum(each))


def _why_other_people(ws: Workspace, resolved: Resolved, audience: FrozenAudience, *, is_bound: bool) -> str | None:
    """Why the recipients of a frozen audience whose batches are still to be sent may not be written to, or None.

    Everybody of these must be a customer who may be written to tonight, under their own external user id. Unless an
    approval `is_bound` to this very file, everybody must also be in the target group, outside of its control group, and
    get what the approved properties say. What the contact policy knows of other campaigns isn't judged anew.

    Raises StateError when the file isn't here or was changed.
    """
    must_be_here(ws.store, audience, ws.root)
    # which of their phones somebody used last, and which filter lets what through, isn't judged anew either; whether
    # this message may reach them is, whatever another one could
    campaign = replace(resolved.campaign, phones="all")
    resolved = replace(resolved, campaign=campaign, messages=(resolved.messages[audience.number],))
    frozen = _still_planned(ws, audience)
    is_reproducible = not (
        is_bound or nodes_of(from_json(resolved.rule_json), Contacted) or _is_overtaken(ws, audience)
    )
    tonight = ws.campaigns.audience(
        resolved,
        run_date=audience.run_date,
        night=audience.run_date,
        among=ws.campaigns.uncontested(resolved.campaign, audience.run_date),
        people=None if is_reproducible else frozen.lazy().select("customer_id").unique(),
    )
    forbidden = tonight.filter(pl.col("reason").is_in(NO_PUSH)).join(frozen, on="customer_id", how="semi")
    if forbidden.height:
        counts = dict(forbidden["reason"].value_counts().iter_rows())
        told = "; ".join(f"{counts[reason]:,} {REASONS[reason]}" for reason in NO_PUSH if reason in counts)
        return (
            f"{forbidden.height:,} of the recipients that were frozen may not be written to by tonight's data (who "
            f"{told}); {REMEDY}"
        )
    if is_bound:
        expected, by = tonight, WHO
    else:
        expected, by = gets(tonight, 0), [*WHO, "properties"]
        frozen = frozen.with_columns(_without_codes(resolved.campaign))
    others = frozen.height - frozen.unique("customer_id").join(expected, on=by, how="semi").height
    if others:
        return (
            f"{others:,} of the recipients that were frozen aren't those of the approved rule and properties by "
            f"tonight's data; {REMEDY}"
        )
    return None


def _still_planned(ws: Workspace, audience: FrozenAudience) -> pl.DataFrame:
    """The recipients of the batches that are still planned; what became of the others, no hold takes back."""
    recipients = read_frozen(ws.root / audience.path, audience.sha256).filter(pl.col("outcome") == "recipient")
    planned = ws.store.deliveries.batches(*audience.night, state="planned")
    return pl.concat([recipients.clear(), *(recipients.slice(batch.first, batch.size) for batch in planned)])


def _is_overtaken(ws: Workspace, audience: FrozenAudience) -> bool:
    """Whether the tables of an audience's night are gone; its file of answers must say then that it was planned."""
    account = ws.store.recovery.account(*audience.night)
    there = account.audience if account else None
    is_told = there is not None and (there.sha256, there.planned_at) == (audience.sha256, audience.planned_at)
    return is_told and ws.snapshot().import_date > audience.run_date


def _without_codes(campaign: Campaign) -> pl.Expr:
    """The properties as they were before everybody got a promotion code."""
    text = pl.col("properties")
    for name in campaign.code_properties:
        key = msgspec.json.encode(name).decode()
        text = text.str.replace(rf'{re.escape(key)}:"(?:[^"\\]|\\.)*"', f"{key}:null".replace("$", "$$"))
    return text
