"""The one handle that notebooks, commands and tests use: `open_workspace()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optinb.base.clock import clock_for, on_sandbox
from optinb.base.context import Context, as_day
from optinb.base.lazily import once
from optinb.base.private import keep_private
from optinb.base.settings import FILE_NAME, Settings, load_settings, read_secret
from optinb.base.workspace_folder import workspace_folder
from optinb.delivery.journal import Store
from optinb.errors import SettingsError, UsageError, WarehouseError
from optinb.segments.exploration import Exploration
from optinb.store import in_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    import polars as pl

    from optinb.appboy.template_import import Templates
    from optinb.base.progress import OnProgress
    from optinb.customers import CustomerModel, ModelCard
    from optinb.customers.customer_card import CustomerCard
    from optinb.customers.moves import Migration
    from optinb.delivery import AuditCheckpoints, ContactHistory, ForgottenCustomer, Recovered, Sends
    from optinb.delivery.night_answers import Answer, NightAnswers, Why, WorkspaceStatus
    from optinb.planning import Campaigns, Codes, Diagnosis
    from optinb.planning.campaign_records import CampaignRecords
    from optinb.planning.drafts import Drafts, Unsaved
    from optinb.planning.freshness import Freshness
    from optinb.segments import Groups, Lists, PastWorkspace
    from optinb.warehouse import ImportReport, Snapshot, Warehouse
    from optinb.warehouse.inbox import Arrivals, Check, Inbox, Quarantine


class Workspace(Exploration):
    """A workspace on disk, opened by somebody; close it, or use it with `with`.

    Attributes:
        root: its folder.
        settings: those of its `optinb.toml`.
        context: where, by which settings, when and by whom something is done; what services are made with.
        store: campaigns, approvals, deliveries and the audit trail; opened when something needs it.
    """

    def __init__(self, root: Path, settings: Settings, *, user: str | None, clock: Callable[[], datetime]) -> None:
        self.context: Context = Context(root, settings, now=clock, user=user)
        self.root: Path = root
        self.settings: Settings = settings
        self.store: Store = Store.when_needed(self._address, root=root)
        self._snapshot: Snapshot | None = None

    @once
    def warehouse(self) -> Warehouse:
        """The published tables: versions, and imports as another program would make them."""
        from optinb.warehouse import Warehouse

        return Warehouse(self.root, self.settings)

    @once
    def groups(self) -> Groups:
        """Target groups: save, list and count them."""
        from optinb.segments.groups import Groups

        return Groups(
            self.context, self.store.groups, self.lists, published=self._published, tables_for=self.tables_for
        )

    @once
    def lists(self) -> Lists:
        """Uploaded lists of customers, for `in_list(...)`."""
        from optinb.segments.lists import Lists

        return Lists(self.context, self.store.audit, published=self._published)

    @once
    def templates(self) -> Templates:
        """The API-triggered push campaigns of the app groups, as they were imported."""
        from optinb.appboy.template_import import Templates

        return Templates(self.context, self.store.templates, self.store.runs)

    @once
    def codes(self) -> Codes:
        """Pools of single-use promotion codes, for offers."""
        from optinb.planning.code_pools import Codes

        return Codes(self.context, self.store.codes)

    @once
    def contacts(self) -> ContactHistory:
        """Who got what, from the frozen audiences and the journal."""
        from optinb.delivery import ContactHistory

        return ContactHistory(self.root, self.store)

    @once
    def checkpoints(self) -> AuditCheckpoints:
        """What each night has noted of the audit trail outside the database."""
        from optinb.delivery import AuditCheckpoints

        return AuditCheckpoints(self.context, self.store)

    @once
    def answers(self) -> NightAnswers:
        """Why a customer did or didn't get each campaign of a night."""
        from optinb.delivery.night_answers import NightAnswers

        return NightAnswers(self.store, self.contacts, self.warehouse, published=self._published)

    @once
    def sends(self) -> Sends:
        """What is scheduled with Appboy: move, recall or settle it."""
        from optinb.delivery import Sends

        return Sends(
            self.context,
            self.store,
            contacts=self.contacts,
            lists=self.lists,
            checkpoints=self.checkpoints,
            people=lambda: self.tables().people if self._published() else None,
        )

    @once
    def freshness(self) -> Freshness:
        """How old the published tables are."""
        from optinb.planning.freshness import Freshness

        return Freshness(self.context, self, self.warehouse)

    @once
    def unsaved(self) -> Unsaved:
        """What somebody has begun in a form and not saved yet."""
        from optinb.planning.drafts import Unsaved

        return Unsaved(self.context)

    @once
    def drafts(self) -> Drafts:
        """Campaigns that are still being worked on."""
        from optinb.planning.drafts import Drafts

        return Drafts(self.context, self.store.campaigns, self._records)

    @once
    def _records(self) -> CampaignRecords:
        from optinb.planning.campaign_records import CampaignRecords

        return CampaignRecords(
            self.context,
            self.store.campaigns,
            deliveries=self.store.deliveries,
            note_decision=self.checkpoints.note_decision,
        )

    @once
    def _arrivals(self) -> Arrivals:
        from optinb.warehouse.inbox import Arrivals

        return Arrivals(self.context, self.warehouse, audit=self.store.audit, watched=self.attributes_used)

    @once
    def campaigns(self) -> Campaigns:
        """Campaigns: plan, preview, submit, approve and cancel them."""
        from optinb.planning.approving import Approvals
        from optinb.planning.audiences import Audiences
        from optinb.planning.campaign_preview import Previews
        from optinb.planning.campaigns import Campaigns
        from optinb.planning.power_of_tests import PowerOfTests
        from optinb.planning.resolved import Resolver
        from optinb.planning.trial_sends import Trials

        context, campaigns, records = self.context, self.store.campaigns, self._records
        audiences = Audiences(context, self, campaigns=campaigns, contacts=self.contacts)
        resolver = Resolver(
            context,
            self,
            groups=self.groups,
            warehouse=self.warehouse,
            templates=self.templates,
            codes=self.store.codes,
            origins=self.store.origins,
        )
        previews = Previews(
            context,
            campaigns,
            resolver=resolver,
            audiences=audiences,
            codes=self.codes,
            power=PowerOfTests(self, self.groups),
        )
        approvals = Approvals(
            context,
            campaigns,
            records=records,
            resolver=resolver,
            previews=previews,
            templates=self.templates,
            why_forged=lambda record: self.checkpoints.why_behind() or self.checkpoints.why_unrecorded(record),
        )
        return Campaigns(
            context,
            campaigns,
            records=records,
            resolver=resolver,
            audiences=audiences,
            previews=previews,
            approvals=approvals,
            trials=Trials(context, self, self.store.audit),
            sends=self.sends,
        )

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @property
    def user(self) -> str:
        """Who is working.

        Raises:
            SettingsError: when nobody is named.
        """
        return self.context.user

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock, in UTC."""
        return self.context.now

    def _address(self) -> str | Path:
        state = self.settings.workspace.state
        if state is None:
            return self.root / "state.sqlite"
        return in_folder(read_secret(state) if state.startswith(("env:", "keyring:")) else state, self.root)

    def today(self) -> date:
        """The date in the workspace's time zone."""
        return self.context.today()

    def snapshot(self) -> Snapshot:
        """The published version of the warehouse; opened again when a newer one has been published."""
        current = self.warehouse.current
        if self._snapshot is None or self._snapshot.version != current:
            # The one before closes with its last reader: another thread may still be counting on it.
            self._snapshot = self.warehouse.open()
        return self._snapshot

    def _published(self) -> Snapshot | None:
        return self.snapshot() if self.warehouse.current is not None else None

    def attributes_used(self) -> frozenset[str]:
        """The attributes that saved groups read and campaigns show, which the gates of a delivery watch.

        A workspace that has no state yet has neither, and none is made.
        """
        if self.settings.workspace.state is None and not (self.root / "state.sqlite").exists():
            return frozenset()
        sources = (source for record in self.campaigns.list() for source in record.campaign.properties.values())
        return self.groups.attributes() | {source.attribute for source in sources if source.attribute}

    def as_of(self, day: date | str) -> PastWorkspace:
        """The workspace as it was on a day, to read from: rules, members and groups on that night's version.

        Args:
            day: a date, or text such as "2026-11-20".

        Raises:
            WarehouseError: when no version of that night is kept any more.
            UsageError: for a day ahead, or what is no date.
        """
        from optinb.segments.past import PastWorkspace

        day = as_day(day)
        if day > self.today():
            raise UsageError(f"{day} lies ahead; today is {self.today()}")
        try:
            return PastWorkspace(
                self.context,
                self.warehouse.as_of(day),
                groups=self.store.groups,
                audit=self.store.audit,
                contacts=self.contacts,
            )
        except WarehouseError as error:
            raise WarehouseError(
                f"{error}; keep_versions in optinb.toml says how many are kept. What every customer was on {day} is "
                f'kept longer: ws.customers_on("{day}")'
            ) from error

    def import_delivery(
        self,
        run_date: date | None = None,
        *,
        accept_anyway: str | None = None,
        wait_s: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """Checks and publishes the delivery `inbox/<run_date>`.

        Args:
            run_date: the day of the delivery; today when left out.
            accept_anyway: why it is published although a gate fails; who did it and why enters the audit trail.
            wait_s: seconds to wait for another import or publication to end.
            on_progress: is told that so many more hundredths are done, and what is next; what it raises ends the work,
                and nothing is published. A bar shows how far it is when left out.

        Raises:
            GateError: when a gate blocks it; the version before stays current.
            UsageError: for a day that lies ahead.
            WarehouseError: when the files can't be read, or another import is still under way.
        """
        return self._arrivals.publish(run_date, accept_anyway=accept_anyway, wait_s=wait_s, on_progress=on_progress)

    def inbox(self) -> Inbox:
        """Which delivery is published, and which ones could be imported."""
        return self._arrivals.inbox()

    def check(self, folder: str | Path, *, run_date: date | None = None) -> Check:
        """What importing a folder would say and quarantine, without importing it.

        Args:
            folder: with the files of one delivery.
            run_date: the day that it is taken for; the one that the folder is named after, or today, when left out.

        Raises:
            UsageError: for what is no folder.
        """
        return self._arrivals.check(Path(folder), run_date=run_date)

    def quarantine(self, run_date: date | str | None = None) -> Quarantine:
        """The rows of a delivery that were not loaded, by reason, with examples.

        Args:
            run_date: the day of the delivery, as a date, or text such as "2026-11-20"; the newest that was examined
                when left out.

        Raises:
            UsageError: when that delivery wasn't examined, or nothing was, and for what is no date.
        """
        return self._arrivals.quarantine(as_day(run_date) if run_date else None)

    def model(
        self, run_date: date | None = None, *, wait_s: float = 0.0, on_progress: OnProgress | None = None
    ) -> CustomerModel:
        """Features, lifecycle stage and value of every customer, published as the next version.

        Args:
            run_date: the night; the date of the published delivery when left out.
            wait_s: seconds to wait for another import or publication to end.
            on_progress: is told that so many more hundredths are done, and what is next; what it raises ends the work,
                and nothing is published. A bar shows how far it is when left out.

        Raises:
            UsageError: for a night before the published delivery, or one that lies ahead.
            OutdatedError: when something else was published while it worked.
        """
        from optinb.customers.modelling import model_night
        from optinb.segments.reach import REACH, reach_nights

        if run_date:
            self.context.refuse_ahead(run_date)
        snapshot = self.snapshot()
        return model_night(
            self.warehouse,
            snapshot,
            run_date,
            settings=self.settings,
            figures=lambda night: {REACH: reach_nights(snapshot, self.settings, night=night)},
            wait_s=wait_s,
            on_progress=on_progress,
        )

    def model_card(self, night: date | str | None = None) -> ModelCard:
        """The model card of a night.

        Args:
            night: a date, or text such as "2026-11-20"; that of the published model when left out.

        Raises:
            UsageError: when that night wasn't modelled.
        """
        from optinb.customers.modelling import card

        return card(self.snapshot(), as_day(night) if night else None)

    def customer(self, customer_id: str) -> CustomerCard[Answer]:
        """Everything about one customer: profile, stages, purchases, groups, messages and what is expected of them.

        Args:
            customer_id: whom to look at. One that isn't known is no error: the card says so.
        """
        from optinb.customers.customer_card import NEWEST, customer_card
        from optinb.segments import groups_of

        tables = self.tables()
        names = (group.name for group in self.groups.list())
        return customer_card(
            customer_id,
            snapshot=self.snapshot(),
            tables=tables,
            groups=lambda: groups_of(customer_id, names, rule=self.groups.bound, tables=tables),
            answers=self.answers.newest(customer_id, limit=NEWEST),
        )

    def why(self, customer_id: str, *, run_date: date | str | None = None) -> Why:
        """Why a customer did or didn't get each campaign of a night.

        Args:
            customer_id: whom to look at.
            run_date: the night, as a date, or text such as "2026-11-20"; the newest that ran when left out.

        Raises:
            UsageError: when nothing has run that night.
        """
        return self.answers.why(customer_id, run_date=as_day(run_date) if run_date else None)

    def status(self) -> WorkspaceStatus:
        """What is published, what waits, and what ran lately."""
        from optinb.delivery.night_answers import status

        return status(self.root, self.store, self._published())

    def migration(self, since: date | str, until: date | str, *, by: str = "stage") -> Migration:
        """How many customers moved from which lifecycle stage or segment to which between two days.

        Each day stands for the last modelled night up to it.

        Args:
            since: the earlier day, as a date, or text such as "2026-11-20".
            until: the later day.
            by: "stage", "micro_segment" or "value_segment".

        Raises:
            UsageError: for a day before the first model, days in the wrong order, or something that isn't kept of every
                night.
        """
        from optinb.customers.moves import migration

        return migration(self.snapshot(), as_day(since), as_day(until), by=by)

    def changers(self, since: date | str, until: date | str, *, by: str = "micro_segment") -> pl.DataFrame:
        """Everybody who moved from one lifecycle stage or segment to another between two days.

        Args:
            since: the earlier day, as a date, or text such as "2026-11-20".
            until: the later day.
            by: "stage", "micro_segment" or "value_segment".

        Returns:
            a frame with customer_id, before and after (text), sorted by customer_id.

        Raises:
            UsageError: for a day before the first model, days in the wrong order, or something that isn't kept of every
                night.
        """
        from optinb.customers.moves import changers

        return changers(self.snapshot(), as_day(since), as_day(until), by=by)

    def doctor(self, app_group: str | None = None) -> Diagnosis:
        """Whether one app group, or each, can be worked with; nothing is changed there or here.

        Args:
            app_group: name or id of the only app group to look at; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        from optinb.planning import Doctor

        return Doctor(self.context, runs=self.store.runs, templates=self.store.templates).diagnose(app_group)

    def recover(self, *, dry_run: bool = False) -> Recovered:
        """Brings a database that was put back to an earlier state up to date with what lies outside it.

        The nights that it has forgotten are rebuilt from the files of answers beside the frozen audiences; of what
        these leave open, Appboy is asked. Campaigns, approvals and groups that were saved after the moment it was put
        back to are lost. What is still to be sent of a rebuilt night waits for an approval of the file that it was
        rebuilt of. The audit trail says so from then on. Done again, it finds nothing to do; killed half-way, the same
        call goes on.

        Args:
            dry_run: whether it only tells what it would do.

        Raises:
            ApprovalError: for whoever is no approver.
            LeaseTaken: while somebody is at work on such a night.
        """
        from optinb.delivery.recovery import Recovering

        recovering = Recovering(
            self.context,
            self.store,
            checkpoints=self.checkpoints,
            templates=self.templates,
            sends=self.sends,
            note=self.campaigns.note,
        )
        return recovering.recover(dry_run=dry_run)

    def forget(self, customer_id: str, *, by: str = "") -> ForgottenCustomer:
        """Removes a person from tables, files by day, quarantine, lists, audiences, journals, notebooks, logs, drafts.

        Figures stay. All of their ids are forgotten, those that were merged too. Rows in audiences become anonymous,
        and the audit trail has both seals of each; keyed hashes of the ids stay, so that a delivery which names them
        again, or has their external user id under a new id, brings nobody back. Killed half-way, the same call goes
        on. Delivered files in the inbox, and what can't be rewritten, are named. Notebooks that have an older version
        open must open it again.

        Args:
            customer_id: any one of the person's ids.
            by: who asked for it, or a ticket, for the audit trail, which doesn't name the person.

        Raises:
            UsageError: for an id that nothing here ever named.
            StateError: while a send to them is still to be made.
            LeaseTaken: while the night is under way.
            WarehouseError: while an import is under way.
        """
        from optinb.delivery.forgetting import Forgetting

        forgetting = Forgetting(
            self.context, self.store, warehouse=self.warehouse, lists=self.lists, checkpoints=self.checkpoints
        )
        done = forgetting.forget(customer_id, by=by)
        self.reopen()
        return done

    def reopen(self) -> None:
        """Lets go of what was read, so that the next look finds the published version and the journal as they are."""
        if self._snapshot is not None:
            self._snapshot.close()
        self._snapshot = None
        self.contacts.reopen()

    def close(self) -> None:
        """Gives back files and connections."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
        self.store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_workspace(folder: str | Path | None = None, *, user: str | None = None) -> Workspace:
    """Opens a workspace; what this process makes from then on is for its owner, or the settings' group, alone.

    Args:
        folder: where its `optinb.toml` lies; OPTINB_WORKSPACE or `data` when left out.
        user: who is working; only where the settings say `identity = "asserted"`.

    Raises:
        SettingsError: naming line, value and remedy, for settings that can't be read, and for a user where the login
            says who is working.
    """
    root = workspace_folder(folder).resolve()
    settings = on_sandbox(load_settings(root / FILE_NAME))
    if user is not None and settings.workspace.identity != "asserted":
        raise SettingsError(
            f'the user can\'t be given as {user!r}: identity is "{settings.workspace.identity}" in {FILE_NAME}, so the '
            "login says who is working"
        )
    keep_private(root, settings)
    return Workspace(root, settings, user=user, clock=clock_for(settings))
