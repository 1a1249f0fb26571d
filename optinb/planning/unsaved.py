"""What somebody is still writing and hasn't saved: kept in the workspace, so that a closed browser loses nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.delivery.traces import UNSAVED

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.base.context import Context


class UnsavedText(Struct, frozen=True):
    """What was being written (`body`), and when it was kept last (UTC)."""

    body: str
    kept_at: datetime


class Unsaved:
    """`ws.unsaved`: a text for each user and each thing that they write, which `what` names."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def keep(self, what: str, body: str) -> None:
        """Keeps a text; the one before is replaced."""
        path = self._path(what)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, msgspec.json.encode(UnsavedText(body, self._context.now().astimezone(UTC))))

    def get(self, what: str) -> UnsavedText | None:
        """What is kept; None where there is nothing, or nothing that can be read."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path(what).read_bytes(), type=UnsavedText)
        return None

    def forget(self, what: str) -> None:
        """Throws a text away; nothing happens where there is none."""
        self._path(what).unlink(missing_ok=True)

    def _path(self, what: str) -> Path:
        name = sha256(f"{self._context.user}\n{what}".encode()).hexdigest()[:32]
        return self._context.root / UNSAVED / f"{name}.json"
