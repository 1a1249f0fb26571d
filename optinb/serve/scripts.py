"""Which scripts a page loads: those that browsers asked for before are announced at the top of the next page.

They come one from another, in five turns, and only after the page's last cell. Announced, they are all there by then.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from optinb.base.files import write_atomically

MOST = 200
_SCRIPT = re.compile(r"voila/(static|labextensions)/[\w./@~-]+\.js(\?v=\w+)?")


class Scripts:
    """The scripts of pages, by their addresses after the base URL; kept for the next server of the same versions."""

    def __init__(self, folder: Path | None = None) -> None:
        """Args: `folder` keeps them; Jupyter's own for what runs, which only this login can write to, when left out."""
        named = "-".join(version(one) for one in ("voila", "jupyterlab_widgets"))
        self._file = (folder or Path(jupyter_runtime_dir())) / f"optinb-scripts-{named}.json"
        self.known: list[str] = []
        with suppress(OSError, msgspec.MsgspecError):
            told = msgspec.json.decode(self._file.read_bytes(), type=list[str])
            self.known = [one for one in told if _SCRIPT.fullmatch(one)][:MOST]
        self._kept = list(self.known)

    def note(self, base_url: str, address: str, status: int) -> None:
        """Notes that a browser asked for something."""
        name = address.removeprefix(base_url)
        is_there = status in (200, 304) and address.startswith(base_url)
        if is_there and name not in self.known and _SCRIPT.fullmatch(name) and len(self.known) < MOST:
            self.known.append(name)

    def keep(self) -> None:
        """Keeps what is known for the next server."""
        if self.known != self._kept:
            with suppress(OSError):
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(self._file, msgspec.json.encode(self.known))

    def announced(self, config: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The settings of a page, with its scripts."""
        return {**config, "scripts": list(self.known)}
