"""Which of Appboy's filters kept a message from a recipient: what is stated, against what was seen. Pure.

One function for each filter says of every row whether it explains a loss: true, false, or null where it is at work and
that can't be told. None of them is at work unless somebody stated it, the template shows it, or the night does; what
nobody has stated is as Appboy sets it up by itself, a template once for each customer, ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
from msgspec import UNSET

from optinb.appboy.vendor_filters import VENDOR_FILTERS, VendorFilter
from optinb.campaigns.schedule import EARLIEST_ZONE
from optinb.delivery.confirmation import (
    KNOWN,
    LONGEST_WAIT,
    SEVERAL,
    UNEXPLAINED,
    VERDICTS,
    LikelyFilter,
    NightLosses,
    TemplateNight,
    lasting_verdicts,
)
from optinb.delivery.night_findings import NightFindings, findings_in, too_soon, with_promptness

if TYPE_CHECKING:
    from collections.abc import Callable

    from optinb.appboy.template_rules import VendorQuietHours

NEARLY = 0.8
"""Of fewer customers than this share of a limit, none was kept back by it."""
Explains = pl.Expr | None
"""Of each row: whether a filter explains its loss; None for a filter that isn't at work."""


def explain(rows: pl.DataFrame, night: TemplateNight, *, before: pl.DataFrame | None = None) -> pl.DataFrame:
    """What became of each recipient who was asked about, and the likely filter of those who were filtered.

    A filter is named where it alone explains the loss, or where it alone is left of those at work. A loss is final once
    nothing can arrive any more; before that only where a filter explains it that acts at once and that nobody doubts,
    because rules take a customer of whom it is said that nothing arrived for one who got nothing.

    Args:
        rows: all rows of the night (KNOWN), since one row is judged by the others, too; a column that is left out is
            one of nulls.
        night: what is known for all alike.
        before: what was said when Appboy was asked earlier (VERDICTS), where it was.

    Returns:
        A row (VERDICTS) for each, by place.
    """
    judged, seen = _judged(rows, night)
    is_sure = pl.any_horizontal(pl.lit(False), *(_sure(name, night, seen) for name in _names(judged)))
    is_nobody = (pl.col("evidence") == "nobody").all() & pl.lit(judged.height > 1)
    # one who knows nobody of a whole night is likely another app group's Appboy, and tells nothing of this one
    is_filtered = pl.col("is_lost") & (is_sure | pl.col("is_over")) & ~is_nobody
    is_confirmed = pl.col("evidence") == "received"
    found = judged.select(
        "place",
        status=pl.when(is_confirmed)
        .then(pl.lit("confirmed"))
        .when(is_filtered)
        .then(pl.lit("filtered"))
        .otherwise(pl.lit("unconfirmed")),
        filter=pl.when(is_filtered).then("likely"),
        last_received="last_received",
        opened=pl.when(is_confirmed).then("opened"),
        missed=pl.when(pl.col("is_lost") & (pl.col("is_prompt") | pl.col("is_calm")) & ~is_filtered).then(
            pl.col("likely").fill_null(UNEXPLAINED)
        ),
    ).cast(dict(VERDICTS))  # type: ignore[arg-type]
    nothing = pl.DataFrame(schema=VERDICTS)
    return lasting_verdicts(nothing if before is None else before, found, night)


def losses(rows: pl.DataFrame, night: TemplateNight) -> NightLosses:
    """How many got the message so far, and what explains that the others didn't, be it final or not.

    Args:
        rows: all rows of the night (KNOWN), or some of its columns.
        night: what is known for all alike.

    Returns:
        The counts, for an alarm.
    """
    judged, seen = _judged(rows, night)
    lost = judged.filter("is_lost")
    by = lost.group_by("likely", maintain_order=True).len()
    likely: dict[LikelyFilter, int] = {name: count for name, count in by.iter_rows() if name is not None}
    return NightLosses(
        got=seen.got,
        lost=lost.height,
        waiting=lost.filter(pl.col("likely").is_null(), ~pl.col("is_settled")).height,
        had_before=lost["had"].count(),
        likely=likely,
        again=seen.again.seen,
        again_after_s=seen.again.shortest_s,
    )


def _judged(rows: pl.DataFrame, night: TemplateNight) -> tuple[pl.DataFrame, NightFindings]:
    """The rows with what each filter says of them, and the `likely` one; and what they show together."""
    known = with_promptness(with_moments(rows, night), night.clock)
    known = known.with_columns(is_settled=pl.any_horizontal("is_prompt", "is_calm", "is_over"))
    others = [
        expr
        for name, rule in FILTER_RULES.items()
        if name != "re_eligibility" and (expr := rule(night, NightFindings())) is not None
    ]
    seen = findings_in(known.with_columns(other=pl.any_horizontal(pl.lit(False), *others)), night.rules)
    found: dict[VendorFilter, pl.Expr] = {
        name: expr for name, rule in FILTER_RULES.items() if (expr := rule(night, seen)) is not None
    }
    known = known.with_columns([expr.alias(_by(name).meta.output_name()) for name, expr in found.items()])
    known = known.with_columns(
        certain=pl.sum_horizontal(pl.lit(0), *(_by(name).fill_null(False).cast(pl.Int32) for name in found)),
        open=pl.sum_horizontal(pl.lit(0), *(_by(name).is_null().cast(pl.Int32) for name in found)),
    )
    nothing = pl.lit(None, pl.String)
    only = pl.coalesce(*(pl.when(_by(name).fill_null(False)).then(pl.lit(name)) for name in found), nothing)
    left = pl.coalesce(*(pl.when(_by(name).is_null()).then(pl.lit(name)) for name in found), nothing)
    beside = pl.col("open") if _often_open(known) else pl.lit(0)
    is_default = night.rules.again_after_s is UNSET and not seen.again_is_sure
    if seen.is_elsewhere and is_default and "re_eligibility" in found:
        # where most who never had it lost theirs, the usual setting isn't likelier than what takes it from those
        beside += _by("re_eligibility").fill_null(False).cast(pl.Int32)
    likely = (
        pl.when(pl.col("certain") == 0)
        .then(pl.when(pl.col("open") > 1).then(pl.lit(SEVERAL)).otherwise(left))
        .when(pl.col("certain") + beside == 1)
        .then(only)
        .otherwise(pl.lit(SEVERAL))
    )
    return known.with_columns(likely=pl.when("is_lost").then(likely)), seen


def _by(name: str) -> pl.Expr:
    return pl.col(f"by {name}")


def _names(judged: pl.DataFrame) -> list[VendorFilter]:
    """The filters that are at work in some rows."""
    return [name for name in VENDOR_FILTERS if f"by {name}" in judged]


def with_moments(rows: pl.DataFrame, night: TemplateNight) -> pl.DataFrame:
    """All of KNOWN's columns, and what follows from them.

    Args:
        rows: of KNOWN, or some of its columns.
        night: what is known for all alike.

    Returns:
        KNOWN with `is_lost`, `is_got`, whether it `is_over` because nothing can be late any more, whether the customer
        `is_asked` about anew rather than remembered, and in which `zone`; the last receipts before this night, `had` of
        the template and `any_received` of any; and `at_first` and `at_last`, between which the customer's time came.
    """
    known = rows.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in KNOWN.items() if name not in rows)
    known = known.select(KNOWN.names()).cast(dict(KNOWN))  # type: ignore[arg-type]
    moments = {zone: _moments(zone, night) for zone in (None, *known["time_zone"].drop_nulls().unique())}
    zone = pl.Series([*moments], dtype=pl.String)
    first, last = (pl.Series([*ends], dtype=KNOWN["asked_at"]) for ends in zip(*moments.values(), strict=True))
    before = pl.when(pl.col("last_received") < night.send_at).then("last_received")
    had = pl.coalesce(before, pl.when(pl.col("had_at") < night.send_at).then("had_at"))
    return known.with_columns(
        pl.col("asked_at").fill_null(night.now),
        is_asked=pl.col("asked_at").is_not_null(),
        # who is remembered of an earlier question speaks for no zone, since theirs isn't told any more
        zone=pl.when(pl.col("asked_at").is_not_null()).then(pl.col("time_zone").fill_null("")),
        is_got=pl.col("evidence") == "received",
        is_lost=pl.col("evidence").is_in(["not_received", "nobody"]),
        is_over=pl.col("asked_at").fill_null(night.now) >= night.final_at,
        had=had,
        any_received=pl.max_horizontal(had, "other_received"),
        at_first=pl.col("time_zone").replace_strict(zone, first, return_dtype=KNOWN["asked_at"]),
        at_last=pl.col("time_zone").replace_strict(zone, last, return_dtype=KNOWN["asked_at"]),
    )


def _moments(zone: str | None, night: TemplateNight) -> tuple[datetime, datetime]:
    """Between which moments the time of a customer in a zone comes."""
    match night.clock:
        case "workspace":
            return night.send_at, night.last_moment
        case "local" if (info := _zone(zone or night.time_zone)) is not None:
            wall = (night.send_at.astimezone(UTC) + EARLIEST_ZONE).replace(tzinfo=info)
            return wall.astimezone(UTC), wall.astimezone(UTC)
        case _:
            return night.send_at, night.last_moment


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return None


def _often_open(known: pl.DataFrame) -> bool:
    """Whether a filter of which it can't be told whom it hits hits every second customer whom no other explains."""
    left = known.filter(pl.col("is_lost"), pl.col("certain") == 0, pl.col("open") > 0).height
    return left > known["is_got"].sum()


def _sure(name: VendorFilter, night: TemplateNight, seen: NightFindings) -> pl.Expr:
    """Of each row whether its loss is final at once, because of a filter that isn't taken for a delay.

    Tokens count only where the export told anybody's and others of the time zone have theirs, and re-eligibility only
    where the night bears it out; neither where messages may wait, since a token may come meanwhile, and a first part
    that arrived looks like a window.
    """
    explained = _by(name).fill_null(False)
    match name:
        case "unknown_user":
            return explained
        case "global_control":
            return explained & ~_is_list_old()
        case _ if night.rules.may_wait:
            return pl.lit(False)
        case "no_push_token":
            return explained & pl.lit(seen.with_token > 0) & pl.col("is_settled")
        case "re_eligibility":
            return explained & pl.lit(seen.again_is_sure) & pl.col("is_prompt")
        case _:
            return pl.lit(False)


def _re_eligibility(night: TemplateNight, seen: NightFindings) -> Explains:
    return seen.again.explains(night.rules)


def _global_control(night: TemplateNight, seen: NightFindings) -> Explains:
    listed = pl.col("in_vendor_control").fill_null(False)  # without a list there is none, as Appboy sets it up
    return pl.when(listed & _is_list_old()).then(pl.lit(None, pl.Boolean)).otherwise(listed)


def _is_list_old() -> pl.Expr:
    """Whether the message reached somebody whom the list of the control group names, so that it is of another day."""
    return (pl.col("in_vendor_control").fill_null(False) & pl.col("is_got")).any()


def _frequency_cap(night: TemplateNight, seen: NightFindings) -> Explains:
    stated = pl.col("cap_full") if night.rules.caps else None
    shown = None if seen.cap_s is None else too_soon(seen.cap_s, "any_received")
    return shown if stated is None else stated if shown is None else stated | shown


def _max_users(night: TemplateNight, seen: NightFindings) -> Explains:
    most = night.rules.max_users
    if most is UNSET or most is None:
        return None
    if night.received_before is not None:
        by = night.recipients if night.sent is None else min(night.recipients, night.sent + night.unnamed)
        # Appboy counts some to the limit who are in no figure, such as one whose text aborted
        is_far = by + night.received_before < most * NEARLY
        if is_far or night.recipients + night.received_before <= most:
            return pl.lit(False)
    return pl.lit(None, pl.Boolean)


def _quiet_hours(night: TemplateNight, seen: NightFindings) -> Explains:
    hours = night.rules.quiet_hours
    if hours is UNSET or hours is None or hours.then != "drop":
        return None
    return pl.struct("time_zone", "at_first", "at_last").map_batches(
        lambda column: _quiet(column, hours, night), return_dtype=pl.Boolean
    )


def _quiet(column: pl.Series, hours: VendorQuietHours, night: TemplateNight) -> pl.Series:
    found = column.struct.unnest().unique()
    told = [
        None
        if first != last or (info := _zone(zone or night.time_zone)) is None
        else _within(first.astimezone(info), hours)
        for zone, first, last in found.iter_rows()
    ]
    answers = found.with_columns(quiet=pl.Series(told, dtype=pl.Boolean))
    joined = column.struct.unnest().join(answers, on=found.columns, how="left", nulls_equal=True, maintain_order="left")
    return joined["quiet"]


def _within(local: datetime, hours: VendorQuietHours) -> bool:
    now = local.time()
    if hours.start > hours.end:
        return now >= hours.start or now < hours.end
    return hours.start <= now < hours.end


def _speed_limit(night: TemplateNight, seen: NightFindings) -> Explains:
    limit = night.rules.messages_a_minute
    if limit is UNSET or limit is None:
        return None
    if night.recipients <= limit * (LONGEST_WAIT // timedelta(minutes=1)):
        return pl.lit(False)
    return pl.lit(None, pl.Boolean)


def _segment(night: TemplateNight, seen: NightFindings) -> Explains:
    segment = night.rules.segment
    return None if segment is UNSET or segment is None else _unless_had()


def _control_variation(night: TemplateNight, seen: NightFindings) -> Explains:
    return _unless_had() if night.has_control_variation else None


def _unless_had() -> pl.Expr:
    # whoever has had the template was within its segment, and not in its control variation
    return pl.when(pl.col("had").is_not_null() | (pl.col("evidence") == "nobody")).then(pl.lit(False))


def _liquid_abort(night: TemplateNight, seen: NightFindings) -> Explains:
    return pl.col("aborts") if night.may_abort else None


def _no_push_token(night: TemplateNight, seen: NightFindings) -> Explains:
    return None if seen.tokens_are_untold else (~pl.col("has_token")).fill_null(False)


def _unknown_user(night: TemplateNight, seen: NightFindings) -> Explains:
    return pl.col("evidence") == "nobody"


FILTER_RULES: dict[VendorFilter, Callable[[TemplateNight, NightFindings], Explains]] = {
    "re_eligibility": _re_eligibility,
    "global_control": _global_control,
    "frequency_cap": _frequency_cap,
    "max_users": _max_users,
    "quiet_hours": _quiet_hours,
    "speed_limit": _speed_limit,
    "segment": _segment,
    "control_variation": _control_variation,
    "liquid_abort": _liquid_abort,
    "no_push_token": _no_push_token,
    "unknown_user": _unknown_user,
}
