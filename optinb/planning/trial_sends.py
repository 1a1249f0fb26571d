"""A campaign tried out: its message as one customer reads it, and a test send, at once and outside every figure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import msgspec
import polars as pl
from msgspec import Struct

from optinb.appboy import (
    MAX_RECIPIENTS,
    AppboyClient,
    Outcome,
    Recipient,
    RenderedMessage,
    RequestAccepted,
    RequestLater,
    RequestRefused,
    RequestUnknown,
    SendRequest,
    Stopped,
    Template,
    needed_properties,
    render,
)
from optinb.campaigns import (
    EXAMPLE_CODE,
    REASONS,
    Campaign,
    Exclusion,
    campaign_from,
    checklist,
    personal,
    with_codes,
)
from optinb.errors import AppboyError, CampaignError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from optinb.base.context import Context
    from optinb.planning.resolved import Resolved
    from optinb.segments.tables_view import TablesView
    from optinb.store.audit import AuditTrail

HOW = "test customers are those with is_test in the customers table"


class SampleMessage(Struct, frozen=True, kw_only=True):
    """The message as one customer will read it, on each platform of the template."""

    customer_id: str
    messages: tuple[RenderedMessage, ...]


class SentTest(Struct, frozen=True, kw_only=True):
    """A test send that Appboy has accepted.

    Attributes:
        campaign: its name.
        app_group: the name of the app group that it was sent in.
        template: the name of the template.
        at: when it was sent, in UTC.
        sent: who gets which text.
        skipped: who of those asked for doesn't get it, with the reason.
        errors: what Appboy remarked on beside accepting it.
    """

    campaign: str
    app_group: str
    template: str
    at: datetime
    sent: tuple[SampleMessage, ...]
    skipped: dict[str, str]
    errors: tuple[str, ...] = ()


class Trials:
    """Tries campaigns out on single customers."""

    def __init__(self, context: Context, tables: TablesView, audit: AuditTrail) -> None:
        self._context, self._tables, self._audit = context, tables, audit

    def message(self, resolved: Resolved, customer_id: str) -> SampleMessage:
        """What one customer, in the audience or not, would read of a campaign; see `Campaigns.message`."""
        people = _people(self._customers(), resolved.campaign)
        rows = people.filter(pl.col("customer_id") == customer_id).collect().to_dicts()
        if not rows:
            raise CampaignError(f"{customer_id!r} is no customer of the published tables")
        if rows[0]["property_missing"]:
            raise CampaignError(f"customer {customer_id!r} {REASONS['property_missing']}, and gets no message")
        return sample_message(
            resolved.template, customer_id, rows[0]["properties"], holes=holes_of(resolved.campaign, resolved.template)
        )

    def send(self, resolved: Resolved, *, customers: Collection[str] | None = None) -> SentTest:
        """Sends a campaign's message to test customers now: all, or those named, but those who didn't opt in.

        One request that is never repeated. It enters the audit trail, and no journal or figure. Raises CampaignError
        where nobody may get it, AppboyError with what to do where Appboy doesn't take it.
        """
        campaign, context, everybody = resolved.campaign, self._context, self._customers()
        rows = _with_reasons(_chosen(_people(everybody, campaign), customers), everybody)
        skipped = dict(rows.filter(pl.col("against").is_not_null()).select("customer_id", "against").iter_rows())
        rows = rows.filter(pl.col("against").is_null())
        if rows.is_empty():
            reasons = "; ".join(f"{customer_id!r} {why}" for customer_id, why in skipped.items())
            raise CampaignError(f"no test customer can get {campaign.name!r}: {reasons}")
        request = SendRequest(
            resolved.template.id,
            tuple(
                Recipient(external_id, msgspec.json.decode(properties))
                for external_id, properties in rows.select("external_user_id", "properties").iter_rows()
            ),
        )
        note = {
            "who": context.user,
            "subject": campaign.id,
            "campaign": campaign.name,
            "customers": rows["customer_id"].to_list(),
        }
        # must precede the request: what may have been sent is in the trail, whatever happens next
        self._audit.note(action="test send asked for", now=context.now(), **note)
        with AppboyClient(resolved.app_group, timeout_s=context.settings.send.timeout_s) as client:
            outcome = client.send_now(request)
        self._audit.note(action="test send answered", now=context.now(), **note, outcome=repr(outcome))
        if not isinstance(outcome, RequestAccepted):
            _raise(campaign.name, outcome)
        return SentTest(
            campaign=campaign.name,
            app_group=resolved.app_group.name,
            template=resolved.template.name,
            at=context.now(),
            sent=tuple(
                sample_message(resolved.template, *row) for row in rows.select("customer_id", "properties").iter_rows()
            ),
            skipped=skipped,
            errors=outcome.errors,
        )

    def _customers(self) -> pl.LazyFrame:
        return self._tables.tables().customers.to_native()


def _people(customers: pl.LazyFrame, campaign: Campaign) -> pl.LazyFrame:
    """Every customer with what the message would say to them, with an example of a code."""
    return personal(customers, properties=campaign.properties, offer=campaign.exampled)


def _with_reasons(rows: pl.DataFrame, everybody: pl.LazyFrame) -> pl.DataFrame:
    """The same rows with what is `against` a message, null where nothing is; what isn't known permits nothing.

    Appboy knows people by their external user id, so that a no of anybody who shares one counts.
    """
    said = everybody.select(
        pl.col("external_user_id").fill_null(""),
        blocked=pl.col("is_blocked").fill_null(True),
        opted_out=~pl.col("push_opt_in").fill_null(False),
    )
    said = said.join(rows.lazy(), on="external_user_id", how="semi").group_by("external_user_id").agg(pl.all().any())
    reasons: dict[Exclusion, pl.Expr] = {
        "no_external_id": pl.col("external_user_id") == "",
        "blocked": pl.col("blocked"),
        "opted_out": pl.col("opted_out"),
        "property_missing": pl.col("property_missing"),
    }
    against = pl.coalesce(pl.when(holds).then(pl.lit(REASONS[name])) for name, holds in reasons.items())
    return rows.join(said.collect(), on="external_user_id", how="left").with_columns(against=against)


def _chosen(people: pl.LazyFrame, customers: Collection[str] | None) -> pl.DataFrame:
    """The test customers to send to, as in `personal`. Raises CampaignError, also for more than one request takes."""
    if customers is None:
        rows = people.filter("is_test").sort("customer_id").head(MAX_RECIPIENTS + 1).collect()
        if rows.is_empty():
            raise CampaignError(f"there is no test customer to send to; {HOW}")
    else:
        wanted = list(dict.fromkeys(customers))
        rows = people.filter(pl.col("customer_id").is_in(wanted)).sort("customer_id").collect()
        unknown = sorted(set(wanted) - set(rows["customer_id"]))
        if unknown:
            raise CampaignError(f"{unknown[0]!r} is no customer of the published tables")
        others = rows.filter(~pl.col("is_test"))["customer_id"].to_list()
        if others:
            raise CampaignError(f"{others[0]!r} is no test customer and gets no test send; {HOW}")
    external_id = pl.col("external_user_id")
    rows = rows.filter((external_id == "") | external_id.is_first_distinct())
    if rows.height > MAX_RECIPIENTS:
        raise CampaignError(
            f"there are more than {MAX_RECIPIENTS} test customers, and a test send goes to {MAX_RECIPIENTS} at most; "
            "name those who are to get it"
        )
    return rows


def _raise(name: str, outcome: Outcome) -> NoReturn:
    """The sentence for an outcome that isn't an acceptance."""
    start = f"the test send of {name!r}"
    match outcome:
        case Stopped(message=message, advice=advice):
            raise AppboyError(f"{start} was not sent: {message}; {advice}")
        case RequestRefused(message=message):
            raise AppboyError(f"{start} was refused by Appboy: {message}")
        case RequestLater(wait_s=wait, message=message):
            when = f"in {wait:.0f} seconds" if wait else "in a moment"
            raise AppboyError(f"{start} was not sent: {message}; try again {when}")
        case RequestUnknown(message=message):
            raise AppboyError(f"{start} may have been sent: {message}; look at the phone before you repeat it")
        case RequestAccepted():
            raise AssertionError("an acceptance is no failure")


def for_trial(fields: Mapping[str, Any]) -> Campaign:
    """A campaign in the making, as far as a test send needs it: its name and time may still be missing.

    Raises CampaignError for one whose message can't be made yet.
    """
    missing = [lack for lack in checklist(fields) if lack.field.partition(".")[0] in ("app_group", "template", "group")]
    if missing:
        raise CampaignError(
            f"a test send needs {' and '.join(lack.words for lack in missing)}; choose that first",
            field=missing[0].field,
        )
    filled = {**fields, "name": fields.get("name") or "A campaign without a name"}
    try:
        return campaign_from(filled)
    except CampaignError as error:
        if not error.field.startswith("schedule"):
            raise
    return campaign_from({**filled, "schedule": {"every": "day", "at": "12:00"}})


def holes_of(campaign: Campaign, template: Template) -> dict[str, str]:
    """What stands in a preview where a text is still missing, so that nobody takes it for one that is empty."""
    needed = (one.name for one in needed_properties(template) if not one.has_default)
    return {name: f"[{name}]" for name in needed if name not in campaign.properties}


def sample_message(
    template: Template, customer_id: str, properties: str, *, holes: Mapping[str, str] = {}
) -> SampleMessage:
    """A template's message to a customer, whose trigger properties are a JSON object. Raises AppboyError.

    `holes` are texts that stand for properties that aren't given.
    """
    given = {**holes, **msgspec.json.decode(properties)}
    return SampleMessage(customer_id=customer_id, messages=tuple(render(m, given) for m in template.messages))


def sample_messages(
    audience: pl.DataFrame, template: Template, campaign: Campaign, *, count: int
) -> tuple[SampleMessage, ...]:
    """The message as the first recipients of an audience will read it, with an example of a code."""
    rows = audience.filter(pl.col("outcome") == "recipient").head(count)
    rows = with_codes(rows, pl.Series([EXAMPLE_CODE] * rows.height), properties=campaign.code_properties)
    holes = holes_of(campaign, template)
    return tuple(
        sample_message(template, *row, holes=holes) for row in rows.select("customer_id", "properties").iter_rows()
    )
