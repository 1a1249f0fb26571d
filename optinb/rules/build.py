"""How people write rules: `(attr("country") == "DE") & ~did("purchase").within(days=60)`."""

# Whoever writes a rule in a notebook is told what is wrong with it, though a checker would have known.
# pyright: reportUnnecessaryIsInstance=false

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable

from optinb.errors import RuleError
from optinb.rules.tree import (
    AllOf,
    AnyOf,
    Birthday,
    Compare,
    Contacted,
    Did,
    InGroup,
    InList,
    Matches,
    Missing,
    Node,
    Not,
    OneOf,
    Rank,
    Rule,
    Text,
    Uses,
)
from optinb.rules.values import MAX_DAYS, Comparable, Comparison, DaysAgo, Scalar, as_value, check_name, is_after

RESPONSE_DAYS = 7
UPLIFT = "uplift of "


class AttributeTerm(Comparable[Rule]):
    """An attribute of the customer (or a column of a behaviour), waiting to be compared with something.

    Compare it with `==`, `!=`, `<`, `<=`, `>` and `>=`, or with one of its methods: each gives a rule. A rule is false
    where the attribute is empty; only `is_missing()` is true there.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = check_name(name, "attr('country')")

    def __repr__(self) -> str:
        return term_text(self._name)

    def one_of(self, values: Iterable[Scalar]) -> Rule:
        """Is one of several values.

        Args:
            values: texts, or numbers; 1 to 10,000, all of one kind.

        Raises:
            RuleError: for a single text, no value, too many, or values of several kinds.
        """
        if isinstance(values, str):
            raise RuleError(f"{self!r}.one_of({values!r}): give a list of values, such as ['DE', 'AT']")
        return self._made(lambda: OneOf(self._name, tuple(values)))

    def between(self, low: object, high: object) -> Rule:
        """Lies between two values, both included.

        Args:
            low: a number, a text, or a day.
            high: of the same kind, and not before `low`.

        Raises:
            RuleError: when `high` comes before `low`, or for a value that can't be compared.
        """
        low, high = (as_value(value, repr(self)) for value in (low, high))
        if is_after(low, high):
            raise RuleError(f"{self!r}.between(...): it ends ({high}) before it begins ({low}); swap the two")
        return (self >= low) & (self <= high)

    def contains(self, text: str) -> Rule:
        """Contains a piece of text.

        Args:
            text: that stands anywhere in it, exactly as written, with its case; 1 to 1,000 characters.

        Raises:
            RuleError: for what is no text, an empty one, or one that is too long.
        """
        return self._text("contains", text)

    def starts_with(self, text: str) -> Rule:
        """Starts with a piece of text.

        Args:
            text: that it begins with, exactly as written, with its case; 1 to 1,000 characters.

        Raises:
            RuleError: for what is no text, an empty one, or one that is too long.
        """
        return self._text("starts_with", text)

    def ends_with(self, text: str) -> Rule:
        """Ends with a piece of text.

        Args:
            text: that it ends with, exactly as written, with its case; 1 to 1,000 characters.

        Raises:
            RuleError: for what is no text, an empty one, or one that is too long.
        """
        return self._text("ends_with", text)

    def matches(self, pattern: str) -> Rule:
        r"""Some part of it fits a pattern, such as `r"@example\.(de|at)$"`.

        Args:
            pattern: in the part of regular expressions that is the same and quick in every engine: characters, `.`,
                classes, groups, `|`, repetitions, `^` and `$`. Case matters.

        Raises:
            RuleError: for what is no text, or a pattern outside of that part.
        """
        if not isinstance(pattern, str):
            raise RuleError(f"{self!r}.matches({pattern!r}): a pattern is a text")
        return self._made(lambda: Matches(self._name, pattern))

    def is_missing(self) -> Rule:
        """Has no value."""
        return Missing(self._name)

    def is_known(self) -> Rule:
        """Has a value."""
        return Not(Missing(self._name))

    def anniversary(
        self,
        first: int | None = None,
        last: int | None = None,
        *,
        within_next: int | None = None,
        within_last: int | None = None,
    ) -> Rule:
        """A year, or several, after this day falls near the run date, such as a birthday.

        Give `within_next` or `within_last` (the run date included), or the `first` and the `last` day: `anniversary(7,
        7)` is a week ahead. Nothing given means on the run date.

        Args:
            first: days after the run date, -366 to 366; negative ones lie before it.
            last: days after the run date, not before `first`; the same as `first` when left out.
            within_next: days from the run date on.
            within_last: days up to the run date.

        Raises:
            RuleError: for days out of range, or a last day before the first.
        """
        if within_next is not None or within_last is not None:
            first, last = -(within_last or 0), within_next or 0
        days = (first or 0, first or 0 if last is None else last)
        if any(isinstance(d, bool) or not isinstance(d, int) or not -366 <= d <= 366 for d in days):
            raise RuleError(f"{self!r}.anniversary{days}: give whole numbers of days from -366 to 366")
        return self._made(lambda: Birthday(self._name, *days))

    def top(self, percent: float, *, within: str | None = None) -> Rule:
        """Among the highest values of all customers, or of those who are alike in something.

        All who tie at the border belong, and the best one always does.

        Args:
            percent: the share in percent, above 0 and below 100.
            within: an attribute; customers are then compared with those who have the same value of it.

        Raises:
            RuleError: for a percentage out of range.
        """
        return self._made(lambda: Rank(self._name, "top", percent, within))

    def bottom(self, percent: float, *, within: str | None = None) -> Rule:
        """Among the lowest values of all customers, or of those who are alike in something.

        All who tie at the border belong, and the best one always does.

        Args:
            percent: the share in percent, above 0 and below 100.
            within: an attribute; customers are then compared with those who have the same value of it.

        Raises:
            RuleError: for a percentage out of range.
        """
        return self._made(lambda: Rank(self._name, "bottom", percent, within))

    def _text(self, op: str, text: str) -> Rule:
        if not isinstance(text, str) or not 0 < len(text) <= 1000:
            raise RuleError(f"{self!r}.{op}({text!r}): give a text that isn't empty, of at most 1,000 characters")
        return Text(self._name, op, text)  # type: ignore[arg-type]

    def _compared(self, op: Comparison, value: object) -> Rule:
        return self._made(lambda: Compare(self._name, op, as_value(value, repr(self))))

    def _made(self, make: Callable[[], Rule]) -> Rule:
        try:
            return make()
        except (ValueError, TypeError) as error:
            raise RuleError(f"{self!r}: {error}") from error


def attr(name: str) -> AttributeTerm:
    """An attribute of the customer: `attr("country") == "DE"`, `attr("age") >= 18`, `attr("email").is_missing()`.

    Args:
        name: of a delivered attribute, or one of the models (`"stage"`, `"future_value"`); `views.attributes(ws)` shows
            all. It is compared with the data when the rule is used.

    Raises:
        RuleError: for what can't be a name.
    """
    return AttributeTerm(name)


def uplift(campaign: str) -> AttributeTerm:
    """The chance by which a campaign raises a purchase: `uplift("Summer sale").top(30)`, `uplift("Sale") >= 0.02`.

    It is an attribute like others once somebody has published what was learned from the campaign's control group:
    `ws.uplifts.publish("Summer sale")`.

    Args:
        campaign: its name, without regard to case.

    Raises:
        RuleError: for what can't be a name.
    """
    return AttributeTerm(uplift_attribute(campaign))


def uplift_attribute(campaign: str) -> str:
    """The name of the attribute that `uplift` of a campaign is.

    Its letters and digits alone, in small letters: no engine takes a point or a quotation mark for part of a name.

    Raises:
        RuleError: for what can't be a name, and one that holds neither a letter nor a digit.
    """
    check_name(campaign, "uplift('Summer sale')")
    written = unicodedata.normalize("NFC", campaign.casefold())
    words = " ".join("".join(sign if _is_of_a_word(sign) else " " for sign in written).split())
    if not any(sign.isalnum() for sign in words):
        raise RuleError(f"uplift({campaign!r}): the campaign's name has no letter or digit to tell it by")
    return UPLIFT + words


def _is_of_a_word(sign: str) -> bool:
    """A letter, a digit, or a mark above or below one, which in many scripts is a vowel."""
    return sign in "-_" or unicodedata.category(sign)[0] in "LNM"


def is_uplift(attribute: str) -> bool:
    """Whether an attribute is what `uplift` of some campaign is."""
    campaign = attribute.removeprefix(UPLIFT)
    return campaign != attribute and any(map(str.isalnum, campaign)) and uplift_attribute(campaign) == attribute


def term_text(attribute: str) -> str:
    """An attribute as people write it: `attr('country')`, `uplift('summer sale')`."""
    return f"uplift({attribute.removeprefix(UPLIFT)!r})" if is_uplift(attribute) else f"attr({attribute!r})"


def did(event: str) -> Did:
    """What customers did: `did("purchase").at_least(2).within(days=365)`, `did("app_open").days_in_a_row(3)`.

    Args:
        event: `"purchase"`, which is a transaction with a positive amount, or the name of an event.

    Returns:
        a rule that holds for whoever did it at least once, ever; its methods ask for more.

    Raises:
        RuleError: for what can't be a name.
    """
    return Did(check_name(event, "did('purchase')"))


def days_ago(days: int) -> DaysAgo:
    """A day, counted back from the run date.

    `attr("registered_at") >= days_ago(30)`

    Args:
        days: so many days before the run date, at most 36,500; negative ones lie after it.

    Raises:
        RuleError: for what is no whole number, or too many days.
    """
    if isinstance(days, bool) or not isinstance(days, int) or abs(days) > MAX_DAYS:
        raise RuleError(f"days_ago({days!r}): give a whole number of days, at most {MAX_DAYS:,}")
    return DaysAgo(days)


def uses_app(app: str | None = None, *, platform: str | None = None) -> Uses:
    """Uses an app: `uses_app("shop-ios").version_at_least("3.2")`, `uses_app(platform="ios").used_within(days=30)`.

    Args:
        app: id of an app of the settings; any app when left out.
        platform: `"ios"`, `"android"`, `"kindle"` or `"web"`; any when left out.

    Raises:
        RuleError: for what can't be a name.
    """
    for name in (app, platform):
        if name is not None:
            check_name(name, "uses_app('shop-ios') or uses_app(platform='ios')")
    return Uses(app, platform)


def received(campaign: str | None = None) -> Contacted:
    """Received a campaign, or any: `received("Summer sale").within(days=30)`, `received().at_least(3)`.

    Args:
        campaign: its name; any campaign when left out.

    Raises:
        RuleError: for what can't be a name.
    """
    return Contacted("received", _campaign(campaign, "received"))


def was_in_control(campaign: str | None = None) -> Contacted:
    """Was held out from a campaign, or any, as control: `was_in_control("Summer sale")`.

    Args:
        campaign: its name; any campaign when left out.

    Raises:
        RuleError: for what can't be a name.
    """
    return Contacted("in_control", _campaign(campaign, "was_in_control"))


def responded(campaign: str | None = None, *, days: int = RESPONSE_DAYS) -> Contacted:
    """Received a campaign, or any, and bought on that day or soon after it.

    Args:
        campaign: its name; any campaign when left out.
        days: after the day of sending, in which a purchase counts, 0 to 36,500.

    Raises:
        RuleError: for what can't be a name, or days out of range.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= MAX_DAYS:
        raise RuleError(f"responded(days={days!r}): give a whole number of days from 0 to {MAX_DAYS:,}")
    return Contacted("responded", _campaign(campaign, "responded"), response_days=days)


def opened(campaign: str | None = None) -> Contacted:
    """Opened the push of a campaign, or of any, as Appboy tells: `opened().within(days=30)` was sent lately.

    Args:
        campaign: its name; any campaign when left out.

    Raises:
        RuleError: for what can't be a name.
    """
    return Contacted("opened", _campaign(campaign, "opened"))


def did_not_open(campaign: str | None = None) -> Contacted:
    """Got the push of a campaign, or of any, and hasn't opened it so far, as Appboy tells.

    Args:
        campaign: its name; any campaign when left out.

    Raises:
        RuleError: for what can't be a name.
    """
    return Contacted("not_opened", _campaign(campaign, "did_not_open"))


def in_group(name: str) -> InGroup:
    """Belongs to another saved group.

    Args:
        name: as the group was saved. Its rule is looked up when this one is used, so that a changed group changes this
            one.

    Raises:
        RuleError: for what can't be a name.
    """
    return InGroup(check_name(name, "in_group('VIPs')"))


def in_list(name: str, *, sha256: str | None = None) -> InList:
    """Stands on an uploaded list of customers.

    Args:
        name: as `ws.lists.save(...)` was given it.
        sha256: 64 hexadecimal digits that tie the rule to the content that the list had; the newest content when left
            out.

    Raises:
        RuleError: for what can't be a name, or is no SHA-256.
    """
    if sha256 is not None and not (
        isinstance(sha256, str) and len(sha256) == 64 and not set(sha256) - set("0123456789abcdef")
    ):
        raise RuleError(f"in_list({name!r}): sha256 has 64 hexadecimal digits; leave it out for the list as it is now")
    return InList(check_name(name, "in_list('trade fair')"), sha256)


def all_of(*rules: Rule) -> AllOf:
    """Every one of the rules holds; the same as `a & b`.

    Args:
        *rules: one or more.

    Raises:
        RuleError: without a rule, or for something that is none.
    """
    return AllOf(_several("all_of", rules))


def any_of(*rules: Rule) -> AnyOf:
    """At least one of the rules holds; the same as `a | b`.

    Args:
        *rules: one or more.

    Raises:
        RuleError: without a rule, or for something that is none.
    """
    return AnyOf(_several("any_of", rules))


def none_of(*rules: Rule) -> Not:
    """None of the rules holds.

    Args:
        *rules: one or more.

    Raises:
        RuleError: without a rule, or for something that is none.
    """
    several = _several("none_of", rules)
    return Not(several[0] if len(several) == 1 else AnyOf(several))


def _several(word: str, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if not rules:
        raise RuleError(f"{word}() has no rule in it; give at least one")
    for number, rule in enumerate(rules):
        if not isinstance(rule, Node):
            raise RuleError(f"{word}(...)[{number}]: {rule!r} is no rule; write something like attr('country') == 'DE'")
    return rules


def _campaign(name: str | None, word: str) -> str | None:
    return name if name is None else check_name(name, f"{word}('Summer sale')")
