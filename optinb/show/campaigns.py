"""Campaigns, their templates and messages, what they would do, and whether a night could run, as text and HTML."""

from __future__ import annotations

from datetime import date
from shlex import quote
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from optinb.appboy.template_rules import ALL_USERS, ONCE, rules_words
from optinb.base.figures import amount, figure, many, share
from optinb.base.printable import printable_line
from optinb.base.settings import PLATFORM_NAMES
from optinb.show.pages import fragment
from optinb.show.registry import Shown
from optinb.show.tables import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from optinb.appboy import GroupSync, Standing, StatedRules, StatedTemplate, Template, TemplateListing
    from optinb.base.settings import Platform
    from optinb.campaigns import Campaign, CampaignRecord, Going, OfferRecord, Power, Schedule
    from optinb.campaigns.conversation import Comment
    from optinb.planning import CampaignPreview, Diagnosis, Rival, SampleMessage, SentTest
    from optinb.planning.approving import LastApproval

SIGNS: dict[Standing, str] = {"good": "✓", "note": "·", "bad": "✗", "unknown": "?"}


def sync_text(value: GroupSync) -> str:
    """What importing an app group's templates brought."""
    from optinb.appboy import told

    if value.result is None:
        return f"{value.app_group}: {value.problem}"
    r = value.result
    head = f"{value.app_group}: {r.usable:,} usable templates, {r.unusable:,} not usable"
    return "\n".join([head, *(f"  {line}" for line in told(r.changes))])


def listing_text(value: TemplateListing) -> str:
    """The templates that can be chosen, and what happened to them since last night."""
    from optinb.appboy import told_by_group

    parts = [_standing(template, stated) for template, stated in value.standings()]
    if any(template.usable for template in value.templates):
        parts.append(f"\nof each template: {ALL_USERS}")
    if not parts:
        parts = ["no template is imported yet; `optinb templates sync` brings them"]
    if value.news:
        parts += ["\nsince last night:", *(f"  {line}" for line in told_by_group(value.news))]
    return "\n".join(parts)


def template_text(value: Template) -> str:
    """A template with its texts; one that can't be used with the reason."""
    head = f"{value.name}  {', '.join(value.platforms) or '–'}  {value.id}"
    if not value.usable:
        return f"{head}\n  not usable: {'; '.join(value.problems)}"
    texts = [f"  {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}" for m in value.messages]
    return "\n".join([head, *texts, *(f"  note: {note}" for note in value.notes)])


def stated_text(value: StatedRules) -> str:
    """What was said of a template, by whom and when, and right after it what follows."""
    head = f"{rules_words(value.rules)} (stated by {value.by} {local_time(value.at)})"
    return "\n".join([head, *(f"  {one}" for one in value.follows)])


def standing_text(value: StatedTemplate) -> str:
    """A template with what is stated of it, and how to state it where nothing is."""
    lines = [f"{value.app_group}: {_standing(value.template, value.stated)}"]
    if value.stated is None:
        name = quote(value.template.name)
        lines.append(f"  say what the dashboard has set: optinb templates set {name} --again never|'after 1 day'|…")
    if value.stated is None or value.stated.rules.segment is UNSET:
        lines.append(f"  note: {ALL_USERS}")
    lines += [f"  campaign {one}" for one in value.follows]
    return "\n".join(lines)


def _standing(template: Template, stated: StatedRules | None) -> str:
    if stated is None and not template.usable:
        return template_text(template)
    return f"{template_text(template)}\n  rules: {ONCE if stated is None else stated_text(stated)}"


def offer_text(value: OfferRecord) -> str:
    """A saved offer, and where it comes from."""
    from optinb.campaigns.part_words import offer_words

    done = "archived" if value.archived else "saved"
    by = f"{done} by {value.author} {local_time(value.updated_at)}"
    return f"{offer_words(value.offer)}\n  version {value.version}, {by}"


def _messages_of(campaign: Campaign) -> list[str]:
    """The messages of a campaign that has several, a line for each; nothing for one that has not."""
    if not campaign.is_of_several:
        return []
    lines = [
        f"{_message_name(one.variant, one.platforms)}: {one.template}"
        + (f" ({share(campaign.shares[one.variant])})" if one.variant else "")
        for one in campaign.messages
    ]
    if campaign.learning is not None:
        lines.append(f"the shares of variants move {campaign.learning.sentence()}")
    is_one = campaign.phones == "last_used"
    return [*lines, "customers with several phones get it on the one that they used last"] if is_one else lines


def _message_name(variant: str | None, platforms: Sequence[Platform]) -> str:
    """What a message of a campaign is called: its variant, and where it goes."""
    where = " and ".join(PLATFORM_NAMES[platform] for platform in platforms)
    return ", ".join(filter(None, (variant and f"variant {variant}", where))) or "all phones"


def _of_messages(value: CampaignPreview) -> list[str]:
    """What each message of a preview is, who gets it, and what is stated of its template."""
    if not value.campaign.is_of_several:
        (one,) = value.messages
        return [f"  rules of the template: {ONCE if one.stated is None else stated_text(one.stated)}"]
    lines = [
        f"  {one.recipients:>12,}  get {one.template.name} ({_message_name(one.variant, one.platforms)})"
        for one in value.messages
    ]
    mix = [f"  the mix of that night: {value.mix.sentence()}"] if value.mix else []
    rules = [f"  rules of {name}: {ONCE if one is None else stated_text(one)}" for name, one in value.stated.items()]
    return [*lines, *mix, *rules]


def campaign_text(value: CampaignRecord) -> str:
    """A campaign, and where it stands."""
    c = value.campaign
    lines = [
        f"{c.name}: {value.state}" + (f" ({value.comment})" if value.comment else ""),
        f"  {c.channel}, {c.app_group}, template {', '.join(c.template_names) or 'none yet'}, group {c.group}",
        *(f"  {line}" for line in _messages_of(c)),
        f"  {c.schedule.sentence()}, control group {figure(100 * c.control)}%",
        *([f"  offer {c.saved_offer or (c.own_offer and c.own_offer.name)}"] if c.offer else []),
        f"  submitted by {value.author} {local_time(value.submitted_at)}",
    ]
    if value.approval:
        a = value.approval
        lines.append(
            f"  approved by {a.approver} {local_time(a.approved_at)} for {a.band.low:,} to {a.band.high:,} recipients"
        )
        lines.append(f"  fingerprint {a.fingerprint}")
    return "\n".join(lines)


def comment_text(value: Comment) -> str:
    """Who said what about a campaign, when, and on which version of it."""
    said = printable_line(value.text)
    return f"  {value.who} {local_time(value.at)}, on version {value.version}: {said}"


def folded(going: Iterable[Going], zone: ZoneInfo, schedules: Mapping[str, Schedule]) -> tuple[dict[str, Any], ...]:
    """A calendar with a line for each campaign: how often it goes out, from when to when, and at what time.

    `schedules`, by the campaigns' ids, say on whose clock; `zone` is the workspace's.
    """
    found: dict[str, list[Going]] = {}
    for one in going:
        found.setdefault(one.campaign, []).append(one)
    lines = []
    for name, days in found.items():
        first, last = days[0].day, days[-1].day
        daily = len(days) > 1 and (last - first).days + 1 == len(days)
        weekdays = " ".join(f"{date(2024, 1, n):%a}" for n in sorted({one.day.isoweekday() for one in days}))
        on = "every day" if daily else weekdays
        at = _time_of(days, schedules[days[0].campaign_id], zone)
        lines.append({"campaign": name, "times": len(days), "first": str(first), "last": str(last), "on": on, "at": at})
    return tuple(lines)


def _time_of(days: Iterable[Going], schedule: Schedule, zone: ZoneInfo) -> str:
    match schedule.clock:
        case "workspace":
            times = sorted({f"{one.at.astimezone(zone):%H:%M}" for one in days})
            return f"{', '.join(times)} {zone.key}"
        case "local":
            return f"{schedule.at}, their own clock"
        case "optimal":
            return "best time"


def preview_text(value: CampaignPreview) -> str:
    """Who would get a campaign, when, and what they read."""
    from optinb.campaigns import REBUILT
    from optinb.campaigns.part_words import part_words

    c, w = value.campaign, value.waterfall
    lines = [
        f"{c.name}: to {value.sentence}",
        f"  {c.app_group}, template {value.template_names}, {c.schedule.sentence()}; the night of {value.run_date}",
        *(f"  note: {note}" for note in value.notes_on_templates),
        *_of_messages(value),
        *(f"  note: {note}" for note in value.notes),
        *(f"  {left:>12,}  {what}" + f" (-{gone:,})" * bool(gone) for what, gone, left in w.steps()),
        f"  {w.recipients:>12,}  recipients; {value.cost()}",
    ]
    lines += [
        f"  {t.customers:>12,}  in {t.zone}: {t.wall}" + (f" (clocks change: {t.shift})" if t.shift else "")
        for t in value.send_times
    ]
    if value.offer_cost:
        lines.append(f"  offer: {value.offer_cost.sentence()}")
    if value.codes:
        short = f": {value.codes.missing:,} are missing" if value.codes.missing else ""
        lines.append(
            f"  codes: {value.codes.needed:,} needed, {value.codes.left:,} left in {value.codes.pool!r}{short}"
        )
    if value.power and value.power.smallest_effect is not None:
        effect = f"{amount(100 * value.power.smallest_effect)} percentage points"
        lines.append(f"  test: sees a rise by {effect} over {share(value.power.base_rate, decimals=2)}")
    lines += [f"  test: {one.sentence()}" for one in (value.power.comparisons if value.power else ())]
    told = (value.power.warning, value.power.advice) if value.power else ()
    lines += [f"  note: {text}" for text in told if text]
    lines += [f"  {_rival(rival)}" for rival in value.rivals]
    if value.rivals and value.after_rivals is not None:
        lines.append(f"  {value.after_rivals:>12,}  recipients are left by the others of that night")
    lines += [f"  note: {REBUILT}: {part_words(REBUILT, text)}"] if (text := value.parts.get(REBUILT)) else []
    if value.changed:
        lines.append(f"  changed since the last approval: {', '.join(value.changed)}")
    if value.refused:  # what can't be approved ends with what to do first
        seen = f"  refused: {value.refused}; then look at it again"
    else:
        seen = (
            f"  fingerprint {value.fingerprint}, for `optinb campaigns approve {c.name!r} --seen {value.fingerprint}`"
        )
    return "\n".join([*lines, *(sample_text(sample) for sample in value.sample), seen])


def message(found: CampaignPreview, at: int) -> str:
    """The message as one customer of a preview's sample reads it, on each platform, without the style."""
    return fragment("phones.html.j2", "one_of", found, at)


def for_decision(
    record: CampaignRecord, found: CampaignPreview, last: LastApproval | None, power: Power | None, zone: ZoneInfo
) -> str:
    """A submitted campaign as it would go out, beside what was approved last, without the style."""
    return fragment("desk.html.j2", "decision", record, found, last, power, zone)


def audience(found: CampaignPreview, zone: ZoneInfo) -> str:
    """Who gets a planned campaign and when, without the style."""
    return fragment("audience.html.j2", "audience", found, zone)


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


def sample_text(value: SampleMessage) -> str:
    """A message as one customer reads it."""
    lines = []
    for m in value.messages:
        who = f"{value.customer_id}, variant {value.variant}" if value.variant else value.customer_id
        text = f"{who}, {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}"
        lines.append(printable_line(text))  # so that no value looks like a line of ours
        lines += [f"  ! {m.note}"] if m.note else []
    return "\n".join(lines)


def sent_test_text(value: SentTest) -> str:
    """Who got a test send, and what they read."""
    people = many(len(value.sent), "test customer")
    lines = [f"{value.campaign}: sent to {people} ({value.app_group}, {value.template})"]
    lines += [line for sample in value.sent for line in sample_text(sample).splitlines()]
    lines += [f"not to {customer_id}: {why}" for customer_id, why in value.skipped.items()]
    return "\n  ".join([*lines, *(f"Appboy says: {error}" for error in value.errors)])


SHOWN = (
    Shown("optinb.appboy.template_import.GroupSync", sync_text, "syncs", many=True),
    Shown("optinb.appboy.template_import.StatedTemplate", standing_text, "stated_templates", many=True),
    Shown("optinb.appboy.template_import.TemplateListing", listing_text, "template_listing"),
    Shown("optinb.appboy.template_rules.StatedRules", stated_text, "stated_rules"),
    Shown("optinb.appboy.templates.Template", template_text, "templates", many=True),
    Shown("optinb.campaigns.offer_store.OfferRecord", offer_text, "offers", many=True),
    Shown("optinb.campaigns.conversation.Comment", comment_text),
    Shown("optinb.campaigns.record.CampaignRecord", campaign_text, "campaigns", many=True),
    Shown("optinb.planning.campaign_preview.CampaignPreview", preview_text, "campaign_preview"),
    Shown("optinb.planning.doctor.Diagnosis", diagnosis_text, "diagnosis"),
    Shown("optinb.planning.trial_sends.SampleMessage", sample_text, "sample"),
    Shown("optinb.planning.trial_sends.SentTest", sent_test_text, "sent_test"),
)
