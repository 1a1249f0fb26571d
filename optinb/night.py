"""One night: import, model, templates, audiences, sends, report.

Every step may be run again: what is done already is found and left as it is, so that a night that was killed goes on
where it stopped, and a night that is run twice sends nothing twice.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import ALIVE, Competitor, waterfall, why_held, why_held_by_size
from optinb.delivery import FrozenAudience, close_past, plan, send, why_short
from optinb.errors import (
    CampaignError,
    DeliveryError,
    Exit,
    GateError,
    NightError,
    OptinbError,
    StateError,
)
from optinb.files import write_atomically
from optinb.measure import (
    CampaignSummary,
    NightSummary,
    TableCounts,
    exit_code,
    frozen,
    held,
    left_over,
    rehearsed,
    render_report,
)
from optinb.warehouse.progress import progress
from optinb.workspace import Workspace, note_head, system_clock

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from optinb.appboy import TemplateNews
    from optinb.campaigns import Campaign, CampaignRecord, Competition
    from optinb.customers import CustomerModel
    from optinb.warehouse import ImportReport
    from optinb.workspace import GroupSync, Resolved, SharedGroups

WAIT_S = 45.0  # longer than a dead run's hold lasts


class Blocked(Struct, frozen=True, kw_only=True):
    """A step that was not done, and why."""

    step: str
    reason: str


class Night:
    """One night's run on a workspace; each step is a method, in the order of the notebook."""

    def __init__(
        self, workspace: Workspace, run_date: date, *, dry_run: bool = False, notebook: str | None = None
    ) -> None:
        self.ws, self.run_date, self.dry_run, self.notebook = workspace, run_date, dry_run, notebook
        self.blocked: str | None = None
        self._overtaken: str | None = None
        self._imported: ImportReport | None = None
        self._model: CustomerModel | None = None
        self._synced: tuple[GroupSync, ...] = ()
        self._campaigns: dict[str, CampaignSummary] = {}
        self._warnings: list[str] = []
        self._failures: list[str] = []
        self._reported: NightSummary | None = None
        self._promised: Counter[str] = Counter()  # codes of pools, in a dry run
        self._started_at = workspace.now()
        self._holder = workspace.sends.holder
        self._lease = workspace.store.lease(
            f"night {run_date}",
            holder=self._holder,
            clock=system_clock,
            wait_s=WAIT_S,
            what=f"the night of {run_date}",
        )
        self._run = workspace.store.runs.start(run_date, user=workspace.user, now=self._started_at)

    def __repr__(self) -> str:
        kind = "Dry run of the night" if self.dry_run else "Night"
        return f"{kind} of {self.run_date} on {self.ws.root}, run by {self.ws.user}"

    @property
    def folder(self) -> Path:
        """Where this night's notebook, report and summary lie."""
        return night_folder(self.ws.root, self.run_date, dry_run=self.dry_run)

    def import_delivery(self) -> ImportReport | Blocked:
        """Imports `inbox/<run_date>`. A gate that fails blocks the sends of this night."""
        self._overtaken = self._newer()
        if self._overtaken:
            self._warnings.append(self._overtaken)
            return Blocked(step="import", reason=self._overtaken)
        if not self.ws.warehouse.has_delivery(self.run_date):
            missing = f"there is no delivery of {self.run_date} in the inbox"
            self.blocked = self._stale(missing)
            if self.blocked is None:
                published = self.ws.snapshot().import_date
                self._warnings.append(f"{missing}; the night goes on with the tables of {published}")
            return Blocked(step="import", reason=self.blocked or self._warnings[-1])
        try:
            self._imported = self.ws.import_delivery(self.run_date)
        except (GateError, DeliveryError) as error:
            self.blocked = str(error)
            return Blocked(step="import", reason=self.blocked)
        return self._imported

    def model(self) -> CustomerModel | Blocked:
        """Models the customers of the published version."""
        if self.blocked or self._overtaken:
            return Blocked(step="model", reason=self.blocked or self._overtaken or "")
        self._model = self.ws.model(self.run_date)
        return self._model

    def templates(self) -> tuple[GroupSync, ...]:
        """Imports the templates of all app groups."""
        due = {r.approval.parts["template"] for r in self._tonight() if r.approval}
        self._synced = self.ws.templates.sync(fresh=due)
        return self._synced

    def audiences(self) -> tuple[CampaignSummary, ...]:
        """Builds and freezes the audience of every campaign that is due; names what holds the others."""
        tonight = self._tonight()
        waiting = [r.campaign for r in tonight if not self.blocked and self._planned(r) is None]
        shared = self.ws.campaigns.share(waiting, run_date=self.run_date)
        # Each chooses after those before it; they are told of in the order of their names.
        turns = sorted(tonight, key=self._turn)
        found = {record.id: self._noted(record, self._audience(record, shared)) for record in turns}
        self._campaigns = {record.id: found[record.id] for record in tonight}
        return tuple(self._campaigns.values())

    def sends(self) -> tuple[CampaignSummary, ...]:
        """Schedules every frozen audience with Appboy. What fails for one campaign doesn't stop the others."""
        if not self.dry_run:
            late = self.ws.settings.send.late_minutes
            for closed in close_past(self.ws.store, now=self.ws.now(), late_minutes=late, holder=self._holder):
                self.ws.campaigns.finish(closed.campaign_id)
            for campaign_id, summary in self._campaigns.items():
                audience = self.ws.store.deliveries.find(campaign_id, self.run_date)
                if audience and not summary.held:
                    self._campaigns[campaign_id] = self._sent(audience)
        return tuple(self._campaigns.values())

    def report(self) -> NightSummary:
        """Writes `summary.json` and `report.html` and notes how the night ended."""
        summary = self._summary()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.ws.settings
        page = render_report(summary, currency=settings.workspace.currency, zone=settings.zone, model=self._model)
        write_atomically(self.folder / "report.html", page.encode())
        write_atomically(self.folder / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
        self.ws.store.runs.finish(
            self._run, exit_code=summary.exit_code, summary=msgspec.to_builtins(summary), now=self.ws.now()
        )
        note_head(self.ws, self.folder)
        self._reported = summary
        return summary

    def finish(self) -> str:
        """Ends the night. Raises NightError when it needs a person, so that a scheduler notices."""
        self.close()
        if self._reported is None:
            raise NightError("the night ended before its report", Exit.FAILED)
        code = Exit(self._reported.exit_code)
        if code is not Exit.DONE:
            reasons = [*self._reported.problems, *(c.held for c in self._reported.campaigns if c.held)]
            raise NightError(f"exit code {code.value}: {'; '.join(reasons) or 'see the report'}", code)
        return "Everything that was due has been scheduled." if not self.dry_run else "Dry run: nothing was sent."

    def close(self) -> None:
        """Gives the night's lease and the workspace back."""
        self._lease.release()
        self.ws.close()

    def _newer(self) -> str | None:
        """Why this night can't be built any more: the tables are those of a later one. None if they are not."""
        if self.ws.warehouse.current is None or self.ws.snapshot().import_date <= self.run_date:
            return None
        return (
            f"the published tables are of the later {self.ws.snapshot().import_date}: this run only finishes what the "
            f"night of {self.run_date} had planned, and plans nothing new"
        )

    def _stale(self, reason: str) -> str | None:
        """Why sends are blocked when there is no delivery tonight; None while the published one is fresh enough."""
        if self.ws.warehouse.current is None:
            return f"{reason}, and none was imported before; put it into {self.ws.root / 'inbox'}"
        published, limit = self.ws.snapshot().import_date, self.ws.settings.imports.max_age_days
        age = (self.run_date - published).days
        if age <= limit:
            return None
        return (
            f"{reason}; the published delivery is of {published}, {age} days old, and max_age_days is {limit}: nothing "
            "is sent until a delivery is imported"
        )

    def _tonight(self) -> tuple[CampaignRecord, ...]:
        return tuple(record for record in self.ws.campaigns.list(archived=True) if self._is_tonight(record))

    def _is_tonight(self, record: CampaignRecord) -> bool:
        """Whether a campaign is of this night: due and wanted, or with an audience from an earlier attempt."""
        if self.ws.store.deliveries.find(record.id, self.run_date):
            return True
        if self._overtaken:
            return False
        return record.state in ("submitted", *ALIVE) and record.campaign.schedule.is_due(self.run_date)

    def _turn(self, record: CampaignRecord) -> tuple[date, int, str]:
        """When a campaign chooses its customers, among those of the night."""
        day = record.campaign.schedule.day_of(self.run_date)
        return Competitor.of(record.campaign, app_group_id="", day=day).order

    @cached_property
    def _competition(self) -> Competition:
        return self.ws.campaigns.compete(self.run_date, tables_of=self.run_date)

    def _noted(self, record: CampaignRecord, summary: CampaignSummary) -> CampaignSummary:
        """Notes on the campaign itself that this night holds or runs it; a night without data says nothing of it."""
        if not self.dry_run and not self.blocked and record.state in ALIVE:
            if summary.held:
                self.ws.campaigns.note(record, "hold", comment=summary.held)
            elif record.campaign.schedule.date is None:
                self.ws.campaigns.note(record, "run")
        return summary

    def _why_held(self, record: CampaignRecord, resolved: Resolved) -> str | None:
        authority = self.ws.campaigns.authority
        return why_held(record, resolved.parts(), authority=authority, now=self.ws.now())

    def _audience(self, record: CampaignRecord, shared: SharedGroups) -> CampaignSummary:
        campaign = record.campaign
        names = (campaign.name, campaign.app_group, campaign.template)
        there = self._planned(record)
        if there:
            figures = self._figures(there)
            return replace(figures, held=self._why_not_now(there)) if figures.pending else figures
        if self.blocked:
            return held(*names, self._gate())
        try:
            resolved = self.ws.campaigns.resolve(campaign)
            reason = self._unchecked(resolved.app_group.id) or self._why_held(record, resolved)
            among = self._competition
            rows = self.ws.campaigns.audience(
                resolved, run_date=self.run_date, night=self.run_date, among=among, shared=shared
            )
        except OptinbError as error:
            return held(*names, str(error))
        figures = waterfall(rows)
        reason = reason or why_held_by_size(record, figures.recipients) or self._why_short(campaign, figures.recipients)
        if reason or record.approval is None:
            return held(*names, reason or "it is not approved", figures)
        send_at = campaign.schedule.send_at(self.run_date, self.ws.settings.zone)
        if self.dry_run:
            among.promise(rows, self.ws.campaigns.competitor(resolved, self.run_date))
            return rehearsed(campaign.name, resolved.app_group.name, resolved.template.name, figures, send_at)
        try:
            audience = plan(
                self.ws.store,
                rows,
                campaign=campaign,
                campaign_version=record.version,
                run_date=self.run_date,
                app_group_id=resolved.app_group.id,
                template_id=resolved.template.id,
                send_at=send_at,
                fingerprint=record.approval.fingerprint,
                root=self.ws.root,
                user=self.ws.user,
                now=self.ws.now(),
            )
        except (StateError, CampaignError) as error:
            return held(*names, str(error), figures)
        among.promise(rows, self.ws.campaigns.competitor(resolved, self.run_date))
        return self._figures(audience)

    def _why_short(self, campaign: Campaign, recipients: int) -> str | None:
        """Why the promotion codes don't suffice, or None; a dry run counts what its other campaigns would take."""
        if campaign.codes is None:
            return None
        pool = self.ws.store.codes.find(campaign.codes)
        key = campaign.codes.casefold()
        short = why_short(campaign, left=pool.left - self._promised[key] if pool else 0, needed=recipients)
        if self.dry_run and short is None:
            self._promised[key] += recipients
        return short

    def _planned(self, record: CampaignRecord) -> FrozenAudience | None:
        """What an earlier attempt has frozen. What a person stopped before anything was sent counts as not frozen,
        once the campaign is approved again."""
        there = self.ws.store.deliveries.find(record.id, self.run_date)
        if there and there.cancelled is not None and record.state in ALIVE:
            counts = self.ws.store.deliveries.counts(record.id, self.run_date)
            return None if counts.cancelled == counts.recipients else there
        return there

    def _why_not_now(self, audience: FrozenAudience) -> str | None:
        """Why what is frozen and not sent yet may not go out now, or None: the campaign as it is now is checked."""
        if self.blocked:
            return self._gate()
        try:
            record = self.ws.campaigns.get(audience.campaign_name)
            resolved = self.ws.campaigns.resolve(record.campaign)
        except OptinbError as error:
            return str(error)
        reason = self._unchecked(resolved.app_group.id) or self._why_held(record, resolved)
        if reason is None and record.approval and record.approval.fingerprint != audience.fingerprint:
            return "it was approved anew after this night's audience was frozen, so that the rest of it is not sent"
        return reason

    def _gate(self) -> str:
        return f"the data gate blocked the sends: {self.blocked}"

    def _unchecked(self, app_group_id: str) -> str | None:
        """Why the templates of an app group couldn't be compared with Appboy tonight, or None."""
        for sync in self._synced:
            if sync.app_group_id == app_group_id:
                return (
                    f"the templates of {sync.app_group!r} couldn't be checked: {sync.problem}" if sync.problem else None
                )
        return "the templates have not been checked tonight"

    def _sent(self, audience: FrozenAudience) -> CampaignSummary:
        """Sends what is still planned of an audience; a failure is noted, and its figures are told all the same."""
        figures = self._figures(audience)
        reason = self._why_not_now(audience) if figures.pending else None
        if reason:
            return replace(figures, held=reason)
        try:
            self._send(audience)
        except OptinbError as error:
            self._failures.append(f"{audience.campaign_name!r}: {error}")
        return self._figures(audience)

    def _send(self, audience: FrozenAudience) -> None:
        left = self.ws.store.deliveries.counts(*audience.night).pending
        with (
            self.ws.sends.client(audience) as client,
            progress(audience.campaign_name, total=left, unit="recipient") as tell,
        ):
            counts = send(
                self.ws.store,
                client,
                audience,
                root=self.ws.root,
                clock=self.ws.now,
                lease_clock=system_clock,
                settings=self.ws.settings.send,
                holder=self._holder,
                budget=self.ws.sends.budget(audience.app_group_id),
                wait_s=WAIT_S,
                progress=tell,
            )
        if counts.pending == 0 and not (counts.cancelled and counts.cancelled == counts.recipients):
            self.ws.campaigns.finish(audience.campaign_id)
        if counts.stopped:
            self._failures.append(f"{audience.campaign_name!r}: {counts.stopped}")

    def _figures(self, audience: FrozenAudience) -> CampaignSummary:
        """The figures of a campaign whose audience is frozen, from the journal."""
        templates = {t.id: t.name for t in self.ws.store.templates.list(audience.app_group_id)}
        groups = {group.id: group.name for group in self.ws.settings.app_groups}
        return frozen(
            audience,
            self.ws.store.deliveries.counts(*audience.night),
            app_group=groups.get(audience.app_group_id, audience.app_group_id),
            template=templates.get(audience.template_id, audience.template_id),
        )

    def _summary(self) -> NightSummary:
        campaigns = tuple(self._campaigns.values())
        problems = [*([self.blocked] if self.blocked else []), *self._failures]
        problems += [f"templates of {s.app_group!r}: {s.problem}" for s in self._synced if s.problem]
        problems += left_over(campaigns, dry_run=self.dry_run)
        unfinished = bool(self._failures) or (not self.dry_run and any(c.pending and not c.held for c in campaigns))
        code = Exit.FAILED if unfinished else exit_code(blocked=self.blocked is not None, campaigns=campaigns)
        report = self._imported
        return NightSummary(
            run_date=self.run_date,
            dry_run=self.dry_run,
            started_at=self._started_at,
            finished_at=self.ws.now(),
            warehouse_version=self.ws.warehouse.current,
            imported={
                t.table: TableCounts(read=t.read, loaded=t.loaded, quarantined=t.quarantined, reasons=t.reasons)
                for t in (report.tables if report else ())
            },
            customers=sum(self._model.stages.values()) if self._model else 0,
            stages=self._model.stages if self._model else {},
            model=tuple(self._model.card.lines()) if self._model else (),
            campaigns=campaigns,
            problems=tuple(problems),
            warnings=(*(report.warnings if report else ()), *self._warnings),
            exit_code=int(code),
            notebook=self.notebook,
            report=str(self.folder / "report.html"),
            templates=self._template_news(),
        )

    def _template_news(self) -> tuple[TemplateNews, ...]:
        """What became of templates since the newest attempt at an earlier night ended."""
        before = self.ws.store.runs.before(self.run_date)
        return () if before is None else self.ws.templates.changes(since=before.finished_at or before.started_at)


def night_folder(root: Path, run_date: date, *, dry_run: bool) -> Path:
    """Where a night's notebook, report and summary lie; those of a dry run never replace those of the night."""
    folder = root / "runs" / run_date.isoformat()
    return folder / "dry-run" if dry_run else folder
