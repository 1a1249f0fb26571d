"""Campaigns of a workspace: planning, approval, and what a night will do with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from optinb.campaigns import (
    ALIVE,
    Authority,
    Campaign,
    CampaignRecord,
    ContactPolicyState,
    Going,
    Power,
    Step,
    archive,
    calendar,
    campaign_from,
    cancel,
    check_quiet,
    check_schedule,
    draft,
    finish,
    may,
    reject,
    step,
    submit,
)
from optinb.delivery.sends import Cancellation, Sends
from optinb.errors import CampaignError, ConflictError, OptinbError
from optinb.planning.approving import Approvals, authority_of
from optinb.planning.audiences import check_audience
from optinb.planning.campaign_records import CampaignRecords, Source, as_campaign
from optinb.planning.readiness import lacks_of
from optinb.planning.trial_sends import for_trial
from optinb.rules import Rule, from_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date
    from typing import Any

    import polars as pl

    from optinb.appboy import Templates
    from optinb.base.context import Context
    from optinb.campaigns import Lack
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.planning.approving import LastApproval
    from optinb.planning.audiences import Audiences
    from optinb.planning.campaign_preview import CampaignPreview, Previews
    from optinb.planning.resolved import Resolved, Resolver
    from optinb.planning.trial_sends import SampleMessage, SentTest, Trials
    from optinb.segments.together import SharedGroups


class Campaigns:
    """`ws.campaigns`: submit, approve, reject, cancel, and look at campaigns."""

    def __init__(
        self,
        context: Context,
        store: CampaignStore,
        *,
        records: CampaignRecords,
        resolver: Resolver,
        audiences: Audiences,
        previews: Previews,
        approvals: Approvals,
        trials: Trials,
        sends: Sends,
        templates: Templates,
    ) -> None:
        self._context, self._settings, self._store, self._records = context, context.settings, store, records
        self._resolver, self._audiences, self._previews = resolver, audiences, previews
        self._approvals, self._trials, self._sends = approvals, trials, sends
        self._templates = templates

    def list(self, *, archived: bool = False) -> tuple[CampaignRecord, ...]:
        """Every campaign, by name.

        Args:
            archived: whether those that were archived are among them.
        """
        return tuple(record for record in self._store.list() if archived or not record.archived)

    def get(self, name: str) -> CampaignRecord:
        """One campaign.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
        """
        return self._store.get(name)

    def waiting(self) -> list[CampaignRecord]:
        """The campaigns that wait for a decision, the oldest first."""
        return sorted((r for r in self.list() if r.state == "submitted"), key=lambda r: r.submitted_at)

    def read(self, source: Source) -> Campaign:
        """A campaign from a value, from its fields, or from a `campaign.toml`; nothing is saved.

        Args:
            source: a campaign, its fields, or the path of a `campaign.toml`.

        Raises:
            CampaignError: with the field and the remedy, for what is no campaign.
        """
        return as_campaign(source)

    def lacking(self, fields: Mapping[str, Any]) -> tuple[Lack, ...]:
        """What keeps a campaign in the making from being submitted, by field, as far as can be told without counting.

        Args:
            fields: as in a `campaign.toml`, with holes for what isn't written yet.

        Returns:
            what is missing, or wrong, in the order of the form.
        """
        return lacks_of(fields, context=self._context, templates=self._templates, resolver=self._resolver)

    def submit(self, source: Source) -> CampaignRecord:
        """Submits a campaign for approval by a second person.

        A campaign that exists under this name is replaced and must be approved again.

        Args:
            source: a campaign, its fields, or the path of a `campaign.toml`.

        Raises:
            CampaignError: with the remedy, when the campaign can't go out as it is.
            RuleError: when its target group doesn't fit the data.
        """
        campaign, now = as_campaign(source), self._context.now()
        resolved = self._resolver.to_send(campaign)
        check_schedule(campaign.schedule, now=now, zone=self._settings.zone)
        check_quiet(self._settings.policy, campaign.schedule)
        self._resolver.check_again(resolved)
        check_audience(
            resolved.campaign, self._audiences.build(resolved)
        )  # what a night would stumble over is said now
        earlier = self._store.find(campaign.id)
        record = submit(campaign, user=self._context.user, now=now, earlier=earlier)
        if record is earlier:
            return record
        self._records.put(record, "submit", before=earlier)
        self._records.stop(record, "a new version of the campaign was submitted")
        return record

    def approve(self, name: str, *, seen: str | CampaignPreview, comment: str = "") -> CampaignRecord:
        """Approves what the approver has seen: rule, template, properties, schedule, control share and size.

        Args:
            name: of the campaign.
            seen: what they looked at: the preview, or its fingerprint.
            comment: for the author.

        Raises:
            ApprovalError: when the user may not approve, when the campaign isn't what they saw any more, or when the
                audit trail tells another story of it.
            CampaignError: with the nearest name, for a campaign that isn't known, or one that can't go out as it is.
        """
        return self._approvals.approve(name, seen=seen, comment=comment)

    def reject(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Rejects a submitted campaign. Its author may, too.

        Args:
            name: of the campaign.
            comment: the reason, for its author.

        Raises:
            ApprovalError: when the user may not reject it, or it doesn't wait for a decision.
            CampaignError: with the nearest name, for a campaign that isn't known.
        """
        record = self.get(name)
        rejected = reject(
            record,
            user=self._context.user,
            approvers=self._settings.workspace.approvers,
            comment=comment,
            now=self._context.now(),
        )
        return self._records.put(rejected, "reject", before=record)

    def last_approval(self, preview: CampaignPreview) -> LastApproval | None:
        """The last approval of a previewed campaign, with what has changed since.

        Args:
            preview: as `preview` gave it.

        Returns:
            None where there was no approval.
        """
        return self._approvals.last(preview)

    @property
    def authority(self) -> Authority:
        """Whose approval counts, by the settings."""
        return authority_of(self._settings)

    def save_draft(self, source: Source) -> CampaignRecord:
        """Keeps a campaign that is still being worked on; no night looks at it.

        Args:
            source: a campaign, its fields, or the path of a `campaign.toml`.

        Raises:
            CampaignError: for what is no campaign, or when it is too late for a draft.
        """
        campaign = as_campaign(source)
        earlier = self._store.find(campaign.id)
        record = draft(campaign, user=self._context.user, now=self._context.now(), earlier=earlier)
        return self._records.put(record, "draft", before=earlier)

    def copy(self, name: str, new_name: str) -> CampaignRecord:
        """A draft like another campaign, under a name of its own: it draws its own control group.

        Args:
            name: of the campaign that is copied.
            new_name: of the draft; no campaign may bear it yet.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, or when one of the new name exists.
        """
        campaign = campaign_from({**msgspec.to_builtins(self.get(name).campaign), "name": new_name})
        if self._store.find(campaign.id):
            raise CampaignError(f"there is a campaign {new_name!r} already; choose another name for the copy")
        return self.save_draft(campaign)

    def pause(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Lets a campaign rest: no night sends it until it's resumed, and what waits to be sent is stopped.

        Args:
            name: of the campaign.
            comment: why, for those who look at it later.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, or one that can't be paused.
        """
        record = self._step(name, "pause", comment=comment)
        self._records.stop(record, comment or "the campaign was paused")
        return record

    def resume(self, name: str, *, comment: str = "") -> CampaignRecord:
        """Lets a paused campaign go on under its approval, unless that has expired.

        Args:
            name: of the campaign.
            comment: why, for those who look at it later.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, or one that isn't paused.
        """
        return self._step(name, "resume", comment=comment)

    def archive(self, name: str) -> CampaignRecord:
        """Puts a campaign that is over out of sight.

        Args:
            name: of the campaign.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, or one that may still go out.
        """
        record = self.get(name)
        return self._records.put(archive(record, now=self._context.now()), "archive", before=record)

    def calendar(self, *, days: int = 90, waiting: bool = False) -> tuple[Going, ...]:
        """What goes out in the coming days, of all campaigns that are approved, held or running.

        Args:
            days: how many days, today included.
            waiting: whether it also tells what would go out of those that are submitted or paused.

        Returns:
            one entry for each campaign and day, in the order of their moments, then of names.
        """
        states = (*ALIVE, "submitted", "paused") if waiting else ALIVE
        alive = [record.campaign for record in self.list() if record.state in states]
        return calendar(alive, since=self._context.today(), zone=self._settings.zone, days=days)

    def note(self, record: CampaignRecord, what: Step, *, comment: str = "") -> None:
        """Notes what a night does with a campaign; one that a person changed meanwhile is left alone.

        Args:
            record: the campaign as the night has read it.
            what: the step that it takes.
            comment: why.

        Raises:
            CampaignError: for a step that doesn't follow its state.
        """
        with suppress(ConflictError):
            noted = step(record, what, now=self._context.now(), comment=comment)
            if noted.state != record.state:
                self._records.put(noted, what, before=record)

    def _step(self, name: str, what: Step, *, comment: str) -> CampaignRecord:
        record = self.get(name)
        stepped = step(record, what, now=self._context.now(), comment=comment)
        return self._records.put(stepped, what, before=record)

    def cancel(self, name: str, *, comment: str = "") -> Cancellation:
        """Cancels a campaign: no later night sends it, and what is scheduled of it and not out yet is recalled.

        A night that is under way sends no more of it. One that is cancelled already may be cancelled again, to recall
        what couldn't be recalled the first time.

        Args:
            name: of the campaign.
            comment: why, for those who look at it later.

        Returns:
            what could be stopped and recalled, by night.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known, or one that is over.
            StateError: when the database was put back to an earlier state.
        """
        reason = comment or "the campaign was cancelled"
        if forgotten := self._sends.forgotten(name):
            return Cancellation(campaign=name, comment=comment, nights=self._sends.recall(forgotten, reason=reason))
        record = self.get(name)
        is_still_to_go_out = bool(self._sends.recallable(record.id))
        if may(record.state, "cancel") or not is_still_to_go_out:
            cancelled = cancel(record, comment=comment, now=self._context.now(), is_still_to_go_out=is_still_to_go_out)
            self._records.put(cancelled, "cancel", before=record)
        nights = self._sends.recall(record.id, reason=reason)
        self._records.stop(record, reason)
        return Cancellation(campaign=name, comment=comment, nights=nights)

    def finish(self, campaign_id: str) -> None:
        """Marks a campaign of one date as done, after its night; one that a person changed meanwhile is left alone.

        Args:
            campaign_id: 12 hexadecimal digits, as `CampaignRecord.id` has them.
        """
        record = self._store.find(campaign_id)
        if record and may(record.state, "finish") and record.campaign.schedule.date is not None:
            with suppress(ConflictError):
                self._records.put(finish(record, now=self._context.now()), "finish", before=record)

    def resolve(self, campaign: Campaign) -> Resolved:
        """Finds app group, template and rule of a campaign.

        Args:
            campaign: whose names are looked up.

        Raises:
            CampaignError: for a template or group that isn't known.
            SettingsError: for an app group that isn't known.
            RuleError: for a rule that can't be bound.
        """
        return self._resolver.resolve(campaign)

    def why_not_again(self, resolved: Resolved) -> str | None:
        """Why a campaign that recurs would reach customers once only, by what is stated of its template.

        Args:
            resolved: as `resolve` gave it.

        Returns:
            None where customers may get the template again in time, or the target group leaves out who may not.
        """
        return self._resolver.why_not_again(resolved)

    def share(self, campaigns: Iterable[Campaign], *, run_date: date) -> SharedGroups:
        """The target groups of some campaigns, found together; those that can't be resolved are left out.

        Args:
            campaigns: those of one night.
            run_date: the night as of which they are found.
        """
        rules: list[Rule] = []
        for campaign in campaigns:
            with suppress(OptinbError):
                rules.append(from_json(self._resolver.resolve(campaign).rule_json))
        return self._audiences.share(rules, run_date=run_date)

    def compete(self, night: date, *, tables_of: date | None = None) -> ContactPolicyState:
        """Where every customer stands with the contact policy before a night's campaigns choose.

        Args:
            night: the one that is to send.
            tables_of: the night whose tables are read; the date of the newest delivery when left out.

        Raises:
            StateError: when a frozen audience that counts can't be read or was changed.
        """
        due = [record.campaign for record in self.list() if record.campaign.schedule.is_due(night)]
        return self._audiences.policy_state(night, due, tables_of=tables_of)

    def uncontested(self, campaign: Campaign, night: date) -> ContactPolicyState:
        """As `compete` for one campaign, as if nothing else, and no other night of its own, had contacted anybody.

        Args:
            campaign: the one that is to go out.
            night: the one that is to send, whose tables are read.
        """
        return self._audiences.uncontested(night, [campaign], tables_of=night)

    def audience(
        self,
        resolved: Resolved,
        *,
        run_date: date | None = None,
        night: date | None = None,
        among: ContactPolicyState | None = None,
        shared: SharedGroups | None = None,
        people: pl.LazyFrame | None = None,
    ) -> pl.DataFrame:
        """The audience as of a date: what would happen to every member of the target group, and why.

        Args:
            resolved: the campaign, as `resolve` gave it.
            run_date: the night whose tables are read; the date of the newest delivery when left out.
            night: the one that is to send; needed with `among`.
            among: where customers stand with the contact policy, which judges nothing when left out.
            shared: target groups that were found before; the members that it has aren't looked for again.
            people: customer_id, each once: these instead of the members.

        Returns:
            a frame with one row a customer, sorted by customer_id: customer_id, external_user_id, outcome ("recipient",
            "control" or "excluded"), reason (null but for the excluded) and properties (a JSON object as text, null for
            the excluded), all text.

        Raises:
            CampaignError: when a property names an attribute that isn't known.
            RuleError: when the rule doesn't fit the data.
        """
        return self._audiences.build(
            resolved, run_date=run_date, night=night, among=among, shared=shared, people=people
        )

    def preview(
        self,
        source: str | Source,
        *,
        samples: int = 3,
        among: ContactPolicyState | None = None,
        in_full: bool = False,
    ) -> CampaignPreview:
        """Who would get a campaign on its next night, by today's tables, and what they read.

        Args:
            source: the name of a saved campaign, or a campaign, its fields, or the path of a `campaign.toml`.
            samples: how many recipients' messages are shown.
            among: what others were promised on that night; by what was sent or planned so far when left out.
            in_full: whether it also has what takes longer to find: the power of the test, and the other campaigns of
                that night with the customers that they take.

        Raises:
            CampaignError: when the campaign, or its template or group, isn't known or can't be shown.
            RuleError: when its target group doesn't fit the data.
            AppboyError: for Liquid that can't be read.
        """
        return self._previews.of(self._named(source), samples=samples, among=among, in_full=in_full)

    def power(self, preview: CampaignPreview) -> Power | None:
        """What the test of a previewed campaign can see, by the purchases of its group.

        Args:
            preview: as `preview` gave it.

        Returns:
            None for a campaign without a control group.
        """
        return self._previews.power(preview)

    def message(self, source: str | Source, customer_id: str) -> SampleMessage:
        """What one customer, in the audience or not, would read of a campaign.

        Args:
            source: the name of a saved campaign, or a campaign, its fields, or the path of a `campaign.toml`.
            customer_id: the reader.

        Raises:
            CampaignError: for a customer who isn't known or has no value for a property that the template needs.
            AppboyError: for Liquid that can't be read.
        """
        return self._trials.message(self._resolver.resolve(self._named(source)), customer_id)

    def test_send(self, source: str | Source, *, customers: Collection[str] | None = None) -> SentTest:
        """Sends a campaign's message to test customers, now.

        It needs no approval, enters the audit trail, and no journal or figure of a night. The request is never
        repeated.

        Args:
            source: the name of a saved campaign, or a campaign, its fields (which may do without a name and a time), or
                the path of a `campaign.toml`.
            customers: ids of customers with is_test who opted in, 50 at most; all of them when left out.

        Raises:
            CampaignError: when the campaign can't go out, or somebody of `customers` can't get a test send.
            AppboyError: when Appboy refused it, or it isn't known whether it was sent.
        """
        campaign = for_trial(source) if isinstance(source, Mapping) else self._named(source)
        return self._trials.send(self._resolver.to_send(campaign), customers=customers)

    def _named(self, source: str | Source) -> Campaign:
        return self.get(source).campaign if isinstance(source, str) else as_campaign(source)
