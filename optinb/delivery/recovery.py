"""Bringing a database that was put back to an earlier state up to date with what lies outside it."""

from __future__ import annotations

import os
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import ALIVE, Waterfall, campaign_of, id_of, message_key
from optinb.delivery.audit_checkpoint import RECOVERED, SUBJECT, AuditCheckpoints, LostCheckpoint, nights_with_answers
from optinb.delivery.journal import FrozenAudience, RebuiltNight, Store, send_lease
from optinb.delivery.reconcile import Settled
from optinb.delivery.sends import WAIT_S, Sends
from optinb.errors import ApprovalError, OptinbError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from optinb.appboy.template_import import Templates
    from optinb.base.context import Context

NO_FILE = "it isn't in the database, and has no file of answers"


class Recovered(Struct, frozen=True, kw_only=True):
    """What was rebuilt of a database that was put back, or would be.

    `witnesses` are the notes of nights that the audit trail doesn't fit any more, `unknown_campaigns` those that were
    planned after the moment that the database was put back to, and are lost. `settled` is what Appboy said of unknown
    recipients, `problems` what couldn't be read or done.
    """

    dry_run: bool
    witnesses: tuple[str, ...] = ()
    nights: tuple[RebuiltNight, ...] = ()
    unknown_campaigns: tuple[str, ...] = ()
    settled: tuple[Settled, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where something couldn't be read or done."""
        return int(bool(self.problems))


class Recovering:
    """Rebuilds what a database has forgotten."""

    def __init__(
        self,
        context: Context,
        store: Store,
        *,
        checkpoints: AuditCheckpoints,
        templates: Templates,
        sends: Sends,
        note: Callable[..., None],
    ) -> None:
        """Args: `note`: notes a step of a campaign's record, `note(record, "hold", comment="why")`."""
        self._context, self._store, self._checkpoints = context, store, checkpoints
        self._templates, self._sends, self._step = templates, sends, note
        self._runs = context.root / "runs"

    def recover(self, *, dry_run: bool = False) -> Recovered:
        """Rebuilds what the database has forgotten; see `Workspace.recover`."""
        if not dry_run:
            self._must_approve()
        lost = self._checkpoints.lost()
        if not dry_run:
            self._must_rename(lost)
        nights, problems = [], []
        kept = list(nights_with_answers(self._context.root))
        for night, campaign_id in kept:
            try:
                for key, problem in self._store.recovery.whys_behind(campaign_id, night).items():
                    nights.append(self._rebuilt(key, night, why=problem, dry_run=dry_run))
            except StateError as error:
                problems.append(f"the night of {night}: {error}")
        unread: set[date] = set()
        for night in sorted({one.night for one in lost if one.night}):
            if night in {day for day, _ in kept} and not self._summary_of(night).is_file():
                continue  # it ended before its report, and its files of answers tell all that it sent
            try:
                nights += [
                    self._store.recovery.rebuild_unknown(
                        audience,
                        requests=requests,
                        why=NO_FILE,
                        user=self._context.user,
                        now=self._context.now(),
                        dry_run=dry_run,
                    )
                    for audience, requests in self._told_by_summary(night)
                ]
            except OptinbError as error:
                problems.append(
                    f"the night of {night}, whose summary tells of sends without a file of answers: {error}"
                )
                unread.add(night)
        # A night of which nobody knows what it sent keeps its note, so that nothing is done until it can be read.
        told = [one for one in lost if one.night not in unread]
        if not dry_run and (told or nights):
            self._enter(told, nights)
            self._hold(nights)
        known = {record.campaign.name for record in self._store.campaigns.list()}
        settled: list[Settled] = []
        for night in sorted({n.run_date for n in nights if n.recipients.get("unknown")}) if not dry_run else ():
            try:
                settled += self._sends.reconcile(night).nights
            except OptinbError as error:
                problems.append(f"the unknown of {night} couldn't be asked about: {error}")
        return Recovered(
            dry_run=dry_run,
            witnesses=tuple(one.why for one in lost),
            nights=tuple(nights),
            unknown_campaigns=tuple(sorted({n.campaign for n in nights} - known)),
            settled=tuple(settled),
            problems=tuple(problems),
        )

    def _summary_of(self, night: date) -> Path:
        return self._runs / night.isoformat() / "summary.json"

    def _told_by_summary(self, night: date) -> Iterator[tuple[FrozenAudience, tuple[tuple[int, int], ...]]]:
        """What a night froze, by its summary, that neither the database nor a file of answers knows; and its requests.

        As after a night of an optinb that kept no such files. Raises OptinbError where it can't be told whose it is.
        """
        try:
            told = msgspec.json.decode(self._summary_of(night).read_bytes(), type=_Summary)
        except (OSError, msgspec.MsgspecError) as error:
            raise StateError(f"its summary can't be read ({error}); don't run that night again") from error
        for c in (message for campaign in told.campaigns for message in campaign.each):
            known = self._store.campaigns.find(c.name)
            campaign_id = message_key(id_of(c.name), c.number)
            is_kept = self._store.recovery.account(campaign_id, night) or self._store.deliveries.find(
                campaign_id, night
            )
            if is_kept or not (c.audience and c.audience_sha256 and c.send_at):
                continue
            group = self._context.settings.app_group(c.app_group)
            audience = FrozenAudience(
                campaign_id=campaign_id,
                campaign_name=c.name,
                run_date=night,
                app_group_id=group.id,
                template_id=self._templates.get(group.name, c.template).id,
                path=c.audience,
                sha256=c.audience_sha256,
                send_at=c.send_at,
                recipients=c.recipients,
                batches=c.batches,
                waterfall=c.figures,
                fingerprint="",
                planned_at=c.send_at,
                clock=known.campaign.schedule.clock if known else "workspace",
                variant=c.variant,
            )
            yield audience, _evenly(c.recipients, c.batches)

    def _rebuilt(self, campaign_id: str, night: date, *, why: str, dry_run: bool) -> RebuiltNight:
        def rebuild() -> RebuiltNight:
            return self._store.recovery.rebuild(
                campaign_id, night, why=why, user=self._context.user, now=self._context.now(), dry_run=dry_run
            )

        account = self._store.recovery.account(campaign_id, night)
        told = account.audience if account else None
        if told and (
            (id_of(told.campaign_name), told.run_date) != (campaign_of(campaign_id), night)
            or told.campaign_id != campaign_id
        ):
            raise StateError(
                f"the file of answers of {campaign_id} is of {told.campaign_name!r} of {told.run_date} by its text"
            )
        if dry_run:
            return rebuild()
        with self._store.lease(
            send_lease(campaign_id, night),
            holder=self._context.holder,
            clock=self._store.clock,
            wait_s=WAIT_S,
            what=f"a send of {night}",
        ):
            return rebuild()

    def _must_approve(self) -> None:
        """Refuses whoever is no approver, as evidence of what was approved is given up here. Raises ApprovalError."""
        user, approvers = self._context.user, self._context.settings.workspace.approvers
        if user not in approvers:
            listed = ", ".join(map(repr, approvers)) or "nobody"
            raise ApprovalError(
                f"{user!r} may not recover; approvers in optinb.toml are {listed}. `optinb recover --dry-run` tells "
                "everybody what it would do"
            )

    def _must_rename(self, lost: Sequence[LostCheckpoint]) -> None:
        """Refuses, before anything is entered, a login that couldn't give lost notes up. Raises StateError."""
        for one in lost:
            folder = self._runs / (one.night.isoformat() if one.night else "")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise StateError(
                    f"nothing was recovered, since this login can't rename the note in {folder}; give this login the "
                    "right to write to runs/ and the folders in it, then recover again"
                )

    def _hold(self, nights: Sequence[RebuiltNight]) -> None:
        """Holds the campaigns of which something is still to be sent, for an approver to look at what was rebuilt."""
        for campaign in {night.campaign for night in nights if night.recipients.get("planned")}:
            record = self._store.campaigns.find(campaign)
            if record and record.state in ALIVE:
                self._step(record, "hold", comment="a recovery rebuilt its audience; look at it and approve it again")

    def _enter(self, lost: Sequence[LostCheckpoint], nights: Sequence[RebuiltNight]) -> None:
        """Enters it into the audit trail, gives lost notes up and makes a new one, which is followed from here on."""
        self._store.audit.note(
            who=self._context.user,
            action=RECOVERED,
            subject=SUBJECT,
            now=self._context.now(),
            lost=[{"night": one.night, "entries": one.checkpoint.entries, "head": one.checkpoint.head} for one in lost],
            nights=[{"campaign": n.campaign, "run_date": n.run_date, "recipients": n.recipients} for n in nights],
        )
        for one in lost:
            self._checkpoints.give_up(one.night)
        folder = self._runs / self._context.today().isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        self._checkpoints.note_head(folder)


class _Counts(Struct, frozen=True, kw_only=True):
    """What is read of the counts of a message of a night's summary."""

    batches: int = 0


class _Message(Struct, frozen=True, kw_only=True):
    """What is read of one of several messages of a campaign of a night's summary."""

    template: str
    variant: str | None = None
    recipients: int = 0
    number: int = 0
    counts: _Counts = _Counts()
    audience: str | None = None
    audience_sha256: str | None = None


class _Sent(Struct, frozen=True, kw_only=True):
    """What is read of a campaign of a night's summary."""

    name: str
    app_group: str
    template: str
    target: int = 0
    excluded: dict[str, int] = {}
    control: int = 0
    recipients: int = 0
    batches: int = 0
    send_at: datetime | None = None
    audience: str | None = None
    audience_sha256: str | None = None
    messages: tuple[_Message, ...] = ()
    waterfall: Waterfall | None = None
    number: int = 0
    variant: str | None = None

    @property
    def each(self) -> tuple[_Sent, ...]:
        """The same for each of its messages; the first has the figures of all of them."""
        return tuple(
            replace(
                self,
                template=one.template,
                variant=one.variant,
                number=one.number,
                recipients=one.recipients,
                batches=one.counts.batches,
                audience=one.audience,
                audience_sha256=one.audience_sha256,
                messages=(),
                waterfall=Waterfall(target=one.recipients, excluded={}, control=0, recipients=one.recipients)
                if one.number
                else self.figures,
            )
            for one in self.messages
        ) or (self,)

    @property
    def figures(self) -> Waterfall:
        """Those of the audience."""
        return self.waterfall or Waterfall(
            target=self.target, excluded=self.excluded, control=self.control, recipients=self.recipients
        )


class _Summary(Struct, frozen=True):
    """What is read of a night's summary."""

    campaigns: tuple[_Sent, ...]


def _evenly(recipients: int, batches: int) -> tuple[tuple[int, int], ...]:
    """So many requests of nearly one size."""
    size, larger = divmod(recipients, batches) if batches else (0, 0)
    return tuple((n, count) for n, count in ((size + 1, larger), (size, batches - larger)) if n * count)
