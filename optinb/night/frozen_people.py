"""Whether those whom a frozen audience writes to may be written to tonight, and are those who were approved.

A file is sealed and its plan is in the audit trail, but both can be added by whoever can write to the database or to
the folder of the audiences; what is sent is what the approved rule makes of the tables of tonight.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from optinb.campaigns import NO_PUSH, REASONS
from optinb.delivery import must_be_here, read_frozen
from optinb.rules import Contacted, from_json, nodes_of

if TYPE_CHECKING:
    from optinb.campaigns import Campaign
    from optinb.state import FrozenAudience
    from optinb.workspace import Resolved, Workspace

WHO = ["customer_id", "external_user_id"]
REMEDY = "cancel what is left of this night, and approve the campaign again"


def why_other_people(ws: Workspace, resolved: Resolved, audience: FrozenAudience, *, is_bound: bool) -> str | None:
    """Why the recipients of a frozen audience may not be written to, or None.

    Everybody must be a customer who may be written to tonight, under their own external user id. Unless an approval
    `is_bound` to this very file, everybody must also be in the target group, outside of its control group, and get what
    the approved properties say. What the contact policy knows of other campaigns isn't judged anew.

    Raises StateError when the file isn't here or was changed.
    """
    must_be_here(ws.store, audience, ws.root)
    frozen = read_frozen(ws.root / audience.path, audience.sha256).filter(pl.col("outcome") == "recipient")
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
        expected, by = tonight.filter(pl.col("outcome") == "recipient"), [*WHO, "properties"]
        frozen = frozen.with_columns(_without_codes(resolved.campaign))
    others = frozen.height - frozen.unique("customer_id").join(expected, on=by, how="semi").height
    if others:
        return (
            f"{others:,} of the recipients that were frozen aren't those of the approved rule and properties by "
            f"tonight's data; {REMEDY}"
        )
    return None


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
