"""What a workspace is made of: each service, from the folder, the settings, the store and the clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optinb.base.context import Context
from optinb.base.lazily import once
from optinb.base.settings import Settings, read_secret
from optinb.delivery.journal import Store
from optinb.segments.tables_view import TablesView
from optinb.store import in_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from optinb.appboy.template_import import Templates
    from optinb.delivery import AuditCheckpoints, ContactHistory, Sends
    from optinb.delivery.confirming import Confirming
    from optinb.delivery.forgetting import Forgetting
    from optinb.delivery.night_answers import NightAnswers
    from optinb.delivery.reach_samples import ReachSamples
    from optinb.delivery.recovery import Recovering
    from optinb.measure import (
        CampaignResults,
        CampaignTests,
        CampaignUplifts,
        FinalResults,
        ProgrammeResults,
        PublishedUplifts,
        ReachFigures,
        Redemptions,
    )
    from optinb.measure.mixes import Mixes
    from optinb.planning import Campaigns, Codes, Doctor, Offers
    from optinb.planning.campaign_records import CampaignRecords, Drafts, Unsaved
    from optinb.planning.notices import Notices
    from optinb.planning.resolved import Freshness, Resolver
    from optinb.planning.template_uses import TemplateUses
    from optinb.planning.together import Together
    from optinb.segments import Groups, Lists, VendorControl
    from optinb.segments.news.desk import NewsDesk
    from optinb.warehouse import Snapshot, Warehouse
    from optinb.warehouse.inbox import Arrivals


class Services(TablesView):
    """The services of a workspace, each made when it is first used, and the tables that they read.

    It only says what is made of what; what people call is `Workspace`.
    """

    def __init__(self, root: Path, settings: Settings, *, user: str | None, clock: Callable[[], datetime]) -> None:
        self.context: Context = Context(root, settings, now=clock, user=user)
        self.root: Path = root
        self.settings: Settings = settings
        self.store: Store = Store.when_needed(self._address, root=root)
        self._snapshot: Snapshot | None = None

    def _address(self) -> str | Path:
        state = self.settings.workspace.state
        if state is None:
            return self.root / "state.sqlite"
        return in_folder(read_secret(state) if state.startswith(("env:", "keyring:")) else state, self.root)

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
    def news(self) -> NewsDesk:
        """What changed and whom to look at, night by night."""
        from optinb.segments.news.desk import NewsDesk

        return NewsDesk(self.context, self.store.audit, reading=self, groups=self.groups)

    @once
    def vendor_control(self) -> VendorControl:
        """The members of Appboy's Global Control Group, as they were uploaded for each app group."""
        from optinb.segments.vendor_control import VendorControl

        return VendorControl(self.context, self.store.audit, published=self._published)

    @once
    def templates(self) -> Templates:
        """The API-triggered push campaigns of the app groups, as they were imported."""
        from optinb.appboy.template_import import Templates

        store = self.store
        return Templates(
            self.context,
            store.templates,
            store.statements,
            store.runs,
            note_decision=lambda what: self.checkpoints.note_decided(what),
            follows=lambda template: self._template_uses.follows(template),
        )

    @once
    def codes(self) -> Codes:
        """Pools of single-use promotion codes, for offers."""
        from optinb.planning.code_pools import Codes

        return Codes(self.context, self.store.codes)

    @once
    def offers(self) -> Offers:
        """Saved offers, which campaigns take by name."""
        from optinb.planning.offers import Offers

        return Offers(self.context, self.store.offers, self.store.campaigns)

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
    def reach_samples(self) -> ReachSamples:
        """How far the table of app users is from what Appboy knows."""
        from optinb.delivery.reach_samples import ReachSamples

        return ReachSamples(self.context, lambda: self.store.reach_samples, published=self._published)

    @once
    def confirming(self) -> Confirming:
        """What Appboy says of the messages that it accepted: which arrived, and which were filtered."""
        from optinb.delivery.confirming import Confirming

        return Confirming(
            self.context,
            self.store,
            contacts=self.contacts,
            checkpoints=self.checkpoints,
            client=self.sends.client,
            control=lambda app_group_id: self.vendor_control.members(app_group_id),
        )

    @once
    def reach_figures(self) -> ReachFigures:
        """What Appboy counted of campaigns: sent, opened and bounced, by night, day and platform."""
        from optinb.measure import ReachFigures

        return ReachFigures(self.context, self.store)

    @once
    def redemptions(self) -> Redemptions:
        """Who redeemed the offers of campaigns, and what that cost."""
        from optinb.measure.redemptions import Redemptions

        return Redemptions(self.context, self.store, self.contacts, published=self._published)

    @once
    def campaign_tests(self) -> CampaignTests:
        """Who belongs to the tests of campaigns, and what they did."""
        from optinb.measure.campaign_tests import CampaignTests

        return CampaignTests(self.context, self.store, self.contacts, published=self._published)

    @once
    def campaign_results(self) -> CampaignResults:
        """What campaigns brought, against their control groups."""
        from optinb.measure.campaign_results import CampaignResults
        from optinb.measure.result_details import ResultDetails

        details = ResultDetails(
            self.context,
            as_of=self.warehouse.as_of,
            redemptions=self.redemptions.summary,
            contacts=self.campaign_tests.contacts,
        )
        return CampaignResults(self.context, self.store, self.campaign_tests, details)

    @once
    def final_results(self) -> FinalResults:
        """Which results became final."""
        from optinb.measure.final_results import FinalResults

        return FinalResults(
            self.context, self.store, self.campaign_tests, self.campaign_results, published=self._published
        )

    @once
    def programme_results(self) -> ProgrammeResults:
        """What all campaigns together brought, against the lasting control group."""
        from optinb.measure.programme_results import ProgrammeResults

        return ProgrammeResults(
            self.context, self.store, self.contacts, self.campaign_results, published=self._published
        )

    @once
    def mixes(self) -> Mixes:
        """The shares of variants that learn, by night."""
        from optinb.measure.mix_files import MixFiles
        from optinb.measure.mixes import Mixes

        return Mixes(MixFiles(self.root), self.campaign_tests)

    @once
    def campaign_uplifts(self) -> CampaignUplifts:
        """Whom campaigns move."""
        from optinb.measure.campaign_uplift import CampaignUplifts

        return CampaignUplifts(
            self.campaign_results, published=self._published, customers_on=lambda day: self.customers_on(day)
        )

    @once
    def uplifts(self) -> PublishedUplifts:
        """Whom campaigns move, as attributes for rules: publish, list and withdraw them."""
        from optinb.measure.published_uplifts import PublishedUplifts

        return PublishedUplifts(
            self.context,
            self.store.audit,
            learn=self.campaign_uplifts.of,
            warehouse=self.warehouse,
            published=self._published,
        )

    @once
    def freshness(self) -> Freshness:
        """How old the published tables are."""
        from optinb.planning.resolved import Freshness

        return Freshness(self.context, self, self.warehouse)

    @once
    def unsaved(self) -> Unsaved:
        """What somebody has begun in a form and not saved yet."""
        from optinb.planning.campaign_records import Unsaved

        return Unsaved(self.context)

    @once
    def drafts(self) -> Drafts:
        """Campaigns that are still being worked on."""
        from optinb.planning.campaign_records import Drafts

        return Drafts(self.context, self.store.campaigns, self._records)

    @once
    def notices(self) -> Notices:
        """Tells others what becomes of campaigns."""
        from optinb.planning.notices import Notices

        return Notices(self.context)

    @once
    def together(self) -> Together:
        """People at one campaign: comments, who else has it open, whom it waits for."""
        from optinb.planning.together import Together

        return Together(self.context, self.store.campaigns, self.store.conversation, self.notices)

    @once
    def _records(self) -> CampaignRecords:
        from optinb.planning.campaign_records import CampaignRecords

        return CampaignRecords(
            self.context,
            self.store.campaigns,
            deliveries=self.store.deliveries,
            note_decision=self.checkpoints.note_decision,
            notices=self.notices,
        )

    @once
    def _arrivals(self) -> Arrivals:
        from optinb.warehouse.inbox import Arrivals

        return Arrivals(self.context, self.warehouse, audit=self.store.audit, watched=self.attributes_used)

    @once
    def _resolver(self) -> Resolver:
        from optinb.planning.resolved import Resolver

        return Resolver(
            self.context,
            self,
            groups=self.groups,
            warehouse=self.warehouse,
            templates=self.templates,
            codes=self.store.codes,
            offers=self.store.offers,
            origins=self.store.origins,
        )

    @once
    def _template_uses(self) -> TemplateUses:
        from optinb.planning.template_uses import TemplateUses

        return TemplateUses(self.settings, self.store.campaigns, self._resolver)

    @once
    def campaigns(self) -> Campaigns:
        """Campaigns: plan, preview, submit, approve and cancel them."""
        from optinb.planning.approving import Approvals
        from optinb.planning.audiences import Audiences
        from optinb.planning.campaign_preview import Previews
        from optinb.planning.campaigns import Campaigns
        from optinb.planning.power_of_tests import PowerOfTests
        from optinb.planning.trial_sends import Trials

        context, campaigns = self.context, self.store.campaigns
        records, resolver = self._records, self._resolver
        audiences = Audiences(
            context,
            self,
            campaigns=campaigns,
            contacts=self.contacts,
            templates=self.templates,
            vendor_control=self.vendor_control,
            mix=lambda campaign, night: self.mixes.of(campaign, night),
        )
        previews = Previews(
            context,
            campaigns,
            resolver=resolver,
            audiences=audiences,
            codes=self.codes,
            power=PowerOfTests(self, self.groups),
            earlier=lambda offer: self.redemptions.earlier(offer),
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
            templates=self.templates,
        )

    @once
    def _doctor(self) -> Doctor:
        from optinb.planning import Doctor

        store = self.store
        return Doctor(
            self.context,
            runs=store.runs,
            templates=store.templates,
            vendor_control=self.vendor_control,
            uses=self._template_uses,
            statements=store.statements,
        )

    @once
    def _recovering(self) -> Recovering:
        from optinb.delivery.recovery import Recovering

        return Recovering(
            self.context,
            self.store,
            checkpoints=self.checkpoints,
            templates=self.templates,
            sends=self.sends,
            note=self.campaigns.note,
        )

    @once
    def _forgetting(self) -> Forgetting:
        from optinb.delivery.forgetting import Forgetting

        return Forgetting(
            self.context,
            self.store,
            warehouse=self.warehouse,
            lists=self.lists,
            vendor_control=self.vendor_control,
            checkpoints=self.checkpoints,
        )

    def reopen(self) -> None:
        """Lets go of what was read, so that the next look finds the published version and the journal as they are."""
        self._let_go()
        self.contacts.reopen()

    def close(self) -> None:
        """Gives back files and connections."""
        self._let_go()
        self.store.close()

    def _let_go(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
        self._snapshot = None
