"""Who was written to lately or held out: frozen audiences and the journal, as the contact policy needs them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from optinb.campaigns import Competition, Competitor, Roster, days_back
from optinb.delivery import BATCH_SIZE
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.campaigns import Campaign
    from optinb.engine import Tables
    from optinb.state import FrozenAudience
    from optinb.workspace.handle import Workspace

NOT_SENT = ("refused", "expired", "cancelled")
"""Whom these don't reach. What is unknown may have been sent until Appboy says otherwise; what is planned will be."""


def competition(ws: Workspace, *, night: date, due: Iterable[Campaign], tables: Tables) -> Competition:
    """Where every customer stands with the contact policy before a night's campaigns choose.

    What earlier nights sent or held out counts, and what this one has frozen already. Raises StateError when a frozen
    audience that counts can't be read.
    """
    known = {record.id: record.campaign for record in ws.campaigns.list(archived=True)}
    policy = ws.settings.contact_policy()
    days = {night, *(campaign.schedule.day_of(night) for campaign in due)}
    found = Competition(Roster(tables.customers.to_native(), tables.app_users.to_native()), days=days, policy=policy)
    oldest = night - timedelta(days=days_back(policy, known.values()))
    for audience in ws.store.deliveries.list():
        if audience.run_date < oldest:
            break  # the newest night comes first
        campaign = known.get(audience.campaign_id)
        who = Competitor(
            campaign_id=audience.campaign_id,
            app_group_id=audience.app_group_id,
            day=audience.run_date + timedelta(days=0 if audience.clock == "workspace" else 1),
            exclusion_days=campaign.exclusion_days if campaign else 0,
            measurement_days=campaign.measurement_days if campaign else 0,
        )
        contacted, control = _contacts(ws, audience)
        found.add(contacted, who)
        found.add(control, who, control=True)
    return found


def _contacts(ws: Workspace, audience: FrozenAudience) -> tuple[pl.Series, pl.Series]:
    """The customers whom a frozen audience reached, or may reach, and those whom it held out."""
    try:
        rows = pl.read_parquet(ws.root / audience.path, columns=["customer_id", "external_user_id", "outcome"])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StateError(
            f"the frozen audience {ws.root / audience.path} can't be read, so that nobody knows whom "
            f"{audience.campaign_name!r} reached on {audience.run_date}; restore it from a copy"
        ) from error
    control = rows.filter(pl.col("outcome") == "control")["customer_id"]
    recipients = rows.filter(pl.col("outcome") == "recipient")
    unsent = [batch.number for state in NOT_SENT for batch in ws.store.deliveries.batches(*audience.night, state=state)]
    if unsent:
        batch = pl.Series(range(len(recipients)), dtype=pl.Int64) // BATCH_SIZE
        recipients = recipients.filter(~batch.is_in(unsent))
    unknown = ws.store.deliveries.batches(*audience.night, state="unknown")
    missed = [user for batch in unknown if batch.settlement for user in batch.settlement.missing]
    if missed:
        recipients = recipients.filter(~pl.col("external_user_id").is_in(missed))
    # A campaign that a person stopped before it reached anybody has no control group to be measured against.
    return recipients["customer_id"], control if len(recipients) or not unsent else control.head(0)
