"""Faults on demand: a short list of rules that says which request goes wrong, and how. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from optinb.errors import UsageError
from optinb.sandbox.dashboard import chance


class Fault(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. The first rule that fits a request applies; without `nth`, `every` and `share` a rule fits all.

    `do`: `status` answers `status` (with `headers`, `body` and, for `reset_in_s`, rate headers that are used up until
    then); `reset` breaks the connection; `truncate` sends half of the reply and breaks it; `slow` lets the reply drip
    for `delay_s` seconds; `delay` only waits; `errors` puts `errors` beside the success of the reply; `double` writes
    the reply twice, the second time after `delay_s` seconds; `replay` gives the reply again that was given last on the
    same connection (the first one there gets its own), as broken proxies do; `edit` answers well, and then somebody
    edits in the dashboard the campaign that the request names: its text is `body` from then on. With `after_taking` the
    request was taken before that happens, as with a 504 whose message goes out all the same; truncate, slow, errors,
    double and edit always take it. Whatever is done is done `delay_s` seconds late.

    `endpoint` is a path or `*`; `nth` are numbers of its requests from 1, `every` a step, `share` a random share.
    """

    do: Literal["status", "reset", "truncate", "slow", "delay", "errors", "double", "replay", "edit"]
    endpoint: str = "*"
    nth: tuple[int, ...] = ()
    every: Annotated[int, Meta(ge=1)] | None = None
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 503
    headers: dict[str, str] = {}
    body: str | None = None
    reset_in_s: float | None = None
    errors: tuple[str, ...] = ()
    after_taking: bool = False
    delay_s: Annotated[float, Meta(ge=0)] = 0.0

    def fits(self, endpoint: str, number: int, *, seed: str) -> bool:
        """Whether this rule applies to the `number`th request (from 1) of an endpoint."""
        if self.endpoint not in ("*", endpoint):
            return False
        if self.nth or self.every is not None or self.share is not None:
            return (
                number in self.nth
                or (self.every is not None and number % self.every == 0)
                or (self.share is not None and chance(f"{seed}|{endpoint}|{number}") < self.share)
            )
        return True

    @property
    def takes(self) -> bool:
        """Whether the request is taken although its reply goes wrong."""
        return self.after_taking or self.do in ("truncate", "slow", "delay", "errors", "double", "edit")


def fault_for(rules: Iterable[Fault], endpoint: str, number: int, *, seed: str = "") -> Fault | None:
    """The rule for the `number`th request (from 1) of an endpoint, None if all goes well."""
    return next((rule for rule in rules if rule.fits(endpoint, number, seed=seed)), None)


def parse_faults(text: bytes | str, *, source: str = "the faults") -> tuple[Fault, ...]:
    """Reads rules from a JSON list. Raises UsageError with the place and the value.

    For example `[{"do": "status", "status": 504, "after_taking": true, "nth": [3]}, {"do": "reset", "share": 0.05}]`.
    """
    try:
        return msgspec.json.decode(text, type=tuple[Fault, ...])
    except msgspec.DecodeError as error:
        raise UsageError(f"{source}: not a list of faults: {error}") from error


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Reads rules from a JSON file. Raises UsageError."""
    try:
        return parse_faults(path.read_bytes(), source=str(path))
    except OSError as error:
        raise UsageError(f"the file of faults {path} can't be read: {error.strerror}") from error
