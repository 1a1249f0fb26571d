"""What a campaign is: values only, the same in a file, in Python and in the store."""

from __future__ import annotations

import math
import re
from datetime import date
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from optinb.base.settings import PLATFORMS, Platform
from optinb.campaigns.codes import EXAMPLE_CODE
from optinb.campaigns.learning import Learning
from optinb.campaigns.schedule import Schedule

CHANNEL = "Appboy Push"
MOST_VARIANTS = 8
Scalar = str | int | float | bool
Phones = Literal["all", "last_used"]
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


ARMS = frozenset({"control", "all variants"})
"""What results call those who were held out, and all who were not."""


class Variant(_Value, frozen=True, kw_only=True):
    """One of several ways in which a campaign is written, given to a share of its customers.

    Attributes:
        name: which the hash of a customer is drawn with, so that a renamed variant draws anew.
        share: its weight among the variants; 1 and 1 are halves, 2 and 1 two thirds and a third.
        template: for all platforms that it has a message for; the campaign's own where it gives none.
        templates: for each platform a template instead.
        properties: those that differ from the campaign's, by name.
    """

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    share: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    template: str = ""
    templates: dict[Platform, Annotated[str, Meta(min_length=1)]] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _must_be_printable("the name of a variant", self.name)
        _must_be_one(self.template, self.templates)

    @property
    def chosen_templates(self) -> tuple[str, dict[Platform, str]]:
        """The template for all platforms (or nothing), and those for single ones."""
        return self.template, self.templates


class CampaignMessage(Struct, frozen=True, kw_only=True):
    """One template of a campaign, with those who may get it.

    Attributes:
        number: from 0, in the order of the variants, then of the platforms.
        template: its name or id.
        platforms: those that it was chosen for; empty for all that the template has a message for.
        variant: the name of the variant that it belongs to; None where the campaign has none.
        properties: where each of its trigger properties comes from.
    """

    number: int
    template: str
    platforms: tuple[Platform, ...] = ()
    variant: str | None = None
    properties: dict[str, Property]


class Campaign(_Value, frozen=True, kw_only=True):
    """A planned campaign: target group, app group, messages, offer values and schedule.

    Attributes:
        template: goes to all platforms that it has a message for.
        templates: for each platform a template instead; one may serve several.
        variants: ways in which it is written, each for a share of its customers; none where all get the same.
        learning: how the shares of its variants move by what is learned of them; None where they stay.
        phones: whether a customer whose phones get different templates gets all of them, or the one for the app that
            they used last.
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
    template: str = ""
    templates: dict[Platform, Annotated[str, Meta(min_length=1)]] = field(default_factory=dict)
    variants: Annotated[tuple[Variant, ...], Meta(max_length=MOST_VARIANTS)] = ()
    learning: Learning | None = None
    phones: Phones = "all"
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
        _must_be_printable("name", self.name)
        self._check_messages()
        if self.saved_offer is None and (lacking := self._lacking(self.own_offer)):
            what = 'codes = "NAME OF A POOL"' if lacking[1] == "code" else "it"
            raise ValueError(
                f"property {lacking[0]!r} takes the offer's {lacking[1]!r}, which the campaign doesn't give; add "
                f"{what} under [offer]"
            )

    def _check_messages(self) -> None:
        _must_be_one(self.template, self.templates)
        names = [variant.name.casefold() for variant in self.variants]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two variants are called {name!r}; give each a name of its own")
        if self.learning is not None and (lacking := self._why_not_learning(self.learning)):
            raise ValueError(f"a mix that learns {lacking}, or take [learning] out")

    def _why_not_learning(self, learning: Learning) -> str | None:
        """What its shares can't be learned without; None where they can."""
        if len(self.variants) < 2:
            return "takes two variants to choose between: add them under [[variants]]"
        if learning.floor * len(self.variants) >= 1:
            return (
                f"keeps {learning.floor:.0%} for each of {len(self.variants)} variants, which leaves nothing to move: "
                "give it a smaller floor"
            )
        if self.schedule.date is not None:
            return f"takes several nights, and this campaign goes out on {self.schedule.date} alone: let it recur"
        if not self.control:
            return "is compared with a control group: hold somebody out, such as control = 0.1"
        if not self.measurement_days:
            return "learns once a window is over: give it one, such as measurement_days = 14"
        return None

    @property
    def why_no_message(self) -> str | None:
        """Why it has nothing to send, or has not for all of its variants; None where it has. A draft may lack it."""
        reserved = [variant.name for variant in self.variants if variant.name.casefold() in ARMS]
        if reserved:
            return f"results call something else {reserved[0]!r}: give that variant another name"
        if self.template or self.templates:
            return None
        if not self.variants:
            return 'it has no message yet: give a template, such as template = "NAME"'
        lacking = [v.name for v in self.variants if not (v.template or v.templates)]
        return (
            f"its variant {lacking[0]!r} has no message: give it a template, or one to the campaign"
            if lacking
            else None
        )

    @property
    def chosen_templates(self) -> tuple[str, dict[Platform, str]]:
        """The template for all platforms (or nothing), and those for single ones."""
        return self.template, self.templates

    @property
    def messages(self) -> tuple[CampaignMessage, ...]:
        """What goes out, in the order of the numbers: a message for each template of each variant."""
        found: list[CampaignMessage] = []
        for variant in self.variants or (None,):
            own = variant is not None and (variant.template or variant.templates)
            template, templates = (variant if variant is not None and own else self).chosen_templates
            by_template: dict[str, list[Platform]] = {template: []} if template else {}
            for platform in PLATFORMS:
                if platform in templates:
                    by_template.setdefault(templates[platform], []).append(platform)
            for name, platforms in by_template.items():
                found.append(
                    CampaignMessage(
                        number=len(found),
                        template=name,
                        platforms=tuple(platforms),
                        variant=variant.name if variant else None,
                        properties={**self.properties, **(variant.properties if variant else {})},
                    )
                )
        return tuple(found)

    @property
    def is_of_several(self) -> bool:
        """Whether it has variants, or chooses templates by platform, so that it may have several messages."""
        return bool(self.templates or self.variants)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each variant (all together 1), by name; nothing without variants."""
        whole = sum(variant.share for variant in self.variants)
        return {variant.name: variant.share / whole for variant in self.variants}

    @property
    def template_names(self) -> tuple[str, ...]:
        """The templates of all its messages, each once."""
        return tuple(dict.fromkeys(message.template for message in self.messages))

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
        everything = [self.properties, *(variant.properties for variant in self.variants)]
        for name, source in (pair for properties in everything for pair in properties.items()):
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
        given = [message.properties for message in self.messages]
        return tuple(sorted({n for properties in given for n, source in properties.items() if source.offer == "code"}))

    @property
    def slug(self) -> str:
        """A file name for this campaign."""
        words = re.sub(r"[^a-z0-9]+", "-", self.name.casefold()).strip("-")[:40].strip("-")
        return f"{words}-{self.id[:6]}" if words else self.id


def _must_be_printable(what: str, name: str) -> None:
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise ValueError(f"{what} {name!r} must be printable and neither begin nor end with a space")


def _must_be_one(template: str, templates: dict[Platform, str]) -> None:
    if template and templates:
        raise ValueError(
            f"give either template = {template!r} for all platforms or one for each under [templates], not both"
        )


def id_of(name: str) -> str:
    """The id of the campaign of a name."""
    return sha256(name.casefold().encode()).hexdigest()[:12]
