"""What an export of Appboy tells of each recipient who was asked about. Pure.

Absence is evidence only for an id that the answer names: what it passes over in silence is untold.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

import polars as pl

from optinb.base.settings import PLATFORMS, Platform
from optinb.delivery.confirmation import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optinb.appboy import CampaignReceived, Exported, ExportedUser
    from optinb.delivery.confirmation import Evidence, TemplateNight
    from optinb.delivery.journal import Verdict

CONFIRM_FIELDS = ("external_id", "campaigns_received", "push_tokens", "time_zone")
"""The fields of users/export/ids that the evidence is read from."""


def evidence_of(
    told: Exported,
    places: Mapping[str, int],
    night: TemplateNight,
    *,
    again_at: Mapping[str, datetime] | None = None,
) -> pl.DataFrame:
    """What Appboy told of each recipient who was asked about.

    Args:
        told: its answer.
        places: of the external_user_ids that were asked about.
        night: what is known of the night; `now` is when Appboy was asked.
        again_at: when the same template went out again to those who got it again, by external_user_id; None: to
            everybody at `night.until`.

    Returns:
        A row (EVIDENCE) for each place, in the order of `places`.
    """
    users: dict[str, list[ExportedUser]] = {}
    for user in told.users:
        users.setdefault(user.external_id, []).append(user)
    nobody = set(told.invalid_user_ids)
    rows: list[tuple[Any, ...]] = []
    for user_id, place in places.items():
        named = users.get(user_id, [])
        received = [campaign for user in named for campaign in user.campaigns_received]
        again = night.until if again_at is None else again_at.get(user_id)
        # what came after all of the night was over is of a send that optinb doesn't know
        until = night.final_at if again is None else min(again, night.final_at)
        last = last_receipt(received, night.template_id)
        rows.append(
            (
                place,
                _evidence(verdict_on(received, template_id=night.template_id, since=night.send_at, until=until))
                if named
                else "nobody"
                if user_id in nobody
                else "untold",
                last.at if last else None,
                last.opened if last else None,
                has_token(named, night.platforms) if named else None,
                _other_receipt(received, night),
                next((user.time_zone for user in named if user.time_zone), None),
                night.now,
            )
        )
    return pl.DataFrame(rows, schema=EVIDENCE, orient="row")


def evidence_again(before: pl.DataFrame) -> pl.DataFrame:
    """The evidence of recipients who needn't be asked about again, since what became of them is final.

    Args:
        before: what was said of them (VERDICTS).

    Returns:
        A row (EVIDENCE) for each who was confirmed or filtered; when Appboy was asked isn't told any more.
    """
    final = before.filter(pl.col("status") != "unconfirmed")
    is_confirmed = pl.col("status") == "confirmed"
    filtered_by = pl.col("filter").cast(pl.String)
    told = final.with_columns(
        evidence=pl.when(is_confirmed)
        .then(pl.lit("received"))
        .when(filtered_by == "unknown_user")
        .then(pl.lit("nobody"))
        .otherwise(pl.lit("not_received")),
        has_token=pl.when(is_confirmed).then(pl.lit(True)).when(filtered_by == "no_push_token").then(pl.lit(False)),
        other_received=pl.lit(None, EVIDENCE["other_received"]),
        time_zone=pl.lit(None, pl.String),
        asked_at=pl.lit(None, EVIDENCE["asked_at"]),
    )
    return told.select(EVIDENCE.names()).cast(dict(EVIDENCE))  # type: ignore[arg-type]


class LastReceipt(NamedTuple):
    """When a user got a template last, and whether they opened a message of it."""

    at: datetime
    opened: bool


def last_receipt(received: Iterable[CampaignReceived], template_id: str) -> LastReceipt | None:
    """The last receipt of a template that can be read; None where there is none."""
    found = [
        LastReceipt(at, campaign.engaged.opened_push)
        for campaign in received
        if campaign.api_campaign_id == template_id and (at := _moment(campaign.last_received)) is not None
    ]
    return max(found, key=lambda receipt: receipt.at, default=None)


def _other_receipt(received: Iterable[CampaignReceived], night: TemplateNight) -> datetime | None:
    """The last receipt of another template before a night, as far as the export still tells it."""
    found = (
        _moment(campaign.last_received)
        for campaign in received
        if campaign.api_campaign_id not in (night.template_id, None)
    )
    return max((at for at in found if at is not None and at < night.send_at), default=None)


def has_token(users: Iterable[ExportedUser], platforms: Iterable[Platform]) -> bool | None:
    """Whether a user has a push token on one of some platforms; None where a token doesn't say which it is for."""
    wanted, is_readable = set(platforms), True
    for user in users:
        for token in user.push_tokens:
            platform = _platform(token.get("platform"))
            if platform in wanted:
                return True
            is_readable = is_readable and platform is not None
    return False if is_readable else None


def verdict_on(
    received: Iterable[CampaignReceived], *, template_id: str, since: datetime, until: datetime | None
) -> Verdict:
    """Whether a user whom Appboy names received a template's message that was due at `since`.

    Appboy keeps the last time only: with one at or after `until`, when the same template went out again, nobody can
    tell what happened before; nor with a time that can't be read, or one that doesn't say which template it is of.
    """
    found: set[Verdict] = set()
    for campaign in received:
        if campaign.api_campaign_id not in (template_id, None):
            continue
        at = _moment(campaign.last_received)
        if at is not None and at < since:
            continue
        is_told = at is not None and campaign.api_campaign_id is not None and (until is None or at < until)
        found.add("received" if is_told else "untold")
    return "received" if "received" in found else "untold" if found else "missing"


def verdicts(
    told: Exported, ids: Iterable[str], *, template_id: str, since: datetime, until: datetime | None
) -> dict[str, Verdict]:
    """The verdict on each id that was asked about.

    Only whom the answer names can be missing: a user without the message, or an id that Appboy says it doesn't know,
    to which it sends nothing. What it passes over in silence is untold.
    """
    received: dict[str, list[CampaignReceived]] = {}
    for user in told.users:
        received.setdefault(user.external_id, []).extend(user.campaigns_received)
    nobody = set(told.invalid_user_ids)
    return {
        user_id: verdict_on(received[user_id], template_id=template_id, since=since, until=until)
        if user_id in received
        else "missing"
        if user_id in nobody
        else "untold"
        for user_id in ids
    }


def _evidence(verdict: Verdict) -> Evidence:
    match verdict:
        case "received" | "untold":
            return verdict
        case "missing":
            return "not_received"
        case _:
            assert_never(verdict)


def _platform(text: Any) -> Platform | None:
    """The platform that a token is for, by how Appboy writes it, such as "iOS" or "Android Push"."""
    words = text.casefold() if isinstance(text, str) else ""
    return next((platform for platform in PLATFORMS if words.startswith(platform)), None)


def _moment(text: Any) -> datetime | None:
    """A moment as Appboy writes it, in UTC where it doesn't say; None where it can't be read."""
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
