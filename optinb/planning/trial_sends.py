"""A campaign tried out: its message as one customer reads it, and a test send, at once and outside every figure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import msgspec
import numpy as np
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
    MESSAGES,
    REASONS,
    Campaign,
    Exclusion,
    campaign_from,
    checklist,
    personal,
    with_codes,
)
from optinb.engine.persons import Persons
from optinb.errors import AppboyError, CampaignError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from optinb.base.context import Context
    from optinb.campaigns import CampaignMessage
    from optinb.planning.resolved import Resolved, ResolvedMessage
    from optinb.segments.tables_view import TablesView
    from optinb.store.audit import AuditTrail

HOW = "test customers are those with is_test in the customers table"


NEEDED_BY_A_TEST = ("app_group", "template", "templates", "variants", "group")


class SampleMessage(Struct, frozen=True, kw_only=True):
    """The message as one customer will read it, on each of its platforms; `variant` is theirs, where there are some."""

    customer_id: str
    messages: tuple[RenderedMessage, ...]
    variant: str | None = None


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
        tables, campaign = self._tables.tables(), resolved.campaign
        customers = tables.customers.to_native().filter(pl.col("customer_id") == customer_id)
        person = customers.select("customer_id", "external_user_id").collect()
        if person.is_empty():
            raise CampaignError(f"{customer_id!r} is no customer of the published tables")
        persons = Persons(person, tables.identity())
        dealt = int(persons.dealt(np.zeros(1, np.uint32), salt=campaign.id, shares=campaign.shares)[0])
        mine = resolved.of_variant(list(campaign.shares)[dealt] if campaign.variants else None)
        row = _people(customers, campaign, mine[0].message).collect().to_dicts()[0]
        if row["property_missing"]:
            raise CampaignError(f"customer {customer_id!r} {REASONS['property_missing']}, and gets no message")
        return sample_message(mine, customer_id, row["properties"])

    def send(self, resolved: Resolved, *, customers: Collection[str] | None = None) -> SentTest:
        """Sends a campaign's messages to test customers now: all, or those named, but those who didn't opt in.

        Of every variant everybody gets each message, one request for each that is never repeated. They enter the audit
        trail, and no journal or figure. Raises CampaignError where nobody may get it, AppboyError with what to do where
        Appboy doesn't take one; those after it aren't sent then.
        """
        campaign, everybody = resolved.campaign, self._tables.tables().customers.to_native()
        sent: list[SampleMessage] = []
        skipped: dict[str, str] = {}
        errors: list[str] = []
        to_send: list[tuple[ResolvedMessage, pl.DataFrame]] = []
        for variant in dict.fromkeys(one.message.variant for one in resolved.messages):
            mine = resolved.of_variant(variant)
            rows = _with_reasons(_chosen(_people(everybody, campaign, mine[0].message), customers), everybody)
            skipped |= dict(rows.filter(pl.col("against").is_not_null()).select("customer_id", "against").iter_rows())
            rows = rows.filter(pl.col("against").is_null())
            to_send += [(one, rows) for one in mine if rows.height]
            sent += [sample_message(mine, *row) for row in rows.select("customer_id", "properties").iter_rows()]
        if not to_send:
            reasons = "; ".join(f"{customer_id!r} {why}" for customer_id, why in skipped.items())
            raise CampaignError(f"no test customer can get {campaign.name!r}: {reasons}")
        with AppboyClient(resolved.app_group, timeout_s=self._context.settings.send.timeout_s) as client:
            for one, rows in to_send:
                errors += self._sent(client, campaign, one, rows).errors
        return SentTest(
            campaign=campaign.name,
            app_group=resolved.app_group.name,
            template=resolved.template_names,
            at=self._context.now(),
            sent=tuple(sent),
            skipped=skipped,
            errors=tuple(errors),
        )

    def _sent(
        self, client: AppboyClient, campaign: Campaign, one: ResolvedMessage, rows: pl.DataFrame
    ) -> RequestAccepted:
        """Sends one message to some customers. Raises AppboyError unless it was accepted."""
        context = self._context
        request = SendRequest(
            one.template.id,
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
            **({"template": one.template.id} if campaign.is_of_several else {}),
        }
        # must precede the request: what may have been sent is in the trail, whatever happens next
        self._audit.note(action="test send asked for", now=context.now(), **note)
        outcome = client.send_now(request)
        self._audit.note(action="test send answered", now=context.now(), **note, outcome=repr(outcome))
        if not isinstance(outcome, RequestAccepted):
            _raise(campaign.name, outcome)
        return outcome


def _people(customers: pl.LazyFrame, campaign: Campaign, message: CampaignMessage) -> pl.LazyFrame:
    """Every customer with what a message would say to them, with an example of a code."""
    return personal(customers, properties=message.properties, offer=campaign.exampled)


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
    missing = [lack for lack in checklist(fields) if lack.field.partition(".")[0] in NEEDED_BY_A_TEST]
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


def holes_of(one: ResolvedMessage) -> dict[str, str]:
    """What stands in a preview where a text is still missing, so that nobody takes it for one that is empty."""
    needed = (needed.name for needed in needed_properties(one.template) if not needed.has_default)
    return {name: f"[{name}]" for name in needed if name not in one.message.properties}


def in_words(template: Template) -> tuple[RenderedMessage, ...]:
    """What a template says on each platform, with the name of each property in its place."""
    names = {one.name: f"[{one.name}]" for one in needed_properties(template)}
    return tuple(render(message, names) for message in template.messages)


def sample_message(messages: Sequence[ResolvedMessage], customer_id: str, properties: str) -> SampleMessage:
    """Some messages of one variant to a customer, whose trigger properties are a JSON object. Raises AppboyError."""
    given = msgspec.json.decode(properties)
    return SampleMessage(
        customer_id=customer_id,
        messages=tuple(
            render(text, {**holes_of(one), **given})
            for one in messages
            for text in one.template.messages
            if text.platform in one.platforms
        ),
        variant=messages[0].message.variant,
    )


def sample_messages(audience: pl.DataFrame, resolved: Resolved, *, count: int) -> tuple[SampleMessage, ...]:
    """The messages as some recipients of an audience will read them, of each variant, with an example of a code.

    They are the first ones; those who get every message of their variant come before others, so that each is seen.

    Args:
        audience: with AUDIENCE_SCHEMA and MESSAGES.
        resolved: its campaign.
        count: of customers; they are shared out among the variants.
    """
    campaign, found = resolved.campaign, list[SampleMessage]()
    variants = list(dict.fromkeys(one.message.variant for one in resolved.messages))
    for variant in variants:
        mine = resolved.of_variant(variant)
        bits = sum(1 << one.message.number for one in mine)
        is_theirs = (pl.col("outcome") == "recipient") & (pl.col(MESSAGES) & pl.lit(bits, pl.UInt32) != 0)
        theirs, some = audience.filter(is_theirs), -(-count // len(variants))
        gets_all = pl.col(MESSAGES) & pl.lit(bits, pl.UInt32) == bits
        rows = pl.concat([theirs.filter(gets_all).head(some), theirs.filter(~gets_all).head(some)]).head(some)
        rows = with_codes(rows, pl.Series([EXAMPLE_CODE] * rows.height), properties=campaign.code_properties)
        for customer_id, properties, gets in rows.select("customer_id", "properties", MESSAGES).iter_rows():
            their_own = [one for one in mine if gets & 1 << one.message.number]
            found.append(sample_message(their_own, customer_id, properties))
    return tuple(found)
