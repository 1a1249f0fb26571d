"""What campaigns taught, as attributes for rules: `uplift("Summer sale").top(30)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import polars as pl

from optinb.customers.scores import SCORES, PublishedScore, score_table, scores_of
from optinb.errors import UsageError, did_you_mean
from optinb.measure.campaign_uplift import UpliftModel
from optinb.rules import uplift_attribute

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from optinb.base.context import Context
    from optinb.measure.campaign_uplift import CampaignUplift
    from optinb.store.audit import AuditTrail
    from optinb.warehouse import Snapshot, Warehouse


class PublishedUplifts:
    """`ws.uplifts`: publish whom a campaign moves as an attribute for rules, list what is published, withdraw it.

    Each night scores its own customers by what was learned. What that is never changes unless somebody publishes it
    anew, and campaigns that ask for it have to be approved again then.
    """

    def __init__(
        self,
        context: Context,
        audit: AuditTrail,
        *,
        learn: Callable[[str], CampaignUplift],
        warehouse: Warehouse,
        published: Callable[[], Snapshot | None],
    ) -> None:
        """Args: `learn`: whom a campaign moves; `published`: the version that is read, None before any."""
        self._context, self._audit = context, audit
        self._learn, self._warehouse, self._published = learn, warehouse, published

    def list(self) -> tuple[PublishedScore, ...]:
        """What is published, by attribute."""
        published = self._published()
        return scores_of(published) if published is not None else ()

    def publish(self, campaign: str, *, wait_s: float = 0.0) -> PublishedScore:
        """Makes whom a campaign moves an attribute of customers, in the next version of the tables.

        Args:
            campaign: its name, without regard to case.
            wait_s: seconds to wait for an import or another publication to end.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            UsageError: when its ranking isn't better than chance, with what it would take; before the first model; and
                where the attribute's name is taken.
            OutdatedError: when something else was published meanwhile.
        """
        found, published = self._learn(campaign), self._published()
        if found.ranking is None or found.model is None or published is None or found.made_on is None:
            raise UsageError(f"whom {found.campaign!r} moves isn't published: {found.sentence()}")
        if published.model_date is None or not published.has("features"):
            raise UsageError("scores are published beside the customer models: run `optinb model` (ws.model()) first")
        score = PublishedScore(
            attribute=uplift_attribute(found.campaign),
            subject=found.campaign,
            meaning=_meaning(found, found.made_on),
            made_on=found.made_on,
            author=self._context.user,
            published_at=self._context.now(),
            body=msgspec.json.encode(found.model).decode(),  # in order: columns are known by their places
        )
        kept = {one.attribute: one for one in scores_of(published)}
        _check_name(score, published, kept.get(score.attribute))
        column = found.ranking.select("customer_id", pl.col("uplift").alias(score.attribute))
        features = published.table("features").drop(score.attribute, strict=False).collect()
        self._put(
            published,
            features.join(column, on="customer_id", how="left", maintain_order="left"),
            {**kept, score.attribute: score},
            wait_s=wait_s,
        )
        self._note("uplift published", score)
        return score

    def withdraw(self, campaign: str, *, wait_s: float = 0.0) -> PublishedScore:
        """Takes the attribute away again; rules that ask for it select nobody from then on, and say why.

        Args:
            campaign: its name, without regard to case.
            wait_s: seconds to wait for an import or another publication to end.

        Returns:
            what was withdrawn.

        Raises:
            UsageError: with the nearest name, for a campaign of which nothing is published.
            OutdatedError: when something else was published meanwhile.
        """
        published = self._published()
        kept = {one.attribute: one for one in self.list()}
        score = kept.pop(uplift_attribute(campaign), None)
        if score is None or published is None:
            near = did_you_mean(campaign, [one.subject for one in kept.values()])
            raise UsageError(f"no uplift of {campaign!r} is published{near}")
        self._put(published, published.table("features").drop(score.attribute).collect(), kept, wait_s=wait_s)
        self._note("uplift withdrawn", score)
        return score

    def _put(
        self, published: Snapshot, features: pl.DataFrame, kept: dict[str, PublishedScore], *, wait_s: float
    ) -> None:
        """Publishes the next version with these features and scores."""
        self._warehouse.publish(
            {"features": features, SCORES: score_table(kept.values())},
            model_date=published.model_date or published.import_date,
            made_from=published.version,
            now=self._context.now(),
            wait_s=wait_s,
        )

    def _note(self, action: str, score: PublishedScore) -> None:
        self._audit.note(
            who=self._context.user,
            action=action,
            subject=score.subject,
            now=self._context.now(),
            attribute=score.attribute,
            made_on=score.made_on.isoformat(),
            sha256=score.sha256,
        )


def scored_by(scores: tuple[PublishedScore, ...], customers: pl.LazyFrame, night: date) -> pl.DataFrame:
    """The published scores of customers on a night.

    Args:
        scores: what is published.
        customers: a row for each, with customer_id and whatever is known of them.
        night: the day on which it is known.

    Returns:
        a frame with customer_id (text), and a column for each score.
    """
    table = customers.select("customer_id").collect()
    for score in scores:
        model = msgspec.json.decode(score.body, type=UpliftModel)
        column = model.score(customers, night).rename({"uplift": score.attribute})
        table = table.join(column, on="customer_id", how="left", maintain_order="left")
    return table


def _check_name(score: PublishedScore, published: Snapshot, kept: PublishedScore | None) -> None:
    """Refuses an attribute that is something else already. Raises UsageError."""
    if score.attribute in published.schema("customers"):
        raise UsageError(
            f"the delivered customers have a column {score.attribute!r}, which nothing may hide; have it renamed in "
            "the delivery first"
        )
    if kept is not None and kept.subject != score.subject:
        raise UsageError(
            f"{score.attribute!r} is that of {kept.subject!r} already, whose name has the same letters and digits as "
            f"{score.subject!r}; withdraw it first: ws.uplifts.withdraw({kept.subject!r})"
        )


def _meaning(found: CampaignUplift, made_on: date) -> str:
    """What the attribute says, for people who choose by it."""
    return (
        f"The chance by which {found.campaign!r} raises a purchase in its window (0.02 is two more buyers of a hundred "
        f"customers), as learned on {made_on}. {found.learned_from()}. Who was held out says: {found.sentence()}."
    )
