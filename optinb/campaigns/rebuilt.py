"""Audiences that a recovery rebuilt from files, as a part of an approval: which file, for how many, and when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec
from msgspec import Struct

from optinb.campaigns.parts import canonical

REBUILT = "audiences rebuilt by a recovery"


class RebuiltAudience(Struct, frozen=True, kw_only=True):
    """A night's audience that was rebuilt of files while something of it was still to be sent.

    `sha256` is the seal of its file, `unsent` how many of its recipients nothing was sent to by then.
    """

    run_date: date
    sha256: str
    recipients: int
    unsent: int
    send_at: datetime

    def sentence(self) -> str:
        """The same in words."""
        return (
            f"the night of {self.run_date}: {self.unsent:,} of {self.recipients:,} recipients are still to be sent to, "
            f"at {self.send_at:%Y-%m-%d %H:%M} UTC, by the file with the SHA-256 {self.sha256[:12]}…"
        )


def rebuilt_parts(found: Sequence[RebuiltAudience]) -> dict[str, str]:
    """The part of an approval that these are; none, where nothing was rebuilt."""
    return {REBUILT: canonical(found)} if found else {}


def read_rebuilt(text: str) -> tuple[RebuiltAudience, ...]:
    """What such a part says. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=tuple[RebuiltAudience, ...])


def approved_rebuilt(parts: Mapping[str, str], *, run_date: date, sha256: str) -> RebuiltAudience | None:
    """The audience of a night with this seal, where the parts of an approval name it; else None."""
    try:
        named = read_rebuilt(parts.get(REBUILT, "[]"))
    except msgspec.MsgspecError:
        return None
    return next((one for one in reversed(named) if (one.run_date, one.sha256) == (run_date, sha256)), None)
