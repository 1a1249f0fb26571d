"""Every error that a user of optinb can mend, in one tree.

    OptinbError
    ├── UsageError          a call or a command that can't be meant
    ├── SettingsError       optinb.toml, the environment, a secret that isn't there
    ├── RuleError           a rule of a target group that can't be read or doesn't fit the data
    ├── WarehouseError      published versions, leases
    │   ├── DeliveryError   the files that IT delivered
    │   └── GateError       a delivery gate blocked the import (and with it the sends)
    ├── ModelError          customer models
    ├── CampaignError       planning: campaigns, groups, templates
    │   └── ApprovalError   who may approve what
    ├── StateError          the store of campaigns, approvals and deliveries
    │   └── ConflictError   somebody changed this since you opened it
    ├── AppboyError         the API: address, credential, permission, answer
    └── NightError          a night that needs a person

An error's text names the thing, the value and the remedy, in a sentence that a marketer can read.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from difflib import get_close_matches
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = [
    "AppboyError",
    "ApprovalError",
    "CampaignError",
    "ConflictError",
    "DeliveryError",
    "Exit",
    "GateError",
    "ModelError",
    "NightError",
    "OptinbError",
    "RuleError",
    "SettingsError",
    "StateError",
    "UsageError",
    "WarehouseError",
    "did_you_mean",
    "failure",
    "interruptible",
]


class Exit(IntEnum):
    """Exit codes of the commands and of a night (`exit_code` in summary.json)."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    DATA_BLOCKED = 3
    CAMPAIGN_HELD = 4
    DELIVERIES_UNKNOWN = 5
    MESSAGES_FILTERED = 6


class OptinbError(Exception):
    """Root of everything that optinb raises on purpose. `exit_code` is what a command ends with."""

    exit_code: Exit = Exit.FAILED


class UsageError(OptinbError):
    """A call or a command that can't be meant."""

    exit_code = Exit.WRONG_USE


class SettingsError(OptinbError):
    """Settings, environment or a secret."""

    exit_code = Exit.WRONG_USE


class RuleError(OptinbError):
    """A rule that can't be read, or that doesn't fit the data."""

    exit_code = Exit.WRONG_USE


class WarehouseError(OptinbError):
    """Published versions and leases of the warehouse."""


class DeliveryError(WarehouseError):
    """The files of a delivery."""


class GateError(WarehouseError):
    """A delivery gate blocked the import; yesterday's version stays current and nothing is sent."""

    exit_code = Exit.DATA_BLOCKED


class ModelError(OptinbError):
    """Customer models."""


class CampaignError(OptinbError):
    """Planning: groups, templates, campaigns.

    `field` is the one of a campaign that it's about, such as `schedule.at`; empty where it's about no single one.
    """

    exit_code = Exit.WRONG_USE

    def __init__(self, *told: object, field: str = "") -> None:
        super().__init__(*told)
        self.field: str = field


class ApprovalError(CampaignError):
    """Who may approve what."""


class StateError(OptinbError):
    """The store of campaigns, approvals and deliveries."""


class ConflictError(StateError):
    """Somebody changed the same thing since it was read."""


class AppboyError(OptinbError):
    """The Appboy API: address, credential, permission or answer."""


class NightError(OptinbError):
    """A night that needs a person; its exit code says what for."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def failure(error: Exception, *, doing: str) -> str:
    """The sentence of an error; one that nobody foresaw is named by its kind, and logged with its trace."""
    if isinstance(error, OptinbError):
        return str(error)
    logging.getLogger("optinb").error(doing, exc_info=error)
    return f"it failed ({type(error).__name__}: {error})"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A tail for an error message that names the nearest known name, or lists what is known.

    Returns text such as `"; did you mean 'country'?"`, or `"; known are 'a', 'b'"`, or `""` when nothing is known.
    """
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6) or get_close_matches(
        name.casefold(), [n for n in names if n.casefold() == name.casefold()], n=1
    )
    if near:
        return f"; did you mean {near[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(repr(n) for n in sorted(names)[:12])
    return f"; known are {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")


@contextmanager
def interruptible() -> Generator[None]:
    """Lets Ctrl-C be a KeyboardInterrupt in the midst of a query, too, where DuckDB raises a bare RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        raise KeyboardInterrupt from error
