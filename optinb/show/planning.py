"""What a campaign would do, its messages, and whether a night could run, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.base.figures import amount, many, share
from optinb.base.printable import printable_line
from optinb.show.pages import fragment, page, steps_of
from optinb.show.registry import Shown

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from optinb.appboy import Standing
    from optinb.campaigns import CampaignRecord, Power
    from optinb.planning import CampaignPreview, Diagnosis, Rival, SampleMessage, SentTest
    from optinb.planning.approving import LastApproval

SIGNS: dict[Standing, str] = {"good": "✓", "note": "·", "bad": "✗", "unknown": "?"}


def preview_text(value: CampaignPreview) -> str:
    """Who would get a campaign, when, and what they read."""
    from optinb.campaigns import REBUILT
    from optinb.campaigns.part_words import part_words

    c, w = value.campaign, value.waterfall
    lines = [
        f"{c.name}: to {value.sentence}",
        f"  {c.app_group}, template {value.template.name}, {c.schedule.sentence()}; the night of {value.run_date}",
        *(f"  note: {note}" for note in value.template.notes),
        *(f"  {left:>12,}  {what}" + f" (-{gone:,})" * bool(gone) for what, gone, left in w.steps()),
        f"  {w.recipients:>12,}  recipients; about {value.messages:,} messages in the coming 90 days",
    ]
    lines += [
        f"  {t.customers:>12,}  in {t.zone}: {t.wall}" + (f" (clocks change: {t.shift})" if t.shift else "")
        for t in value.send_times
    ]
    if value.codes:
        short = f": {value.codes.missing:,} are missing" if value.codes.missing else ""
        lines.append(
            f"  codes: {value.codes.needed:,} needed, {value.codes.left:,} left in {value.codes.pool!r}{short}"
        )
    if value.power and value.power.smallest_effect is not None:
        effect = f"{amount(100 * value.power.smallest_effect)} percentage points"
        lines.append(f"  test: sees a rise by {effect} over {share(value.power.base_rate, decimals=2)}")
    lines += [f"  note: {value.power.warning}"] if value.power and value.power.warning else []
    lines += [f"  {_rival(rival)}" for rival in value.rivals]
    if value.rivals and value.after_rivals is not None:
        lines.append(f"  {value.after_rivals:>12,}  recipients are left by the others of that night")
    lines += [f"  note: {REBUILT}: {part_words(REBUILT, text)}"] if (text := value.parts.get(REBUILT)) else []
    if value.changed:
        lines.append(f"  changed since the last approval: {', '.join(value.changed)}")
    seen = f"  fingerprint {value.fingerprint}, for `optinb campaigns approve {c.name!r} --seen {value.fingerprint}`"
    return "\n".join([*lines, *(sample_text(sample) for sample in value.sample), seen])


def campaign_preview(found: CampaignPreview) -> str:
    """Who would get a campaign, when, and what they read."""
    return page("campaign_preview.html.j2", preview=found, steps=steps_of(found.waterfall))


def message(found: CampaignPreview, at: int) -> str:
    """The message as one customer of a preview's sample reads it, on each platform, without the style."""
    return fragment("phones.html.j2", "one_of", found, at)


def for_decision(
    record: CampaignRecord, found: CampaignPreview, last: LastApproval | None, power: Power | None, zone: ZoneInfo
) -> str:
    """A submitted campaign as it would go out, beside what was approved last, without the style."""
    return fragment("desk.html.j2", "decision", record, found, steps_of(found.waterfall), last, power, zone)


def audience(found: CampaignPreview, zone: ZoneInfo) -> str:
    """Who gets a planned campaign and when, without the style."""
    return fragment("audience.html.j2", "audience", found, steps_of(found.waterfall), zone)


def _rival(rival: Rival) -> str:
    turn = "chooses first" if rival.goes_first else "chooses later"
    what = rival.problem or f"takes {rival.takes:,} of the recipients"
    return f"that night too: {rival.campaign} ({rival.state}, priority {rival.priority}), {turn}, {what}"


def diagnosis_text(value: Diagnosis) -> str:
    """The verdicts on this machine and each app group."""
    parts = [("This machine", value.machine)]
    parts += [(f"{health.app_group} ({health.api})", health.verdicts) for health in value.app_groups]
    return "\n\n".join(
        "\n".join([head, *(f"  {SIGNS[v.standing]} {v.about}: {v.text}" for v in verdicts)]) for head, verdicts in parts
    )


def diagnosis(found: Diagnosis) -> str:
    """The verdicts on each app group."""
    return page("diagnosis.html.j2", found=found)


def sample_text(value: SampleMessage) -> str:
    """A message as one customer reads it."""
    lines = []
    for m in value.messages:
        text = f"{value.customer_id}, {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}"
        lines.append(printable_line(text))  # so that no value looks like a line of ours
        lines += [f"  ! {m.note}"] if m.note else []
    return "\n".join(lines)


def sample(found: SampleMessage) -> str:
    """A message as one customer reads it."""
    return page("samples.html.j2", samples=(found,), sent=None)


def sent_test_text(value: SentTest) -> str:
    """Who got a test send, and what they read."""
    people = many(len(value.sent), "test customer")
    lines = [f"{value.campaign}: sent to {people} ({value.app_group}, {value.template})"]
    lines += [line for sample in value.sent for line in sample_text(sample).splitlines()]
    lines += [f"not to {customer_id}: {why}" for customer_id, why in value.skipped.items()]
    return "\n  ".join([*lines, *(f"Appboy says: {error}" for error in value.errors)])


def sent_test(found: SentTest) -> str:
    """Who got a test send, and what they read."""
    return page("samples.html.j2", samples=found.sent, sent=found)


SHOWN = (
    Shown("optinb.planning.campaign_preview.CampaignPreview", text=preview_text, html=campaign_preview),
    Shown("optinb.planning.doctor.Diagnosis", text=diagnosis_text, html=diagnosis),
    Shown("optinb.planning.trial_sends.SampleMessage", text=sample_text, html=sample),
    Shown("optinb.planning.trial_sends.SentTest", text=sent_test_text, html=sent_test),
)
