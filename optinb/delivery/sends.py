"""Sends of a workspace that are under way or done: recalling them, moving them, and asking what became of them."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy import AppboyClient
from optinb.base.progress import Advance, progress
from optinb.campaigns import TimeMove, may_move, sign_move, signing_key
from optinb.delivery.budget import Budget
from optinb.delivery.closing import close_dead, lease_name
from optinb.delivery.contact_status import COUNTING
from optinb.delivery.recall import Recall, RecallTools, SendMove, moved_together, recall, reschedule, together
from optinb.delivery.reconcile import AN_HOUR, Reconciled, Settled, Settlements, reconcile
from optinb.delivery.request import ask_after, may_be_stopped
from optinb.delivery.send_moves import as_it_is_now, moved_to, still_to_move
from optinb.errors import CampaignError, Exit, UsageError, failure
from optinb.segments.lists import MAX_NAME, Lists

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from optinb.base.context import Context
    from optinb.delivery.audit_checkpoint import AuditCheckpoints
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import FrozenAudience, Store
    from optinb.engine.persons import Persons
    from optinb.store import HeldLease

WAIT_S = 45.0  # longer than a dead sender's hold lasts, and than a window takes


class Cancellation(Struct, frozen=True, kw_only=True):
    """A campaign that was cancelled, and what could be stopped and recalled of its nights.

    Attributes:
        campaign: its name.
        comment: why it was cancelled.
        nights: what became of each night that wasn't over.
    """

    campaign: str
    comment: str
    nights: tuple[Recall, ...]

    @property
    def exit_code(self) -> int:
        """That of the gravest night: 1 where something is still scheduled, 5 where nobody knows who gets it."""
        codes = {night.exit_code for night in self.nights}
        return int(Exit.FAILED if Exit.FAILED in codes else max(codes, default=Exit.DONE))


class Sends:
    """`ws.sends`: recall, reschedule and reconcile."""

    def __init__(
        self,
        context: Context,
        store: Store,
        *,
        contacts: ContactHistory,
        lists: Lists,
        checkpoints: AuditCheckpoints,
        people: Callable[[], Persons | None],
    ) -> None:
        """Args: `people`: the customers of the published version; None before the first import."""
        self._context, self._store, self._settings = context, store, context.settings
        self._contacts, self._lists, self._checkpoints, self._people = contacts, lists, checkpoints, people
        self._budgets: dict[str, Budget] = {}
        self._remembered: set[str] = set()

    def budget(self, app_group_id: str) -> Budget:
        """The requests of an app group, one budget for all of its campaigns.

        Args:
            app_group_id: id of the app group in the settings.
        """
        settings = self._settings.send
        if app_group_id not in self._budgets:
            self._budgets[app_group_id] = Budget(an_hour=settings.an_hour, reserve=settings.reserve)
        return self._budgets[app_group_id]

    def client(self, audience: FrozenAudience) -> AppboyClient:
        """A client of an audience's app group, which knows what was answered since the night before that audience's.

        Args:
            audience: what is sent, moved, recalled or asked about.

        Raises:
            SettingsError: for an app group that isn't in the settings any more, or a key that isn't there.
        """
        group = self._settings.app_group(audience.app_group_id)
        client = AppboyClient(group, timeout_s=self._settings.send.timeout_s)
        if group.id not in self._remembered:
            since = audience.run_date - timedelta(days=1)
            client.remember(self._store.deliveries.answered_ids(group.id, since=since))
            self._remembered.add(group.id)
        return client

    def recallable(self, campaign_id: str) -> tuple[FrozenAudience, ...]:
        """The nights of a campaign of which something is planned, under way or accepted, and not over.

        Each message of a night is there apart.

        Args:
            campaign_id: 12 hexadecimal digits, as `CampaignRecord.id` has them.

        Raises:
            StateError: when the database was put back to an earlier state.
        """
        self._checkpoints.must_not_be_behind()
        deliveries, now, late = self._store.deliveries, self._context.now(), self._settings.send.late_minutes
        pending = {a.night for a in deliveries.list(campaign_id=campaign_id, having=("planned", "sending"))}
        return tuple(
            audience
            for audience in deliveries.list(campaign_id=campaign_id, having=("planned", "sending", "accepted"))
            if may_be_stopped(audience, pending=audience.night in pending, now=now, late_minutes=late)
        )

    def forgotten(self, name: str) -> str | None:
        """The id of a campaign that only its sends remember, as after a recovery.

        Args:
            name: of the campaign.

        Returns:
            None where there is no such campaign, or it is remembered.
        """
        if self._store.campaigns.find(name):
            return None
        everything = self._store.deliveries.list(having=("planned", "sending", "accepted"))
        return next((a.of_campaign for a in everything if a.campaign_name == name), None)

    def recall(self, campaign_id: str, *, reason: str, run_date: date | None = None) -> tuple[Recall, ...]:
        """Stops every night (or one) of a campaign that isn't over, and recalls what Appboy has accepted of it.

        All messages of a night are stopped before any is recalled.

        A sender that is at work ends within seconds and is waited for. What goes wrong with one night, as a sender that
        doesn't end, is among its `problems` and stops no other's recall.

        Args:
            campaign_id: 12 hexadecimal digits, as `CampaignRecord.id` has them.
            reason: why, for the audit trail.
            run_date: the only night; all that aren't over when left out.

        Returns:
            what became of each night, in messages.

        Raises:
            StateError: when the database was put back to an earlier state.
        """
        until = self._until()
        nights = [a for a in self.recallable(campaign_id) if run_date in (None, a.run_date)]
        before = [self._unsent(audience) for audience in nights]
        for audience in nights:  # all of them before any is waited for
            self._store.deliveries.cancel(
                *audience.night, reason=reason, user=self._context.user, now=self._context.now()
            )
        wait_until = monotonic() + WAIT_S  # all their senders have been told by now
        found = [self._recalled(audience, reason, until, wait_s=wait_until - monotonic()) for audience in nights]
        # what a sender had in hand is stopped by itself, at its end
        stopped = [self._unsent(audience) - known for audience, known in zip(nights, before, strict=True)]
        by_night: dict[tuple[str, date], list[Recall]] = {}
        for audience, done, count in zip(nights, found, stopped, strict=True):
            mine = by_night.setdefault((audience.of_campaign, audience.run_date), [])
            mine.append(replace(done, stopped=count))
        return tuple(together(messages) for messages in by_night.values())

    def _unsent(self, audience: FrozenAudience) -> int:
        """How many recipients of a night were cancelled before any request was made for them."""
        counts = self._store.deliveries.counts(*audience.night)
        return counts.cancelled - counts.recalled

    def _recalled(self, audience: FrozenAudience, reason: str, until: float, *, wait_s: float) -> Recall:
        try:
            held = self._hold(audience, wait_s=wait_s)
            with held as lease, self.client(audience) as client, self._told("recalling", audience) as on_progress:
                tools = self._tools(client, audience, held, until)
                return recall(self._store, audience, tools, lease=lease, reason=reason, progress=on_progress)
        except Exception as error:  # whatever it is, it must not keep the other nights from being recalled
            counts = self._store.deliveries.counts(*audience.night)
            left = counts.accepted + counts.pending
            return Recall(
                campaign=audience.campaign_name,
                run_date=audience.run_date.isoformat(),
                may_be_out=counts.unknown - counts.received - counts.missing,
                out=left,
                left=left,
                problems={failure(error, doing=f"recall {audience.campaign_name!r}"): 1},
            )

    def reschedule(self, name: str, at: str, *, run_date: date | None = None) -> SendMove:
        """Moves a night of a campaign that is scheduled already to a later time of the same day.

        A time is a part of what was approved, so only whoever may approve the campaign may move it, and the audit trail
        keeps who did. The campaign itself stays as it is: its other nights go out at its own time.

        Args:
            name: of the campaign.
            at: the time of day, such as "19:30", in the workspace's zone; in customers' own times for a campaign that
                goes out in them.
            run_date: the night; the first that may still be moved when left out.

        Raises:
            CampaignError: for a campaign that isn't known or has nothing that may be moved, or a time that isn't later.
            ApprovalError: when the user may not approve the campaign.
            LeaseTaken: while a sender is at work.
            StateError: when the database was put back to an earlier state.
        """
        self._checkpoints.must_not_be_behind()
        record, workspace = self._store.campaigns.get(name), self._settings.workspace
        if forged := self._checkpoints.why_unrecorded(record):
            raise CampaignError(f"the audit trail was tampered with: {forged}")
        may_move(record, user=self._context.user, approvers=workspace.approvers, approve_own=workspace.approve_own)
        nights, now = self.recallable(record.id), self._context.now()
        nights = [a for a in nights if run_date in (None, a.run_date) and now < a.send_at]
        if not nights:
            raise CampaignError(f"nothing of {name!r} is scheduled and still to go out, so nothing can be moved")
        deliveries, zone = self._store.deliveries, self._settings.zone
        beside = [audience for audience in nights if audience.is_beside(nights[0])]
        messages = still_to_move(deliveries, beside, at, zone=zone)
        for audience in messages:  # what can't be is refused before anybody is waited for
            moved_to(deliveries, audience, at, zone=zone, now=now)
        until = self._until()
        with ExitStack() as stack:
            held: list[HeldLease] = []
            for audience in messages:  # all of them before any is moved
                held.append(self._hold(audience))
                stack.enter_context(held[-1])
            # somebody else may have moved it until then
            now = self._context.now()
            messages = [as_it_is_now(deliveries, audience, now=now) for audience in messages]
            moments = [moved_to(deliveries, audience, at, zone=zone, now=now) for audience in messages]
            found = zip(messages, held, moments, strict=True)
            return moved_together([self._move(audience, hold, moment, until) for audience, hold, moment in found])

    def _move(self, audience: FrozenAudience, held: HeldLease, send_at: datetime, until: float) -> SendMove:
        """Moves one message of a night. Raises StateError."""
        signature = None
        if private := signing_key(self._settings):
            move, of = TimeMove(who=self._context.user, before=audience.send_at, send_at=send_at), audience
            signature = sign_move(
                move, campaign_id=of.of_campaign, run_date=of.run_date, sha256=of.sha256, private=private
            )
        with self.client(audience) as client, self._told("moving", audience) as on_progress:
            return reschedule(
                self._store,
                audience,
                self._tools(client, audience, held, until),
                lease=held.lease,
                send_at=send_at,
                user=self._context.user,
                signature=signature,
                progress=on_progress,
            )

    def reconcile(self, run_date: date | None = None) -> Settlements:
        """Asks Appboy about the unknown recipients of a night, or of all, and lists those that it didn't reach.

        Nothing is sent: the list, `NAME DATE, not received`, is for a new campaign with an approval of its own. A night
        is asked about as a whole, and its list gets a new version where Appboy says something else. What goes wrong for
        one campaign doesn't stop the others.

        Args:
            run_date: the night; when left out, only those are asked about of whom Appboy hasn't said anything yet.

        Raises:
            UsageError: when that night sent nothing at all.
            StateError: when the database was put back to an earlier state.
        """
        self._checkpoints.must_not_be_behind()
        again, deliveries, late = run_date is not None, self._store.deliveries, self._settings.send.late_minutes
        asked = {a.night for a in deliveries.list(run_date=run_date, having=("unknown",), unsettled=not again)}
        audiences = [
            audience
            for audience in deliveries.list(run_date=run_date, having=("unknown", "sending"), unsettled=not again)
            # what a sender that was stopped or killed has left becomes unknown once its time is over
            if audience.night in asked or self._context.now() >= ask_after(audience, late)
        ]
        if run_date is not None and not deliveries.list(run_date=run_date):
            raise UsageError(f"nothing was sent in the night of {run_date}; `optinb status` shows the nights that ran")
        budget = {a.app_group_id: Budget(an_hour=AN_HOUR, reserve=0.0) for a in audiences}
        nights = tuple(self._settled(a, budget[a.app_group_id], again=again) for a in audiences)
        is_open = any(n.reconciled.ask_after or n.reconciled.untold for n in nights)
        code = Exit.DELIVERIES_UNKNOWN if is_open else Exit.DONE
        return Settlements(nights=nights, exit_code=int(Exit.FAILED if any(n.problem for n in nights) else code))

    def _settled(self, audience: FrozenAudience, budget: Budget, *, again: bool) -> Settled:
        total, late = self._store.deliveries.counts(*audience.night).unknown, self._settings.send.late_minutes
        try:
            if self._context.now() >= ask_after(audience, late):
                with self._hold(audience) as lease:  # no sender can be at work on it, or come back to it
                    close_dead(self._store, audience, lease, now=self._context.now(), late_minutes=late)
            with (
                self.client(audience) as client,
                progress("asking Appboy", total=total, unit="customer") as on_progress,
            ):
                found = reconcile(
                    self._store,
                    client,
                    audience,
                    root=self._context.root,
                    clock=self._context.now,
                    user=self._context.user,
                    late_minutes=late,
                    budget=budget,
                    again=again,
                    progress=on_progress,
                )
            return Settled(reconciled=found, list=self._listed(audience, found))
        except Exception as error:  # whatever it is, it must not keep the other nights from being asked about
            asked = Reconciled(campaign=audience.campaign_name, run_date=audience.run_date, unknown=total)
            doing = f"reconcile {audience.campaign_name!r}"
            return Settled(reconciled=asked, problem=failure(error, doing=doing))

    def _listed(self, audience: FrozenAudience, found: Reconciled) -> str | None:
        """Keeps the customers that got nothing as a list, which a campaign can target."""
        if found.ask_after:
            return None
        return self._list_of(audience, pl.col("status") == "missing", "not received")

    def list_cancelled(self, audience: FrozenAudience) -> str | None:
        """Keeps whoever was stopped or recalled of a night as a list, `NAME DATE, recalled`, for another campaign.

        Args:
            audience: of that night.

        Returns:
            the name of the list, or None where there was never anybody.
        """
        return self._list_of(audience, pl.col("status") == "cancelled", "recalled")

    def _list_of(self, audience: FrozenAudience, those: pl.Expr, what: str) -> str | None:
        """Keeps some recipients of all messages of a night as a list; None where nobody is on it, or was before."""
        tail = f" {audience.run_date}, {what}"
        name = audience.campaign_name[: MAX_NAME - len(tail)].strip() + tail
        sent = self._contacts.rows(audience).filter(pl.col("role") == "recipient")
        messages = self._store.deliveries.messages(audience.of_campaign, audience.run_date)
        others = [self._contacts.rows(message) for message in messages if message.night != audience.night]
        beside = [rows.filter(pl.col("role") == "recipient") for rows in others]
        people = pl.concat([sent, *beside]).filter(those).unique("customer_id", maintain_order=True)
        if beside:  # who gets another message of that night doesn't get nothing
            got = pl.concat([sent, *beside]).filter(pl.col("status").is_in(COUNTING))
            people = people.join(got, on="customer_id", how="anti", maintain_order="left")
        if people.is_empty() and not self._lists.has(name):
            return None
        people = people.select("customer_id", "external_user_id")
        if (known := self._people()) is not None:
            people = known.today(people)  # whoever has another id since is on it by that one
        return self._lists.save(name, people["customer_id"], may_be_empty=True).name

    def _tools(self, client: AppboyClient, audience: FrozenAudience, held: HeldLease, until: float) -> RecallTools:
        budget = self.budget(audience.app_group_id)
        return RecallTools(client, self._context.now, self._settings.send, budget, until=until, may_ask=held.is_safe)

    def _until(self) -> float:
        """When recalling or moving has taken long enough."""
        return monotonic() + 60.0 * self._settings.send.recall_minutes

    def _told(self, doing: str, audience: FrozenAudience) -> AbstractContextManager[Advance]:
        """A line that says how far a recall or a move is."""
        total = self._store.deliveries.counts(*audience.night).accepted
        return progress(f"{doing} {audience.campaign_name}", total=total, unit="recipient")

    def _hold(self, audience: FrozenAudience, *, wait_s: float = WAIT_S) -> HeldLease:
        return self._store.lease(
            lease_name(audience),
            holder=self._context.holder,
            clock=self._store.clock,
            wait_s=wait_s,
            what=f"the send of {audience.campaign_name!r} for {audience.run_date}",
        )
