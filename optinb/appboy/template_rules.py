"""What Appboy's dashboard has set for a template and its API doesn't tell: what a person says of it, once. Pure.

Behind a 201 the dashboard decides who gets a message. What nobody has stated is as Appboy sets it up by itself: a
customer gets a template once, ever, and nothing else is filtered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from optinb.errors import CampaignError

NEVER, ANY_TIME = "never", "any time"
_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
LONGEST_WINDOW_S = 720 * _UNITS["day"]
"""Appboy's longest window until a customer may get a template again."""
MOST, LONGEST_SEGMENT = 10**9, 200
_AFTER = re.compile(r"(?:after )?([1-9][0-9,]{0,9}) (second|minute|hour|day|week)s?", re.IGNORECASE)
_CAP = re.compile(r"([1-9][0-9,]{0,4}) (?:a|per) (day|week)", re.IGNORECASE)
_QUIET = re.compile(
    r"([0-2]?[0-9]:[0-5][0-9])(?: ?[-–] ?| to )([0-2]?[0-9]:[0-5][0-9])(?:,? (drop|later))?", re.IGNORECASE
)

# A window in seconds, 0 for any time, None for never.
Again = Annotated[int, Meta(ge=0, le=LONGEST_WINDOW_S)] | None


class VendorCap(Struct, frozen=True):
    """At most so many messages to a customer, on a day of their own calendar or on seven of them."""

    most: Annotated[int, Meta(ge=1)]
    per: Literal["day", "week"]

    def words(self) -> str:
        """The cap as a person writes it, such as "1 a day"."""
        return f"{self.most:,} a {self.per}"


class VendorQuietHours(Struct, frozen=True):
    """From when until when nothing goes out on a customer's own clock: it goes out `later`, or Appboy `drop`s it."""

    start: time
    end: time
    then: Literal["later", "drop"] = "later"

    def words(self) -> str:
        """The hours as a person writes them, such as "22:00 to 08:00, later"."""
        return f"{self.start:%H:%M} to {self.end:%H:%M}, {self.then}"


class TemplateRules(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What somebody says of a template in Appboy's dashboard; what is UNSET, nobody has said.

    Attributes:
        again_after_s: seconds from the last receipt until a customer may get it again; 0: at any time, None: never.
        caps: the frequency caps that hold for it; none: it is exempt from them, or there are none.
        messages_a_minute: the delivery speed limit; None: there is none.
        max_users: the most customers whom it is sent to; None: there is no such limit.
        quiet_hours: those that hold for it; None: it goes out at any time.
        segment: in a few words, whom it targets where that isn't everybody; None: All Users.
    """

    again_after_s: Again | UnsetType = UNSET
    caps: tuple[VendorCap, ...] | UnsetType = UNSET
    messages_a_minute: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    max_users: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    quiet_hours: VendorQuietHours | UnsetType | None = UNSET
    segment: Annotated[str, Meta(min_length=1, max_length=LONGEST_SEGMENT)] | UnsetType | None = UNSET

    def __bool__(self) -> bool:
        return any(value is not UNSET for value in msgspec.structs.asdict(self).values())

    @property
    def window(self) -> timedelta | None:
        """How long after a receipt a customer may get it again; None: never, as at Appboy where nobody says more."""
        after_s = self.again_after_s
        return None if after_s is UNSET or after_s is None else timedelta(seconds=after_s)

    @property
    def may_wait(self) -> bool:
        """Whether by what is stated Appboy may hold a message back and send it later."""
        hours = self.quiet_hours
        is_held = isinstance(hours, VendorQuietHours) and hours.then == "later"
        return is_held or isinstance(self.messages_a_minute, int)

    def with_changes(self, changes: TemplateRules) -> TemplateRules:
        """These rules, with everything that others state in place of what was stated before.

        Args:
            changes: what is stated now.
        """
        stated = {k: v for k, v in msgspec.structs.asdict(changes).items() if v is not UNSET}
        return msgspec.structs.replace(self, **stated)


class StatedRules(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said of a template, by whom and when.

    Attributes:
        rules: what was said.
        by: who said it.
        at: when, in UTC.
        follows: what follows for the campaigns on the template, in sentences; only right after it was said.
    """

    rules: TemplateRules
    by: str
    at: datetime
    follows: tuple[str, ...] = ()


UNSTATED = TemplateRules()
ONCE = "not stated: once per customer, ever"
ALL_USERS = "it should target All Users of its platform in Appboy's dashboard, which nobody can check from here"


def again_from(text: str) -> int | None:
    """The window that "never", "any time" or "after 1 day" means, in seconds; None for never.

    Raises:
        CampaignError: for anything else, or a window that Appboy doesn't have.
    """
    words = " ".join(text.split())
    if words.casefold() == NEVER:
        return None
    if words.casefold() in (ANY_TIME, "anytime"):
        return 0
    if (found := _AFTER.fullmatch(words)) is None:
        raise CampaignError(
            f"{text!r} doesn't say when customers may get a template again; write never, any time, or a time after "
            "the last receipt in whole minutes, hours, days or weeks such as 'after 1 day' or 'after 36 hours'"
        )
    seconds = int(found[1].replace(",", "")) * _UNITS[found[2].lower()]
    if seconds > LONGEST_WINDOW_S:
        raise CampaignError(f"{text!r} is longer than Appboy's longest window of 720 days; write never")
    return seconds


def again_words(after_s: int | None) -> str:
    """When customers may get a template again, as a person writes it: "never", "any time" or "after 1 day"."""
    if after_s is None:
        return NEVER
    if after_s == 0:
        return ANY_TIME
    unit, size = next((u, s) for u, s in reversed(_UNITS.items()) if after_s % s == 0 and (u != "week"))
    count = after_s // size
    return f"after {count:,} {unit}{'' if count == 1 else 's'}"


def caps_from(texts: tuple[str, ...]) -> tuple[VendorCap, ...]:
    """Frequency caps such as "1 a day" and "3 a week"; "none" alone means none.

    Raises:
        CampaignError: for what is no cap.
    """
    if tuple(text.casefold().strip() for text in texts) == ("none",):
        return ()
    found: list[VendorCap] = []
    for text in texts:
        if (match := _CAP.fullmatch(" ".join(text.split()))) is None:
            raise CampaignError(f"{text!r} is no frequency cap; write one such as '1 a day' or '3 a week', or none")
        found.append(VendorCap(int(match[1].replace(",", "")), "day" if match[2].lower() == "day" else "week"))
    return tuple(dict.fromkeys(found))


def quiet_hours_from(text: str) -> VendorQuietHours | None:
    """Quiet hours such as "22:00 to 08:00", with ", drop" where Appboy drops what falls into them; None for "none".

    Raises:
        CampaignError: for anything else.
    """
    if text.casefold().strip() == "none":
        return None
    match = _QUIET.fullmatch(" ".join(text.split()))
    try:
        if match is None:
            raise ValueError
        start, end = (time.fromisoformat(match[i].zfill(5)) for i in (1, 2))
        if start == end:
            raise ValueError
    except ValueError:
        raise CampaignError(
            f"{text!r} are no quiet hours; write some such as '22:00 to 08:00', with ', drop' where Appboy drops what "
            "falls into them, or none"
        ) from None
    return VendorQuietHours(start, end, "drop" if (match[3] or "").lower() == "drop" else "later")


def limit_from(text: str, *, what: str) -> int | None:
    """A limit such as "5000" or "5,000"; None for "none".

    Args:
        text: as a person writes it.
        what: what it limits, for the sentence.

    Raises:
        CampaignError: for anything else.
    """
    if text.casefold().strip() == "none":
        return None
    digits = text.strip().replace(",", "")
    if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= MOST):
        raise CampaignError(f"{text!r} is no number of {what}; write one such as 5000, or none")
    return int(digits)


def segment_from(text: str) -> str | None:
    """Whom a template targets, in a few words; None for "all", which is All Users.

    Raises:
        CampaignError: for no words, or too many.
    """
    words = " ".join(text.split())
    if words.casefold() in ("all", "all users"):
        return None
    if not 0 < len(words) <= LONGEST_SEGMENT or not words.isprintable():
        raise CampaignError(
            f"write in at most {LONGEST_SEGMENT} letters whom the template targets, such as 'has bought once', or all"
        )
    return words


# How each rule is read from what a person writes, by its field.
READ: dict[str, Callable[[str], Any]] = {
    "again_after_s": again_from,
    "caps": lambda text: caps_from(tuple(re.split(r",(?!\d{3})", text))),
    "messages_a_minute": lambda text: limit_from(text, what="messages a minute"),
    "max_users": lambda text: limit_from(text, what="customers"),
    "quiet_hours": quiet_hours_from,
    "segment": segment_from,
}


def rules_from(texts: Mapping[str, str | None]) -> TemplateRules:
    """What a person states of a template in their own words, by field; what is empty or missing stays unsaid.

    Args:
        texts: such as {"again_after_s": "after 1 day", "caps": "1 a day, 3 a week", "messages_a_minute": "none"}.

    Raises:
        CampaignError: with what can be written instead, for what can't be read.
    """
    return TemplateRules(**{name: READ[name](text) for name, text in texts.items() if text and text.strip()})


def written(rules: TemplateRules) -> dict[str, str]:
    """What is stated, by field, as a person writes it; `rules_from` reads it."""
    values = msgspec.structs.asdict(rules)
    words: dict[str, Callable[[Any], str]] = {
        "again_after_s": again_words,
        "caps": lambda caps: ", ".join(cap.words() for cap in caps) or "none",
        "messages_a_minute": lambda most: "none" if most is None else f"{most:,}",
        "max_users": lambda most: "none" if most is None else f"{most:,}",
        "quiet_hours": lambda hours: "none" if hours is None else hours.words(),
        "segment": lambda segment: "all" if segment is None else segment,
    }
    return {name: words[name](value) for name, value in values.items() if value is not UNSET}


# What a program gives for each rule, by its field.
_TAKEN = {
    "again_after_s": f"seconds from 0 (any time) to {LONGEST_WINDOW_S:,} (720 days), or None for never",
    "caps": "a tuple of caps such as (VendorCap(1, 'day'),), and () for none",
    "messages_a_minute": "a whole number from 1, or None for no limit",
    "max_users": "a whole number from 1, or None for no limit",
    "quiet_hours": "VendorQuietHours(time(22), time(8)), or None for none",
    "segment": f"at most {LONGEST_SEGMENT} printable letters, or None for All Users",
}


def checked_rules(rules: TemplateRules, *, template: str) -> TemplateRules:
    """Rules as a program stated them, once each is what it should be.

    Args:
        rules: those of a program, whose types nobody has checked.
        template: the template's name, for the sentence.

    Raises:
        CampaignError: with what each rule takes, for what it can't be.
    """
    if not isinstance(rules, TemplateRules):
        raise CampaignError(
            f"{rules!r} can't be stated of the template {template!r}; write TemplateRules(again_after_s=86_400), or "
            "read words with optinb.appboy.template_rules.rules_from({'again_after_s': 'after 1 day'})"
        )
    found: dict[str, Any] = {}
    for name, takes in _TAKEN.items():
        if (value := getattr(rules, name)) is UNSET:
            continue
        try:
            found[name] = getattr(msgspec.convert({name: msgspec.to_builtins(value)}, TemplateRules), name)
            if isinstance(value, str):
                found[name] = segment_from(value)  # "all" are All Users
        except (msgspec.MsgspecError, CampaignError, TypeError, ValueError) as error:
            raise CampaignError(
                f"{value!r} can't be stated of the template {template!r} as {name}, which takes {takes}"
            ) from error
    return TemplateRules(**found)


def rules_words(rules: TemplateRules) -> str:
    """What is stated, in a line, and what counts where nobody has said when customers may get a template again."""
    again = [] if rules.again_after_s is not UNSET else [ONCE if not rules else f"again {ONCE}"]
    return "; ".join([*again, *(f"{what} {value}" for what, value in said(rules))])


def said(rules: TemplateRules) -> list[tuple[str, str]]:
    """What is stated, as (what, value) in words; what isn't stated is left out."""
    words: dict[str, Any] = {
        "again": lambda value: again_words(value),
        "frequency caps": lambda value: ", ".join(cap.words() for cap in value) or "none",
        "speed": lambda value: "no limit" if value is None else f"{value:,} messages a minute",
        "most customers": lambda value: "no limit" if value is None else f"{value:,}",
        "quiet hours": lambda value: "none" if value is None else value.words(),
        "segment": lambda value: "All Users" if value is None else value,
    }
    values = msgspec.structs.asdict(rules).values()
    return [
        (what, told(value)) for (what, told), value in zip(words.items(), values, strict=True) if value is not UNSET
    ]
