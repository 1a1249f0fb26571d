"""Redemptions of a workspace: of each campaign who redeemed its offer, by the delivered table and the journal."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from optinb.campaigns import EarlierShare, Offer, campaign_of
from optinb.delivery.contact_status import COUNTING
from optinb.errors import OptinbError
from optinb.measure.redeemed import GIVEN, REDEEMED, CampaignRedemptions, by_night, redeemed

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.base.context import Context
    from optinb.campaigns import CampaignRecord
    from optinb.delivery import ContactHistory
    from optinb.delivery.journal import Store
    from optinb.warehouse import Snapshot

TABLE = "redemptions"
BEGUN = ("accepted", "unknown", "sending")


class Redemptions:
    """`ws.redemptions`: who redeemed the offer of a campaign when, whose code it was, and what that cost."""

    def __init__(
        self, context: Context, store: Store, contacts: ContactHistory, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the version whose redemptions are read, None before the first import."""
        self._context, self._store, self._contacts, self._published = context, store, contacts, published

    def of(self, campaign: str) -> pl.DataFrame:
        """The redemptions of a campaign's offer.

        Args:
            campaign: its name, without regard to case.

        Returns:
            a frame with redeemed_at (UTC), campaign_id, night, code, customer_id (who got it), redeemed_by (who came
            with it, where that is known), by_other (whether that was somebody else) and cost; the oldest first.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        record = self._store.campaigns.get(campaign)
        offer = self._offer(record)
        if offer is None:
            return pl.DataFrame(schema=REDEEMED)
        return self._told(offer)[1].filter(pl.col("campaign_id") == record.id)

    def summary(self, campaign: str) -> CampaignRedemptions | None:
        """How often the offer of a campaign was redeemed, by night, and what that cost.

        Args:
            campaign: its name, without regard to case.

        Returns:
            None where it has no offer.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
        """
        record = self._store.campaigns.get(campaign)
        offer = self._offer(record)
        if offer is None:
            return None
        currency, until = self._context.settings.workspace.currency, self._until()
        try:
            given, found = (frame.filter(pl.col("campaign_id") == record.id) for frame in self._told(offer))
        except OptinbError as error:
            return CampaignRedemptions(offer=offer.name, currency=currency, until=until, problem=str(error))
        return CampaignRedemptions(offer=offer.name, currency=currency, nights=by_night(found, given), until=until)

    def earlier(self, offer: Offer) -> EarlierShare | None:
        """How many redeemed an offer of this name before, in all campaigns that gave it.

        Args:
            offer: which one.

        Returns:
            None where nothing was given, or nobody knows what was redeemed of it.
        """
        if self._until() is None:
            return None
        with suppress(OptinbError):  # of a night that can't be read nobody knows a share
            given, found = self._told(offer)
            names = {record.id: record.campaign.name for record in self._giving(offer)}
            ids = given["campaign_id"].unique(maintain_order=True).to_list()
            if ids:
                named = tuple(names[one] for one in ids)
                return EarlierShare(redeemed=found.height, given=given.height, campaigns=named)
        return None

    def _giving(self, offer: Offer) -> list[CampaignRecord]:
        """The campaigns that give an offer of this name."""
        offers = ((record, self._offer(record)) for record in self._store.campaigns.list())
        return [record for record, own in offers if own and own.name.casefold() == offer.name.casefold()]

    def _told(self, offer: Offer) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Who got an offer in any campaign (GIVEN), and who redeemed it (REDEEMED)."""
        given = pl.concat([pl.DataFrame(schema=GIVEN), *map(self._given, self._giving(offer))])
        since, published = given["night"].min(), self._published()
        if not isinstance(since, date) or published is None:
            return given, pl.DataFrame(schema=REDEEMED)
        persons = published.table("persons") if published.has("persons") else None
        known = dict(persons.select("customer_id", "person_id").collect().iter_rows()) if persons is not None else {}
        return given, redeemed(self._rows(since), given, offer=offer.name, persons=known)

    def _offer(self, record: CampaignRecord) -> Offer | None:
        """What a campaign offers: as it was approved last, else its own, or the saved one as it is now."""
        approval = record.approval or self._store.campaigns.newest_approval(record.id)
        if approval is not None:
            with suppress(msgspec.MsgspecError, KeyError):
                return msgspec.json.decode(approval.parts["offer"], type=Offer | None)
        saved = self._store.offers.find(record.campaign.saved_offer) if record.campaign.saved_offer else None
        return saved.offer if saved else record.campaign.own_offer

    def _until(self) -> date | None:
        """The newest delivery that brought redemptions."""
        published = self._published()
        if published is None:
            return None
        told = [d.run_date for d in published.contents.deliveries if any(t.table == TABLE for t in d.report.brought)]
        return max(told, default=None)

    def _given(self, record: CampaignRecord) -> pl.DataFrame:
        """Who got the offer of a campaign, with GIVEN; codes only of those that were redeemed.

        Whoever got it on two phones in a night got one offer.
        """
        nights = self._store.deliveries.list(campaign_id=record.id, having=BEGUN)
        offer = self._offer(record)
        cost = pl.lit(offer.cost_of_one if offer else None, dtype=GIVEN["cost_of_one"])
        parts = [pl.DataFrame(schema=GIVEN)]
        codes = self._codes(record, min((night.run_date for night in nights), default=None))
        for audience in nights:
            rows = self._contacts.rows(audience, ("customer_id", "role", "status", "place"))
            got = rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(COUNTING))
            since = audience.send_at.astimezone(UTC).replace(tzinfo=None)
            is_mine = (pl.col("night") == audience.run_date) & (pl.col("message") == audience.campaign_id)
            mine = codes.filter(is_mine).select("place", "code")
            parts.append(
                got.join(mine, on="place", how="left").select(
                    campaign_id=pl.lit(record.id), night=pl.lit(audience.run_date),
                    since=pl.lit(since, dtype=GIVEN["since"]), customer_id="customer_id", code="code", cost_of_one=cost,
                )
            )  # fmt: skip
        return pl.concat(parts).unique(["night", "customer_id"], keep="first", maintain_order=True)

    def _codes(self, record: CampaignRecord, since: date | None) -> pl.DataFrame:
        """The codes of a campaign that were redeemed: their message and night, and the place of whose it is."""
        schema = {"code": pl.String, "message": pl.String, "night": pl.Date, "place": pl.UInt32}
        rows = self._rows(since)
        wanted = rows["code"].drop_nulls().unique().to_list() if since is not None else []
        owned = (one for one in self._store.codes.owners(wanted) if campaign_of(one.campaign_id) == record.id)
        owners = [(one.code, one.campaign_id, one.run_date, one.place) for one in owned]
        return pl.DataFrame(owners, schema=schema, orient="row")

    def _rows(self, since: date | None) -> pl.DataFrame:
        """The delivered redemptions from the beginning of a day on."""
        published = self._published()
        rows = pl.LazyFrame(schema={"redeemed_at": pl.Datetime("us"), "code": pl.String, "offer": pl.String,
                                    "customer_id": pl.String, "cost": pl.Float64})  # fmt: skip
        if published is not None:
            rows = published.scan(TABLE, since=since).select(rows.collect_schema().names())
        if since is not None:
            rows = rows.filter(pl.col("redeemed_at") >= datetime.combine(since, time.min))
        return rows.collect(engine="streaming")
