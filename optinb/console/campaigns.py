"""App groups, templates, campaigns and their test messages as text."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from optinb.appboy import GroupSync, Standing, Template, TemplateListing, told, told_by_group
from optinb.base.figures import amount, figure, share
from optinb.base.printable import printable_line
from optinb.campaigns import REBUILT, CampaignRecord
from optinb.campaigns.part_words import part_words
from optinb.console.base import local_time, show
from optinb.delivery.journal import CodePool
from optinb.measure.pages import many
from optinb.planning import CampaignPreview, Diagnosis, Rival, SampleMessage, SentTest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from zoneinfo import ZoneInfo

    from optinb.campaigns import Going, Schedule

SIGNS: dict[Standing, str] = {"good": "✓", "note": "·", "bad": "✗", "unknown": "?"}


@show.register
def _(value: GroupSync) -> str:
    if value.result is None:
        return f"{value.app_group}: {value.problem}"
    r = value.result
    head = f"{value.app_group}: {r.usable:,} usable templates, {r.unusable:,} not usable"
    return "\n".join([head, *(f"  {line}" for line in told(r.changes))])


@show.register
def _(value: TemplateListing) -> str:
    parts = [show(template) for template in value.templates]
    if not parts:
        parts = ["no template is imported yet; `optinb templates sync` brings them"]
    if value.news:
        parts += ["\nsince last night:", *(f"  {line}" for line in told_by_group(value.news))]
    return "\n".join(parts)


@show.register
def _(value: Template) -> str:
    head = f"{value.name}  {', '.join(value.platforms) or '–'}  {value.id}"
    if not value.usable:
        return f"{head}\n  not usable: {'; '.join(value.problems)}"
    texts = [f"  {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}" for m in value.messages]
    return "\n".join([head, *texts, *(f"  note: {note}" for note in value.notes)])


@show.register
def _(value: CampaignRecord) -> str:
    c = value.campaign
    lines = [
        f"{c.name}: {value.state}" + (f" ({value.comment})" if value.comment else ""),
        f"  {c.channel}, {c.app_group}, template {c.template}, group {c.group}",
        f"  {c.schedule.sentence()}, control group {figure(100 * c.control)}%",
        f"  submitted by {value.author} {local_time(value.submitted_at)}",
    ]
    if value.approval:
        a = value.approval
        lines.append(
            f"  approved by {a.approver} {local_time(a.approved_at)} for {a.band.low:,} to {a.band.high:,} recipients"
        )
        lines.append(f"  fingerprint {a.fingerprint}")
    return "\n".join(lines)


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


@show.register
def _(value: CampaignPreview) -> str:
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
    return "\n".join([*lines, *(show(sample) for sample in value.sample), seen])


def _rival(rival: Rival) -> str:
    turn = "chooses first" if rival.goes_first else "chooses later"
    what = rival.problem or f"takes {rival.takes:,} of the recipients"
    return f"that night too: {rival.campaign} ({rival.state}, priority {rival.priority}), {turn}, {what}"


@show.register
def _(value: CodePool) -> str:
    return f"{value.name}: {value.left:,} of {value.codes:,} promotion codes are left"


@show.register
def _(value: Diagnosis) -> str:
    parts = [("This machine", value.machine)]
    parts += [(f"{health.app_group} ({health.api})", health.verdicts) for health in value.app_groups]
    return "\n\n".join(
        "\n".join([head, *(f"  {SIGNS[v.standing]} {v.about}: {v.text}" for v in verdicts)]) for head, verdicts in parts
    )


@show.register
def _(value: SampleMessage) -> str:
    lines = []
    for m in value.messages:
        text = f"{value.customer_id}, {m.platform}: {m.title + ' – ' if m.title else ''}{m.alert}"
        lines.append(printable_line(text))  # so that no value looks like a line of ours
        lines += [f"  ! {m.note}"] if m.note else []
    return "\n".join(lines)


@show.register
def _(value: SentTest) -> str:
    people = many(len(value.sent), "test customer")
    lines = [f"{value.campaign}: sent to {people} ({value.app_group}, {value.template})"]
    lines += [line for sample in value.sent for line in show(sample).splitlines()]
    lines += [f"not to {customer_id}: {why}" for customer_id, why in value.skipped.items()]
    return "\n  ".join([*lines, *(f"Appboy says: {error}" for error in value.errors)])
