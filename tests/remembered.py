"""Models of customers and their charts, made once for the same tables in a run of tests.

Hundreds of tests run whole nights of the committed sample. What its models are is the same each time (the model is
deterministic, which tests of its own hold), and takes longer than all else of such a night.
"""

from __future__ import annotations

import hashlib
from functools import wraps
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable


def _digest(value: Any) -> bytes:
    """What a table or a setting holds, to the last row and its order."""
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    if isinstance(value, pl.DataFrame):
        return repr(value.schema).encode() + value.hash_rows().to_numpy().tobytes()
    return msgspec.json.encode(value)


def remembered(make: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function that is asked once for the same arguments, and whose progress is told again each time."""
    kept: dict[bytes, tuple[Any, list[tuple[Any, ...]]]] = {}

    @wraps(make)
    def ask(*given: Any, on_progress: Callable[..., None] | None = None, **named: Any) -> Any:
        parts = [*map(_digest, given), *(name.encode() + _digest(named[name]) for name in sorted(named))]
        key = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
        if key in kept:
            found, told = kept[key]
            for step in told if on_progress is not None else ():
                on_progress(*step)
            return found
        if on_progress is None:
            found, told = make(*given, **named), []
        else:
            told = []

            def tell(*step: Any) -> None:
                told.append(step)
                on_progress(*step)

            found = make(*given, on_progress=tell, **named)
        kept[key] = found, told
        return found

    return ask
