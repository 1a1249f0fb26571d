"""Files of a delivery that are still being written: waited for as long as the settings allow, then told by a gate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.base.figures import figure
from optinb.warehouse.formats import read_name
from optinb.warehouse.report import Gate

if TYPE_CHECKING:
    from optinb.base.progress import Advance


# What WinSCP, FileZilla, curl, browsers, rsync --partial and people's scripts call a file until it is whole.
_ENDINGS = r"part|partial|filepart|tmp|temp|crdownload|download|incomplete|inprogress|upload|uploading|writing"
_UNFINISHED = re.compile(rf"\.?(?P<name>.+?)(?:(?:\.(?:{_ENDINGS}))+|~)", re.IGNORECASE)
# rsync writes .customers.csv.Xa3k9Q beside the place of the whole file.
_RSYNC = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")

# A file that was touched just now may be written on, and is looked at again after a pause that nobody notices; older
# ones cost no pause, since the files are looked at once more after they were read. One that did grow counts as whole
# only once it has been still for longer: senders write in bursts.
_LOOK_S, _STILL_S = 0.2, 2.0


class ChangedError(Exception):
    """A file was changed, or came, while the delivery was read."""


class Seen(Struct, frozen=True):
    """A file as it was seen: bytes, and when it was changed last (seconds since the epoch)."""

    size: int
    changed: float


Look = dict[str, Seen]


class Unsettled(Struct, frozen=True):
    """A file that is not whole, or still grows, after so many seconds of waiting."""

    name: str
    waited_s: float


def finished_name(name: str) -> str | None:
    """The name that a file will have once it is whole; None for the name of a whole file, and of no table's."""
    if read_name(name) is not None:
        return None
    match = _UNFINISHED.fullmatch(name) or _RSYNC.fullmatch(name)
    if match is None:
        return None
    whole = match["name"]
    # Some senders take the whole ending away: transactions.tmp.
    return whole if read_name(whole) or read_name(f"{whole}.csv") else None


def look_at(folder: Path) -> Look:
    """Every file of a folder that is a table's, or will be."""
    found: Look = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if read_name(path.name) is None and finished_name(path.name) is None:
            continue
        try:
            about = path.stat()
        except OSError:
            continue  # it took its whole name, or went, just now; a link that leads nowhere is told by who reads it
        if path.is_file():
            found[path.name] = Seen(about.st_size, about.st_mtime)
    return found


def settle(
    look: Callable[[], Look],
    *,
    limit_s: float,
    on_progress: Advance,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> tuple[Unsettled, ...]:
    """Waits, `limit_s` seconds at most, until no file is being written; returns those that still are.

    Only what grows, or has an unfinished name and was touched within `limit_s`, is waited for: nights with files from
    hours ago are as fast as ever, and what a broken transfer left blocks at once.

    Args:
        look: sees the files of the delivery, by name.
        limit_s: `[import] settle_seconds`.
        on_progress: hears which file is waited for.
        now: seconds since the epoch.
        sleep: waits so many seconds.
    """
    waited_s = 0.0  # not by the clock, which may be set meanwhile
    seen, grew = look(), dict[str, float]()
    look_again = limit_s > 0 and any(now() - file.changed < _LOOK_S for file in seen.values())
    while True:
        at = now()
        unfinished = [name for name in seen if finished_name(name)]
        growing = [name for name, when in grew.items() if name in seen and waited_s - when < _STILL_S]
        waited_for = [name for name in unfinished if at - seen[name].changed < limit_s] + growing
        if not look_again and (not waited_for or waited_s >= limit_s):
            break
        if waited_for:
            on_progress(0, f"waiting for {waited_for[0]}")
        sleep(_LOOK_S)
        waited_s += _LOOK_S
        look_again, before, seen = False, seen, look()
        grew |= dict.fromkeys(changed(before, seen), waited_s)
    return tuple(Unsettled(name, waited_s=round(waited_s, 1)) for name in dict.fromkeys([*unfinished, *growing]))


def changed(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> list[str]:
    """The files that are there after, and are others than before."""
    return [name for name, file in after.items() if before.get(name) != file]


def gates_of(unsettled: Iterable[Unsettled], late: Iterable[str], *, limit_s: float) -> tuple[Gate, ...]:
    """A gate that fails for each file that is not whole, or that was changed or came while the delivery was read."""
    found = {one.name: _gate(one, limit_s) for one in unsettled}
    return (*found.values(), *(_gate_of_read(name, limit_s) for name in late if name not in found))


def _gate_of_read(name: str, limit_s: float) -> Gate:
    message = (
        f"{name} was changed while the delivery was read (settle_seconds = {figure(limit_s)}): import again once the "
        f"transfer has ended; a sender best writes under another name, such as {name}.part, and renames the whole file"
    )
    return _failed(name, value=0.0, limit=limit_s, message=message)


def _gate(one: Unsettled, limit_s: float) -> Gate:
    waited = f"waited {figure(one.waited_s)} s; settle_seconds = {figure(limit_s)}"
    whole = finished_name(one.name)
    if whole is None:
        what = f"{one.name} still grows ({waited}): import again once it is whole"
    else:
        what = (
            f"{one.name} is still being written, or its transfer broke off ({waited}): import again once it is called "
            f"{whole}, or delete it and send the file again"
        )
    return _failed(one.name, value=one.waited_s, limit=limit_s, message=what)


def _failed(name: str, *, value: float, limit: float, message: str) -> Gate:
    return Gate(
        name="settled",
        table=name,
        value=value,
        limit=limit,
        passed=False,
        setting="settle_seconds",
        message=message,
    )
