"""The one handle that notebooks, commands and tests use: `open_workspace()`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, overload

from optinb.base.clock import clock_for, on_sandbox
from optinb.base.context import as_day
from optinb.base.private import keep_private
from optinb.base.settings import FILE_NAME, load_settings
from optinb.base.workspace_folder import workspace_folder
from optinb.errors import SettingsError, UsageError, WarehouseError
from optinb.segments.exploration import Exploration
from optinb.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    import polars as pl

    from optinb.base.progress import OnProgress
    from optinb.customers import CustomerModel, ModelCard
    from optinb.customers.customer_card import CustomerCard
    from optinb.customers.moves import Migration
    from optinb.delivery import ForgottenCustomer, Recovered
    from optinb.delivery.night_answers import Answer, Why, WorkspaceStatus
    from optinb.measure import AllResults, CampaignPage, CampaignResult, CampaignUplift, Programme
    from optinb.planning import Diagnosis
    from optinb.segments import PastWorkspace
    from optinb.warehouse import ImportReport
    from optinb.warehouse.inbox import Check, Inbox, Quarantine


class Workspace(Services, Exploration):
    """A workspace on disk, opened by somebody; close it, or use it with `with`.

    Attributes:
        root: its folder.
        settings: those of its `optinb.toml`.
        context: where, by which settings, when and by whom something is done; what services are made with.
        store: campaigns, approvals, deliveries and the audit trail; opened when something needs it.
    """

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

    def today(self) -> date:
        """The date in the workspace's time zone."""
        return self.context.today()

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
        from optinb.customers.scores import scores_of
        from optinb.measure.published_uplifts import scored_by
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
            scored=partial(scored_by, scores_of(snapshot)),
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

    def campaign_page(self, name: str) -> CampaignPage:
        """One campaign on one page: what was planned, where it stands, what Appboy counted and who redeemed its offer.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
        """
        from optinb.measure import page_of

        record = self.campaigns.get(name)
        waiting, said = self.together.waiting(record), self.together.comments(record.id)
        return page_of(record, self.reach_figures, self.redemptions, waiting=waiting, comments=said)

    @overload
    def results(self, name: None = None) -> AllResults: ...

    @overload
    def results(
        self, name: str, *, night: date | str | None = None, event: str | None = None, parts: bool = False
    ) -> CampaignResult: ...

    def results(
        self,
        name: str | None = None,
        *,
        night: date | str | None = None,
        event: str | None = None,
        parts: bool = False,
    ) -> CampaignResult | AllResults:
        """What a campaign brought so far, or finally: everybody who was to get it against its control group.

        Beside the figures of today stands what they said when they became final. Of each, `frame()` gives a Polars
        frame.

        Args:
            name: of the campaign, without regard to case; all that went out when left out.
            night: the only night that is looked at, as a date, or text such as "2026-11-20"; all when left out.
            event: the name of an event that is counted, too, such as "app_open".
            parts: whether it is looked at by platform, stage and micro-segment, too, as known before the send.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
            UsageError: with the nearest name, for an event that nobody delivered; and for a night, an event or parts
                without a name.
        """
        if name is None:
            if night or event or parts:
                raise UsageError("a night, an event and parts are those of one campaign: give its name, too")
            return self.campaign_results.all()
        return self.campaign_results.of(name, night=as_day(night) if night else None, event=event, parts=parts)

    def programme(self, *, since: date | str | None = None, until: date | str | None = None) -> Programme:
        """What all campaigns together brought: everybody against the lasting control group, over any period.

        Args:
            since: its first day, as a date, or text such as "2026-06-01"; 90 days before the last one, or the first
                delivery, when left out.
            until: its last day; the last one that the tables tell of when left out.

        Raises:
            UsageError: for days in the wrong order, or what is no date.
            StateError: when a frozen audience can't be read.
        """
        return self.programme_results.of(since=as_day(since) if since else None, until=as_day(until) if until else None)

    def uplift(self, name: str) -> CampaignUplift:
        """Whom to write to next time: today's customers by what a campaign would do for them, once it is final.

        It is learned from everybody who was to get it and its control group, by what was known of them before.

        Args:
            name: of the campaign, without regard to case.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
            StateError: when a frozen audience can't be read.
        """
        return self.campaign_uplifts.of(name)

    def status(self) -> WorkspaceStatus:
        """What is published, what waits, what ran lately, and what arrived of it."""
        from optinb.delivery.night_answers import status

        return status(self.root, self.store, self._published(), arrived=self.confirming.known().nights)

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
        return self._doctor.diagnose(app_group)

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
        return self._recovering.recover(dry_run=dry_run)

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
        done = self._forgetting.forget(customer_id, by=by)
        self.reopen()
        return done

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
