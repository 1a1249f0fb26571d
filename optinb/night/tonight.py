"""The campaigns of a night: which are due, what holds them, their audiences, and their sends."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.base.clock import is_pretended
from optinb.campaigns import (
    ALIVE,
    REBUILT,
    RULES_OF_TEMPLATE,
    Campaign,
    CampaignRecord,
    Competitor,
    ContactPolicyState,
    waterfall,
    why_held,
    why_held_by_size,
    why_kept,
    why_too_many,
)
from optinb.customers.attributes import MICRO_SEGMENT
from optinb.delivery import FrozenAudience, SendIds, close_past, is_late, plan, why_short
from optinb.errors import CampaignError, OptinbError, StateError, failure
from optinb.measure import CampaignSummary, held, rehearsed
from optinb.night.frozen_audience import why_not_approved
from optinb.night.messages import counts_of, figures_of, plan_of, send_message, still_to_send, to_be
from optinb.night.second_look import SecondLook, look_afterwards, look_before
from optinb.rules import attributes_of, from_json
from optinb.segments.notes import empty_micro_segments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from optinb.appboy import GroupSync
    from optinb.base.settings import AppGroupSettings
    from optinb.planning import Resolved
    from optinb.segments import SharedGroups
    from optinb.warehouse import TableAge
    from optinb.workspace import Workspace

WAIT_S = 45.0  # longer than a dead run's hold lasts
# that building and scheduling tonight's messages may take; those to 2 M customers take ten at Appboy's pace
FOR_SENDS = timedelta(minutes=30)


class NightCampaigns:
    """The campaigns of one night on a workspace.

    Attributes: `blocked`: why a data gate blocks the sends; `distrusted`: why the audit trail can't be gone by, so that
    nothing is planned or sent; `overtaken`: why nothing new can be planned; `synced`: what the import of templates
    found; `unready`: names of app groups to which nothing can go, and why; `failures`: what went wrong in sends, in
    sentences; `notes`: what is to be told of audiences.
    """

    def __init__(self, workspace: Workspace, run_date: date, *, dry_run: bool) -> None:
        self._ws, self._run_date, self._dry_run = workspace, run_date, dry_run
        self._holder = workspace.context.holder
        self._summaries: dict[str, CampaignSummary] = {}
        # plans whose recipients are those of the approved rule
        self._looked_at: set[tuple[tuple[str, date], str, datetime]] = set()
        self._promised: Counter[str] = Counter()  # codes of pools, in a dry run
        self.blocked: str | None = None
        self.distrusted: str | None = None
        self.overtaken: str | None = None
        self.synced: tuple[GroupSync, ...] = ()
        self.unready: dict[str, str] = {}
        self.failures: list[str] = []
        self.notes: list[str] = []

    @property
    def summaries(self) -> tuple[CampaignSummary, ...]:
        """The figures of each campaign so far, by name."""
        return tuple(self._summaries.values())

    def due(self) -> tuple[CampaignRecord, ...]:
        """The campaigns of this night, by name."""
        return tuple(record for record in self._ws.campaigns.list(archived=True) if self._is_due(record))

    def minutes_to_spare(self) -> float:
        """How long tonight's messages can wait until they must be built and scheduled; those too late don't count."""
        zone, late, now = self._ws.settings.zone, self._ws.settings.send.late_minutes, self._ws.now()
        moments = [record.campaign.schedule.send_at(self._run_date, zone) for record in self.due()]
        ahead = [moment for moment in moments if not is_late(moment, now, late)]
        return max(0.0, (min(ahead) - now - FOR_SENDS).total_seconds() / 60) if ahead else float("inf")

    def app_groups(self) -> tuple[AppGroupSettings, ...]:
        """The app groups that campaigns of this night go to, as far as the settings know them."""
        named = {record.campaign.app_group for record in self.due()}
        return tuple(group for group in self._ws.settings.app_groups if {group.name, group.id} & named)

    def _is_due(self, record: CampaignRecord) -> bool:
        """Whether a campaign is of this night: due and wanted, or with an audience from an earlier attempt."""
        if self._messages(record.id):
            return True
        if self.overtaken:
            return False
        return record.state in ("submitted", *ALIVE) and record.campaign.schedule.is_due(self._run_date)

    def _turn(self, record: CampaignRecord) -> tuple[date, int, str]:
        """When a campaign chooses its customers, among those of the night."""
        day = record.campaign.schedule.day_of(self._run_date)
        return Competitor.of(record.campaign, app_group_id="", day=day).order

    def freeze(self) -> tuple[CampaignSummary, ...]:
        """Builds and freezes the audience of every campaign that is due; names what holds the others."""
        self._look_at_trail()
        tonight = self.due()
        waiting = [r.campaign for r in tonight if not self._stopped() and not self._planned(r)]
        shared = self._ws.campaigns.share(waiting, run_date=self._run_date)
        # Each chooses after those before it; they are told of in the order of their names.
        turns = sorted(tonight, key=self._turn)
        found = {record.id: self._noted(record, self._audience(record, shared)) for record in turns}
        self._summaries = {record.id: found[record.id] for record in tonight}
        return self.summaries

    def send(self) -> tuple[CampaignSummary, ...]:
        """Schedules every frozen audience with Appboy. What fails for one campaign doesn't stop the others."""
        self._look_at_trail()
        if not self._dry_run and not self.distrusted:
            self._close_past()
            wanted = [campaign_id for campaign_id, summary in self._summaries.items() if not summary.held]
            tonight = {campaign_id: found for campaign_id in wanted if (found := self._messages(campaign_id))}
            ids = SendIds(self._ws.store, [one for found in tonight.values() for one in found], clock=self._ws.now)
            for campaign_id, before in tonight.items():
                messages = self._messages(campaign_id) or before  # they may have been moved since
                self._summaries[campaign_id] = self._sent(messages, ids)
            self.notes += ids.notes
        return self.summaries

    def _close_past(self) -> None:
        """Closes the accounts of earlier nights; what can't be closed is told, and stops nothing of this one."""
        store, late = self._ws.store, self._ws.settings.send.late_minutes
        done = close_past(store, now=self._ws.now(), late_minutes=late, holder=self._holder, lease_clock=store.clock)
        self.failures += done.problems
        for closed in done.audiences:
            try:
                if not still_to_send(self._ws, self._messages(closed.of_campaign, closed.run_date)):
                    self._ws.campaigns.finish(closed.of_campaign)
            except Exception as error:
                what = f"{closed.campaign_name!r} can't be finished"
                self.failures.append(f"{what}: {failure(error, doing=what)}")

    def ages(self) -> tuple[TableAge, ...]:
        """How old the tables of this night are."""
        return self._ws.freshness.ages_on(self._run_date)

    @cached_property
    def _policy_state(self) -> ContactPolicyState:
        return self._ws.campaigns.compete(self._run_date, tables_of=self._run_date)

    def _noted(self, record: CampaignRecord, summary: CampaignSummary) -> CampaignSummary:
        """Notes on the campaign itself that this night holds or runs it; a night without data says nothing of it."""
        if not self._dry_run and not self._stopped() and record.state in ALIVE:
            if summary.held:
                self._ws.campaigns.note(record, "hold", comment=summary.held)
            elif record.campaign.schedule.date is None:
                self._ws.campaigns.note(record, "run")
        return summary

    def _why_held(self, record: CampaignRecord, parts: dict[str, str], resolved: Resolved) -> str | None:
        """Why a campaign may not go out: templates, its approval, one that nobody gave, or stale tables; else None."""
        now, name = self._ws.now(), record.campaign.name
        latest = None if is_pretended() else self._ws.store.audit.latest_since("campaign approve", subject=name)
        if is_pretended() and record.approval:
            # in a rehearsal somebody may have approved by a clock that went ahead of this one
            now = max(now, record.approval.approved_at)
        unchecked = self.unready.get(resolved.app_group.name) or self._unchecked(resolved.app_group.id)
        authority = self._ws.campaigns.authority
        reason = unchecked or why_held(record, parts, authority=authority, now=now, latest=latest)
        if reason is None and (forged := self._ws.checkpoints.why_unrecorded(record)):
            reason = f"the audit trail was tampered with: {forged}"
        reason = reason or resolved.why_over(self._run_date)
        return reason or self._ws.freshness.why_stale(resolved, self.ages())

    def _audience(self, record: CampaignRecord, shared: SharedGroups) -> CampaignSummary:
        campaign = record.campaign
        names = (campaign.name, campaign.app_group, ", ".join(campaign.template_names))
        there = self._planned(record)
        if there:
            figures = figures_of(self._ws, there)
            with suppress(OptinbError):  # which is told when it is to be sent
                return replace(figures, held=self._why_not_now(*there)) if figures.pending else figures
            return figures
        if stopped := self._stopped():
            return held(*names, stopped)
        try:
            resolved = self._ws.campaigns.resolve(campaign)
            campaign = resolved.campaign
            reason = self._why_held(record, resolved.parts(), resolved)
            once = self._ws.campaigns.why_not_again(resolved)
            among = self._policy_state
            mix = None if self._dry_run or reason else self._ws.mixes.keep(campaign, self._run_date)
            rows = self._ws.campaigns.audience(
                resolved, run_date=self._run_date, night=self._run_date, among=among, shared=shared
            )
        except Exception as error:  # whatever it is, it must not keep the other campaigns from being planned
            told = failure(error, doing="build its audience")
            self.failures += [] if isinstance(error, OptinbError) else [f"{campaign.name!r}: {told}"]
            return held(*names, told)
        self.notes += [f"{once}; until then customers who had it get nothing of it"] if once and not reason else []
        kept = why_kept(rows, among.placed, name=campaign.name, salt=campaign.id, control=campaign.control)
        self.notes += [kept] if kept else []
        self.notes += [f"{campaign.name!r}: {mix.sentence()}"] if mix else []
        rule = from_json(resolved.rule_json)
        if MICRO_SEGMENT in attributes_of(rule):
            empty = empty_micro_segments(rule, self._ws.tables_on(self._run_date, rule))
            self.notes += [f"{campaign.name!r}: {note}" for note in empty]
        figures = waterfall(rows)
        for one in resolved.by_template.values():
            many = why_too_many(one.rules, one.template.name, figures.recipients)
            self.notes += [f"{campaign.name!r}: {many}"] if many else []
        reason = reason or why_held_by_size(record, figures.recipients) or self._why_short(campaign, figures.recipients)
        if reason or record.approval is None:
            return held(*names, reason or "it is not approved", figures)
        send_at = campaign.schedule.send_at(self._run_date, self._ws.settings.zone)
        if self._dry_run:
            among.promise(rows, resolved.competitor(self._run_date))
            names, messages = (resolved.app_group.name, resolved.template_names), to_be(rows, resolved)
            return rehearsed(campaign.name, *names, figures, send_at, messages)
        now = self._ws.now()
        try:
            plan(
                self._ws.store,
                rows,
                campaign=campaign,
                campaign_version=record.version,
                run_date=self._run_date,
                app_group_id=resolved.app_group.id,
                template_id=[template.id for template in resolved.each_template],
                send_at=send_at,
                fingerprint=record.approval.fingerprint,
                root=self._ws.root,
                user=self._ws.user,
                now=now,
            )
        except (StateError, CampaignError) as error:
            return held(*names, str(error), figures)
        messages = self._messages(record.id)
        # and not another run's
        self._looked_at |= {plan_of(message) for message in messages if message.planned_at == now}
        among.promise(rows, resolved.competitor(self._run_date))
        return figures_of(self._ws, messages)

    def _why_short(self, campaign: Campaign, recipients: int) -> str | None:
        """Why the promotion codes don't suffice, or None; a dry run counts what its other campaigns would take."""
        if campaign.codes is None:
            return None
        pool = self._ws.store.codes.find(campaign.codes)
        key = campaign.codes.casefold()
        short = why_short(campaign, left=pool.left - self._promised[key] if pool else 0, needed=recipients)
        if self._dry_run and short is None:
            self._promised[key] += recipients
        return short

    def _messages(self, campaign_id: str, run_date: date | None = None) -> tuple[FrozenAudience, ...]:
        """What is frozen of a campaign's messages tonight, or on another night."""
        return self._ws.store.deliveries.messages(campaign_id, run_date or self._run_date)

    def _planned(self, record: CampaignRecord) -> tuple[FrozenAudience, ...]:
        """What an earlier attempt has frozen.

        What a person stopped before anything of any message was sent counts as not frozen, once the campaign is
        approved again.
        """
        there = self._messages(record.id)
        if any(message.cancelled is not None for message in there) and record.state in ALIVE:
            counts = counts_of(self._ws, there)
            is_stopped = all(one.cancelled == one.recipients for one in counts)
            return () if is_stopped else there
        return there

    def _why_not_now(self, *messages: FrozenAudience) -> str | None:
        """Why what is frozen and not sent yet may not go out now, or None: the campaign as it is now is checked.

        What holds one message of a campaign holds all of them. Raises OptinbError where what is frozen can't be read
        here.
        """
        if stopped := self._stopped():
            return stopped
        try:
            record = self._ws.campaigns.get(messages[0].of_campaign)
            resolved = self._ws.campaigns.resolve(record.campaign)
        except OptinbError as error:
            return str(error)
        parts, approval = resolved.parts(), record.approval
        if approval and approval.fingerprint == messages[0].fingerprint:
            # what an earlier release froze is finished under the approval that it had then, which knew fewer parts
            new = (REBUILT, RULES_OF_TEMPLATE)  # what is stated of a template enters its campaigns' parts at any time
            parts = {name: text for name, text in parts.items() if name in approval.parts or name in new}
        reason = self._why_held(record, parts, resolved)
        if reason or approval is None:
            return reason
        for message in messages:
            if not self._ws.store.deliveries.counts(*message.night).pending:
                continue
            is_known = plan_of(message) in self._looked_at
            reason = why_not_approved(self._ws, record, resolved, message, is_known=is_known)
            if reason:
                return reason
            self._looked_at.add(plan_of(message))
        return None

    def _look_at_trail(self) -> None:
        """By an audit trail that isn't whole, or not the one that the nights noted, nobody knows what was decided."""
        try:
            self.distrusted = self._ws.checkpoints.why_distrusted()
        except StateError as error:
            self.distrusted = str(error)
        if self.distrusted and self.distrusted not in self.failures:
            self.failures.append(self.distrusted)

    def _stopped(self) -> str | None:
        """Why nothing at all is planned or sent, or None."""
        return self.distrusted or (f"a check of the data blocked the sends: {self.blocked}" if self.blocked else None)

    def _unchecked(self, app_group_id: str) -> str | None:
        """Why the templates of an app group couldn't be compared with Appboy tonight, or None."""
        for sync in self.synced:
            if sync.app_group_id == app_group_id:
                return (
                    f"the templates of {sync.app_group!r} couldn't be checked: {sync.problem}" if sync.problem else None
                )
        return "the templates have not been checked tonight"

    def _sent(self, messages: Sequence[FrozenAudience], ids: SendIds) -> CampaignSummary:
        """Sends what is still planned of a campaign; a failure is noted, and its figures are told all the same."""
        reason = None
        try:
            if any(one.pending for one in counts_of(self._ws, messages)):
                reason = self._why_not_now(*messages)
            reason = reason or self._send(messages, ids)
        except Exception as error:  # whatever it is, it must not keep the other campaigns from being sent
            self.failures.append(f"{messages[0].campaign_name!r}: {failure(error, doing='send')}")
        return replace(figures_of(self._ws, messages), held=reason)

    def _send(self, messages: Sequence[FrozenAudience], ids: SendIds) -> str | None:
        """Sends a campaign's messages, each between two looks at its template.

        An edit of one template holds all of them: all are looked at before the first, and each again before its own.
        What fails for one of them doesn't stop the others. Returns why it was held or recalled, or None.
        """
        first = messages[0]
        with self._ws.sends.client(first) as client:
            if before := look_before(self._ws, client, still_to_send(self._ws, messages)):
                return self._told(first, before)
            for message in messages:
                try:
                    is_later = message is not first
                    if is_later and (before := look_before(self._ws, client, still_to_send(self._ws, [message]))):
                        return self._told(message, before)
                    why_not, holder = self._why_not_now, self._holder
                    stopped = send_message(
                        self._ws, client, message, ids, holder=holder, wait_s=WAIT_S, why_not=why_not
                    )
                except Exception as error:  # whatever it is, it must not keep the others from being sent
                    stopped = failure(error, doing="send")
                self.failures += [f"{message.campaign_name!r}: {stopped}"] if stopped else []
            after = look_afterwards(self._ws, client, messages)
        if self._told(first, after):
            return after.held
        sums = figures_of(self._ws, self._messages(first.of_campaign))
        if sums.pending == 0 and not (sums.cancelled and sums.cancelled == sums.planned):
            self._ws.campaigns.finish(first.of_campaign)
        return None

    def _told(self, audience: FrozenAudience, look: SecondLook) -> str | None:
        """Keeps what a look is to tell; returns why it holds the campaign."""
        self.notes += [look.note] if look.note else []
        self.failures += [f"{audience.campaign_name!r}: {look.failure}"] if look.failure else []
        return look.held
