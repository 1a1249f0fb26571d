"""What a campaign is: values only, the same in a file, in Python and in the store."""

from __future__ import annotations

import math
import re
from datetime import date
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from optinb.campaigns.codes import EXAMPLE_CODE
from optinb.campaigns.schedule import Schedule

CHANNEL = "Appboy Push"
Scalar = str | int | float | bool
OfferField = Literal["name", "value", "terms", "valid_until", "code"]
MAX_COST = 1e9  # of one redemption; more is a mistake, and no figure that is multiplied by millions
MAX_PROPERTY_LENGTH = 4_000  # the whole payload of an Android push may have 4,000 bytes


class _Value(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value that knows no field but its own."""


class Property(_Value, frozen=True):
    """Where one trigger property of the template comes from: a fixed value, an attribute, or a field of the offer.

    A customer whose attribute is empty gets the `default`; without one, they are left out of the audience, which
    `exclude_empty` says is meant.
    """

    value: Scalar | None = None
    attribute: str | None = None
    offer: OfferField | None = None
    default: Scalar | None = None
    exclude_empty: bool = False

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.value, self.attribute, self.offer)) != 1:
            raise ValueError("give either value or attribute or offer")
        if self.attribute is None and (self.default is not None or self.exclude_empty):
            raise ValueError("only an attribute can be empty: a fixed value needs no default, nor does an offer")
        if self.default is not None and self.exclude_empty:
            raise ValueError("choose default or exclude_empty for customers whose attribute is empty, not both")
        for text in (self.value, self.default):
            if isinstance(text, float) and not math.isfinite(text):
                raise ValueError(f"{text} is no value that a message can show")
            if isinstance(text, str) and len(text) > MAX_PROPERTY_LENGTH:
                raise ValueError(f"has {len(text):,} characters; a push message holds at most {MAX_PROPERTY_LENGTH:,}")


class Offer(_Value, frozen=True):
    """What a campaign offers: a name for people, and what properties may tell of it; `valid_until` is its last day.

    `cost_of_one` is what one redemption costs, in the workspace's currency, which no message shows. `codes` names a
    pool of single-use promotion codes, of which every recipient gets one.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    kind: Literal["discount", "gift", "points", "none"]
    value: Scalar | None = None
    cost_of_one: Annotated[float, Meta(ge=0, le=MAX_COST)] | None = None
    valid_until: date | None = None
    terms: Annotated[str, Meta(max_length=MAX_PROPERTY_LENGTH)] = ""
    codes: Annotated[str, Meta(min_length=1, max_length=120)] | None = None

    def fields(self) -> dict[str, Scalar]:
        """What properties may take of what is the same for all, as a message shows it; what isn't given is missing."""
        found: dict[str, Scalar | None] = {
            "name": self.name,
            "value": self.value,
            "terms": self.terms or None,
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def why_over(self, day: date) -> str | None:
        """Why nobody may get it on a day any more, or None."""
        if self.valid_until is None or day <= self.valid_until:
            return None
        return (
            f"the offer {self.name!r} ends on {self.valid_until}, before the message goes out on {day}; give the offer "
            "a later last day, or send it earlier"
        )


class Campaign(_Value, frozen=True):
    """A planned campaign: target group, app group, template, offer values and schedule.

    Attributes:
        control: share of the customers who could get it that is held out, 0 to less than 1.
        priority: of campaigns that compete for a customer in one night, the one with the larger number goes first.
        exclusion_days: so many days, the day of sending included, in which its customers get no other campaign.
        measurement_days: so many days, the day of sending included, in which its result is measured; whoever is in its
            control group gets no campaign at all in them.
        ignore_others: it may go to customers who are in the exclusion period of another campaign.
        offer: what it offers, whose fields properties may take: its own, or the name of a saved one, which
            `with_offer` puts in place.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    app_group: str
    template: str
    group: str
    schedule: Schedule
    channel: str = CHANNEL
    control: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    offer: Offer | Annotated[str, Meta(min_length=1, max_length=120)] | None = None
    priority: Annotated[int, Meta(ge=0, le=100)] = 50
    exclusion_days: Annotated[int, Meta(ge=0, le=365)] = 0
    measurement_days: Annotated[int, Meta(ge=0, le=365)] = 0
    ignore_others: bool = False
    properties: dict[str, Property] = field(default_factory=dict)
    notes: Annotated[str, Meta(max_length=20_000)] = ""

    def __post_init__(self) -> None:
        if self.channel != CHANNEL:
            raise ValueError(f"channel {self.channel!r} isn't known; there is {CHANNEL!r}")
        if not self.name.strip() or self.name != self.name.strip() or not self.name.isprintable():
            raise ValueError(f"name {self.name!r} must be printable and neither begin nor end with a space")
        if self.saved_offer is None and (lacking := self._lacking(self.own_offer)):
            what = 'codes = "NAME OF A POOL"' if lacking[1] == "code" else "it"
            raise ValueError(
                f"property {lacking[0]!r} takes the offer's {lacking[1]!r}, which the campaign doesn't give; add "
                f"{what} under [offer]"
            )

    @property
    def id(self) -> str:
        """Stable identifier made from the name, which is unique: 12 hexadecimal digits.

        It salts the control group and keys the journal, so that a campaign that is submitted again under its name
        keeps its control group and can't reach the same customers twice in a night.
        """
        return id_of(self.name)

    @property
    def saved_offer(self) -> str | None:
        """The name of the saved offer that it takes, while that isn't in its place."""
        return self.offer if isinstance(self.offer, str) else None

    @property
    def own_offer(self) -> Offer | None:
        """Its offer with all its fields: one of its own, or the saved one once that is in its place."""
        return self.offer if isinstance(self.offer, Offer) else None

    def with_offer(self, offer: Offer) -> Campaign:
        """The campaign with an offer in place of its name.

        Args:
            offer: the saved one that it names.

        Raises:
            ValueError: for a property that takes what the offer doesn't give.
        """
        if lacking := self._lacking(offer):
            raise ValueError(
                f"property {lacking[0]!r} takes {lacking[1]!r} of the saved offer {offer.name!r}, which doesn't give "
                "it; save the offer with it, or take the property out"
            )
        return replace(self, offer=offer)

    def _lacking(self, offer: Offer | None) -> tuple[str, OfferField] | None:
        """The first property that takes what an offer doesn't give, with the field that it takes."""
        given = {*offer.fields(), *(("code",) if offer.codes else ())} if offer else set[str]()
        for name, source in self.properties.items():
            if source.offer and source.offer not in given:
                return name, source.offer
        return None

    @property
    def offered(self) -> dict[str, Scalar]:
        """The fields of the offer that properties may take."""
        return self.own_offer.fields() if self.own_offer else {}

    @property
    def exampled(self) -> dict[str, Scalar]:
        """The fields of the offer with an example in place of the customer's code, which is drawn at night."""
        return {**self.offered, "code": EXAMPLE_CODE} if self.codes else self.offered

    @property
    def codes(self) -> str | None:
        """The name of the pool that its recipients get promotion codes from."""
        return self.own_offer.codes if self.own_offer else None

    @property
    def code_properties(self) -> tuple[str, ...]:
        """The properties that take the customer's promotion code, in alphabetical order."""
        return tuple(sorted(name for name, source in self.properties.items() if source.offer == "code"))

    @property
    def slug(self) -> str:
        """A file name for this campaign."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.casefold()).strip("-")[:40].strip("-")
        return f"{words}-{self.id[:6]}" if words else self.id


def id_of(name: str) -> str:
    """The id of the campaign of a name."""
    return sha256(name.casefold().encode()).hexdigest()[:12]
