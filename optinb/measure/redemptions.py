"""Redemptions of a workspace: of each campaign who redeemed its offer, by what is delivered and the journal."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from optinb.campaigns import EarlierShare, Offer, campaign_of
from optinb.delivery.contact_status import COUNTING
from optinb.errors import OptinbError
from optinb.measure.redeemed import GIVEN, REDEEMED, TOLD, CampaignRedemptions, by_night, redeemed, told_by_purchases
from optinb.warehouse.contract import REDEMPTIONS, TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optinb.base.context import Context
    from optinb.campaigns import CampaignRecord
    from optinb.delivery import ContactHistory, FrozenAudience
    from optinb.delivery.journal import Store
    from optinb.warehouse import Snapshot
    from optinb.warehouse.report import TableReport

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

    def given(self, campaign: str) -> pl.DataFrame:
        """Who got the offer of a campaign.

        Args:
            campaign: its name, without regard to case.

        Returns:
            a frame with night, since (when it was sent, UTC) and customer_id, the newest night first.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        record = self._store.campaigns.get(campaign)
        nights = self._store.deliveries.list(campaign_id=record.id, having=BEGUN) if self._offer(record) else ()
        return self._given(record, nights, pl.DataFrame(schema=TOLD)).select("night", "since", "customer_id")

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
        deliveries, published = self._store.deliveries, self._published()
        sent = {r.id: (r, deliveries.list(campaign_id=r.id, having=BEGUN)) for r in self._giving(offer)}
        rows = self._rows(min((night.run_date for _, nights in sent.values() for night in nights), default=None))
        given = pl.concat([pl.DataFrame(schema=GIVEN), *(self._given(r, nights, rows) for r, nights in sent.values())])
        persons = published.table("persons") if published is not None and published.has("persons") else None
        known = dict(persons.select("customer_id", "person_id").collect().iter_rows()) if persons is not None else {}
        return given, redeemed(rows, given, offer=offer.name, persons=known)

    def _offer(self, record: CampaignRecord) -> Offer | None:
        """What a campaign offers: as it was approved last, else its own, or the saved one as it is now."""
        approval = record.approval or self._store.campaigns.newest_approval(record.id)
        if approval is not None:
            with suppress(msgspec.MsgspecError, KeyError):
                return msgspec.json.decode(approval.parts["offer"], type=Offer | None)
        saved = self._store.offers.find(record.campaign.saved_offer) if record.campaign.saved_offer else None
        return saved.offer if saved else record.campaign.own_offer

    def _until(self) -> date | None:
        """The newest delivery that brought redemptions, or purchases with their codes."""
        published = self._published()
        deliveries = published.contents.deliveries if published is not None else ()
        return max((d.run_date for d in deliveries if any(map(_tells, d.report.brought))), default=None)

    def _given(self, record: CampaignRecord, nights: Sequence[FrozenAudience], told: pl.DataFrame) -> pl.DataFrame:
        """Who got the offer of a campaign, with GIVEN; codes only of those that are `told` (TOLD).

        Whoever got it on two phones in a night got one offer.
        """
        offer = self._offer(record)
        cost = pl.lit(offer.cost_of_one if offer else None, dtype=GIVEN["cost_of_one"])
        value = offer.value if offer and offer.codes is None else None
        shared = pl.lit(value if isinstance(value, str) else None, dtype=GIVEN["shared"])
        parts = [pl.DataFrame(schema=GIVEN)]
        codes = self._codes(record, told["code"])
        for audience in nights:
            rows = self._contacts.rows(audience, ("customer_id", "role", "status", "place"))
            got = rows.filter(pl.col("role") == "recipient", pl.col("status").is_in(COUNTING))
            since = audience.send_at.astimezone(UTC).replace(tzinfo=None)
            is_mine = (pl.col("night") == audience.run_date) & (pl.col("message") == audience.campaign_id)
            mine = codes.filter(is_mine).select("place", "code")
            parts.append(
                got.join(mine, on="place", how="left").select(
                    campaign_id=pl.lit(record.id), night=pl.lit(audience.run_date),
                    since=pl.lit(since, dtype=GIVEN["since"]), customer_id="customer_id", code="code", shared=shared,
                    cost_of_one=cost,
                )
            )  # fmt: skip
        return pl.concat(parts).unique(["night", "customer_id"], keep="first", maintain_order=True)

    def _codes(self, record: CampaignRecord, told: pl.Series) -> pl.DataFrame:
        """Which of some codes are a campaign's: their message and night, and the place of whose it is."""
        schema = {"code": pl.String, "message": pl.String, "night": pl.Date, "place": pl.UInt32}
        wanted = told.drop_nulls().unique().to_list()
        owned = (one for one in self._store.codes.owners(wanted) if campaign_of(one.campaign_id) == record.id)
        owners = [(one.code, one.campaign_id, one.run_date, one.place) for one in owned]
        return pl.DataFrame(owners, schema=schema, orient="row")

    def _rows(self, since: date | None) -> pl.DataFrame:
        """What is said to have been redeemed from the beginning of a day on, with TOLD."""
        published = self._published()
        if published is None or since is None:
            return pl.DataFrame(schema=TOLD)
        told = published.scan(REDEMPTIONS.name, since=since).with_columns(id="redemption_id", bought=pl.lit(False))
        parts = [told.select(TOLD.names())]
        reports = (t for d in published.contents.deliveries for t in d.report.brought)
        if any(_tells(report) for report in reports if report.table == TRANSACTIONS.name):
            parts.append(told_by_purchases(published.scan(TRANSACTIONS.name, since=since)))
        rows = pl.concat(parts).filter(pl.col("redeemed_at") >= datetime.combine(since, time.min))
        return rows.collect(engine="streaming")


def _tells(report: TableReport) -> bool:
    """Whether a delivered table tells of redemptions: that of them, or transactions whose promotion codes come."""
    if report.table == TRANSACTIONS.name:
        return "promo_code" in (*report.columns, *report.figures)
    return report.table == REDEMPTIONS.name
