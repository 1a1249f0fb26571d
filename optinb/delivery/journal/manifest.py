"""What the audit trail says of a frozen audience, against its row and those of its batches.

Rows can be changed by whoever can write to the database. What is sent, to whom, when and in which requests is recorded
in the chain when it's planned, and again when it's moved or sealed anew; a sender goes by its rows only while they are
what the chain says.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, func, or_, select

from optinb.delivery.journal.rows import audience_from, audiences_with_counts, of_night
from optinb.store.audit import AuditEntry, check_chain, entries_since, record
from optinb.store.schema import audit_entries, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from optinb.delivery.journal.values import Batch, FrozenAudience

_ENDED = {"cancelled": "batches cancelled", "expired": "batches expired"}
PLANNED, MOVED, SEALED = "delivery planned", "delivery rescheduled", "audience sealed anew"
FIELDS = {
    "campaign_id": "campaign",
    "run_date": "night",
    "app_group_id": "app group",
    "template_id": "template",
    "path": "file",
    "sha256": "seal of the file",
    "send_at": "send time",
    "clock": "clock",
    "recipients": "recipients",
    "batches": "batches",
    "fingerprint": "approval",
    "codes": "promotion codes",
    "planned_at": "time of planning",  # tells two plans of one night apart
    "requests": "recipients of each request",
    "variant": "variant",
}


def manifest(audience: FrozenAudience, spans: Iterable[tuple[int, int, int]]) -> dict[str, Any]:
    """What decides about a send, as the chain keeps it; `spans` are number, first and size of each batch, in order."""
    row = {name: getattr(audience, name) for name in FIELDS if name != "requests"}
    if row["variant"] is None:
        del row["variant"]  # as in every campaign without variants, and in every entry of before
    digest = sha256(msgspec.json.encode(list(spans))).hexdigest()
    moments = {name: getattr(audience, name).astimezone(UTC) for name in ("send_at", "planned_at")}
    return {**row, **moments, "requests": digest}


def record_plan(
    con: Connection,
    audience: FrozenAudience,
    planned: Iterable[Batch],
    *,
    user: str,
    now: datetime,
    code_runs: Sequence[tuple[int, ...]] = (),
    place: Mapping[str, str] | None = None,
) -> None:
    """Enters a plan into the chain: from here on its rows are held to what they are now.

    `code_runs` are the first number and the count of its codes in a row, after a recovery with the place of the first
    recipient; `place` is where its file was written.
    """
    record(
        con,
        who=user,
        action=PLANNED,
        subject=audience.campaign_name,
        now=now,
        **manifest(audience, [(batch.number, batch.first, batch.size) for batch in planned]),
        code_runs=code_runs,
        place=place,
    )


def planned_before(con: Connection, audience: FrozenAudience) -> AuditEntry | None:
    """The entry with which an audience, or another one of its campaign's night, was planned last; None: it wasn't."""
    return next(reversed(_entries_about(con, audience)), None)


def why_unlike_planned(con: Connection, audience: FrozenAudience) -> str | None:
    """Why the rows of an audience aren't what the audit trail recorded, or None."""
    of = f"the audience of {audience.campaign_name!r} of {audience.run_date}"
    planned = planned_before(con, audience)
    if planned is None:
        return f"the audit trail doesn't know {of}"
    since = entries_since(con, planned.seq)
    problem = check_chain(since, after=planned.seq - 1, head=planned.previous).problem
    if problem:
        return f"the audit trail since {of} was planned isn't whole: {problem}"
    return _why_unlike(con, audience, [planned, *(e for e in since[1:] if night_of(e) == audience.night)])


def all_unlike_planned(con: Connection) -> Iterator[str]:
    """Why audiences aren't what the audit trail recorded, of all of them; the trail itself must be whole."""
    entries: dict[tuple[str, date], list[AuditEntry]] = {}
    for entry in entries_since(con, 0, audit_entries.c.action.in_([PLANNED, MOVED, SEALED, *_ENDED.values()])):
        mine = entries.setdefault(night_of(entry), [])
        if entry.action == PLANNED:
            mine.clear()
        mine.append(entry)
    for row in con.execute(audiences_with_counts()).all():
        audience = audience_from(row)
        mine = entries.pop(audience.night, [])
        if mine and mine[0].action == PLANNED:
            problem = _why_unlike(con, audience, mine)
        else:
            problem = f"it doesn't know the audience of {audience.campaign_name!r} of {audience.run_date}"
        if problem:
            yield problem
    for (_, night), mine in entries.items():
        yield f"the audience of {mine[0].subject!r} of {night} isn't there any more"


def _why_unlike(con: Connection, audience: FrozenAudience, entries: Sequence[AuditEntry]) -> str | None:
    """Compares an audience with the entries about it since it was planned, that one included."""
    chosen = select(batches.c.number, batches.c.first, batches.c.size).where(of_night(*audience.night))
    spans = [tuple(row) for row in con.execute(chosen.order_by(batches.c.number))]
    expected = expected_of(entries[0], entries[1:])
    found = msgspec.json.decode(msgspec.json.encode(manifest(audience, spans)))
    expected.setdefault("variant", None)
    different = [FIELDS[n] for n, value in expected.items() if _comparable(found.get(n)) != _comparable(value)]
    if entries[0].subject != audience.campaign_name:
        different.append("name of the campaign")
    if "requests" not in expected and not is_tiled(spans, audience.recipients):
        different.append(FIELDS["requests"])  # planned by an earlier release, which didn't record them
    if not different and (ended := _revived(con, audience, entries[1:])):
        different.append(ended)
    if not different:
        return None
    of = f"the audience of {audience.campaign_name!r} of {audience.run_date}"
    return f"{of} isn't what was planned by the audit trail ({', '.join(different)})"


def expected_of(planned: AuditEntry, later: Sequence[AuditEntry]) -> dict[str, Any]:
    """What the chain says of an audience: as it was planned, moved and sealed anew. Entries of 0.1 say less."""
    expected = {name: planned.detail[name] for name in FIELDS if name in planned.detail}
    for entry in later:
        if entry.action == MOVED:
            expected["send_at"] = entry.detail["send_at"]
        elif entry.action == SEALED:
            expected.pop("path", None)
            expected |= {name: entry.detail[name] for name in ("path", "sha256") if name in entry.detail}
    return expected


def is_tiled(spans: Sequence[tuple[Any, ...]], recipients: int) -> bool:
    """Whether batches hold every recipient once, in order and in equal requests but for the last."""
    size = spans[0][2] if spans else 1
    cut = [(n, first, min(size, recipients - first)) for n, first in enumerate(range(0, recipients, max(size, 1)))]
    return cut == list(spans)


def _revived(con: Connection, audience: FrozenAudience, later: Sequence[AuditEntry]) -> str | None:
    """What was stopped or had expired, and isn't any more by its rows: nothing leads back from there."""
    sizes = select(batches.c.state, func.sum(batches.c.size)).where(of_night(*audience.night)).group_by(batches.c.state)
    now = {state: int(size) for state, size in con.execute(sizes)}
    ended = {state: sum(e.detail["recipients"] for e in later if e.action == _ENDED[state]) for state in _ENDED}
    if ended["cancelled"] and audience.cancelled is None:
        return "whether it was stopped"
    return next((f"batches that were {state}" for state, size in ended.items() if now.get(state, 0) < size), None)


def _entries_about(con: Connection, audience: FrozenAudience) -> list[AuditEntry]:
    named = or_(
        audit_entries.c.subject == audience.campaign_name,
        audit_entries.c.detail.contains(f'"{audience.campaign_id}"', autoescape=True),
    )
    found = entries_since(con, 0, audit_entries.c.action == PLANNED, named)
    return [entry for entry in found if night_of(entry) == audience.night]


def night_of(entry: AuditEntry) -> tuple[str, date]:
    """The campaign's night that an entry is about; those of 0.1 name the campaign as their subject only."""
    made_from_name = sha256(entry.subject.casefold().encode()).hexdigest()[:12]  # as Campaign.id
    try:
        night = date.fromisoformat(entry.detail["run_date"])
    except (KeyError, TypeError, ValueError):
        night = date.min  # not about a night
    return entry.detail.get("campaign_id", made_from_name), night


def _comparable(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if "T" in value else value
    except (TypeError, ValueError):
        return value
