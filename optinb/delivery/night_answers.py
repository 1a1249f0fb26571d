"""What happened: runs, and for every customer and night the answer to "why, or why not?"."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, assert_never

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from optinb.campaigns import OUTCOMES
from optinb.delivery.confirmation import ArrivalStatus, LikelyFilter
from optinb.delivery.confirmed_nights import LOSSES, ConfirmedNight
from optinb.delivery.journal import UNTOLD, Cancelled, FrozenAudience, Store, Verdict
from optinb.engine.persons import Identity
from optinb.errors import UsageError
from optinb.store import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from optinb.delivery.contact_history import ArrivalVerdict, ContactHistory
    from optinb.warehouse import Snapshot, Warehouse

# What became of the request that a recipient was in.
DELIVERIES: dict[str, str] = {
    "planned": "is on the list; the request is still to be made",
    "sending": "is on the list; the request is under way, or its sender died",
    "accepted": "gets the message: Appboy accepted the request",
    "refused": "gets no message: Appboy refused the request",
    "unknown": "may get the message: it is unknown whether Appboy took the request, so it is not repeated",
    "expired": "gets no message: the time had passed before the request could be made",
    "cancelled": "gets no message: the send was stopped before the request was made",
    "recalled": "gets no message: Appboy had accepted the request, and it was recalled in time",
}
# What Appboy said later of a recipient whose request was unknown.
SETTLED: dict[Verdict, str] = {
    "received": "got the message: it was unknown whether Appboy took the request, and asked later it says that it "
    "arrived",
    "missing": "got no message: it was unknown whether Appboy took the request, and asked later it says that nothing "
    "arrived",
    "untold": "may have got the message: it is unknown whether Appboy took the request, and it can't tell any more, "
    "because the same template went out again",
}
# What Appboy said later of a recipient whose request it accepted.
ARRIVALS: dict[ArrivalStatus, str] = {
    "confirmed": "got the message: Appboy says that it arrived",
    "filtered": "got no message, although Appboy accepted the request",
    "unconfirmed": "gets the message, as far as is known: Appboy accepted the request, and hasn't said that it arrived",
}


class Answer(Struct, frozen=True, kw_only=True):
    """Why a customer got, or didn't get, one campaign's message.

    `outcome` is recipient, control, excluded, not in the group, or held; `delivery` is the state of the request that a
    recipient was in, and `settled` what Appboy said of them later where that is unknown (received, missing, untold).
    `arrival` is what Appboy said later of a recipient whose request it accepted, and `kept_by` the filter that likely
    kept the message from them; None where it wasn't asked, or nothing explains it.
    `code` is the promotion code that is theirs; whoever certainly got no message has none any more. Of a campaign with
    several messages or variants `template` (its name) and `variant` say which message a recipient's answer is about.
    """

    campaign: str
    outcome: str
    why: str
    delivery: str | None = None
    settled: Verdict | None = None
    arrival: ArrivalStatus | None = None
    kept_by: LikelyFilter | None = None
    send_at: datetime | None = None
    properties: str | None = None
    code: str | None = None
    template: str | None = None
    variant: str | None = None


class Why(Struct, frozen=True, kw_only=True):
    """The answers for one customer and night, a campaign each; of one with several messages, each that they get."""

    customer_id: str
    run_date: date
    is_known: bool
    answers: tuple[Answer, ...]


class WorkspaceStatus(Struct, frozen=True, kw_only=True):
    """What is published, what waits, what ran lately, and what arrived of it."""

    workspace: str
    warehouse_version: int | None
    import_date: date | None
    model_date: date | None
    campaigns: dict[str, int]
    runs: tuple[RunRecord, ...]
    arrived: tuple[ConfirmedNight, ...] = ()


def status(
    root: Path, store: Store, snapshot: Snapshot | None, *, arrived: Iterable[ConfirmedNight] = (), runs: int = 7
) -> WorkspaceStatus:
    """The state of a workspace, by what is published and kept, with its newest runs.

    `arrived`: what Appboy says of earlier nights, of which the newest of each campaign counts.
    """
    states = [record.state for record in store.campaigns.list() if not record.archived]
    return WorkspaceStatus(
        workspace=str(root),
        warehouse_version=snapshot.version if snapshot else None,
        import_date=snapshot.import_date if snapshot else None,
        model_date=snapshot.model_date if snapshot else None,
        campaigns={state: states.count(state) for state in dict.fromkeys(states)},
        runs=store.runs.list(limit=runs),
        arrived=tuple(night for night in arrived if night.is_newest),
    )


class _Names(NamedTuple):
    """The ids of one person: the one that is asked about, all of them, and the external user ids they have now."""

    asked: str
    ids: tuple[str, ...]
    external_ids: tuple[str, ...] = ()


class NightAnswers:
    """`ws.answers`: what became of somebody in the campaigns of earlier nights, and why."""

    def __init__(
        self, store: Store, contacts: ContactHistory, warehouse: Warehouse, *, published: Callable[[], Snapshot | None]
    ) -> None:
        """Args: `published`: the published version; None before the first import."""
        self._store, self._contacts, self._warehouse, self._published = store, contacts, warehouse, published

    def why(self, customer_id: str, *, run_date: date | None = None) -> Why:
        """Why a customer did or didn't get each campaign of a night (the newest night that ran, when none is given).

        Raises UsageError when nothing has run that night, and for a customer who was forgotten: what is kept of them is
        anonymous, so that every answer would be wrong.
        """
        if self._warehouse.forgotten.knows(customer_id):
            raise UsageError(
                f"customer {customer_id!r} was forgotten, so nothing about them is kept; `optinb audit list` says when"
            )
        runs = self._store.runs.list(run_date=run_date)
        run = next((r for r in runs if not (r.summary or {}).get("dry_run")), None)
        if run is None:
            raise UsageError(
                f"no night of {run_date} has run" if run_date else "no night has run yet: `optinb nightly`"
            )
        night, who = run.run_date, self._names_of(customer_id)
        found = _by_campaign(self._contacts.nights(run_date=night))
        answers = [answer for messages in found for answer in self._answers(messages, who)]
        told = {answer.campaign for answer in answers}
        for campaign in (run.summary or {}).get("campaigns", ()):
            if campaign["name"] not in told:
                outcome = "held" if campaign["held"] else "not sent"
                why = campaign["held"] or "was not frozen"
                answers.append(Answer(campaign=campaign["name"], outcome=outcome, why=why))
        published = self._published()
        known = published is not None and bool(
            published.table("customers").filter(pl.col("customer_id") == customer_id).collect().height
        )
        return Why(customer_id=customer_id, run_date=night, is_known=known, answers=tuple(answers))

    def newest(self, customer_id: str, *, limit: int) -> tuple[tuple[date, Answer], ...]:
        """The answers of the newest nights of campaigns, so many at most, whose group a customer was in, and when."""
        who = self._names_of(customer_id)
        newest = _by_campaign(self._contacts.nights())[:limit]
        found = ((messages[0].run_date, answer) for messages in newest for answer in self._answers(messages, who))
        return tuple((night, answer) for night, answer in found if answer.outcome != "not in the group")

    def _names_of(self, customer_id: str) -> _Names:
        """Every name under which somebody may stand in earlier audiences."""
        published = self._published()
        if published is None:
            return _Names(customer_id, (customer_id,))
        ids = Identity.of(published).ids_of(customer_id)
        mine = pl.col("customer_id").is_in(ids)
        external = published.table("customers").filter(mine).select("external_user_id").collect()["external_user_id"]
        return _Names(customer_id, ids, tuple(external.filter(external != "").unique().sort()))

    def _answers(self, messages: Sequence[FrozenAudience], who: _Names) -> tuple[Answer, ...]:
        """What became of a person in the messages of a campaign's night: each that they get, or why they get none."""
        found = [self._answer(message, who) for message in messages]
        if len(messages) == 1 and messages[0].variant is None:
            return tuple(found)
        names = self._store.templates.names(messages[0].app_group_id)
        got = [
            _named(answer, names.get(message.template_id, message.template_id), message.variant)
            for message, answer in zip(messages, found, strict=True)
            if answer.outcome == "recipient"
        ]
        return tuple(got or found[:1])

    def _answer(self, audience: FrozenAudience, who: _Names) -> Answer:
        """What became of a person in a frozen audience, and why."""
        rows = self._contacts.of_person(audience, who.ids, who.external_ids)
        if rows.is_empty():
            return Answer(
                campaign=audience.campaign_name, outcome="not in the group", why="is not in the target group that night"
            )
        # what they got under the id that is asked about, else whatever of them got furthest
        ranked = rows.sort(pl.col("customer_id") != who.asked, "role", maintain_order=True)
        row = ranked.row(0, named=True)
        why, delivery, settled, code = OUTCOMES[row["reason"] or row["role"]], None, None, None
        arrival, kept_by = None, None
        batch = self._store.deliveries.batch_of(*audience.night, row["place"]) if row["role"] == "recipient" else None
        if batch is not None:
            delivery = str(batch.state.__struct_config__.tag)
            settled = batch.settlement.verdict_on(row["external_user_id"]) if batch.settlement else None
            is_recalled = isinstance(batch.state, Cancelled) and batch.state.schedule_id is not None
            why = SETTLED[settled] if settled else DELIVERIES["recalled" if is_recalled else delivery]
            told = self._contacts.verdict_on(audience, row["place"]) if delivery == "accepted" else None
            if told is not None:
                arrival, kept_by, why = told.status, told.kept_by, _arrival_words(told)
            code = self._store.codes.code_of(audience, row["place"])
        if row["customer_id"] != who.asked:
            why = f"{why} (as customer {row['customer_id']!r})"
        return Answer(
            campaign=audience.campaign_name,
            outcome=row["role"],
            why=why,
            delivery=delivery,
            settled=settled,
            arrival=arrival,
            kept_by=kept_by,
            send_at=audience.send_at,
            properties=row["properties"],
            code=code,
        )


def _by_campaign(audiences: Iterable[FrozenAudience]) -> list[list[FrozenAudience]]:
    """The messages of each campaign's night."""
    found: dict[tuple[str, date], list[FrozenAudience]] = {}
    for audience in audiences:
        found.setdefault((audience.of_campaign, audience.run_date), []).append(audience)
    return list(found.values())


def _named(answer: Answer, template: str, variant: str | None) -> Answer:
    """An answer that says which of a campaign's messages it is about."""
    of = f" of variant {variant!r}" if variant else ""
    why = f"{answer.why}; it is the message {template!r}{of}"
    return replace(answer, why=why, template=template, variant=variant)


def _arrival_words(told: ArrivalVerdict) -> str:
    """What became of a message whose request was accepted, as the end of a sentence about the customer."""
    words = ARRIVALS[told.status]
    match told.status:
        case "confirmed":
            return f"{words}, and that it was opened" if told.opened else words
        case "filtered":
            return f"{words}: {LOSSES[told.kept_by or UNTOLD]}"
        case "unconfirmed":
            return words
        case _:
            assert_never(told.status)
