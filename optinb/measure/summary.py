"""What one night did, in figures: the content of `summary.json` and of the report."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from optinb.appboy import TemplateNews
from optinb.delivery.appboy_reach import ReachSample
from optinb.delivery.confirmed_nights import ConfirmedNight
from optinb.delivery.journal import DeliveryCounts
from optinb.errors import Exit
from optinb.measure.campaign_figures import CampaignReach
from optinb.measure.final_note import FinalCard, Measuring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optinb.campaigns import Waterfall
    from optinb.delivery.journal import FrozenAudience


class TableCounts(Struct, frozen=True, kw_only=True):
    """Rows of one table of the delivery; read = loaded + quarantined."""

    read: int
    loaded: int
    quarantined: int
    reasons: dict[str, int] = field(default_factory=dict)


class MessageSummary(Struct, frozen=True, kw_only=True):
    """One of several messages of a campaign's night.

    Attributes:
        number: from 0, by which its audience is known.
        template: the template's name.
        variant: that of the campaign whose message it is; None where it has none.
        recipients: how many customers get it.
        counts: what became of it.
        audience: its frozen audience, relative to the workspace.
        audience_sha256: the seal of that file.
    """

    number: int
    template: str
    variant: str | None = None
    recipients: int = 0
    counts: DeliveryCounts = DeliveryCounts()
    audience: str | None = None
    audience_sha256: str | None = None

    @property
    def title(self) -> str:
        """What tells it from the campaign's others."""
        return f"{self.template}, variant {self.variant}" if self.variant else self.template


class CampaignSummary(Struct, frozen=True, kw_only=True):
    """One campaign of a night, in customers (`batches` in requests).

    Of a campaign with several `messages` what became of them counts messages, of which a customer may get two; the
    target group, its parts and the recipients are customers as ever.

    target = recipients + control + the sum of excluded. In a finished night recipients = accepted + refused + unknown
    + expired + cancelled; `pending` counts those that a dry run, or a sender that gave up, has left over. A campaign
    that was held sends to nobody: who would have got it stands in excluded under "held", or in pending when an
    earlier attempt at the night had frozen its audience already. Of the unknown, `received` and `missing` are those
    whom Appboy was asked about later; of the cancelled, `recalled` are those that it had accepted.
    """

    name: str
    app_group: str
    template: str
    target: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    control: int = 0
    recipients: int = 0
    batches: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    expired: int = 0
    cancelled: int = 0
    pending: int = 0
    received: int = 0
    missing: int = 0
    recalled: int = 0
    held: str | None = None
    send_at: datetime | None = None
    audience: str | None = None
    audience_sha256: str | None = None
    errors: dict[str, int] = field(default_factory=dict)
    messages: tuple[MessageSummary, ...] = ()

    @property
    def planned(self) -> int:
        """How many messages there are to be: one for each recipient, or the sum of several messages' recipients."""
        return sum(message.recipients for message in self.messages) if self.messages else self.recipients

    @property
    def counted(self) -> str:
        """What the outcomes count, in a word."""
        return "messages" if self.messages else "recipients"

    @property
    def open(self) -> int:
        """The unknown of whom Appboy has not said later whether they received it."""
        return self.unknown - self.received - self.missing

    @property
    def may_arrive(self) -> bool:
        """Whether any of it reaches somebody, or may; of what was recalled, refused or too late nothing does."""
        return bool(self.accepted or self.unknown or self.pending)

    def closes(self) -> bool:
        """Whether the sums are right: of customers, and of messages, in all and of each message."""
        outcomes = self.accepted + self.refused + self.unknown + self.expired + self.cancelled + self.pending
        everybody = self.recipients + self.control + sum(self.excluded.values())
        each = [message.recipients for message in self.messages]
        return (
            self.target == everybody
            and self.planned == outcomes
            and all(message.counts.recipients == message.recipients for message in self.messages)
            and max(each, default=self.recipients) <= self.recipients <= self.planned
        )


class NightSummary(Struct, frozen=True, kw_only=True):
    """`summary.json`: one night.

    `model` holds the lines of the model card, `templates` what became of templates in Appboy since the night before,
    `reach` what Appboy counted of each campaign in the last 14 days, `tokens` what it said of a sample of customers,
    `confirmed` what it says by now of messages that it accepted in earlier nights, `groups` which saved groups are of
    an unusual size, `news` what changed and whom to look at, `stale` the tables that are too old to be sent from, each
    with the reason, which holds the campaigns that read it, `results` the campaigns that became final with what they
    brought, `measuring` those that didn't yet.
    """

    run_date: date
    dry_run: bool
    started_at: datetime
    finished_at: datetime
    warehouse_version: int | None
    imported: dict[str, TableCounts]
    customers: int
    stages: dict[str, int]
    campaigns: tuple[CampaignSummary, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    exit_code: int
    notebook: str | None
    report: str | None
    model: tuple[str, ...] = ()
    templates: tuple[TemplateNews, ...] = ()
    stale: dict[str, str] = field(default_factory=dict)
    tokens: tuple[ReachSample, ...] = ()
    confirmed: tuple[ConfirmedNight, ...] = ()
    reach: tuple[CampaignReach, ...] = ()
    results: tuple[FinalCard, ...] = ()
    measuring: tuple[Measuring, ...] = ()
    groups: tuple[str, ...] = ()
    news: tuple[str, ...] = ()


def held(name: str, app_group: str, template: str, reason: str, figures: Waterfall | None = None) -> CampaignSummary:
    """The figures of a campaign that may not go out; `figures` when its audience could be computed."""
    excluded = {} if figures is None else {**figures.excluded, "held": figures.recipients}
    return CampaignSummary(
        name=name,
        app_group=app_group,
        template=template,
        target=figures.target if figures else 0,
        excluded={reason: count for reason, count in excluded.items() if count},
        control=figures.control if figures else 0,
        held=reason,
    )


def rehearsed(
    name: str,
    app_group: str,
    template: str,
    figures: Waterfall,
    send_at: datetime,
    messages: Sequence[MessageSummary] = (),
) -> CampaignSummary:
    """The figures of a campaign in a dry run: what would be sent."""
    return CampaignSummary(
        name=name,
        app_group=app_group,
        template=template,
        target=figures.target,
        excluded=figures.excluded,
        control=figures.control,
        recipients=figures.recipients,
        pending=sum(message.recipients for message in messages) if messages else figures.recipients,
        send_at=send_at,
        messages=tuple(messages),
    )


def frozen(
    messages: Sequence[FrozenAudience],
    counts: Sequence[DeliveryCounts],
    *,
    app_group: str,
    templates: Mapping[str, str],
) -> CampaignSummary:
    """The figures of a campaign whose audience is frozen, and of what became of it so far.

    Args:
        messages: those of the campaign's night, in the order of their numbers.
        counts: what became of each.
        app_group: its name.
        templates: their names by their ids.
    """
    first = messages[0]
    names = [templates.get(message.template_id, message.template_id) for message in messages]
    errors: Counter[str] = Counter()
    for one in counts:
        errors.update(one.errors)
    return CampaignSummary(
        name=first.campaign_name,
        app_group=app_group,
        template=", ".join(dict.fromkeys(names)),
        target=first.waterfall.target,
        excluded=first.waterfall.excluded,
        control=first.waterfall.control,
        recipients=first.waterfall.recipients,
        batches=sum(one.batches for one in counts),
        accepted=sum(one.accepted for one in counts),
        refused=sum(one.refused for one in counts),
        unknown=sum(one.unknown for one in counts),
        expired=sum(one.expired for one in counts),
        cancelled=sum(one.cancelled for one in counts),
        pending=sum(one.pending for one in counts),
        received=sum(one.received for one in counts),
        missing=sum(one.missing for one in counts),
        recalled=sum(one.recalled for one in counts),
        send_at=first.send_at,
        audience=first.path,
        audience_sha256=first.sha256,
        errors=dict(errors),
        messages=tuple(
            MessageSummary(
                number=message.number,
                template=name,
                variant=message.variant,
                recipients=message.recipients,
                counts=one,
                audience=message.path,
                audience_sha256=message.sha256,
            )
            for message, name, one in zip(messages, names, counts, strict=True)
        )
        if len(messages) > 1
        else (),
    )


def left_over(campaigns: Iterable[CampaignSummary], *, dry_run: bool) -> list[str]:
    """What a night leaves to a person about its deliveries, in sentences."""
    campaigns = tuple(campaigns)
    to_send = [
        f"{c.name!r}: {c.pending:,} {c.counted} are still to be sent; run the night again"
        for c in campaigns
        if c.pending and not c.held and not dry_run
    ]
    unknown = [
        f"{c.name!r}: it is unknown whether {c.open:,} {c.counted} were scheduled; they are not sent again; after the "
        "send time `optinb reconcile` asks Appboy who received it"
        for c in campaigns
        if c.open
    ]
    lost = [
        f"{c.name!r}: {count:,} {'messages reach nobody' if c.messages else 'recipients get nothing'}, because {why}; "
        "the report says more"
        for c in campaigns
        for count, why in ((c.refused, "Appboy refused their requests"), (c.expired, "it was too late to send"))
        if count
    ]
    return to_send + unknown + lost


def exit_code(*, blocked: bool, unprepared: bool, campaigns: Iterable[CampaignSummary], filtered: bool = False) -> Exit:
    """What a night ends with; of several, the one that most needs a person.

    `unprepared`: something that it needs of this machine or an app group wasn't there. `filtered`: Appboy keeps the
    messages of a template from far more customers than usual.
    """
    campaigns = tuple(campaigns)
    if blocked:
        return Exit.DATA_BLOCKED
    if any(c.refused or c.expired or not c.closes() for c in campaigns):
        return Exit.FAILED
    if unprepared:
        return Exit.WRONG_USE
    if any(c.open for c in campaigns):
        return Exit.DELIVERIES_UNKNOWN
    if filtered:
        return Exit.MESSAGES_FILTERED
    if any(c.held for c in campaigns):
        return Exit.CAMPAIGN_HELD
    return Exit.DONE
