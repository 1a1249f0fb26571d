"""What every text is made of: tables and their cells; and the tables of values that texts and pages show alike."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, tzinfo
from math import isinf
from typing import TYPE_CHECKING, Any, NamedTuple

from optinb.base.figures import NONE, amount, figure, share, times
from optinb.base.printable import printable_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from optinb.customers import CustomerCard, Migration
    from optinb.measure import (
        AllResults,
        CampaignReach,
        CampaignResult,
        CampaignUplift,
        DayEffect,
        Effect,
        NightFigures,
        Programme,
        ResultPart,
        TableCounts,
    )
    from optinb.segments import GroupHistory
    from optinb.segments.discovery import Discovery, Finding
    from optinb.segments.profile import Band, Difference, Profile
    from optinb.store import RunRecord
    from optinb.warehouse import ColumnDrift, ImportReport, TableReport

UNREAD = "Appboy wasn't asked yet what it counted; `optinb figures read` asks, and so does each night"
TOO_LATE = "Appboy was never asked what it counted, and it keeps its figures for 14 days"
_ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


class ShownTable(NamedTuple):
    """A table of a value, whose cells each face shows as it shows such values; the first names the row."""

    head: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    @property
    def text(self) -> str:
        """The table as text; nothing where it has no row."""
        return table(self.rows, head=self.head)

    def is_figures(self, column: int) -> bool:
        """Whether a column, by its place, has nothing but figures; days are none."""
        values = [row[column] for row in self.rows]
        return all(_is_figure(cell(value)) and not isinstance(value, date) for value in values)


class FindingRow(NamedTuple):
    """The figures of a group that was found, in words; `width` is its rate as a percentage of the highest one.

    `earlier` says whether it held on the earlier day, where there is one.
    """

    who: str
    customers: int
    share: str
    rate: str
    others: str
    lift: str
    low: str
    high: str
    captured: str
    width: float
    looked_at: int
    earlier: str


@contextmanager
def times_in(zone: tzinfo) -> Iterator[None]:
    """Tells times in a zone, the workspace's, meanwhile; in UTC otherwise."""
    token = _ZONE.set(zone)
    try:
        yield
    finally:
        _ZONE.reset(token)


def local_time(value: datetime) -> str:
    """A time as texts tell it: `2026-11-23 18:30 CET`."""
    return f"{value.astimezone(_ZONE.get()):%Y-%m-%d %H:%M %Z}"


def table(rows: Iterable[Iterable[object]], *, head: Sequence[str]) -> str:
    """Columns side by side; numbers to the right, with separators."""
    texts = [list(head), *([cell(value) for value in row] for row in rows)]
    if len(texts) == 1:
        return ""
    numeric = [all(_is_figure(row[i]) for row in texts[1:]) for i in range(len(head))]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    lines = [
        "  ".join(t.rjust(w) if n else t.ljust(w) for t, w, n in zip(row, widths, numeric, strict=True)).rstrip()
        for row in texts
    ]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def cell(value: object) -> str:
    """One value as a table shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return amount(value)
        case datetime():
            return local_time(value)
        case _:
            return printable_line(str(value))


def _is_figure(text: str) -> bool:
    bare = text.removeprefix("under ").replace(",", "").replace(".", "").replace("-", "")
    return bare.isdigit() or not text or text == NONE


def records(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns as a table."""
    return table((row.values() for row in rows), head=tuple(rows[0]))


def card_tables(card: CustomerCard[Any]) -> dict[str, ShownTable]:
    """The tables of a customer's card by what they tell; that of the months is a chart where one can be drawn."""
    facts = {"profile": card.profile, "so far": card.features, "expected": card.future}
    messages = [(m.night, m.answer.campaign, m.answer.outcome, m.answer.why) for m in card.messages]
    return {
        **{title: ShownTable((title, "value"), [*values.items()]) for title, values in facts.items()},
        "stages": ShownTable(
            ("stage", "first night", "last night"), [(s.stage, s.since, s.until) for s in card.stages]
        ),
        "months": ShownTable(
            ("month", "purchases", "spend"), [(f"{m.first:%Y-%m}", m.purchases, m.spend) for m in card.months[-12:]]
        ),
        "messages": ShownTable(("night", "campaign", "outcome", "because the customer …"), messages),
    }


def drift_table(drift: Sequence[ColumnDrift]) -> ShownTable:
    """What the columns of a delivery held before and hold now, what moved furthest first."""
    from optinb.warehouse import MEASURES, span, told_first
    from optinb.warehouse import figure as in_words

    rows = [
        (d.table, d.column, MEASURES[d.measure], in_words(d, d.before), in_words(d, d.now), span(d), d.verdict)
        for d in told_first(drift)
    ]
    return ShownTable(("table", "column", "figure", "before", "now", "limit", "verdict"), rows)


def imported_table(tables: Mapping[str, TableCounts | TableReport], *, named: str = "table") -> ShownTable:
    """What an import read, loaded and refused of each table."""
    from optinb.measure.pages import COUNTED

    rows = [(name, *(getattr(counts, head) for head in COUNTED)) for name, counts in tables.items()]
    return ShownTable((named, *COUNTED), rows)


def reach_table(lines: Sequence[CampaignReach]) -> ShownTable:
    """What Appboy counted of each campaign; customers first, then messages."""
    rows = [(line.campaign, line.accepted, *counted_words(line), "; ".join(_about_reach(line))) for line in lines]
    head = ("campaign", "accepted", "reached", "sent", "opened", "opened directly", "bounced", "note")
    return ShownTable(head, rows)


def counted_words(line: CampaignReach) -> tuple[int | str, ...]:
    """What Appboy counted of a campaign; dashes while nobody has asked it, since 0 would be a figure."""
    counted = (line.unique_recipients, line.sent, line.total_opens, line.direct_opens, line.bounces)
    return tuple(NONE if value is None else value for value in counted)


def _about_reach(line: CampaignReach) -> Iterator[str]:
    from optinb.base.figures import many

    if line.sent is None and line.accepted:
        yield UNREAD if line.can_be_read else TOO_LATE
        return
    if line.is_shared:
        yield "figures of the whole template, which other campaigns may share"
    if line.unread:
        yield f"{many(line.unread, 'day')} never read"
    if line.restated:
        yield f"{many(line.restated, 'figure')} restated"


def reach_days_table(night: NightFigures) -> ShownTable:
    """What Appboy counted on each day and platform, with what it said first of figures that it restated.

    Days on which it counted nothing are left out; those that it wasn't asked about are told apart.
    """
    names = ("sent", "total_opens", "direct_opens", "bounces")
    rows = [
        (row.day, row.platform, *(getattr(row, name) for name in names), _first(row.said_first))
        for row in night.by_platform
        if row.said_first or any(getattr(row, name) for name in names)
    ]
    return ShownTable(("day", "platform", "sent", "opened", "opened directly", "bounced", "said at first"), rows)


def _first(said: Mapping[str, int] | None) -> str:
    return ", ".join(f"{figure:,} {name.replace('_', ' ')}" for name, figure in (said or {}).items())


def by_table(report: ImportReport) -> dict[str, TableReport]:
    """What an import did with each table, by its name."""
    return {one.table: one for one in report.tables}


SHARES_OF_CUSTOMERS = ("response", "active", "event")
RESULT_FIGURES = {
    "response": "bought",
    "spend": "spent by each",
    "orders": "days with a purchase",
    "net_spend": "spent by each, less refunds",
    "order_value": "spent at each purchase",
    "orders_per_buyer": "days with a purchase of each buyer",
    "active": "active at the end",
    "event": "did the event",
}


def results_table(result: CampaignResult) -> ShownTable:
    """What each arm of a campaign brought of each figure, for each customer; shares differ by percentage points."""
    rows = []
    for arm in result.arms:
        for of, effect in arm.figures.items():
            name = f"did {result.event}" if of == "event" and result.event else RESULT_FIGURES[of]
            told = (*_told(of, effect), rise_words(effect))
            rows.append((arm.arm, name, effect.customers, effect.control_customers, *told))
    head = ("to", "figure", "customers", "held out", "with it", "without", "difference", "as a share")
    return ShownTable(head, rows)


def result_parts_tables(result: CampaignResult) -> dict[str, ShownTable]:
    """What a campaign brought by part, by what is said above each table; those without a row are left out."""
    from optinb.measure.breakdown import luck_words

    told = {
        "By the day on which customers first got it, or were held out": result.by_day,
        "Variants against each other": result.variants,
        f"By what was known before the send; exploratory: {luck_words(result.parts)}": result.parts,
    }
    head = ("by", "part", "customers", "against", "bought", "spent by each", "differs")
    return {title: ShownTable(head, [_part_row(part) for part in parts]) for title, parts in told.items() if parts}


def _part_row(part: ResultPart) -> tuple[object, ...]:
    bought, spent = part.bought, part.spent
    sizes = (bought.customers, bought.control_customers)
    words = (difference_words("response", bought), difference_words("spend", spent))
    return (part.by, part.part, *sizes, *words, "yes" if part.is_found else "not told")


def reached_lines(result: CampaignResult) -> list[str]:
    """Whom each arm's messages reached, and what they brought of these, a sentence each."""
    lines = []
    for arm in result.arms:
        reached, of = arm.reached, arm.on_reached("response")
        if reached is None:
            continue
        between = "" if reached.low == reached.high else f" ({share(reached.low)} to {share(reached.high)})"
        line = f"{arm.arm}: reached {share(reached.share)} of its customers{between}, by what Appboy says"
        if of is not None:
            estimate, low, high = (100 * one for one in of)
            more = f"{_no_minus_zero(f'{estimate:+.1f}')} points ({_points(low)} to {_points(high)})"
            line += f"; of those reached bought {more}, if it brought nothing of the others"
        lines.append(line)
    return lines


def difference_words(of: str, effect: Effect | DayEffect) -> str:
    """The difference of a figure with its interval: `+2.1 points (0.5 to 3.7)`, `-0.40 (-1.10 to 0.30)`."""
    if of not in SHARES_OF_CUSTOMERS:
        more = "+" if effect.estimate > 0 else ""
        return f"{more}{amount(effect.estimate)} ({amount(effect.low)} to {amount(effect.high)})"
    estimate, low, high = (100 * one for one in (effect.estimate, effect.low, effect.high))
    return f"{_no_minus_zero(f'{estimate:+.1f}')} points ({_points(low)} to {_points(high)})"


def rise_words(effect: Effect) -> str:
    """The same as a share of what they would have done without: `+12% (3 to 21%)`; a dash where there is none."""
    if effect.rise is None:
        return NONE
    estimate, low, high = (100 * one for one in (effect.rise.estimate, effect.rise.low, effect.rise.high))
    between = f"{_whole(low)}% or more" if isinf(high) else f"{_whole(low)} to {_whole(high)}%"
    return f"{_no_minus_zero(f'{estimate:+,.0f}')}% ({between})"


def _points(value: float) -> str:
    return figure(value) if isinf(value) else _no_minus_zero(f"{value:.1f}")


def _whole(value: float) -> str:
    return _no_minus_zero(f"{value:,.0f}")


def _no_minus_zero(text: str) -> str:
    return text if any(sign in "123456789" for sign in text) else text.lstrip("+-")


def programme_table(programme: Programme) -> ShownTable:
    """Each figure of everybody and of the lasting control group, for each person; shares in percent."""
    rows = [(RESULT_FIGURES[of], *_told(of, effect)) for of, effect in programme.figures.items()]
    return ShownTable(("for each person", "with campaigns", "without", "difference"), rows)


def parts_table(programme: Programme) -> ShownTable:
    """What each campaign of a programme added, and what is left of the whole."""
    from optinb.measure.programme import in_words

    rows: list[tuple[object, ...]] = []
    for part in programme.campaigns:
        if part.whole is None:
            rows.append((part.campaign, part.customers, NONE, NONE, NONE, part.problem))
            continue
        added = (in_words(part.whole.added("response")), in_words(part.whole.added("spend")))
        rows.append((part.campaign, part.customers, *added, share(programme.share_of(part), decimals=0), part.told()))
    if (other := programme.other()) is not None and rows:
        part_of_it = programme.other_share()
        words = f"{in_words((other, other, other)).partition(' ')[0]}"
        rows.append(("other or overlapping", "", "", words, share(part_of_it, decimals=0), ""))
    revenue = f"revenue added, {programme.currency}"
    return ShownTable(("campaign", "customers", "buyers added", revenue, "share", "told"), rows)


def _told(of: str, effect: Effect) -> tuple[str, str, str]:
    """The means of a figure with and without, and the difference with its interval."""
    form = share if of in SHARES_OF_CUSTOMERS else amount
    return form(effect.mean), form(effect.control_mean), difference_words(of, effect)


def uplift_table(found: CampaignUplift) -> ShownTable:
    """What writing to a part of the customers brings, by the ranking and at random, in buyers of 10,000."""
    from optinb.measure.campaign_uplift import SHOWN

    rows = []
    if found.qini is not None and found.qini.is_shown:
        for some in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0):
            gains = (SHOWN * found.qini.gain(some), SHOWN * found.qini.effect * some)
            rows.append((share(some, decimals=0), *(round(gain) for gain in gains)))
    return ShownTable(("written to", "buyers more by the ranking", "at random"), rows)


def all_results_table(found: AllResults) -> ShownTable:
    """Each campaign that went out, where its result stands, what to do, and how many bought more by it."""
    from optinb.measure.drawn_result import advice_word, buyers_words, state_words

    rows = [
        (one.campaign, state_words(one), advice_word(one)[0].lower(), one.assigned, one.held_out, buyers_words(one))
        for one in found.results
    ]
    return ShownTable(("campaign", "result", "advice", "customers", "held out", "brought"), rows)


def runs_table(runs: Sequence[RunRecord]) -> ShownTable:
    """The runs of nights."""
    rows = [
        (r.run_date, r.attempt, r.started_at, r.finished_at or "not finished", r.exit_code, r.started_by) for r in runs
    ]
    return ShownTable(("night", "attempt", "started", "finished", "exit", "by"), rows)


def finding_rows(found: Discovery, of: Sequence[Finding] | None = None) -> list[FindingRow]:
    """What was found, or one of it, with its figures: shares in percent, others as they are."""
    is_share = found.kind == "yes/no"
    highest = max((finding.rate for finding in found), default=0) or 1

    def told(value: float | None) -> str:
        return share(value) if is_share else figure(value)

    def signed(value: float) -> str:
        return f"{100 * value:+.1f}" if is_share else ("+" if value >= 0 else "−") + figure(abs(value))

    def earlier(finding: Finding) -> str:
        then = finding.earlier
        if then is None:
            return "not known"
        return f"{then.verdict}: {told(then.rate)} against {told(then.rate_outside)}"

    return [
        FindingRow(
            who=found.who(f),
            customers=f.size,
            share=share(f.share),
            rate=told(f.rate),
            others=told(f.rate_outside),
            lift="–" if f.lift is None else f"{f.lift:.1f}",
            low=signed(f.low),
            high=signed(f.high),
            captured=share(f.captured),
            width=100 * f.rate / highest,
            looked_at=f.size if f.looked_at is None else f.looked_at,
            earlier=earlier(f),
        )
        for f in (found if of is None else of)
    ]


def rate_of(found: Discovery) -> tuple[str, str]:
    """What the rate of a discovery is called, and that of all customers."""
    return ("rate", share(found.rate)) if found.kind == "yes/no" else ("average", figure(found.rate))


def strongest(found: Difference, of: Profile) -> Band:
    """The values of an attribute in which a group differs most from those whom it is compared with."""
    return max(found.bands, key=lambda band: abs(of.shares(band)[0] - of.shares(band)[1]))


def times_as_many(shares: tuple[float, float]) -> str:
    """How the share of a group compares with that of the others, in words."""
    return times(*shares)


def reasons_left_out(found: Discovery) -> dict[str, list[str]]:
    """By reason, the attributes that a discovery didn't look at."""
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(found.labels.get(name, name))
    return reasons


def moves(found: Migration) -> list[tuple[str, list[int]]]:
    """The moves between two nights: for each value of the first, how many went to each of these values."""
    from optinb.customers import STAGES

    values = found.values(STAGES)
    return [(before, [found.customers(before, after) for after in values]) for before in values]


def group_nights_table(history: GroupHistory) -> ShownTable:
    """The nights of a group, the newest first; columns in which nothing ever stood are left out."""
    nights = history.nights[::-1]
    stages = tuple(dict.fromkeys(stage for one in nights for stage in one.stages))
    counts = ("joined", "left", "merged", "forgotten")
    amounts = ("future value", "spend in 365 days", "value of joined", "value of left")
    head = ("night", "customers", "expected", *counts, *amounts, *stages)
    rows = [
        (
            one.night,
            one.size,
            f"{one.expected.low:,.0f} to {one.expected.high:,.0f}" if one.expected else None,
            *((one.joined, one.left) if one.before else (None, None)),
            *(count or None for count in (one.merged, one.forgotten)),
            *(
                None if value is None else round(value)
                for value in (one.value, one.spend, one.joined_value, one.left_value)
            ),
            *(share(one.share(stage)) for stage in stages),
        )
        for one in nights
    ]
    kept = [at for at in range(len(head)) if any(row[at] is not None for row in rows)]
    return ShownTable(tuple(head[at] for at in kept), [tuple(row[at] for at in kept) for row in rows])
