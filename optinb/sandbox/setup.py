"""Worlds to start from: the demo's, small ones for tests, and ones that a team keeps in a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from optinb.errors import UsageError
from optinb.sandbox.dashboard import CHANNEL_OF, AppGroup, DashboardCampaign, Key, Limits, Rates, User
from optinb.sandbox.world import World

Auth = Literal["rest_api_key", "app_group_id", "either"]
_NAMESPACE = uuid.UUID("3c1a7f52-6d4e-5b8a-9f10-2e7c4b9d8a61")
_CREATED = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)


def push_campaign(
    name: str,
    *,
    platforms: Iterable[str] = ("ios",),
    title: str = "Hello",
    alert: str = "Hi {{api_trigger_properties.${first_name} | default: 'there'}}",
    app_group_id: str = "",
    number: int = 0,
    **fields: Any,
) -> DashboardCampaign:
    """An API-triggered push campaign with one message a platform; `fields` overrides any field of it.

    With a `control_share` it has a control variation beside the messages.
    """
    campaign_id = str(uuid.uuid5(_NAMESPACE, f"{app_group_id}/{name}"))
    messages: dict[str, dict[str, Any]] = {
        str(uuid.uuid5(_NAMESPACE, f"{campaign_id}/{platform}")): {
            "channel": CHANNEL_OF[platform],
            "name": f"{name} {platform}",
            "title": title,
            "alert": alert,
            "action": "open_app",
            "extras": {},
        }
        for platform in platforms
    }
    channels = tuple(message["channel"] for message in messages.values())
    if fields.get("control_share"):
        messages[str(uuid.uuid5(_NAMESPACE, f"{campaign_id}/control"))] = {"type": "control", "name": "Control"}
    given: dict[str, Any] = {
        "id": campaign_id,
        "name": name,
        "messages": messages,
        "channels": channels,
        "created_at": _CREATED + timedelta(days=number),
        "updated_at": _CREATED + timedelta(days=240 + number),
    }
    return DashboardCampaign(**(given | fields))


def make_world(
    app_groups: int | Iterable[str] = 1,
    *,
    templates: Iterable[str] = ("Optimove_Test_iOS", "Optimove_Test_Android"),
    auth: Auth = "rest_api_key",
    permissions: tuple[str, ...] | None = None,
    users: dict[str, User] | None = None,
    limits: Limits | None = None,
    rates: Rates | None = None,
    re_eligible_after_s: int | None = None,
) -> World:
    """A world with so many app groups, or of these names, each with one key and usable templates.

    An app group's id is a UUID made of its name and its key is `sandbox-NAME-key` in lower case. A template's platform
    is told by the end of its name (`_iOS`, `_Android`, `_Kindle`, `_Web`; both phones otherwise). A customer gets a
    template once, ever, as Appboy has it, unless `re_eligible_after_s` says after how many seconds again (0: any time).
    """
    names = [f"Group {n + 1}" for n in range(app_groups)] if isinstance(app_groups, int) else list(app_groups)
    wanted = list(templates)
    groups = []
    for name in names:
        group_id = str(uuid.uuid5(_NAMESPACE, name))
        groups.append(
            AppGroup(
                id=group_id,
                name=name,
                keys=(Key(f"sandbox-{name.casefold().replace(' ', '-')}-key", permissions),),
                auth=auth,
                campaigns=tuple(
                    push_campaign(
                        template,
                        platforms=_platforms(template),
                        app_group_id=group_id,
                        number=n,
                        re_eligible_after_s=re_eligible_after_s,
                    )
                    for n, template in enumerate(wanted)
                ),
                users=users,
                limits=limits or Limits(),
                rates=rates or Rates(),
            )
        )
    return World(groups)


def _platforms(template: str) -> tuple[str, ...]:
    end = template.rsplit("_", 1)[-1].casefold()
    return (end,) if end in CHANNEL_OF else ("ios", "android")


def demo_world() -> World:
    """The world of `optinb demo` and `optinb sandbox`: Shop and Club, the app groups of the example settings.

    A customer gets each template once, as Appboy has it, but those of the demo's nightly campaign every night.
    """
    return World((_demo_group(_SHOP_ID, "Shop", _SHOP), _demo_group(_CLUB_ID, "Club", _CLUB)))


_SHOP_ID = "11111111-2222-3333-4444-555555555555"
_CLUB_ID = "66666666-7777-8888-9999-000000000000"
_NAME = "{{api_trigger_properties.${first_name} | default: 'there'}}"
_CODE = "{{api_trigger_properties.${promo_code}}}"
_SHOP = {
    "SummerSale": ("Summer sale", f"Hi {_NAME}, 20 % off everything until Sunday with {_CODE}."),
    "WinBack": ("We miss you", f"{_NAME}, it has been a while. Come back with {_CODE} and we pay the delivery."),
}
_NIGHTLY = "ClubNight"
_CLUB = {
    "ClubNight": ("Club night", f"Hi {_NAME}, doors open at eight. Your word for the bar: {_CODE}."),
    "Points": ("Double points", f"{_NAME}, every purchase this week counts twice. Code {_CODE}."),
}


def _demo_group(group_id: str, name: str, texts: dict[str, tuple[str, str]]) -> AppGroup:
    usable = [
        push_campaign(
            f"Optimove_{theme}_{label}",
            platforms=(platform,),
            title=title,
            alert=alert,
            app_group_id=group_id,
            number=2 * n + m,
            tags=("Optimove",),
            description="Triggered by optinb; targets All Users",
            re_eligible_after_s=0 if theme == _NIGHTLY else None,
        )
        for n, (theme, (title, alert)) in enumerate(texts.items())
        for m, (platform, label) in enumerate((("ios", "iOS"), ("android", "Android")))
    ]
    email = {str(uuid.uuid5(_NAMESPACE, f"{group_id}/email")): {"channel": "email", "subject": "News", "name": "News"}}
    others = [
        push_campaign(
            f"{name}_Newsletter",
            app_group_id=group_id,
            number=20,
            messages=email,
            channels=("email",),
            schedule_type="time_based",
        ),
        push_campaign("Optimove_Autumn_Draft", app_group_id=group_id, number=21, draft=True, enabled=False),
        push_campaign("Optimove_LastYear_iOS", app_group_id=group_id, number=22, archived=True),
        push_campaign(f"{name}_MondayPush", app_group_id=group_id, number=23, schedule_type="time_based"),
        push_campaign("Optimove_Empty_iOS", app_group_id=group_id, number=24, messages={}, channels=()),
        push_campaign(
            "Optimove_Paused_Android", platforms=("android",), app_group_id=group_id, number=25, enabled=False
        ),
    ]
    return AppGroup(id=group_id, name=name, keys=(Key(f"sandbox-{name.casefold()}-key"),), campaigns=(*usable, *others))


class _WorldFile(Struct, frozen=True, forbid_unknown_fields=True):
    app_groups: tuple[AppGroup, ...]
    seed: str | None = None


def load_world(path: Path) -> World:
    """Reads a world from a JSON file. Raises UsageError that names file, place and value.

    The file is an object with `app_groups`, a list of objects with the fields of `AppGroup`; only `id` and `name` are
    needed. `keys` is a list of {key, permissions, allowed_addresses}; `campaigns` one of objects with the fields of
    `DashboardCampaign`, whose `messages` map a variation's id to {channel, name, title, alert, action, extras}; `users`
    maps an external_user_id to {time_zone, push, uninstalled} and, left out, means that everybody is known; `limits` is
    {an_hour, hour_s, export_a_minute, send_ids_a_day, days_ahead}, `rates` {opened, bounced, converted, revenue}. The
    world's `seed` decides who is drawn by a share.

    What is filtered behind a success is said of an app group by `global_control` ({members: {ids, share},
    applies_to_api_triggered}), `caps` (a list of {most, per: "day" or "week", tag, channel}) and `quiet_hours` ({start,
    end, then: "send_later" or "drop"}), and of a campaign by `re_eligible_after_s` (left out: a customer gets it once,
    ever; 0: any time), `segment` ({ids, share}), `control_share` (with a message {"type": "control"}), `is_capped`,
    `counts_to_caps`, `messages_a_minute`, `max_users` ({most, per: "total" or "instance"}), `quiet_hours` of its own
    and `ignores_quiet_hours`. For example:

        {"app_groups": [{"id": "11111111-2222-3333-4444-555555555555", "name": "Shop", "keys": [{"key": "secret"}],
          "campaigns": [{"id": "c1", "name": "Optimove_Summer_iOS", "channels": ["ios_push"],
            "messages": {"v1": {"channel": "ios_push", "title": "Summer", "alert": "Hi!"}}}]}]}
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_WorldFile)
    except OSError as error:
        raise UsageError(f"the world file {path} can't be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"the world file {path} doesn't fit: {error}") from error
    return World(file.app_groups, seed=file.seed)
