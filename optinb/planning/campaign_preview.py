"""What a campaign would do on its next date, as whoever approves it is to see it."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct

from optinb.appboy import StatedRules, Template
from optinb.base.figures import many
from optinb.base.settings import PLATFORMS, Platform
from optinb.campaigns import (
    ALIVE,
    Campaign,
    CampaignRecord,
    CampaignState,
    Competitor,
    ContactPolicyState,
    Offer,
    OfferCost,
    Power,
    SendTime,
    Waterfall,
    calendar,
    differences,
    fingerprint,
    gets,
    send_times,
    waterfall,
    why_too_many,
)
from optinb.campaigns.eligibility import had_before, times_each
from optinb.campaigns.learning import Mix
from optinb.errors import OptinbError
from optinb.planning.audiences import check_size
from optinb.planning.code_pools import Codes, CodesLeft
from optinb.planning.resolved import next_night
from optinb.planning.trial_sends import SampleMessage, sample_messages
from optinb.rules import from_json
from optinb.segments.vendor_control import knows_nobody, without_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from optinb.base.context import Context
    from optinb.campaigns import EarlierShare
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.planning.audiences import Audiences
    from optinb.planning.power_of_tests import PowerOfTests
    from optinb.planning.resolved import Resolved, Resolver

SHORT = 32  # of the hexadecimal digits of a fingerprint: of fewer, an author could make two campaigns that share them


class Rival(Struct, frozen=True, kw_only=True):
    """Another campaign of the same night.

    `takes`: so many customers this campaign loses to it, because it `goes_first` and the contact policy keeps them back
    then; one that goes later takes nobody. `problem` says why its own audience can't be built.
    """

    campaign: str
    state: CampaignState
    priority: int
    goes_first: bool
    takes: int = 0
    problem: str = ""


class MessagePreview(Struct, frozen=True, kw_only=True):
    """A message of a previewed campaign.

    Attributes:
        variant: its variant; None where the campaign has none.
        platforms: where it goes.
        template: what is sent.
        stated: what people have said of the template; None where nobody has.
        recipients: who gets it; whoever gets two counts in both.
    """

    variant: str | None
    platforms: tuple[Platform, ...]
    template: Template
    stated: StatedRules | None
    recipients: int


class CampaignPreview(Struct, frozen=True, kw_only=True):
    """What a campaign would do on its next date: who gets it, when, and what they read.

    Attributes:
        campaign: the one that is previewed.
        sentence: what its target group is, in plain English.
        messages: what is sent, in the order of their numbers.
        run_date: the night that would send it.
        send_at: when it goes out, in UTC; in customers' own times, in the earliest zone.
        send_times: when it goes out in which of the customers' zones.
        by_variant: how many customers get which variant, by its name; nothing without variants.
        waterfall: how many members each reason keeps from it.
        sample: the message as some recipients will read it.
        parts: what an approval of this binds to, in canonical text.
        fingerprint: stands for the parts and for who submitted them when: whoever approves says it.
        changed: the parts that differ from the last approval.
        messages_ahead: the cost: about how many messages go out in the coming 90 days, if the group stays as large.
        times: how often it goes out within them.
        times_each: how often the same customer gets it at most, by the template and the target group.
        offer: with all its fields, whether it is the campaign's own or a saved one; None without an offer.
        offer_cost: what that date would cost at most; None where nobody has said what one redemption costs.
        codes: how the pool of the offer suffices for that date; None without codes.
        power: of the test; only in full, and None without a control group.
        rivals: the other campaigns of that night; only in full.
        after_rivals: how many recipients these leave; only in full.
        refused: why it can be neither submitted nor approved, since customers may not get its template again in time,
            or its offer is over; empty where it can.
        notes: what else follows from the rules of the template, and what Appboy may filter among the recipients where
            nobody can tell beforehand whom; in sentences.
        mix: what the shares of variants would be that night, by what is known today; None where they stay.
    """

    campaign: Campaign
    sentence: str
    messages: tuple[MessagePreview, ...]
    run_date: date
    send_at: datetime
    send_times: tuple[SendTime, ...]
    waterfall: Waterfall
    sample: tuple[SampleMessage, ...]
    parts: dict[str, str]
    fingerprint: str
    changed: tuple[str, ...] = ()
    by_variant: dict[str, int] = {}
    messages_ahead: int = 0
    times: int = 0
    times_each: int = 0
    offer: Offer | None = None
    offer_cost: OfferCost | None = None
    codes: CodesLeft | None = None
    power: Power | None = None
    rivals: tuple[Rival, ...] = ()
    after_rivals: int | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()
    mix: Mix | None = None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each variant of those who get it for the first time, by name; nothing without variants."""
        return self.mix.shares if self.mix is not None else self.campaign.shares

    @property
    def template_names(self) -> str:
        """The names of its templates, for a line of text."""
        return ", ".join(dict.fromkeys(one.template.name for one in self.messages))

    @property
    def stated(self) -> dict[str, StatedRules | None]:
        """What people have said of each template, by its name; None where nobody has."""
        return {one.template.name: one.stated for one in self.messages}

    @property
    def notes_on_templates(self) -> tuple[str, ...]:
        """What is worth knowing of its templates, each once."""
        return tuple(dict.fromkeys(note for one in self.messages for note in one.template.notes))

    def cost(self) -> str:
        """The messages of the coming 90 days in words, and how often each customer gets it where not each time."""
        told = f"about {many(self.messages_ahead, 'message')} in the coming 90 days"
        if self.times_each == self.times:
            return told
        often = "once" if self.times_each == 1 else f"{self.times_each:,} times at most"
        return f"{told}: each customer gets it {often}; those who join the group come on top"


class Previews:
    """Finds what campaigns would do on their next date."""

    def __init__(
        self,
        context: Context,
        campaigns: CampaignStore,
        *,
        resolver: Resolver,
        audiences: Audiences,
        codes: Codes,
        power: PowerOfTests,
        earlier: Callable[[Offer], EarlierShare | None],
    ) -> None:
        """Args: `earlier` tells how many redeemed an offer before."""
        self._context, self._zone, self._campaigns = context, context.settings.zone, campaigns
        self._resolver, self._audiences, self._codes, self._power = resolver, audiences, codes, power
        self._earlier = earlier

    def of(
        self, campaign: Campaign, *, samples: int = 3, among: ContactPolicyState | None = None, in_full: bool = False
    ) -> CampaignPreview:
        """The preview of a campaign; see `Campaigns.preview`."""
        resolved, today = self._resolver.to_show(campaign), self._context.today()
        night = next_night(campaign.schedule, today)
        among = among or self._audiences.policy_state(night, [campaign], but=campaign.id)
        audience = self._audiences.build(resolved, night=night, among=among)
        check_size(audience)
        figures, parts = waterfall(audience), resolved.parts()
        goes_out = calendar([campaign], since=today, zone=self._zone)
        rule = from_json(resolved.rule_json)
        each = max(times_each(campaign, one.rules, rule, goes_out) for one in resolved.messages)
        messages = self._messages(resolved, audience)
        by_variant = {name: _of_variant(resolved, audience, name).height for name in campaign.shares}
        last = self._campaigns.newest_approval(campaign.id)
        rivals, after = self._rivals(resolved, night, audience) if in_full else ((), None)
        return CampaignPreview(
            campaign=campaign,
            sentence=resolved.sentence,
            messages=messages,
            run_date=night,
            send_at=campaign.schedule.send_at(night, self._zone),
            send_times=self._send_times(campaign, night, audience, among),
            waterfall=figures,
            offer=resolved.campaign.own_offer,
            offer_cost=self._offer_cost(resolved, figures.recipients),
            sample=sample_messages(audience, resolved, count=samples),
            parts=parts,
            fingerprint=self._fingerprint(campaign, parts),
            changed=differences(last.parts, parts) if last is not None else (),
            by_variant=by_variant,
            messages_ahead=sum(one.recipients for one in messages) * each,
            times=len(goes_out),
            times_each=each,
            codes=self._codes.left_for(resolved.campaign, recipients=figures.recipients),
            power=self._power.of(campaign, figures, by_variant) if in_full else None,
            rivals=rivals,
            after_rivals=after,
            refused=self._resolver.why_not_again(resolved) or resolved.why_over(night) or "",
            notes=(*self._notes(resolved), *self._vendor_notes(resolved, messages)),
            mix=self._audiences.mix(campaign, night),
        )

    def _offer_cost(self, resolved: Resolved, recipients: int) -> OfferCost | None:
        """What the offer of a campaign would cost for so many recipients, with what it cost before."""
        offer, settings = resolved.campaign.own_offer, self._context.settings
        if offer is None or offer.cost_of_one is None:
            return None
        return OfferCost(
            recipients=recipients,
            cost_of_one=offer.cost_of_one,
            currency=settings.workspace.currency,
            is_each_night=resolved.campaign.schedule.every is not None,
            earlier=self._earlier(offer),
        )

    def _messages(self, resolved: Resolved, audience: pl.DataFrame) -> tuple[MessagePreview, ...]:
        stated = self._resolver.stated(resolved)
        return tuple(
            MessagePreview(
                variant=one.message.variant,
                platforms=tuple(p for p in PLATFORMS if p in one.platforms),
                template=one.template,
                stated=stated[one.template.id],
                recipients=gets(audience, one.message.number).height,
            )
            for one in resolved.messages
        )

    def _vendor_notes(self, resolved: Resolved, messages: Iterable[MessagePreview]) -> tuple[str, ...]:
        """Whom Appboy may filter without anybody knowing beforehand who it is."""
        group = resolved.app_group
        control = self._audiences.vendor_control.of(group.id)
        known = knows_nobody(control) if control is not None and control.known == 0 else None
        gets_it: Counter[str] = Counter()
        for one in messages:
            gets_it[one.template.id] += one.recipients
        told = (
            without_list(group.name) if control is None else known,
            *(why_too_many(one.rules, one.template.name, gets_it[key]) for key, one in resolved.by_template.items()),
        )
        return tuple(note for note in told if note)

    def _notes(self, resolved: Resolved) -> tuple[str, ...]:
        """What follows from the rules of the template, beside a refusal."""
        group, rule = resolved.app_group, from_json(resolved.rule_json)
        of_group = [r for r in self._campaigns.list() if r.campaign.app_group in (group.id, group.name)]
        told: list[str | None] = []
        for one in resolved.by_template.values():
            names = {one.template.id, one.template.name}
            others = (
                record
                for record in of_group
                if names & {*record.campaign.template_names} and not self._was_put_away(record)
            )
            told.append(had_before(resolved.campaign, one.rules, rule, template=one.template.name, others=others))
        return tuple(note for note in told if note)

    def _was_put_away(self, record: CampaignRecord) -> bool:
        """Whether a campaign was cancelled before anybody had approved it, as a draft that got another name is."""
        return record.state == "cancelled" and self._campaigns.newest_approval(record.id) is None

    def power(self, preview: CampaignPreview) -> Power | None:
        """What the test of a previewed campaign can see; see `Campaigns.power`."""
        return self._power.of(preview.campaign, preview.waterfall, preview.by_variant)

    def _fingerprint(self, campaign: Campaign, parts: dict[str, str]) -> str:
        """The short one of what a preview shows; of a submitted campaign also of who submitted it, and when."""
        record = self._campaigns.find(campaign.id)
        of = (record.author, str(record.submission)) if record and record.campaign == campaign else ("", "")
        return fingerprint({**parts, "submitted by": of[0], "submission": of[1]})[:SHORT]

    def _rivals(self, resolved: Resolved, night: date, alone: pl.DataFrame) -> tuple[tuple[Rival, ...], int]:
        """The other campaigns of a night, and how many recipients they leave this one, whose audience is `alone` now.

        Those that wait for approval count as if they had it. They choose in the night's own order, so that only those
        that go first take anybody.
        """
        campaign, mine = resolved.campaign, resolved.competitor(night)
        due = [record for record in self._campaigns.list() if record.id != campaign.id and _may_rival(record, night)]
        days = {record.id: record.campaign.schedule.day_of(night) for record in due}
        turns = {r.id: Competitor.of(r.campaign, app_group_id="", day=days[r.id]).order for r in due}
        everybody = [campaign, *(record.campaign for record in due)]
        among = self._audiences.policy_state(night, everybody, but=campaign.id)
        held: dict[str, pl.Series] = {}
        problems: dict[str, str] = {}
        for record in sorted(due, key=lambda r: turns[r.id]):
            if turns[record.id] < mine.order:
                try:
                    held[record.id] = self._chosen(self._resolver.resolve(record.campaign), night, among)
                except OptinbError as error:
                    problems[record.id] = str(error)
        left = _recipients(self._audiences.build(resolved, night=night, among=among))
        lost = _recipients(alone)
        lost = lost.filter(~lost.is_in(left.implode()))
        rivals = tuple(
            Rival(
                campaign=record.campaign.name,
                state=record.state,
                priority=record.campaign.priority,
                goes_first=turns[record.id] < mine.order,
                takes=int(lost.is_in(held[record.id].implode()).sum()) if record.id in held else 0,
                problem=problems.get(record.id, ""),
            )
            for record in due
        )
        return rivals, len(left)

    def _chosen(self, resolved: Resolved, night: date, among: ContactPolicyState) -> pl.Series:
        """The customers whom a campaign takes in its turn, as recipients or as its control group."""
        audience = self._audiences.build(resolved, night=night, among=among)
        among.promise(audience, resolved.competitor(night))
        return audience.filter(pl.col("outcome") != "excluded")["customer_id"]

    def _send_times(
        self, campaign: Campaign, night: date, audience: pl.DataFrame, among: ContactPolicyState
    ) -> tuple[SendTime, ...]:
        """When the recipients of each time zone get it."""
        people, recipients = among.placed.people, audience.filter(pl.col("outcome") == "recipient")
        counts: dict[str | None, int] = {None: recipients.height}
        if "time_zone" in people.columns:
            there = people.select("customer_id", "time_zone").join(recipients, on="customer_id", how="semi")
            counts = dict(there["time_zone"].value_counts().iter_rows())
        return send_times(campaign.schedule, night, zone=self._zone, customers=counts)


def _of_variant(resolved: Resolved, audience: pl.DataFrame, name: str) -> pl.DataFrame:
    """The recipients of a variant."""
    return pl.concat(gets(audience, one.message.number) for one in resolved.of_variant(name)).unique("customer_id")


def _may_rival(record: CampaignRecord, night: date) -> bool:
    """Whether a campaign goes out in a night, or would once it is approved."""
    is_alive = record.state in ("submitted", *ALIVE) and not record.archived
    return is_alive and record.campaign.schedule.is_due(night)


def _recipients(audience: pl.DataFrame) -> pl.Series:
    return audience.filter(pl.col("outcome") == "recipient")["customer_id"]
