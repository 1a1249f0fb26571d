"""Asking Appboy what became of the messages of the last two weeks: which arrived, which were filtered, and why."""

from __future__ import annotations

from datetime import date, timedelta
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from optinb.appboy.wire import SERIES_DAYS
from optinb.base.progress import progress
from optinb.base.settings import RehearsedGroup
from optinb.campaigns.messages import campaign_of
from optinb.delivery.alarms_seen import see, with_ends
from optinb.delivery.arrival_alarm import alarm_turns
from optinb.delivery.arrival_figures import ArrivalFigures, alarm_of
from optinb.delivery.asking import Asking, Ticking, ticking
from optinb.delivery.batch import is_late
from optinb.delivery.budget import Budget
from optinb.delivery.closing import lease_name
from optinb.delivery.confirmed_nights import ConfirmedNight, ConfirmedNights, why_open
from optinb.delivery.confirming_night import NightAsked
from optinb.delivery.giving_back import given_back
from optinb.delivery.reconcile import AN_HOUR
from optinb.delivery.request import ask_after
from optinb.delivery.same_template import SameTemplate
from optinb.delivery.sampling import shares_to_ask
from optinb.errors import CampaignError, UsageError, did_you_mean, failure
from optinb.store import LeaseTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from optinb.appboy import AppboyClient
    from optinb.base.context import Context
    from optinb.base.settings import Settings
    from optinb.delivery.audit_checkpoint import AuditCheckpoints
    from optinb.delivery.confirmed_nights import CodesGivenBack
    from optinb.delivery.contact_history import ContactHistory
    from optinb.delivery.journal import FrozenAudience, Store
    from optinb.store import HeldLease


class _Asked(NamedTuple):
    """Of how many recipients of a night Appboy was asked now, why not of more, and what went wrong."""

    recipients: int = 0
    note: str | None = None
    problem: str | None = None


class Confirming:
    """`ws.confirming`: what Appboy says of messages that it accepted."""

    def __init__(
        self,
        context: Context,
        store: Store,
        *,
        contacts: ContactHistory,
        checkpoints: AuditCheckpoints,
        client: Callable[[FrozenAudience], AppboyClient],
        control: Callable[[str], pl.DataFrame | None] = lambda _app_group_id: None,
        ticks: Ticking | None = None,
    ) -> None:
        """Asks by a workspace's journal.

        Args:
            context: of the workspace.
            store: with the journal and the confirmations.
            contacts: the history of contacts.
            checkpoints: of the audit trail.
            client: of an audience's app group.
            control: gives, by the id of an app group, external_user_id of those in Appboy's control group.
            ticks: the time of the pace.
        """
        self._context, self._store = context, store
        self.settings: Settings = context.settings
        self._contacts, self._checkpoints = contacts, checkpoints
        self._client = client
        self.control: Callable[[str], pl.DataFrame | None] = control
        self.ticks: Ticking = ticks or ticking()

    def known(self, *, since: date | None = None) -> ConfirmedNights:
        """What Appboy said so far of the nights from a date on, the last two weeks when left out; it isn't asked.

        Args:
            since: the first night.
        """
        audiences = self._nights(None, since=since)
        unlike = self._store.confirmations.all_unlike()
        return ConfirmedNights(nights=self._told(audiences, {}), minutes=0.0, notes=unlike)

    def confirm(
        self, run_date: date | None = None, *, minutes: float | None = None, before_sends: bool = False
    ) -> ConfirmedNights:
        """Asks Appboy about the recipients of the last two weeks' nights of whom there is no last word.

        All of them are asked about, or a sample of a night that is too large. What is told counts for the contact
        history at once. Nothing is sent; sends that are under way go first. What it is kept from, such as by an Appboy
        that doesn't answer, it does the next time.

        Args:
            run_date: the only night, of whatever age, of whom there is no word is asked about again at once; the last
                two weeks' when left out.
            minutes: how long it may take; `[confirm] minutes` when left out.
            before_sends: whether this run has sends of its own still to make, which then go first wholly.

        Raises:
            UsageError: when that night sent nothing at all, and for minutes that are no time.
            StateError: when the database was put back to an earlier state.
        """
        self._checkpoints.must_not_be_behind()
        audiences = self._nights(run_date)
        if run_date is not None and not self._store.deliveries.list(run_date=run_date):
            raise UsageError(f"nothing was sent in the night of {run_date}; `optinb status` shows the nights that ran")
        minutes = float(self.settings.confirm.minutes) if minutes is None else minutes
        if not isfinite(minutes) or minutes < 0:
            raise UsageError(f"{minutes} is no time to ask for; give minutes, such as 20 or 0.5")
        until = self.ticks.clock() + 60.0 * minutes
        notes = list(self._store.confirmations.all_unlike())
        found: dict[tuple[str, date], _Asked] = {}
        for group in dict.fromkeys(audience.app_group_id for audience in audiences):
            mine = [audience for audience in audiences if audience.app_group_id == group]
            notes += self._group(group, mine, found, until=until, again=run_date is not None, before=before_sends)
        return ConfirmedNights(nights=self._told(audiences, found), minutes=minutes, notes=tuple(notes))

    def seen(self, name: str, *, comment: str = "") -> ConfirmedNights:
        """Says that somebody has seen the alarm about a template: it is over for the template's nights up to now.

        A new night with the same fault alarms again. The trail says who has seen it, and when.

        Args:
            name: of the template, or of a campaign that went out with it.
            comment: what they say to it.

        Returns:
            what is known of the nights, as `known` does.

        Raises:
            CampaignError: where there is no alarm about it.
            StateError: when the database was put back to an earlier state.
        """
        self._checkpoints.must_not_be_behind()
        audiences, who, now = self._nights(None), self._context.user, self._context.now()
        see(name, self._told(audiences, {}), audiences, self._store, comment=comment, user=who, now=now)
        return ConfirmedNights(nights=self._told(audiences, {}), minutes=0.0)

    def give_back_codes(self, campaign: str, run_date: date) -> CodesGivenBack:
        """Returns to their pool the promotion codes of those whose messages Appboy certainly filtered.

        Args:
            campaign: its name.
            run_date: the night.

        Returns:
            how many are free by this; given back twice, none are.

        Raises:
            CampaignError: for a campaign that sent nothing that night, or no codes; and while Appboy wasn't asked.
            StateError: when the file of what it said can't be read, or the database was put back.
        """
        self._checkpoints.must_not_be_behind()
        return given_back(
            self._messages_of(campaign, run_date),
            self._store,
            root=self._context.root,
            contacts=self._contacts,
            facts=lambda audience: self._same_template(audience).facts(),
            user=self._context.user,
            now=self._context.now(),
        )

    def _messages_of(self, campaign: str, run_date: date) -> tuple[FrozenAudience, ...]:
        """All messages of a campaign's night, by its name. Raises CampaignError where it sent nothing then."""
        nights = self._store.deliveries.list(run_date=run_date)
        messages = tuple(a for a in nights if a.campaign_name.casefold() == campaign.casefold())
        if not messages:
            known = [a.campaign_name for a in nights]
            raise CampaignError(
                f"no campaign {campaign!r} sent anything in the night of {run_date}{did_you_mean(campaign, known)}"
            )
        return messages

    def _nights(self, run_date: date | None, *, since: date | None = None) -> tuple[FrozenAudience, ...]:
        """The nights of which Appboy accepted something and everybody's time has come, the newest first."""
        oldest = since or self._context.today() - timedelta(days=SERIES_DAYS)
        late, now = self.settings.send.late_minutes, self._context.now()
        return tuple(
            audience
            for audience in self._store.deliveries.list(run_date=run_date, having=("accepted",))
            if (run_date is not None or audience.run_date >= oldest) and now >= ask_after(audience, late)
        )

    def _group(
        self,
        app_group_id: str,
        audiences: Sequence[FrozenAudience],
        found: dict[tuple[str, date], _Asked],
        *,
        until: float,
        again: bool,
        before: bool,
    ) -> list[str]:
        """Asks about the nights of one app group, into `found`; returns what kept it from asking."""
        name = self._group_name(app_group_id)
        if before and self._is_pending(app_group_id):
            return [f"{name}: what is still to be sent tonight goes first; Appboy is asked the next time"]
        try:
            held = self._store.lease(
                f"confirm {app_group_id}"[:200],
                holder=self._context.holder,
                clock=self._store.clock,
                what=f"asking Appboy about the recipients of {name}",
            )
        except LeaseTaken as error:
            return [f"{name}: {error}"]
        with held:
            asking = self._asking(app_group_id, held, until=until)
            figures = ArrivalFigures(self._client, zone=self.settings.zone)
            planned = self._planned(audiences)
            notes: list[str] = []
            for audience in audiences:
                try:
                    found[audience.night] = self._night(
                        audience, asking, figures, planned=planned[audience.night], again=again, held=held, notes=notes
                    )
                except Exception as error:  # whatever it is, it must not keep the others from being asked about
                    doing = f"confirm {audience.campaign_name!r}"
                    found[audience.night] = _Asked(problem=failure(error, doing=doing))
        return [*notes, *([f"{name}: {asking.why_over}"] if asking.why_over else [])]

    def _night(
        self,
        audience: FrozenAudience,
        asking: Asking,
        figures: ArrivalFigures,
        *,
        planned: int,
        again: bool,
        held: HeldLease,
        notes: list[str],
    ) -> _Asked:
        clock = self._context.now
        there = NightAsked(self._store, audience, root=self._context.root, planned=planned)
        notes += there.distrusted
        same = self._same_template(audience)
        template, night = same.template, same.facts()
        turns = alarm_turns(night)
        left = there.left(now=clock(), again=again, final_at=night.final_at, turns=turns)
        if not left and there.is_concluded(now=clock(), turns=(*turns, night.final_at)):
            return _Asked()
        if isinstance(self.settings.app_group(audience.app_group_id), RehearsedGroup) and figures.knows_nothing_of(
            audience
        ):
            return _Asked(note="the sandbox of this rehearsal knows nothing of that night: it began later")
        before, asked = asking.requests, 0
        if left and asking.why_over is None:
            if problem := figures.why_no_answer_counts(audience, clock()):
                return _Asked(problem=problem)
            with (
                self._client(audience) as client,
                progress(f"asking about {audience.campaign_name}", total=len(left), unit="recipient") as on_progress,
            ):
                asked = there.ask(
                    asking,
                    client,
                    left,
                    night=night,
                    again_at=same.again_at(),
                    user=self._context.user,
                    clock=clock,
                    progress=on_progress,
                )
        note = asking.why_over if asked < len(left) else None
        if there.is_concluded(now=clock(), turns=(*turns, night.final_at)):
            return _Asked(recipients=asked, note=note)
        if not held.is_safe():
            return _Asked(recipients=asked, note="somebody else has taken over asking Appboy")
        night = there.with_count(night, figures.counted(audience, same.others, clock()))
        done = there.conclude(
            night,
            template=template,
            earlier=same.earlier(),
            requests=asking.requests - before,
            alarm_of=alarm_of(audience, template.name if template else audience.template_id, night),
            user=self._context.user,
            now=clock(),
        )
        return _Asked(recipients=asked, note=note or (why_open(done.counts) if done else None))

    def _asking(self, app_group_id: str, held: HeldLease, *, until: float) -> Asking:
        hour = self._context.now().replace(minute=0, second=0, microsecond=0)
        send = self.settings.send
        return Asking(
            an_hour=send.an_hour,
            used=self._store.confirmations.requests_since(app_group_id, hour),
            budget=Budget(an_hour=AN_HOUR, reserve=send.reserve, clock=self.ticks.clock, sleep=self.ticks.sleep),
            until=until,
            is_sending=lambda: self._is_sending(app_group_id),
            may_ask=held.is_safe,
            ticks=self.ticks,
        )

    def _planned(self, audiences: Sequence[FrozenAudience]) -> dict[tuple[str, date], int]:
        """Of how many recipients of each campaign of each night Appboy is to be asked."""
        found: dict[tuple[str, date], int] = {}
        for night in dict.fromkeys(audience.run_date for audience in audiences):
            # all app groups of a night share what is asked about
            accepted = {
                a.night: self._store.deliveries.counts(*a.night).accepted
                for a in self._store.deliveries.list(run_date=night, having=("accepted",))
            }
            found |= shares_to_ask(accepted)
        return found

    def _told(
        self, audiences: Sequence[FrozenAudience], asked: Mapping[tuple[str, date], _Asked]
    ) -> tuple[ConfirmedNight, ...]:
        """What is known of nights by now, and what asking came to."""
        newest = {there.night: there for there in self._store.confirmations.list()}
        last: dict[str, date] = {}
        for campaign_id, night in newest:
            of_campaign = campaign_of(campaign_id)
            last[of_campaign] = max(night, last.get(of_campaign, night))
        groups = {audience.app_group_id for audience in audiences}
        names = {group: self._store.templates.imported(group) for group in groups}
        found: list[ConfirmedNight] = []
        for audience in audiences:
            there, done = newest.get(audience.night), asked.get(audience.night, _Asked())
            template = names[audience.app_group_id].get(audience.template_id)
            found.append(
                ConfirmedNight(
                    campaign=audience.campaign_name,
                    template=template.name if template else audience.template_id,
                    variant=audience.variant,
                    is_of_several=sum(audience.is_beside(other) for other in audiences) > 1,
                    run_date=audience.run_date,
                    send_at=audience.send_at,
                    counts=there.counts if there else None,
                    asked_now=done.recipients,
                    is_newest=there is not None and last[audience.of_campaign] == audience.run_date,
                    note=done.note,
                    problem=done.problem,
                )
            )
        return with_ends(found, audiences, self._store)

    def _same_template(self, audience: FrozenAudience) -> SameTemplate:
        return SameTemplate(audience, self._context, self._store, self._contacts, control=self.control)

    def _group_name(self, app_group_id: str) -> str:
        return next((g.name for g in self.settings.app_groups if g.id == app_group_id), app_group_id)

    def _is_pending(self, app_group_id: str) -> bool:
        """Whether something is still to be sent to an app group, and may be."""
        late, now = self.settings.send.late_minutes, self._context.now()
        waiting = self._store.deliveries.list(having=("planned", "sending"))
        return any(a.app_group_id == app_group_id and not is_late(a.send_at, now, late) for a in waiting)

    def _is_sending(self, app_group_id: str) -> bool:
        """Whether a sender is at work on an app group."""
        waiting = self._store.deliveries.list(having=("planned", "sending"))
        now = self._store.clock()
        return any(
            a.app_group_id == app_group_id and self._store.leases.is_held(lease_name(a), now=now) for a in waiting
        )
