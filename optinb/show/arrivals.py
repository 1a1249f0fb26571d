"""What Appboy says of messages that it accepted, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.base.figures import many
from optinb.show.tables import ShownTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.delivery import ConfirmedNight, ConfirmedNights
    from optinb.delivery.confirmed_nights import CodesGivenBack


def confirmed_table(nights: Iterable[ConfirmedNight]) -> ShownTable:
    """From accepted to confirmed, a row for each campaign and night."""
    from optinb.measure.arrivals import ARRIVAL_HEAD, arrival_rows

    return ShownTable(ARRIVAL_HEAD, arrival_rows(nights))


def confirmed_text(value: ConfirmedNights) -> str:
    """What became of the messages of earlier nights, alarms first."""
    if not value.nights:
        return "nothing was sent in the last two weeks that Appboy could be asked about yet"
    lines = [f"! {alarm}" for alarm in value.alarms]
    lines += [f"! {problem}" for problem in value.problems]
    lines += [f"over: {alarm}" for alarm in value.past_alarms]
    known = any(night.counts is not None for night in value.nights)
    lines += arrival_lines(value.nights) if known else ["Appboy has not said anything yet of what it accepted"]
    lines += [f"note: {note}" for note in (*value.notes, *value.night_notes)]
    return "\n".join(lines)


def given_back_text(value: CodesGivenBack) -> str:
    """How many promotion codes are free again, or why none is."""
    of = f"{value.campaign!r}, night of {value.run_date}"
    if not value.filtered:
        return f"no promotion code goes back to the pool {value.pool!r}: Appboy filtered no message of {of}"
    if value.codes:
        went = "promotion code" if value.before == 0 else "more promotion code"
        already = f"; {value.before:,} had gone back before" if value.before else ""
        return (
            f"{many(value.codes, went)} went back to the pool {value.pool!r}: Appboy filtered {value.filtered:,} "
            f"messages of {of}{already}"
        )
    if value.before:
        return (
            f"nothing is left to give back of {of}: its {many(value.before, 'code')} went back to {value.pool!r} before"
        )
    return f"no promotion code goes back to the pool {value.pool!r}: the filtered messages of {of} have none any more"


def arrival_lines(nights: Iterable[ConfirmedNight]) -> list[str]:
    """The table of nights, and who was filtered by what."""
    from optinb.measure.arrivals import lost_words

    nights = tuple(nights)
    text = confirmed_table(nights).text
    return [*([text] if text else []), *(f"filtered: {words}" for words in lost_words(nights))]
