"""What happens to one customer on one night, in plain Python, as the guide of campaigns says it: an oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from hashlib import md5
from zoneinfo import ZoneInfo

from msgspec import Struct, structs


class Use(Struct, frozen=True):
    """An app that a customer uses; flags that are None aren't known."""

    app: str
    push: bool | None
    version: str | None


class Person(Struct, frozen=True, kw_only=True):
    """A customer, as IT delivered them."""

    id: str
    external_id: str | None
    blocked: bool | None
    test: bool | None
    opted_in: bool | None
    zone: str | None
    city: str | None
    uses: tuple[Use, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """A campaign, as somebody planned it."""

    id: str
    app_group: str
    priority: int
    exclusion: int
    measurement: int
    ignore: bool
    control: float
    needs_city: bool
    apps: tuple[str, ...]


class Limit(Struct, frozen=True, kw_only=True):
    """A cap: so many messages in any `days`, or in a calendar `per`."""

    messages: int
    days: int | None
    per: str | None
    app_group: str | None


class Rules(Struct, frozen=True, kw_only=True):
    """The contact policy."""

    global_control: float
    caps: tuple[Limit, ...]
    quiet_from: str | None
    quiet_until: str | None


class Contact(Struct, frozen=True):
    """A customer who got a campaign's message on a day, or was in its control group."""

    customer: str
    plan: Plan
    day: date
    held_out: bool


def share_of(salt: str, customer: str) -> float:
    """Where a customer stands, from 0 to 1, in a stable draw."""
    digest = md5(f"{salt}\x1f{customer}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little") / 2**64


def version(text: str) -> list[int]:
    """A version as numbers."""
    return [*map(int, text.split(".")), 0, 0, 0][:3]


def no_push(person: Person, apps: dict[str, str | None]) -> str | None:
    """Why no push reaches a customer; `apps`: the first version of each app that has the SDK, None if all have."""
    mine = [use for use in person.uses if use.app in apps]
    if not mine:
        return "no_app"

    def has_sdk(use: Use) -> bool:
        first = apps[use.app]
        return first is None or use.version is None or version(use.version) >= version(first)

    if not any(has_sdk(use) for use in mine):
        return "no_sdk"
    if not any(has_sdk(use) and use.push is True for use in mine):
        return "push_off"
    if person.blocked is not False:
        return "blocked"
    if person.test is not False:
        return "test"
    if person.opted_in is not True:
        return "opted_out"
    if not person.external_id:
        return "no_external_id"
    return None


def is_quiet_for(rules: Rules, zone: str, at: datetime) -> bool:
    """Whether a moment lies in the quiet hours of somebody's clock, minute by minute from their beginning."""
    if rules.quiet_from is None or rules.quiet_until is None:
        return False
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (rules.quiet_from, rules.quiet_until))
    there = at.astimezone(ZoneInfo(zone))
    since = (there.hour * 60 + there.minute - begin) % (24 * 60)
    return since < (end - begin) % (24 * 60)


def moment(night: date, at: str, zone: str) -> datetime:
    """When the messages of a night go out: skipped times move on by what is skipped, and the first of two counts."""
    return datetime.combine(night, time.fromisoformat(at), ZoneInfo(zone)).astimezone(UTC)


def capped(limit: Limit, mine: list[Contact], plan: Plan, day: date) -> bool:
    """Whether one message more on a day would be more than a cap allows."""
    if limit.app_group not in (None, plan.app_group):
        return False
    counted = 0
    for contact in mine:
        if contact.held_out or limit.app_group not in (None, contact.plan.app_group):
            continue
        if limit.days is not None:
            counts = abs((contact.day - day).days) <= limit.days - 1
        elif limit.per == "day":
            counts = contact.day == day
        elif limit.per == "week":
            counts = contact.day.toordinal() - contact.day.weekday() == day.toordinal() - day.weekday()
        else:
            counts = contact.day.strftime("%Y-%m") == day.strftime("%Y-%m")
        counted += counts
    return counted >= limit.messages


def policy_says(plan: Plan, rules: Rules, customer: str, contacts: list[Contact], day: date) -> str | None:
    """What the contact policy has against a customer, or "control" for one who stays in the control group."""
    mine = [contact for contact in contacts if contact.customer == customer]
    others = [contact for contact in mine if contact.plan.id != plan.id]
    if share_of("global control", customer) < rules.global_control:
        return "global_control"
    # Both windows count days, that of the contact included.
    measured = [c for c in mine if c.held_out and 0 <= (day - c.day).days <= c.plan.measurement - 1]
    if any(c.plan.id != plan.id for c in measured):
        return "held_out"
    if not plan.ignore and any(0 <= (day - c.day).days <= c.plan.exclusion - 1 for c in others):
        return "exclusion_period"
    own_days = max(plan.exclusion, plan.measurement if plan.control else 0)
    if any(0 <= (c.day - day).days <= own_days - 1 for c in others):
        return "exclusion_period"
    if any(capped(limit, mine, plan, day) for limit in rules.caps):
        return "frequency_cap"
    return "control" if measured else None


def owners(people: list[Person]) -> dict[str, str]:
    """Who each customer is as a person: those who share an external user id are the first of them."""
    first: dict[str, str] = {}
    for person in sorted(people, key=lambda person: person.id):
        if person.external_id:
            first.setdefault(person.external_id, person.id)
    return {person.id: first.get(person.external_id or "", person.id) for person in people}


def expected(
    plan: Plan,
    rules: Rules,
    people: list[Person],
    contacts: list[Contact],
    *,
    apps: dict[str, str | None],
    day: date,
    at: datetime | None,
    zone: str,
) -> dict[str, str]:
    """Everybody's outcome or reason. `at`: when it is sent; None on each customer's own clock."""
    found: dict[str, str] = {}
    taken: set[str | None] = set()
    owner = owners(people)
    contacts = [structs.replace(c, customer=owner.get(c.customer, c.customer)) for c in contacts]
    for person in sorted(people, key=lambda person: person.id):
        said = no_push(person, {app: first for app, first in apps.items() if app in plan.apps})
        if said is None and at is not None and is_quiet_for(rules, person.zone or zone, at):
            said = "quiet_hours"
        if said is None and plan.needs_city and person.city is None:
            said = "property_missing"
        if said is None and person.external_id in taken:
            said = "same_external_id"
        if said is None:
            taken.add(person.external_id)
            said = policy_says(plan, rules, owner[person.id], contacts, day)
        if said is None and share_of(plan.id, owner[person.id]) < plan.control:
            said = "control"
        found[person.id] = said or "recipient"
    return found
