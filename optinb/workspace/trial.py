"""A test send: a campaign's message to test customers, at once, and outside every figure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import msgspec
import polars as pl
from msgspec import Struct

from optinb.appboy import (
    MAX_RECIPIENTS,
    Accepted,
    AppboyClient,
    Later,
    Outcome,
    Recipient,
    Refused,
    SendRequest,
    Stopped,
    Unknown,
)
from optinb.campaigns import REASONS, personal
from optinb.errors import AppboyError, CampaignError
from optinb.workspace.samples import SampleMessage, sample_message

if TYPE_CHECKING:
    from collections.abc import Collection

    from optinb.workspace.handle import Workspace
    from optinb.workspace.resolved import Resolved

HOW = "test customers are those with is_test in the customers table"


class SentTest(Struct, frozen=True, kw_only=True):
    """A test send that Appboy has accepted: who gets which text, and who of those asked for doesn't, with why."""

    campaign: str
    app_group: str
    template: str
    at: datetime
    sent: tuple[SampleMessage, ...]
    skipped: dict[str, str]
    errors: tuple[str, ...] = ()


def send_test(ws: Workspace, resolved: Resolved, *, customers: Collection[str] | None = None) -> SentTest:
    """Sends a campaign's message to test customers now: all of them, or those named, but those who didn't opt in.

    One request that is never repeated. It enters the audit trail, and no journal or figure. Raises CampaignError where
    nobody may get it, AppboyError with what to do where Appboy doesn't take it.
    """
    campaign = resolved.campaign
    everybody = ws.tables().customers.to_native()
    people = personal(everybody, properties=campaign.properties, offer=campaign.exampled)
    rows = _with_reasons(chosen(people, customers), everybody)
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
        "who": ws.user,
        "subject": campaign.id,
        "campaign": campaign.name,
        "customers": rows["customer_id"].to_list(),
    }
    # must precede the request: what may have been sent is in the trail, whatever happens next
    ws.store.audit.note(action="test send asked for", now=ws.now(), **note)
    with AppboyClient(resolved.app_group, timeout_s=ws.settings.send.timeout_s) as client:
        outcome = client.send_now(request)
    ws.store.audit.note(action="test send answered", now=ws.now(), **note, outcome=repr(outcome))
    if not isinstance(outcome, Accepted):
        _raise(campaign.name, outcome)
    return SentTest(
        campaign=campaign.name,
        app_group=resolved.app_group.name,
        template=resolved.template.name,
        at=ws.now(),
        sent=tuple(
            sample_message(resolved.template, *row) for row in rows.select("customer_id", "properties").iter_rows()
        ),
        skipped=skipped,
        errors=outcome.errors,
    )


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
    reasons = [("no_external_id", pl.col("external_user_id") == "")]
    reasons += [(name, pl.col(name)) for name in ("blocked", "opted_out", "property_missing")]
    against = pl.coalesce(pl.when(holds).then(pl.lit(REASONS[name])) for name, holds in reasons)
    return rows.join(said.collect(), on="external_user_id", how="left").with_columns(against=against)


def chosen(people: pl.LazyFrame, customers: Collection[str] | None) -> pl.DataFrame:
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
        case Refused(message=message):
            raise AppboyError(f"{start} was refused by Appboy: {message}")
        case Later(wait_s=wait, message=message):
            when = f"in {wait:.0f} seconds" if wait else "in a moment"
            raise AppboyError(f"{start} was not sent: {message}; try again {when}")
        case Unknown(message=message):
            raise AppboyError(f"{start} may have been sent: {message}; look at the phone before you repeat it")
        case Accepted():
            raise AssertionError("an acceptance is no failure")
