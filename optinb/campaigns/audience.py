"""From a target group to the exact list of who gets a message, with a reason for everybody who doesn't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from optinb.base.settings import AppSettings
from optinb.campaigns.campaign import Property
from optinb.campaigns.messages import MESSAGES
from optinb.campaigns.placed_customers import PlacedCustomers
from optinb.campaigns.vendor_filters import is_exempt
from optinb.errors import CampaignError, did_you_mean
from optinb.segments import CODES, REASONS, Waterfall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from optinb.campaigns.campaign import Phones, Scalar
    from optinb.campaigns.policy import Competitor
    from optinb.campaigns.policy_state import ContactPolicyState
    from optinb.engine.persons import Identity

_CONTROL = max(CODES.values()) + 1  # of a row while its audience is built, beside 0 for a recipient and the reasons
AUDIENCE_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String,
        "external_user_id": pl.String,
        "outcome": pl.String,
        "reason": pl.String,
        "properties": pl.String,
    }
)


class AudienceMessage(Struct, frozen=True, kw_only=True):
    """What the audience of a campaign has to know of one of its messages.

    Attributes:
        apps: the apps that it goes to: those of the app group on its platforms.
        properties: where each of its trigger properties comes from.
        variant: the number of its variant, from 0.
    """

    apps: tuple[AppSettings, ...]
    properties: Mapping[str, Property] = {}
    variant: int = 0


def build_audience(
    members: pl.LazyFrame,
    customers: pl.LazyFrame,
    app_users: pl.LazyFrame,
    *,
    messages: Sequence[AudienceMessage],
    shares: Mapping[str, float] | None = None,
    kept: pl.DataFrame | None = None,
    phones: Phones = "all",
    offer: Mapping[str, Scalar] | None = None,
    control: float = 0.0,
    salt: str = "",
    not_modelled: Mapping[str, str] | None = None,
    quiet: Collection[str] = (),
    zone: str = "UTC",
    policy_state: ContactPolicyState | None = None,
    who: Competitor | None = None,
    identity: Identity | None = None,
) -> pl.DataFrame:
    """One row for every member of the target group: what happens to them tonight, and why.

    Args:
        members: customer_id (text) of the target group, each once.
        customers: customer_id, external_user_id, is_blocked, is_test, push_opt_in, with `quiet` time_zone, and the
            attributes that properties name.
        app_users: as in `reachable_apps`.
        messages: those of the campaign, in the order of their numbers; no two of one variant go to the same app.
        shares: the weight of each variant, by its name and in the order of their numbers; with one or none everybody
            gets the same.
        kept: customer_id, external_user_id and variant of those who keep the variant that they got before, whatever
            the shares are now; nobody if left out.
        phones: whether a customer gets all messages of their variant that reach one of their apps, or the one that
            reaches the app that they used last; of apps of which nobody knows it, the first message.
        offer: the values of the offer's fields.
        control: share of the customers who could get the message that is held out.
        salt: makes the draws of the control group and the variants independent of others; a campaign's id.
        not_modelled: attributes that no model tells tonight, each with the reason.
        quiet: the time zones whose quiet hours the message would break.
        zone: of customers whose time zone isn't known.
        policy_state: what the contact policy, and what is stated of Appboy's own filters, knows of these very
            customers; neither judges anything if left out.
        who: the campaign, as the policy sees it; given with `policy_state`.
        identity: who of them is one person; with `policy_state`, its roster knows.

    Returns:
        a frame with AUDIENCE_SCHEMA and MESSAGES, sorted by customer_id. `reason` is null for recipients and controls,
        and `properties` (a JSON object as text) is null for everybody but recipients and controls.

    Raises CampaignError when a property names an attribute that isn't known.
    """
    kinds = customers.collect_schema()
    by_variant = {message.variant: message.properties for message in messages}
    attributes = sorted({p.attribute for given in by_variant.values() for p in given.values() if p.attribute})
    _check_attributes(attributes, kinds.names(), not_modelled or {})
    if policy_state is None:
        placed, policy_day = PlacedCustomers(customers, app_users, identity=identity), None
    else:
        placed, policy_day = policy_state.placed, policy_state.on(who.day) if who else None
    places = placed.places(members)
    codes = placed.against(tuple(dict.fromkeys(app for message in messages for app in message.apps)))[places]
    codes[(codes == 0) & placed.in_zones(quiet, unknown=zone)[places]] = CODES["quiet_hours"]
    # dealt to everybody, whoever gets something tonight, so that nobody's variant hangs on that
    dealt = _kept(kept, placed, shares or {})[places]
    dealt = np.where(dealt >= 0, dealt, placed.persons.dealt(places, salt=salt, shares=shares or {}))
    rows = placed.people[places].select("customer_id", "external_user_id")
    texts = _texts(rows, customers, by_variant, dealt, kinds, offer or {})
    codes[(codes == 0) & texts["is_missing"].to_numpy()] = CODES["property_missing"]
    able = np.flatnonzero(codes == 0)
    codes[able[placed.persons.doubles(places[able])]] = CODES["same_external_id"]
    able = np.flatnonzero(codes == 0)
    # before anybody is drawn: whom Appboy filters is in no control group, takes no code and counts for no cap
    gets, codes[able] = _messages_for(messages, placed, places[able], dealt[able], phones, policy_state, who)
    bits = np.zeros(len(places), dtype=np.uint32)
    bits[able] = gets
    able = able[codes[able] == 0]
    stays = np.zeros(len(able), dtype=np.bool_)
    if policy_day is not None and who is not None:
        verdicts = policy_day.verdicts(places[able], who)
        codes[able] = verdicts
        able = able[verdicts == 0]
        stays = policy_day.stays_in_control(places[able], who)
    codes[able[placed.persons.drawn(places[able], salt=salt, share=control) | stays]] = _CONTROL
    bits[codes != 0] = 0
    return rows.with_columns(
        outcome=pl.Series(np.where(codes == _CONTROL, 1, 2 * (codes > 0))).replace_strict(
            {0: "recipient", 1: "control", 2: "excluded"}, return_dtype=pl.String
        ),
        reason=pl.Series(codes).replace_strict(
            {0: None, _CONTROL: None, **{code: reason for reason, code in CODES.items()}}, return_dtype=pl.String
        ),
        properties=texts["text"],
        **{MESSAGES: pl.Series(bits)},
    ).with_columns(properties=pl.when(pl.col("outcome") != "excluded").then("properties"))


def _kept(kept: pl.DataFrame | None, placed: PlacedCustomers, shares: Mapping[str, float]) -> NDArray[np.int8]:
    """The number of the variant that each customer, by place, keeps; -1 where none.

    Of people who turned out to be one, and got several, the first of them counts.
    """
    found = np.full(len(placed), -1, dtype=np.int8)
    if kept is None:
        return found
    for number, name in reversed([*enumerate(shares)]):
        theirs = kept.filter(pl.col("variant") == name).select("customer_id", "external_user_id")
        places, _ = placed.persons.places(theirs)
        found[places] = number
    return found


def _messages_for(
    messages: Sequence[AudienceMessage],
    placed: PlacedCustomers,
    places: NDArray[np.uint32],
    dealt: NDArray[np.int8],
    phones: Phones,
    policy_state: ContactPolicyState | None,
    who: Competitor | None,
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """The messages that each of some customers gets, as bits, and what is against each who gets none (else 0).

    Every one of them has an app that some message reaches; Appboy's filters look at each message apart.
    """
    bits, against = np.zeros(len(places), dtype=np.uint32), np.zeros(len(places), dtype=np.uint8)
    latest, counted = np.full(len(places), -1, dtype=np.int64), np.zeros(len(places), dtype=np.uint16)
    vendor = policy_state.vendor if policy_state is not None else None
    for number, message in enumerate(messages):
        mine = np.flatnonzero((dealt == message.variant) & (placed.against(message.apps)[places] == 0))
        if vendor is not None and who is not None and who.sendings:
            sending = who.sendings[number]
            filtered = vendor.verdicts(places[mine], sending, who.campaign_id, given=counted[mine])
            against[mine] = np.where(against[mine] == 0, filtered, against[mine])
            mine = mine[filtered == 0]
            counted[mine] += phones == "all" and not is_exempt(sending.rules)
        bit = np.uint32(1 << number)
        if phones == "all" or len(messages) == 1:
            bits[mine] |= bit
            continue
        used = placed.last_used(message.apps)[places[mine]]
        mine, used = mine[used > latest[mine]], used[used > latest[mine]]
        bits[mine], latest[mine] = bit, used
    for message in messages:  # who has an app that only other variants reach
        left = (bits == 0) & (against == 0) & (dealt == message.variant)
        against[left] = placed.against(message.apps)[places[left]]
    return bits, np.where(bits != 0, np.uint8(0), against)


def why_kept(audience: pl.DataFrame, placed: PlacedCustomers, *, name: str, salt: str, control: float) -> str | None:
    """How many of an audience are its control group only since they were merged with somebody of it, in a sentence."""
    held = placed.places(audience.lazy().filter(pl.col("outcome") == "control"))
    count = placed.persons.kept_by_merge(held, salt=salt, share=control)
    if not count:
        return None
    who = "1 customer who was merged stays" if count == 1 else f"{count:,} customers who were merged stay"
    return f"{name!r}: {who} in its control group, where one of their ids was before"


def with_codes(audience: pl.DataFrame, codes: pl.Series, *, properties: Iterable[str]) -> pl.DataFrame:
    """An audience with AUDIENCE_SCHEMA whose recipients have, in their order, a promotion code each.

    `codes` (text) has as many as there are recipients; `properties` names those that take the code, which
    `build_audience` has left null.
    """
    is_recipient = audience["outcome"] == "recipient"
    places = (is_recipient.cast(pl.Int64).cum_sum() - 1).clip(lower_bound=0)
    mine = codes.gather(places) if len(codes) else pl.repeat(None, audience.height, dtype=pl.String, eager=True)
    text = pl.col("properties")
    for name in properties:
        # No value can hold this text: in a JSON string its quotes would stand behind backslashes.
        empty = msgspec.json.encode(name).decode() + ":null"
        told = pl.struct(mine.alias(name)).struct.json_encode().str.head(-1).str.tail(-1)
        text = text.str.replace(empty, told, literal=True)
    return audience.with_columns(properties=pl.when(is_recipient).then(text).otherwise("properties"))


def _texts(
    rows: pl.DataFrame,
    customers: pl.LazyFrame,
    by_variant: Mapping[int, Mapping[str, Property]],
    dealt: NDArray[np.int8],
    kinds: Mapping[str, pl.DataType],
    offer: Mapping[str, Scalar],
) -> pl.DataFrame:
    """The trigger properties of every row as JSON `text`, and whether one that their template needs `is_missing`.

    `by_variant`: the properties of each variant, by its number; `dealt`: the variant of each row.
    """
    text, is_missing = pl.lit(None, pl.String), pl.lit(False)
    for variant, given in by_variant.items():
        own, is_dealt = properties_json(given, kinds, offer), pl.col("variant") == variant
        if not any(p.attribute for p in given.values()):
            own = own.first()  # the same for all of them, and made once
        text = pl.when(is_dealt).then(own).otherwise(text) if len(by_variant) > 1 else own
        needed = [p.attribute for p in given.values() if p.attribute and p.default is None]
        is_empty = [pl.col(f"attribute {attribute}").is_null() for attribute in needed]
        is_missing = is_missing | (is_dealt & pl.any_horizontal(is_empty)) if is_empty else is_missing
    attributes = sorted({p.attribute for given in by_variant.values() for p in given.values() if p.attribute})
    placed = rows.lazy().select("customer_id", variant=pl.Series(dealt))
    if attributes:
        named = customers.select("customer_id", *(pl.col(a).alias(f"attribute {a}") for a in attributes))
        placed = placed.join(named, on="customer_id", how="left", maintain_order="left")
    return placed.select("customer_id", text=text, is_missing=is_missing).collect()


def personal(
    customers: pl.LazyFrame,
    *,
    properties: Mapping[str, Property] | None = None,
    offer: Mapping[str, Scalar] | None = None,
) -> pl.LazyFrame:
    """What a message to each customer is made of, whoever they are.

    Args:
        customers: customer_id, external_user_id, is_test and the attributes that `properties` name.
        properties: where each trigger property comes from.
        offer: the values of the offer's fields.

    Returns:
        customer_id, external_user_id (empty without one), is_test, property_missing (flags, never null) and properties
        (a JSON object).
    """
    properties = properties or {}
    attributes = sorted({p.attribute for p in properties.values() if p.attribute})
    kinds = customers.collect_schema()
    _check_attributes(attributes, kinds.names(), {})
    needed = [pl.col(p.attribute).is_null() for p in properties.values() if p.attribute and p.default is None]
    return customers.with_columns(pl.col(a).alias(f"attribute {a}") for a in attributes).select(
        "customer_id",
        pl.col("external_user_id").fill_null(""),
        pl.col("is_test").fill_null(False),
        property_missing=pl.any_horizontal(needed) if needed else pl.lit(False),
        properties=properties_json(properties, kinds, offer or {}),
    )


def waterfall(audience: pl.DataFrame) -> Waterfall:
    """The figures of an audience with AUDIENCE_SCHEMA; reasons in the order in which they are examined."""
    reasons = dict(audience["reason"].drop_nulls().value_counts().iter_rows())
    outcomes = dict(audience["outcome"].value_counts().iter_rows())
    return Waterfall(
        target=audience.height,
        excluded={reason: reasons[reason] for reason in REASONS if reason in reasons},
        control=outcomes.get("control", 0),
        recipients=outcomes.get("recipient", 0),
    )


def properties_json(
    properties: Mapping[str, Property], kinds: Mapping[str, pl.DataType], offer: Mapping[str, Scalar]
) -> pl.Expr:
    """A JSON object with the trigger properties of a row, as text; keys in alphabetical order.

    `kinds` gives the types of the attributes, `offer` the values of the offer's fields; a field that isn't there, such
    as the code before it's drawn, is null.
    Days and times are written as ISO 8601. A default of another kind than
    its attribute turns both into text.
    """
    values: list[pl.Expr] = []
    for name, source in sorted(properties.items()):
        if source.attribute is None:
            value = offer.get(source.offer) if source.offer else source.value
            values.append(pl.lit(value, dtype=pl.String if value is None else None).alias(name))
            continue
        kind, attribute = kinds[source.attribute], pl.col(f"attribute {source.attribute}")
        if not (kind.is_numeric() or kind == pl.Boolean):
            attribute = attribute.cast(pl.String)
        default = source.default
        if default is not None:
            number = isinstance(default, int | float) and not isinstance(default, bool)
            if (kind.is_numeric() and number) or (kind == pl.Boolean and isinstance(default, bool)):
                attribute = pl.coalesce(attribute, pl.lit(default))
            else:
                attribute = pl.coalesce(attribute.cast(pl.String), pl.lit(str(default)))
        values.append(attribute.alias(name))
    return pl.struct(values).struct.json_encode() if values else pl.lit("{}")


def _check_attributes(attributes: list[str], known: list[str], not_modelled: Mapping[str, str]) -> None:
    for attribute in attributes:
        if attribute not in known:
            if attribute in not_modelled:
                raise CampaignError(
                    f"no model tells {attribute!r}, which the properties need: {not_modelled[attribute]}"
                )
            raise CampaignError(
                f"attribute {attribute!r} of the campaign's properties isn't known{did_you_mean(attribute, known)}"
            )
