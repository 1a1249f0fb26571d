"""`optinb doctor`, and the look before a night: whether this machine and the app groups can be worked with."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.appboy import MOST_LOOKS, AppboyClient, Verdict, examine
from optinb.errors import Exit, StateError
from optinb.workspace.clock import is_pretended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from optinb.appboy import Template
    from optinb.settings import AppGroupSettings
    from optinb.workspace.handle import Workspace


MACHINE = "This machine"
_SPARE_MB = 200
_CLOCKS_DIFFER = timedelta(minutes=5)  # people's machines do by less


class GroupHealth(Struct, frozen=True, kw_only=True):
    """The verdicts on one app group, or on this machine, which has no `api`."""

    app_group: str
    api: str
    verdicts: tuple[Verdict, ...]

    @property
    def bad(self) -> tuple[Verdict, ...]:
        """What must be mended."""
        return tuple(verdict for verdict in self.verdicts if verdict.standing == "bad")


class Diagnosis(Struct, frozen=True, kw_only=True):
    """The verdicts on this machine and on app groups; `exit_code` is 1 where one of them is bad."""

    app_groups: tuple[GroupHealth, ...]
    exit_code: int

    @classmethod
    def of(cls, found: tuple[GroupHealth, ...]) -> Diagnosis:
        """The diagnosis of some verdicts."""
        return cls(app_groups=found, exit_code=int(Exit.FAILED if any(h.bad for h in found) else Exit.DONE))


def diagnose(ws: Workspace, app_group: str | None = None) -> Diagnosis:
    """Calls one app group, or all, without changing anything there or here. Raises SettingsError for a wrong name."""
    settings = ws.settings
    groups = settings.app_groups if app_group is None else (settings.app_group(app_group),)
    found = tuple(group_health(ws, group) for group in groups)
    return Diagnosis.of((machine_health(ws, ws.today()), *found) if found and app_group is None else found)


def group_health(ws: Workspace, group: AppGroupSettings, *, most_looks: int = MOST_LOOKS) -> GroupHealth:
    """The verdicts on one app group, by calls that only read."""
    with AppboyClient(group, timeout_s=ws.settings.send.timeout_s, read_tries=1, clock=ws.now) as client:
        outgoing = ws.settings.network.outgoing_addresses
        found = examine(client, known=_known(ws, group), outgoing=outgoing, most_looks=most_looks)
    return GroupHealth(app_group=group.name, api=group.api, verdicts=found)


def machine_health(ws: Workspace, run_date: date) -> GroupHealth:
    """The verdicts on this machine, for the night of a date: rights, space, delivery and clock."""
    verdicts = (_rights(ws.root), _space(ws, run_date), *_delivery(ws, run_date), *_clock(ws))
    return GroupHealth(app_group=MACHINE, api="", verdicts=verdicts)


def _rights(root: Path) -> Verdict:
    if os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return Verdict(about="workspace", standing="good", text=f"{root} can be written to")
    text = f"{root} can't be written to by this login; give it the right, or run the night as the folder's owner"
    return Verdict(about="workspace", standing="bad", text=text)


def _space(ws: Workspace, run_date: date) -> Verdict:
    """An import needs the delivery unpacked, and another version of the tables, beside what is there."""
    delivery, tables = ws.root / "inbox" / run_date.isoformat(), ws.root / "warehouse"
    needed = 2 * _size(delivery) + _size(tables, "v*.duckdb", newest=True)
    needed_mb, free_mb = (needed >> 20) + _SPARE_MB, shutil.disk_usage(ws.root).free >> 20
    if free_mb >= needed_mb:
        return Verdict(about="space", standing="good", text=f"{free_mb:,} MB are free")
    text = f"{free_mb:,} MB are free, and a night needs about {needed_mb:,}; make room on the disk of {ws.root}"
    return Verdict(about="space", standing="bad", text=text)


def _size(folder: Path, pattern: str = "*", *, newest: bool = False) -> int:
    try:
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        return sum(path.stat().st_size for path in (files[-1:] if newest else files))
    except OSError:
        return 0  # a file that goes meanwhile; who can't read it at all is told of the delivery


def _delivery(ws: Workspace, run_date: date) -> Iterator[Verdict]:
    if ws.settings.sources:
        return  # the import asks them, and says what is missing
    folder = ws.root / "inbox" / run_date.isoformat()
    if not folder.is_dir():
        text = f"there is none of {run_date} in the inbox; an older one counts for max_age_days"
        yield Verdict(about="delivery", standing="note", text=text)
        return
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        text = f"{folder} can't be read by this login ({error.strerror}); give it the right"
        yield Verdict(about="delivery", standing="bad", text=text)
        return
    closed = [path.name for path in files if not os.access(path, os.R_OK)]
    if closed:
        text = f"{', '.join(closed)} in {folder} can't be read by this login; give it the right"
        yield Verdict(about="delivery", standing="bad", text=text)
    else:
        yield Verdict(about="delivery", standing="good", text=f"{len(files):,} files of {run_date}")


def _clock(ws: Workspace) -> Iterator[Verdict]:
    """Compares the clock with what earlier nights have noted; Appboy's own time is told of each app group."""
    last = max((run.started_at for run in ws.store.runs.list()), default=None)
    if last is None or is_pretended():
        return
    behind = last - ws.now()
    if behind > _CLOCKS_DIFFER:
        text = f"this machine's clock is behind: a night began at {last:%Y-%m-%d %H:%M} UTC already; set it by NTP"
        yield Verdict(about="clock", standing="bad", text=text)


def _known(ws: Workspace, group: AppGroupSettings) -> dict[str, Template]:
    try:
        return {template.id: template for template in ws.store.templates.list(group.id)}
    except StateError:
        # a look at the network needs no database; without it more details are read
        return {}
