"""One night: preflight, import, model, templates, audiences, sends, figures, groups, news, report.

Every step may be run again: what is done already is found and left as it is, so that a night that was killed goes on
where it stopped, and a night that is run twice sends nothing twice.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.campaigns import approved_templates
from optinb.delivery import ConfirmedNights
from optinb.errors import DeliveryError, Exit, GateError, NightError, failure
from optinb.measure import (
    CampaignReach,
    CampaignSummary,
    FiguresRead,
    NightSummary,
    ResultsTonight,
    TableCounts,
    exit_code,
    in_one_line,
    left_over,
    render_report,
)
from optinb.night.tonight import WAIT_S, NightCampaigns
from optinb.planning import Diagnosis, Doctor, bad
from optinb.segments import GroupNights, GroupsRecorded, News, record_groups
from optinb.warehouse import ImportReport, OutdatedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from optinb.appboy import GroupSync, TemplateNews
    from optinb.base.settings import AppGroupSettings
    from optinb.customers import CustomerModel
    from optinb.delivery import ReachSample
    from optinb.workspace import Workspace

DATA_WAIT_S = 900.0  # longer than what somebody imports or models by hand at the same time takes
MODEL_TRIES = 3  # as often as others may publish meanwhile
# Without these nothing can go to an app group tonight.
_MUST = ("credential", "permission campaigns.list", "permission campaigns.details")
# That nobody answers may be over when the templates are asked for, and denied addresses are told with a permission.
_ELSEWHERE = ("reachable", "addresses")


class Blocked(Struct, frozen=True, kw_only=True):
    """A step that was not done, and why."""

    step: str
    reason: str


class Night:
    """One night's run on a workspace; each step is a method, in the order of the notebook."""

    def __init__(
        self, workspace: Workspace, run_date: date, *, dry_run: bool = False, notebook: str | None = None
    ) -> None:
        workspace.checkpoints.must_not_be_behind()
        self.ws: Workspace = workspace
        self.run_date: date = run_date
        self.dry_run: bool = dry_run
        self.notebook: str | None = notebook
        self._tonight = NightCampaigns(workspace, run_date, dry_run=dry_run)
        self._preflight: Diagnosis | None = None
        self._imported: ImportReport | None = None
        self._model: CustomerModel | None = None
        self._tokens: tuple[ReachSample, ...] = ()
        self._confirmed: ConfirmedNights | None = None
        self._groups: GroupsRecorded | None = None
        self._news: News | None = None
        self._warnings = list(workspace.checkpoints.without_answers(run_date))
        self._reported: NightSummary | None = None
        self._started_at = workspace.now()
        self._lease = workspace.store.lease(
            f"night {run_date}",
            holder=workspace.context.holder,
            clock=workspace.store.clock,
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

    def preflight(self) -> Diagnosis:
        """Looks at what the night needs, before it begins: this machine, and the app groups that are due.

        Nothing goes to an app group whose key isn't there or may not do what it must; all else goes on, and the night
        ends with exit code 2 and a sentence for each.
        """
        self._tonight.overtaken = self._newer()
        self._preflight = examine_night(self.ws, self.run_date, self._tonight.app_groups())
        self._tonight.unready = unready(self._preflight)
        return self._preflight

    def import_delivery(self) -> ImportReport | Blocked:
        """Imports `inbox/<run_date>`. A gate that fails blocks the sends of this night."""
        if self._preflight is None:
            self.preflight()
        if self._tonight.overtaken:
            self._warnings.append(self._tonight.overtaken)
            return Blocked(step="import", reason=self._tonight.overtaken)
        if not self.ws.warehouse.has_delivery(self.run_date):
            missing = f"there is no delivery of {self.run_date} in the inbox"
            self._tonight.blocked = self._stale(missing)
            if self._tonight.blocked is None:
                published = self.ws.snapshot().import_date
                self._warnings.append(f"{missing}; the night goes on with the tables of {published}")
            return Blocked(step="import", reason=self._tonight.blocked or self._warnings[-1])
        try:
            self._imported = self.ws.import_delivery(self.run_date, wait_s=DATA_WAIT_S)
        except (GateError, DeliveryError) as error:
            self._tonight.blocked = str(error)
            return Blocked(step="import", reason=self._tonight.blocked)
        return self._imported

    def model(self) -> CustomerModel | Blocked:
        """Models the customers of the published version."""
        if self._tonight.blocked or self._tonight.overtaken:
            return Blocked(step="model", reason=self._tonight.blocked or self._tonight.overtaken or "")
        for _ in range(MODEL_TRIES - 1):
            with suppress(OutdatedError):
                self._model = self.ws.model(self.run_date, wait_s=DATA_WAIT_S)
                return self._model
        self._model = self.ws.model(self.run_date, wait_s=DATA_WAIT_S)
        return self._model

    def templates(self) -> tuple[GroupSync, ...]:
        """Imports the templates of all app groups."""
        approved = [record.approval.parts for record in self._tonight.due() if record.approval]
        due = {template for parts in approved for template in approved_templates(parts)}
        self._tonight.synced = self.ws.templates.sync(fresh=due)
        return self._tonight.synced

    def reach_sample(self) -> tuple[ReachSample, ...]:
        """Asks Appboy about some customers of each app group, to see how far the table of app users is from it.

        A dry run asks nobody, nor does a night whose first message has to go out soon, and an app group whose templates
        couldn't be read isn't asked again. It decides nothing: whatever fails is a note, and the night goes on.
        """
        if self._tonight.blocked or self.dry_run or not self._tonight.minutes_to_spare():
            return ()
        silent = {sync.app_group for sync in self._tonight.synced if sync.problem} | self._tonight.unready.keys()
        answering = [group.name for group in self.ws.settings.app_groups if group.name not in silent]
        self._tokens = tuple(s for name in answering for s in self.ws.reach_samples.take(self.run_date, app_group=name))
        for sample in self._tokens:
            self._warnings += [app.warning for app in sample.apps if app.warning]
            if sample.problem:
                self._warnings.append(f"reach of {sample.app_group!r} beside Appboy: {sample.problem}")
        return self._tokens

    def confirm(self) -> ConfirmedNights:
        """Asks Appboy what became of the messages of the last two weeks, for as long as the settings let it.

        It comes before tonight's audiences, whose rules ask who received what. Nothing here holds the night, and
        tonight's messages go first: what it is kept from, it does the next time.
        """
        wanted = self.ws.settings.confirm.minutes
        minutes = min(wanted, self._tonight.minutes_to_spare())
        if wanted and not minutes and not self.dry_run:
            self._warnings.append(
                "Appboy wasn't asked what became of earlier messages, because tonight's first one goes out too soon; "
                "`optinb confirm` asks, and a night that begins an hour before its messages does"
            )
        try:
            if self.dry_run or not minutes:
                self._confirmed = self.ws.confirming.known()
            else:
                self._confirmed = self.ws.confirming.confirm(minutes=minutes, before_sends=True)
        except Exception as error:  # whatever it is, it must not keep tonight's messages from being sent
            self._confirmed = ConfirmedNights(nights=(), minutes=minutes)
            told = failure(error, doing="ask Appboy what became of earlier messages")
            self._warnings.append(f"Appboy wasn't asked what became of earlier messages: {told}")
        return self._confirmed

    def audiences(self) -> tuple[CampaignSummary, ...]:
        """Builds and freezes the audience of every campaign that is due; names what holds the others."""
        if self._confirmed is None:
            self.confirm()  # a copy of the notebook from before there was this step
        frozen = self._tonight.freeze()
        if not self.dry_run:
            # what is sent tonight is recorded by now, and mustn't change until it is
            self.folder.mkdir(parents=True, exist_ok=True)
            self.ws.checkpoints.note_head(self.folder)
        return frozen

    def sends(self) -> tuple[CampaignSummary, ...]:
        """Schedules every frozen audience with Appboy. What fails for one campaign doesn't stop the others."""
        return self._tonight.send()

    def figures(self) -> FiguresRead:
        """Reads what Appboy counted of the sends of the last 14 days. What can't be read is a note, and no more."""
        if self.dry_run:
            return FiguresRead()
        try:
            read = self.ws.reach_figures.read()
        except Exception as error:  # whatever it is, the night has sent what it was to send
            read = FiguresRead(problems=(failure(error, doing="read the figures"),))
        self._warnings += (*read.problems, *read.notes)
        return read

    def groups(self) -> GroupsRecorded:
        """Notes who is in each saved group, and tells whose size is unusual. What can't be noted is told, and no more.

        A dry run notes nothing, nor does a night without tables of its own.
        """
        self._groups = GroupsRecorded(night=self.run_date)
        if self.dry_run or self._tonight.blocked or self._tonight.overtaken:
            return self._groups
        try:
            self._groups = record_groups(self.ws, GroupNights(self.ws.root), night=self.run_date)
        except Exception as error:  # whatever it is, the night has sent what it was to send
            told = f"the saved groups weren't noted: {failure(error, doing='note the saved groups')}"
            self._groups = GroupsRecorded(night=self.run_date, problems=(told,))
        self._warnings += self._groups.problems
        return self._groups

    def news(self) -> News:
        """Looks at everybody, and tells what changed and whom to look at. What can't be told is a note, and no more.

        A dry run looks at nobody, nor does a night without tables of its own.
        """
        self._news = News(night=self.run_date)
        if self.dry_run or self._tonight.blocked or self._tonight.overtaken or self.ws.snapshot().model_date is None:
            return self._news
        try:
            self._news = self.ws.news.look(self.run_date)
        except Exception as error:  # whatever it is, the night has sent what it was to send
            self._warnings.append(f"what changed can't be told: {failure(error, doing='look at what changed')}")
        return self._news

    def report(self) -> NightSummary:
        """Writes `summary.json` and `report.html` and notes how the night ended."""
        if self._groups is None:
            self.groups()  # a copy of the notebook from before there was this step
        if self._news is None:
            self.news()  # likewise
        summary = self._summary()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.ws.settings
        page = render_report(summary, currency=settings.workspace.currency, zone=settings.zone, model=self._model)
        write_atomically(self.folder / "report.html", page.encode())
        write_atomically(self.folder / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
        self.ws.store.runs.finish(
            self._run, exit_code=summary.exit_code, summary=msgspec.to_builtins(summary), now=self.ws.now()
        )
        self.ws.checkpoints.note_head(self.folder)
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

    def _summary(self) -> NightSummary:
        tonight, campaigns = self._tonight, self._tonight.summaries
        unprepared = problems(self._preflight) if self._preflight else ()
        asked = self._confirmed or ConfirmedNights(nights=(), minutes=0.0)
        told = [*asked.alarms, *unprepared, *([tonight.blocked] if tonight.blocked else []), *tonight.failures]
        told += [
            f"templates of {s.app_group!r}: {s.problem}"
            for s in tonight.synced
            if s.problem and s.app_group not in tonight.unready
        ]
        told += left_over(campaigns, dry_run=self.dry_run)
        unfinished = bool(tonight.failures) or (not self.dry_run and any(c.pending and not c.held for c in campaigns))
        code = exit_code(
            blocked=tonight.blocked is not None,
            unprepared=bool(unprepared),
            campaigns=campaigns,
            filtered=bool(asked.alarms),
        )
        code = Exit.FAILED if unfinished else code
        report, ages, results = self._imported, tonight.ages(), self._results()
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
            problems=tuple(told),
            warnings=(
                *(report.warnings if report else ()),
                *self._warnings,
                *(age.warning for age in ages if age.warning),
                *self._tonight.notes,
                *asked.problems,
                *asked.notes,
                *(f"what campaigns brought: {problem}" for problem in results.problems),
            ),
            stale={age.table: age.stale for age in ages if age.stale},
            exit_code=int(code),
            notebook=self.notebook,
            report=str(self.folder / "report.html"),
            templates=self._template_news(),
            tokens=tuple(sample for sample in self._tokens if not sample.problem),
            confirmed=tuple(n for n in asked.nights if n.counts and (n.asked_now or n.is_newest)),
            reach=self._reach(),
            results=results.final,
            measuring=results.measuring,
            groups=self._groups.alarms if self._groups else (),
            news=tuple(item.headline for item in self._news.shown) if self._news else (),
        )

    def _results(self) -> ResultsTonight:
        """Which campaigns' results became final tonight. What can't be found out is a note, and no more."""
        if self.dry_run:
            return ResultsTonight()
        try:
            return self.ws.final_results.tonight(self.run_date)
        except Exception as error:  # whatever it is, the night has sent what it was to send
            return ResultsTonight(problems=(failure(error, doing="find out what they brought"),))

    def _reach(self) -> tuple[CampaignReach, ...]:
        """The figures of the last 14 days in a line for each campaign that any were read of."""
        lately = self.ws.reach_figures.lately()
        return tuple(in_one_line(one) for one in lately if any(row.days for row in (*one.nights, *one.templates)))

    def _template_news(self) -> tuple[TemplateNews, ...]:
        """What became of templates since the newest attempt at an earlier night ended."""
        before = self.ws.store.runs.before(self.run_date)
        return () if before is None else self.ws.templates.changes(since=before.finished_at or before.started_at)


def night_folder(root: Path, run_date: date, *, dry_run: bool) -> Path:
    """Where a night's notebook, report and summary lie; those of a dry run never replace those of the night."""
    folder = root / "runs" / run_date.isoformat()
    return folder / "dry-run" if dry_run else folder


def examine_night(ws: Workspace, run_date: date, groups: Iterable[AppGroupSettings]) -> Diagnosis:
    """The verdicts on this machine and on the app groups that are due. Nothing is changed there or here."""
    doctor = Doctor(ws.context, runs=ws.store.runs, templates=ws.store.templates, vendor_control=ws.vendor_control)
    return Diagnosis.of(doctor.machine(run_date), [doctor.app_group(group, most_looks=0) for group in groups])


def unready(found: Diagnosis) -> dict[str, str]:
    """Names of app groups to which nothing can go tonight, and why."""
    return {
        health.app_group: f"{health.app_group!r} isn't ready: " + "; ".join(v.text for v in stops)
        for health in found.app_groups
        if (stops := [v for v in bad(health.verdicts) if v.about in _MUST])
    }


def problems(found: Diagnosis) -> tuple[str, ...]:
    """What must be mended before the next night, a sentence each."""
    others = (
        f"{health.app_group}: {verdict.about}: {verdict.text}"
        for health in found.app_groups
        for verdict in bad(health.verdicts)
        if verdict.about not in (*_MUST, *_ELSEWHERE)
    )
    return (*unready(found).values(), *(f"{v.about}: {v.text}" for v in bad(found.machine)), *others)
