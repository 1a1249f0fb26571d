"""When an alarm about a template is over: a person has seen it, or the template was corrected and arrives again.

Of a campaign that goes out again the next night says whether it is; of one that is cancelled, or had one date, nothing
would, and its alarm would end every night for two weeks.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from optinb.errors import CampaignError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optinb.appboy import StatedRules
    from optinb.delivery.confirmed_nights import ConfirmedNight
    from optinb.delivery.journal import Confirmation, FrozenAudience, Store
    from optinb.store import AuditEntry

ALARM_SEEN = "alarm seen"


class AlarmSeen(Struct, frozen=True, kw_only=True):
    """That somebody has seen the alarm about a template; it holds for the nights up to then.

    Attributes:
        app_group: the id of its app group.
        template: its id.
        until: the newest night with an alarm that they saw; one after it with the same fault alarms again.
        by: who has seen it.
        at: when, in UTC.
        comment: what they say to it.
    """

    app_group: str
    template: str
    until: date
    by: str
    at: datetime
    comment: str = ""

    def covers(self, audience: FrozenAudience) -> bool:
        """Whether it is of a night's template, and of that night or a later one.

        Args:
            audience: of the night.
        """
        same = (self.app_group, self.template) == (audience.app_group_id, audience.template_id)
        return same and audience.run_date <= self.until


def why_over(
    audience: FrozenAudience,
    *,
    seen: Iterable[AlarmSeen],
    stated: StatedRules | None,
    others: Iterable[tuple[FrozenAudience, Confirmation]],
) -> str | None:
    """Why the alarm about a night is over; None while it isn't.

    Args:
        audience: of the night.
        seen: what was seen, the newest first.
        stated: what is stated now of the night's template.
        others: nights of the same template that Appboy was asked about.
    """
    for one in seen:
        if one.covers(audience):
            return f"seen by {one.by} on {one.at:%Y-%m-%d}" + (f": {one.comment}" if one.comment else "")
    if stated is None or stated.at <= audience.send_at:
        return None
    arrived = [other.run_date for other, asked in others if other.send_at > stated.at and _arrived(asked)]
    if not arrived:
        return None
    return (
        f"{stated.by} corrected on {stated.at:%Y-%m-%d} what is stated of it, and the night of {max(arrived)} arrived"
    )


def with_ends(
    nights: Sequence[ConfirmedNight], audiences: Sequence[FrozenAudience], store: Store
) -> tuple[ConfirmedNight, ...]:
    """Nights, those whose alarm is over with the reason.

    Args:
        nights: what is known of them.
        audiences: theirs, in the same order.
        store: with the trail, what is stated, and other nights.
    """
    alarming = [audience for night, audience in zip(nights, audiences, strict=True) if night.alarm]
    if not alarming:
        return tuple(nights)
    seen = _seen(store.audit.of_action(ALARM_SEEN, since=min(audience.send_at for audience in alarming)))
    asked = {there.night: there for there in store.confirmations.list()}
    sent = [audience for audience in store.deliveries.list(having=("accepted",)) if audience.night in asked]
    ends = {
        audience.night: why_over(
            audience,
            seen=seen,
            stated=store.statements.newest(audience.app_group_id, audience.template_id),
            others=[(other, asked[other.night]) for other in sent if _key(other) == _key(audience)],
        )
        for audience in alarming
    }
    found = zip(nights, audiences, strict=True)
    return tuple(replace(night, over=ends[audience.night]) if night.alarm else night for night, audience in found)


def see(
    name: str,
    nights: Sequence[ConfirmedNight],
    audiences: Sequence[FrozenAudience],
    store: Store,
    *,
    comment: str,
    user: str,
    now: datetime,
) -> None:
    """Notes in the trail that somebody has seen the alarms about a template, by its name or that of a campaign.

    Args:
        name: of the template, or of a campaign that went out with it; without regard to case.
        nights: what is known of them.
        audiences: theirs, in the same order.
        store: with the trail.
        comment: what they say to it.
        user: who has seen it.
        now: in UTC.

    Raises:
        CampaignError: where there is no alarm about it.
    """
    alarming = [(night, audience) for night, audience in zip(nights, audiences, strict=True) if night.alarm]
    wanted = name.strip().casefold()
    mine = [pair for pair in alarming if wanted in (pair[0].template.casefold(), pair[0].campaign.casefold())]
    if not mine:
        known = sorted({night.template for night, _ in alarming})
        tail = did_you_mean(name, known) if known else "; there is no alarm at all, as `optinb confirm` says"
        raise CampaignError(f"there is no alarm about {name!r}{tail}")
    for key in dict.fromkeys(_key(audience) for _, audience in mine):
        there = [(night, audience) for night, audience in alarming if _key(audience) == key]
        store.audit.note(
            who=user,
            action=ALARM_SEEN,
            subject=there[0][0].template,
            now=now,
            app_group=key[0],
            template=key[1],
            until=max(audience.run_date for _, audience in there),
            campaigns=sorted({night.campaign for night, _ in there}),
            comment=comment,
        )


def _key(audience: FrozenAudience) -> tuple[str, str]:
    """A night's template, by the ids of its app group and itself."""
    return audience.app_group_id, audience.template_id


def _arrived(asked: Confirmation) -> bool:
    """Whether most of those asked about certainly got a night's message."""
    counts = asked.counts
    return counts.alarm is None and 2 * counts.confirmed > counts.asked


def _seen(entries: Iterable[AuditEntry]) -> list[AlarmSeen]:
    """What entries of the trail say; one that was tampered with says nothing."""
    found: list[AlarmSeen] = []
    for entry in entries:
        fields: dict[str, Any] = {**entry.detail, "by": entry.who, "at": entry.at}
        try:
            found.append(msgspec.convert(fields, AlarmSeen))
        except msgspec.ValidationError:
            continue
    return found
