"""The report of a night: one HTML page that stands alone, to be read in two minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import told_by_group
from optinb.base.figures import day, many
from optinb.errors import Exit
from optinb.measure.arrivals import arrival_rows, lost_words
from optinb.measure.charts import chances, pauses
from optinb.measure.pages import render_page

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from optinb.customers import CustomerModel
    from optinb.measure.result import CampaignResult
    from optinb.measure.summary import CampaignSummary, NightSummary

_VERDICTS = {
    Exit.DONE: ("done", "ob-good", "Everything that was due is done."),
    Exit.FAILED: ("failed", "ob-bad", "The run didn't get to its end."),
    Exit.WRONG_USE: (
        "failed",
        "ob-bad",
        "Something that the night needs isn't there; the rest was done.",
    ),
    Exit.DATA_BLOCKED: ("data blocked", "ob-bad", "The delivered data failed a check, so nothing was sent."),
    Exit.CAMPAIGN_HELD: ("campaign held", "ob-warn", "At least one campaign was held and sent to nobody."),
    Exit.MESSAGES_FILTERED: (
        "messages filtered",
        "ob-bad",
        "Appboy accepted messages of an earlier night and kept most of them from the customers.",
    ),
    Exit.DELIVERIES_UNKNOWN: (
        "deliveries unknown",
        "ob-bad",
        "Of some messages nobody knows whether Appboy took them; they are not sent again by themselves.",
    ),
}


class Todo(Struct, frozen=True):
    """Something that a person must look at, and what it is about."""

    text: str
    about: str = ""


class NightVerdict(Struct, frozen=True):
    """How a night ended: a word, a class of the page's style and a sentence."""

    word: str
    kind: str
    sentence: str


def render_report(
    summary: NightSummary, *, currency: str, zone: ZoneInfo | None = None, model: CustomerModel | None = None
) -> str:
    """The report of a night as an HTML page that needs no other file.

    Args:
        summary: what the night did.
        model: the customer models of the night, for their figures and plots.
        currency: what amounts in the text of the models are in.
        zone: in which times are told; UTC without one.
    """
    campaigns = summary.campaigns
    return render_page(
        "night.html.j2",
        night=summary,
        zone=zone,
        currency=currency,
        verdict=verdict(summary.exit_code),
        todo=needs_a_person(summary),
        totals={
            "accepted": sum(c.accepted for c in campaigns),
            "sending": sum(c.accepted > 0 for c in campaigns),
            "held": sum(c.held is not None for c in campaigns),
            "quarantined": sum(t.quarantined for t in summary.imported.values()),
        },
        campaign_outcomes=outcomes,
        arrivals=arrival_rows(summary.confirmed),
        lost=lost_words(summary.confirmed),
        template_news=told_by_group(summary.templates),
        final=final_results(summary),
        model=model,
        pauses=pauses(model.pauses, churn_days=model.thresholds.churn_days) if model and len(model.pauses) else "",
        plots=chances(model.card) if model else [],
    )


def verdict(exit_code: int) -> NightVerdict:
    """What an exit code means to a reader."""
    return NightVerdict(*_VERDICTS.get(Exit(exit_code), _VERDICTS[Exit.FAILED]))


def needs_a_person(summary: NightSummary) -> list[Todo]:
    """What the night leaves to people, what stops most first; unknown and unsent messages stand in its problems."""
    found = [Todo(text) for text in summary.problems]
    for campaign in summary.campaigns:
        if campaign.held and not any(campaign.held in text for text in summary.problems):
            found.append(Todo(f"held: {campaign.held}", campaign.name))
        if campaign.refused:
            found.append(Todo(f"Appboy refused {many(campaign.refused, 'message')}", campaign.name))
        if campaign.expired:
            text = f"{many(campaign.expired, 'message')} came too late for the send time and were not sent"
            found.append(Todo(text, campaign.name))
        if not campaign.closes():
            found.append(Todo("its figures don't add up; please report this", campaign.name))
    return found


def final_results(summary: NightSummary) -> list[tuple[CampaignResult, str]]:
    """What became final tonight, with the night that it is of, where a campaign has several."""
    if not summary.results:
        return []
    from optinb.measure.noted_results import as_noted

    return [
        (as_noted(card.campaign, card.note), f"night of {day(card.note.nights[0])}" if card.is_one_of_several else "")
        for card in summary.results
    ]


def outcomes(campaign: CampaignSummary) -> dict[str, int]:
    """What became of the recipients, only what occurred."""
    words = {
        "accepted by Appboy": campaign.accepted,
        "refused": campaign.refused,
        "unknown": campaign.open,
        "unknown at first, and received": campaign.received,
        "unknown at first, and not received": campaign.missing,
        "too late": campaign.expired,
        "recalled": campaign.recalled,
        "cancelled": campaign.cancelled - campaign.recalled,
        "not sent": campaign.pending,
    }
    return {word: count for word, count in words.items() if count}
