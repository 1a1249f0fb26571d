"""`optinb doctor`, and the look before a night: whether this machine, its people and the app groups are fit for it."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from datetime import date, timedelta
from shlex import quote
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy import MOST_LOOKS, AppboyClient, Template, Verdict, examine
from optinb.base.clock import is_pretended
from optinb.base.figures import many
from optinb.base.ownership import login_of, loopholes
from optinb.base.private import keeps_sqlite, open_paths
from optinb.base.settings import FILE_NAME, AppGroupSettings
from optinb.errors import Exit, SettingsError, StateError
from optinb.segments.vendor_control import knows_nobody, without_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from optinb.appboy.statements import Statements
    from optinb.appboy.template_store import TemplateStore
    from optinb.base.context import Context
    from optinb.planning.template_uses import TemplateUses
    from optinb.segments import VendorControl
    from optinb.store.runs import Runs

_SPARE_MB = 200
_CLOCKS_DIFFER = timedelta(minutes=5)  # people's machines do by less


class GroupHealth(Struct, frozen=True, kw_only=True):
    """The verdicts on one app group."""

    app_group: str
    api: str
    verdicts: tuple[Verdict, ...]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """The verdicts on this machine and on app groups; `exit_code` is 1 where one of them is bad."""

    machine: tuple[Verdict, ...] = ()
    app_groups: tuple[GroupHealth, ...]
    exit_code: int

    @classmethod
    def of(cls, machine: Iterable[Verdict], app_groups: Iterable[GroupHealth]) -> Diagnosis:
        """The diagnosis of some verdicts.

        Args:
            machine: about this machine.
            app_groups: about each app group that was looked at.
        """
        machine, app_groups = tuple(machine), tuple(app_groups)
        is_bad = bad((*machine, *(verdict for health in app_groups for verdict in health.verdicts)))
        return cls(machine=machine, app_groups=app_groups, exit_code=int(Exit.FAILED if is_bad else Exit.DONE))


def bad(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """What must be mended."""
    return tuple(verdict for verdict in verdicts if verdict.standing == "bad")


class Doctor:
    """Looks at a machine, the people on it and the app groups, without changing anything there or here."""

    def __init__(
        self,
        context: Context,
        *,
        runs: Runs,
        templates: TemplateStore,
        vendor_control: VendorControl,
        uses: TemplateUses | None = None,
        statements: Statements | None = None,
    ) -> None:
        """Args: `uses` and `statements` know what is stated of templates, which a night tells of by itself."""
        self._context, self._runs, self._templates = context, runs, templates
        self._uses, self._vendor_control = uses, vendor_control
        self._statements = statements

    def diagnose(self, app_group: str | None = None) -> Diagnosis:
        """Calls one app group, or all. Raises SettingsError for a wrong name."""
        context, settings = self._context, self._context.settings
        groups = settings.app_groups if app_group is None else (settings.app_group(app_group),)
        # who reads the folder is no reason to stop a night, which makes files of its own that are closed
        people = (_who_works(context), who_sets(context), *_sticky(context), _privacy(context))
        machine = (*self.machine(context.today()), *people, *_without_groups(groups), *self._forged())
        # what is stated of a template, or isn't, stops no night either: it is the campaign that is held, or goes on
        healths = [self.app_group(group) for group in groups]
        stated = zip(healths, map(self._not_again, groups), strict=True)
        return Diagnosis.of(machine, [replace(one, verdicts=(*one.verdicts, *more)) for one, more in stated])

    def machine(self, run_date: date) -> tuple[Verdict, ...]:
        """The verdicts on this machine, for the night of a date: rights, space, delivery and clock."""
        root = self._context.root
        delivery = () if self._context.settings.sources else _delivery(root, run_date)  # the import asks sources itself
        return (_rights(root), _space(root, run_date), *delivery, *self._clock())

    def app_group(self, group: AppGroupSettings, *, most_looks: int = MOST_LOOKS) -> GroupHealth:
        """The verdicts on one app group, by calls that only read."""
        settings = self._context.settings
        with AppboyClient(group, timeout_s=settings.send.timeout_s, read_tries=1, clock=self._context.now) as client:
            outgoing = settings.network.outgoing_addresses
            found = examine(client, known=self._known(group), outgoing=outgoing, most_looks=most_looks)
        return GroupHealth(app_group=group.name, api=group.api, verdicts=(*found, *self._control(group)))

    def _control(self, group: AppGroupSettings) -> Iterator[Verdict]:
        """What is known of Appboy's own control group, which keeps messages back behind a success."""
        try:
            there = self._vendor_control.of(group.name)
        except StateError as error:
            yield Verdict(about="global control", standing="bad", text=str(error))
            return
        if there is None:
            yield Verdict(about="global control", standing="note", text=without_list(group.name))
        elif there.known == 0:
            yield Verdict(about="global control", standing="bad", text=knows_nobody(there))
        else:
            text = f"{many(there.members, 'member')} left out, by the list of {there.uploaded_at:%Y-%m-%d}"
            yield Verdict(about="global control", standing="good", text=text)

    def _known(self, group: AppGroupSettings) -> dict[str, Template]:
        try:
            return {template.id: template for template in self._templates.list(group.id)}
        except StateError:
            # a look at the network needs no database; without it more details are read
            return {}

    def _forged(self) -> Iterator[Verdict]:
        """What is stored of templates that nobody stated by the audit trail."""
        with suppress(StateError):  # a look at the network needs no database
            for why in self._statements.all_unlike() if self._statements is not None else ():
                yield Verdict(about="templates", standing="bad", text=why)

    def _not_again(self, group: AppGroupSettings) -> Iterator[Verdict]:
        """The campaigns that go out again and again, but whose template customers may not get again in time."""
        if self._uses is None:
            return
        try:
            for template, why in self._uses.not_again(group):
                yield Verdict(about=f"template {template}", standing="bad", text=why)
        except StateError:
            return

    def _clock(self) -> Iterator[Verdict]:
        """Compares the clock with what earlier nights have noted; Appboy's own time is told of each app group."""
        last = max((run.started_at for run in self._runs.list()), default=None)
        if last is None or is_pretended():
            return
        behind = last - self._context.now()
        if behind > _CLOCKS_DIFFER:
            text = f"this machine's clock is behind: a night began at {last:%Y-%m-%d %H:%M} UTC already; set it by NTP"
            yield Verdict(about="clock", standing="bad", text=text)


def _privacy(context: Context) -> Verdict:
    """Who else on this machine can read customers' data here."""
    found, group = open_paths(context.root, context.settings), context.settings.workspace.group
    if found is None:
        whose = "its owner" if group is None else f"its owner and the group {group}"
        return Verdict(about="files", standing="good", text=f"only {whose} can read {context.root}")
    text = (
        f"{found.count:,} paths of {context.root} are open to others on this machine, such as "
        f"{', '.join(found.examples)}; run: {found.command}"
    )
    if group is None:
        text += " (where a team, or IT with its deliveries, needs the folder, set group under [workspace])"
    return Verdict(about="files", standing="bad", text=text)


def _who_works(context: Context) -> Verdict:
    """What proves who works here; a hub that is to say so is asked."""
    workspace = context.settings.workspace
    if workspace.identity == "asserted":
        text = "names are asserted: anybody can approve as anybody; for more than tests and demos write"
        return Verdict(about="who works", standing="note", text=f'{text} identity = "login" under [workspace]')
    try:
        source = "the login on this machine" if workspace.hub is None else f"as the hub {workspace.hub} says"
        return Verdict(about="who works", standing="good", text=f"{context.user}, {source}")
    except SettingsError as error:
        return Verdict(about="who works", standing="bad", text=str(error))


def who_sets(context: Context) -> Verdict:
    """Who says, by writing to the settings, which people approve and which hub names them."""
    path = context.root / FILE_NAME
    with_sqlite, group = keeps_sqlite(context.settings), context.settings.workspace.group
    own_folder = "chmod +t" if not with_sqlite else "chmod go-w" if group is None else ""
    found, owner = loopholes(path, own_folder=own_folder), login_of(path.stat().st_uid)
    if not found:
        who = owner if owner == "root" else f"{owner} and root"
        text = f"only {who} can change {FILE_NAME}, which says who approves"
        return Verdict(about="settings", standing="good", text=text)
    hows, commands = "; ".join(one.how for one in found), " && ".join(one.command for one in found if one.command)
    text = f"whoever can change {FILE_NAME} says who approves: {hows}"
    if not all(one.command for one in found):
        text += (
            f"; {context.root} has to stay open to the group as long as the state is an SQLite file: a state in "
            "PostgreSQL (`state` under [workspace]) lets the folder be closed"
        )
    if commands:
        text += f"; {owner if owner == 'root' else f'{owner} or root'} runs: {commands}"
    # where names are asserted, anybody approves as anybody, whatever the file says
    proves = context.settings.workspace.identity != "asserted"
    return Verdict(about="settings", standing="bad" if proves else "note", text=text)


def _sticky(context: Context) -> Iterator[Verdict]:
    """Linux mostly keeps people of a group from opening what others made in a sticky folder, as SQLite opens files."""
    found = context.root.stat()
    if context.settings.workspace.group is not None and keeps_sqlite(context.settings) and found.st_mode & stat.S_ISVTX:
        text = (
            f"{context.root} is sticky, which keeps people of the group from an SQLite file that another of them made; "
            f"{login_of(found.st_uid)} or root runs: chmod -t {quote(str(context.root))}"
        )
        yield Verdict(about="folder", standing="bad", text=text)


def _without_groups(groups: Sequence[AppGroupSettings]) -> Iterator[Verdict]:
    if not groups:
        text = "there is no app group in optinb.toml: add an [[app_groups]] table"
        yield Verdict(about="app groups", standing="note", text=text)


def _rights(root: Path) -> Verdict:
    if os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return Verdict(about="workspace", standing="good", text=f"{root} can be written to")
    text = f"{root} can't be written to by this login; give it the right, or run the night as the folder's owner"
    return Verdict(about="workspace", standing="bad", text=text)


def _space(root: Path, run_date: date) -> Verdict:
    """An import needs the delivery unpacked, and another version of the tables, beside what is there."""
    delivery, tables = root / "inbox" / run_date.isoformat(), root / "warehouse"
    needed = 2 * _size(delivery) + _size(tables, "v*.duckdb", newest=True)
    needed_mb, free_mb = (needed >> 20) + _SPARE_MB, shutil.disk_usage(root).free >> 20
    if free_mb >= needed_mb:
        return Verdict(about="space", standing="good", text=f"{free_mb:,} MB are free")
    text = f"{free_mb:,} MB are free, and a night needs about {needed_mb:,}; make room on the disk of {root}"
    return Verdict(about="space", standing="bad", text=text)


def _size(folder: Path, pattern: str = "*", *, newest: bool = False) -> int:
    try:
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        return sum(path.stat().st_size for path in (files[-1:] if newest else files))
    except OSError:
        return 0  # a file that goes meanwhile; who can't read it at all is told of the delivery


def _delivery(root: Path, run_date: date) -> Iterator[Verdict]:
    folder = root / "inbox" / run_date.isoformat()
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
