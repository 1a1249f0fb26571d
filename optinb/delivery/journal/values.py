"""What the journal of deliveries holds: frozen audiences, their batches, and the states of a batch as types."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, assert_never, cast

from msgspec import Struct

from optinb.campaigns import Waterfall
from optinb.campaigns.messages import campaign_of, number_of
from optinb.campaigns.schedule import Clock


class Planned(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="planned"):
    """Certainly not sent so far, and to be sent. `note`: why an earlier try came to nothing.

    `untold`: the token of the hold under which that try was made, where the file of answers, whose disk was full,
    couldn't be told that it came to nothing, and still calls it under way. Nothing was tried under that hold since.
    """

    note: str | None = None
    untold: int | None = None


class Sending(Struct, frozen=True, kw_only=True, tag_field="state", tag="sending"):
    """Journalled before its request; whether it was sent can't be known until there is an outcome."""

    holder: str


class Accepted(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="accepted"):
    """Appboy has it. `errors`: what it said about single recipients all the same.

    `before`: the earlier time at which it may go out, because Appboy has not confirmed that it was moved.
    """

    dispatch_id: str | None
    schedule_id: str | None
    errors: tuple[str, ...] = ()
    before: datetime | None = None


class Refused(Struct, frozen=True, kw_only=True, tag_field="state", tag="refused"):
    """Appboy refused this request (HTTP `status`); nothing was sent, and the same request would be refused again."""

    status: int
    message: str


class Unknown(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="unknown"):
    """It may have been sent or not. Never sent again by itself.

    `since`: when it went out at the earliest if it did, where the night was moved to a later time since.
    """

    message: str
    since: datetime | None = None


class Expired(Struct, frozen=True, kw_only=True, tag_field="state", tag="expired"):
    """Its time had passed before it could be sent; nothing was sent."""

    message: str


class Cancelled(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="state", tag="cancelled"):
    """A person stopped it before it reached anybody. `schedule_id`: Appboy had taken it, but it was recalled."""

    message: str
    schedule_id: str | None = None


BatchState = Planned | Sending | Accepted | Refused | Unknown | Expired | Cancelled
StateName = Literal["planned", "sending", "accepted", "refused", "unknown", "expired", "cancelled"]


def state_name(state: BatchState) -> StateName:
    """The name of a state, as its tag has it."""
    return cast("StateName", type(state).__struct_config__.tag)


def why(state: BatchState) -> str | None:
    """The reason that a state gives, for counts by reason."""
    match state:
        case Planned():
            return state.note
        case Sending():
            return None
        case Accepted():
            return "; ".join(state.errors) or None
        case Refused() | Unknown() | Expired() | Cancelled():
            return state.message
        case _:
            assert_never(state)


Verdict = Literal["received", "missing", "untold"]


class Settlement(Struct, frozen=True, kw_only=True):
    """What Appboy said later of the recipients of an unknown batch: their external_user_ids, each in one of the three.

    `untold` are those of whom it can't be said any more, because they received the same template again since.
    """

    received: tuple[str, ...]
    missing: tuple[str, ...]
    untold: tuple[str, ...]
    asked_at: datetime
    asked_by: str

    def verdict_on(self, external_user_id: str) -> Verdict | None:
        """What was said of one recipient; None of somebody else."""
        told: tuple[tuple[Verdict, tuple[str, ...]], ...] = (
            ("received", self.received),
            ("missing", self.missing),
            ("untold", self.untold),
        )
        return next((verdict for verdict, users in told if external_user_id in users), None)


class Batch(Struct, frozen=True, kw_only=True):
    """One request: the recipients `first` to `first + size` (0-based, in file order) of a frozen audience.

    `settlement`: what became of an unknown one, once Appboy was asked.
    """

    campaign_id: str
    run_date: date
    number: int
    first: int
    size: int
    state: BatchState
    settlement: Settlement | None = None

    @property
    def id(self) -> str:
        """Campaign, night and number."""
        return f"{self.campaign_id}/{self.run_date}/{self.number}"

    @property
    def night(self) -> tuple[str, date]:
        """Whose it is: campaign and date."""
        return self.campaign_id, self.run_date


class FrozenAudience(Struct, frozen=True, kw_only=True):
    """The list of a campaign's night as it was frozen, and the plan of its sending.

    Of a campaign with several messages each has one of its own. `campaign_id` is the key of its message: the campaign's
    own id for the first, whose file holds everybody who was considered but the recipients of others alone, and whose
    `waterfall` is that of the whole night; with its number for the others, whose files hold their recipients.

    `path` is that of the Parquet file, relative to the workspace; `send_at` is in UTC; `clock` is that of the
    campaign's schedule, and where it is each customer's own, `send_at` is the moment of the earliest time zone;
    `recipients` counts customers and `batches` requests; `fingerprint` is that of the approval; `cancelled` says why a
    person stopped it, if one did; `codes` is the key of the pool that its recipients got promotion codes from;
    `send_id` is what all its requests bear, so that Appboy counts them apart, if they bear one; `variant` is the name
    of the variant that the message belongs to, if the campaign has any.
    """

    campaign_id: str
    campaign_name: str
    run_date: date
    app_group_id: str
    template_id: str
    path: str
    sha256: str
    send_at: datetime
    recipients: int
    batches: int
    waterfall: Waterfall
    fingerprint: str
    planned_at: datetime
    cancelled: str | None = None
    clock: Clock = "workspace"
    codes: str | None = None
    send_id: str | None = None
    variant: str | None = None

    @property
    def night(self) -> tuple[str, date]:
        """What its batches are found by: the key of its message, and the date."""
        return self.campaign_id, self.run_date

    @property
    def of_campaign(self) -> str:
        """The id of the campaign whose message it is."""
        return campaign_of(self.campaign_id)

    @property
    def number(self) -> int:
        """That of its message, from 0."""
        return number_of(self.campaign_id)

    def is_beside(self, other: FrozenAudience) -> bool:
        """Whether both are of one campaign's night: the same, or another message of it.

        Args:
            other: compared with this one.
        """
        return (self.of_campaign, self.run_date) == (other.of_campaign, other.run_date)


class DeliveryCounts(Struct, frozen=True, kw_only=True):
    """Where the recipients of a campaign's night are; all but `batches` and `errors` count recipients.

    accepted + refused + unknown + expired + cancelled + pending = recipients, always. `pending` is 0 once the night is
    done: what is left there was certainly not sent, and the next run of the same night goes on with it.
    `errors` maps what Appboy or the sender said to the number of batches; `stopped` says why the sender gave up. Of the
    unknown, `received` and `missing` are those that Appboy said it later of, and of the cancelled, `recalled` those
    that it had taken before.
    """

    batches: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    expired: int = 0
    cancelled: int = 0
    pending: int = 0
    received: int = 0
    missing: int = 0
    recalled: int = 0
    errors: dict[str, int] = {}
    stopped: str | None = None

    @property
    def recipients(self) -> int:
        """Everybody who was planned."""
        return self.settled + self.pending

    @property
    def settled(self) -> int:
        """Recipients whose batch has come to an end."""
        return self.accepted + self.refused + self.unknown + self.expired + self.cancelled
