"""What campaigns did with customers, from the frozen audiences and the journal of deliveries, as data for rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from optinb.delivery import read_frozen

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from optinb.state import FrozenAudience, Store

CONTACTS = pl.Schema({"customer_id": pl.String, "campaign": pl.String, "day": pl.Date, "outcome": pl.String})


class Contacts:
    """The history of contacts of a workspace. An audience never changes, so that each is read once."""

    def __init__(self, root: Path, store: Store, zone: ZoneInfo) -> None:
        self._root, self._store, self._zone = root, store, zone
        self._read: dict[tuple[str, frozenset[int], frozenset[str]], pl.DataFrame] = {}

    def table(self) -> pl.DataFrame:
        """One row a customer, campaign and night, with CONTACTS.

        `outcome` is "received" where Appboy accepted the request that the customer was in, or said later that they
        received it, and "in_control" for those held out from a night of which that is so of somebody. Requests that
        were refused, expired or cancelled, or of which it is unknown whether Appboy took them, don't count. `day` is
        the day of sending.
        """
        found = [self._of(audience) for audience in self._store.deliveries.list()]
        return pl.concat(found) if found else pl.DataFrame(schema=CONTACTS)

    def campaigns(self) -> frozenset[str]:
        """The names of all campaigns."""
        sent = {audience.campaign_name for audience in self._store.deliveries.list()}
        return frozenset(sent | {record.campaign.name for record in self._store.campaigns.list()})

    def _of(self, audience: FrozenAudience) -> pl.DataFrame:
        batches = self._store.deliveries.batches(*audience.night, state="accepted")
        unknown = self._store.deliveries.batches(*audience.night, state="unknown")
        settled = frozenset(user for batch in unknown if batch.settlement for user in batch.settlement.received)
        if not batches and not settled:
            return pl.DataFrame(schema=CONTACTS)
        key = (audience.sha256, frozenset(batch.first for batch in batches), settled)
        if key not in self._read:
            rows = read_frozen(self._root / audience.path, audience.sha256)
            recipients = rows.filter(pl.col("outcome") == "recipient")
            later = recipients.filter(pl.col("external_user_id").is_in(list(settled)))
            parts = [later, *(recipients.slice(batch.first, batch.size) for batch in batches)]
            received = pl.concat(parts)["customer_id"]
            control = rows.filter(pl.col("outcome") == "control")["customer_id"]
            ids = pl.concat([received, control])
            outcome = ["received"] * len(received) + ["in_control"] * len(control)
            self._read[key] = pl.DataFrame({"customer_id": ids, "outcome": outcome})
        day = audience.send_at.astimezone(self._zone).date()
        said = (pl.lit(audience.campaign_name).alias("campaign"), pl.lit(day, pl.Date).alias("day"))
        return self._read[key].select("customer_id", *said, "outcome")
