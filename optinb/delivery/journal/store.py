"""The store of campaigns, approvals and deliveries: one handle on its repositories."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from optinb.base.lazily import once
from optinb.delivery.journal.answers import AnswerFiles
from optinb.store.audit import AuditTrail
from optinb.store.database import Database
from optinb.store.leases import TTL_S, HeldLease, Leases, LeaseTaken, SharedClock, Watch, ticks
from optinb.store.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from optinb.appboy.statements import Statements
    from optinb.appboy.template_store import TemplateStore
    from optinb.campaigns.campaign_store import CampaignStore
    from optinb.campaigns.conversation_store import ConversationStore
    from optinb.campaigns.offer_store import OfferStore
    from optinb.campaigns.rewording import Rewording
    from optinb.delivery.journal.code_returns import CodeReturns
    from optinb.delivery.journal.codes import CodeStore
    from optinb.delivery.journal.confirmations import ConfirmationStore
    from optinb.delivery.journal.deliveries import Deliveries
    from optinb.delivery.journal.origins import Origins
    from optinb.delivery.journal.reach_days import ReachDays
    from optinb.delivery.journal.recovering import Recovery
    from optinb.delivery.journal.samples import ReachSampleStore
    from optinb.delivery.journal.seals import Seals
    from optinb.segments.groups import GroupStore


class Store:
    """Groups, templates, campaigns, codes, deliveries, runs and the audit trail of a workspace.

    Several processes and threads may use the same store at once; each change is one transaction with its audit entry.
    """

    def __init__(self, database: Database, root: Path | None = None) -> None:
        self._database = database
        self._answers = AnswerFiles(root)
        self.runs: Runs = Runs(database)
        self.audit: AuditTrail = AuditTrail(database)
        self.leases: Leases = Leases(database)
        self.clock: SharedClock = SharedClock(database)

    @once
    def groups(self) -> GroupStore:
        """Target groups."""
        from optinb.segments.groups import GroupStore

        return GroupStore(self._database)

    @once
    def templates(self) -> TemplateStore:
        """Templates."""
        from optinb.appboy.template_store import TemplateStore

        return TemplateStore(self._database)

    @once
    def statements(self) -> Statements:
        """What people have stated of templates."""
        from optinb.appboy.statements import Statements

        return Statements(self._database)

    @once
    def campaigns(self) -> CampaignStore:
        """Campaigns and their approvals."""
        from optinb.campaigns.campaign_store import CampaignStore

        return CampaignStore(self._database)

    @once
    def offers(self) -> OfferStore:
        """Saved offers."""
        from optinb.campaigns.offer_store import OfferStore

        return OfferStore(self._database)

    @property
    def conversation(self) -> ConversationStore:
        """What people say about campaigns, and who has one before them."""
        from optinb.campaigns.conversation_store import ConversationStore

        return ConversationStore(self._database)

    @once
    def codes(self) -> CodeStore:
        """Pools of promotion codes."""
        from optinb.delivery.journal.codes import CodeStore

        return CodeStore(self._database)

    @once
    def code_returns(self) -> CodeReturns:
        """Promotion codes that are given back."""
        from optinb.delivery.journal.code_returns import CodeReturns

        return CodeReturns(self._database, self._answers)

    @once
    def deliveries(self) -> Deliveries:
        """Frozen audiences and their batches."""
        from optinb.delivery.journal.deliveries import Deliveries

        return Deliveries(self._database, self._answers)

    @once
    def confirmations(self) -> ConfirmationStore:
        """What Appboy said of recipients later."""
        from optinb.delivery.journal.confirmations import ConfirmationStore

        return ConfirmationStore(self._database)

    @once
    def reach_days(self) -> ReachDays:
        """What Appboy counted by day and platform."""
        from optinb.delivery.journal.reach_days import ReachDays

        return ReachDays(self._database)

    @once
    def seals(self) -> Seals:
        """The seals of frozen audiences."""
        from optinb.delivery.journal.seals import Seals

        return Seals(self._database, self._answers)

    @once
    def recovery(self) -> Recovery:
        """Nights that are rebuilt."""
        from optinb.delivery.journal.recovering import Recovery

        return Recovery(self._database, self._answers)

    @once
    def origins(self) -> Origins:
        """What sends came of."""
        from optinb.delivery.journal.origins import Origins

        return Origins(self._database)

    @once
    def reach_samples(self) -> ReachSampleStore:
        """Samples of customers whom Appboy was asked about."""
        from optinb.delivery.journal.samples import ReachSampleStore

        return ReachSampleStore(self._database)

    @once
    def rewording(self) -> Rewording:
        """Texts that a person is taken out of."""
        from optinb.campaigns.rewording import Rewording

        return Rewording(self._database)

    @classmethod
    def open(cls, address: str | Path, *, root: Path | None = None) -> Store:
        """Opens a store, and makes or migrates its tables.

        Args:
            address: path of an SQLite file, or an SQLAlchemy URL such as `postgresql+psycopg://user:password@host/name`.
            root: the workspace, where the journal is kept a second time beside each frozen audience; None: nowhere.

        Raises:
            StateError when it can't be opened, without the password.
        """
        return cls(Database.open(address), root)

    @classmethod
    def when_needed(cls, address: Callable[[], str | Path], *, root: Path | None = None) -> Store:
        """The same, but nothing is opened, nor made, before something is read or written; then raises StateError."""
        return cls(Database(address), root)

    def lease(
        self,
        name: str,
        *,
        holder: str,
        clock: Callable[[], datetime],
        ttl_s: float = TTL_S,
        wait_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        what: str | None = None,
    ) -> HeldLease:
        """Takes the lease `name` and renews it in the background until it's released.

        Args:
            name: of the thing, the same for all who work on it.
            holder: who takes it, for people: host and process, or a user.
            clock: the time in UTC; `store.clock`, unless all who want it go by another one.
            ttl_s: how long it lasts when its holder has died.
            wait_s: how long to wait for it, when somebody else has it.
            sleep: waits so many seconds.
            what: the name for people; `name` if left out.

        Raises:
            LeaseTaken with a sentence that names the holder, when somebody else keeps it.
        """
        waited, watch = 0.0, Watch()
        margin_s = clock.margin_s if isinstance(clock, SharedClock) else 0.0
        while True:
            since = ticks()
            try:
                lease = self.leases.take(
                    name, holder=holder, now=clock(), ttl_s=ttl_s, what=what, margin_s=margin_s, watch=watch
                )
            except LeaseTaken:
                if waited >= wait_s:
                    raise
            else:
                return HeldLease(self.leases, lease, clock=clock, ttl_s=ttl_s, since=since)
            sleep(1.0)
            waited += 1.0

    def wipe(self) -> bool:
        """Overwrites what was removed, where the database keeps it for a while; whether that could be done."""
        return self._database.wipe()

    @property
    def address(self) -> str:
        """Where the store is, without a password."""
        return self._database.address

    def close(self) -> None:
        """Gives the connections back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
