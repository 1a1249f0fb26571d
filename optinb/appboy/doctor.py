"""Whether an app group can be worked with: one look that changes nothing, and a verdict for each thing that matters."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from optinb.appboy.client import AppboyClient, CallError
from optinb.appboy.lines import ProxyError
from optinb.appboy.outcome import Outcome, RateLimit, RequestLater, RequestRefused, RequestUnknown, Stopped
from optinb.appboy.templates import Template, fetch_templates, fitted
from optinb.errors import AppboyError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optinb.appboy.wire import CampaignLine
    from optinb.base.settings import AppGroupSettings

NOBODY = "optinb-doctor"  # stands for a customer and for a campaign that don't exist
MOST_LOOKS = 50
CLOCK_GOOD_S = 5.0
CLOCK_BAD_S = 60.0
READS = {
    "campaigns.list": "to import templates",
    "campaigns.details": "to import templates",
    "campaigns.data_series": "to read results",
    "users.export.ids": "to settle unknown deliveries",
}
WRITES = {
    "campaigns.trigger.schedule.create": "to send",
    "campaigns.trigger.schedule.update": "to move a send",
    "campaigns.trigger.schedule.delete": "to recall a send",
    "campaigns.trigger.send": "for test sends",
}
# Without these a night is sent all the same, and less is known of what came of it.
OPTIONAL = {
    "sends.data_series": "to read what came of each campaign, where several are on one template",
    "sends.id.create": "to have Appboy count each campaign apart, where several are on one template",
}

Standing = Literal["good", "note", "bad", "unknown"]


class Verdict(Struct, frozen=True, kw_only=True):
    """What is so of one thing: good, worth a note, bad, or not to be told without doing harm."""

    about: str
    standing: Standing
    text: str


class Findings(Struct, frozen=True, kw_only=True):
    """What a look at an app group brought.

    `probes` are the outcomes of the calls that were made, by permission; None for an answer that came as it should.
    `ahead_s` are seconds by which Appboy's clock is ahead, and `templates` the usable ones of `campaigns`, None where
    too many were never looked at.
    """

    probes: dict[str, Outcome | None]
    seconds: float = 0.0
    no_key: str = ""
    no_way: str = ""
    rate: RateLimit | None = None
    ahead_s: float | None = None
    campaigns: int | None = None
    templates: int | None = None
    unread: int = 0


def examine(
    client: AppboyClient, *, known: Mapping[str, Template], outgoing: Sequence[str], most_looks: int = MOST_LOOKS
) -> tuple[Verdict, ...]:
    """Looks at the app group of a client, by calls that only read. `known` are its templates as last imported, by id.

    A client that tries each call once answers soonest. Of new or edited templates at most `most_looks` are read.
    """
    return verdicts(client.group, look(client, known=known, most_looks=most_looks), outgoing=outgoing)


def look(client: AppboyClient, *, known: Mapping[str, Template], most_looks: int = MOST_LOOKS) -> Findings:
    """Makes the calls that tell, as long as there is somebody who answers."""
    listed: list[CampaignLine] = []
    start = time.monotonic()
    try:
        first = _outcome(lambda: listed.extend(client.campaigns(include_archived=True)))
    except ProxyError as error:
        return Findings(probes={}, no_way=str(error))
    except SettingsError as error:
        return Findings(probes={}, no_key=str(error))
    seconds = time.monotonic() - start
    # of the hour that all calls share; an export has a limit of its own
    rate = client.rate_limit
    probes: dict[str, Outcome | None] = {"campaigns.list": first}
    usable: int | None = None
    unread = [c for c in listed if (t := known.get(c.id)) is None or t.last_edited != c.last_edited]
    if _answers(first):
        campaign = listed[0].id if listed else NOBODY
        probes["campaigns.details"] = _outcome(lambda: client.campaign_details(campaign))
        probes["campaigns.data_series"] = _outcome(lambda: client.campaign_series(campaign, days=1))
        probes["sends.data_series"] = _outcome(lambda: client.send_series(campaign, NOBODY, days=1))
        probes["users.export.ids"] = _outcome(lambda: client.export_users([NOBODY], ["external_id"]))
        if first is None and probes["campaigns.details"] is None and len(unread) <= most_looks:
            try:
                found = fetch_templates(client, client.group, known=known, listed=listed)
                usable = sum(fitted(template, client.group).usable for template in found)
            except AppboyError:
                usable = None
    return Findings(
        probes=probes,
        seconds=seconds,
        rate=rate,
        ahead_s=client.clock_ahead_s,
        campaigns=len(listed) if first is None else None,
        templates=usable,
        unread=len(unread),
    )


def _outcome(call: Callable[[], object]) -> Outcome | None:
    """What became of a reading call; None if it was answered as it should be."""
    try:
        call()
    except CallError as error:
        return error.outcome
    except AppboyError as error:
        return RequestUnknown(str(error))
    return None


def _answers(outcome: Outcome | None) -> bool:
    """Whether it is Appboy that answered, whatever it said."""
    match outcome:
        case None | RequestRefused():
            return True
        case Stopped(status=status):
            return status in (401, 403)
        case RequestLater(cause=cause):
            return cause == "rate_limit"
        case _:
            return False


def verdicts(group: AppGroupSettings, found: Findings, *, outgoing: Sequence[str]) -> tuple[Verdict, ...]:
    """The verdicts on what was found, in the order in which they are best mended. Pure."""
    if found.no_way:
        return (
            Verdict(about="proxy", standing="bad", text=found.no_way),
            Verdict(about="reachable", standing="unknown", text="nothing was asked before the proxy is settled"),
        )
    if found.no_key:
        return (
            Verdict(about="credential", standing="bad", text=found.no_key),
            Verdict(about="reachable", standing="unknown", text="nothing was asked without a credential"),
        )
    first = found.probes["campaigns.list"]
    if not _answers(first):
        return (Verdict(about="reachable", standing="bad", text=_told(first)), _addresses(outgoing, denied=False))
    denied = any(isinstance(p, Stopped) and p.status == 403 for n, p in found.probes.items() if n not in OPTIONAL)
    return (
        Verdict(about="reachable", standing="good", text=f"{group.api} answered in {found.seconds:.2f} s"),
        _credential(group, found),
        *_permissions(group, found),
        *_templates(found),
        *_clock(group, found.ahead_s),
        *_limit(found.rate),
        _addresses(outgoing, denied=denied),
    )


def _credential(group: AppGroupSettings, found: Findings) -> Verdict:
    what = f"the key {group.key}" if group.auth == "rest_api_key" else f"the app group id {group.id}"
    outcomes = list(found.probes.values())
    if any(o is None or isinstance(o, RequestRefused) for o in outcomes):
        return Verdict(about="credential", standing="good", text=f"{what} is accepted")
    wrong = next((o for o in outcomes if isinstance(o, Stopped) and o.status == 401), None)
    if wrong is not None:
        return Verdict(about="credential", standing="bad", text=f"{what} isn't accepted: {_told(wrong)}")
    return Verdict(about="credential", standing="unknown", text=f"{what}: no call was let through that would tell")


def _permissions(group: AppGroupSettings, found: Findings) -> list[Verdict]:
    if group.auth == "app_group_id":
        return [Verdict(about="permissions", standing="good", text="in the way of 2015 there are none to give")]
    verdicts = []
    for name, purpose in READS.items():
        match found.probes.get(name):
            case None | RequestRefused():
                standing, text = "good", f"given, {purpose}"
            case Stopped(status=401 | 403) as outcome:
                standing, text = "bad", f"needed {purpose}: {_told(outcome)}"
            case outcome:
                standing, text = "unknown", f"needed {purpose}: {_told(outcome)}"
        verdicts.append(Verdict(about=f"permission {name}", standing=standing, text=text))
    for name, purpose in WRITES.items():
        how = (
            "try `optinb campaigns test NAME`" if name.endswith("trigger.send") else "look at the key in the dashboard"
        )
        text = f"needed {purpose}; a call that only reads can't tell: {how}"
        verdicts.append(Verdict(about=f"permission {name}", standing="unknown", text=text))
    for name, purpose in OPTIONAL.items():
        verdicts.append(_optional(name, purpose, found))
    return verdicts


def _optional(name: str, purpose: str, found: Findings) -> Verdict:
    about, told = f"permission {name}", found.probes.get(name)
    if name not in found.probes:
        text = f"optional, {purpose}; a call that only reads can't tell: look at the key in the dashboard"
        return Verdict(about=about, standing="unknown", text=text)
    if told is None or isinstance(told, RequestRefused):
        return Verdict(about=about, standing="good", text=f"given, {purpose}")
    return Verdict(about=about, standing="note", text=f"optional, {purpose}: {_told(told)}")


def _templates(found: Findings) -> list[Verdict]:
    if found.campaigns is None:
        return []
    if found.templates is None:
        text = f"{found.campaigns:,} campaigns, {found.unread:,} of them new or edited; run `optinb templates sync`"
        return [Verdict(about="templates", standing="note", text=text)]
    why = "" if found.templates else "; `optinb templates list` says why, after `optinb templates sync`"
    text = f"{found.templates:,} of {found.campaigns:,} campaigns can be used{why}"
    return [Verdict(about="templates", standing="good" if found.templates else "note", text=text)]


def _clock(group: AppGroupSettings, ahead_s: float | None) -> list[Verdict]:
    if ahead_s is None:
        return [Verdict(about="clock", standing="unknown", text="the answers bear no Date")]
    off = abs(ahead_s)
    if off <= CLOCK_GOOD_S:
        return [Verdict(about="clock", standing="good", text=f"agrees with Appboy's within {CLOCK_GOOD_S:.0f} s")]
    side = "behind" if ahead_s > 0 else "ahead of"
    if group.is_loopback:
        text = f"the workspace's clock is {off:,.0f} s {side} the sandbox's, which has one of its own"
        return [Verdict(about="clock", standing="note", text=text)]
    text = f"this machine's clock is {off:,.0f} s {side} Appboy's; set it by NTP"
    return [Verdict(about="clock", standing="bad" if off > CLOCK_BAD_S else "note", text=text)]


def _limit(rate: RateLimit | None) -> list[Verdict]:
    if rate is None:
        return []
    until = datetime.fromtimestamp(rate.reset, UTC)
    text = f"{rate.remaining:,} of {rate.limit:,} requests are left until {until:%H:%M} UTC"
    return [Verdict(about="requests", standing="good" if rate.remaining * 10 >= rate.limit else "note", text=text)]


def _addresses(outgoing: Sequence[str], *, denied: bool) -> Verdict:
    if outgoing:
        text = f"must be on the allow-list of the key, if it has one: {', '.join(outgoing)}"
    else:
        text = (
            "if the key has an IP allow-list, this machine's outgoing addresses must be on it; note them as "
            "outgoing_addresses under [network] in optinb.toml"
        )
    return Verdict(about="addresses", standing="bad" if denied else "note", text=text)


def _told(outcome: Outcome | None) -> str:
    match outcome:
        case Stopped(message=message, advice=advice):
            return f"{message}; {advice}"
        case RequestLater(message=message) | RequestUnknown(message=message) | RequestRefused(message=message):
            return message
        case _:
            return "an answer that can't be read"
