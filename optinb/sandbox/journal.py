"""The sandbox's journal: one JSON line for each accepted schedule, send, update and delete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from optinb.base.files import lock_newest, open_privately, unlock
from optinb.errors import UsageError
from optinb.sandbox.call import iso
from optinb.sandbox.world import Change, Rescheduled, Taken


def journal_line(change: Change) -> bytes | None:
    """The line of a change, without its end; None for what isn't journalled."""
    match change:
        case Taken(endpoint=endpoint, dispatch=dispatch):
            taken_at, schedule, recipients = dispatch.taken_at, dispatch.schedule, dispatch.recipients
        case Rescheduled(endpoint=endpoint, dispatch=dispatch, at=taken_at, schedule=schedule):
            recipients = b"[]"
        case _:
            return None
    return msgspec.json.encode(
        {
            "taken_at": iso(taken_at),
            "endpoint": endpoint,
            "app_group_id": dispatch.app_group_id,
            "campaign_id": dispatch.campaign_id,
            "schedule_id": dispatch.schedule_id,
            "dispatch_id": dispatch.dispatch_id,
            "send_id": dispatch.send_id,
            "schedule": schedule,
            "recipients": msgspec.Raw(recipients),
        }
    )


class Journal:
    """Appends lines to a file, or to nothing; what is written is handed to the system before `write` returns."""

    def __init__(self, path: Path | None) -> None:
        try:
            self._path, self._file = path, None if path is None else open_privately(path)
        except OSError as error:
            raise UsageError(f"the journal {path} can't be written: {error.strerror}; choose another file") from error

    def write(self, changes: Iterable[Change]) -> None:
        """Writes the lines of some changes."""
        if self._file is None or self._path is None:
            return
        lines = [line for line in map(journal_line, changes) if line is not None]
        if lines:
            path = self._path
            self._file = lock_newest(self._file, path, lambda: open_privately(path))
            self._file.write(b"\n".join(lines) + b"\n")
            self._file.flush()
            unlock(self._file)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
