"""Campaigns of a workspace: planning, approval, and what a night will do with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from optinb.campaigns import (
    ALIVE,
    REASONS,
    Authority,
    Campaign,
    CampaignRecord,
    Competition,
    Competitor,
    Going,
    Power,
    archive,
    build_audience,
    calendar,
    campaign_from,
    cancel,
    check_quiet,
    check_schedule,
    draft,
    finish,
    may,
    personal,
    quiet_zones,
    read_campaign,
    reject,
    step,
    submit,
)
from optinb.errors import CampaignError, ConflictError, OptinbError
from optinb.rules import from_json
from optinb.segments import members
from optinb.workspace.approving import approve_seen
from optinb.workspace.contacts import competition, uncontested
from optinb.workspace.power import power_for
from optinb.workspace.previewing import CampaignPreview, preview_of
from optinb.workspace.refusals import check_audience, check_sendable
from optinb.workspace.resolved import Resolved, resolve
from optinb.workspace.samples import SampleMessage, sample_message
from optinb.workspace.sends import Cancellation
from optinb.workspace.shared import SharedGroups
from optinb.workspace.trial import SentTest, send_test

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date
    from typing import Any

    from optinb.campaigns import Step
    from optinb.workspace.handle import Workspace


class Campaigns:
    """`ws.campaigns`: submit, approve, reject, cancel, and look at campaigns."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def list(self, *, archived: bool = False) -> tuple[CampaignRecord, ...]:
        """Every campaign, by name; those that were archived only where they are asked for."""
        return tuple(record for record in self._ws.store.campaigns.list() if archived or not record.archived)

    def get(self, name: str) -> CampaignRecord:
        """One campaign. Raises CampaignError with the nearest name."""
        return self._ws.store.campaigns.get(name)

    def waiting(self) -> list[CampaignRecord]:
        """The campaigns that wait for a decision, the oldest first."""
        return sorted((r for r in self.list() if r.state == "submitted"), key=lambda r: r.submitted_at)

    def read(self, source: Campaign | Mapping[str, Any] | Path) -> Campaign:
        """A campaign from a value, from its fields, or from a `campaign.toml`. Raises CampaignError."""
        if isinstance(source, Campaign):
            return source
        if isinstance(source, Path):
            return read_campaign(source)
        if not isinstance(source, Mapping):
            raise CampaignError(f"{source!r} is no campaign; give its fields, or Path('campaign.toml')")
        return campaign_from(source)

    def submit(self, source: Campaign | Mapping[str, Any] | Path) -> CampaignRecord:
        """Submits a campaign for approval by a second person.

        A campaign that exists under this name is replaced and must be approved again. Raises CampaignError with the
        remedy when the campaign can't go out as it is.
        """
        campaign, now = self.read(source), self._ws.now()
        resolved = self.resolve(campaign)
        check_sendable(self._ws, resolved)
        check_schedule(campaign.schedule, now=now, zone=self._ws.settings.zone)
        check_quiet(self._ws.settings.policy, campaign.schedule)
        check_audience(resolved.campaign, self.audience(resolved))  # what a night would stumble over is said now
        earlier = self._ws.store.campaigns.find(campaign.id)
        record = submit(campaign, user=self._ws.user, now=now, earlier=earlier)
        if record is earlier:
            return record
        self._put(record, "submit", expected=earlier.version if earlier else None)
        self._stop(record, "a new version of the campaign was submitted")
        return record

    def approve(self, name: str, *, seen: str | CampaignPreview, comment: str = "") -> CampaignRecord:
        """Approves what the approver has seen: rule, template, properties, schedule, control share and size.

        Args:
            name: of the campaign.
            seen: what they looked at: the preview, or its fingerprint.
            comment: for the author.

        Raises ApprovalError when the user may not approve, when the campaign isn't what they saw any more, or when the
        audit trail tells another story of it.
        """
        return approve_seen(self._ws, name, seen=seen, comment=comment)

    def reject(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Rejects a submitted campaign, with a reason for its author."""
        record = self.get(name)
        rejected = reject(
            record,
            user=self._ws.user,
            approvers=self._ws.settings.workspace.approvers,
            comment=comment,
            now=self._ws.now(),
        )
        self._put(rejected, "reject", expected=record.version)
        return rejected

    @property
    def authority(self) -> Authority:
        """Whose approval counts, by the settings."""
        workspace, policy = self._ws.settings.workspace, self._ws.settings.policy
        return Authority(
            approvers=workspace.approvers,
            approve_own=workspace.approve_own,
            days=policy.approval_days,
            keys=policy.keys,
        )

    def save_draft(self, source: Campaign | Mapping[str, Any] | Path) -> CampaignRecord:
        """Keeps a campaign that is still being worked on; no night looks at it."""
        campaign = self.read(source)
        earlier = self._ws.store.campaigns.find(campaign.id)
        record = draft(campaign, user=self._ws.user, now=self._ws.now(), earlier=earlier)
        self._put(record, "draft", expected=earlier.version if earlier else None)
        return record

    def copy(self, name: str, new_name: str) -> CampaignRecord:
        """A draft like another campaign, under a name of its own: it draws its own control group."""
        campaign = campaign_from({**msgspec.to_builtins(self.get(name).campaign), "name": new_name})
        if self._ws.store.campaigns.find(campaign.id):
            raise CampaignError(f"there is a campaign {new_name!r} already; choose another name for the copy")
        return self.save_draft(campaign)

    def pause(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Lets a campaign rest: no night sends it until it's resumed, and what waits to be sent is stopped."""
        record = self._step(name, "pause", comment=comment)
        self._stop(record, comment or "the campaign was paused")
        return record

    def resume(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Lets a paused campaign go on under its approval, unless that has expired."""
        return self._step(name, "resume", comment=comment)

    def archive(self, name: str) -> CampaignRecord:
        """Puts a campaign that is over out of sight. Raises CampaignError for one that may still go out."""
        record = self.get(name)
        archived = archive(record, now=self._ws.now())
        self._put(archived, "archive", expected=record.version)
        return archived

    def calendar(self, *, days: int = 90, waiting: bool = False) -> tuple[Going, ...]:
        """What goes out in the coming days, of all campaigns that are approved, held or running.

        With `waiting`, also what would go out of those that are submitted or paused.
        """
        states = (*ALIVE, "submitted", "paused") if waiting else ALIVE
        alive = [record.campaign for record in self.list() if record.state in states]
        return calendar(alive, since=self._ws.today(), zone=self._ws.settings.zone, days=days)

    def note(self, record: CampaignRecord, what: Step, *, comment: str = "") -> None:
        """Notes what a night does with a campaign; one that a person changed meanwhile is left alone."""
        with suppress(ConflictError):
            noted = step(record, what, now=self._ws.now(), comment=comment)
            if noted.state != record.state:
                self._put(noted, what, expected=record.version)

    def _step(self, name: str, what: Step, *, comment: str) -> CampaignRecord:
        record = self.get(name)
        stepped = step(record, what, now=self._ws.now(), comment=comment)
        self._put(stepped, what, expected=record.version)
        return stepped

    def cancel(self, name: str, *, comment: str = "") -> Cancellation:
        """Cancels a campaign: no later night sends it, and what is scheduled of it and not out yet is recalled.

        A night that is under way sends no more of it. One that is cancelled already may be cancelled again, to recall
        what couldn't be recalled the first time. Raises CampaignError when it's over, StateError when the database was
        put back to an earlier state.
        """
        reason = comment or "the campaign was cancelled"
        if forgotten := self._ws.sends.forgotten(name):
            return Cancellation(campaign=name, comment=comment, nights=self._ws.sends.recall(forgotten, reason=reason))
        record = self.get(name)
        is_still_to_go_out = bool(self._ws.sends.recallable(record.id))
        if may(record.state, "cancel") or not is_still_to_go_out:
            cancelled = cancel(record, comment=comment, now=self._ws.now(), is_still_to_go_out=is_still_to_go_out)
            self._put(cancelled, "cancel", expected=record.version)
        nights = self._ws.sends.recall(record.id, reason=reason)
        self._stop(record, reason)
        return Cancellation(campaign=name, comment=comment, nights=nights)

    def finish(self, campaign_id: str) -> None:
        """Marks a campaign of one date as done, after its night; one that a person changed meanwhile is left alone."""
        record = self._ws.store.campaigns.find(campaign_id)
        if record and may(record.state, "finish") and record.campaign.schedule.date is not None:
            with suppress(ConflictError):
                self._put(finish(record, now=self._ws.now()), "finish", expected=record.version)

    def resolve(self, campaign: Campaign) -> Resolved:
        """Finds app group, template and rule of a campaign. Raises CampaignError or SettingsError."""
        return resolve(self._ws, campaign)

    def share(self, campaigns: Iterable[Campaign], *, run_date: date) -> SharedGroups:
        """The target groups of some campaigns, found together; those that can't be resolved are left out."""
        rules = []
        for campaign in campaigns:
            with suppress(OptinbError):
                rules.append(from_json(self.resolve(campaign).rule_json))
        return SharedGroups(self._ws, rules, run_date=run_date)

    def compete(self, night: date, *, tables_of: date | None = None) -> Competition:
        """Where every customer stands with the contact policy before a night's campaigns choose."""
        due = [record.campaign for record in self.list() if record.campaign.schedule.is_due(night)]
        return competition(self._ws, night=night, due=due, tables=self._ws.tables(tables_of))

    def uncontested(self, campaign: Campaign, night: date) -> Competition:
        """The same for one campaign, as if no other one, and no other night of its own, had contacted anybody."""
        return uncontested(self._ws, night=night, due=[campaign], tables=self._ws.tables(night))

    def competitor(self, resolved: Resolved, night: date) -> Competitor:
        """A campaign as the contact policy sees it, in the night that schedules it."""
        day = resolved.campaign.schedule.day_of(night)
        return Competitor.of(resolved.campaign, app_group_id=resolved.app_group.id, day=day)

    def audience(
        self,
        resolved: Resolved,
        *,
        run_date: date | None = None,
        night: date | None = None,
        among: Competition | None = None,
        shared: SharedGroups | None = None,
        people: pl.LazyFrame | None = None,
    ) -> pl.DataFrame:
        """The audience as of a date: a row for every member of the target group (see `build_audience`).

        With `among`, as the contact policy lets it be in `night`. With `shared`, the members that were found there.
        With `people` (customer_id, each once), these instead of the members.
        """
        rule, campaign, settings = from_json(resolved.rule_json), resolved.campaign, self._ws.settings
        tables = self._ws.tables_for(rule, run_date=run_date)
        group = shared.members(self._ws, rule, run_date=run_date) if shared is not None else people
        quiet: frozenset[str] = frozenset()
        if among is not None and night is not None:
            zones = among.roster.zones(unknown=settings.workspace.time_zone)
            quiet = quiet_zones(settings.policy, campaign.schedule, night, zone=settings.zone, zones=zones)
        return build_audience(
            members(rule, tables).to_native() if group is None else group,
            tables.customers.to_native(),
            tables.app_users.to_native(),
            apps=resolved.app_group.apps_on(frozenset(resolved.template.platforms)),
            properties=campaign.properties,
            offer=campaign.offered,
            control=campaign.control,
            salt=campaign.id,
            untold=tables.untold,
            quiet=quiet,
            zone=settings.workspace.time_zone,
            competition=among,
            who=self.competitor(resolved, night) if among is not None and night is not None else None,
            identity=tables.identity(),
        )

    def preview(
        self,
        source: str | Campaign | Mapping[str, Any] | Path,
        *,
        samples: int = 3,
        among: Competition | None = None,
        in_full: bool = False,
    ) -> CampaignPreview:
        """Who would get a campaign (or the one of that name) on its next night, by today's tables, and what they read.

        The contact policy counts what was sent or planned so far; with `among`, also what others were promised there.
        With `in_full` it also has what takes longer to find: the power of the test, and the other campaigns of that
        night with the customers that they take.
        """
        return preview_of(self._ws, self.resolve(self._named(source)), samples=samples, among=among, in_full=in_full)

    def power(self, preview: CampaignPreview) -> Power | None:
        """What the test of a previewed campaign can see, by the purchases of its group; None without control group."""
        return power_for(self._ws, preview.campaign, preview.waterfall)

    def message(self, source: str | Campaign | Mapping[str, Any] | Path, customer_id: str) -> SampleMessage:
        """What one customer, in the audience or not, would read of a campaign (or of the one of that name).

        Raises CampaignError for a customer who isn't known or has no value for a property that the template needs,
        AppboyError for Liquid that can't be read.
        """
        resolved = self.resolve(self._named(source))
        campaign, customers = resolved.campaign, self._ws.tables().customers.to_native()
        people = personal(customers, properties=campaign.properties, offer=campaign.exampled)
        rows = people.filter(pl.col("customer_id") == customer_id).collect().to_dicts()
        if not rows:
            raise CampaignError(f"{customer_id!r} is no customer of the published tables")
        if rows[0]["property_missing"]:
            raise CampaignError(f"customer {customer_id!r} {REASONS['property_missing']}, and gets no message")
        return sample_message(resolved.template, customer_id, rows[0]["properties"])

    def test_send(
        self, source: str | Campaign | Mapping[str, Any] | Path, *, customers: Collection[str] | None = None
    ) -> SentTest:
        """Sends a campaign's message (or that of the campaign of that name) to test customers, now.

        It goes to every customer with is_test who opted in, or to those of them in `customers`, 50 at most; it needs no
        approval, enters the audit trail, and no journal or figure of a night. Raises CampaignError or AppboyError.
        """
        resolved = self.resolve(self._named(source))
        check_sendable(self._ws, resolved)
        return send_test(self._ws, resolved, customers=customers)

    def _named(self, source: str | Campaign | Mapping[str, Any] | Path) -> Campaign:
        return self.get(source).campaign if isinstance(source, str) else self.read(source)

    def _stop(self, record: CampaignRecord, reason: str) -> None:
        """Cancels what is planned of the campaign and has not been sent."""
        deliveries = self._ws.store.deliveries
        for audience in deliveries.list(campaign_id=record.id, having=("planned", "sending")):
            deliveries.cancel(*audience.night, reason=reason, user=self._ws.user, now=self._ws.now())

    def _put(self, record: CampaignRecord, action: str, *, expected: int | None) -> None:
        self._ws.store.campaigns.put(record, expected=expected, user=self._ws.user, action=action, now=self._ws.now())
        self._ws.checkpoints.note_decision(record, action)
