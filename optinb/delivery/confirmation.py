"""What became of each recipient of an accepted request, as values: what is asked, what is known, and what is concluded.

A row has the place of a recipient in the frozen audience, and names nobody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

import polars as pl
from msgspec import Struct

from optinb.appboy.template_rules import UNSTATED, TemplateRules
from optinb.appboy.vendor_filters import FILTER_WORDS, VENDOR_FILTERS, VendorFilter
from optinb.base.intervals import wilson
from optinb.base.settings import Platform
from optinb.campaigns.schedule import Clock
from optinb.delivery.request import CONSISTENT, last_moment_of

ArrivalStatus = Literal["confirmed", "filtered", "unconfirmed"]
LikelyFilter = VendorFilter | Literal["several"]
Evidence = Literal["received", "not_received", "untold", "nobody"]
AgainSeen = Literal["nothing", "sure", "shorter", "longer"]
"""What a night shows of re-eligibility, against what is stated of the template.

`nothing`: it neither bears it out nor speaks against it enough. `sure`: it bears it out. `shorter`: some got it again
sooner than is stated. `longer`: nobody got it again as soon as is stated.
"""
SEVERAL: Literal["several"] = "several"
UNEXPLAINED = "unexplained"
LIKELY_WORDS: dict[LikelyFilter | None, str] = {
    **FILTER_WORDS,
    "several": "more than one of Appboy's filters explains it, so that it can't be told which",
    None: "nothing that is known explains it, so that it can't be told why",
}
"""Why somebody didn't get a message, of them as subject or of the loss."""
ARRIVAL_STATUSES: tuple[ArrivalStatus, ...] = get_args(ArrivalStatus)
LIKELY_FILTERS: tuple[LikelyFilter, ...] = (*VENDOR_FILTERS, SEVERAL)
EVIDENCES: tuple[Evidence, ...] = get_args(Evidence)
LONGEST_WAIT = timedelta(hours=72)
"""How long Appboy holds a message back, for quiet hours or a speed limit, before it gives it up."""

_MOMENT = pl.Datetime("us", "UTC")
DIFFERENCE = 0.005
"""The share of what Appboy counts by which its figures of a night that is over still change."""
_Z_RARE = 3.29  # of an interval that leaves out one in a thousand

EVIDENCE = pl.Schema(
    {
        "place": pl.UInt32,
        "evidence": pl.Enum(EVIDENCES),
        "last_received": _MOMENT,
        "opened": pl.Boolean,
        "has_token": pl.Boolean,
        "other_received": _MOMENT,
        "time_zone": pl.String,
        "asked_at": _MOMENT,
    }
)
"""What Appboy's export told of each recipient who was asked about; null is what it didn't tell.

`received`: the template reached them at or after the night's time. `not_received`: Appboy names them, and it didn't.
`nobody`: Appboy says that it doesn't know the id. `untold`: neither, or the receipt may be one of a later night.
`last_received`: the last receipt of the template, of whatever night. `has_token`: on a platform of the template.
`other_received`: the last receipt of another template before this night; one that came again since isn't told.
"""

KNOWN = pl.Schema(
    {
        **EVIDENCE,
        "had_at": _MOMENT,
        "may_have_had": pl.Boolean,
        "in_vendor_control": pl.Boolean,
        "cap_full": pl.Boolean,
        "aborts": pl.Boolean,
    }
)
"""EVIDENCE with what optinb knew beforehand; null where it doesn't know.

`had_at`: the last receipt of the template before this night that Appboy confirmed; a request that it accepted is none.
`may_have_had`: whether an earlier night of the template went to them of which nobody knows whether it arrived.
`in_vendor_control`: whether the list of Appboy's control group names them. `cap_full`: whether a stated frequency cap
was full at the night's time. `aborts`: whether the template's text aborts with their properties.
"""

VERDICTS = pl.Schema(
    {
        "place": pl.UInt32,
        "status": pl.Enum(ARRIVAL_STATUSES),
        "filter": pl.Enum(LIKELY_FILTERS),
        "last_received": _MOMENT,
        "opened": pl.Boolean,
        "missed": pl.Enum((*LIKELY_FILTERS, UNEXPLAINED)),
    }
)
"""One row for each recipient who was asked about; places count as in the contact history.

`filter` is the likely one of those who were filtered; null there: nothing that is known explains it. `several`: more
than one does. `last_received` is that of this night where it is confirmed, else the last one before; `opened` is null
where it isn't confirmed. `missed`, of the unconfirmed: Appboy named them without the message when others of their time
zone had got theirs at once, and this filter explains that; or a filter explains it, and Appboy counts more customers
reached than it names. It is final once nothing can be late any more and Appboy's count bears it out, since a later
night of the template may hide by then what became of this one.
"""


_IS_UNTOLD = (pl.col("status") == "unconfirmed") & pl.col("missed").is_null()


class TemplateNight(Struct, frozen=True, kw_only=True):
    """What is known of a night of a template for all recipients alike.

    Attributes:
        template_id: in Appboy.
        send_at: in UTC; where the clock is each customer's own, the moment of the earliest time zone.
        now: when Appboy was asked, in UTC.
        clock: that of the campaign's schedule.
        rules: what somebody has stated of the template.
        platforms: those that the template has a message for.
        has_control_variation: whether Appboy holds back a control group of the template's own.
        may_abort: whether a text of the template can abort.
        until: when the same template went out again; None where it didn't.
        late_minutes: how long after its time a request may still have been posted.
        recipients: of the whole night, whether asked about or not.
        to_ask: how many of them are asked about in all, when all are asked.
        sent: how many customers Appboy counts whom this night's messages reached; None where it can't be told.
        bounced: how many messages of it Appboy says have bounced; their customers may be among `sent`.
        may_be_beside: how many of `sent` may be none of the recipients, since nobody knows whether Appboy took theirs.
        received_before: how many customers had got the template before this night at the most; None where nobody knows.
        time_zone: that of customers of whom Appboy has none.
    """

    template_id: str
    send_at: datetime
    now: datetime
    clock: Clock = "workspace"
    rules: TemplateRules = UNSTATED
    platforms: tuple[Platform, ...] = ()
    has_control_variation: bool = False
    may_abort: bool = False
    until: datetime | None = None
    late_minutes: int = 0
    recipients: int = 0
    to_ask: int = 0
    sent: int | None = None
    bounced: int = 0
    may_be_beside: int = 0
    received_before: int | None = None
    time_zone: str | None = None

    @property
    def unnamed(self) -> int:
        """How many of `sent` an export may not name though nothing is wrong."""
        return self.bounced + self.may_be_beside

    @property
    def last_moment(self) -> datetime:
        """The moment by which everybody's time has come, and every request was posted."""
        posted = self.send_at + timedelta(minutes=self.late_minutes)
        return max(last_moment_of(self.send_at, self.clock), posted)

    @property
    def final_at(self) -> datetime:
        """From when a message that hasn't arrived won't arrive any more.

        Where messages may wait it is a day later: nobody says whether a wait for quiet hours counts to the 72 hours.
        """
        longest = LONGEST_WAIT + timedelta(days=1) if self.rules.may_wait else LONGEST_WAIT
        return self.last_moment + longest + CONSISTENT


def lasting_verdicts(before: pl.DataFrame, now: pl.DataFrame, night: TemplateNight) -> pl.DataFrame:
    """The words that count after Appboy was asked again: the later one, unless it can't tell any more.

    Nobody is called filtered while Appboy itself counts more customers reached than it names: an export that leaves
    receipts out, a later night that hid them, or a wait that nobody has stated would make losses of messages that
    arrived.

    Args:
        before: what was said of some recipients (VERDICTS).
        now: what is said of some, the same ones or others (VERDICTS).
        night: what is known of it.

    Returns:
        One row (VERDICTS) for each recipient of either, by place. What was confirmed stays so, and whether it was
        opened is told anew; the filter that was named first stays, because a push token may be gone since.
    """
    both = before.join(now, on="place", how="full", coalesce=True, suffix=" now").sort("place")
    was, then = pl.col("status"), pl.col("status now")
    stays = (was == "confirmed") | then.is_null() | ((was == "filtered") & (then != "confirmed"))
    stays = stays.fill_null(False)
    chosen = {
        name: pl.when(stays).then(pl.col(name)).otherwise(pl.col(f"{name} now")) for name in VERDICTS if name != "place"
    }
    is_opened = pl.coalesce("opened now", "opened")
    chosen["opened"] = pl.when(stays & (was == "confirmed")).then(is_opened).otherwise(chosen["opened"])
    was_missed_by = pl.when(pl.col("missed") != UNEXPLAINED).then(pl.col("missed").cast(pl.String))
    first = pl.coalesce(pl.col("filter").cast(pl.String), was_missed_by, pl.col("filter now").cast(pl.String))
    is_filtered = stays & (was == "filtered") | (~stays & (then == "filtered").fill_null(False))
    chosen["filter"] = pl.when(is_filtered.fill_null(False)).then(first)
    chosen["missed"] = (
        pl.when(chosen["status"] == "unconfirmed").then(pl.coalesce("missed", "missed now")).otherwise(pl.lit(None))
    )
    found = _with_hidden(both.select("place", **chosen).cast(dict(VERDICTS)), night)  # type: ignore[arg-type]
    if counts_more_than_named(found, night) or _has_no_witness(found, night):
        is_filtered = pl.col("status") == "filtered"
        by = pl.col("filter").cast(pl.String).fill_null(UNEXPLAINED)
        return found.with_columns(
            status=pl.when(is_filtered).then(pl.lit("unconfirmed")).otherwise(pl.col("status").cast(pl.String)),
            missed=pl.when(is_filtered).then(by).otherwise(pl.col("missed").cast(pl.String)),
            filter=pl.lit(None),
        ).cast(dict(VERDICTS))  # type: ignore[arg-type]
    # a later night of the template may hide a receipt that was late: then Appboy's count alone tells that it wasn't
    is_borne_out = night.now >= night.final_at and _bears_out(found, night)
    is_over = pl.lit(is_borne_out) & pl.col("missed").is_not_null()
    by = pl.when(pl.col("missed") != UNEXPLAINED).then(pl.col("missed").cast(pl.String))
    return found.with_columns(
        status=pl.when(is_over).then(pl.lit("filtered")).otherwise(pl.col("status").cast(pl.String)),
        filter=pl.when(is_over).then(by).otherwise(pl.col("filter").cast(pl.String)),
        missed=pl.when(~is_over).then("missed"),
    ).cast(dict(VERDICTS))  # type: ignore[arg-type]


def counts_more_than_named(verdicts: pl.DataFrame, night: TemplateNight) -> bool:
    """Whether Appboy counts certainly more customers whom a night reached than it names, or than can be among them.

    Args:
        verdicts: what is said of those who were asked about (VERDICTS).
        night: what is known of it.

    Returns:
        False where it doesn't count, too; one in 200 more is taken for what counts always differ by.
    """
    asked = verdicts.height
    if night.sent is None or not asked or not night.recipients:
        return False
    still_to_ask = max(0, night.to_ask - asked)
    may_have = _confirmed(verdicts) + verdicts.filter(_IS_UNTOLD).height + still_to_ask
    asked += still_to_ask
    sent = (night.sent - night.unnamed) * (1 - DIFFERENCE)
    if asked >= night.recipients:
        return sent > may_have
    return sent / night.recipients > wilson(may_have / asked, asked, _Z_RARE)[1]


def _has_no_witness(verdicts: pl.DataFrame, night: TemplateNight) -> bool:
    """Whether Appboy names nobody whom a night reached, and doesn't count either: it may be another app group's."""
    return night.sent is None and verdicts.height > 1 and not _confirmed(verdicts)


def _with_hidden(verdicts: pl.DataFrame, night: TemplateNight) -> pl.DataFrame:
    """Verdicts in which those are confirmed whose receipt a later night hides, where this one reached everybody."""
    if night.sent is None or not night.recipients or night.sent - night.unnamed < night.recipients:
        return verdicts
    is_hidden = _IS_UNTOLD & (pl.col("last_received") >= night.send_at)
    return verdicts.with_columns(
        status=pl.when(is_hidden).then(pl.lit("confirmed")).otherwise(pl.col("status").cast(pl.String)),
        # when it came isn't told
        last_received=pl.when(~is_hidden).then("last_received"),
    ).cast(dict(VERDICTS))  # type: ignore[arg-type]


def _bears_out(verdicts: pl.DataFrame, night: TemplateNight) -> bool:
    """Whether Appboy's count leaves nobody over whom a night may have reached, of those whom a later one hides."""
    if night.sent is None:
        return False
    named = _confirmed(verdicts)
    if verdicts.height < night.recipients:
        return night.sent >= named
    untold = verdicts.filter(_IS_UNTOLD).height
    return named * (1 - DIFFERENCE) <= night.sent <= named + untold + night.unnamed


def _confirmed(verdicts: pl.DataFrame) -> int:
    return int((verdicts["status"].cast(pl.String) == "confirmed").sum())


class NightLosses(Struct, frozen=True, kw_only=True):
    """How many of those who were asked about got a night's message so far, and what explains the others.

    Attributes:
        got: those whom it reached.
        lost: those whom it didn't reach so far; nothing is said of those who are untold.
        waiting: how many of the lost may still get it, for all that is known.
        had_before: how many of the lost had got the template before.
        likely: the lost by likely filter; those whom none explains are left out.
        again: what the night shows of re-eligibility.
        again_after_s: seconds within which nobody got the template again; None where nobody got it again at all.
    """

    got: int = 0
    lost: int = 0
    waiting: int = 0
    had_before: int = 0
    likely: dict[LikelyFilter, int] = {}
    again: AgainSeen = "nothing"
    again_after_s: float | None = None

    @property
    def unexplained(self) -> int:
        """The lost whom no filter explains."""
        return self.lost - sum(self.likely.values())
