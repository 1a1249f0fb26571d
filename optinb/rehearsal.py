"""Rehearsing on a workspace: a sandbox of its own, the demo's keys, and a clock that pretends its newest delivery."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time
from hmac import compare_digest
from secrets import token_hex
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from optinb.base.clock import SANDBOX
from optinb.base.clock import VARIABLE as NOW
from optinb.base.files import write_atomically
from optinb.base.settings import FILE_NAME, load_settings
from optinb.base.workspace_folder import workspace_folder
from optinb.errors import UsageError
from optinb.sandbox import PARAMETER, Sandbox, demo_world, proof_of, secret_of
from optinb.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from optinb.base.settings import Settings

AUTHOR, APPROVER, SCHEDULER = "demo-author", "demo-approver", "demo-scheduler"
KEYS = {"OPTINB_SHOP_KEY": "sandbox-shop-key", "OPTINB_CLUB_KEY": "sandbox-club-key"}
JOURNAL = "sandbox.jsonl"
_ADDRESS = "sandbox.url"  # where the sandbox of a workspace listens, as long as it runs
_HOUR = time(2)  # of the night, as a scheduler has it


class _Told(msgspec.Struct, frozen=True):
    now: datetime
    proof: str | None = None


def goes_with_rehearsing(user: str | None, *, rehearse: bool) -> None:
    """Refuses to be told who works when nothing is rehearsed. Raises UsageError."""
    if user and not rehearse:
        raise UsageError(f"--user {user} goes with --rehearse only: otherwise the login says who works")


@contextmanager
def rehearsing(
    workspace: str | Path | None,
    *,
    user: str | None = None,
    otherwise: str = AUTHOR,
    run_date: date | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Within it, this process and what it starts rehearse on a workspace; see `variables_for`.

    `say` is told that a sandbox was brought along, which ends with this.
    """
    root = workspace_folder(workspace).resolve()
    settings = load_settings(root / FILE_NAME)
    with ExitStack() as stack:
        found = variables_for(root, settings, user=user, otherwise=otherwise, stack=stack, run_date=run_date, say=say)
        stack.enter_context(environment(found))
        yield


def variables_for(
    root: Path,
    settings: Settings,
    *,
    user: str | None,
    otherwise: str = AUTHOR,
    stack: ExitStack,
    run_date: date | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """The environment variables of somebody who rehearses on a workspace, and a sandbox until `stack` is closed.

    The workspace's sandbox that runs already is taken, with its clock: who rehearses on one workspace at once sees the
    same messages. Another workspace's isn't. A new one listens on the settings' port, or on any that is free.

    Args:
        root: the workspace.
        settings: its settings.
        user: who works; only where the settings say `identity = "asserted"`.
        otherwise: who works there when nobody is named.
        stack: ends the sandbox.
        run_date: the night whose 2 o'clock a new sandbox's clock begins with; that of the newest delivery if None.
        say: told in a sentence where no sandbox of the workspace runs.

    Raises UsageError when an app group isn't on a sandbox, and for a `user` whom the settings won't take at their word.
    """
    if user and settings.workspace.identity != "asserted":
        says = "the login" if settings.workspace.hub is None else f"the hub {settings.workspace.hub}"
        raise UsageError(
            f"--user {user} can't be obeyed: {says} says who works in this workspace; leave it out, or rehearse in a "
            f'workspace of its own whose {FILE_NAME} says identity = "asserted"'
        )
    user = user or otherwise
    address = _address(settings)
    if found := _running(root, address):
        known, now = found
        return {**KEYS, "OPTINB_USER": user, SANDBOX: known, NOW: now.isoformat()}
    start = begins_at(root, settings, run_date)
    sandbox = start_sandbox(stack, root, urlsplit(address).port or 0, start)
    stack.enter_context(announced(root, sandbox.url))
    say(
        "no sandbox runs for this workspace: this command starts one, which ends with it; to keep one, run "
        f"`optinb sandbox --workspace {quote(str(root))}` beside it"
    )
    begun = {} if start is None else {NOW: start.isoformat()}
    return {**KEYS, "OPTINB_USER": user, SANDBOX: sandbox.url, **begun}


def place_of_sandbox(root: Path) -> tuple[int, datetime | None]:
    """The port and the moment at which a sandbox of a workspace begins, so that its rehearsals take it for theirs.

    Raises UsageError where one runs already, or an app group isn't on a sandbox.
    """
    settings = load_settings(root / FILE_NAME)
    address = _address(settings)
    if found := _running(root, address):
        raise UsageError(f"the sandbox of {root} runs already, at {found[0]}")
    return urlsplit(address).port or 0, begins_at(root, settings)


def begins_at(root: Path, settings: Settings, run_date: date | None = None) -> datetime | None:
    """Two o'clock of a night, or of that of the newest delivery; None where there is none."""
    day = run_date or _newest(root, settings)
    return None if day is None else datetime.combine(day, _HOUR, tzinfo=settings.zone)


@contextmanager
def announced(root: Path, url: str) -> Iterator[None]:
    """Keeps the address of a workspace's sandbox within it where rehearsals look. Raises UsageError if it can't."""
    told = root / _ADDRESS
    try:
        write_atomically(told, url.encode())
    except PermissionError as error:
        raise UsageError(
            f"this login can't write {told}, which a rehearsal that was killed may have left; its owner, or that of "
            "the folder, removes it"
        ) from error
    try:
        yield
    finally:
        told.unlink(missing_ok=True)


def _address(settings: Settings) -> str:
    """The address of the sandbox in the settings. Raises UsageError where there isn't just one."""
    addresses = {group.api for group in settings.app_groups}
    if len(addresses) != 1 or not all(group.is_loopback for group in settings.app_groups):
        raise UsageError("a rehearsal needs the address of one sandbox in every app group of optinb.toml")
    return addresses.pop()


def _running(root: Path, address: str) -> tuple[str, datetime] | None:
    """Where the sandbox of a workspace runs, and its time."""
    told = root / _ADDRESS
    for known in (address, told.read_text("utf-8").strip() if told.is_file() else ""):
        now = running_sandbox(known, root)
        if now is not None:
            return known, now
    return None


def running_sandbox(address: str, root: Path) -> datetime | None:
    """The time of the sandbox at an address, if it proves that it is this workspace's; or None.

    What only answers like one may be anybody's program, and a rehearsal shows it every customer.
    """
    import httpx

    secret = secret_of(root)
    if not address or secret is None:
        return None
    challenge = token_hex(16)
    try:
        url, port = f"{address.rstrip('/')}/sandbox/clock", urlsplit(address).port or 0
        answer = httpx.get(url, params={PARAMETER: challenge}, timeout=5, trust_env=False)
        told = msgspec.json.decode(answer.content, type=_Told)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, msgspec.MsgspecError):
        return None
    proof = proof_of(secret, challenge, port=port, workspace=root)
    return told.now if compare_digest(proof.encode(), (told.proof or "").encode()) else None


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for a while: what this process starts reads them too."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_sandbox(stack: ExitStack, root: Path, port: int, start: datetime | None) -> Sandbox:
    """A sandbox for a workspace until `stack` is closed: on a port, or on any where that is taken."""
    try:
        return stack.enter_context(_sandbox(root, port, start))
    except UsageError:  # somebody else has the port
        return stack.enter_context(_sandbox(root, 0, start))


def _sandbox(root: Path, port: int, start: datetime | None) -> Sandbox:
    return Sandbox(demo_world(), port=port, journal=root / JOURNAL, now=start, workspace=root)


def _newest(root: Path, settings: Settings) -> date | None:
    """The day of the newest delivery: in the inbox, or else published."""
    days = []
    for folder in (root / "inbox").glob("????-??-??"):
        try:
            days.append(date.fromisoformat(folder.name))
        except ValueError:
            continue
    if days:
        return max(days)
    warehouse = Warehouse(root, settings)
    return warehouse.open().import_date if warehouse.current is not None else None
