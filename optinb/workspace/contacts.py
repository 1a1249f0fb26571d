"""Where every customer stands with the contact policy, by the contact history."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from optinb.campaigns import Competition, Competitor, Roster, days_back
from optinb.delivery import counting, sending_day

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.campaigns import Campaign
    from optinb.engine import Tables
    from optinb.workspace.handle import Workspace


def competition(
    ws: Workspace, *, night: date, due: Iterable[Campaign], tables: Tables, but: str | None = None
) -> Competition:
    """Where every customer stands with the contact policy before a night's campaigns choose.

    What earlier nights sent or held out counts, and what this one has frozen already; under whatever id it was, it
    counts for the person. `but`: the id of a campaign whose own audience of this night doesn't count.

    Raises StateError when a frozen audience that counts can't be read or was changed.
    """
    known = {record.id: record.campaign for record in ws.campaigns.list(archived=True)}
    policy, found = ws.settings.contact_policy(), uncontested(ws, night=night, due=due, tables=tables)
    oldest = night - timedelta(days=days_back(policy, known.values()))
    for audience in ws.contacts.nights(since=oldest):
        if audience.night == (but, night):
            continue
        campaign = known.get(audience.campaign_id)
        who = Competitor(
            campaign_id=audience.campaign_id,
            app_group_id=audience.app_group_id,
            day=sending_day(audience),
            exclusion_days=campaign.exclusion_days if campaign else 0,
            measurement_days=campaign.measurement_days if campaign else 0,
        )
        rows = ws.contacts.rows(audience)
        found.add(counting(rows, "recipient"), who)
        found.add(counting(rows, "control"), who, control=True)
    return found


def uncontested(ws: Workspace, *, night: date, due: Iterable[Campaign], tables: Tables) -> Competition:
    """Where every customer stands with the contact policy as if no campaign had contacted anybody."""
    days = {night, *(campaign.schedule.day_of(night) for campaign in due)}
    customers, app_users = tables.customers.to_native(), tables.app_users.to_native()
    roster = Roster(customers, app_users, identity=tables.identity())
    return Competition(roster, days=days, policy=ws.settings.contact_policy())
