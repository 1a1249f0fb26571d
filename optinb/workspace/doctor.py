"""`optinb doctor`: whether the app groups of a workspace can be worked with, and who can read its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import AppboyClient, Verdict, examine
from optinb.errors import Exit, StateError
from optinb.workspace.private import open_paths

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
    """The verdicts on app groups, and on the workspace's folder; `exit_code` is 1 where one of them is bad."""

    app_groups: tuple[GroupHealth, ...]
    exit_code: int
    folder: tuple[Verdict, ...] = ()


def diagnose(ws: Workspace, app_group: str | None = None) -> Diagnosis:
    """Calls one app group, or all, without changing anything there or here. Raises SettingsError for a wrong name."""
    settings = ws.settings
    groups = settings.app_groups if app_group is None else (settings.app_group(app_group),)
    found = tuple(_health(ws, group) for group in groups)
    folder = (_privacy(ws),)
    bad = any(v.standing == "bad" for v in (*folder, *(v for health in found for v in health.verdicts)))
    return Diagnosis(app_groups=found, folder=folder, exit_code=int(Exit.FAILED if bad else Exit.DONE))


def _privacy(ws: Workspace) -> Verdict:
    """Who else on this machine can read customers' data here."""
    found, group = open_paths(ws.root, ws.settings), ws.settings.workspace.group
    if found is None:
        whose = "its owner" if group is None else f"its owner and the group {group}"
        return Verdict(about="files", standing="good", text=f"only {whose} can read {ws.root}")
    text = (
        f"{found.count:,} paths of {ws.root} are open to others on this machine, such as {', '.join(found.examples)}; "
        f"run: {found.command}"
    )
    if group is None:
        text += " (where a team, or IT with its deliveries, needs the folder, set group under [workspace])"
    return Verdict(about="files", standing="bad", text=text)


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
