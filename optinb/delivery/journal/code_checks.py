"""Whether promotion codes are those that were imported, and free by the audit trail too, before somebody gets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256

from sqlalchemy import Connection, select

from optinb.campaigns.messages import campaign_of
from optinb.delivery.journal.manifest import PLANNED
from optinb.delivery.journal.rows import of_night
from optinb.errors import StateError
from optinb.store.audit import entries_since
from optinb.store.schema import audit_entries, batches, codes

IMPORTED = "codes imported"
GIVEN_BACK = "codes given back"
NOT_SENT = ("refused", "expired", "cancelled")  # what became of batches that certainly reached nobody


def digest_of(new: Iterable[str]) -> str:
    """SHA-256 over codes in their order."""
    return sha256("\n".join(new).encode()).hexdigest()


def check_content(con: Connection, key: str, runs: Sequence[tuple[int, int]]) -> None:
    """Raises StateError when codes with these numbers were changed since they were imported.

    Entries of 0.1 don't say what was imported.
    """
    for entry in entries_since(con, 0, audit_entries.c.action == IMPORTED):
        first, count = entry.detail.get("first"), entry.detail["codes"]
        if entry.subject.casefold() != key or first is None or not _overlap(runs, [(first, count)]):
            continue
        span = (codes.c.pool == key) & codes.c.number.between(first, first + count - 1)
        there = con.execute(select(codes.c.code).where(span).order_by(codes.c.number)).scalars()
        if digest_of(there) != entry.detail["content"]:
            raise StateError(
                f"promotion codes of the pool {entry.subject!r} aren't those that {entry.who!r} imported by entry "
                f"{entry.seq} of the audit trail; compare the database with a copy"
            )


def check_free(con: Connection, key: str, runs: Sequence[tuple[int, int]], *, but: tuple[str, date]) -> None:
    """Raises StateError when the audit trail gave codes with these numbers to others, who keep them.

    `con` must be a writing one, so that nobody gets or returns any meanwhile; `but` is the campaign's night that gets
    them now, whose earlier plan was stopped with all of its messages. Entries of 0.1 don't say which they gave.
    """
    newest = {}
    for entry in entries_since(con, 0, audit_entries.c.action == PLANNED):
        newest[entry.detail.get("campaign_id"), entry.detail.get("run_date")] = entry
    for (campaign_id, night), entry in newest.items():
        is_this = (campaign_of(campaign_id or ""), night) == (campaign_of(but[0]), but[1].isoformat())
        if is_this or entry.detail.get("codes") != key or not entry.detail.get("code_runs"):
            continue
        place = 0
        for first, count, *given in entry.detail["code_runs"]:  # with their place after a recovery
            place = given[0] if given else place
            theirs = [(place + low - first, high - low) for low, high in _overlap(runs, [(first, count)])]
            place += count
            if theirs and not _given_back(con, campaign_id, date.fromisoformat(night), theirs, since=entry.seq):
                raise StateError(
                    f"promotion codes of the pool {key!r} are free by the database, but entry {entry.seq} of the audit "
                    f"trail gave them to recipients of {entry.subject!r} of {night}; compare the database with a copy"
                )


def _given_back(
    con: Connection, campaign_id: str, night: date, places: Sequence[tuple[int, int]], *, since: int
) -> bool:
    """Whether nobody at these places of a night's audience keeps a code.

    They were in batches that reached nobody, or a person gave their codes back since the audience was planned, as entry
    `since` of the audit trail says.
    """
    ended = select(batches.c.first, batches.c.size).where(of_night(campaign_id, night), batches.c.state.in_(NOT_SENT))
    back = [(first, size) for first, size in con.execute(ended)]
    for entry in entries_since(con, since, audit_entries.c.action == GIVEN_BACK):
        if (entry.detail["campaign_id"], entry.detail["run_date"]) == (campaign_id, night.isoformat()):
            back += [(first, count) for first, count in entry.detail["places"]]
    # a place may be named by both
    free = {place for low, high in _overlap(places, back) for place in range(low, high)}
    return len(free) == sum(count for _, count in places)


def _overlap(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where spans of (first, how many) overlap, as (from, before)."""
    both = [(max(a, b), min(a + n, b + m)) for a, n in one for b, m in other]
    return [(low, high) for low, high in both if low < high]
