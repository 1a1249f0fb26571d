"""`optinb doctor`: whether the app groups of a workspace can be worked with, and what proves who works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import AppboyClient, Verdict, examine
from optinb.errors import Exit, SettingsError, StateError

if TYPE_CHECKING:
    from optinb.appboy import Template
    from optinb.settings import AppGroupSettings
    from optinb.workspace.handle import Workspace


class GroupHealth(Struct, frozen=True, kw_only=True):
    """The verdicts on one app group."""

    app_group: str
    api: str
    verdicts: tuple[Verdict, ...]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """The verdicts on app groups and on who works; `exit_code` is 1 where one of them is bad."""

    app_groups: tuple[GroupHealth, ...]
    exit_code: int
    people: tuple[Verdict, ...] = ()


def diagnose(ws: Workspace, app_group: str | None = None) -> Diagnosis:
    """Calls one app group, or all, without changing anything there or here. Raises SettingsError for a wrong name."""
    settings = ws.settings
    groups = settings.app_groups if app_group is None else (settings.app_group(app_group),)
    found = tuple(_health(ws, group) for group in groups)
    people = (_who_works(ws),)
    bad = any(v.standing == "bad" for v in (*people, *(v for health in found for v in health.verdicts)))
    return Diagnosis(app_groups=found, people=people, exit_code=int(Exit.FAILED if bad else Exit.DONE))


def _who_works(ws: Workspace) -> Verdict:
    """What proves who works here; a hub that is to say so is asked."""
    workspace = ws.settings.workspace
    if workspace.identity == "asserted":
        text = "names are asserted: anybody can approve as anybody; for more than tests and demos write"
        return Verdict(about="who works", standing="note", text=f'{text} identity = "login" under [workspace]')
    try:
        source = "the login on this machine" if workspace.hub is None else f"as the hub {workspace.hub} says"
        return Verdict(about="who works", standing="good", text=f"{ws.user}, {source}")
    except SettingsError as error:
        return Verdict(about="who works", standing="bad", text=str(error))


def _health(ws: Workspace, group: AppGroupSettings) -> GroupHealth:
    with AppboyClient(group, timeout_s=ws.settings.send.timeout_s, read_tries=1, clock=ws.now) as client:
        found = examine(client, known=_known(ws, group), outgoing=ws.settings.network.outgoing_addresses)
    return GroupHealth(app_group=group.name, api=group.api, verdicts=found)


def _known(ws: Workspace, group: AppGroupSettings) -> dict[str, Template]:
    try:
        return {template.id: template for template in ws.store.templates.list(group.id)}
    except StateError:
        # a look at the network needs no database; without it more details are read
        return {}
