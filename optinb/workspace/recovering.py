"""Bringing a database that was put back to an earlier state up to date with what lies outside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.campaigns import ALIVE, Waterfall, id_of
from optinb.delivery.journal import FrozenAudience, RebuiltNight, send_lease
from optinb.errors import ApprovalError, OptinbError, StateError
from optinb.measure import CampaignSummary
from optinb.workspace.behind import nights_with_answers
from optinb.workspace.sends import Settled
from optinb.workspace.witness import RECOVERED, SUBJECT, Witness, give_up, lost_witnesses, note_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from optinb.workspace.handle import Workspace

NO_FILE = "it isn't in the database, and has no file of answers"
WAIT_S = 45.0  # longer than a dead sender's hold lasts


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


def recover(ws: Workspace, *, dry_run: bool = False) -> Recovered:
    """Rebuilds what the database has forgotten; see `Workspace.recover`."""
    if not dry_run:
        _must_approve(ws)
    lost = lost_witnesses(ws)
    if not dry_run:
        _must_rename(ws, [night for night, _, _ in lost])
    nights, problems = [], []
    for night, campaign_id in nights_with_answers(ws):
        try:
            if problem := ws.store.recovery.why_behind(campaign_id, night):
                nights.append(_rebuilt(ws, campaign_id, night, why=problem, dry_run=dry_run))
        except StateError as error:
            problems.append(f"the night of {night}: {error}")
    kept = {night for night, _ in nights_with_answers(ws)}
    unread: set[date] = set()
    for night in sorted({night for night, _, _ in lost if night}):
        if night in kept and not _summary_of(ws, night).is_file():
            continue  # it ended before its report, and its files of answers tell all that it sent
        try:
            nights += [
                ws.store.recovery.rebuild_unknown(
                    audience, requests=requests, why=NO_FILE, user=ws.user, now=ws.now(), dry_run=dry_run
                )
                for audience, requests in _told_by_summary(ws, night)
            ]
        except OptinbError as error:
            problems.append(f"the night of {night}, whose summary tells of sends without a file of answers: {error}")
            unread.add(night)
    # A night of which nobody knows what it sent keeps its note, so that nothing is done until it can be read.
    told = [one for one in lost if one[0] not in unread]
    if not dry_run and (told or nights):
        _enter(ws, told, nights)
        _hold(ws, nights)
    known = {record.campaign.name for record in ws.campaigns.list(archived=True)}
    settled: list[Settled] = []
    for night in sorted({n.run_date for n in nights if n.recipients.get("unknown")}) if not dry_run else ():
        try:
            settled += ws.sends.reconcile(night).nights
        except OptinbError as error:
            problems.append(f"the unknown of {night} couldn't be asked about: {error}")
    return Recovered(
        dry_run=dry_run,
        witnesses=tuple(problem for _, _, problem in lost),
        nights=tuple(nights),
        unknown_campaigns=tuple(sorted({n.campaign for n in nights} - known)),
        settled=tuple(settled),
        problems=tuple(problems),
    )


class _Sends(Struct, frozen=True):
    """What is read of a night's summary."""

    campaigns: tuple[CampaignSummary, ...]


def _summary_of(ws: Workspace, night: date) -> Path:
    return ws.root / "runs" / night.isoformat() / "summary.json"


def _told_by_summary(ws: Workspace, night: date) -> Iterator[tuple[FrozenAudience, tuple[tuple[int, int], ...]]]:
    """What a night has frozen, by its summary, that neither the database nor a file of answers knows; and its requests.

    As after a night of an optinb that kept no such files. Raises OptinbError where it can't be told whose it is.
    """
    try:
        told = msgspec.json.decode(_summary_of(ws, night).read_bytes(), type=_Sends)
    except (OSError, msgspec.MsgspecError) as error:
        raise StateError(f"its summary can't be read ({error}); don't run that night again") from error
    for c in told.campaigns:
        known = ws.store.campaigns.find(c.name)
        campaign_id = id_of(c.name)
        is_kept = ws.store.recovery.account(campaign_id, night) or ws.store.deliveries.find(campaign_id, night)
        if is_kept or not (c.audience and c.audience_sha256 and c.send_at):
            continue
        group = ws.settings.app_group(c.app_group)
        audience = FrozenAudience(
            campaign_id=campaign_id,
            campaign_name=c.name,
            run_date=night,
            app_group_id=group.id,
            template_id=ws.templates.get(group.name, c.template).id,
            path=c.audience,
            sha256=c.audience_sha256,
            send_at=c.send_at,
            recipients=c.recipients,
            batches=c.batches,
            waterfall=Waterfall(target=c.target, excluded=c.excluded, control=c.control, recipients=c.recipients),
            fingerprint="",
            planned_at=c.send_at,
            clock=known.campaign.schedule.clock if known else "workspace",
        )
        yield audience, _evenly(c.recipients, c.batches)


def _evenly(recipients: int, batches: int) -> tuple[tuple[int, int], ...]:
    """So many requests of nearly one size."""
    size, larger = divmod(recipients, batches) if batches else (0, 0)
    return tuple((n, count) for n, count in ((size + 1, larger), (size, batches - larger)) if n * count)


def _rebuilt(ws: Workspace, campaign_id: str, night: date, *, why: str, dry_run: bool) -> RebuiltNight:
    def rebuild() -> RebuiltNight:
        return ws.store.recovery.rebuild(campaign_id, night, why=why, user=ws.user, now=ws.now(), dry_run=dry_run)

    account = ws.store.recovery.account(campaign_id, night)
    told = account.audience if account else None
    if told and ((id_of(told.campaign_name), told.run_date) != (campaign_id, night) or told.campaign_id != campaign_id):
        raise StateError(
            f"the file of answers of {campaign_id} is of {told.campaign_name!r} of {told.run_date} by its text"
        )
    if dry_run:
        return rebuild()
    name = send_lease(campaign_id, night)
    with ws.store.lease(name, holder=ws.sends.holder, clock=ws.store.clock, wait_s=WAIT_S, what=f"a send of {night}"):
        return rebuild()


def _must_approve(ws: Workspace) -> None:
    """Refuses whoever is no approver, since evidence of what was approved is given up here. Raises ApprovalError."""
    approvers = ws.settings.workspace.approvers
    if ws.user not in approvers:
        listed = ", ".join(map(repr, approvers)) or "nobody"
        raise ApprovalError(
            f"{ws.user!r} may not recover; approvers in optinb.toml are {listed}. `optinb recover --dry-run` tells "
            "everybody what it would do"
        )


def _must_rename(ws: Workspace, nights: list[date | None]) -> None:
    """Refuses, before anything is entered, a login that couldn't give lost notes up. Raises StateError."""
    for night in nights:
        folder = ws.root / "runs" / (night.isoformat() if night else "")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StateError(
                f"nothing was recovered, since this login can't rename the note in {folder}; give this login the right "
                "to write to runs/ and the folders in it, then recover again"
            )


def _hold(ws: Workspace, nights: list[RebuiltNight]) -> None:
    """Holds the campaigns of which something is still to be sent, so that an approver looks at what was rebuilt."""
    for campaign in {night.campaign for night in nights if night.recipients.get("planned")}:
        record = ws.store.campaigns.find(campaign)
        if record and record.state in ALIVE:
            ws.campaigns.note(
                record, "hold", comment="a recovery rebuilt its audience; look at it and approve it again"
            )


def _enter(ws: Workspace, lost: list[tuple[date | None, Witness, str]], nights: list[RebuiltNight]) -> None:
    """Enters it into the audit trail, gives lost notes up and makes a new one: from here on, it is followed again."""
    ws.store.audit.note(
        who=ws.user,
        action=RECOVERED,
        subject=SUBJECT,
        now=ws.now(),
        lost=[{"night": night, "entries": witness.entries, "head": witness.head} for night, witness, _ in lost],
        nights=[{"campaign": n.campaign, "run_date": n.run_date, "recipients": n.recipients} for n in nights],
    )
    for night, _, _ in lost:
        give_up(ws, night)
    folder = ws.root / "runs" / ws.today().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    note_head(ws, folder)
